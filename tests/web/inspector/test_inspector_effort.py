"""What the inspector's pages ask for costs the same with 100,000 requests and batches as with a few."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any

import pytest
from builders import ask, make_engine, queue
from effort import effort_within

from mockserver.engine.engine import Engine
from mockserver.sandbox.sandbox import Sandbox
from mockserver.web.admin.call import AdminCall, Step
from mockserver.web.admin.journal import MAX_EXAMINED
from mockserver.web.admin.routes import ROUTES
from mockserver.web.answers.space import AnswerSpace

MANY = 100_000
PAGE = 50
EFFORT_OF_A_PAGE = 20_000
"""Calls and returns, of Python or C, for a page of 50 rows: less than one for each of the sandbox's values."""
_warm: set[tuple[str, ...]] = set()
pytestmark = pytest.mark.memory_store


@pytest.fixture(scope="module")
def engine() -> Engine:
    """An engine whose sandbox `mine` has 100,000 requests, batches and callbacks."""
    engine = make_engine(journal_size=2 * MANY, callbacks="inbox", progression="time:60")
    first = queue(engine, "hello", token="mine", callback="http://127.0.0.1:9/hook")
    ask(engine, "POST", "/ai/batchez", token="mine", json={})
    sandbox = engine.sandboxes.open("mine")
    exchange, batch = next(sandbox.journal.find(lambda _: True)), sandbox.batches.get(first)
    small = exchange._replace(request=exchange.request._replace(headers={}, body=b"{}"))  # all of them are kept
    assert batch is not None
    assert sandbox.outbox is not None
    for _ in range(MANY - 1):
        sandbox.journal.record(*small[1:])
    for n in range(MANY):
        sandbox.batches.put(f"b{n}", batch._replace(id=f"b{n}"))
        sandbox.outbox.note(f"b{n}", provider="agentfirst", target="http://127.0.0.1:9/", base_url="", due=2e9)
    assert sandbox.journal.dropped == 0
    return engine


def asked(engine: Engine, path: str, parts: Mapping[str, str] = {}, *, most: int, **query: Any) -> Any:
    """What GET of the admin API gives for the sandbox `mine`, with at most so many calls and returns."""
    if (path, *query) not in _warm:  # what is imported and compiled is not counted
        _answer(engine, path, parts, query)
        _warm.add((path, *query))
    with effort_within(most):
        return _answer(engine, path, parts, query)


def _answer(engine: Engine, path: str, parts: Mapping[str, str], query: Mapping[str, Any]) -> Any:
    route = next(each for each in ROUTES if (each.method, each.path) == ("GET", path))
    sandbox: Sandbox = engine.sandboxes.open("mine")
    given = {name: str(value) for name, value in query.items()}
    answer = route.answer(AdminCall(engine, sandbox, parts, given, None, AnswerSpace().keep))
    found = _last(answer) if route.in_steps else answer
    return {name: list(each) if isinstance(each, Iterator) else each for name, each in found.items()}


def _last(steps: Generator[Step, Any, Any]) -> Any:
    found = None
    while True:
        try:
            found = steps.send(found).action()
        except StopIteration as ended:
            return ended.value


@pytest.mark.parametrize("before", [2**53, MANY // 2])
def test_a_page_of_requests_costs_the_same(engine: Engine, before: int) -> None:
    page = asked(engine, "/requests/summaries", most=EFFORT_OF_A_PAGE, limit=PAGE, before=before)

    assert len(page["requests"]) == PAGE
    assert page["next"] == min(before, MANY + 2) - PAGE


def test_one_request_is_found_by_its_number(engine: Engine) -> None:
    found = asked(engine, "/requests", most=EFFORT_OF_A_PAGE, limit=1, after=MANY - 1)
    unmatched = [
        asked(engine, "/requests/unmatched", most=EFFORT_OF_A_PAGE, limit=1, number=number)["requests"]
        for number in (2, MANY)
    ]

    assert [each["number"] for each in found["requests"]] == [MANY]
    assert [[each["path"] for each in some] for some in unmatched] == [["/ai/batchez"], []]


def test_a_search_examines_so_many_requests_and_goes_on_later(engine: Engine) -> None:
    def search(before: int) -> Any:
        page = asked(engine, "/requests/summaries", most=100 * MAX_EXAMINED, limit=PAGE, text="nowhere", before=before)
        assert page["requests"] == []
        return page["next"]

    assert search(2**53) == MANY + 2 - MAX_EXAMINED
    assert search(MAX_EXAMINED + 3) == 3
    assert search(3) is None


@pytest.mark.parametrize("after", [0, MANY // 2])
def test_a_page_of_batches_costs_the_same(engine: Engine, after: int, pytestconfig: pytest.Config) -> None:
    passed_over = 10 if pytestconfig.getoption("--store") == "memory" else 50  # a store of bytes decodes each batch
    page = asked(engine, "/batches/latest", most=EFFORT_OF_A_PAGE + passed_over * after, limit=PAGE, after=after)

    assert page["batches"][0]["id"] == f"b{MANY - 1 - after}"
    assert len(page["batches"]) == PAGE


def test_the_look_that_tells_pages_of_a_change_costs_the_same(engine: Engine) -> None:
    facts = asked(engine, "/sandboxes/{name}", {"name": "mine"}, most=1000)

    assert (facts["requests"], facts["callbacks"]["pending"]) == (MANY + 1, MANY + 1)
