"""What a server does from time to time while it runs: idle sandboxes expire, and other processes see its coverage."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

from mockserver.engine.engine import Engine
from mockserver.errors import Conflict, StoreUnavailable
from mockserver.sandbox.clock import wall_time
from mockserver.workers import LaneFull

COVERAGE_SECONDS = 1.0
"""Seconds after which other processes know what this one has answered."""
EXPIRY_SHARE, SHORTEST, LONGEST = 8, 0.5, 60.0
"""Idle sandboxes are looked for once in this part of the time after which they expire, in seconds within bounds."""
LANE = "\0upkeep"

_log = logging.getLogger("mockserver")


class Upkeep:
    """The regular work of a server, by timers of its event loop."""

    def __init__(self, engine: Engine, expire_idle: float) -> None:
        """Sandboxes expire when they were idle for `expire_idle` seconds; 0 is never."""
        self._engine = engine
        self._expire_idle = expire_idle
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin; called on the event loop."""
        if self._engine.sandboxes.is_shared:
            self._again(self._note_coverage, COVERAGE_SECONDS)
        if self._expire_idle:
            self._again(self._expire, min(max(self._expire_idle / EXPIRY_SHARE, SHORTEST), LONGEST))

    def stop(self) -> None:
        """Stop the timers, and leave the latest coverage to other processes."""
        for timer in self._timers.values():
            timer.cancel()
        if self._timers:
            with suppress(StoreUnavailable, Conflict):
                self._note_coverage()
        self._timers.clear()

    def _again(self, action: Callable[[], None], seconds: float) -> None:
        """Run the action after so many seconds, and again and again. Where it asks a store, a thread waits for it."""

        def run() -> None:
            self._again(action, seconds)
            if not self._engine.sandboxes.is_shared:
                action()
            elif LANE not in self._engine.workers.lanes:
                with suppress(LaneFull):
                    self._engine.workers.submit(LANE, action).add_done_callback(_log_bug)

        self._timers[action] = asyncio.get_running_loop().call_later(seconds, run)

    def _note_coverage(self) -> None:
        self._engine.sandboxes.note_coverage(self._engine.met, self._engine.demanded)

    def _expire(self) -> None:
        self._engine.sandboxes.expire(self._expire_idle, wall_time())


def _log_bug(work: "Future[None]") -> None:
    if work.cancelled() or (error := work.exception()) is None:
        return
    if not isinstance(error, StoreUnavailable | Conflict | ConnectionResetError):
        _log.error("upkeep met a bug in mockserver", exc_info=error)
