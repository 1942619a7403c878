"""Admin routes for callbacks."""

from typing import Any

import orjson

from mockserver.redaction import redacted_text
from mockserver.sandbox.callbacks import UNDECIDED, Callback, State
from mockserver.sandbox.clock import LATEST
from mockserver.text import did_you_mean
from mockserver.web.admin.call import MAX_ROWS, PAGE, AdminCall, AdminRefusal, AdminRoute, read_count
from mockserver.web.admin.views import iso_instant


def callbacks(call: AdminCall) -> Any:
    """Due callbacks in due order, then pending ones; `next` is the `after` of the following page."""
    call.engine.settle(call.sandbox)
    limit, after = read_count(call, "limit", 100, MAX_ROWS), read_count(call, "after", 0, 2**53)
    outbox = call.sandbox.outbox
    found = outbox.every() if outbox else []
    if "state" in call.query:
        wanted = _read_state(call.query["state"])
        found = [each for each in found if each.state is wanted]
    return {
        "callbacks": (_callback_json(each) for each in found[after : after + limit]),
        "next": after + limit if len(found) > after + limit else None,
        "pending": len(outbox.pending) if outbox else 0,
        "dropped": outbox.dropped if outbox else 0,
    }


def delete_callbacks(call: AdminCall) -> Any:
    """Remove all callbacks; pending ones are never sent."""
    outbox = call.sandbox.outbox
    forgotten = len(outbox.every()) if outbox else 0
    call.sandbox.remove_callbacks()
    return {"forgotten": forgotten}


def redeliver_callback(call: AdminCall) -> Any:
    outbox, id_ = call.sandbox.outbox, call.path["id"]
    found = outbox.find(id_) if outbox else None
    if outbox is None or found is None:
        raise AdminRefusal(404, f"No callback has the id {id_[:100]!r}.")
    if found.state in UNDECIDED:
        raise AdminRefusal(409, f"The callback is {found.state}; only what has come to an end can be sent again.")
    outbox.redeliver(id_)
    call.engine.settle(call.sandbox)
    return _callback_json(outbox.find(id_) or found)


ROUTES = (
    AdminRoute("GET", "/callbacks", callbacks, parameters=PAGE | {"state"}, grows=True),
    AdminRoute("DELETE", "/callbacks", delete_callbacks),
    AdminRoute("POST", "/callbacks/{id}/redeliver", redeliver_callback),
)


def _read_state(text: str) -> State:
    if text not in set(State):
        raise AdminRefusal(400, f"state is {text[:100]!r}; wanted one of {', '.join(State)}{did_you_mean(text, State)}")
    return State(text)


def _callback_json(callback: Callback) -> dict[str, Any]:
    return {
        "id": callback.id,
        "number": callback.number,
        "target": redacted_text(callback.target),
        "state": callback.state,
        "due": iso_instant(callback.due) if callback.due <= LATEST else None,
        "payload": orjson.loads(callback.payload) if callback.payload else None,
        "attempts": [
            {**each._asdict(), "at": iso_instant(each.at), "error": redacted_text(each.error)}
            for each in callback.attempts
        ],
    }
