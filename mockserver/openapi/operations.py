"""Operations, parameters and responses of an OpenAPI document, as values."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from mockserver.lazy import lazy_pattern
from mockserver.openapi.references import resolved
from mockserver.openapi.schema import Schema
from mockserver.openapi.security import BEARER, Requirement
from mockserver.records import CachingRecord

JSON = "application/json"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
"""Those of OpenAPI 3.2; earlier versions have no QUERY."""
LOCATIONS = ("path", "query", "header", "cookie")
"""Those of parameters."""
PRICE = "x-mock-price"
"""The extension of an operation that says what a call of the real API costs."""
ENCODED = "x-mock-encoded"
"""The extension for a text that may be form- or URL-encoded although the location needs no encoding."""
_AUTHORITY = lazy_pattern(r"^(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*")


def bare_media_type(media_type: str) -> str:
    """`application/json` for `Application/JSON; charset=utf-8`."""
    return media_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether a media type is JSON."""
    media_type = bare_media_type(media_type)
    return media_type == JSON or media_type.endswith("+json")


class Parameter(CachingRecord, frozen=True):
    """A declared parameter. The value that a request supplies is an argument."""

    name: str
    location: str
    """`path`, `query`, `header` or `cookie`."""
    required: bool
    explode: bool
    definition: Mapping[str, Any]
    schema: Schema
    style: str = ""
    """How lists and objects are written; empty for the default of the location, with the default of `explode`."""
    media_type: str = ""
    """The media type of the argument's text (`content` instead of `schema`); empty without one."""
    is_deprecated: bool = False

    @cached_property
    def types(self) -> frozenset[str]:
        """The JSON types that the schema allows; empty if it does not say."""
        return frozenset(_types(self.definition))

    @cached_property
    def is_encoded(self) -> bool:
        """Whether the argument may have an additional encoding (extension `x-mock-encoded`)."""
        return bool(self.definition.get(ENCODED))


class Content(CachingRecord, frozen=True):
    """One media type of a request or response body."""

    media_type: str
    schema: Schema | None
    examples: Mapping[str, Any]
    """By name; the unnamed `example` is called `default`."""
    encoding: Mapping[str, Mapping[str, Any]] = {}
    """How a form's fields are written, by name."""

    @cached_property
    def is_json(self) -> bool:
        """Whether its media type is JSON."""
        return is_json(self.media_type)

    @cached_property
    def encoded(self) -> frozenset[str]:
        """The object's properties that may be form- or URL-encoded (extension `x-mock-encoded`)."""
        if self.schema is None:
            return frozenset()
        definition = resolved(self.schema.definition, self.schema.document)
        properties = definition.get("properties") or {}
        return frozenset(name for name, each in properties.items() if resolved(each, self.schema.document).get(ENCODED))


class ResponseSpec(CachingRecord, frozen=True):
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


class SentRequest(NamedTuple):
    """A request that the API itself sends: a callback of an operation, or a webhook."""

    name: str
    target: str
    """The URL as a runtime expression (`{$request.body#/url}`); empty for a webhook."""
    method: str
    content: Content | None
    """Its body; None without one."""
    contents: Mapping[str, Content] = {}
    """By media type, all bodies that the document allows."""
    needs_body: bool = False


