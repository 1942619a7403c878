"""The journal: it keeps the latest exchanges within its bounds, and counts the others."""

from collections.abc import Callable
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.sandbox import journal as home
from mockserver.sandbox.journal import (
    EXCHANGE_BYTES,
    HEADER_BYTES,
    MAX_BYTES,
    Exchange,
    Journal,
    JournalSpace,
    retry_after_seconds,
)

STEADY = settings(derandomize=True)

Note = Callable[..., None]


EMPTY, OK = Request("GET", ""), Response(200)


def exchange(
    request: Request = EMPTY,
    response: Response = OK,
    violations: tuple[Violation, ...] = (),
) -> Exchange:
    return Exchange(1, 0.0, "", request, response, "", violations)


def kept(journal: Journal) -> list[int]:
    return [exchange.number for exchange in journal.find(lambda _: True)]


def test_an_exchange_is_recorded_unchanged() -> None:
    journal, violation = Journal(10), Violation(("body",), "type", "not an object")
    request, response = Request("POST", "/ai/batches", body=b"[]"), Response(422, "text/plain", b"no")

    journal.record(12.5, "queueBatch", request, response, "invalid", (violation,))

    assert list(journal.find(lambda _: True)) == [
        Exchange(1, 12.5, "queueBatch", request, response, "invalid", (violation,))
    ]


def test_only_the_latest_exchanges_are_kept_and_the_others_counted(note: Note) -> None:
    journal = Journal(3)

    for _ in range(5):
        note(journal)

    assert kept(journal) == [3, 4, 5]
    assert (journal.seen, journal.dropped) == (5, 2)


def test_a_journal_of_size_0_keeps_the_count_only(note: Note) -> None:
    journal = Journal(0)

    note(journal, request=10)

    assert (kept(journal), journal.seen, journal.dropped) == ([], 1, 1)


