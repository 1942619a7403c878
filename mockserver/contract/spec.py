"""An OpenAPI 3.x document as typed operations."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mockserver.contract.documents import read_document
from mockserver.contract.schema import Schema
from mockserver.errors import SpecError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
JSON = "application/json"


@dataclass(frozen=True)
class Parameter:
    """What the document declares; what a request supplies for it is an argument."""

    name: str
    location: str
    """`path`, `query`, `header` or `cookie`."""
    required: bool
    explode: bool
    definition: Mapping[str, Any]
    schema: Schema

    @cached_property
    def types(self) -> frozenset[str]:
        """The JSON types the argument may have; empty when the schema does not say."""
        stated = self.definition.get("type", ())
        return frozenset([stated] if isinstance(stated, str) else stated)


@dataclass(frozen=True)
class Content:
    """One media type of a request or response body."""

    media_type: str
    schema: Schema | None
    examples: Mapping[str, Any]
    """By name; the unnamed `example` is called `default`."""


@dataclass(frozen=True)
class ResponseSpec:
    """One documented response."""

    status: str
    """`202`, `4XX` or `default`."""
    description: str
    content: Mapping[str, Content]
    headers: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Operation:
    """One method on one path. An operation equals itself only, so that it can be a key."""

    key: str
    """The operationId, else `POST /path`."""
    method: str
    path: str
    summary: str
    tag: str
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Content] | None
    """By media type; None when the operation takes no body."""
    body_required: bool
    responses: Mapping[str, ResponseSpec]
    is_open: bool
    """Whether it can be called without a credential."""

    @cached_property
    def statuses(self) -> tuple[int, ...]:
        """The documented statuses that are numbers."""
        return tuple(int(status) for status in self.responses if status.isdigit())

    @cached_property
    def success(self) -> int:
        """The first documented 2xx status, 200 when there is none."""
        return next((status for status in self.statuses if 200 <= status < 300), 200)

    @cached_property
    def sandbox_parameter(self) -> str:
        """The path parameter that names the sandbox by its key (extension `x-mock-sandbox-key`), or nothing."""
        return next(
            (p.name for p in self.parameters if p.location == "path" and p.definition.get("x-mock-sandbox-key")), ""
        )

    def response(self, status: int) -> ResponseSpec | None:
        """What the document says of a status: by number, by class (`4XX`), or by `default`."""
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in self.responses:
                return self.responses[name]
        return None


class Spec:
    """An OpenAPI document, read once. `document` is what is served and enforced."""

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        self.document = document
        self.name = name
        self.operations: tuple[Operation, ...] = tuple(self._read_operations())
        self.by_key: Mapping[str, Operation] = self._index()

    def resolved(self, node: Any, place: str) -> Any:
        """The node itself, or what its `$ref` points at in this document."""
        for _ in range(32):
            if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
                return node
            node = self._target(node["$ref"], place)
        raise SpecError(f"{self.name}: {place}: its $ref goes round in circles")

    def schema(self, definition: Any, place: str) -> Schema:
        """The definition as a Schema of this document."""
        if isinstance(definition, bool):
            definition = {} if definition else {"not": {}}
        return Schema(self._mapping(definition, place), self.document)

    def _target(self, reference: str, place: str) -> Any:
        if not reference.startswith("#/"):
            raise SpecError(
                f"{self.name}: {place}: $ref is {reference!r}; only references inside the document (#/…) are followed"
            )
        node: Any = self.document
        for escaped in reference[2:].split("/"):
            step = escaped.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, dict) or step not in node:
                raise SpecError(f"{self.name}: {place}: $ref is {reference!r}; the document has no such thing")
            node = node[step]
        return node

    def _mapping(self, node: Any, place: str) -> Mapping[str, Any]:
        if not isinstance(node, dict):
            raise SpecError(f"{self.name}: {place} is {type(node).__name__}; wanted a mapping")
        return node

    def _read_operations(self) -> Iterator[Operation]:
        version = self._mapping(self.document, "the document").get("openapi")
        if not (isinstance(version, str) and version.startswith("3.")):
            raise SpecError(f"{self.name}: openapi is {version!r}; wanted a version 3.x document")
        for path, stated in self._mapping(self.document.get("paths", {}), "paths").items():
            if not path.startswith("/"):
                raise SpecError(f"{self.name}: paths.{path}: a path starts with '/'")
            item = self._mapping(self.resolved(stated, path), path)
            for method in METHODS:
                if method in item:
                    yield self._read_operation(
                        method.upper(), path, item, self._mapping(item[method], f"{method.upper()} {path}")
                    )

    def _read_operation(self, method: str, path: str, item: Mapping[str, Any], node: Mapping[str, Any]) -> Operation:
        place = f"{method} {path}"
        body = self.resolved(node.get("requestBody"), place)
        security = node.get("security", self.document.get("security", []))
        responses = self._mapping(node.get("responses", {}), f"{place}: responses")
        return Operation(
            key=str(node.get("operationId") or place),
            method=method,
            path=path,
            summary=str(node.get("summary", "")),
            tag=next(iter(node.get("tags", ())), ""),
            parameters=tuple(self._read_parameters(item, node, place)),
            body=self._read_content(body, f"{place}: requestBody") if body else None,
            body_required=bool(body and body.get("required")),
            responses={
                str(status): self._read_response(str(status), each, place) for status, each in responses.items()
            },
            is_open=not security or {} in security,
        )

    def _read_parameters(self, item: Mapping[str, Any], node: Mapping[str, Any], place: str) -> Iterator[Parameter]:
        declared: dict[tuple[str, str], Mapping[str, Any]] = {}
        for each in (*item.get("parameters", ()), *node.get("parameters", ())):
            found = self._mapping(self.resolved(each, place), f"{place}: parameters")
            if not {"name", "in"} <= found.keys():
                raise SpecError(f"{self.name}: {place}: a parameter lacks its 'name' or its 'in'")
            declared[found["in"], found["name"]] = found
        for (location, name), found in declared.items():
            where = f"{place}: parameter {name}"
            definition = self._mapping(self.resolved(found.get("schema", {}), where), where)
            extensions = {key: value for key, value in found.items() if key.startswith("x-")}
            yield Parameter(
                name=name.lower() if location == "header" else name,
                location=location,
                required=bool(found.get("required")),
                explode=bool(found.get("explode", location in {"query", "cookie"})),
                definition={**definition, **extensions},
                schema=self.schema(definition, where),
            )

    def _read_response(self, status: str, node: Any, place: str) -> ResponseSpec:
        place = f"{place}: response {status}"
        found = self._mapping(self.resolved(node, place), place)
        headers = {name: self.resolved(each, place) for name, each in found.get("headers", {}).items()}
        return ResponseSpec(
            status.upper() if status != "default" else status,
            found.get("description", ""),
            self._read_content(found, place),
            headers,
        )

    def _read_content(self, node: Mapping[str, Any], place: str) -> dict[str, Content]:
        read = {}
        for media_type, stated in self._mapping(node.get("content", {}), f"{place}: content").items():
            each = self._mapping(stated, f"{place}: {media_type}")
            schema = self.schema(each["schema"], f"{place}: {media_type}: schema") if "schema" in each else None
            read[media_type.lower()] = Content(media_type.lower(), schema, self._read_examples(each, place))
        return read

    def _read_examples(self, node: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The media type's own examples, else those of its schema."""
        named = {name: self.resolved(each, place).get("value") for name, each in node.get("examples", {}).items()}
        if "example" in node:
            named.setdefault("default", node["example"])
        schema = self.resolved(node.get("schema", {}), place)
        if not named and isinstance(schema, dict) and ("example" in schema or schema.get("examples")):
            named["default"] = schema["example"] if "example" in schema else schema["examples"][0]
        return named

    def _index(self) -> dict[str, Operation]:
        index: dict[str, Operation] = {}
        for operation in self.operations:
            if operation.key in index:
                raise SpecError(f"{self.name}: the operationId {operation.key!r} stands twice")
            index[operation.key] = operation
        return index | {f"{operation.method} {operation.path}": operation for operation in self.operations}


def read_spec(path: Path) -> Spec:
    """Read an OpenAPI 3.x document; raises SpecError with file and place when it cannot be served."""
    document = read_document(path, SpecError)
    if isinstance(document, dict) and str(document.get("openapi", "")).startswith("3.0"):
        document = _modernised(document)
    return Spec(document, str(path))


def _modernised(node: Any) -> Any:
    """An OpenAPI 3.0 document with its schemas said in JSON Schema 2020-12."""
    if isinstance(node, list):
        return [_modernised(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {
        key: value if key in {"example", "examples", "default", "enum"} else _modernised(value)
        for key, value in node.items()
    }
    if node.get("nullable") is True and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
        if "enum" in node and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), bool) and node.pop(exclusive) and bound in node:
            node[exclusive] = node.pop(bound)
    return node
