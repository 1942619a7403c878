"""What each read of a sandbox asks of the admin API, and what it returns of the answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mockserver.client import reads
from mockserver.client.reads import SandboxReads

ANSWER = {
    "requests": ({"number": 1},),
    "next": None,
    "seen": 5,
    "batches": ({"id": "b"},),
    "count": "4",
    "met": 1,
    "forgotten": "6",
    "pacts": ({"provider": {"name": "One"}},),
    "callbacks": ({"id": "b", "state": "delivered"},),
    "webhooks": ({"name": "w"},),
    "files": ({"id": "f"},),
}


class Recorder(SandboxReads):
    """Notes what it is asked, and gives the answers one after another; the last is repeated."""

    __slots__ = ("answers", "asked")

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers or [ANSWER])
        self.asked: list[Any] = []

    def ask(self, verb: str, body: Any = None, *, path: Any = None, **query: Any) -> dict[str, Any]:
        self.asked.append((verb, body, path or {}, {name: each for name, each in query.items() if each is not None}))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


ROWS = [{"number": 1}]


@pytest.mark.parametrize(
    ("call", "asked", "result"),
    [
        (lambda it: it.requests(), ("POST /requests/find", {}, {}, {}), ROWS),
        (lambda it: it.requests(status=402), ("POST /requests/find", {"status": 402}, {}, {}), ROWS),
        (lambda it: it.requests(limit=0, status=402), ("GET /requests", None, {}, {"limit": 0, "status": 402}), ROWS),
        (lambda it: it.requests(after=0), ("GET /requests", None, {}, {"after": 0}), ROWS),
        (lambda it: it.latest_batches(limit=1), ("GET /batches/latest", None, {}, {"limit": 1}), [{"id": "b"}]),
        (lambda it: it.read_batch("b", after=2), ("GET /batches/{id}", None, {"id": "b"}, {"after": 2}), ANSWER),
        (
            lambda it: it.read_item("b", 0),
            ("GET /batches/{id}/items/{position}", None, {"id": "b", "position": "0"}, {}),
            ANSWER,
        ),
        (lambda it: it.read_file("f"), ("GET /files/{id}/content", None, {"id": "f"}, {}), str(ANSWER)),
        (lambda it: it.count(path="/a"), ("POST /requests/count", {"path": "/a"}, {}, {}), 4),
        (lambda it: it.happened(path="/a"), ("POST /requests/count", {"path": "/a", "at_least": 1}, {}, {}), True),
        (lambda it: it.happened(at_most=0), ("POST /requests/count", {"at_most": 0}, {}, {}), True),
        (lambda it: it.happened(exactly=2), ("POST /requests/count", {"exactly": 2}, {}, {}), True),
        (lambda it: it.happened(at_least=3), ("POST /requests/count", {"at_least": 3}, {}, {}), True),
        (
            lambda it: it.order({"a": 1}, {"b": 2}),
            ("POST /requests/order", {"requests": [{"a": 1}, {"b": 2}]}, {}, {}),
            ANSWER,
        ),
        (
            lambda it: it.unmatched("prompt", limit=3),
            ("GET /requests/unmatched", None, {}, {"kind": "prompt", "limit": 3}),
            ROWS,
        ),
        (lambda it: it.forget_requests(), ("DELETE /requests", None, {}, {}), 6),
        (lambda it: it.verdict(scope="all"), ("GET /verdict", None, {}, {"scope": "all"}), ANSWER),
        (
            lambda it: it.coverage(tag="t", processes="all"),
            ("GET /coverage", None, {}, {"tag": "t", "processes": "all"}),
            ANSWER,
        ),
        (lambda it: it.coverage_text(), ("GET /coverage", None, {}, {"format": "table"}), str(ANSWER)),
        (lambda it: it.forget_coverage(), ("DELETE /coverage", None, {}, {}), 6),
        (
            lambda it: it.contracts("me", scope="all"),
            ("GET /pact", None, {}, {"scope": "all", "consumer": "me"}),
            [{"provider": {"name": "One"}}],
        ),
        (
            lambda it: it.contract(provider="One"),
            ("GET /pact", None, {}, {"provider": "One"}),
            {"provider": {"name": "One"}},
        ),
        (
            lambda it: it.callbacks("failed", after=1),
            ("GET /callbacks", None, {}, {"state": "failed", "after": 1}),
            [{"id": "b", "state": "delivered"}],
        ),
        (
            lambda it: it.wait_for_callback(),
            ("GET /callbacks", None, {}, {"limit": 1000}),
            {"id": "b", "state": "delivered"},
        ),
        (lambda it: it.forget_callbacks(), ("DELETE /callbacks", None, {}, {}), 6),
        (lambda it: it.redeliver("b"), ("POST /callbacks/{id}/redeliver", None, {"id": "b"}, {}), ANSWER),
        (lambda it: it.webhooks(), ("GET /webhooks", None, {}, {}), [{"name": "w"}]),
        (
            lambda it: it.send_webhook("w", "http://a"),
            ("POST /webhooks/{name}", {"url": "http://a"}, {"name": "w"}, {}),
            ANSWER,
        ),
        (
            lambda it: it.send_webhook("w", "http://a", 0),
            ("POST /webhooks/{name}", {"url": "http://a", "payload": 0}, {"name": "w"}, {}),
            ANSWER,
        ),
        (lambda it: it.export(journal=False), ("GET /export", None, {}, {"journal": False}), ANSWER),
        (lambda it: it.batches(limit=1), ("GET /batches", None, {}, {"limit": 1}), [{"id": "b"}]),
        (lambda it: it.files(after=1), ("GET /files", None, {}, {"after": 1}), [{"id": "f"}]),
        (lambda it: it.usage(limit=1), ("GET /usage", None, {}, {"limit": 1}), ANSWER),
    ],
)
def test_what_a_read_asks_and_returns(call: Callable[[Any], Any], asked: Any, result: Any) -> None:
    """Asked are the route, its body, its path arguments and its query."""
    sandbox = Recorder()

    assert call(sandbox) == result
    assert sandbox.asked == [asked]


def test_summaries_are_collected_page_by_page_until_there_are_enough() -> None:
    pages = [{"requests": [{"number": n}], "next": n} for n in (9, 8, 7)]

    sandbox = Recorder(*pages)
    assert [each["number"] for each in sandbox.summaries(limit=2, text="x", status=402)] == [9, 8]
    assert [query for _, _, _, query in sandbox.asked] == [
        {"limit": 2, "text": "x", "status": 402},
        {"limit": 1, "before": 9, "text": "x", "status": 402},
    ]

    sandbox = Recorder(*pages, {"requests": [], "next": None})
    assert [each["number"] for each in sandbox.summaries(before=10)] == [9, 8, 7]
    assert [query for _, _, _, query in sandbox.asked] == [
        {"limit": 100, "before": 10},
        {"limit": 99, "before": 9},
        {"limit": 98, "before": 8},
        {"limit": 97, "before": 7},
    ]


@pytest.mark.parametrize(("count", "after"), [(2, 3), (5, 0), (9, 0)])
def test_the_latest_requests_begin_after_those_before_them(count: int, after: int) -> None:
    sandbox = Recorder()

    assert sandbox.latest(count) == ROWS
    assert [query for _, _, _, query in sandbox.asked] == [{"limit": 0}, {"limit": count, "after": after}]


@pytest.mark.parametrize(
    ("names", "message"),
    [((), "no API was called as documented"), (("One", "Two"), "One and Two were called; name one as `provider`")],
)
def test_a_contract_is_that_of_one_api(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        Recorder({"pacts": [{"provider": {"name": name}} for name in names]}).contract()

    assert str(caught.value) == message


@pytest.fixture
def four_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    def poll(timeout: float) -> Iterator[None]:
        yield from [None] * 4

    monkeypatch.setattr(reads, "poll", poll)


@pytest.mark.parametrize("state", ["pending", "sending", "retrying"])
def test_a_callback_is_awaited_while_it_is_still_to_be_delivered(four_polls: None, state: str) -> None:
    waiting, other = {"id": "b", "state": state}, {"id": "a", "state": "failed"}
    sandbox = Recorder({"callbacks": [other, waiting]}, {"callbacks": [other, {"id": "b", "state": "kept"}]})

    assert sandbox.wait_for_callback("b") == {"id": "b", "state": "kept"}
    assert len(sandbox.asked) == 2
    assert Recorder({"callbacks": [waiting, other]}).wait_for_callback() == other


def test_a_callback_that_does_not_end_is_told_with_the_first_twenty(four_polls: None) -> None:
    sandbox = Recorder({"callbacks": [{"id": str(n), "state": "pending"} for n in range(21)]})

    with pytest.raises(TimeoutError) as caught:
        sandbox.wait_for_callback("b", timeout=2.5)
    told = ", ".join(f"{n} is pending" for n in range(20))
    assert str(caught.value) == f"no callback of b came to an end within 2.5 s: {told}"
    assert len(sandbox.asked) == 4

    with pytest.raises(TimeoutError) as caught:
        Recorder({"callbacks": []}).wait_for_callback()
    assert str(caught.value) == "no callback came to an end within 10 s: there is none"
