"""Admin routes for stubs and faults."""

from collections.abc import Iterator, Sequence
from typing import Any

from mockserver.engine.overrides import StubError, read_rules
from mockserver.openapi.schema import Schema
from mockserver.redaction import redacted_json
from mockserver.sandbox.stubs.rules import MAX_RULES, Rule
from mockserver.sandbox.stubs.schema import RULE_SCHEMA, STANDING_FAULT_SCHEMA
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, object_schema
from mockserver.web.admin.views import iso_instant

NEXT, FAULT = "next", "fault"
"""Origins of rules."""


def next_(call: AdminCall) -> Any:
    """Appended to the installed stubs; `times` is 1 by default."""
    (rule,) = _install(call, [call.body], NEXT, times=1)
    return _stub_json(rule)


def stubs(call: AdminCall) -> Any:
    return {"stubs": _stubs_json(call)}


def delete_stubs(call: AdminCall) -> Any:
    return {"removed": call.sandbox.rules.remove()}


def delete_stub(call: AdminCall) -> Any:
    id_ = call.path["id"]
    if not call.sandbox.rules.remove(lambda rule: rule.id == id_):
        raise AdminRefusal(404, "No stub with this id is installed; one that is used up or over is gone.")
    return {"removed": 1}


def faults(call: AdminCall) -> Any:
    return {"faults": _stubs_json(call, FAULT)}


def put_faults(call: AdminCall) -> Any:
    """Standing faults: `times` is unlimited by default."""
    _install(call, call.body["faults"], FAULT, times=None, instead_of=FAULT)
    return faults(call)


def delete_faults(call: AdminCall) -> Any:
    return {"removed": call.sandbox.rules.remove(lambda rule: rule.origin == FAULT)}


_FAULTS = object_schema("faults", faults={"type": "array", "maxItems": MAX_RULES, "items": STANDING_FAULT_SCHEMA})

ROUTES = (
    AdminRoute("POST", "/next", next_, Schema(RULE_SCHEMA, {})),
    AdminRoute("GET", "/stubs", stubs, grows=True),
    AdminRoute("DELETE", "/stubs", delete_stubs),
    AdminRoute("DELETE", "/stubs/{id}", delete_stub),
    AdminRoute("GET", "/faults", faults, grows=True),
    AdminRoute("PUT", "/faults", put_faults, _FAULTS, grows=True),
    AdminRoute("DELETE", "/faults", delete_faults),
)


def _install(
    call: AdminCall, definitions: Sequence[Any], origin: str, *, times: int | None, instead_of: str | None = None
) -> list[Rule]:
    try:
        rules = read_rules(definitions, call.engine.services, origin=origin, now=call.now, times=times)
        return call.sandbox.rules.install(rules, instead_of=instead_of)
    except StubError as error:
        raise AdminRefusal(422, f"{error}.", error.violations) from error
    except ValueError as error:
        raise AdminRefusal(422, f"{error}.") from error


def _stubs_json(call: AdminCall, origin: str | None = None) -> Iterator[dict[str, Any]]:
    """The installed rules, in order of precedence."""
    call.sandbox.rules.drop_gone(call.now)
    return (_stub_json(rule) for rule in list(call.sandbox.rules.installed) if origin in {None, rule.origin})


def _stub_json(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "origin": rule.origin,
        "matched": rule.matched,
        "claimed": rule.claimed,
        "left": None if rule.times is None else rule.times - rule.claimed,
        "until": None if rule.until is None else iso_instant(rule.until),
        "definition": redacted_json(rule.definition),
    }
