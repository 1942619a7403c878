"""Records in C: immutable values of which every request makes several.

A NamedTuple takes eight times as long to make, and twice as long to read. Their reference cycles would not be found by
garbage collection, so a record refers to nothing that refers to it.
"""

from collections.abc import Sequence
from typing import Any, Self

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A base class; its subclasses say `frozen=True, gc=False` as well."""

    def _replace(self, **changes: Any) -> Self:
        """A changed copy, as a NamedTuple has it."""
        return msgspec.structs.replace(self, **changes)

    def _asdict(self) -> dict[str, Any]:
        """The fields by name, as a NamedTuple has them."""
        return msgspec.structs.asdict(self)


def is_record(kind: Any) -> bool:
    """Whether it is a class of records, or a NamedTuple class."""
    return isinstance(kind, type) and (issubclass(kind, Record) or hasattr(kind, "_field_defaults"))


def field_names(kind: Any) -> Sequence[str]:
    """The fields of such a class, in order."""
    names: tuple[str, ...] = kind.__struct_fields__ if issubclass(kind, Record) else kind._fields
    return names


def required_fields(kind: Any) -> frozenset[str]:
    """The fields of such a class that have no default."""
    if issubclass(kind, Record):
        return frozenset(kind.__struct_fields__[: -len(kind.__struct_defaults__) or None])
    return frozenset(name for name in kind._fields if name not in kind._field_defaults)
