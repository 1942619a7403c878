"""A collection in a shared store, as a sandbox uses it: each call is made in a transaction of its partition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import get_ident
from typing import Any, Protocol, TypeVar

from mockserver.stores.transaction import Transactional

Result = TypeVar("Result")
UNKNOWN: Any = object()
"""In the place of a value that has to be read."""


class ValuesByKey(Protocol):
    """A partition of a shared store; see `partition.SharedPartition`."""

    @property
    def transaction(self) -> Transactional: ...

    def inside(self, action: Callable[[], Result]) -> Result: ...

    def get(self, collection: str, key: str) -> Any: ...

    def pick(self, collection: str, keys: Sequence[str]) -> list[Any]: ...

    def latest(self, collection: str, start: int, most: int) -> list[Any]: ...

    def put(self, collection: str, key: str, value: Any) -> None: ...

    def delete(self, collection: str, key: str) -> None: ...

    def items(self, collection: str) -> Iterator[tuple[str, Any]]: ...

    def size(self, collection: str) -> int: ...


class SharedRows:
    """One collection in a shared store."""

    __slots__ = ("_name", "_partition", "_transaction", "_values")

    def __init__(self, partition: ValuesByKey, name: str, values: Mapping[str, Any]) -> None:
        """`values` are those that the partition knows; None for a key that is not there."""
        self._values = values
        self._partition = partition
        self._transaction = partition.transaction
        self._name = name

    def get(self, key: str, /) -> Any:
        if self._transaction.owner == get_ident():
            value = self._values.get(key, UNKNOWN)
            return self._partition.get(self._name, key) if value is UNKNOWN else value
        return self._partition.inside(lambda: self._partition.get(self._name, key))

    def pick(self, keys: Sequence[str], /) -> list[Any]:
        return self._partition.inside(lambda: self._partition.pick(self._name, keys))

    def latest(self, start: int, most: int, /) -> list[Any]:
        return self._partition.inside(lambda: self._partition.latest(self._name, start, most))

    def put(self, key: str, value: Any, /) -> None:
        if self._transaction.owner == get_ident():
            if self._values.get(key) is not value:
                self._partition.put(self._name, key, value)
        else:
            self._partition.inside(lambda: self._partition.put(self._name, key, value))

    def delete(self, key: str, /) -> None:
        if self._transaction.owner == get_ident():
            self._partition.delete(self._name, key)
        else:
            self._partition.inside(lambda: self._partition.delete(self._name, key))

    def scan(self) -> Iterator[Any]:
        return (value for _, value in self.items())

    def items(self) -> Iterator[tuple[str, Any]]:
        return self._partition.inside(lambda: self._partition.items(self._name))

    def __len__(self) -> int:
        return self._partition.inside(lambda: self._partition.size(self._name))
