"""Looking again until something has happened: how often, and for how long."""

import time
from collections.abc import Callable, Iterator

MAX_POLLS = 600.0
"""Seconds that anybody may wait at all."""
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.1


def poll(
    timeout: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """One for each look: the first at once, the last when the time is over; raises ValueError for a time that is none.

    What is waited for happens on the wall's clock, outside the sandbox: nothing else may sleep.
    """
    if not 0 <= timeout <= MAX_POLLS:
        raise ValueError(f"the timeout is {timeout!r}; wanted 0 to {MAX_POLLS:g} seconds")
    end = now() + timeout
    wait = FIRST_PAUSE
    yield
    while (left := end - now()) > 0:
        pause(min(wait, left))
        wait = min(2 * wait, LONGEST_PAUSE)
        yield
