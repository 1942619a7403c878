"""A call that the API makes: where it is passed on to, and what the document says of it."""

from typing import NamedTuple
from urllib.parse import urlsplit

from mockserver.contract.callbacks.places import CallbackPlace
from mockserver.errors import Violation
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.operations import SentRequest, bare_media_type, is_json
from mockserver.openapi.requests import find_content

CALLBACK = "callback"
"""The first step of a violation's location."""


class ReceivedCall(NamedTuple):
    """A call to an address of the proxy."""

    method: str
    path: str
    """What follows the address, as it was sent; empty for most."""
    query: str
    media_type: str
    body: bytes


def target_of(target: str, call: ReceivedCall) -> str:
    """The URL to which a call is passed on: the client's own, with the path and the query that the API has added."""
    parts = urlsplit(target)
    path = f"{parts.path.rstrip('/')}/{call.path}" if call.path else parts.path
    query = "&".join(filter(None, (parts.query, call.query)))
    return parts._replace(path=path, query=query, fragment="").geturl()


def callback_violations(place: CallbackPlace, call: ReceivedCall) -> tuple[Violation, ...]:
    """How a call differs from what the document says of it; empty if the document says nothing."""
    if not place.sent:
        return ()
    described = [each for each in place.sent if each.method == call.method]
    if not described:
        methods = ", ".join(dict.fromkeys(each.method for each in place.sent))
        said = f"the document describes {methods}, not {call.method}"
        return (Violation((CALLBACK, "method"), "undocumented", said),)
    return min((_violations(each, call) for each in described), key=len)


def _violations(sent: SentRequest, call: ReceivedCall) -> tuple[Violation, ...]:
    if not call.body:
        missing = Violation((CALLBACK, "body"), "required", "there is no body, which the document demands")
        return (missing,) if sent.needs_body else ()
    if not sent.contents:
        return ()
    media_type = bare_media_type(call.media_type)
    content = find_content(sent.contents, media_type)
    if content is None:
        said = f"the document describes {', '.join(sent.contents)}, not {media_type!r}"
        return (Violation((CALLBACK, "header", "Content-Type"), "undocumented", said),)
    if content.schema is None or not is_json(media_type):
        return ()
    try:
        value = parse_json(call.body)
    except JsonError as error:
        return (Violation((CALLBACK, "body"), error.code, str(error)),)
    return tuple(content.schema.violations(value, (CALLBACK, "body")))
