"""OpenAPI's runtime expressions: `$request.body#/url`, or in braces inside a text, is a value of an exchange."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from mockserver.http import Request, Response
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.operations import is_json
from mockserver.openapi.references import resolve_ref

_EMBEDDED = re.compile(r"\{(\$[^{}]*)\}")
MAX_TARGET = 4096
"""The most characters of a target; a longer one is not called."""


class Occasion(NamedTuple):
    """The exchange that causes a callback."""

    request: Request
    arguments: Mapping[str, Any]
    body: Any
    """Of the request, parsed."""
    response: Response


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
