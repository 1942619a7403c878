"""Where documents rest: a store holds a shelf of documents for every sandbox and collection."""

from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mockserver.stores.memory import MemoryStore


class Store(Protocol):
    """What a store supplies. Documents on a shelf keep the order in which their keys were first put."""

    def transaction(self, sandbox: str) -> AbstractContextManager[Any]:
        """Everything inside happens at once as far as the sandbox's other requests can see; may be nested."""

    def shelf(self, sandbox: str, collection: str) -> MutableMapping[str, Any]:
        """The sandbox's documents of one kind, by id; an empty one at first."""

    def clear(self, sandbox: str) -> None:
        """Empty all shelves of the sandbox."""


def open_store() -> Store:
    """The store to use; memory is the only one so far."""
    return MemoryStore()
