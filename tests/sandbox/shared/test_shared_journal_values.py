"""The journal of a shared store shows what a journal in memory shows, after the same exchanges."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import make_engine

from mockserver.engine.engine import Engine
from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.sandbox import journal as memory_journal
from mockserver.sandbox.journal import EXCHANGE_BYTES, Exchange, Journal
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.shared import journal as shared_journal

OpenBox = Callable[..., Sandbox]


@pytest.fixture
def open_box(tmp_path: Any) -> Iterator[OpenBox]:
    """A sandbox in a SQLite file, as a process of its own would open it."""
    made: list[Engine] = []

    def make(size: int = 5) -> Sandbox:
        made.append(make_engine(store=f"sqlite://{tmp_path}/x.db", journal_size=size))
        return made[-1].sandboxes.open("box")

    yield make
    for each in made:
        each.sandboxes.close()


def record(journal: Journal, path: str, *, wall: float = 0.0, wait: str = "", status: int = 200) -> None:
    headers = (("retry-after", wait),) if wait else ()
    response = Response(status, "text/plain", path.encode() * 2, headers, "handler", 0.5)
    request = Request("POST", f"/{path}", "a=1", {"x-a": "b"}, path.encode())
    violations = (Violation(("body",), "type", "no"),) if wait else ()
    journal.record(100.0, f"op {path}", request, response, "invalid" if wait else "", violations, 0.25)
    journal.note_wait(100.0, response, wall)


def facts(journal: Journal) -> dict[str, Any]:
    return {
        "seen": journal.seen,
        "dropped": journal.dropped,
        "held": journal.held,
        "waits": dict(journal.waits),
        "waits_end": journal.waits_end,
        "found": list(journal.find(lambda _: True)),
        "after 3": [each.number for each in journal.find(lambda _: True, 3)],
        "named b": [each.number for each in journal.find(lambda each: each.operation == "op b")],
        "latest": [[each.number for each in journal.latest(at, most)] for at in (0, 1, 4, 99) for most in (0, 1, 9)],
        "seconds": [journal.seconds(number) for number in range(-1, 12)],
    }


STEPS: list[tuple[str, dict[str, Any]]] = [
    ("a", {}),
    ("b", {"wall": 1.0}),
    ("c", {"wall": 2.0, "wait": "5", "status": 429}),
    ("b", {"wall": 3.0}),
    ("d", {"wall": 4.0, "wait": "1", "status": 503}),
    ("e", {"wall": 7.0}),
    ("f", {"wall": 7.5}),
    ("g", {"wall": 8.0, "wait": "9", "status": 200}),
    ("h" * 50, {"wall": 9.0, "wait": "2", "status": 400}),
    ("i", {"wall": 11.0}),
    ("redirected", {"wall": 11.05, "wait": "50", "status": 399}),
    ("j", {"wall": 11.1}),
]


@pytest.mark.parametrize("size", [0, 1, 3, 5, 100])
def test_both_journals_show_the_same_after_each_exchange(open_box: OpenBox, size: int) -> None:
    stored, memory = open_box(size).journal, Journal(size)

    for path, given in STEPS:
        record(stored, path, **given)
        record(memory, path, **given)
        assert facts(stored) == facts(memory)


@pytest.mark.parametrize("limit", [0, 150, 250, 400])
def test_both_journals_are_bounded_in_bytes(open_box: OpenBox, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    for module in (memory_journal, shared_journal):
        monkeypatch.setattr(module, "MAX_BYTES", limit)
    stored, memory = open_box(10).journal, Journal(10)

    for path, given in STEPS:
        record(stored, path, **given)
        record(memory, path, **given)
        assert facts(stored) == facts(memory)


@pytest.mark.parametrize(("limit", "kept"), [(10, 2), (9, 1), (5, 1), (4, 0)])
def test_the_bytes_of_a_journal_may_be_as_many_as_the_limit(
    open_box: OpenBox, monkeypatch: pytest.MonkeyPatch, limit: int, kept: int
) -> None:
    monkeypatch.setattr(shared_journal, "MAX_BYTES", limit)
    journal = open_box().journal

    for _ in range(3):
        journal.record(0.0, "op", Request("GET", "/1234"), Response(200), "", ())

    assert (journal.seen, journal.seen - journal.dropped) == (3, kept)


def test_an_exchange_takes_its_bytes_and_a_thousand_more(open_box: OpenBox) -> None:
    journal = open_box().journal

    journal.record(0.0, "op", Request("GET", "/abc", "q"), Response(200, body=b"12"), "", ())
    journal.record(0.0, "op", Request("GET", "/"), Response(200), "", ())

    assert journal.held == 2 * EXCHANGE_BYTES + len("/abc" + "q" + "12" + "/")


def test_exchanges_of_one_transaction_are_recorded_together(open_box: OpenBox) -> None:
    box = open_box(3)
    with box.transaction:
        for path in "abcdefg":
            record(box.journal, path)
        assert [each.request.path for each in box.journal.find(lambda _: True)] == ["/e", "/f", "/g"]

    assert [each.number for each in open_box(3).journal.find(lambda _: True)] == [5, 6, 7]


def test_a_stored_exchange_is_read_as_it_was_recorded(open_box: OpenBox) -> None:
    request = Request(
        "PUT", "/a", "b=c", {"d": "e"}, b"f", "http://origin", form_problem="no boundary", prefix="/prefix"
    )
    response = Response(201, "text/html", b"g", (("h", "i"),), "fixture:x#1", 1.5)
    violation = Violation(("body", 2), "type", "no", {"type": "string"}, value="v", names=("n",))
    exchange = Exchange(1, 12.5, "op", request, response, "conflict", (violation,))
    box = open_box()
    with box.transaction:
        box.journal.record(*exchange[1:], 0.75)

    other = open_box().journal

    [found] = other.find(lambda _: True)
    assert found == exchange
    assert other.seconds(1) == 0.75


def test_clearing_a_journal_restarts_its_counts(open_box: OpenBox) -> None:
    box = open_box(3)
    for path, given in STEPS:
        record(box.journal, path, **given)

    assert box.journal.clear() == []

    assert len(box.collection(shared_journal.ENTRIES, object)) == 0
    assert facts(box.journal) == facts(Journal(3))
    record(box.journal, "x")
    assert [each.number for each in box.journal.find(lambda _: True)] == [1]


@pytest.mark.parametrize("size", [2, 5, 20])
def test_a_journal_that_is_taken_over_keeps_numbers_and_gaps(open_box: OpenBox, size: int) -> None:
    source = Journal(20)
    for path, _ in STEPS:
        record(source, path)
    exchanges = [each for each in source.find(lambda _: True) if each.number in {4, 5, 6, 7}]
    box, memory = open_box(size), Journal(size)

    with box.transaction:
        box.journal.fill(9, exchanges)
    memory.fill(9, exchanges)

    assert box.journal.seen == memory.seen == 9
    numbers = [each.number for each in box.journal.find(lambda _: True)]
    assert numbers == [4, 5, 6, 7][-min(size, 4) :]
    assert [each.request for each in box.journal.find(lambda _: True)] == [each.request for each in exchanges][-size:]


def test_an_empty_journal_that_is_taken_over_only_counts(open_box: OpenBox) -> None:
    box = open_box()
    record(box.journal, "a")

    with box.transaction:
        box.journal.fill(7, [])

    assert (box.journal.seen, box.journal.dropped, list(box.journal.find(lambda _: True))) == (7, 7, [])
    record(box.journal, "b")
    assert [each.number for each in box.journal.find(lambda _: True)] == [8]


def test_more_exchanges_than_are_read_at_once_are_found_in_order(
    open_box: OpenBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_journal, "READ_AT_ONCE", 3)
    journal = open_box(8).journal
    for n in range(10):
        record(journal, str(n))

    assert [each.number for each in journal.find(lambda _: True)] == [3, 4, 5, 6, 7, 8, 9, 10]
    assert [each.number for each in journal.latest(10, 7)] == [9, 8, 7, 6, 5, 4, 3]
    assert [each.number for each in open_box(8).journal.find(lambda _: True, 6)] == [7, 8, 9, 10]
