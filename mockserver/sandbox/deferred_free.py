"""Frees large collections in small steps on a thread of its own, so that a reset or a deletion takes no time."""

from collections import deque
from collections.abc import MutableMapping, MutableSequence
from threading import Event, Lock, Thread
from typing import Any

Heap = MutableMapping[Any, Any] | MutableSequence[Any]
AT_ONCE = 256
"""A collection of at most so many values is freed at once."""
STEP = 256
"""Values that are freed between two pauses."""
PAUSE = 0.001
"""Seconds, in which other threads run."""


class DeferredFree:
    """Collections to be freed."""

    def __init__(self) -> None:
        self._heaps: deque[Heap] = deque()
        self._lock = Lock()
        self._is_sweeping = False

    def __len__(self) -> int:
        return len(self._heaps)

    def add(self, heap: Heap) -> None:
        """Free the values of a collection to which only the caller refers."""
        if len(heap) <= AT_ONCE:
            heap.clear()
            return
        with self._lock:
            self._heaps.append(heap)
            is_alone = not self._is_sweeping
            self._is_sweeping = True
        if is_alone:
            Thread(target=self._sweep_all, name="mockserver-waste", daemon=True).start()

    def sweep(self, pieces: int = STEP) -> bool:
        """Free some values; returns whether there are more."""
        while self._heaps and pieces:
            heap = self._heaps[0]
            while heap and pieces:
                if isinstance(heap, MutableMapping):
                    heap.popitem()
                else:
                    heap.pop()
                pieces -= 1
            if not heap:
                self._heaps.popleft()
        return bool(self._heaps)

    def _sweep_all(self) -> None:
        pause = Event()
        while True:
            pause.wait(PAUSE)
            if not self.sweep():
                with self._lock:
                    if not self._heaps:
                        self._is_sweeping = False
                        return
