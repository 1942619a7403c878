"""What collections hold is immutable: a change is a new value, so that every store sees it."""

from collections.abc import Mapping
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from encoding_store import declared_types

from mockserver.http import StoredBytes
from mockserver.records import Endless, Record
from mockserver.sandbox.blobs import Blob

SCALARS = {str, int, float, bool, bytes, NoneType, StoredBytes, Blob, Endless}
DECLARED = declared_types()


def mutable_parts(hint: Any, place: str, seen: frozenset[Any] = frozenset()) -> list[str]:
    """The places of a type whose values could be changed in place. JSON (`Any`) is not looked into."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    origin, args = get_origin(hint), [each for each in get_args(hint) if each is not ...]
    if hint in SCALARS or hint is Any or hint is None or hint in seen:
        return []
    if origin in {Union, UnionType, tuple, Mapping}:
        return [found for each in args for found in mutable_parts(each, place, seen)]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return []
    if isinstance(hint, type) and (
        issubclass(hint, tuple) or (issubclass(hint, Record) and hint.__struct_config__.frozen)
    ):
        fields = get_type_hints(hint).items()
        return [found for name, each in fields for found in mutable_parts(each, f"{place}.{name}", seen | {hint})]
    return [f"{place}: {hint}"]


@pytest.mark.parametrize("name", DECLARED)
def test_the_values_of_a_collection_are_immutable(name: str) -> None:
    assert mutable_parts(DECLARED[name], name) == []


@pytest.mark.parametrize("hint", [list[int], dict[str, int], set[int], tuple[list[int], ...], object])
def test_what_can_be_changed_in_place_is_found(hint: Any) -> None:
    assert mutable_parts(hint, "here") != []
