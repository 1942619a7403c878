"""Strict mode: rejects everything that the document neither allows explicitly nor shows in an example."""

from collections.abc import Iterator, Mapping
from typing import Any

from mockserver.openapi.document import METHODS, OpenApiDocument


def closed(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The document with every request body closed: no unknown keys, and no null that only means `unset`.

    Keys and nulls in an example of the document stay allowed.
    """
    spec = OpenApiDocument(document, name)
    paths = {path: _closed_item(spec.resolved(item, path), spec) for path, item in document.get("paths", {}).items()}
    return {**document, "paths": paths}


def _closed_item(item: Mapping[str, Any], spec: OpenApiDocument) -> dict[str, Any]:
    return {key: _closed_operation(node, spec) if key in METHODS else node for key, node in item.items()}


def _closed_operation(node: Mapping[str, Any], spec: OpenApiDocument) -> Mapping[str, Any]:
    if "requestBody" not in node:
        return node
    body = spec.resolved(node["requestBody"], "requestBody")
    content = {media_type: _closed_content(each, spec) for media_type, each in body.get("content", {}).items()}
    return {**node, "requestBody": {**body, "content": content}}


def _closed_content(content: Mapping[str, Any], spec: OpenApiDocument) -> Mapping[str, Any]:
    schema = _with_siblings(content.get("schema"), spec)
    if not isinstance(schema, dict) or "properties" not in schema:
        return content
    required = schema.get("required", ())
    examples = list(_examples(content, schema, spec))
    shown_null = {name for example in examples for name, value in example.items() if value is None}
    unknown = {name: True for example in examples for name in example if name not in schema["properties"]}
    properties = {
        name: each if name in required or name in shown_null else _tightened_property(_with_siblings(each, spec))
        for name, each in schema["properties"].items()
    } | unknown
    return {**content, "schema": {"additionalProperties": False, **schema, "properties": properties}}


def _examples(
    content: Mapping[str, Any], schema: Mapping[str, Any], spec: OpenApiDocument
) -> Iterator[Mapping[str, Any]]:
    """The example objects of the media type and its schema."""
    named = (spec.resolved(each, "examples") for each in (content.get("examples") or {}).values())
    values = [each.get("value") for each in named if isinstance(each, dict)]
    values += [content.get("example"), schema.get("example"), *_list(schema.get("examples"))]
    yield from (value for value in values if isinstance(value, dict))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _tightened_property(schema: Any) -> Any:
    """The property without null, unless null is its own example."""
    is_object = isinstance(schema, dict)
    is_null = is_object and None in [schema.get("example", ""), *_list(schema.get("examples"))]
    return schema if is_null else _without_null(schema)


def _with_siblings(schema: Any, spec: OpenApiDocument) -> Any:
    """The target of a schema's `$ref`, with the keywords beside the `$ref`."""
    found = spec.resolved(schema, "requestBody")
    if found is schema or not isinstance(found, dict):
        return found
    return {**found, **{keyword: each for keyword, each in schema.items() if keyword != "$ref"}}


def _without_null(schema: Any) -> Any:
    if not isinstance(schema, dict) or not isinstance(schema.get("type"), list):
        return schema
    types = [each for each in schema["type"] if each != "null"]
    if not types:
        return schema
    tight = {**schema, "type": types[0] if len(types) == 1 else types}
    if "enum" in schema:
        tight["enum"] = [each for each in schema["enum"] if each is not None]
    return tight
