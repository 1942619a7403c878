"""Responses of operations that no code handles: fixtures, examples of the document, generated values."""

from mockserver.api.call import Call
from mockserver.http import Response
from mockserver.openapi.responses import canned_reply, documented_reply
from mockserver.sandbox.ids import canonical, digest


def canned_response(call: Call) -> Response:
    """A response without code: a fixture, else the document's example, else a value generated from its schema."""
    canned = call.world.fixtures.response(call.operation.key, call.arguments, call.body)
    if canned is not None:
        return canned_reply(call.operation, canned.entry, canned.source)
    key = digest(call.sandbox.ids.salt, call.operation.key.encode(), _request_key(call))
    if call.operation.method == "POST":
        key = call.sandbox.ids.next(call.operation.key, _request_key(call))
    return documented_reply(call.operation, call.operation.success, key=key) or Response(204, source="generated")


def _request_key(call: Call) -> bytes:
    body = call.body.hex() if isinstance(call.body, bytes) else call.body
    return canonical([call.arguments, body])
