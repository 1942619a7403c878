"""Large request bodies rest side by side in big pages of memory.

A fresh page costs its first writer far more than the bytes it takes: for a body of 210 kB in pages of 4 KiB about as
much as reading and judging it (see bench/). In pages of 2 MiB it costs a fifth of that.
"""

import mmap
from collections.abc import Sequence
from threading import Lock

LARGE = 64 * 1024
"""Bytes; a smaller body stays where it is."""
CHUNK = 4 * 1024 * 1024


class BodyShelf:
    """Keeps bodies for as long as somebody holds what `keep` returned; a chunk is freed with its last body."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._chunk = memoryview(b"")

    def keep(self, parts: Sequence[bytes]) -> bytes | memoryview:
        """The parts as one, at rest. A small body, or any on a system without big pages, is joined as usual."""
        size = sum(map(len, parts))
        if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
            return b"".join(parts)
        place = self._take(size)
        end = 0
        for part in parts:
            start, end = end, end + len(part)
            place[start:end] = part
        return place.toreadonly()

    def _take(self, size: int) -> memoryview:
        with self._lock:
            if len(self._chunk) < size:
                self._chunk = _new_chunk(max(CHUNK, size))
            place, self._chunk = self._chunk[:size], self._chunk[size:]
        return place


def _new_chunk(size: int) -> memoryview:
    chunk = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    chunk.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(chunk)
