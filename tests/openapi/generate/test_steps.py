"""What a schema and a value cost, in counted steps."""

from typing import Any

import pytest

from mockserver.openapi.generate import steps
from mockserver.openapi.generate.steps import (
    FREE_STEPS,
    MAX_BATCH_STEPS,
    MAX_BYTES,
    MAX_NODES,
    MAX_PATTERN_BYTES,
    MAX_PATTERNS,
    MAX_STEPS,
    VISIT,
    Budget,
    TooCostly,
    check_size,
    largest_pattern,
    validation_steps,
)
from mockserver.openapi.regex import pattern_size, pattern_weight

A = pattern_weight("a")


def test_the_limits() -> None:
    assert (MAX_STEPS, MAX_BATCH_STEPS, FREE_STEPS) == (500_000, 20_000_000, 2_000)
    assert (MAX_BYTES, MAX_NODES, MAX_PATTERNS, MAX_PATTERN_BYTES, VISIT) == (200_000, 20_000, 32, 2_097_152, 8)


def test_a_budget_lasts_to_its_last_step() -> None:
    budget = Budget(10)

    budget.spend(4)
    budget.spend(6)

    assert (budget.spent, budget.left) == (10, 0)
    with pytest.raises(TooCostly, match="an answer would take too much work"):
        budget.spend(1)
    assert Budget().left == MAX_STEPS


def test_steps_of_a_line_beyond_the_free_ones_are_also_those_of_the_batch() -> None:
    batch = Budget(MAX_BATCH_STEPS)
    line = Budget(shared=batch)

    line.spend(FREE_STEPS)
    assert batch.spent == 0
    line.spend(5)
    assert batch.spent == 5
    line.spend(7)
    assert batch.spent == 12
    Budget(shared=batch).spend(FREE_STEPS + 3)
    assert batch.spent == 15


def test_a_batch_whose_steps_are_spent_ends_its_lines() -> None:
    batch = Budget(1)
    Budget(shared=batch).spend(FREE_STEPS + 1)

    with pytest.raises(TooCostly):
        Budget(shared=batch).spend(FREE_STEPS + 1)


# The size of a schema


def refusal_of(definition: Any, **largest: int) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        check_size(definition, largest)
    return str(caught.value)


def test_a_schema_has_at_most_20000_parts() -> None:
    fitting = {"enum": [0] * (MAX_NODES - 2)}

    check_size(fitting, {})
    assert refusal_of({"enum": [0] * (MAX_NODES - 1)}) == "it has more than 20000 parts"


def test_the_numbers_of_keywords_are_bounded() -> None:
    check_size({"items": {"minItems": 5}, "minLength": "many"}, {"minItems": 5, "minLength": 1})
    assert refusal_of({"items": {"minItems": 6}}, minItems=5) == "minItems is 6; no more than 5 is made up here"
    assert refusal_of({"minItems": 5.5}, minItems=5) == "minItems is 5.5; no more than 5 is made up here"
    assert refusal_of({"minItems": 1, "minLength": 2}, minItems=5, minLength=1).startswith("minLength is 2")


def test_a_schema_has_at_most_32_different_patterns() -> None:
    names = {f"^{n}": {"pattern": f"{n}$"} for n in range(16)}

    check_size({"patternProperties": names, "items": {"pattern": "0$"}, "pattern": 5}, {})
    assert refusal_of({"patternProperties": names, "pattern": "x"}) == "it has 33 patterns; at most 32 are supported"


def test_all_patterns_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"items": {"pattern": "ab"}, "patternProperties": {"cd": True}}
    both = pattern_size("ab") + pattern_size("cd")
    monkeypatch.setattr(steps, "MAX_PATTERN_BYTES", both)
    check_size(schema, {})
    monkeypatch.setattr(steps, "MAX_PATTERN_BYTES", both - 1)
    assert refusal_of(schema) == f"its patterns compile to more than {both - 1} bytes"


def test_the_largest_pattern_of_a_schema() -> None:
    large = "(abc|def){3}"

    assert largest_pattern({"items": {"pattern": "a"}, "patternProperties": {large: True}}) == pattern_size(large)
    assert largest_pattern({"items": {"pattern": large}, "pattern": "a"}) == pattern_size(large)
    assert largest_pattern({"pattern": 5, "patternProperties": []}) == 0


# The cost of validating