def test_bodies_are_bounded_in_bytes(note: Note) -> None:
    journal = Journal(100)

    note(journal, request=MAX_BYTES // 2)
    note(journal, response=MAX_BYTES // 2)
    assert kept(journal) == [1, 2]

    note(journal, request=1)
    assert (kept(journal), journal.dropped) == ([2, 3], 1)


def test_an_exchange_larger_than_the_bound_is_counted_and_not_kept(note: Note) -> None:
    journal = Journal(100)

    note(journal, request=MAX_BYTES, response=1)
    assert (kept(journal), journal.dropped) == ([], 1)

    note(journal, request=MAX_BYTES)
    assert (kept(journal), journal.dropped) == ([2], 1)


@STEADY
@given(st.integers(0, 6), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=30))
def test_the_latest_exchanges_within_the_bounds_are_kept(
    note: Note, limit: int, weights: list[tuple[int, int]]
) -> None:
    journal = Journal(limit)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(home, "MAX_BYTES", 100)
        for request, response in weights:
            note(journal, request=request, response=response)
        numbers = kept(journal)

    fitting = [
        count
        for count in range(limit + 1)
        if count <= len(weights) and sum(map(sum, weights[len(weights) - count :])) <= 100
    ]
    assert numbers == list(range(len(weights) - max(fitting) + 1, len(weights) + 1))
    assert journal.dropped == len(weights) - max(fitting)


def test_recording_a_stream_does_not_read_it() -> None:
    journal, stream = Journal(10), iter([b"a" * MAX_BYTES, b"a"])

    journal.record(0.0, "", Request("GET", "/"), Response(200, body=stream), "", ())

    assert kept(journal) == [1]
    assert len(list(stream)) == 2


def test_clearing_resets_counts_and_sizes(note: Note) -> None:
    journal = Journal(3)
    for _ in range(5):
        note(journal, request=MAX_BYTES // 3)

    journal.clear()
    assert (kept(journal), journal.seen, journal.dropped) == ([], 0, 0)

    note(journal, request=MAX_BYTES)
    assert kept(journal) == [1]


def test_find_yields_matching_exchanges_oldest_first(note: Note) -> None:
    journal = Journal(10)
    for path in ("/a", "/b", "/a"):
        note(journal, path)

    assert [exchange.number for exchange in journal.find(lambda it: it.request.path == "/a")] == [1, 3]


def test_exchanges_recorded_during_a_search_are_not_found_by_it(note: Note) -> None:
    journal = Journal(1)
    note(journal, "/before")
    search = journal.find(lambda _: True)

    note(journal, "/after")

    assert [exchange.request.path for exchange in search] == ["/before"]


def answer(journal: Journal, wall: float, *, status: int = 429, wait: str = "") -> None:
    response = Response(status, headers=(("retry-after", wait),) if wait else ())
    journal.record(0.0, "", Request("GET", "/"), response, "", ())
    journal.note_wait(0.0, response, wall)


def test_real_times_are_recorded_only_while_a_retry_after_is_pending() -> None:
    journal = Journal(10)

    answer(journal, 1.0)
    answer(journal, 2.0, wait="5")
    answer(journal, 3.0, status=200)
    answer(journal, 7.0, status=200)
    answer(journal, 7.5, status=200)
    assert (journal.waits, journal.waits_end) == ({2: 2.0, 3: 3.0, 4: 7.0}, 0.0)

    answer(journal, 9.0, wait="1")
    answer(journal, 9.5, wait="0")
    assert (list(journal.waits), journal.waits_end) == ([2, 3, 4, 6, 7], 10.0)


def test_real_times_are_dropped_with_their_exchanges() -> None:
    journal = Journal(2)
    for _ in range(5):
        answer(journal, 1.0, wait="100")
    assert list(journal.waits) == [4, 5]

    journal.clear()
    assert (journal.waits, journal.waits_end) == ({}, 0.0)


def test_a_journal_of_size_0_keeps_no_real_times() -> None:
    journal = Journal(0)
    answer(journal, 1.0, wait="100")

    assert journal.waits == {}


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("9" * 5000, 999_999_999.0),
        ("\u0665", 0.0),
        ("", 0.0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:30 -0000", 20.0),
        ("Thu, 01 Jan 1970 00:00:05 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:05 GMT", 0.0),
        ("Thu, 01 Jan 99999 00:00:05 GMT", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(stated: str, seconds: float) -> None:
    assert retry_after_seconds(Response(429, headers=(("Retry-After", stated),)), 10.0) == seconds


WIDE = "\U0001f600" * 1000
CARRIED: dict[str, Exchange] = {
    "a path": exchange(request=Request("GET", WIDE)),
    "a query": exchange(request=Request("GET", "/", "a" * 4000)),
    "a header": exchange(request=Request("GET", "/", headers={"a": "b" * 4000})),
    "a body": exchange(request=Request("GET", "/", body=b"a" * 4000)),
    "an answer's body": exchange(response=Response(200, body=b"a" * 4000)),
    "an answer's header": exchange(response=Response(200, headers=(("a", "b" * 4000),))),
    "a violation's message": exchange(violations=(Violation(("body",), "type", "a" * 4000),)),
    "a violation's place": exchange(violations=(Violation(("body", WIDE), "type", ""),)),
    "a violation's value": exchange(violations=(Violation(("body",), "type", "", value="a" * 4000),)),
    "the names of a violation": exchange(violations=(Violation(("body",), "required", "", names=("a" * 4000,)),)),
    "many violations": exchange(violations=(Violation(("body",), "type", ""),) * 15),
}


@pytest.mark.parametrize("carried", CARRIED.values(), ids=CARRIED.keys())
def test_every_part_of_an_exchange_counts_in_its_size(carried: Exchange) -> None:
    space = JournalSpace()

    Journal(10, space).record(*carried[1:])

    assert 4000 <= space.held - EXCHANGE_BYTES <= 8000


def test_many_header_fields_count_with_the_memory_that_they_take() -> None:
    held = []
    for count in (20, 420):
        space = JournalSpace()
        request = Request("GET", "/", headers={f"a{n}": "b" for n in range(count)})
        Journal(10, space).record(*exchange(request)[1:])
        held.append(space.held)

    assert held[1] - held[0] >= 400 * HEADER_BYTES


def test_all_journals_together_are_bounded() -> None:
    space = JournalSpace(100 * EXCHANGE_BYTES)
    journals = [Journal(1000, space) for _ in range(50)]
    for n in range(2000):
        journals[n % 50].record(*exchange()[1:])
        assert space.held <= space.limit
        assert space.held == sum(each.held for each in journals)

    assert space.dropped == sum(each.dropped for each in journals) > 0
    assert sum(len(kept(each)) for each in journals) > 90
    assert all(kept(each)[-1:] in ([], [each.seen]) for each in journals)


def test_large_journals_make_room_before_small_ones_and_unused_ones_before_used_ones() -> None:
    space = JournalSpace(100 * EXCHANGE_BYTES)
    small, unused, used = (Journal(1000, space) for _ in range(3))
    for journal, count in ((small, 4), (unused, 48), (used, 48)):
        for _ in range(count):
            journal.record(*exchange()[1:])

    used.record(*exchange()[1:])

    assert (small.dropped, used.dropped) == (0, 0)
    assert unused.dropped == space.dropped > 0


def test_a_removed_journal_releases_its_bytes() -> None:
    space = JournalSpace()
    gone, other = Journal(10, space), Journal(10, space)
    for journal in (gone, other):
        journal.record(*exchange()[1:])

    gone.detach()
    gone.record(*exchange()[1:])
    other.clear()

    assert (space.held, len(kept(gone))) == (0, 2)


class Interrupted(str):
    """A path that does something when it is weighed, as another thread may do at any moment."""

    then: Callable[[], None]

    def isascii(self) -> bool:
        self.then()
        return True


def test_an_exchange_may_be_recorded_while_another_thread_weighs_the_journal() -> None:
    space = JournalSpace()
    journal, other = Journal(40, space), Journal(40, space)

    def record() -> None:
        for each in (journal, other):
            each.record(*exchange()[1:])

    path = Interrupted("/a")
    path.then = record

    for _ in range(2):
        journal.record(*exchange(Request("GET", path))[1:])
    space.weigh()

    assert space.held == journal.held + other.held == 6 * EXCHANGE_BYTES + 2 * len(path)
    assert (kept(journal), kept(other)) == ([1, 2, 3, 4], [1, 2])


def test_threads_that_record_at_once_lose_no_count() -> None:
    space = JournalSpace(50 * EXCHANGE_BYTES)
    journals = [Journal(40, space) for _ in range(4)]

    def record(journal: Journal) -> None:
        for _ in range(2000):
            journal.record(*exchange()[1:])

    threads = [Thread(target=record, args=(each,)) for each in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert space.held == sum(each.held for each in journals) <= space.limit
    assert [each.seen for each in journals] == [2000] * 4
