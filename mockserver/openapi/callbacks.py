"""Callbacks and webhooks of a document: requests that the API itself sends, and expressions that say where to.

Expressions are OpenAPI's runtime expressions: `$request.body#/url`, or inside braces as parts of a text.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

from mockserver.errors import WARNING, Problem, SpecError
from mockserver.http import Request, Response
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.mistakes import METHODS
from mockserver.openapi.operations import Content, SentRequest, is_json
from mockserver.openapi.references import resolve_ref

_EMBEDDED = re.compile(r"\{(\$[^{}]*)\}")
MAX_TARGET = 4096
"""The most characters of a target; a longer one is not called."""


class Document(Protocol):
    """What is asked of a document while it is read; see OpenApiDocument."""

    document: Mapping[str, Any]
    name: str
    problems: tuple[Problem, ...]

    def resolved(self, node: Any, place: str) -> Any: ...

    def read_content(self, node: Mapping[str, Any], place: str) -> dict[str, Content]: ...


class Occasion(NamedTuple):
    """The exchange that causes a callback."""

    request: Request
    arguments: Mapping[str, Any]
    body: Any
    """Of the request, parsed."""
    response: Response


def read_sent_requests(spec: Document, node: Any, place: str) -> Iterator[SentRequest]:
    """The requests of a `callbacks` object; those with a mistake are left out, with a warning."""
    for name, stated in node.items() if isinstance(node, dict) else ():
        try:
            found = spec.resolved(stated, f"{place}: {name}")
            for target, item in found.items() if isinstance(found, dict) else ():
                if not target.startswith("x-"):
                    yield from _read_item(spec, str(name), target, item, f"{place}: {name}")
        except SpecError as error:
            _warn(spec, f"{place}: {name}", error)


def read_webhooks(spec: Document) -> Iterator[SentRequest]:
    """The requests of the document's `webhooks` (OpenAPI 3.1); their target is empty."""
    node = spec.document.get("webhooks")
    for name, stated in node.items() if isinstance(node, dict) else ():
        try:
            yield from _read_item(spec, str(name), "", stated, f"webhooks: {name}")
        except SpecError as error:
            _warn(spec, f"webhooks: {name}", error)


def _warn(spec: Document, place: str, error: SpecError) -> None:
    message = str(error).removeprefix(f"{spec.name}: ")
    message = message if message.startswith(place) else f"{place}: {message}"
    spec.problems = (*spec.problems, Problem(spec.name, message, severity=WARNING))


def _read_item(spec: Document, name: str, target: str, stated: Any, place: str) -> Iterator[SentRequest]:
    item = spec.resolved(stated, place)
    for method in METHODS if isinstance(item, dict) else ():
        if isinstance(item.get(method), dict):
            body = spec.resolved(item[method].get("requestBody", {}), place)
            contents = spec.read_content(body, place) if isinstance(body, dict) else {}
            for each in contents.values():
                if each.schema is not None:
                    each.schema.check_usable()
            yield SentRequest(name, target, method.upper(), _preferred(contents))


def _preferred(contents: Mapping[str, Content]) -> Content | None:
    """JSON if it is documented, else the first media type."""
    return next((each for each in contents.values() if is_json(each.media_type)), next(iter(contents.values()), None))


def find_target(text: str, occasion: Occasion) -> str | None:
    """The URL that a callback's key stands for; None if a part of it has no value in this exchange."""
    if text.startswith("$"):
        found = _value(text, occasion)
        return found if found and len(found) <= MAX_TARGET else None
    parts = [_value(each, occasion) for each in _EMBEDDED.findall(text)]
    if None in parts:
        return None
    values = iter(parts)
    made = _EMBEDDED.sub(lambda _: next(values) or "", text)
    return made if made and len(made) <= MAX_TARGET else None


def _value(expression: str, occasion: Occasion) -> str | None:
    request, response = occasion.request, occasion.response
    side, _, source = expression.partition(".")
    kind, _, name = source.partition(".")
    if source.partition("#")[0] == "body":
        return _text(_part(source.removeprefix("body"), _body(side, occasion)))
    if side == "$response":
        named = {key.lower(): value for key, value in response.headers} if kind == "header" else {}
        return named.get(name.lower())
    if side == "$request":
        places = {
            "header": lambda: request.headers.get(name.lower()),
            "query": lambda: parse_qs(request.query, keep_blank_values=True).get(name, [None])[-1],
            "path": lambda: _text(occasion.arguments.get(name)),
        }
        return places[kind]() if kind in places else None
    query = f"?{request.query}" if request.query else ""
    known = {"$url": f"{request.base_url}{request.path}{query}", "$method": request.method}
    return {**known, "$statusCode": str(response.status)}.get(expression)


def _body(side: str, occasion: Occasion) -> Any:
    if side == "$request":
        return occasion.body
    body = occasion.response.body
    if side != "$response" or not isinstance(body, bytes) or not is_json(occasion.response.media_type):
        return None
    try:
        return parse_json(body)
    except JsonError:
        return None


def _part(pointer: str, value: Any) -> Any:
    if not pointer.startswith("#"):
        return value if not pointer else None
    try:
        return resolve_ref(pointer, value)
    except LookupError:
        return None


def _text(value: Any) -> str | None:
    """A scalar as text; None for what is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
