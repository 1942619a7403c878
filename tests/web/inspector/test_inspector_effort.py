"""What the inspector's pages ask for costs the same with 100,000 requests and batches as with a few."""

from collections.abc import Generator, Mapping
from typing import Any

import pytest
from builders import make_engine, queue
from effort import effort_within

from mockserver.engine.engine import Engine
from mockserver.sandbox.sandbox import Sandbox
from mockserver.web.admin.call import AdminCall, Step
from mockserver.web.admin.journal import MAX_EXAMINED
from mockserver.web.admin.routes import ROUTES
from mockserver.web.answers.space import AnswerSpace

MANY = 100_000
PAGE = 50
EFFORT_OF_A_PAGE = 10_000
"""Calls of Python or C for a page of 50 rows: less than one for ten of the values that the sandbox holds."""
pytestmark = pytest.mark.memory_store


@pytest.fixture(scope="module")
def engine() -> Engine:
    """An engine whose sandbox `mine` has 100,000 requests, batches and callbacks."""
    engine = make_engine(journal_size=2 * MANY, callbacks="inbox", progression="time:60")
    first = queue(engine, "hello", token="mine", callback="http://127.0.0.1:9/hook")
    sandbox = engine.sandboxes.open("mine")
    exchange, batch = next(sandbox.journal.find(lambda _: True)), sandbox.batches.get(first)
    assert batch is not None
    assert sandbox.outbox is not None
    for n in range(MANY):
        sandbox.journal.record(*exchange[1:])
        sandbox.batches.put(f"b{n}", batch._replace(id=f"b{n}"))
        sandbox.outbox.note(f"b{n}", provider="agentfirst", target="http://127.0.0.1:9/", base_url="", due=2e9)
    return engine


def asked(engine: Engine, path: str, parts: Mapping[str, str] = {}, **query: Any) -> Any:
    """What GET of the admin API gives for the sandbox `mine`."""
    route = next(each for each in ROUTES if (each.method, each.path) == ("GET", path))
    sandbox: Sandbox = engine.sandboxes.open("mine")
    given = {name: str(value) for name, value in query.items()}
    answer = route.answer(AdminCall(engine, sandbox, parts, given, None, AnswerSpace().keep))
    return _last(answer) if route.in_steps else answer


def _last(steps: Generator[Step, Any, Any]) -> Any:
    found = None
    while True:
        try:
            found = steps.send(found).action()
        except StopIteration as ended:
            return ended.value


@pytest.mark.parametrize("before", [2**53, MANY // 2])
def test_a_page_of_requests_costs_the_same(engine: Engine, before: int) -> None:
    with effort_within(EFFORT_OF_A_PAGE):
        page = asked(engine, "/requests/summaries", limit=PAGE, before=before)

    assert len(page["requests"]) == PAGE
    assert page["next"] == min(before, MANY + 2) - PAGE


def test_one_request_is_found_by_its_number(engine: Engine) -> None:
    with effort_within(EFFORT_OF_A_PAGE):
        found = asked(engine, "/requests", limit=1, after=MANY - 1)["requests"]
        unmatched = asked(engine, "/requests/unmatched", limit=1, number=MANY)["requests"]

        assert [each["number"] for each in found] == [MANY]
    assert [each["number"] for each in unmatched] == [MANY]


def test_a_search_examines_so_many_requests_and_goes_on_later(engine: Engine) -> None:
    with effort_within(20 * MAX_EXAMINED):
        page = asked(engine, "/requests/summaries", limit=PAGE, text="no such text")

    assert page["requests"] == []
    assert page["next"] == MANY + 2 - MAX_EXAMINED
    numbers = [page["next"]]
    while page["next"]:
        page = asked(engine, "/requests/summaries", limit=PAGE, text="no such text", before=page["next"])
        numbers.append(page["next"])
    assert len(numbers) == MANY // MAX_EXAMINED + 1
    assert numbers[-1] is None


@pytest.mark.parametrize("after", [0, MANY // 2])
def test_a_page_of_batches_costs_the_same(engine: Engine, after: int) -> None:
    with effort_within(EFFORT_OF_A_PAGE + 10 * after):
        page = asked(engine, "/batches/latest", limit=PAGE, after=after)

    assert page["batches"][0]["id"] == f"b{MANY - 1 - after}"
    assert len(page["batches"]) == PAGE


def test_the_look_that_tells_pages_of_a_change_costs_the_same(engine: Engine) -> None:
    with effort_within(1000):
        facts = asked(engine, "/sandboxes/{name}", {"name": "mine"})

    assert (facts["requests"], facts["callbacks"]["pending"]) == (MANY + 1, MANY + 1)
