"""OpenAI's rules for a JSON Schema with `strict: true`: each object is closed and requires all of its properties."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

MAX_SHOWN = 300
"""The most characters of a location or a type in an error message."""

_FORBIDDEN = ("allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas")
_NAMED_PARTS = ("properties", "$defs", "definitions")
"""Keywords that hold schemas by name."""
_LISTED_PARTS = ("anyOf", "prefixItems")
_SINGLE_PARTS = ("items",)

MAX_PARTS = 20_000
"""The most subschemas that are checked; OpenAI allows at most 5000 properties."""


class _Place(NamedTuple):
    """The location of a schema, as steps from the enclosing schema."""

    around: "_Place | None"
    steps: tuple[str, ...]

    def path(self) -> tuple[str, ...]:
        found: list[str] = []
        place: _Place | None = self
        while place is not None:
            found += reversed(place.steps)
            place = place.around
        return tuple(reversed(found))


def strictness_problem(schema: Mapping[str, Any]) -> str:
    """The violation of `strict: true`, in OpenAI's words; empty if there is none."""
    if schema.get("type") != "object":
        return wrong_root(schema)
    return next(_problems(schema), "")


def wrong_root(schema: Mapping[str, Any]) -> str:
    """The error of a schema that is not for an object."""
    given = schema.get("type")
    shown = f'"{given}"' if isinstance(given, str | None) else str(given)
    shown = shown[:MAX_SHOWN]
    return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {shown}'."


def _problems(root: Mapping[str, Any]) -> Iterator[str]:
    # An explicit stack, so that deep nesting does not raise RecursionError.
    waiting: list[tuple[_Place, Any]] = [(_Place(None, ()), root)]
    count = 1
    while waiting:
        place, part = waiting.pop()
        if not isinstance(part, Mapping):
            continue
        problem = _problem(part)
        if problem:
            yield f"In context={str(place.path())[:MAX_SHOWN]}, {problem}"
        inner = [(_Place(place, steps), each) for steps, each in islice(_parts(part), MAX_PARTS)]
        count += len(inner)
        if count > MAX_PARTS:
            yield f"it has more than {MAX_PARTS} parts."
            return
        waiting += reversed(inner)


def _problem(part: Mapping[str, Any]) -> str:
    forbidden = next((word for word in _FORBIDDEN if word in part), "")
    if forbidden:
        return f"'{forbidden}' is not permitted."
    if not _is_object(part):
        return ""
    if part.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false."
    properties, required = part.get("properties", {}), part.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return ""  # not a schema, which is reported when a value is generated for it
    wanted = "'required' is required to be supplied and to be an array including every key in properties."
    known = {each for each in required if isinstance(each, str)}
    missing = next((name for name in properties if name not in known), None)
    if missing is not None:
        return f"{wanted} Missing '{missing[:MAX_SHOWN]}'."
    extra = next((name for name in required if isinstance(name, str) and name not in properties), None)
    return "" if extra is None else f"{wanted} Extra required key '{extra[:MAX_SHOWN]}' supplied."


def _is_object(part: Mapping[str, Any]) -> bool:
    stated = part.get("type")
    return stated == "object" or (isinstance(stated, list) and "object" in stated) or "properties" in part


def _parts(part: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The subschemas of a schema, and the steps to each."""
    for word in _NAMED_PARTS:
        inner = part.get(word)
        if isinstance(inner, Mapping):
            yield from (((word, name), each) for name, each in inner.items())
    for word in _LISTED_PARTS:
        inner = part.get(word)
        if isinstance(inner, list):
            yield from (((word, str(n)), each) for n, each in enumerate(inner))
    yield from (((word,), part[word]) for word in _SINGLE_PARTS if word in part)
