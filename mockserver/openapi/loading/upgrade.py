"""Converts the schemas of an OpenAPI 3.0 document to JSON Schema 2020-12, which OpenAPI 3.1 uses."""

from typing import Any

# Keys whose children are the document's own names, not OpenAPI keywords.
_NAMES = {
    "properties", "patternProperties", "dependentSchemas", "schemas", "responses", "parameters", "headers",
    "requestBodies", "paths", "content", "callbacks", "securitySchemes", "links", "mapping", "scopes", "variables",
}  # fmt: skip
_DATA = frozenset({"example", "examples", "default", "enum"})


def as_openapi_31(node: Any, *, is_names: bool = False) -> Any:
    """An OpenAPI 3.0 document with its schemas converted to JSON Schema 2020-12."""
    if isinstance(node, list):
        return [as_openapi_31(each) for each in node]
    if not isinstance(node, dict):
        return node
    if is_names:
        return {key: as_openapi_31(value) for key, value in node.items()}
    node = {key: value if key in _DATA else as_openapi_31(value, is_names=key in _NAMES) for key, value in node.items()}
    if "nullable" in node:
        _allow_null(node)
    if isinstance(node.get("items"), list):  # a list of schemas, as in earlier drafts of JSON Schema
        node["prefixItems"] = node.pop("items")
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and bound in node:
            node[exclusive] = node.pop(bound)
    return node


def _allow_null(node: dict[str, Any]) -> None:
    """What `nullable: true` says, in words of JSON Schema. Beside a `$ref` it counts, too: so it is meant."""
    if node["nullable"] is not True:
        return
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
        if isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
    elif "type" not in node and not node.keys().isdisjoint({"$ref", "allOf", "anyOf", "oneOf"}):
        words = {"$ref", "allOf", "anyOf", "oneOf", "enum", "properties", "required", "not", "items", "discriminator"}
        inner = {key: node.pop(key) for key in [*node] if key in words}
        node["anyOf"] = [inner, {"type": "null"}]
