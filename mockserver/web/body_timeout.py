"""How long a request may take to arrive."""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from mockserver.errors import Reason, Refusal

_Received = TypeVar("_Received")


class BodyTimeout:
    """Ends waits that last too long. Most bodies are there when they are asked for, and cost no timer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def wait(self, receiving: Coroutine[Any, Any, _Received]) -> _Received:
        """The coroutine's result; raises Refusal TIMED_OUT if it takes too long."""
        try:
            awaited = receiving.send(None)
        except StopIteration as over:
            result: _Received = over.value
            return result
        timeout = asyncio.timeout(self._seconds)
        try:
            async with timeout:
                return await _resume(receiving, awaited)
        except TimeoutError:
            if not timeout.expired():
                raise
            detail = f"The body did not arrive within {self._seconds} seconds."
            raise Refusal(Reason.TIMED_OUT, detail, status=408) from None


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
