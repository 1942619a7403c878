"""Stores: immutable values by sandbox, collection and key. A sandbox's collections are its partition.

`memory` keeps the values themselves. `shared` keeps bytes in a backend (`sqlite`, `redis`), and encodes values by the
types that collections are declared with; see `Provider.collections`.
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from mockserver.stores.memory import MemoryStore

Result = TypeVar("Result")


class Rows(Protocol):
    """One collection of one sandbox. Keys keep the order in which they were first put.

    Nothing in it is changed in place: a change is a `put` of a new value, inside the partition's transaction.
    """

    def get(self, key: str, /) -> Any:
        """The value; None if the key is unknown."""

    def pick(self, keys: Sequence[str], /) -> Sequence[Any]:
        """The values of several keys; None for an unknown one."""

    def latest(self, start: int, most: int, /) -> Sequence[Any]:
        """At most so many values in reverse order, without the first `start` of them."""

    def put(self, key: str, value: Any, /) -> None:
        """Add a value, or replace the one under that key, which keeps its place."""

    def delete(self, key: str, /) -> None:
        """Remove a key; an unknown one is ignored."""

    def scan(self) -> Iterator[Any]:
        """The values as they are now; the collection may change meanwhile."""

    def items(self) -> Iterator[tuple[str, Any]]:
        """The keys and values as they are now; the collection may change meanwhile."""

    def __len__(self) -> int: ...


class Partition(Protocol):
    """All values of one sandbox."""

    @property
    def transaction(self) -> AbstractContextManager[Any]:
        """A transaction of the sandbox: other requests see all of its changes or none. May be nested.

        A store that is shared commits at the end of the outermost one, and raises `shared.Conflict` if another process
        has changed the sandbox meanwhile; an exception rolls back. The memory store has nothing to roll back to.
        """

    def is_busy(self) -> bool:
        """Whether another thread is inside a transaction."""

    def rows(self, collection: str) -> Rows:
        """The collection of that name, empty at first."""

    def clear(self, *, keep: frozenset[str] = frozenset()) -> Iterable[MutableMapping[Any, Any]]:
        """Empty every collection but those. Returns the removed values, for the caller to free later."""


class Ticket(Protocol):
    """A commit to come."""

    is_committed: bool
    """Whether it has come, and the store has all changes."""


class GroupCommit(Protocol):
    """Commits several transactions of one thread together; see `stores.group`."""

    @property
    def latest(self) -> Ticket | None:
        """What the latest action that was run waits for; None if it has changed nothing."""

    def run(self, action: Callable[..., Result], *given: Any) -> Result:
        """The action's result. Its transactions are committed by `commit`."""

    def commit(self) -> None:
        """Commit what waits."""


class Store(Protocol):
    """A partition for each sandbox."""

    def open(self, sandbox: str) -> Partition:
        """The sandbox's partition, empty at first."""

    def drop(self, sandbox: str) -> None:
        """Drop the partition. A running transaction can finish."""


def open_store() -> Store:
    """A new store in memory."""
    return MemoryStore()
