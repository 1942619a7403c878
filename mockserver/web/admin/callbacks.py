"""Admin routes for callbacks."""

from asyncio import _get_running_loop
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.errors import NeedsThread
from mockserver.lazy import lazy_module
from mockserver.openapi.operations import is_json
from mockserver.openapi.schema import Schema
from mockserver.redaction import redacted_json, redacted_text
from mockserver.sandbox.callbacks import UNDECIDED, Callback, State
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.ids import canonical
from mockserver.text import did_you_mean
from mockserver.web.admin.call import PAGE, AdminCall, AdminRefusal, AdminRoute, page_of, read_page
from mockserver.web.admin.views import iso_instant

if TYPE_CHECKING:
    from mockserver.engine import sent_requests
else:
    sent_requests = lazy_module("mockserver.engine.sent_requests")

MAX_URL = 4096
MAX_PAYLOAD = 256 * 1024
"""The most bytes of a webhook's payload as JSON: an inbox keeps a thousand."""


def callbacks(call: AdminCall) -> Any:
    """Due callbacks in due order, then pending ones; `next` is the `after` of the following page."""
    _claim_due(call)
    limit, after = read_page(call)
    outbox = call.sandbox.outbox
    found = outbox.every() if outbox else []
    if "state" in call.query:
        wanted = _read_state(call.query["state"])
        found = [each for each in found if each.state is wanted]
    page, more = page_of(found[after:], limit, after)
    return {
        "callbacks": (callback_json(each) for each in page),
        "next": more,
        "pending": outbox.counts()[0] if outbox else 0,
        "dropped": outbox.dropped if outbox else 0,
    }


def _claim_due(call: AdminCall) -> None:
    """Claim the callbacks that are due; raises NeedsThread if the sandbox's lane claims them, before anything else."""
    now, outbox = call.now, call.sandbox.outbox
    call.engine.settle(call.sandbox)
    if outbox is not None and _get_running_loop() is not None and outbox.next_due() <= now:
        raise NeedsThread("many callbacks are due")


def delete_callbacks(call: AdminCall) -> Any:
    """Remove all callbacks; pending ones are never sent."""
    outbox = call.sandbox.outbox
    forgotten = sum(outbox.counts()) if outbox else 0
    call.sandbox.remove_callbacks()
    return {"forgotten": forgotten}


def redeliver_callback(call: AdminCall) -> Any:
    _claim_due(call)
    outbox, id_ = call.sandbox.outbox, call.path["id"]
    found = outbox.find(id_) if outbox else None
    if outbox is None or found is None:
        raise AdminRefusal(404, f"No callback has the id {id_[:100]!r}.")
    if found.state in UNDECIDED:
        raise AdminRefusal(409, f"The callback is {found.state}; only what has come to an end can be sent again.")
    outbox.redeliver(id_)
    call.engine.settle(call.sandbox)
    return callback_json(outbox.find(id_) or found)


def webhooks(call: AdminCall) -> Any:
    """The webhooks of the documents that are served."""
    return {"webhooks": [{"name": each.name, "method": each.method} for each in call.engine.webhooks]}


def send_webhook(call: AdminCall) -> Any:
    """Send a webhook to a URL: with this payload, else with the document's example or a generated one."""
    name = call.path["name"]
    found = next((each for each in call.engine.webhooks if each.name == name), None)
    if found is None:
        names = [each.name for each in call.engine.webhooks]
        raise AdminRefusal(404, f"No document has a webhook {name[:100]!r}.{did_you_mean(name, names)}")
    _claim_due(call)
    given = orjson.dumps(call.body["payload"]) if "payload" in call.body else b""
    if len(given) > MAX_PAYLOAD:
        raise AdminRefusal(413, f"The payload is larger than {MAX_PAYLOAD} bytes.")
    key = call.sandbox.ids.next(f"webhook {name}", canonical(call.body))
    payload = sent_requests.Payload(given, "application/json") if given else sent_requests.payload_of(found, key)
    callback = sent_requests.add_request(call.sandbox, found, call.body["url"], key, payload)
    call.engine.settle(call.sandbox)
    outbox = call.sandbox.outbox
    return callback_json((outbox and outbox.find(callback.id)) or callback)


_WEBHOOK = Schema(
    {
        "type": "object",
        "required": ["url"],
        "properties": {"url": {"type": "string", "minLength": 1, "maxLength": MAX_URL}, "payload": {}},
        "additionalProperties": False,
    },
    {},
)

ROUTES = (
    AdminRoute("GET", "/callbacks", callbacks, parameters=PAGE | {"state"}, grows=True),
    AdminRoute("DELETE", "/callbacks", delete_callbacks),
    AdminRoute("POST", "/callbacks/{id}/redeliver", redeliver_callback),
    AdminRoute("GET", "/webhooks", webhooks),
    AdminRoute("POST", "/webhooks/{name}", send_webhook, _WEBHOOK),
)


def _read_state(text: str) -> State:
    if text not in set(State):
        raise AdminRefusal(400, f"state is {text[:100]!r}; wanted one of {', '.join(State)}{did_you_mean(text, State)}")
    return State(text)


def _payload_json(callback: Callback) -> Any:
    """The payload as JSON, or its text if it is something else."""
    if not callback.payload:
        return None
    if not is_json(callback.media_type):
        return _shown(callback.payload.decode("utf-8", "replace"), callback)
    try:
        return _shown(orjson.loads(callback.payload), callback)
    except orjson.JSONDecodeError:
        if not callback.is_received:
            raise
        return _shown(callback.payload.decode("utf-8", "replace"), callback)


def _shown(payload: Any, callback: Callback) -> Any:
    """A payload of another server may hold credentials."""
    return redacted_json(payload) if callback.is_received else payload


def callback_json(callback: Callback) -> dict[str, Any]:
    return {
        "id": callback.id,
        "number": callback.number,
        "target": redacted_text(callback.target),
        "state": callback.state,
        "due": iso_instant(callback.due) if callback.due <= LATEST else None,
        "method": callback.method,
        "payload": _payload_json(callback),
        "attempts": [
            {**each._asdict(), "at": iso_instant(each.at), "error": redacted_text(each.error)}
            for each in callback.attempts
        ],
        "violations": redacted_json(orjson.loads(callback.violations or b"[]")),
    }
