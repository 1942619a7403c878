"""Definitions of rules: JSON Schema and parser."""

from collections.abc import Mapping
from typing import Any

import orjson

from mockserver.json_bodies import check_depth
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.ids import canonical
from mockserver.sandbox.stubs.faults import FAULT_SCHEMA, Fault, read_fault
from mockserver.sandbox.stubs.matcher import MATCHER_PROPERTIES, read_matcher
from mockserver.sandbox.stubs.responses import REPLY_SCHEMA, STATUS_SCHEMA, check_headers
from mockserver.sandbox.stubs.rules import Rule, RuleSnapshot
from mockserver.settings.parse import read_instant

MAX_SIZE = 256 * 1024
"""The most bytes of one rule's definition, as JSON."""
MAX_TIMES = 10**9
MAX_SPAN = 1e12

RULE_PROPERTIES: Mapping[str, Any] = {
    **MATCHER_PROPERTIES,
    "reply": REPLY_SCHEMA,
    "status": STATUS_SCHEMA,
    "fault": FAULT_SCHEMA,
    "times": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_TIMES},
    "after": {"type": "integer", "minimum": 0, "maximum": MAX_TIMES},
    "probability": {"type": "number", "minimum": 0, "maximum": 1},
    "until": {"type": ["string", "number"]},
    "for": {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_SPAN},
    "undocumented": {"type": "boolean"},
}
RULE_SCHEMA: Mapping[str, Any] = {
    "description": "a status, a reply or a fault",
    "type": "object",
    "additionalProperties": False,
    "properties": RULE_PROPERTIES,
    "anyOf": [{"required": ["reply"]}, {"required": ["status"]}, {"required": ["fault"]}],
    "allOf": [{"not": {"required": ["reply", "status"]}}, {"not": {"required": ["until", "for"]}}],
}
"""JSON Schema of a rule's definition. `status` is short for a `reply` with only that status."""

STANDING_FAULT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["fault"],
    "properties": {name: each for name, each in RULE_PROPERTIES.items() if name not in {"reply", "status"}},
    "allOf": [{"not": {"required": ["until", "for"]}}],
}
"""JSON Schema of a rule that has only a fault."""


def read_rule(definition: Mapping[str, Any], *, origin: str, now: float, times: int | None = 1) -> Rule:
    """The rule of a definition that fits RULE_SCHEMA.

    `times` is the default. Raises ValueError for what the schema cannot express.
    """
    try:
        size = len(canonical(definition))
        check_depth(definition)
    except orjson.JSONEncodeError as error:
        raise ValueError("the rule is nested too deeply, or not JSON") from error
    if size > MAX_SIZE:
        raise ValueError(f"the rule has {size} bytes; wanted at most {MAX_SIZE}")
    shorthand = {"status": definition["status"]} if "status" in definition else None
    reply = definition.get("reply", shorthand)
    fault = read_fault(definition["fault"]) if "fault" in definition else None
    _check_one_answer(reply, fault)
    check_headers(reply or {})
    matcher = read_matcher(definition)
    return Rule(
        definition,
        origin,
        matcher,
        reply,
        fault,
        definition.get("times", times),
        definition.get("after", 0),
        definition.get("probability", 1.0),
        _read_end(definition, now),
        definition.get("undocumented", False),
        size,
        matcher.steps,
    )


def restored_rule(kept: RuleSnapshot) -> Rule:
    """The rule of a snapshot whose definition fits RULE_SCHEMA; raises ValueError like read_rule."""
    lasting = {name: value for name, value in kept.definition.items() if name not in {"until", "for"}}
    rule = read_rule(lasting, origin=kept.origin, now=0.0, times=kept.times)
    counts = {name: getattr(kept, name) for name in ("definition", "times", "until", "id", "matched", "claimed")}
    return rule._replace(**counts)


def _check_one_answer(reply: Mapping[str, Any] | None, fault: Fault | None) -> None:
    if reply is not None and fault is not None and fault.status is not None:
        raise ValueError(f"the rule has a reply and a fault of status {fault.status}; wanted one of them")


def _read_end(definition: Mapping[str, Any], now: float) -> float | None:
    if "for" in definition:
        return min(now + float(definition["for"]), LATEST)
    if "until" not in definition:
        return None
    came = definition["until"]
    instant = read_instant(came) if isinstance(came, str) else float(came)
    if instant is None:
        raise ValueError(f"until is {came[:100]!r}; wanted an ISO 8601 instant or Unix seconds")
    if not instant > now:  # also false for NaN
        raise ValueError(f"until is {came!r}, which is over; the sandbox's clock stands at {now!r}")
    return min(instant, LATEST)
