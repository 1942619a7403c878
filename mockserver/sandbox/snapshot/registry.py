"""The types of values that may be exported and imported. Only declared types are allowed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self, get_args, get_type_hints

from mockserver.records import field_names, is_record, required_fields


class SnapshotError(Exception):
    """A value that cannot be encoded, or a document that cannot be decoded; the message says where and why."""


class SnapshotHook(Protocol):
    """An object that can be restored from a value."""

    def kept(self) -> Any:
        """The value from which it can be restored; the annotation is its type."""

    @classmethod
    def restored(cls, kept: Any) -> Self: ...


class FrozenObject(NamedTuple):
    """The value of a SnapshotHook, copied."""

    type: type
    kept: Any


class TypeInfo(NamedTuple):
    """A declared type."""

    type: Any
    hints: Mapping[str, Any]
    """By field; an enumeration or a SnapshotHook has only the field `v`."""
    required: frozenset[str]


class Registry:
    """The types that may be encoded and decoded, by tag."""

    def __init__(self) -> None:
        self.forms: dict[str, TypeInfo] = {}
        self.tags: dict[type, str] = {}

    def declare(self, hint: Any, prefix: str = "") -> None:
        """Declare every type in a type hint, and in the types of its fields; `prefix` separates providers."""
        for part in get_args(hint):
            self.declare(part, prefix)
        form = _type_info(hint) if isinstance(hint, type) and hint not in self.tags else None
        if form is None:
            return
        tag = prefix + hint.__name__
        if tag in self.forms:
            raise SnapshotError(f"two types are called {tag}: {self.forms[tag].type!r} and {hint!r}")
        self.forms[tag], self.tags[hint] = form, tag
        for field in form.hints.values():
            self.declare(field, prefix)


def frozen_copy(value: Any) -> Any:
    """A copy of the value without mutable parts."""
    if type(value) is list:
        return [frozen_copy(each) for each in value]
    if type(value) is dict:
        return {key: frozen_copy(each) for key, each in value.items()}
    return FrozenObject(type(value), value.kept()) if hasattr(value, "kept") else value


def _type_info(hint: Any) -> TypeInfo | None:
    if is_record(hint):
        hints = {name: each for name, each in get_type_hints(hint).items() if name in field_names(hint)}
        return TypeInfo(hint, hints, required_fields(hint))
    if issubclass(hint, StrEnum):
        return TypeInfo(hint, {"v": str}, frozenset({"v"}))
    if hasattr(hint, "kept"):
        return TypeInfo(hint, {"v": get_type_hints(hint.kept)["return"]}, frozenset({"v"}))
    return None
