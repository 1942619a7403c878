"""Resolves references within a document, and walks through its values."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

MAX_REFERENCES = 32
"""The longest chain of references."""


def resolve_ref(reference: str, document: Mapping[str, Any]) -> Any:
    """What a reference within the document (`#/components/…`) points at; raises LookupError when that is nothing."""
    place: Any = document
    for part in reference.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~") if "~" in part or "%" in part else part
        if isinstance(place, list) and name.isdecimal():
            place = place[int(name)]
        elif isinstance(place, Mapping):
            place = place[name]
        else:
            raise LookupError(f"{reference} points at nothing")
    return place


def walk(value: Any) -> Iterator[Any]:
    """The value and all values in it, at any depth, without recursion; references are not followed."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()


def resolved(definition: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition with its references resolved; its own keywords have precedence."""
    beside: dict[str, Any] = {}
    for _ in range(MAX_REFERENCES):
        if not (isinstance(definition, dict) and isinstance(definition.get("$ref"), str)):
            break
        beside = {**{name: each for name, each in definition.items() if name != "$ref"}, **beside}
        try:
            definition = resolve_ref(definition["$ref"], document)
        except LookupError:
            return beside
    return {**definition, **beside} if isinstance(definition, dict) else beside
