"""Waits that end: with what was waited for, when it takes too long, or when the one who waits is stopped."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from builders import make_engine, make_settings
from wire import Wire

from mockserver.errors import Reason, Refusal
from mockserver.web.body_timeout import BodyTimeout
from mockserver.web.gateway import Gateway

BRIEF = 0.01


class Piecemeal:
    """Work that goes on after so many turns of the loop; it notes how it was left."""

    def __init__(self, turns: float, *, problem: Exception | None = None) -> None:
        self.turns = turns
        self.problem = problem
        self.left: list[str] = []

    async def __call__(self) -> str:
        try:
            while self.turns > 0:
                self.turns -= 1
                await asyncio.sleep(0)
            if self.problem:
                raise self.problem
        except BaseException as problem:
            self.left.append(type(problem).__name__)
            raise
        self.left.append("done")
        return "result"


def make_gateway(seconds: float) -> Gateway:
    gateway = Gateway(make_engine(), make_settings())
    gateway._body_timeout = BodyTimeout(seconds)  # whole seconds in settings, a moment in tests
    return gateway


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), timeout=5))


@pytest.mark.parametrize("turns", [0, 1, 2, 9])
def test_a_timed_wait_returns_the_result(turns: int) -> None:
    work = Piecemeal(turns)

    assert run(lambda: BodyTimeout(10).wait(work())) == "result"
    assert work.left == ["done"]


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_timed_wait_raises_the_error_of_the_awaited(turns: int) -> None:
    with pytest.raises(ConnectionResetError):
        run(lambda: BodyTimeout(10).wait(Piecemeal(turns, problem=ConnectionResetError())()))


@pytest.mark.parametrize(("turns", "timers"), [(0, 0), (1, 50)])
def test_a_result_that_is_ready_sets_no_timer(monkeypatch: pytest.MonkeyPatch, turns: int, timers: int) -> None:
    timed: list[float] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        set_timer = loop.call_at

        def note(when: float, *args: Any) -> asyncio.TimerHandle:
            timed.append(when)
            return set_timer(when, *args)

        monkeypatch.setattr(loop, "call_at", note)
        patience = BodyTimeout(10)
        waits = [asyncio.ensure_future(patience.wait(Piecemeal(turns)())) for _ in range(50)]
        assert await asyncio.gather(*waits) == ["result"] * 50

    asyncio.run(work())

    assert len(timed) == timers


def test_a_body_that_arrives_too_slowly_times_out_and_the_task_continues() -> None:
    slow, quick = Piecemeal(float("inf")), Piecemeal(3)

    async def work() -> tuple[Any, Any]:
        patience = BodyTimeout(BRIEF)

        async def wait(piecemeal: Piecemeal) -> Any:
            try:
                return await patience.wait(piecemeal())
            except Refusal as refusal:
                task = asyncio.current_task()
                assert task is not None
                assert task.cancelling() == 0, "or asyncio's own timeouts would take it for stopped"
                await asyncio.sleep(0)
                return refusal

        return await asyncio.gather(wait(slow), wait(quick))

    refusal, result = run(work)

    assert (refusal.reason, refusal.status) == (Reason.TIMED_OUT, 408)
    assert result == "result"
    assert (slow.left, quick.left) == (["CancelledError"], ["done"])


def test_a_cancelled_wait_is_cancelled_and_leaves_no_timer() -> None:
    endless, patience = Piecemeal(float("inf")), BodyTimeout(10)

    async def work() -> None:
        waiting = asyncio.ensure_future(patience.wait(endless()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(work)

    assert endless.left == ["CancelledError"]


def test_the_body_timeout_works_in_another_event_loop() -> None:
    patience = BodyTimeout(BRIEF)

    for _ in range(2):
        with pytest.raises(Refusal):
            run(lambda: patience.wait(Piecemeal(float("inf"))()))
        assert run(lambda: patience.wait(Piecemeal(1)())) == "result"


def test_a_client_that_sends_its_body_too_slowly_gets_408() -> None:
    class Dripping(Wire):
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"type": "http.request", "body": b"", "more_body": True}

    wire = Dripping(content_length="9").through(make_gateway(BRIEF))

    assert wire.status == 408
    assert wire.headers[b"connection"] == b"close"


def test_a_connection_that_is_cut_off_while_its_body_is_awaited_leaves_nothing_behind() -> None:
    gateway = make_gateway(10)
    wire = Wire(content_length="9")

    async def cut_off() -> None:
        serving = asyncio.ensure_future(gateway(wire.scope, wire.receive, wire.send))
        await asyncio.sleep(0)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        assert serving.cancelled()

    run(cut_off)

    assert wire.sent == []
    assert gateway._engine.sandboxes.open("test").journal.seen == 0
