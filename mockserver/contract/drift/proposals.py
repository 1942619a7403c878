"""Proposes an OpenAPI Overlay by which a document follows a live API."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from mockserver.api.provider import BoundOperation
from mockserver.contract.drift.differences import (
    ENUM_GROWN,
    FIELD_ADDED,
    FIELD_REMOVED,
    STATUS,
    TYPE_CHANGED,
    WORDING,
    Difference,
)
from mockserver.openapi.loading.overlay import VERSION
from mockserver.openapi.operations import Operation
from mockserver.openapi.references import resolve_ref

Step = str | int
Location = tuple[Step, ...]
_STEPS = re.compile(r"\[\]|[^.\[\]]+")
"""The steps of a place: `data`, `[]`, `id` of `data[].id`."""


def propose_overlay(differences: Sequence[Difference], services: Sequence[BoundOperation]) -> dict[str, Any]:
    """The overlay; it has no actions where a difference cannot be expressed, or lies outside the document.

    What one operation lacks is not removed from a schema if another operation has it with another type.
    """
    by_key = {each.operation.key: each for each in services}
    actions: dict[bytes, dict[str, Any]] = {}
    for each in differences:
        service = by_key.get(each.operation)
        for action in _actions(each, service) if service is not None else ():
            said = f"{each.kind}: {each.operation}, {each.place}; seen in {each.seen} of {each.of}"
            actions.setdefault(orjson.dumps(action), {"target": action["target"], "description": said, **action})
    changed = {each["target"] for each in actions.values() if "update" in each}
    kept = [each for each in actions.values() if "remove" not in each or each["target"] not in changed]
    info = {"title": "What a live API answers otherwise than the document says", "version": "1"}
    return {"overlay": VERSION, "info": info, "actions": kept}


def _actions(difference: Difference, service: BoundOperation) -> Iterator[dict[str, Any]]:
    document: Any = service.world.spec.document
    operation = service.operation
    status, _, place = difference.place.partition(" ")
    root: Location = ("paths", operation.path, operation.method.lower(), "responses")
    if difference.kind == STATUS:
        yield from _status_actions(difference, operation, document, root)
        return
    response = _follow(document, (*root, _status_name(operation.responses, status)))
    if response is None:
        return
    if difference.kind == WORDING:
        content = _follow(document, (*response, "content", "text/plain"))
        if content is not None and not place:
            yield {"target": json_path(content), "update": {"example": difference.live}}
        return
    media = _json_media(document, response)
    schema = _follow(document, (*response, "content", media, "schema")) if media else None
    if schema is not None:
        yield from _schema_actions(difference, document, schema, place)
        examples = [*_examples(document, (*response, "content", media))]
        yield from _example_actions(difference, examples, place)


def _status_actions(
    difference: Difference, operation: Operation, document: Any, responses: Location
) -> Iterator[dict[str, Any]]:
    """An undocumented status; a success takes the place of the documented one."""
    live, ours = difference.live, difference.sandbox
    if operation.response(int(live)) is not None:
        return
    said = f"Seen where the sandbox answers {ours}: {difference.place}."
    known = _value_at(document, (*responses, ours))
    if live[0] == ours[0] == "2" and known is not None:
        yield {"target": json_path(responses), "update": {live: known}}
        yield {"target": json_path((*responses, ours)), "remove": True}
    else:
        yield {"target": json_path(responses), "update": {live: {"description": said}}}


def _examples(document: Any, content: Location) -> Iterator[Location]:
    """The locations of the examples of a media type."""
    if _value_at(document, (*content, "example")) is not None:
        yield (*content, "example")
    for name in _value_at(document, (*content, "examples")) or ():
        found = _follow(document, (*content, "examples", name))
        if found is not None and _value_at(document, (*found, "value")) is not None:
            yield (*found, "value")


def _example_actions(difference: Difference, examples: Sequence[Location], place: str) -> Iterator[dict[str, Any]]:
    """Changes of examples, from which the sandbox answers; values are made up, since real ones may be private."""
    parent, _, name = place.rpartition(".")
    steps = "".join("[*]" if step == "[]" else f"[{_quoted(step)}]" for step in _STEPS.findall(parent))
    for example in examples:
        target = json_path(example) + steps
        if difference.kind in {FIELD_ADDED, TYPE_CHANGED} and name and not name.endswith("[]"):
            yield {"target": target, "update": {name: _sample(difference.schema)}}
        elif difference.kind == FIELD_REMOVED:
            yield {"target": f"{target}[{_quoted(name)}]", "remove": True}


def _sample(schema: Any) -> Any:
    """A value of the type that was seen."""
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    if kind == "object":
        return {name: _sample(each) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [_sample(schema["items"])] if "items" in schema else []
    return {"string": "text", "integer": 1, "number": 1.5, "boolean": True}.get(str(kind))


def _schema_actions(difference: Difference, document: Any, schema: Location, place: str) -> Iterator[dict[str, Any]]:
    parent, _, name = place.rpartition(".")
    node = _descend(document, schema, parent if difference.kind in {FIELD_ADDED, FIELD_REMOVED} else place)
    if node is None:
        return
    if difference.kind == FIELD_ADDED:
        yield {"target": json_path(node), "update": {"properties": {name: difference.schema or {}}}}
    elif difference.kind == FIELD_REMOVED:
        if name in (_value_at(document, (*node, "required")) or ()):
            yield {"target": f"{json_path(node)}.required[?@ == {_quoted(name)}]", "remove": True}
        if _value_at(document, (*node, "properties", name)) is not None:
            yield {"target": json_path((*node, "properties", name)), "remove": True}
    elif difference.kind == TYPE_CHANGED and isinstance(difference.schema, Mapping):
        stated = _value_at(document, node).get("type", ())
        known = [stated] if isinstance(stated, str) else [*stated]
        types = list(dict.fromkeys([*known, difference.schema.get("type")]))
        if isinstance(stated, list):  # an update would add to the list
            yield {"target": json_path((*node, "type")), "remove": True}
        yield {"target": json_path(node), "update": {"type": types if len(types) > 1 else types[0]}}
    elif difference.kind == ENUM_GROWN:
        for value in difference.schema:
            yield {"target": json_path((*node, "enum")), "update": value}


def json_path(location: Location) -> str:
    """A normalised JSONPath (RFC 9535)."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f"[{_quoted(step)}]" for step in location)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _status_name(responses: Mapping[str, Any], status: str) -> str:
    return next((name for name in (status, f"{status[:1]}XX", "default") if name in responses), status)


def _json_media(document: Any, response: Location) -> str:
    content = _value_at(document, (*response, "content"))
    return next((name for name in content or {} if "json" in name), "")


def _descend(document: Any, schema: Location, place: str) -> Location | None:
    """The location of the schema of a place (`data[].id`) inside a body."""
    node: Location | None = schema
    for step in _STEPS.findall(place):
        if node is None:
            return None
        node = _follow(document, (*node, "items") if step == "[]" else (*node, "properties", step))
    return node


def _follow(document: Any, location: Location) -> Location | None:
    """The location of a value, or of the target of its `$ref`; None if there is none."""
    for _ in range(32):
        value = _value_at(document, location)
        reference = value.get("$ref") if isinstance(value, Mapping) else None
        if not isinstance(reference, str):
            return location if value is not None else None
        try:
            resolve_ref(reference, document)
        except LookupError:
            return None
        location = tuple(step.replace("~1", "/").replace("~0", "~") for step in reference.split("/")[1:])
    return None


def _value_at(document: Any, location: Location) -> Any:
    for step in location:
        if not isinstance(document, Mapping) or step not in document:
            return None
        document = document[step]
    return document
