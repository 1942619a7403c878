"""Changes the parts of a value that do not fit a schema: a generated value's rare conflicts, an outdated example."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mockserver.errors import Violation
from mockserver.openapi.generate.steps import Budget, TooCostly
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.schema import Schema

ROUNDS = 9
"""How often the value is validated again."""
REMOVING = 5
"""The round after which a property that never fits is left out."""
MAX_MENDED = 40
"""The most parts that are changed between two validations."""


def mended(value: Any, schema: Schema, *, key: bytes) -> Any:
    """The value with other parts where it breaks the schema; it may still break it where parts exclude each other."""
    value, budget = deepcopy(value), Budget()
    try:
        for n in range(ROUNDS):
            found = schema.violations(value)
            if not found:
                return value
            for number, each in enumerate(found[:MAX_MENDED]):
                value = _mend(value, each, schema, key + b"%d-%d" % (n, number), budget, round_=n)
    except TooCostly:
        pass  # as far as it was mended
    return value


def _mend(value: Any, violation: Violation, schema: Schema, key: bytes, budget: Budget, *, round_: int) -> Any:
    """The value with another part at a violation's location; later rounds change more of it."""
    holder, node, step = None, value, None
    for each in violation.location:
        holder, step = node, each
        try:
            node = node[each]
        except (KeyError, IndexError, TypeError):
            return value
    if round_ >= REMOVING and round_ % 2 and isinstance(holder, dict):
        del holder[step]
        return value
    made = _other_part(node, violation, schema, key, budget)
    if holder is None:
        return made
    holder[step] = made
    return value


def _other_part(node: Any, violation: Violation, schema: Schema, key: bytes, budget: Budget) -> Any:
    """What takes the place of a part that breaks the rule of a violation."""
    rule = violation.rule if isinstance(violation.rule, Mapping) else {}
    if violation.code in {"additionalProperties", "unevaluatedProperties"} and isinstance(node, dict):
        known = schema.resolved(rule).get("properties", {})
        return {name: each for name, each in node.items() if name in known}
    made = generate_value(rule, root=schema.document, key=key, budget=budget)
    is_lacking = violation.code in {"required", "minProperties"}
    return {**made, **node} if is_lacking and isinstance(node, dict) and isinstance(made, dict) else made
