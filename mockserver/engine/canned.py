"""Responses of operations that no code handles: fixtures, examples of the document, generated values."""

from mockserver.api.call import Call
from mockserver.errors import Violation
from mockserver.http import Response
from mockserver.openapi.responses import VIOLATIONS_HEADER, canned_reply, documented_reply, violations_text
from mockserver.sandbox.ids import canonical, digest


def canned_response(call: Call) -> Response:
    """A response without code: a fixture, else the document's example, else a value generated from its schema."""
    canned = call.world.fixtures.response(call.operation.key, call.arguments, call.body)
    if canned is not None:
        return canned_reply(call.operation, canned.entry, canned.source)
    key = digest(call.sandbox.ids.salt, call.operation.key.encode(), _request_key(call))
    if call.operation.method == "POST":
        key = call.sandbox.ids.next(call.operation.key, _request_key(call))
    accept = call.request.headers.get("accept", "") if call.operation.is_foreign else None
    settings = call.world.settings
    reply = documented_reply(
        call.operation,
        call.operation.success,
        key=key,
        accept=accept,
        is_dynamic=settings.dynamic,
        mends=not settings.strict,
    )
    return reply or Response(204, source="generated")


def with_warnings(response: Response, call: Call) -> Response:
    """The response with a warning for a deprecated operation, and for each deprecated argument that was sent."""
    operation = call.operation
    found = [
        Violation(("request", each.location, each.name), "deprecated", f"{each.name!r} is deprecated")
        for each in operation.parameters
        if each.is_deprecated and each.name in call.arguments
    ]
    if operation.is_deprecated:
        found.append(Violation(("request",), "deprecated", f"{operation.key} is deprecated"))
    if not call.world.settings.debug_headers:
        others = tuple(each for each in response.headers if each[0] != VIOLATIONS_HEADER)
        return response if len(others) == len(response.headers) else response._replace(headers=others)
    if not found or any(name == VIOLATIONS_HEADER for name, _ in response.headers):
        return response
    return response.with_headers((VIOLATIONS_HEADER, violations_text(found)))


def _request_key(call: Call) -> bytes:
    body = call.body.hex() if isinstance(call.body, bytes) else call.body
    return canonical([call.arguments, body])
