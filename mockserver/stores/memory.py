"""Collections in dictionaries, lost when the process ends."""

from collections import defaultdict
from threading import RLock
from typing import Any


class MemoryStore:
    """A store in memory. A transaction is a lock: requests of one sandbox never interleave."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, RLock] = defaultdict(RLock)
        self._shelves: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)

    def transaction(self, sandbox: str) -> RLock:
        return self._locks[sandbox]

    def collection(self, sandbox: str, collection: str) -> dict[str, Any]:
        return self._shelves[sandbox].setdefault(collection, {})

    def is_busy(self, sandbox: str) -> bool:
        lock = self._locks.get(sandbox)
        if lock is None:
            return False
        is_free = lock.acquire(blocking=False)
        if is_free:
            lock.release()
        return not is_free

    def shelves(self, sandbox: str) -> dict[str, dict[str, Any]]:
        return dict(self._shelves.get(sandbox, {}))

    def pop_collections(self, sandbox: str) -> list[dict[str, Any]]:
        return list(self._shelves.pop(sandbox, {}).values())

    def forget(self, sandbox: str) -> list[dict[str, Any]]:
        self._locks.pop(sandbox, None)
        return self.pop_collections(sandbox)
