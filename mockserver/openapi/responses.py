"""Builds documented responses from examples, or generates them from schemas."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Response
from mockserver.lazy import lazy_module, lazy_pattern
from mockserver.openapi.document import JSON, Content, Operation
from mockserver.openapi.operations import ResponseSpec, bare_media_type, is_json
from mockserver.openapi.requests import find_content

if TYPE_CHECKING:
    from mockserver.openapi.generate import bodies, values
    from mockserver.openapi.wire import negotiation
else:
    bodies = lazy_module("mockserver.openapi.generate.bodies")
    values = lazy_module("mockserver.openapi.generate.values")
    negotiation = lazy_module("mockserver.openapi.wire.negotiation")

_UNPRINTABLE = lazy_pattern(r"[\x00-\x08\x0a-\x1f\x7f]+")
PROBLEM = "application/problem+json"
VIOLATIONS_HEADER = "X-Mock-Violations"
MAX_VIOLATIONS_HEADER = 4096
FRAMING_HEADERS = frozenset({"content-type", "content-length", "transfer-encoding", "connection", "date"})
"""Headers that follow from the response and its connection, regardless of the document."""
WARNINGS = frozenset({"deprecated"})
"""Codes of violations that do not make a request or response invalid."""
MAX_NAME = 100
MAX_MESSAGE = 400
"""The most characters of a violation's message. It contains names from the client, which must not crowd out other
violations.
"""

# A reason selects the first of its statuses that the operation documents, or the first of all if it documents none.
STATUSES: Mapping[Reason, tuple[int, ...]] = {
    Reason.UNAUTHENTICATED: (401, 403),
    Reason.FORBIDDEN: (403, 401),
    Reason.NO_CREDITS: (402, 403),
    Reason.INVALID: (422, 400),
    Reason.UNSUPPORTED_MEDIA_TYPE: (415, 422, 400),
    Reason.UNSUPPORTED_CODING: (415,),
    Reason.NOT_ACCEPTABLE: (406,),
    Reason.NOT_FOUND: (404, 422, 400),
    Reason.CONFLICT: (409, 422, 400),
    Reason.RATE_LIMITED: (429, 503),
    Reason.TOO_LARGE: (413,),
    Reason.NO_SUCH_PATH: (404,),
    Reason.METHOD_NOT_ALLOWED: (405,),
    Reason.TIMED_OUT: (504, 500),
    Reason.UNAVAILABLE: (503, 500),
    Reason.FAILED: (500,),
}


def pick_status(operation: Operation | None, reason: Reason, preferred: Mapping[Reason, tuple[int, ...]] = {}) -> int:
    """The documented status for a reason; its first choice if the operation documents none of them."""
    choices = preferred.get(reason) or STATUSES[reason]
    documented = operation.statuses if operation else ()
    return next((status for status in choices if status in documented), choices[0])


def documented_reply(
    operation: Operation,
    status: int,
    *,
    key: bytes,
    example: str = "",
    media_type: str = "",
    is_dynamic: bool = False,
    accept: str | None = None,
    mends: bool = True,
) -> Response | None:
    """The documented response: its example, or one generated from its schema with `key`; None if undocumented.

    If `example` or `media_type` is not documented, the first documented one is used. `is_dynamic` generates the
    response even if there is an example. With `accept`, raises Refusal NOT_ACCEPTABLE if no documented media type suits
    it. Without `mends`, an example that does not fit its schema stays as it is.
    """
    documented = operation.response(status)
    if documented is None:
        return None
    headers = tuple(
        (name, _header_value(header, key, documents_values=operation.is_foreign))
        for name, header in documented.headers.items()
        if name.lower() not in FRAMING_HEADERS
    )
    if not documented.content:
        return Response(status, headers=headers, source="example")
    if operation.is_foreign:
        return foreign_reply(documented, status, headers, key=key, example=example, media_type=media_type,
                             is_dynamic=is_dynamic, accept=accept, mends=mends)  # fmt: skip
    content = _pick_example(documented.content, example, media_type)
    if content.examples and not (is_dynamic and content.schema is not None):
        value = content.examples[example] if example in content.examples else next(iter(content.examples.values()))
        return Response(status, content.media_type, encode_body(value, content.media_type), headers, "example")
    return Response(
        status, content.media_type, encode_body(_generated_body(content, key), content.media_type), headers, "generated"
    )


def foreign_reply(
    documented: ResponseSpec,
    status: int,
    headers: tuple[tuple[str, str], ...],
    *,
    key: bytes,
    example: str,
    media_type: str,
    is_dynamic: bool,
    accept: str | None,
    mends: bool,
) -> Response:
    """The response of a document without code: in the media type that `accept` prefers, valid as far as possible."""
    contents = documented.content
    if media_type or accept is None:
        content = _pick_example(contents, example, media_type)
    else:
        suiting = {name: each for name, each in contents.items() if example in each.examples} if example else contents
        found = negotiation.negotiate(tuple(suiting or contents), accept)
        if found is None:
            wanted = f"Accept is {accept[:MAX_NAME]}; this is answered as {' or '.join(contents)}."
            raise Refusal(Reason.NOT_ACCEPTABLE, wanted)
        content = contents[found]
    made = bodies.body_of(content, key=key, example=example, is_dynamic=is_dynamic, mends=mends)
    body = bodies.encoded_body(content, made.value)
    shown = ((VIOLATIONS_HEADER, violations_text(made.violations)),) if made.violations else ()
    return Response(status, bodies.sent_media_type(content, accept), body, (*headers, *shown), made.source)


def _pick_example(contents: Mapping[str, Content], example: str, media_type: str) -> Content:
    wanted = find_content(contents, bare_media_type(media_type)) if media_type else None
    named = (content for content in contents.values() if example in content.examples)
    return wanted or next(named, None) or next(iter(contents.values()))


def canned_reply(operation: Operation, entry: Mapping[str, Any], source: str) -> Response:
    """The response of a fixture's entry. By default it has the operation's success status and is JSON."""
    value = entry.get("body", entry.get("text", ""))
    media_type = entry.get("media_type", JSON if "body" in entry else "text/plain")
    headers = tuple((name, _header_text(value)) for name, value in entry.get("headers", {}).items())
    return Response(entry.get("status", operation.success), media_type, encode_body(value, media_type), headers, source)


def encode_body(value: Any, media_type: str) -> bytes:
    """The bytes of a body: JSON for JSON media types, else the text."""
    if is_json(media_type) or not isinstance(value, str):
        return orjson.dumps(value)
    return value.encode()


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """A problem document (RFC 9457), for errors that the document does not define."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(status, PROBLEM, orjson.dumps(body))


