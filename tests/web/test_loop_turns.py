"""Requests that the event loop answers take turns, so that it looks for new ones in between."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from time import perf_counter
from typing import Any, ParamSpec

import pytest

from mockserver.web.answers import loop_turns
from mockserver.web.answers.loop_turns import ROUND_SECONDS, SMALL_REQUEST, LoopTurns
from mockserver.workers import LaneFull

P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """The test, run in an event loop."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


SMALL, LARGE = SMALL_REQUEST, SMALL_REQUEST + 1


def use_up(turns: LoopTurns) -> None:
    """Take the rest of the current round's time. Tasks that exist already begin before the next round."""
    turns.count(perf_counter() - 2 * ROUND_SECONDS)


async def answers(turns: LoopTurns, order: list[str], sizes: dict[str, int]) -> None:
    """Requests that come at once, and each take a whole round."""

    async def answer(name: str, size: int) -> None:
        await turns.wait(size)
        order.append(name)
        use_up(turns)

    tasks = [asyncio.ensure_future(answer(name, size)) for name, size in sizes.items()]
    use_up(turns)
    await asyncio.gather(*tasks)


@in_a_loop
async def test_a_request_is_answered_at_once_while_the_round_has_time() -> None:
    turns = LoopTurns()
    turns.count(perf_counter() - ROUND_SECONDS / 2)

    assert turns.is_free(LARGE)
    await turns.wait(LARGE)


@in_a_loop
async def test_a_round_ends_after_its_time_and_the_next_one_begins_anew() -> None:
    turns = LoopTurns()
    use_up(turns)
    assert not turns.is_free(SMALL)

    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turns.is_free(SMALL)


@in_a_loop
async def test_the_oldest_the_latest_and_a_large_request_continue_in_each_round() -> None:
    order: list[str] = []
    sizes = {"large 1": LARGE, "large 2": LARGE, "1": SMALL, "2": SMALL, "3": SMALL, "4": SMALL}

    await answers(LoopTurns(), order, sizes)

    assert order == ["1", "4", "large 1", "2", "3", "large 2"]


@in_a_loop
async def test_small_requests_do_not_wait_for_large_ones() -> None:
    order: list[str] = []
    sizes = {**{f"large {n}": LARGE for n in range(5)}, "small": SMALL}

    await answers(LoopTurns(), order, sizes)

    assert order.index("small") == 0


@in_a_loop
async def test_a_request_that_is_cancelled_takes_no_turn() -> None:
    order: list[str] = []
    turns = LoopTurns()
    left = asyncio.ensure_future(turns.wait(SMALL))
    use_up(turns)
    asyncio.get_running_loop().call_soon(left.cancel)

    await answers(turns, order, {"1": SMALL})
    assert order == ["1"]


@in_a_loop
async def test_a_bounded_number_of_requests_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_turns, "MAX_WAITING", 2)
    turns = LoopTurns()
    waiting = [asyncio.ensure_future(turns.wait(size)) for size in (SMALL, LARGE, SMALL)]
    use_up(turns)

    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ends] == [type(None), type(None), LaneFull]


def test_the_turns_of_a_closed_event_loop_are_forgotten() -> None:
    turns = LoopTurns()

    async def leave_one_waiting() -> None:
        use_up(turns)
        waiting = asyncio.ensure_future(turns.wait(SMALL))
        await asyncio.sleep(0)
        use_up(turns)
        waiting.cancel()

    asyncio.run(leave_one_waiting())
    asyncio.run(asyncio.wait_for(turns.wait(SMALL), 5))
