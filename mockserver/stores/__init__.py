"""Where documents rest: a store holds a shelf of documents for every sandbox and collection."""

from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mockserver.stores.memory import MemoryStore


class Store(Protocol):
    """What a store supplies. Documents on a shelf keep the order in which their keys were first put."""

    def transaction(self, sandbox: str) -> AbstractContextManager[Any]:
        """Everything inside happens at once as far as the sandbox's other requests can see; may be nested."""

    def shelf(self, sandbox: str, collection: str) -> MutableMapping[str, Any]:
        """The sandbox's documents of one kind, by id; an empty one at first."""

    def is_busy(self, sandbox: str) -> bool:
        """Whether another thread is inside a transaction of the sandbox."""

    def shelves(self, sandbox: str) -> Mapping[str, MutableMapping[str, Any]]:
        """The sandbox's shelves by collection, as far as they were ever opened."""

    def take(self, sandbox: str) -> Iterable[MutableMapping[str, Any]]:
        """Take all shelves of the sandbox away and return them; whoever opens one anew finds it empty."""

    def drop(self, sandbox: str) -> Iterable[MutableMapping[str, Any]]:
        """What `take` does, and forget the sandbox. Who is inside a transaction of it ends it undisturbed."""


def open_store() -> Store:
    """The store to use; memory is the only one so far."""
    return MemoryStore()
