"""Sandbox time: it flows, is frozen, is advanced (never back), or is scaled."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from mockserver.records import Bounds, Record
from mockserver.stores.collection import Cell, OwnCell

DAY = 86_400.0
LATEST = 253_402_300_799.0
"""9999-12-31T23:59:59Z, the last instant ISO 8601 can write with four digits, in Unix seconds."""
Instant = Annotated[float, Bounds(ge=0, le=LATEST)]
"""Unix seconds from 1970 to the end of 9999, which can be formatted."""
Scale = Annotated[float, Bounds(gt=0)]


class ClockConfig(Record, frozen=True, gc=False):
    """The initial state of a sandbox's clock."""

    frozen: bool = False
    instant: Instant | None = None
    """Unix seconds; None starts at the current time."""
    scale: Scale = 1.0
    """Seconds of sandbox time per second of real time."""


class ClockSnapshot(Record, frozen=True, gc=False):
    """The state of a clock at an instant, as it is exported."""

    now: Instant
    born: Instant
    frozen: bool
    scale: Scale

    def __post_init__(self) -> None:
        if self.now < self.born:
            raise ValueError("it stands before its beginning")


def format_instant(unix: float) -> str:
    """Unix seconds as ISO 8601 in UTC; a number if the year does not fit into four digits."""
    try:
        text = datetime.fromtimestamp(unix, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{unix!r} (Unix seconds)"
    return text.replace("+00:00", "Z")


class ClockState(Record, frozen=True, gc=False):
    """The state of a clock: sandbox time is `anchor` at the wall-clock time `anchor_wall`, both in Unix seconds."""

    anchor: float
    anchor_wall: float
    is_frozen: bool
    scale: float
    born: float
    """The first instant of the sandbox."""


FLOWING = ClockConfig()
wall_time = time.time
"""Wall-clock time in Unix seconds."""


def initial_state(start: ClockConfig, wall: float) -> ClockState:
    """The state of a clock that starts at this wall-clock time."""
    instant = wall if start.instant is None else start.instant
    return ClockState(instant, wall, start.frozen, start.scale, instant)


class Clock:
    """The time of one sandbox, in Unix seconds."""

    __slots__ = ("_state", "_wall", "_wall_seen", "start")

    def __init__(
        self,
        start: ClockConfig = FLOWING,
        wall: Callable[[], float] = wall_time,
        state: Cell[ClockState] | None = None,
    ) -> None:
        """`state` holds the clock's state; without it the clock starts now."""
        self._wall = wall
        self._wall_seen = 0.0
        self.start = start
        """The initial state, to which `reset` returns."""
        self._state = state or OwnCell(initial_state(start, wall()))

    @property
    def is_frozen(self) -> bool:
        return self._state.get().is_frozen

    @property
    def scale(self) -> float:
        """Seconds of sandbox time per second of real time."""
        return self._state.get().scale

    @property
    def born(self) -> float:
        """The first instant of the sandbox."""
        return self._state.get().born

    def reset(self) -> None:
        """Returns to the initial state."""
        self._wall_seen = self._wall()
        self._state.put(initial_state(self.start, self._wall_seen))

    def now(self) -> float:
        """The sandbox's time. It never runs backwards, even if the system clock does, and stops at the end of 9999."""
        state = self._state.get()
        if state.is_frozen:
            return state.anchor
        wall = self._wall()
        if wall < self._wall_seen or wall < state.anchor_wall:  # The system clock was set back: continue from there.
            last = state.anchor + (max(self._wall_seen, state.anchor_wall) - state.anchor_wall) * state.scale
            state = state._replace(anchor=last, anchor_wall=wall)
            self._state.put(state)
        self._wall_seen = wall
        reached = state.anchor + (wall - state.anchor_wall) * state.scale
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
        self._change(anchor=instant)

    def begin(self, instant: float) -> None:
        """Restarts at any instant; only for a sandbox without timestamps."""
        instant = min(instant, LATEST)
        self._change(anchor=instant, born=instant)

    def wait_for(self, instant: float) -> float | None:
        """Real seconds until the clock reaches the instant; None if it never will without an admin call."""
        if self.is_frozen or instant > LATEST:
            return None
        return max(instant - self.now(), 0.0) / self.scale

    def freeze(self) -> None:
        """Stops the clock until `resume`."""
        self._change(anchor=self.now(), is_frozen=True)

    def resume(self) -> None:
        """Lets the clock flow again from its current time."""
        self._change(anchor=self.now(), is_frozen=False)

    def scale_by(self, scale: float) -> None:
        """Sets the seconds of sandbox time per real second; raises ValueError unless positive and finite."""
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"a clock is scaled by a positive number, not by {scale!r}")
        self._change(anchor=self.now(), scale=scale)

    def mark(self) -> ClockSnapshot:
        """The clock's state, for `set_to`."""
        return ClockSnapshot(self.now(), self.born, self.is_frozen, self.scale)

    def set_to(self, mark: ClockSnapshot) -> None:
        """Takes over the state of another clock."""
        self._change(anchor=mark.now, born=mark.born, is_frozen=mark.frozen, scale=mark.scale)

    def _change(self, **fields: Any) -> None:
        """Changes the state, from the current wall-clock time on."""
        self._wall_seen = self._wall()
        self._state.put(self._state.get()._replace(anchor_wall=self._wall_seen, **fields))
