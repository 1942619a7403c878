"""Admin routes for the clock and the progression."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mockserver.errors import SettingsError
from mockserver.openapi.schema import Schema
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings import parse as syntaxes
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, deduplicated, object_schema, or_422
from mockserver.web.admin.views import iso_instant


def clock(call: AdminCall) -> Any:
    return clock_json(call.sandbox)


def clock_json(sandbox: Sandbox) -> dict[str, Any]:
    """The sandbox's clock."""
    it = sandbox.clock
    now = it.now()
    return {"now": iso_instant(now), "unix": now, "frozen": it.is_frozen, "scale": it.scale}


def put_clock(call: AdminCall) -> Any:
    it, body = call.sandbox.clock, call.body
    if "now" in body:
        instant = read_instant(body["now"])
        or_422(lambda: it.set(instant))
    if "scale" in body:
        it.scale_by(body["scale"])
    if "frozen" in body:
        (it.freeze if body["frozen"] else it.resume)()
    return clock(call)


def advance_clock(call: AdminCall) -> Any:
    body = call.body
    seconds = sum(body.get(name, 0) * worth for name, worth in _UNIT_SECONDS.items())
    or_422(lambda: call.sandbox.clock.advance(seconds))
    return clock(call)


def freeze_clock(call: AdminCall) -> Any:
    call.sandbox.clock.freeze()
    return clock(call)


def resume_clock(call: AdminCall) -> Any:
    call.sandbox.clock.resume()
    return clock(call)


def scale_clock(call: AdminCall) -> Any:
    call.sandbox.clock.scale_by(call.body["scale"])
    return clock(call)


def progression(call: AdminCall) -> Any:
    return progression_json(call.sandbox)


def progression_json(sandbox: Sandbox) -> dict[str, Any]:
    """What makes the sandbox's batches progress."""
    return progression_fields(sandbox.progression.kind, sandbox.progression.amount)


def put_progression(call: AdminCall) -> Any:
    """Applies to batches queued from now on; earlier ones keep their progression."""
    call.sandbox.progression = read_progression(call.body)
    return progression(call)


_AMOUNTS = {"time": "seconds", "polls": "polls"}
_UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
_POSITIVE = {"type": "number", "exclusiveMinimum": 0, "maximum": 1e12}
_SPAN = object_schema(
    at_least=1, **{name: {"type": "number", "minimum": 0, "maximum": LATEST} for name in _UNIT_SECONDS}
)
CLOCK = object_schema(now={"type": ["string", "number"]}, frozen={"type": "boolean"}, scale=_POSITIVE)
PROGRESSION = Schema(
    {
        "description": (
            '"immediate", "time:SECONDS" or "polls:COUNT"; or {"progression": "immediate"}, '
            '{"progression": "time", "seconds": 2} or {"progression": "polls", "polls": 3}'
        ),
        "oneOf": [
            {"type": "string"},  # orjson's error says more
            object_schema("progression", progression={"const": "immediate"}).definition,
            object_schema(
                "progression",
                "seconds",
                progression={"const": "time"},
                seconds={"type": "number", "minimum": 0, "maximum": 1e12},
            ).definition,
            object_schema(
                "progression",
                "polls",
                progression={"const": "polls"},
                polls={"type": "integer", "minimum": 1, "maximum": 10**6},
            ).definition,
        ],
    },
    {},
)

ROUTES = (
    AdminRoute("GET", "/clock", clock),
    AdminRoute(
        "PUT",
        "/clock",
        put_clock,
        CLOCK,
    ),
    AdminRoute("POST", "/clock/advance", advance_clock, _SPAN),
    AdminRoute("POST", "/clock/freeze", freeze_clock),
    AdminRoute("POST", "/clock/resume", resume_clock),
    AdminRoute("POST", "/clock/scale", scale_clock, object_schema("scale", scale=_POSITIVE)),
    AdminRoute("GET", "/progression", progression),
    AdminRoute("PUT", "/progression", put_progression, PROGRESSION),
)


def read_progression(body: Mapping[str, Any] | str) -> Progression:
    """The progression of the body of PUT /progression; raises AdminRefusal for an invalid text."""
    if isinstance(body, str):
        body = _progression_json(body)
    kind = body["progression"]
    amount = body[_AMOUNTS[kind]] if kind in _AMOUNTS else 0
    return Progression(kind, int(amount) if kind == "polls" else amount)


def _progression_json(text: str) -> dict[str, Any]:
    """The object of a text such as `polls:3`, within the bounds of the setting."""
    try:
        body = progression_fields(*syntaxes.read_progression(text))
    except SettingsError as error:
        raise AdminRefusal(422, f"{error}.") from error
    violations = PROGRESSION.violations(body, ("body",))
    if violations:
        raise AdminRefusal(422, "The body is not what this call takes.", deduplicated(violations))
    return body


def progression_fields(kind: str, amount: float) -> dict[str, Any]:
    """The progression as JSON: `{"progression": "polls", "polls": 3}`."""
    return {"progression": kind} | ({_AMOUNTS[kind]: amount} if kind in _AMOUNTS else {})


def read_instant(came: str | float) -> float:
    """Unix seconds of an instant in a body; raises AdminRefusal."""
    if isinstance(came, int | float):
        return came
    try:
        instant = datetime.fromisoformat(came)
    except ValueError as error:
        raise AdminRefusal(422, f"now is {came[:100]!r}; wanted an ISO 8601 instant or Unix seconds.") from error
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
