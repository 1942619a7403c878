"""Waiting for what another thread or process does."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], within: float = 30) -> T:
    """What is seen once it is true; asks every 10 ms. Fails after `within` seconds."""
    end = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < end, f"still {seen!r} after {within} s"
        threading.Event().wait(0.01)
    return seen
