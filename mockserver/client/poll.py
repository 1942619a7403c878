"""Polling with increasing intervals until a timeout."""

import time
from collections.abc import Callable, Iterator

MAX_POLLS = 600.0
"""The longest timeout, in seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.1


def poll(
    timeout: float,
    *,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Yields for each attempt: at once, then at intervals until the timeout; raises ValueError for an invalid timeout.

    Uses real time, since callbacks are delivered in real time.
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
