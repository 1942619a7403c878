"""What was forgotten and is large: it is freed piece by piece, so that forgetting takes no time."""

from collections import deque
from collections.abc import MutableMapping, MutableSequence
from typing import Any

Heap = MutableMapping[Any, Any] | MutableSequence[Any]
STEP = 64
"""Pieces that are freed between two requests."""
MAX_HEAPS = 64
"""Where nobody sweeps, the oldest heap is freed whole to make room."""


class Waste:
    """Heaps of what nobody needs any more."""

    def __init__(self) -> None:
        self._heaps: deque[Heap] = deque(maxlen=MAX_HEAPS)

    def __len__(self) -> int:
        return len(self._heaps)

    def add(self, heap: Heap) -> None:
        """Leave a heap that nobody else holds."""
        if heap:
            self._heaps.append(heap)

    def sweep(self, pieces: int = STEP) -> bool:
        """Free some pieces; whether there are more."""
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
