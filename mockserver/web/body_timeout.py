"""Timeouts for reading requests, with one shared timer."""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from mockserver.errors import Reason, Refusal

_Received = TypeVar("_Received")


class BodyTimeout:
    """Ends waits that last too long, like asyncio.timeout at a tenth of its cost: all waits share one timer.

    The timer runs once a second, so a wait may last a second longer.
    """

    def __init__(self, seconds: float) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seconds = seconds
        self._pause = min(seconds, 1.0)
        self._since: dict[asyncio.Task[Any], float] = {}
        self._overdue: set[asyncio.Task[Any]] = set()
        self._is_watching = False

    async def wait(self, receiving: Coroutine[Any, Any, _Received]) -> _Received:
        """The coroutine's result; raises Refusal TIMED_OUT if it takes too long."""
        try:
            awaited = receiving.send(None)
        except StopIteration as over:  # the common case: the body is already there
            result: _Received = over.value
            return result
        # Until Python 3.12 asking for the running loop is a system call, so it is cached.
        task = asyncio.current_task(self._loop) if self._loop else None
        if self._loop is None or task is None:
            self._loop = asyncio.get_running_loop()
            self._since, self._overdue, self._is_watching = {}, set(), False
            task = asyncio.current_task(self._loop)
            assert task is not None
        self._since[task] = self._loop.time()
        if not self._is_watching:
            self._is_watching = True
            self._loop.call_later(self._pause, self._look, self._loop)
        try:
            return await _resume(receiving, awaited)
        except asyncio.CancelledError:
            if task not in self._overdue:
                raise
            task.uncancel()
            raise Refusal(
                Reason.TIMED_OUT, f"The body did not arrive within {self._seconds} seconds.", status=408
            ) from None
        finally:
            self._since.pop(task, None)
            self._overdue.discard(task)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        for task, since in self._since.items():
            if loop.time() - since >= self._seconds and task not in self._overdue:
                self._overdue.add(task)
                task.cancel()
        self._is_watching = bool(self._since)
        if self._is_watching:
            loop.call_later(self._pause, self._look, loop)


@coroutine
def _resume(begun: Coroutine[Any, Any, _Received], awaited: Any) -> Generator[Any, Any, _Received]:
    """Continues a coroutine that was started by hand and is now waiting."""
    try:
        while True:
            try:
                yield awaited
            except BaseException as problem:
                awaited = begun.throw(problem)
            else:
                awaited = begun.send(None)
    except StopIteration as over:
        result: _Received = over.value
        return result
