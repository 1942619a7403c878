"""Admin verbs for the server and the sandbox as a whole."""

from collections.abc import Callable
from typing import Any

from mockserver import __version__
from mockserver.web.calls import AdminCall, AdminRefusal, Verb, obeyed


def version(call: AdminCall) -> Any:  # noqa: ARG001  every verb takes the call
    return {"name": "mockserver", "version": __version__}


def openapi(call: AdminCall) -> Any:
    return call.engine.services[0].world.spec.document


def reset(call: AdminCall) -> Any:
    call.sandbox.reset()
    return {"reset": ["journal", "state", "stubs", "clock", "progression", "conditions"]}


def reset_part(call: AdminCall) -> Any:
    parts: dict[str, Callable[[], object]] = {
        "journal": call.sandbox.journal.clear,
        "state": call.sandbox.reset_state,
        "stubs": call.sandbox.rules.remove,
        "clock": lambda: obeyed(call.sandbox.reset_clock),
        "progression": call.sandbox.reset_progression,
        "conditions": call.sandbox.reset_conditions,
    }
    part = call.path["part"]
    if part not in parts:
        raise AdminRefusal(404, f"There is no part {part!r} to reset; there are {', '.join(parts)}.")
    parts[part]()
    return {"reset": [part]}


VERBS = (
    Verb("GET", "/version", version),
    Verb("GET", "/openapi.json", openapi),
    Verb("POST", "/reset", reset),
    Verb("POST", "/reset/{part}", reset_part),
)
