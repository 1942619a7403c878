"""Limits how many large bodies are parsed at once: parsed values take several times the memory of their text."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread

from mockserver.malloc import trim

MAX_BYTES = 8 * 1024 * 1024
"""The most bytes of bodies that are parsed at once; a larger body is parsed alone. Python runs one thread at a time, so
parsing more at once would not be faster, but would delay the event loop.
"""
TRIM_DELAY = 0.05
"""Seconds after the last large body, when its response has been sent."""


class LargeBodies:
    """Admits bodies while their total size is below the limit. Waiting requests use no thread, and are admitted in
    order.
    """

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._held = 0
        self._is_trimming = False
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Wait until a body of `size` bytes may be parsed, inside the block."""
        size = min(size, self._limit)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another event loop was closed, with all its waiting requests
            self._loop, self._held, self._waiting, self._is_trimming = loop, 0, deque(), False
        if self._waiting or self._held + size > self._limit:
            turn = loop.create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back(size)
                else:
                    self._admit()
                raise
        else:
            self._held += size
        try:
            yield
        finally:
            self._give_back(size)

    def trim_soon(self) -> None:
        """Return freed memory to the system in a moment."""
        if not self._is_trimming:
            self._is_trimming = True
            asyncio.get_running_loop().call_later(TRIM_DELAY, self._trim)

    def _give_back(self, size: int) -> None:
        self._held -= size
        self._admit()

        if not (self._held or self._waiting or self._is_trimming) and self._loop is not None:
            self._is_trimming = True
            self._loop.call_later(TRIM_DELAY, self._trim)

    def _trim(self) -> None:
        """Return the memory of received pieces to the system; they are too small to be returned when freed."""
        self._is_trimming = False
        Thread(target=trim, name="mockserver-trim", daemon=True).start()

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._held + self._waiting[0][0] <= self._limit):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._held += size
                turn.set_result(None)


LARGE_BODIES = LargeBodies()
"""Those of this process."""
