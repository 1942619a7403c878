"""What a process knows of a collection in a shared store."""

from typing import Any

MAX_CACHED = 4 * 1024 * 1024
"""Bytes of values, as they are written, and of keys that are known of a sandbox; beyond that all are forgotten."""
KEY_BYTES = 200
"""What a known key takes, whether it has a value or not."""
MAX_COMPLETE = 1000
"""The most values of a collection that is known as a whole."""


class KnownValues:
    """The known values of one collection."""

    __slots__ = ("keys", "size", "sizes", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        """Values by key; None for a key that is not there."""
        self.keys: dict[str, None] | None = None
        """All keys in order, if all values are known."""
        self.size: int | None = None
        """The number of keys in the store, without the transaction's changes; None if unknown."""

        self.sizes: dict[str, int] = {}
        """The bytes of values, as they are written, by key."""

    def growth(self, key: str, size: int) -> int:
        """By how many bytes the known values grow with a value of that size under a key."""
        before = self.sizes.get(key, 0)
        self.sizes[key] = size
        return size - before

    def forget(self) -> None:
        """Know nothing any more."""
        self.values.clear()
        self.sizes.clear()
        self.keys = self.size = None
