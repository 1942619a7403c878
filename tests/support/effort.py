"""Measures work in function calls instead of seconds, so that the machine does not matter."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDLESS = 60.0
"""CPU seconds after which work is taken for endless. What the tests do takes less than one, what they guard against
minutes or hours, so the speed of a machine does not decide."""


@contextmanager
def effort_within(most: int) -> Iterator[None]:
    """Fails if the work inside makes or leaves more than `most` calls (of Python or C), or computes for `ENDLESS` s.

    The count is the same on every machine and under coverage; the seconds are for loops inside C, which it cannot see.
    """
    count, begun, before = 0, time.thread_time(), sys.getprofile()

    def counted(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(counted)
    try:
        yield
    finally:
        sys.setprofile(before)
    assert count <= most, f"{count:,} calls, {most:,} allowed"
    assert time.thread_time() - begun < ENDLESS
