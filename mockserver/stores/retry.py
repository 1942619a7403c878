"""Runs an action again after a conflict with another process."""

import time
from collections.abc import Callable
from typing import TypeVar

from mockserver.errors import Conflict, StoreBusy, StoreUnavailable
from mockserver.workers import checkpoint

ATTEMPTS = 200
"""Runs of an action before its conflict is reported."""
FIRST_WAIT, LONGEST_WAIT = 0.0002, 0.02
"""Seconds before an action is run again: after the second conflict, and at most."""

_Result = TypeVar("_Result")


def retried(action: Callable[[], _Result]) -> _Result:
    """The action's result; it is run again after a Conflict, with growing pauses. At last raises StoreUnavailable.

    On an event loop raises StoreBusy, which should not wait for another process.
    """
    wait = FIRST_WAIT
    for attempt in range(ATTEMPTS):
        try:
            return action()
        except StoreBusy:
            raise
        except Conflict:
            checkpoint()
            if attempt:
                time.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)
    raise StoreUnavailable("the sandbox is changed all the time by other requests")
