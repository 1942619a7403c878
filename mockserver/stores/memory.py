"""Collections in dictionaries, lost when the process ends."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from threading import RLock
from typing import Any


class MemoryRows:
    """A collection in a dictionary.

    `get` is the dictionary's own, because it is called several times a request. Do not keep it: `clear` replaces both.
    """

    __slots__ = ("_values", "get")

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self.get: Callable[[str], Any] = self._values.get

    def pick(self, keys: Sequence[str], /) -> list[Any]:
        return [self._values.get(key) for key in keys]

    def latest(self, start: int, most: int, /) -> list[Any]:
        return list(islice(reversed(self._values.values()), start, start + most))

    def put(self, key: str, value: Any, /) -> None:
        self._values[key] = value

    def delete(self, key: str, /) -> None:
        self._values.pop(key, None)

    def scan(self) -> Iterator[Any]:
        return iter(tuple(self._values.values()))

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(tuple(self._values.items()))

    def clear(self) -> dict[str, Any]:
        """Empty the collection; returns what was in it."""
        values, self._values = self._values, {}
        self.get = self._values.get
        return values

    def __len__(self) -> int:
        return len(self._values)


class MemoryPartition:
    """A partition in memory. A transaction is a lock: requests of one sandbox never interleave."""

    def __init__(self) -> None:
        self.transaction = RLock()
        self._rows: dict[str, MemoryRows] = {}

    def is_busy(self) -> bool:
        is_free = self.transaction.acquire(blocking=False)
        if is_free:
            self.transaction.release()
        return not is_free

    def rows(self, collection: str) -> MemoryRows:
        found = self._rows.get(collection)
        return self._rows.setdefault(collection, MemoryRows()) if found is None else found

    def clear(self, *, keep: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
        return [each.clear() for name, each in self._rows.items() if name not in keep]


class MemoryStore:
    """A store in memory."""

    def __init__(self) -> None:
        self._partitions: dict[str, MemoryPartition] = {}

    def open(self, sandbox: str) -> MemoryPartition:
        return self._partitions.get(sandbox) or self._partitions.setdefault(sandbox, MemoryPartition())

    def drop(self, sandbox: str) -> None:
        self._partitions.pop(sandbox, None)
