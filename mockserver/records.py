"""Records in C: immutable values of which every request makes several.

A NamedTuple takes eight times as long to make, and twice as long to read. Their reference cycles would not be found by
garbage collection, so a record refers to nothing that refers to it.
"""

import math
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import msgspec

if TYPE_CHECKING:
    Endless = float
else:
    Endless = Real
    """A number from 0 that may be infinite. JSON has no infinity, so it is null there; see `read_endless`."""

Bounds = msgspec.Meta
"""Bounds of a field, as in `Annotated[int, Bounds(ge=0)]`. They are checked when a value is read, not when it is made;
`__post_init__` is called in both cases, for rules that several fields have together.
"""


class _Immutable(msgspec.Struct, frozen=True):
    def _replace(self, **changes: Any) -> Self:
        """A changed copy, as a NamedTuple has it."""
        return msgspec.structs.replace(self, **changes)

    def _asdict(self) -> dict[str, Any]:
        """The fields by name, as a NamedTuple has them."""
        return msgspec.structs.asdict(self)


class Record(_Immutable, frozen=True, gc=False, forbid_unknown_fields=True):
    """A base class; its subclasses say `frozen=True, gc=False` as well."""


class CachingRecord(_Immutable, frozen=True, dict=True):
    """A base class of values that live long: they may have cached properties, and garbage collection sees them."""


def is_record(kind: Any) -> bool:
    """Whether it is a class of records, or a NamedTuple class."""
    return isinstance(kind, type) and (issubclass(kind, Record) or hasattr(kind, "_field_defaults"))


def read_endless(value: Any) -> float:
    """The number of JSON or MessagePack; raises ValueError for anything but a number from 0, or null."""
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{str(value)[:100]} is no number from 0, or null")
    return float(value)
