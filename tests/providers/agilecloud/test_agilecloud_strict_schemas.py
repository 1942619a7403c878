"""Strict schemas: what OpenAI refuses in them, at any depth, and in which words."""

from typing import Any

import pytest

from mockserver.providers.agilecloud.chat.strict_schemas import MAX_PARTS, strictness_problem

CLOSE = "'additionalProperties' is required to be supplied and to be false."
REQUIRE = "'required' is required to be supplied and to be an array including every key in properties."


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False
    }  # fmt: skip


OPEN = {"type": "object", "properties": {}}
TREE = closed(value={"type": "number"}, children={"type": "array", "items": {"$ref": "#"}})


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (OPEN, f"In context=(), {CLOSE}"),
        ({"type": "object"}, f"In context=(), {CLOSE}"),
        ({**OPEN, "additionalProperties": True}, f"In context=(), {CLOSE}"),
        ({**OPEN, "additionalProperties": {"type": "string"}}, f"In context=(), {CLOSE}"),
        (closed(a=OPEN), f"In context=('properties', 'a'), {CLOSE}"),
        (closed(a={"type": "array", "items": OPEN}), f"In context=('properties', 'a', 'items'), {CLOSE}"),
        (closed(a={"anyOf": [{"type": "null"}, OPEN]}), f"In context=('properties', 'a', 'anyOf', '1'), {CLOSE}"),
        (closed(a={"type": ["object", "null"]}), f"In context=('properties', 'a'), {CLOSE}"),
        ({**closed(), "$defs": {"b": OPEN}}, f"In context=('$defs', 'b'), {CLOSE}"),
        ({**closed(), "definitions": {"b": closed(c=OPEN)}},
         f"In context=('definitions', 'b', 'properties', 'c'), {CLOSE}"),
        ({**closed(a={}), "required": []}, f"In context=(), {REQUIRE} Missing 'a'."),
        (closed(a={**closed(b={}, c={}), "required": ["b"]}),
         f"In context=('properties', 'a'), {REQUIRE} Missing 'c'."),
        ({**closed(a={}), "required": ["a", "z"]}, f"In context=(), {REQUIRE} Extra required key 'z' supplied."),
        (closed(a={"allOf": [{"type": "string"}]}), "In context=('properties', 'a'), 'allOf' is not permitted."),
        (closed(a={"oneOf": []}), "In context=('properties', 'a'), 'oneOf' is not permitted."),
        ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        (closed(properties=OPEN),
         f"In context=('properties', 'properties'), {CLOSE}"),
    ],
)  # fmt: skip
def test_a_schema_that_is_not_strict_is_rejected_with_openais_message(schema: dict[str, Any], said: str) -> None:
    assert strictness_problem(schema) == said


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        {"type": "object", "additionalProperties": False},
        closed(a={"type": "string", "enum": ["allOf"]}, required={"type": "array", "items": {"type": "string"}}),
        closed(a={"anyOf": [closed(b={"type": "null"}), {"type": "null"}]}, oneOf={"type": "string"}),
        {**TREE, "$defs": {"leaf": closed(n={"type": "integer"})}},
    ],
)
def test_a_strict_schema_is_accepted(schema: dict[str, Any]) -> None:
    assert strictness_problem(schema) == ""


@pytest.mark.parametrize("part", [[1], "x", None, {"type": 7}, {"properties": 3, "additionalProperties": False}])
def test_an_invalid_schema_is_left_to_the_generator(part: Any) -> None:
    assert strictness_problem(closed(a=part)) == ""


def test_a_large_or_deep_schema_is_checked_within_bounds() -> None:
    deep: dict[str, Any] = closed()
    for _ in range(900):
        deep = closed(a=deep)
    wide = closed(**{f"p{n}": {"type": "string"} for n in range(MAX_PARTS)})

    assert strictness_problem(deep) == ""
    assert strictness_problem(wide) == f"it has more than {MAX_PARTS} parts."
    assert len(strictness_problem(closed(**{"x" * 9_000: OPEN}))) < 500
