"""Workers: lanes in order and in turn, bounded waiting, work that is dropped, and an end that waits for nobody."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from itertools import count
from typing import Any

import pytest

from mockserver import workers as workers_module
from mockserver.workers import LaneFull, Workers, checkpoint

PATIENCE = 20


@pytest.fixture
def pool() -> Iterator[Workers]:
    pool = Workers()
    yield pool
    assert pool.stop(PATIENCE)


class Gate:
    """Work that begins, and ends when it is let go."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.entered.set()
        assert self.released.wait(PATIENCE)
        return "done"


def held(pool: Workers, lane: str) -> tuple[Gate, "Future[str]"]:
    """A lane in which work is under way."""
    gate = Gate()
    work = pool.submit(lane, gate)
    assert gate.entered.wait(PATIENCE)
    return gate, work


def test_a_lane_does_one_thing_after_another_in_order(pool: Workers) -> None:
    numbers, running = count(), threading.Lock()

    def next_number() -> int:
        assert running.acquire(blocking=False), "two of one lane at once"
        number = next(numbers)
        running.release()
        return number

    assert [work.result(PATIENCE) for work in [pool.submit("a", next_number) for _ in range(500)]] == list(range(500))


def test_work_that_waits_for_a_busy_lane_takes_no_thread(pool: Workers) -> None:
    before = threading.active_count()
    gate, work = held(pool, "busy")
    waiting = [pool.submit("busy", lambda: "later") for _ in range(1000)]

    assert pool.submit("other", lambda: "at once").result(PATIENCE) == "at once"
    assert threading.active_count() <= before + 3  # for each lane, and one to spare

    gate.released.set()
    assert [each.result(PATIENCE) for each in (work, *waiting)] == ["done", *["later"] * 1000]


def test_lanes_take_turns_where_there_is_one_thread() -> None:
    pool, order = Workers(threads=1), list[str]()
    gate, _ = held(pool, "first")
    works = [pool.submit(lane, partial(order.append, lane)) for lane in "aaaab"]

    gate.released.set()
    for work in works:
        work.result(PATIENCE)

    assert order == ["a", "b", "a", "a", "a"]
    assert pool.stop(PATIENCE)


def test_a_lane_has_a_bounded_queue(pool: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "MAX_WAITING", 3)
    gate, _ = held(pool, "a")
    waiting = [pool.submit("a", lambda: None) for _ in range(3)]

    with pytest.raises(LaneFull):
        pool.submit("a", lambda: None)
    waiting[1].cancel()
    pool.submit("a", lambda: None)

    gate.released.set()


def test_work_that_is_cancelled_while_it_waits_is_dropped(pool: Workers) -> None:
    gate, work = held(pool, "a")
    dropped = pool.submit("a", lambda: pytest.fail("it was dropped"))

    assert dropped.cancel()
    assert not pool.lanes["a"]

    gate.released.set()
    assert work.result(PATIENCE) == "done"


def test_the_waiting_task_gets_the_error_of_the_work(pool: Workers) -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        asyncio.run(pool.run("a", fail))


def test_an_end_drops_what_waits_and_stops_work_at_its_next_checkpoint() -> None:
    pool, begun = Workers(), threading.Event()

    def endless() -> None:
        begun.set()
        while True:
            checkpoint()

    works = [pool.submit(lane, endless) for lane in ("a", "b", "c", "a")]
    assert begun.wait(PATIENCE)

    assert pool.stop(PATIENCE)
    assert works[3].cancelled()
    for work in works[:3]:
        assert work.cancelled() or isinstance(work.exception(PATIENCE), ConnectionResetError)
    assert pool.submit("a", lambda: None).cancelled()


def test_an_end_does_not_wait_longer_than_it_may_for_work_without_checkpoints() -> None:
    pool = Workers()
    gate, work = held(pool, "a")

    assert not pool.stop(0.01)

    gate.released.set()
    assert work.result(PATIENCE) == "done"
    assert pool.stop(PATIENCE)


def test_new_work_is_done_while_long_work_with_checkpoints_goes_on(pool: Workers) -> None:
    goes_on = threading.Event()

    def long() -> None:
        while not goes_on.is_set():
            checkpoint()

    works: list[Future[Any]] = [pool.submit(f"long {n}", long) for n in range(10)]

    assert [pool.submit("short", partial(int, n)).result(PATIENCE) for n in range(20)] == [*range(20)]

    goes_on.set()
    for work in works:
        work.result(PATIENCE)


def test_new_work_is_done_while_long_work_without_checkpoints_goes_on(pool: Workers) -> None:
    gates = [held(pool, f"long {n}")[0] for n in range(4)]

    assert pool.submit("short", lambda: "short").result(PATIENCE) == "short"

    for gate in gates:
        gate.released.set()


def test_a_checkpoint_outside_a_pool_does_nothing() -> None:
    checkpoint()


def test_no_thread_keeps_the_process_from_ending() -> None:
    pool = Workers("mockserver-ends")
    gates = [held(pool, str(n))[0] for n in range(3)]

    threads = [each for each in threading.enumerate() if each.name == "mockserver-ends"]
    assert len(threads) >= 3
    assert all(each.daemon for each in threads)

    for gate in gates:
        gate.released.set()
    assert pool.stop(PATIENCE)
