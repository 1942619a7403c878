"""What an OpenAPI document says of one operation, as values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mockserver.openapi.references import referred
from mockserver.openapi.schema import Schema

JSON = "application/json"
ENCODED = "x-mock-encoded"
"""The extension that marks a text which may arrive form- or URL-encoded where no encoding is needed."""


def bare_media_type(media_type: str) -> str:
    """`application/json` for `Application/JSON; charset=utf-8`."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether a media type says JSON."""
    media_type = bare_media_type(media_type)
    return media_type == JSON or media_type.endswith("+json")


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
        return frozenset(_types(self.definition))

    @cached_property
    def is_encoded(self) -> bool:
        """Whether the argument may be encoded once more than its place asks for (extension `x-mock-encoded`)."""
        return bool(self.definition.get(ENCODED))


@dataclass(frozen=True)
class Content:
    """One media type of a request or response body."""

    media_type: str
    schema: Schema | None
    examples: Mapping[str, Any]
    """By name; the unnamed `example` is called `default`."""

    @cached_property
    def is_json(self) -> bool:
        """Whether its media type says JSON."""
        return is_json(self.media_type)

    @cached_property
    def encoded(self) -> tuple[str, ...]:
        """The properties of an object whose texts may be form- or URL-encoded (extension `x-mock-encoded`)."""
        if self.schema is None:
            return ()
        definition = _resolved(self.schema.definition, self.schema.document)
        properties = definition.get("properties") or {}
        return tuple(name for name, each in properties.items() if _resolved(each, self.schema.document).get(ENCODED))


@dataclass(frozen=True)
class ResponseSpec:
    """One documented response."""

    status: str
    """`202`, `4XX` or `default`."""
    description: str
    content: Mapping[str, Content]
    headers: Mapping[str, Mapping[str, Any]]

    @property
    def examples(self) -> tuple[str, ...]:
        """The names of the examples of all its media types."""
        return tuple(dict.fromkeys(name for content in self.content.values() for name in content.examples))


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
    """Whether it can be called without a bearer token."""
    document: str = ""
    """The name of the document that describes it."""
    replaces: bool = False
    """Whether it stands in the place of a bundled operation, whose handler answers it."""

    @property
    def location(self) -> tuple[str, ...]:
        """Where in its document it stands."""
        return ("paths", self.path, self.method.lower())

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The defaults that the document states for arguments and for fields of the body, by name."""
        stated = {each.name: each.definition["default"] for each in self.parameters if "default" in each.definition}
        for content in (self.body or {}).values():
            if content.schema is not None:
                stated |= _defaults(content.schema)
        return stated

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


def _defaults(schema: Schema) -> dict[str, Any]:
    """The defaults of an object's properties; those beside a `$ref` win over those of what it leads to."""
    properties = schema.resolved(schema.definition).get("properties", {})
    fields = {name: schema.resolved(each) for name, each in properties.items()}
    return {name: each["default"] for name, each in fields.items() if "default" in each}


def _types(definition: Any) -> Iterator[str]:
    """The types a schema names, itself or in its alternatives."""
    if isinstance(definition, dict):
        stated = definition.get("type", ())
        yield from [stated] if isinstance(stated, str) else stated
        for keyword in ("anyOf", "oneOf", "allOf"):
            for each in definition.get(keyword, ()):
                yield from _types(each)


def _resolved(definition: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A definition with what its references inside the document lead to; nothing when they lead nowhere."""
    found: dict[str, Any] = {}
    for _ in range(32):
        if not isinstance(definition, dict):
            break
        found = {**definition, **found}
        if not isinstance(definition.get("$ref"), str):
            break
        try:
            definition = referred(definition["$ref"], document)
        except (LookupError, ValueError, TypeError):
            break
    return found
