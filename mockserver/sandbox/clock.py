"""Sandbox time: it flows, is frozen, is advanced (never back), or is scaled."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

DAY = 86_400.0
LATEST = 253_402_300_799.0
"""9999-12-31T23:59:59Z, the last instant ISO 8601 can write with four digits, in Unix seconds."""


class ClockConfig(NamedTuple):
    """The initial state of a sandbox's clock."""

    frozen: bool = False
    instant: float | None = None
    """Unix seconds; None starts at the current time."""
    scale: float = 1.0
    """Seconds of sandbox time per second of real time."""


class ClockSnapshot(NamedTuple):
    """The state of a clock."""

    now: float
    born: float
    """Unix seconds, like `now`."""
    frozen: bool
    scale: float


def format_instant(unix: float) -> str:
    """Unix seconds as ISO 8601 in UTC; a number if the year does not fit into four digits."""
    try:
        text = datetime.fromtimestamp(unix, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{unix!r} (Unix seconds)"
    return text.replace("+00:00", "Z")


FLOWING = ClockConfig()


class Clock:
    """The time of one sandbox, in Unix seconds."""

    def __init__(self, start: ClockConfig = FLOWING, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._start = start
        self.reset()

    def reset(self) -> None:
        """Returns to the initial state."""
        self._anchor_wall = self._wall_seen = self._wall()
        self._anchor = self._anchor_wall if self._start.instant is None else self._start.instant
        self.is_frozen = self._start.frozen
        self.scale = self._start.scale
        self.born = self._anchor

    def now(self) -> float:
        """The sandbox's time. It never runs backwards, even if the system clock does, and stops at the end of 9999."""
        if self.is_frozen:
            return self._anchor
        wall = self._wall()
        if wall < self._wall_seen:  # The system clock was set back: continue from the last known time.
            self._anchor += (self._wall_seen - self._anchor_wall) * self.scale
            self._anchor_wall = wall
        self._wall_seen = wall
        reached = self._anchor + (wall - self._anchor_wall) * self.scale
        return reached if reached < LATEST else LATEST

    def wall(self) -> float:
        """Wall-clock time in Unix seconds; only to check how long a client really waited."""
        return self._wall()

    def advance(self, seconds: float) -> None:
        """Advances the clock; raises ValueError for a negative or unbounded step."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"a clock advances by zero or more seconds, not by {seconds!r}")
        self.set(self.now() + seconds)

    def set(self, instant: float) -> None:
        """Sets the time; raises ValueError if it lies in the past or past the year 9999."""
        now = self.now()
        if not now <= instant <= LATEST:
            raise ValueError(
                f"the clock stands at {format_instant(now)} and moves forward only, up to the year 9999; "
                f"{format_instant(instant)} is refused"
            )
        self._stand_at(instant)

    def begin(self, instant: float) -> None:
        """Restarts at any instant; only for a sandbox without timestamps."""
        self._stand_at(min(instant, LATEST))
        self.born = self._anchor

    def wait_for(self, instant: float) -> float | None:
        """Real seconds until the clock reaches the instant; None if it never will without an admin call."""
        if self.is_frozen or instant > LATEST:
            return None
        return max(instant - self.now(), 0.0) / self.scale

    def freeze(self) -> None:
        """Stops the clock until `resume`."""
        self._hold()
        self.is_frozen = True

    def resume(self) -> None:
        """Lets the clock flow again from its current time."""
        self._hold()
        self.is_frozen = False

    def scale_by(self, scale: float) -> None:
        """Sets the seconds of sandbox time per real second; raises ValueError unless positive and finite."""
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"a clock is scaled by a positive number, not by {scale!r}")
        self._hold()
        self.scale = scale

    def mark(self) -> ClockSnapshot:
        """The clock's state, for `set_to`."""
        return ClockSnapshot(self.now(), self.born, self.is_frozen, self.scale)

    def set_to(self, mark: ClockSnapshot) -> None:
        """Takes over the state of another clock."""
        self.born, self.is_frozen, self.scale = mark.born, mark.frozen, mark.scale
        self._stand_at(mark.now)

    def _hold(self) -> None:
        self._stand_at(self.now())

    def _stand_at(self, instant: float) -> None:
        self._anchor = instant
        self._anchor_wall = self._wall_seen = self._wall()
