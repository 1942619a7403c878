"""Makes glibc return freed memory to the system."""

import gc
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    import ctypes
else:
    ctypes = lazy_module("ctypes")  # 2 ms

# glibc keeps freed blocks for later. A block above its threshold is mapped by itself and returned when it is freed, but
# each such block that is freed raises the threshold, up to 32 MiB: after one large body the next ones are in the heap,
# where anything above them keeps them. A threshold that is set stays as it is. Each thread may have a heap of its own;
# two are enough, because Python runs one thread at a time.

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
MAPPED_BYTES = 4 * 1024 * 1024
"""Bytes above which a block is mapped separately, which costs system calls and a page fault for each 4 kB that is used.

To parse a text, orjson takes a block of twelve bytes for each of its bytes, so bodies up to 340 kB remain below.
"""
KEPT_BYTES = 4 * 1024 * 1024
"""Free bytes at the end of a heap above which they are returned."""
HEAPS = 2


def return_freed_memory() -> None:
    """Set the allocator's limits for the whole process; no effect with another C library."""
    library = _library()
    with suppress(AttributeError):  # musl and macOS have no mallopt
        for option, value in ((_MMAP_THRESHOLD, MAPPED_BYTES), (_TRIM_THRESHOLD, KEPT_BYTES), (_ARENA_MAX, HEAPS)):
            library.mallopt(option, value)


def trim() -> None:
    """Return the free parts of all heaps, which takes some milliseconds; other threads run meanwhile."""
    _drop_kept_objects()
    library = _library()
    with suppress(AttributeError):
        library.malloc_trim(0)


def _drop_kept_objects() -> None:
    """Free the empty objects that Python keeps for later, a few of which hold a heap's megabytes after a peak.

    Only a whole collection does that. It takes no time here, because it passes over what is frozen.
    """
    if not gc.get_freeze_count():  # else a program around this server has frozen its objects
        gc.freeze()
        gc.collect()
        gc.unfreeze()


@cache
def _library() -> "ctypes.CDLL":
    return ctypes.CDLL(None)
