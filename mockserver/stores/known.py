"""A collection in a shared store, and what a process knows of it."""

from collections.abc import Callable, Iterator, Sequence
from threading import get_ident
from typing import Any, Protocol, TypeVar

from mockserver.stores.transaction import Transaction

Result = TypeVar("Result")


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


class Values(Protocol):
    """The values of all collections of a sandbox; see `SharedPartition`."""

    transaction: Transaction

    def inside(self, action: Callable[[], Result]) -> Result: ...

    def get(self, collection: str, key: str) -> Any: ...

    def many(self, collection: str, keys: Sequence[str]) -> list[Any]: ...

    def put(self, collection: str, key: str, value: Any) -> None: ...

    def delete(self, collection: str, key: str) -> None: ...

    def items(self, collection: str) -> Iterator[tuple[str, Any]]: ...

    def size(self, collection: str) -> int: ...


class SharedRows:
    """One collection in a shared store."""

    __slots__ = ("_name", "_partition", "_transaction")

    def __init__(self, partition: Values, name: str) -> None:
        self._partition = partition
        self._transaction = partition.transaction
        self._name = name

    def get(self, key: str, /) -> Any:
        if self._transaction.owner == get_ident():
            return self._partition.get(self._name, key)
        return self._partition.inside(lambda: self._partition.get(self._name, key))

    def put(self, key: str, value: Any, /) -> None:
        if self._transaction.owner == get_ident():
            self._partition.put(self._name, key, value)
        else:
            self._partition.inside(lambda: self._partition.put(self._name, key, value))

    def delete(self, key: str, /) -> None:
        if self._transaction.owner == get_ident():
            self._partition.delete(self._name, key)
        else:
            self._partition.inside(lambda: self._partition.delete(self._name, key))

    def many(self, keys: Sequence[str], /) -> list[Any]:
        """The values of keys that the transaction has not changed, read at once; None for unknown ones."""
        return self._partition.inside(lambda: self._partition.many(self._name, keys))

    def scan(self) -> Iterator[Any]:
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[str, Any]]:
        return self._partition.inside(lambda: self._partition.items(self._name))

    def __len__(self) -> int:
        return self._partition.inside(lambda: self._partition.size(self._name))
