"""Reads a request of the journal as a Pact file writes it: its arguments, and its body."""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from mockserver.fixtures.ids import is_id_name
from mockserver.http import Request
from mockserver.openapi.operations import Content, Operation, bare_media_type, is_json
from mockserver.openapi.router import RouteNotFound, Router
from mockserver.openapi.wire.bodies import write_form
from mockserver.verify.pact.matching import shape_of

FORM = "multipart/form-data"
BOUNDARY = "pact-form-boundary"
FORM_NOTE = "The form is the document's example, since the journal keeps no files."
_NAME = re.compile(r"[^A-Za-z0-9_]+")


class Argument(NamedTuple):
    """A text in a request that may be an id."""

    location: str
    """`path`, `query` or `body`."""
    name: str
    """The argument's name, or the member's."""
    value: str
    place: str = ""
    """The JSONPath in a body."""
    names_resource: bool = False
    """Whether the request is about what it names: an argument of the path, or a query argument `id`."""


def find_arguments(router: Router, request: Request) -> list[Argument]:
    """The arguments of path and query."""
    found = []
    with suppress(RouteNotFound):
        named = router.match(request.method, request.path).arguments
        found = [Argument("path", _plain(name), value, names_resource=True) for name, value in named.items()]
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        found.append(Argument("query", _plain(name), value, names_resource=is_id_name(name) and name != "request_id"))
    return found


def with_values(path: str, texts: Mapping[str, str]) -> str:
    """A path with texts in place of whole segments."""
    return "/".join(texts.get(each, each) for each in path.split("/"))


def _plain(name: str) -> str:
    """A name that may stand in an expression."""
    return _NAME.sub("_", name)


class RequestBody(NamedTuple):
    """A request's body."""

    media_type: str = ""
    value: Any = None
    """The JSON; None for another body."""
    written: Mapping[str, Any] | None = None
    """As the file has it; None without a body."""
    shape: Any = None
    note: str = ""
    """What a reader should know of it."""

    @classmethod
    def of(cls, operation: Operation, request: Request) -> "RequestBody":
        """The body of a request to an operation."""
        stated = request.headers.get("content-type", "")
        media_type = bare_media_type(stated)
        if media_type == FORM and operation.body and FORM in operation.body:
            return _example_form(operation.body[FORM])
        if not request.body:
            return cls()
        if is_json(media_type) or (not media_type and operation.body and any(map(is_json, operation.body))):
            try:
                value = orjson.loads(request.body)
            except orjson.JSONDecodeError:
                value = None
            if value is not None:
                media_type = media_type or "application/json"
                written = {"content": value, "contentType": media_type, "encoded": False}
                return cls(media_type, value, written, shape_of(value))
        text = request.body.decode("utf-8", "replace")
        return cls(stated, None, {"content": text, "contentType": media_type, "encoded": False}, "text")

    def arguments(self) -> Iterator[Argument]:
        """The texts in a JSON body that may be ids, each name once."""
        seen: set[str] = set()
        for place, name, value in _texts(self.value, "$", ""):
            if is_id_name(name) and name not in seen:
                seen.add(name)
                yield Argument("body", _plain(name), value, place)


def _texts(value: Any, place: str, name: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            if re.fullmatch(r"[A-Za-z_]\w*", key):
                yield from _texts(each, f"{place}.{key}", key)
    elif isinstance(value, list):
        for n, each in enumerate(value):
            yield from _texts(each, f"{place}[{n}]", name)
    elif isinstance(value, str):
        yield place, name, value


def _example_form(content: Content) -> RequestBody:
    """A form with the values of the document's first example."""
    example = next((each for each in content.examples.values() if isinstance(each, Mapping)), {})
    definition = content.schema.resolved(content.schema.definition) if content.schema is not None else {}
    properties = definition.get("properties") or {}
    rows = []
    for name, value in example.items():
        is_file = content.schema is not None and content.schema.resolved(properties.get(name, {})).get("format") == (
            "binary"
        )
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        rows.append((name, text, f"{name}.jsonl" if is_file else ""))
    form = write_form(rows, BOUNDARY).encode()
    media_type = f"{FORM}; boundary={BOUNDARY}"
    written = {"content": base64.b64encode(form).decode(), "contentType": media_type, "encoded": "base64"}
    return RequestBody(media_type, None, written, sorted(example), FORM_NOTE)
