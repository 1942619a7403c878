"""Documents in plain dictionaries, gone when the process ends."""

from collections import defaultdict
from threading import RLock
from typing import Any


class MemoryStore:
    """The store for one process. A transaction is a lock: requests of one sandbox never interleave."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, RLock] = defaultdict(RLock)
        self._shelves: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    def transaction(self, sandbox: str) -> RLock:
        return self._locks[sandbox]

    def shelf(self, sandbox: str, collection: str) -> dict[str, Any]:
        return self._shelves[sandbox].setdefault(collection, {})

    def clear(self, sandbox: str) -> None:
        for shelf in self._shelves[sandbox].values():
            shelf.clear()
