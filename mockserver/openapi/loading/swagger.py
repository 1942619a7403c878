"""Converts a Swagger 2.0 document to OpenAPI 3.0."""

from collections.abc import Iterator, Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
JSON = "application/json"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
_REFERENCES = {
    "#/definitions/": "#/components/schemas/",
    "#/parameters/": "#/components/parameters/",
    "#/responses/": "#/components/responses/",
}
_DATA = frozenset({"example", "examples", "default", "enum", "x-example", "x-examples"})
# A parameter's keywords that belong to its schema in OpenAPI 3.
_SCHEMA_KEYWORDS = (
    "type", "format", "items", "default", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
    "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "enum", "multipleOf", "x-nullable", "nullable",
    "x-faker", "example",
)  # fmt: skip
_STYLES: Mapping[str, tuple[str, bool]] = {
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}
_FLOWS = {"accessCode": "authorizationCode", "application": "clientCredentials"}


def is_swagger(document: Any) -> bool:
    """Whether the document is Swagger 2.0."""
    return isinstance(document, dict) and str(document.get("swagger", "")).startswith("2")


def as_openapi(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as OpenAPI 3.0. Parts with mistakes are kept, so that they are reported as what they are."""
    return _Conversion(document).document()


def original_location(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Where a part of the converted document stands in the Swagger document, as far as it stands there."""
    if location[:2] == ("components", "schemas"):
        return ("definitions", *location[2:])
    if location[:1] == ("components",) and len(location) > 1:
        return location[1:]
    return location


class _Conversion:
    """The conversion of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._source = document
        self._parameters = _mapping(document.get("parameters"))
        self._responses = _mapping(document.get("responses"))

    def document(self) -> dict[str, Any]:
        source = self._source
        known = {"swagger", "definitions", "parameters", "responses", "securityDefinitions", "paths"}
        known |= {"host", "basePath", "schemes", "consumes", "produces"}
        kept = {key: each for key, each in source.items() if key not in known}
        parameters = {
            name: self._parameter(each)
            for name, each in self._parameters.items()
            if isinstance(each, dict) and each.get("in") not in {"body", "formData"}
        }
        produces = _strings(source.get("produces")) or [JSON]
        components = {
            "schemas": _map_values(source.get("definitions"), self._schema),
            "parameters": parameters,
            "responses": _map_values(self._responses, lambda each: self._response(each, produces)),
            "securitySchemes": _map_values(source.get("securityDefinitions"), _security_scheme),
        }
        made = {
            "openapi": "3.0.3",
            **kept,
            "paths": _map_values(source.get("paths", {}), self._path_item),
            "components": {name: each for name, each in components.items() if each},
        }
        base = source.get("basePath")
        if isinstance(base, str) and base.strip("/"):
            made["servers"] = [{"url": base}]
        return made

    def _path_item(self, item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        shared = [self._resolved(each) for each in _list(item.get("parameters"))]
        made: dict[str, Any] = {}
        for key, each in item.items():
            if key in METHODS and isinstance(each, dict):
                made[key] = self._operation(each, shared)
            elif key == "parameters":
                others = [one for one in _list(each) if self._resolved(one).get("in") not in {"body", "formData"}]
                made[key] = [self._parameter(one) for one in others] if isinstance(each, list) else each
            else:
                made[key] = each
        return made

    def _operation(self, node: Mapping[str, Any], shared: list[Mapping[str, Any]]) -> dict[str, Any]:
        consumes = _strings(node.get("consumes", self._source.get("consumes")))
        produces = _strings(node.get("produces", self._source.get("produces"))) or [JSON]
        own = _list(node.get("parameters"))
        stated = [self._resolved(each) for each in own]
        named = {(each.get("in"), each.get("name")) for each in stated}
        every = [*stated, *(each for each in shared if (each.get("in"), each.get("name")) not in named)]
        body = next((each for each in every if each.get("in") == "body"), None)
        fields = [each for each in every if each.get("in") == "formData"]
        made = {key: each for key, each in node.items() if key not in {"consumes", "produces", "parameters", "schemes"}}
        if "parameters" in node:
            kept = [one for one in own if self._resolved(one).get("in") not in {"body", "formData"}]
            made["parameters"] = [self._parameter(each) for each in kept]
        if body is not None:
            made["requestBody"] = self._body(body, consumes or [JSON])
        elif fields:
            made["requestBody"] = self._form(fields, consumes)
        if isinstance(node.get("responses"), dict):
            made["responses"] = _map_values(node["responses"], lambda each: self._response(each, produces))
        return made

    def _resolved(self, parameter: Any) -> Mapping[str, Any]:
        reference = parameter.get("$ref") if isinstance(parameter, dict) else None
        if isinstance(reference, str) and reference.startswith("#/parameters/"):
            return _mapping(self._parameters.get(reference.rpartition("/")[2]))
        return _mapping(parameter)

    def _parameter(self, node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return _with_references(node)
        made = {key: each for key, each in node.items() if key not in {*_SCHEMA_KEYWORDS, "collectionFormat"}}
        made["schema"] = self._schema({key: node[key] for key in _SCHEMA_KEYWORDS if key in node})
        if node.get("type") == "array":
            style, explode = _STYLES.get(str(node.get("collectionFormat", "csv")), ("form", False))
            is_form = node.get("in") in {"query", "formData", "cookie"}
            made |= {"style": style, "explode": explode} if is_form else {"style": "simple", "explode": False}
        if "x-example" in node:
            made["example"] = node["x-example"]
        return made

    def _body(self, node: Mapping[str, Any], consumes: list[str]) -> dict[str, Any]:
        content: dict[str, Any] = {"schema": self._schema(node.get("schema", {}))}
        examples = node.get("x-examples", node.get("x-example"))
        if examples is not None:
            content["example"] = examples
        made = {"content": {media_type: dict(content) for media_type in consumes}}
        return {**made, "description": str(node.get("description", "")), "required": node.get("required", False)}

    def _form(self, fields: list[Mapping[str, Any]], consumes: list[str]) -> dict[str, Any]:
        has_file = any(each.get("type") == "file" for each in fields)
        types = [each for each in consumes if each in {FORM, MULTIPART}]
        if has_file:
            types = [MULTIPART]
        properties, encoding = {}, {}
        for each in fields:
            field = self._parameter(each)
            properties[str(each.get("name"))] = field["schema"]
            if "style" in field:
                encoding[str(each.get("name"))] = {"style": field["style"], "explode": field["explode"]}
            if each.get("allowEmptyValue") is False and each.get("type") == "string":
                field["schema"].setdefault("minLength", 1)
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        required = [str(each.get("name")) for each in fields if each.get("required") is True]
        if required:
            schema["required"] = required
        content = {"schema": schema, **({"encoding": encoding} if encoding else {})}
        made = {media_type: dict(content) for media_type in types or [FORM]}
        return {"content": made, "required": bool(required)}

    def _response(self, node: Any, produces: list[str]) -> Any:
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return _with_references(node)
        made = {key: each for key, each in node.items() if key not in {"schema", "examples", "headers"}}
        examples = _mapping(node.get("examples"))
        schema = {"schema": self._schema(node["schema"])} if "schema" in node else {}
        content: dict[str, Any] = {media_type: dict(schema) for media_type in produces} if schema else {}
        for media_type, example in examples.items():
            if media_type == "*/*":
                for each in content.values():
                    each.setdefault("example", example)
            elif "/" in media_type:
                content.setdefault(media_type, dict(schema))["example"] = example
        if content:
            made["content"] = content
        if isinstance(node.get("headers"), dict):
            made["headers"] = _map_values(node["headers"], self._parameter)
        return made

    def _schema(self, node: Any) -> Any:
        made = _with_references(node)
        for each in _schemas_in(made):
            if each.get("type") == "file":
                each |= {"type": "string", "format": "binary"}
            if "x-nullable" in each:
                each["nullable"] = each.pop("x-nullable")
            if isinstance(each.get("discriminator"), str):
                each["discriminator"] = {"propertyName": each["discriminator"]}
        return made


def _with_references(node: Any, *, is_data: bool = False) -> Any:
    """A copy with references to where OpenAPI 3 has their targets."""
    if isinstance(node, list):
        return [_with_references(each, is_data=is_data) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _with_references(each, is_data=is_data or key in _DATA) for key, each in node.items()}
    reference = node.get("$ref")
    if isinstance(reference, str) and not is_data:
        for start, better in _REFERENCES.items():
            if reference.startswith(start):
                made["$ref"] = better + reference.removeprefix(start)
    return made


def _schemas_in(node: Any) -> Iterator[dict[str, Any]]:
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if isinstance(found, list):
            waiting += found
        elif isinstance(found, dict):
            yield found
            waiting += [each for key, each in found.items() if key not in _DATA]


def _security_scheme(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node.get("type") == "basic":
        return {"type": "http", "scheme": "basic"}
    if node.get("type") != "oauth2":
        return node
    flow = str(node.get("flow", "implicit"))
    names = {"authorizationUrl", "tokenUrl", "scopes"}
    urls = {key: each for key, each in node.items() if key in names}
    return {"type": "oauth2", "flows": {_FLOWS.get(flow, flow): urls}}


def _map_values(node: Any, convert: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {key: each if str(key).startswith("x-") else convert(each) for key, each in node.items()}


def _mapping(node: Any) -> Mapping[str, Any]:
    return node if isinstance(node, dict) else {}


def _list(node: Any) -> list[Any]:
    return node if isinstance(node, list) else []


def _strings(node: Any) -> list[str]:
    return [each for each in _list(node) if isinstance(each, str)]
