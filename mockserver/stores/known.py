"""What a process knows of a collection in a shared store."""

from typing import Any


class KnownValues:
    """The known values of one collection."""

    __slots__ = ("keys", "size", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        """Values by key; None for a key that is not there."""
        self.keys: dict[str, None] | None = None
        """All keys in order, if all values are known."""
        self.size: int | None = None
        """The number of keys in the store, without the transaction's changes; None if unknown."""

    def forget(self) -> None:
        """Know nothing any more."""
        self.values.clear()
        self.keys = self.size = None
