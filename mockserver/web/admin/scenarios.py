"""Admin routes for scenarios and conditions."""

from typing import Any

from mockserver.fixtures.scenarios import Scenario
from mockserver.openapi.schema import Schema
from mockserver.redaction import redacted_json
from mockserver.sandbox.conditions import NORMAL
from mockserver.sandbox.scenario import parse_conditions, read_actions
from mockserver.text import nearest
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, or_422


def scenarios(call: AdminCall) -> Any:
    return {"scenarios": [_scenario_json(each) for each in call.engine.scenarios.by_name.values()]}


def scenario(call: AdminCall) -> Any:
    found = _find(call)
    return {**_scenario_json(found), "scenario": redacted_json(found.content)}


def apply_scenario(call: AdminCall) -> Any:
    """Apply the scenario to the sandbox; with `reset=true` after a reset."""
    found, reset = _find(call), _read_reset(call)
    setup = read_actions(found.name, found.content)
    or_422(lambda: setup.apply(call.sandbox, magic=call.engine.settings.magic, reset=reset))
    return {"applied": found.name, "sets": found.parts, "reset": reset}


def conditions(call: AdminCall) -> Any:
    return {"conditions": call.sandbox.conditions.described()}


def put_conditions(call: AdminCall) -> Any:
    """Replace the conditions, for later requests."""
    violations = call.engine.scenarios.conditions.violations(call.body, ("body",))
    if violations:
        raise AdminRefusal(422, "The body is not what this call takes.", violations)

    def change() -> None:
        call.sandbox.conditions = parse_conditions(call.body, ("body",))

    or_422(change)
    return conditions(call)


def delete_conditions(call: AdminCall) -> Any:
    call.sandbox.conditions = NORMAL
    return conditions(call)


ROUTES = (
    AdminRoute("GET", "/scenarios", scenarios),
    AdminRoute("GET", "/scenarios/{name}", scenario),
    AdminRoute("POST", "/scenarios/{name}", apply_scenario, parameters=frozenset({"reset"})),
    AdminRoute("GET", "/conditions", conditions),
    AdminRoute("PUT", "/conditions", put_conditions, Schema({"type": "object"}, {})),
    AdminRoute("DELETE", "/conditions", delete_conditions),
)


def _find(call: AdminCall) -> Scenario:
    name = call.path["name"]
    found = call.engine.scenarios.by_name.get(name)
    if found is None:
        known, near = ", ".join(call.engine.scenarios.by_name), nearest(name, call.engine.scenarios.by_name)
        hint = f" Did you mean {near}?" if near else ""
        raise AdminRefusal(404, f"There is no scenario {name[:100]!r}; there are {known}.{hint}")
    return found


def _read_reset(call: AdminCall) -> bool:
    text = call.query.get("reset", "false")
    if text not in {"true", "false"}:
        raise AdminRefusal(400, f"reset is {text[:100]!r}; wanted true or false.")
    return text == "true"


def _scenario_json(found: Scenario) -> dict[str, Any]:
    return {"name": found.name, "description": found.description, "source": found.source, "sets": found.parts}
