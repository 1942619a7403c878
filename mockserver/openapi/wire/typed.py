"""Texts of a request in their documented types."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.lazy import lazy_pattern
from mockserver.openapi.references import resolved

NOTHING = object()
"""There is no value."""
MAX_WHOLE = 19
"""Characters up to which an integer certainly fits into 64 bits."""
MAX_DEPTH = 50
_INTEGER = lazy_pattern(r"[-+]?\d{1,308}(?:\.0+)?", re.ASCII)
_NUMBER = lazy_pattern(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?", re.ASCII)
_LISTS = ("allOf", "anyOf", "oneOf")


def parse_scalar(text: str, types: frozenset[str]) -> Any:
    """The text in one of the types, or as text, which the schema then rejects, if it cannot be converted."""
    if "integer" in types and _INTEGER.fullmatch(text):
        whole = text.partition(".")[0]
        return int(whole) if len(whole) <= MAX_WHOLE else float(whole)  # like numbers that orjson parses in a body
    if "number" in types and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if "boolean" in types and text in {"true", "false"}:
        return text == "true"
    if "null" in types and text in {"", "null"} and "string" not in types:
        return None
    return text


def typed(value: Any, definition: Any, document: Mapping[str, Any], depth: int = 0) -> Any:
    """Texts, lists and objects of texts in the types of a schema."""
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, list):
        items = items_of(definition, document)
        types = types_of(items, document)
        return [
            parse_scalar(each, types) if isinstance(each, str) else typed(each, items, document, depth + 1)
            for each in value
        ]
    if isinstance(value, dict):
        properties = properties_of(definition, document)
        extra = resolved(definition, document).get("additionalProperties", {})
        return {name: typed(each, properties.get(name, extra), document, depth + 1) for name, each in value.items()}
    return parse_scalar(value, types_of(definition, document)) if isinstance(value, str) else value


Found = dict[int, Any]
"""What was found of the parts of a schema, by their `id`: a part may be reached on very many paths."""


def types_of(
    definition: Any, document: Mapping[str, Any], depth: int = 0, known: Found | None = None
) -> frozenset[str]:
    """The JSON types that a schema allows, itself or in its alternatives; empty if it does not say."""
    schema = resolved(definition, document)
    stated = schema.get("type", ())
    found = set([stated] if isinstance(stated, str) else stated)
    for part, seen in _parts_of(schema, depth, known):
        if id(part) not in seen:
            seen[id(part)] = frozenset()
            seen[id(part)] = types_of(part, document, depth + 1, seen)
        found |= seen[id(part)]
    if not found and "properties" in schema:
        found.add("object")
    return frozenset(found)


def properties_of(
    definition: Any, document: Mapping[str, Any], depth: int = 0, known: Found | None = None
) -> dict[str, Any]:
    """The properties of a schema, its own and those of its combined parts."""
    schema = resolved(definition, document)
    found: dict[str, Any] = {}
    for part, seen in _parts_of(schema, depth, known):
        if id(part) not in seen:
            seen[id(part)] = {}
            seen[id(part)] = properties_of(part, document, depth + 1, seen)
        found |= seen[id(part)]
    own = schema.get("properties")
    return found | (own if isinstance(own, dict) else {})


def items_of(definition: Any, document: Mapping[str, Any], depth: int = 0, known: Found | None = None) -> Any:
    """The schema of an array's items."""
    schema = resolved(definition, document)
    if "items" in schema:
        return schema["items"]
    for part, seen in _parts_of(schema, depth, known):
        if id(part) not in seen:
            seen[id(part)] = {}
            seen[id(part)] = items_of(part, document, depth + 1, seen)
        if seen[id(part)]:
            return seen[id(part)]
    return {}


def _parts_of(schema: Mapping[str, Any], depth: int, known: Found | None) -> Iterator[tuple[Any, Found]]:
    """The combined parts of a schema, each with what was found of others."""
    if depth >= MAX_DEPTH // 5:
        return
    known = {} if known is None else known
    for word in _LISTS:
        for part in schema.get(word, ()):
            yield part, known


def kind_of(types: frozenset[str]) -> str:
    """`array`, `object`, or empty for a scalar: what the texts of a parameter are."""
    return "array" if "array" in types else "object" if "object" in types else ""