@pytest.mark.parametrize(
    ("schema", "value", "cost"),
    [
        ({}, 1, 1),
        ({"type": "string"}, "x" * 7, 2),
        ({"type": "string"}, "x" * 17, 4),
        ({"enum": [1, 2, 3]}, 1, 5),
        ({"required": ["a", "b"]}, 1, 4),
        ({"dependentRequired": {"a": ["b", "c"], "d": []}}, 1, 6),
        ({"pattern": "a"}, "abc", 2 + A * 4),
        ({"pattern": "a"}, 5, 2),
        ({"not": {}}, 1, 3),
        ({"if": {}, "then": True, "else": {}}, 1, 1 + 3 + 1 + 1 + 1),
        ({"allOf": [{}, {"type": "null"}], "anyOf": [True], "oneOf": [False]}, 1, 1 + 3 + 1 + 2 + 1 + 1),
        ({"dependentSchemas": {"a": {"type": "null"}}}, 1, 1 + 1 + 2),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}, 1, 1 + 2 + 2),
        ({"properties": {"a": {}, "b": {"type": "null"}}}, {}, 2 + 2),
        ({"properties": {"a": {"type": "null"}}}, {"a": 1}, 2 + 1 + 1 + 2),
        ({"properties": {"a": True}}, {"b": 1}, 2 + 1 + 1),
        ({"patternProperties": {"a": {"type": "null"}}}, {"abc": 1}, 2 + 1 + A * 4 + 2),
        ({"additionalProperties": {"type": "null"}}, {"a": 1, "b": 2}, 2 + 2 * (1 + 2)),
        ({"unevaluatedProperties": {"type": "null"}}, {"a": 1}, 2 * (2 + 1 + 2)),
        ({"propertyNames": {"type": "null"}}, {"a": 1}, 2 + 1 + 2),
        ({"items": {"type": "null"}}, [1, 2], 2 + 2 + 2 * 2),
        ({"contains": {"type": "null"}}, [1], 2 + 1 + 2),
        ({"unevaluatedItems": {"type": "null"}}, [1], 2 * (2 + 1 + 2)),
        ({"prefixItems": [{"type": "null"}, True, {}]}, [1, 2], 2 + 2 + 2 + 1),
        ({"items": {"type": "null"}}, {"a": 1}, 2 + 0 + 1),
    ],
)
def test_the_steps_of_a_schema_and_a_value(schema: Any, value: Any, cost: int) -> None:
    assert validation_steps(schema, value, 10_000) == cost


def test_a_pair_is_counted_again_but_examined_once() -> None:
    """Every level doubles the steps, which a walk of all paths would take years for."""
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(40):
        schema = {"allOf": [schema, schema]}

    assert validation_steps(schema, 1, 10**14) == 2**40 * 2 + (2**40 - 1) * 2


def test_what_is_more_than_the_most_is_too_costly() -> None:
    schema = {"enum": list(range(20))}

    assert validation_steps(schema, 1, 22) == 22
    with pytest.raises(TooCostly, match="validating an answer would take too much work"):
        validation_steps(schema, 1, 21)


def test_a_visit_of_each_pair_counts_eight_steps() -> None:
    schema: dict[str, Any] = {"items": {}}

    assert validation_steps(schema, [1, 2], 24) == 6
    with pytest.raises(TooCostly):
        validation_steps(schema, [1, 2], 23)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#"}, "it refers to itself without end"),
        ({"allOf": [{"$ref": "#"}]}, "it refers to itself without end"),
        ({"$ref": "other"}, "$ref is 'other'; only references inside the schema (#/…) are followed"),
        ({"$ref": "#a"}, "$ref is '#a'; only references"),
        ({"$ref": 5}, "$ref is '5'; only references"),
        ({"$ref": "x" * 200}, f"$ref is '{'x' * 100}'; only"),
        ({"$dynamicRef": "#a"}, "$dynamicRef is not supported"),
        ({"not": {"$recursiveRef": "#"}}, "$recursiveRef is not supported"),
        ({"not": {"$id": "a"}}, "$id inside a schema is not supported"),
    ],
)
def test_references_that_cannot_be_followed_are_refused(schema: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        validation_steps(schema, 1, 10_000)

    assert str(caught.value).startswith(words)


def test_a_schema_may_have_an_id_and_refer_to_itself_below_a_value() -> None:
    schema = {"$id": "a", "properties": {"a": {"$ref": "#"}}}

    assert validation_steps(schema, {"a": {}}, 1000) == (1 + 2) + 1 + 1 + (1 + 1 + (1 + 2 + 1))
