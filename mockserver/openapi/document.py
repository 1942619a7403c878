"""An OpenAPI 3.x document as typed operations."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockserver.errors import ERROR, WARNING, Problem, SpecError
from mockserver.lazy import lazy_module, lazy_pattern
from mockserver.openapi.operations import (
    JSON,
    LOCATIONS,
    METHODS,
    PRICE,
    Content,
    Operation,
    Parameter,
    ResponseSpec,
    SentRequest,
    base_paths,
)
from mockserver.openapi.references import resolve_ref
from mockserver.openapi.schema import Schema, SchemaLibrary
from mockserver.openapi.security import Requirement, SecurityScheme, read_scheme

if TYPE_CHECKING:  # only documents other than the bundled one need these
    from mockserver.openapi import mistakes
    from mockserver.openapi.loading import callbacks, sides
    from mockserver.openapi.loading import read as reading
else:
    mistakes = lazy_module("mockserver.openapi.mistakes")
    callbacks = lazy_module("mockserver.openapi.loading.callbacks")
    reading = lazy_module("mockserver.openapi.loading.read")
    sides = lazy_module("mockserver.openapi.loading.sides")

__all__ = ["JSON", "METHODS", "Content", "OpenApiDocument", "Operation", "Parameter", "ResponseSpec", "read_openapi"]

MAX_MISTAKES = 100
"""The most mistakes of one document that are reported."""
# "If in is "header" and the name field is "Accept", "Content-Type" or "Authorization", the parameter definition
# SHALL be ignored."
_IGNORED_HEADERS = {"accept", "content-type", "authorization"}
READ_ONLY, WRITE_ONLY = "readOnly", "writeOnly"
_FORM = frozenset({"query", "cookie"})
_STYLES = frozenset({"form", "simple", "label", "matrix", "spaceDelimited", "pipeDelimited", "deepObject"})
_NAMED = lazy_pattern(r"\{([^{}]+)\}")


class OpenApiDocument:
    """A parsed OpenAPI document. `document` is its JSON, which is served and enforced."""

    problems: tuple[Problem, ...] = ()
    """Warnings: mistakes of the file that were left out of `document`."""
    files: tuple[Path, ...] = ()
    """The files it was read from; empty for one of ours."""
    unmatched: tuple[str, ...] = ()
    """Of overlays, the targets that match nothing in it, with their files."""

    def __init__(
        self, document: Mapping[str, Any], name: str, *, is_lenient: bool = False, is_foreign: bool = False
    ) -> None:
        """With `is_lenient`, schemas that cannot be compiled accept everything. See Operation for `is_foreign`."""
        self.document = document
        self.name = name
        self.is_foreign = is_foreign
        self.is_lenient = is_lenient
        self._bases = tuple(base_paths(document)) if is_foreign else ()
        self._sides = {
            word: (side, SchemaLibrary(side.document, is_lenient=is_lenient))
            for word in ((READ_ONLY, WRITE_ONLY) if is_foreign else ())
            if (side := sides.side_of(document, word)) is not None
        }
        self._library = SchemaLibrary(document, is_lenient=is_lenient)
        self._schemes = dict(self._read_schemes())
        self._components: dict[str, Schema] = {}
        self._responses: dict[tuple[str, str], ResponseSpec] = {}
        self.webhooks: tuple[SentRequest, ...] = (
            tuple(callbacks.read_webhooks(self)) if is_foreign and "webhooks" in document else ()
        )
        self.operations: tuple[Operation, ...] = tuple(self._read_operations())
        self.by_key: Mapping[str, Operation] = self._index()

    def resolved(self, node: Any, place: str) -> Any:
        """The node, or the target of its `$ref` in this document."""
        for _ in range(32):
            if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
                return node
            node = self._target(node["$ref"], place)
        raise SpecError(f"{place}: its $ref goes round in circles", self.name)

    def schema(self, definition: Any, place: str, side: str = "") -> Schema:
        """The definition as a Schema of this document; `side` is the word that makes properties optional there."""
        if isinstance(definition, bool):
            definition = {} if definition else {"not": {}}
        found = self._sides.get(side)
        if found is not None:
            seen, library = found
            return Schema(self._mapping(seen.of(definition), place), seen.document, library=library)
        return Schema(self._mapping(definition, place), self.document, library=self._library)

    def component(self, name: str) -> Schema:
        """The schema component with that name; raises SpecError if there is none."""
        if name not in self._components:
            reference = f"#/components/schemas/{name}"
            self._target(reference, "a provider")
            self._components[name] = self.schema({"$ref": reference}, reference)
        return self._components[name]

    def has_component(self, name: str) -> bool:
        """Whether the document has a schema component with that name."""
        return name in self.document.get("components", {}).get("schemas", {})

    def _target(self, reference: str, place: str) -> Any:
        if not reference.startswith("#/"):
            raise SpecError(
                f"{place}: $ref is {reference!r}; only references inside the document (#/…) are followed", self.name
            )
        try:
            return resolve_ref(reference, self.document)
        except LookupError:
            raise SpecError(f"{place}: $ref is {reference!r}; the document has no such thing", self.name) from None

    def _mapping(self, node: Any, place: str) -> Mapping[str, Any]:
        if not isinstance(node, dict):
            raise SpecError(f"{place} is {type(node).__name__}; wanted a mapping", self.name)
        return node

    def _list(self, node: Any, place: str) -> list[Any]:
        if not isinstance(node, list):
            raise SpecError(f"{place} is {type(node).__name__}; wanted a list", self.name)
        return node

    def _read_operations(self) -> Iterator[Operation]:
        version = self._mapping(self.document, "the document").get("openapi")
        if not (isinstance(version, str) and version.startswith("3.")):
            raise SpecError(f"openapi is {version!r}; wanted a version 3.x document", self.name)
        for path, stated in self._mapping(self.document.get("paths", {}), "paths").items():
            if path.startswith("x-"):  # an extension
                continue
            if not path.startswith("/"):
                raise SpecError(f"paths.{path}: a path starts with '/'", self.name)
            names = _NAMED.findall(path)
            if len(names) > len(set(names)):
                raise SpecError(f"paths.{path}: a name in braces stands twice", self.name)
            item = self._mapping(self.resolved(stated, path), path)
            for method in METHODS:
                if method in item:
                    yield self._read_operation(
                        method.upper(), path, item, self._mapping(item[method], f"{method.upper()} {path}")
                    )
            if self.is_foreign and "additionalOperations" in item:
                yield from self._read_additional(path, item)

    def _read_additional(self, path: str, item: Mapping[str, Any]) -> Iterator[Operation]:
        """The operations with other methods (OpenAPI 3.2); one with a mistake is left out, with a warning."""
        stated = item["additionalOperations"]
        for method, node in stated.items() if isinstance(stated, dict) else ():
            place = f"{method} {path}"
            try:
                yield self._read_operation(method, path, item, self._mapping(node, place))
            except SpecError as error:
                self.problems = (*self.problems, Problem(self.name, f"{place}: {error}", severity=WARNING))

    def _read_operation(self, method: str, path: str, item: Mapping[str, Any], node: Mapping[str, Any]) -> Operation:
        place = f"{method} {path}"
        where = f"{place}: requestBody"
        body = self._mapping(self.resolved(node["requestBody"], where), where) if "requestBody" in node else {}
        responses = self._mapping(node.get("responses", {}), f"{place}: responses")
        return Operation(
            key=str(node.get("operationId") or place),
            method=method,
            path=path,
            summary=str(node.get("summary", "")),
            tag=str(next(iter(self._list(node.get("tags", []), f"{place}: tags")), "")),
            parameters=tuple(self._read_parameters(item, node, place)),
            body=self.read_content(body, where, READ_ONLY) if body else None,
            body_required=bool(body.get("required")),
            responses={
                each.status: each
                for each in (
                    self._response(str(status), node, place)
                    for status, node in responses.items()
                    if not str(status).startswith("x-")
                )
            },
            security=tuple(self._read_security(node, f"{place}: security")),
            document=self.name,
            is_foreign=self.is_foreign,
            bases=(tuple(base_paths(node)) or tuple(base_paths(item)) or self._bases) if self.is_foreign else (),
            is_deprecated=node.get("deprecated") is True,
            price=node.get(PRICE),
            callbacks=(
                tuple(callbacks.read_sent_requests(self, node["callbacks"], f"{place}: callbacks"))
                if self.is_foreign and "callbacks" in node
                else ()
            ),
        )

    def _read_security(self, node: Mapping[str, Any], place: str) -> Iterator[Requirement]:
        """The operation's alternatives, else the document's, without unsupported schemes."""
        for each in self._list(node.get("security", self.document.get("security", [])), place):
            found = (self._schemes.get(name) for name in self._mapping(each, place))
            yield tuple(scheme for scheme in found if scheme is not None)

    def _read_schemes(self) -> Iterator[tuple[str, SecurityScheme]]:
        components = self._mapping(self._mapping(self.document, "the document").get("components", {}), "components")
        for name, scheme in self._mapping(components.get("securitySchemes", {}), "components.securitySchemes").items():
            place = f"components.securitySchemes.{name}"
            found = read_scheme(self._mapping(self.resolved(scheme, place), place))
            if found is not None:
                yield name, found

    def _read_parameters(self, item: Mapping[str, Any], node: Mapping[str, Any], place: str) -> Iterator[Parameter]:
        declared: dict[tuple[str, str], Mapping[str, Any]] = {}
        where = f"{place}: parameters"
        for each in (*self._list(item.get("parameters", []), where), *self._list(node.get("parameters", []), where)):
            found = self._mapping(self.resolved(each, where), where)
            if not (isinstance(found.get("name"), str) and found.get("in") in LOCATIONS):
                came = f"name {found.get('name')!r}, in {found.get('in')!r}"
                wanted = f"a name, and in one of {', '.join(LOCATIONS)}"
                raise SpecError(f"{place}: a parameter has {came}; wanted {wanted}", self.name)
            if found["in"] == "header" and found["name"].lower() in _IGNORED_HEADERS:
                continue
            declared[found["in"], found["name"]] = found
        for (location, name), found in declared.items():
            where = f"{place}: parameter {name}"
            stated, media_type = found.get("schema", {}), ""
            if "schema" not in found and isinstance(found.get("content"), dict):
                media_type, content = next(iter(found["content"].items()), ("", {}))
                stated = content.get("schema", {}) if isinstance(content, dict) else {}
            definition = {**self._mapping(self.resolved(stated, where), where), **self._mapping(stated, where)}
            extensions = {key: value for key, value in found.items() if key.startswith("x-") or key == "example"}
            yield Parameter(
                name=name.lower() if location == "header" else name,
                location=location,
                required=bool(found.get("required")),
                explode=bool(found.get("explode", found.get("style", "form") == "form" and location in _FORM)),
                definition={**definition, **extensions},
                schema=self.schema(stated, where),
                style=found["style"] if found.get("style") in _STYLES else "",
                media_type=media_type.lower(),
                is_deprecated=found.get("deprecated") is True,
            )

    def _response(self, status: str, node: Any, place: str) -> ResponseSpec:
        """A response; most operations refer to the same ones."""
        reference = node.get("$ref") if isinstance(node, dict) else None
        if not isinstance(reference, str):
            return self._read_response(status, node, place)
        if (status, reference) not in self._responses:
            self._responses[status, reference] = self._read_response(status, node, place)
        return self._responses[status, reference]

    def _read_response(self, status: str, node: Any, place: str) -> ResponseSpec:
        place = f"{place}: response {status}"
        found = self._mapping(self.resolved(node, place), place)
        stated = self._mapping(found.get("headers", {}), f"{place}: headers")
        headers = {
            name: self._mapping(self.resolved(each, place), f"{place}: header {name}") for name, each in stated.items()
        }
        return ResponseSpec(
            status.upper() if status != "default" else status,
            str(found.get("description", "")),
            self.read_content(found, place, WRITE_ONLY),
            headers,
        )

    def read_content(self, node: Mapping[str, Any], place: str, side: str = "") -> dict[str, Content]:
        """The media types of a body; raises SpecError. See `schema` for `side`."""
        read = {}
        for media_type, stated in self._mapping(node.get("content", {}), f"{place}: content").items():
            each = self._mapping(stated, f"{place}: {media_type}")
            if "itemSchema" in each and "schema" not in each:  # OpenAPI 3.2: each item of a sequence
                each = {**each, "schema": {"type": "array", "items": each["itemSchema"], "minItems": 1, "maxItems": 3}}
            schema = self.schema(each["schema"], f"{place}: {media_type}: schema", side) if "schema" in each else None
            found = each.get("encoding")
            encoding = (
                {name: one for name, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}
            )
            examples = self._read_examples(each, place)
            read[media_type.lower()] = Content(media_type.lower(), schema, examples, encoding)
        return read

    def _read_examples(self, node: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The media type's own examples, else those of its schema."""
        stated = self._mapping(node.get("examples", {}), f"{place}: examples")
        named = {
            name: self._mapping(self.resolved(each, place), f"{place}: example {name}").get("value")
            for name, each in stated.items()
        }
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
                raise SpecError(f"the operationId {operation.key!r} stands twice", self.name)
            index[operation.key] = operation
        return {f"{operation.method} {operation.path}": operation for operation in self.operations} | index

    def with_operations(self, operations: Iterable[Operation]) -> "OpenApiDocument":
        """The same document with other operations; one with a known name keeps it."""
        changed = copy(self)
        changed.operations = tuple(operations)
        changed.by_key = changed._index()
        return changed

    def check_schemas(self) -> None:
        """Raises SpecError with the location of an invalid schema, so that it is found at start, not in a request."""
        try:
            self.schema({}, "the document").check_usable(*(schema.definition for _, _, schema in self._schemas()))
        except SpecError:  # checking all at once is fast; checking one by one finds the location
            raise mistakes_error(Path(self.name), self._unusable_schemas()) from None

    def _unusable_schemas(self) -> Iterator["mistakes.Mistake"]:
        for operation, place, schema in self._schemas():
            try:
                schema.check_usable()
            except SpecError as problem:
                yield mistakes.Mistake(operation.location, f"{place}: {problem}")

    def _schemas(self) -> Iterator[tuple[Operation, str, Schema]]:
        """The schemas of all operations, each with its operation and location."""
        for operation in self.operations:
            for parameter in operation.parameters:
                yield operation, f"parameter {parameter.name}", parameter.schema
            for place, schema in _content_schemas(operation.body or {}, "requestBody"):
                yield operation, place, schema
            for status, response in operation.responses.items():
                for place, schema in _content_schemas(response.content, f"response {status}"):
                    yield operation, place, schema


