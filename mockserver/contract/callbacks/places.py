"""Where an operation's requests name the URL of a callback, and requests with another URL in its place.

Providers and documents say it with OpenAPI's runtime expressions: `$request.body#/hook`, `{$request.query.url}/done`.
Only the URL itself is replaced: all other bytes of a body, a query and the headers stay as the client sent them.
"""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from urllib.parse import quote, unquote_plus

from mockserver.api.provider import BoundOperation
from mockserver.openapi.operations import SentRequest, bare_media_type, is_json

BODY, QUERY, HEADER = "body", "query", "header"
SEARCHED_BYTES = 8 * 1024 * 1024
"""The most bytes of a body in which URLs are searched."""
URL_FORM = "application/x-www-form-urlencoded"
_LEADING = re.compile(r"\{?\$request\.(?:(body)#(/[^{}]*)|(query|header)\.([^{}]+))(?:\}(.*))?", re.DOTALL)
"""A runtime expression at the beginning of a URL. In the middle of one it names no host, so it is not replaced."""
_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode

Change = Callable[[str], str | None]
"""Returns the URL that takes the place of one; None if it stays."""


class CallbackPlace(NamedTuple):
    """A place in the requests of an operation."""

    kind: str
    """BODY, QUERY or HEADER."""
    name: str
    """A JSON pointer into the body, or the name of an argument or a header."""
    sent: tuple[SentRequest, ...] = ()
    """What the document says of the requests to this URL; empty if it does not describe them."""
    continues: bool = False
    """Whether the API appends a path to the URL."""


class RequestParts(NamedTuple):
    """The parts of a request in which the URL of a callback may be."""

    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: AsyncIterator[bytes] | bytes | None
    """None if the request has none; an iterator of one that is not read before it is passed on."""


def find_places(service: BoundOperation) -> tuple[CallbackPlace, ...]:
    """The places in an operation's requests; empty for most."""
    found: dict[tuple[str, str], CallbackPlace] = {}
    declared = service.provider.callback_urls.get(service.operation.key, ()) if service.provider else ()
    described = [(each.target, each) for each in service.operation.callbacks]
    for target, sent in (*((each, None) for each in declared), *described):
        match = _LEADING.fullmatch(target)
        if match is None or target.startswith("{") != (match[5] is not None):
            continue
        key = (BODY, match[2]) if match[1] else (match[3], match[4])
        place = found.get(key, CallbackPlace(*key))
        more = (sent,) if sent is not None else ()
        found[key] = place._replace(sent=(*place.sent, *more), continues=place.continues or bool(match[5]))
    return tuple(found.values())


def with_url(parts: RequestParts, place: CallbackPlace, change: Change) -> RequestParts:
    """The request in which the URL at a place is changed; the same parts if there is none, or it stays."""
    if place.kind == QUERY:
        return parts._replace(query=with_argument(parts.query, place.name, change))
    if place.kind == HEADER:
        return parts._replace(headers=[_changed_header(each, place.name, change) for each in parts.headers])
    if not isinstance(parts.body, bytes):
        return parts
    media_type = bare_media_type(_header(parts.headers, b"content-type")).lower()
    if media_type == URL_FORM:
        body = with_argument(parts.body, _unescaped(place.name[1:]), change)
    elif not media_type or is_json(media_type):
        body = with_json_text(parts.body, place.name, change)
    else:
        return parts
    if body == parts.body:
        return parts
    others = [each for each in parts.headers if each[0].lower() != b"content-length"]
    return parts._replace(body=body, headers=[*others, (b"content-length", b"%d" % len(body))])


def with_argument(query: bytes, name: str, change: Change) -> bytes:
    """A query, or the body of a form, in which the arguments of this name are changed."""
    pairs = query.split(b"&")
    for number, pair in enumerate(pairs):
        key, mark, value = pair.partition(b"=")
        if mark and unquote_plus(key.decode("latin-1")) == name:
            made = change(unquote_plus(value.decode("latin-1")))
            if made is not None:
                pairs[number] = key + mark + quote(made, safe="").encode()
    return b"&".join(pairs)


def with_json_text(content: bytes, pointer: str, change: Change) -> bytes:
    """JSON in which the text at a JSON pointer is changed, and all else is the same."""
    try:
        text = content.decode()
        start = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches the empty text, too
        for step in pointer.split("/")[1:]:
            start = _find_member(text, start, _unescaped(step))
        given, end = _decode(text, start)
    except (ValueError, IndexError, LookupError, RecursionError):
        return content
    made = change(given) if isinstance(given, str) else None
    return content if made is None else f"{text[:start]}{json.dumps(made)}{text[end:]}".encode()


def _find_member(text: str, at: int, step: str) -> int:
    """Where the member's value begins, of an object or a list that begins at `at`; raises LookupError or ValueError.

    Of members with the same name the last counts, as for parsers of JSON.
    """
    found, count, is_list = -1, 0, text[at] == "["
    if not is_list and text[at] != "{":
        raise LookupError(step)
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        name = str(count)
        if not is_list:
            name, at = _decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        found = at if name == step else found
        at = _skip(text, _decode(text, at)[1])
        at = _skip(text, at + 1) if text[at] == "," else at
        count += 1
    if found < 0:
        raise LookupError(step)
    return found


def _skip(text: str, at: int) -> int:
    """Where the next token begins."""
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _unescaped(step: str) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return step.replace("~1", "/").replace("~0", "~")


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")


def _changed_header(header: tuple[bytes, bytes], name: str, change: Change) -> tuple[bytes, bytes]:
    if header[0].lower() != name.lower().encode("latin-1", "replace"):
        return header
    made = change(header[1].decode("latin-1").strip())
    return header if made is None else (header[0], made.encode("latin-1", "replace"))