def _header_value(header: Mapping[str, Any], key: bytes, *, documents_values: bool) -> str:
    stated = header.get("schema")
    schema = stated if isinstance(stated, dict) else {}
    if documents_values:
        return _header_text(bodies.header_value(header, schema, key))
    default = schema.get("default", 1 if schema.get("type") == "integer" else "")
    return _header_text(header.get("example", schema.get("example", default)))


def _header_text(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return _UNPRINTABLE.sub(" ", text).strip()


def _generated_body(content: Content, key: bytes) -> Any:
    if content.schema is None:
        return {} if content.media_type == JSON else ""
    return values.generate_value(content.schema.definition, root=content.schema.document, key=key)


def violations_text(violations: Sequence[Violation]) -> str:
    """The violations as a JSON array in ASCII of at most MAX_VIOLATIONS_HEADER bytes, cut between items."""
    text = "["
    for violation in violations:
        item = json.dumps(violation_json(violation), separators=(",", ":"))
        if len(text) + len(item) + 2 > MAX_VIOLATIONS_HEADER:
            break
        text += f"{',' if len(text) > 1 else ''}{item}"
    return text + "]"


def violation_json(violation: Violation) -> dict[str, Any]:
    """A violation as JSON, as it is shown."""
    return {
        "location": [step[:MAX_NAME] if isinstance(step, str) else step for step in violation.location],
        "severity": "warning" if violation.code in WARNINGS else "error",
        "code": violation.code,
        "message": violation.message[:MAX_MESSAGE],
    }
