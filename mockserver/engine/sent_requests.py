"""Callbacks and webhooks of a document: the requests that an API sends, made from the document, into the outbox."""

from collections.abc import Callable
from typing import NamedTuple

from mockserver.api.call import Call
from mockserver.engine.canned import canned_response, with_warnings
from mockserver.http import Response
from mockserver.openapi.generate.bodies import body_of, encoded_body, sent_media_type
from mockserver.openapi.operations import SentRequest
from mockserver.openapi.wire.runtime_expressions import Occasion, find_target
from mockserver.sandbox.callbacks import Callback
from mockserver.sandbox.ids import as_uuid, canonical
from mockserver.sandbox.sandbox import Sandbox

Handler = Callable[[Call], Response]


def answer_with_callbacks(handler: Handler | None, call: Call) -> Response:
    """The response of the handler, or without code; after a 2xx, the callbacks of the operation are sent."""
    response = handler(call) if handler is not None else with_warnings(canned_response(call), call)
    if 200 <= response.status < 300:
        note_callbacks(call, response)
    return response


class Payload(NamedTuple):
    """A body with its media type; both are empty without one."""

    body: bytes
    media_type: str


def note_callbacks(call: Call, response: Response) -> None:
    """Adds the callbacks of the call's operation that have a target in this exchange."""
    occasion = Occasion(call.request, call.arguments, call.body, response)
    for sent in call.operation.callbacks:
        target = find_target(sent.target, occasion)
        if target is not None:
            key = call.sandbox.ids.next(f"{call.operation.key} {sent.name} {sent.method}", canonical(target))
            add_request(call.sandbox, sent, target, key, payload_of(sent, key, mends=not call.world.settings.strict))


def payload_of(sent: SentRequest, key: bytes, *, mends: bool = True) -> Payload:
    """The payload: the document's example, or a value made from the schema with `key`."""
    content = sent.content
    if content is None:
        return Payload(b"", "")
    return Payload(encoded_body(content, body_of(content, key=key, mends=mends).value), sent_media_type(content, None))


def add_request(sandbox: Sandbox, sent: SentRequest, target: str, key: bytes, payload: Payload) -> Callback:
    """Adds a callback that is due now to the sandbox's outbox."""
    callback = Callback(
        as_uuid(key), 0, "", target, "", due=sandbox.clock.now(),
        payload=payload.body, method=sent.method, media_type=payload.media_type,
    )  # fmt: skip
    sandbox.open_outbox().note_request(callback)
    return callback
