"""Divides the event loop's time between the requests that it answers itself.

In one round, the event loop runs what all connections have received. Two hundred requests of 50 ms would be a round of
10 seconds, in which it looks at no other connection. So it answers requests for ROUND_SECONDS of a round; further ones
wait for a later round. There small requests and large ones, which may take long, have their own queues. Of the small
ones, the oldest and the latest continue: a request that comes before or after a burst does not wait for all of it.
"""

import asyncio
from collections import deque
from time import perf_counter

from mockserver.workers import LaneFull

ROUND_SECONDS = 0.05
"""Seconds of a round after which further requests wait."""
COUNTED_SECONDS = 0.0002
"""Requests that took less are not counted: one from each connection takes no longer than a round should."""
SMALL_REQUEST = 1024
"""Bytes of body, path and query up to which a request is small."""
MAX_WAITING = 4000
"""The most requests that wait. There may be more than connections: clients may disconnect."""


class LoopTurns:
    """The turns of a server's requests on its event loop."""

    def __init__(self) -> None:
        self._spent = 0.0
        """Seconds that this round has taken for requests."""
        self.is_counting = False
        """Whether this round has taken time that counts, or requests wait for one."""
        self._small: deque[asyncio.Future[None]] = deque()
        self._large: deque[asyncio.Future[None]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def is_free(self, size: int) -> bool:
        """Whether a request of that many bytes may be answered at once."""
        return self._spent < ROUND_SECONDS and not self._small and (size <= SMALL_REQUEST or not self._large)

    def count(self, since: float) -> None:
        """Counts what was done since a time of `perf_counter`."""
        seconds = perf_counter() - since
        if seconds > COUNTED_SECONDS:
            self._spent += seconds
            self._count_round()

    async def wait(self, size: int) -> None:
        """Wait until a request of that many bytes may be answered; raises LaneFull when too many wait."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # another event loop was closed, with all its waiting requests
            self._loop, self._spent, self.is_counting = loop, 0.0, False
            self._small, self._large = deque(), deque()
        if self.is_free(size):
            return
        if len(self._small) + len(self._large) >= MAX_WAITING:
            raise LaneFull(f"{MAX_WAITING} requests wait already")
        turn = loop.create_future()
        (self._small if size <= SMALL_REQUEST else self._large).append(turn)
        self._count_round()
        await turn

    def _count_round(self) -> None:
        if not self.is_counting:
            self.is_counting = True
            self._loop = asyncio.get_running_loop()
            self._loop.call_soon(self._begin_round)

    def _begin_round(self) -> None:
        """Admit a few requests only, since what they take is not known before."""
        self._spent, self.is_counting = 0.0, False
        for take in (self._small.popleft, self._small.pop):
            while self._small and not _admit(take()):
                pass
        while self._large and not _admit(self._large.popleft()):
            pass
        if self._small or self._large:
            self._count_round()


def _admit(turn: "asyncio.Future[None]") -> bool:
    """Let the request continue; returns whether it still waits."""
    if turn.done():
        return False
    turn.set_result(None)
    return True