class Operation(CachingRecord, frozen=True, eq=False):
    """One method on one path. Compared by identity, so that it can be a key."""

    key: str
    """The operationId, else `POST /path`."""
    method: str
    path: str
    summary: str
    tag: str
    parameters: tuple[Parameter, ...]
    body: Mapping[str, Content] | None
    """By media type; None if the operation takes no body."""
    body_required: bool
    responses: Mapping[str, ResponseSpec]
    security: tuple[Requirement, ...] = ()
    """Of these one must be fulfilled; without any, no credential is needed."""
    document: str = ""
    """The name of its document."""
    replaces: bool = False
    """Whether it replaces a bundled operation, whose handler answers it."""
    is_foreign: bool = False
    """Whether it is answered as its document says, by the general rules for any document."""
    bases: tuple[str, ...] = ()
    """Paths of the document's servers (`/v2`), under which it is found, too."""
    is_deprecated: bool = False
    price: Any = None
    """What a call costs, as the document says (extension `x-mock-price`); None if it does not say."""
    callbacks: tuple[SentRequest, ...] = ()
    """Sent after a successful response."""

    @property
    def location(self) -> tuple[str, ...]:
        """Its location in the document."""
        return ("paths", self.path, self.method.lower())

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """The documented defaults of arguments and body fields, by name."""
        stated = {each.name: each.definition["default"] for each in self.parameters if "default" in each.definition}
        for content in (self.body or {}).values():
            if content.schema is not None:
                stated |= _defaults(content.schema)
        return stated

    @cached_property
    def is_open(self) -> bool:
        """Whether it can be called without a credential."""
        return not self.security or () in self.security

    @cached_property
    def takes_credential(self) -> bool:
        """Whether a credential is read, needed or not."""
        return any(self.security)

    @cached_property
    def takes_token_only(self) -> bool:
        """Whether its only credential is a bearer token."""
        return {scheme for requirement in self.security for scheme in requirement} == {BEARER}

    @cached_property
    def statuses(self) -> tuple[int, ...]:
        """The documented statuses, without classes and `default`."""
        return tuple(int(status) for status in self.responses if status.isdigit())

    @cached_property
    def success(self) -> int:
        """The first documented 2xx status, 200 if there is none. See `usual_status` for other documents."""
        if self.is_foreign:
            return usual_status(self.responses)
        return next((status for status in self.statuses if 200 <= status < 300), 200)

    @cached_property
    def sandbox_parameter(self) -> str:
        """The path parameter with the sandbox's key (extension `x-mock-sandbox-key`); empty without one."""
        return next(
            (p.name for p in self.parameters if p.location == "path" and p.definition.get("x-mock-sandbox-key")), ""
        )

    def response(self, status: int) -> ResponseSpec | None:
        """The documented response of a status: by number, by class (`4XX`), or by `default`."""
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in self.responses:
                return self.responses[name]
        return None


def base_paths(node: Mapping[str, Any]) -> Iterator[str]:
    """The paths of the servers of a document, path or operation, with the defaults of variables (`/v2`)."""
    stated = node.get("servers")
    for server in stated if isinstance(stated, list) else ():
        url = server.get("url") if isinstance(server, dict) else None
        if not isinstance(url, str):
            continue
        variables = server.get("variables")
        for name, each in variables.items() if isinstance(variables, dict) else ():
            default = each.get("default") if isinstance(each, dict) else ""
            url = url.replace(f"{{{name}}}", str(default))
        path = _AUTHORITY.sub("", url).partition("?")[0].rstrip("/")
        if path.startswith("/") and "{" not in path:
            yield path


def usual_status(responses: Mapping[str, ResponseSpec]) -> int:
    """The status of an answer that nothing else decides: the lowest 2xx, else `2XX` or `default` as 200.

    Of a document without any of these it is the lowest of the others: redirects, then errors.
    """
    numbers = sorted(int(status) for status in responses if status.isdigit())
    found = [status for status in numbers if 200 <= status < 300]
    if found:
        return found[0]
    if "2XX" in responses or "default" in responses or not responses:
        return 200
    redirects = [status for status in numbers if status < 400]
    if redirects or numbers:
        return min(redirects or numbers)
    return next((int(status[0]) * 100 for status in responses if status[1:] == "XX"), 200)


def _defaults(schema: Schema) -> dict[str, Any]:
    """The defaults of an object's properties; those beside a `$ref` have precedence over its target's."""
    properties = schema.resolved(schema.definition).get("properties", {})
    fields = {name: schema.resolved(each) for name, each in properties.items()}
    return {name: each["default"] for name, each in fields.items() if "default" in each}


def _types(definition: Any) -> Iterator[str]:
    """The types that a schema allows, itself or in its alternatives."""
    if isinstance(definition, dict):
        stated = definition.get("type", ())
        yield from [stated] if isinstance(stated, str) else stated
        for keyword in ("anyOf", "oneOf", "allOf"):
            for each in definition.get(keyword, ()):
                yield from _types(each)
