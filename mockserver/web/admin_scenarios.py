"""Admin verbs for scenarios, and for the conditions that a sandbox lives under."""

from typing import Any

from mockserver.contract.scenarios import Scenario
from mockserver.contract.schema import Schema
from mockserver.redaction import redacted_json
from mockserver.state.conditions import NORMAL
from mockserver.state.setups import checked_conditions, read_setup
from mockserver.text import nearest
from mockserver.web.calls import AdminCall, AdminRefusal, Verb, obeyed


def scenarios(call: AdminCall) -> Any:
    return {"scenarios": [_shown(each) for each in call.engine.scenarios.by_name.values()]}


def scenario(call: AdminCall) -> Any:
    found = _find(call)
    return {**_shown(found), "scenario": redacted_json(found.content)}


def apply_scenario(call: AdminCall) -> Any:
    """Set the sandbox up as the scenario says, on top of what it holds; with `reset=true` after making it new."""
    found, reset = _find(call), _read_reset(call)
    setup = read_setup(found.name, found.content)
    obeyed(lambda: setup.apply(call.sandbox, magic=call.engine.settings.magic, reset=reset))
    return {"applied": found.name, "sets": found.parts, "reset": reset}


def conditions(call: AdminCall) -> Any:
    return {"conditions": call.sandbox.conditions.described()}


def put_conditions(call: AdminCall) -> Any:
    """Conditions in place of those that were there, for what happens from now on."""
    violations = call.engine.scenarios.conditions.violations(call.body, ("body",))
    if violations:
        raise AdminRefusal(422, "The body is not what this call takes.", violations)

    def change() -> None:
        call.sandbox.conditions = checked_conditions(call.body, ("body",))

    obeyed(change)
    return conditions(call)


def delete_conditions(call: AdminCall) -> Any:
    call.sandbox.conditions = NORMAL
    return conditions(call)


VERBS = (
    Verb("GET", "/scenarios", scenarios),
    Verb("GET", "/scenarios/{name}", scenario),
    Verb("POST", "/scenarios/{name}", apply_scenario, parameters=frozenset({"reset"})),
    Verb("GET", "/conditions", conditions),
    Verb("PUT", "/conditions", put_conditions, Schema({"type": "object"}, {})),
    Verb("DELETE", "/conditions", delete_conditions),
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


def _shown(found: Scenario) -> dict[str, Any]:
    return {"name": found.name, "description": found.description, "source": found.source, "sets": found.parts}
