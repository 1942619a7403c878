"""Stores: where the records of all sandboxes are kept, by sandbox and collection."""

from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mockserver.stores.memory import MemoryStore


class Store(Protocol):
    """The interface of a store. A collection keeps the order in which its keys were first put."""

    def transaction(self, sandbox: str) -> AbstractContextManager[Any]:
        """A transaction of the sandbox: other requests see all of its changes or none. May be nested."""

    def collection(self, sandbox: str, collection: str) -> MutableMapping[str, Any]:
        """The collection of a sandbox, empty at first."""

    def is_busy(self, sandbox: str) -> bool:
        """Whether another thread is inside a transaction of the sandbox."""

    def shelves(self, sandbox: str) -> Mapping[str, MutableMapping[str, Any]]:
        """The sandbox's collections by name, as far as they were opened."""

    def pop_collections(self, sandbox: str) -> Iterable[MutableMapping[str, Any]]:
        """Remove all collections of the sandbox and return them; reopened collections are empty."""

    def forget(self, sandbox: str) -> Iterable[MutableMapping[str, Any]]:
        """Like `take`, and forget the sandbox. A running transaction can finish."""


def open_store() -> Store:
    """The store to use; only the memory store exists."""
    return MemoryStore()
