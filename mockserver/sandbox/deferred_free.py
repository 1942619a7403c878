"""Frees large collections in small steps on a thread of its own, so that a reset or a deletion takes no time."""

from _thread import start_new_thread
from collections import deque
from collections.abc import MutableMapping, MutableSequence
from threading import Event, Lock
from typing import Any

Values = MutableMapping[Any, Any] | MutableSequence[Any]
AT_ONCE = 256
"""A collection of at most so many values is freed at once."""
STEP = 256
"""Values that are freed between two pauses."""
PAUSE = 0.001
"""Seconds, in which other threads run."""


class DeferredFree:
    """Collections to be freed."""

    def __init__(self) -> None:
        self._waiting: deque[Values] = deque()
        self._lock = Lock()
        self._is_sweeping = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, values: Values) -> None:
        """Free the values of a collection to which only the caller refers."""
        if len(values) <= AT_ONCE:
            values.clear()
            return
        with self._lock:
            self._waiting.append(values)
            is_alone = not self._is_sweeping
            self._is_sweeping = True
        if is_alone:
            start_new_thread(self._sweep_all, ())  # `Thread.start` would wait for it, a millisecond or longer

    def sweep(self, pieces: int = STEP) -> bool:
        """Free some values; returns whether there are more."""
        while self._waiting and pieces:
            values = self._waiting[0]
            while values and pieces:
                if isinstance(values, MutableMapping):
                    values.popitem()
                else:
                    values.pop()
                pieces -= 1
            if not values:
                self._waiting.popleft()
        return bool(self._waiting)

    def _sweep_all(self) -> None:
        pause = Event()
        while True:
            pause.wait(PAUSE)
            if not self.sweep():
                with self._lock:
                    if not self._waiting:
                        self._is_sweeping = False
                        return