def _content_schemas(contents: Mapping[str, Content], place: str) -> Iterator[tuple[str, Schema]]:
    for media_type, content in contents.items():
        if content.schema is not None:
            yield f"{place}: {media_type}: schema", content.schema


def read_openapi(place: Path | str, *, only_sound: bool = False) -> OpenApiDocument:
    """Read an OpenAPI 3.x or Swagger 2.0 document; raises SpecError with file, line and location if it is invalid.

    A text may be a URL.

    With `only_sound`, operations with mistakes are left out instead.
    """
    read = reading.read_any(place)
    document = read.document
    found = list(islice(mistakes.find_mistakes(document), MAX_MISTAKES))
    if found and only_sound and isinstance(document, dict):
        document = mistakes.sound_part(document)
    elif found:
        raise problems_error(reading.mistake_problems(read, found, severity=ERROR))
    spec = OpenApiDocument(document, str(place), is_foreign=True)
    spec.problems = (*read.problems, *spec.problems)
    spec.files = read.files
    spec.check_schemas()
    return spec


def read_repaired_openapi(place: Path | str) -> OpenApiDocument:
    """Read a document without the parts that have mistakes: they are its `problems`. A text may be a URL.

    Raises SpecError for what is no OpenAPI document at all.
    """
    read = reading.read_repaired(place)
    if not read.is_repaired:
        found = list(islice(mistakes.find_mistakes(read.document), MAX_MISTAKES))
        raise problems_error(reading.mistake_problems(read, found, severity=ERROR))
    spec = OpenApiDocument(read.document, str(place), is_lenient=True, is_foreign=True)
    spec.problems = (*read.problems, *spec.problems)
    spec.files = read.files
    return spec


def problems_error(problems: Sequence[Problem]) -> SpecError:
    """An error with all problems of a document."""
    first, *others = (each._replace(severity=ERROR) for each in problems)
    return SpecError(first.message, first.place, others=others)


def mistakes_error(path: Path, found: Iterable["mistakes.Mistake"]) -> SpecError:
    """An error with all mistakes in a file, each with its line and location."""
    return problems_error(reading.mistake_problems(reading.ReadDocument(None, path), list(found), severity=ERROR))
