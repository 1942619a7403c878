"""The strict reading of a document: nothing is forgiven that it does not promise to forgive."""

from collections.abc import Mapping
from typing import Any

from mockserver.contract.spec import METHODS, Spec


def tightened(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The document with every request body closed: no unknown keys, and no null that only stands for `unset`."""
    spec = Spec(document, name)
    paths = {path: _tightened_item(spec.resolved(item, path), spec) for path, item in document.get("paths", {}).items()}
    return {**document, "paths": paths}


def _tightened_item(item: Mapping[str, Any], spec: Spec) -> dict[str, Any]:
    return {key: _tightened_operation(node, spec) if key in METHODS else node for key, node in item.items()}


def _tightened_operation(node: Mapping[str, Any], spec: Spec) -> Mapping[str, Any]:
    if "requestBody" not in node:
        return node
    body = spec.resolved(node["requestBody"], "requestBody")
    content = {media_type: _tightened_content(each, spec) for media_type, each in body.get("content", {}).items()}
    return {**node, "requestBody": {**body, "content": content}}


def _tightened_content(content: Mapping[str, Any], spec: Spec) -> Mapping[str, Any]:
    schema = _with_siblings(content.get("schema"), spec)
    if not isinstance(schema, dict) or "properties" not in schema:
        return content
    required = schema.get("required", ())
    properties = {
        name: each if name in required else _without_null(_with_siblings(each, spec))
        for name, each in schema["properties"].items()
    }
    return {**content, "schema": {"additionalProperties": False, **schema, "properties": properties}}


def _with_siblings(schema: Any, spec: Spec) -> Any:
    """What a schema's `$ref` points at, with the keywords that stand beside the `$ref`."""
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
