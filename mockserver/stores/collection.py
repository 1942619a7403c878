"""Where a sandbox's immutable values are: typed collections, and cells of one value."""

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

Value = TypeVar("Value")
FIRST_READ = 64
"""Values that are read first in reverse order; then twice as many, and so on."""


class Collection(Protocol[Value]):
    """Immutable values by key, in the order in which their keys were first put; see `stores.Rows`.

    `Sandbox.collection(name, type)` gives one. A provider declares its collections; see `Provider.collections`.
    """

    def get(self, key: str, /) -> Value | None:
        """The value; None where the key is unknown."""

    def pick(self, keys: Sequence[str], /) -> Sequence[Value | None]:
        """The values of several keys; None for an unknown one."""

    def latest(self, start: int, most: int, /) -> Sequence[Value]:
        """At most so many values in reverse order, without the first `start` of them."""

    def put(self, key: str, value: Value, /) -> None:
        """Add a value, or replace the one under that key, which keeps its place."""

    def delete(self, key: str, /) -> None:
        """Remove a key; an unknown one is ignored."""

    def scan(self) -> Iterator[Value]:
        """The values as they are now; the collection may change meanwhile."""

    def items(self) -> Iterator[tuple[str, Value]]:
        """The keys and values as they are now; the collection may change meanwhile."""

    def __len__(self) -> int: ...


class OpenCollection(Protocol):
    """Gives the collection of a name, whose values have a type; what `Sandbox.collection` is."""

    def __call__(self, name: str, type_: type[Value], /) -> Collection[Value]: ...


class Cell(Protocol[Value]):
    """One immutable value, such as a field of a sandbox's record. A change is a `put` of a new value."""

    def get(self) -> Value: ...

    def put(self, value: Value, /) -> None: ...


class OwnCell(Generic[Value]):
    """A cell that belongs to no sandbox."""

    __slots__ = ("_value",)

    def __init__(self, value: Value) -> None:
        self._value = value

    def get(self) -> Value:
        return self._value

    def put(self, value: Value, /) -> None:
        self._value = value


def latest_of(values: Collection[Value]) -> Iterator[Value]:
    """All values in reverse order; those that are not asked for are not read. Call it inside a transaction."""
    start, most = 0, FIRST_READ
    while found := values.latest(start, most):
        yield from found
        if len(found) < most:
            return
        start, most = start + most, 2 * most
