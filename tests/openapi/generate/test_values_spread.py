"""Fabricated values use the room that a schema leaves: numbers between bounds, sizes, branches, and where all ends."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types

from mockserver.openapi.generate.values import generate_value

KEYS = [bytes([n]) for n in range(60)]


def values(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> list[Any]:
    """One value for each key, each valid."""
    made = [generate_value(schema, root=root or {}, key=key) for key in KEYS]
    judge = Draft202012Validator({**schema, **(root or {})})
    assert [value for value in made if not judge.is_valid(value)] == []
    return made


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        {"anyOf": [TEXT, {"type": "null"}]},
        {"anyOf": [{"type": "null"}, TEXT]},
        {"oneOf": [{"type": "null"}, TEXT]},
        {"type": ["null", "string"]},
        {"type": ["string", "null"]},
        {"enum": [None, "a", "b"]},
        {"anyOf": [{"type": ["null"]}, TEXT]},
    ],
)
def test_nullable_values_are_not_null_near_the_top(schema: dict[str, Any]) -> None:
    assert {type(value) for value in values(schema)} == {str}


@pytest.mark.parametrize("schema", [{"anyOf": [TEXT, {"type": "null"}]}, {"type": ["string", "null"]}])
def test_nullable_values_are_null_four_levels_deep(schema: dict[str, Any]) -> None:
    for _ in range(4):
        schema = {"type": "object", "required": ["a"], "properties": {"a": schema}}

    assert all(value == {"a": {"a": {"a": {"a": None}}}} for value in values(schema))


def test_every_branch_that_is_not_null_is_taken() -> None:
    schema = {"anyOf": [TEXT, {"type": "integer"}, {"type": "null"}, {"type": "array"}, False]}

    assert {type(value) for value in values(schema)} == {str, int, list}


def test_at_the_depth_limit_the_simplest_branch_is_used() -> None:
    schema: dict[str, Any] = {"anyOf": [{"type": "array"}, {"type": "object"}, {"type": "integer"}]}
    for _ in range(4):
        schema = {"type": "object", "required": ["a"], "properties": {"a": schema}}

    assert {type(value["a"]["a"]["a"]["a"]) for value in values(schema)} == {int}


@pytest.mark.parametrize("type_", ["number", "integer"])
@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ({"minimum": 0, "maximum": 1000}, 0, 1000),
        ({"minimum": -1100, "maximum": -100}, -1100, -100),
        ({"exclusiveMinimum": -500, "exclusiveMaximum": 500}, -500, 500),
        ({"minimum": 7}, 7, 1007),
        ({"maximum": 2000}, 0, 2000),
        ({"maximum": 2000, "exclusiveMaximum": 9000}, 0, 2000),
        ({"maximum": 9000, "exclusiveMaximum": 2000}, 0, 2000),
        ({"minimum": 7, "exclusiveMinimum": 3}, 7, 1007),
        ({"maximum": -7}, -1007, -7),
        ({}, 0, 1000),
        ({"minimum": -(10**6)}, -(10**6), -(10**6) + 1000),
    ],
)
def test_numbers_are_spread_between_their_bounds(type_: str, bounds: dict[str, Any], low: int, high: int) -> None:
    made = values({"type": type_, **bounds})

    tenth = (high - low) / 10
    assert low <= min(made) < low + tenth
    assert high - tenth < max(made) <= high
    assert len(set(made)) > 50
    assert {int((value - low) // tenth) for value in made} >= {1, 2, 3, 4, 5, 6, 7, 8}


def test_every_integer_of_a_small_range_occurs() -> None:
    assert set(values({"type": "integer", "minimum": 1, "maximum": 6})) == {1, 2, 3, 4, 5, 6}
    assert set(values({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 7})) == {1, 2, 3, 4, 5, 6}
    assert set(values({"type": "boolean"})) == {True, False}


def test_random_numbers_have_two_decimals_unless_the_range_is_too_narrow() -> None:
    assert {round(value, 2) == value for value in values({"type": "number", "minimum": 0, "maximum": 100})} == {True}
    narrow = values({"type": "number", "minimum": 0.001, "maximum": 0.002})
    assert len(set(narrow)) > 50
    assert {0.001 < value < 0.002 for value in narrow} == {True}


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        ({"multipleOf": 0.01, "minimum": 1, "maximum": 1.05}, {1, 1.01, 1.02, 1.03, 1.04, 1.05}),
        ({"multipleOf": 0.25, "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {0.25, 0.5, 0.75}),
        ({"multipleOf": 0.25, "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.9}, {0.25, 0.5, 0.75}),
        ({"type": "integer", "multipleOf": 2.5, "minimum": 1, "maximum": 15}, {5, 10, 15}),
        ({"type": "integer", "multipleOf": 3, "minimum": -6, "exclusiveMaximum": 3}, {-6, -3, 0}),
    ],
)
def test_all_multiples_between_the_bounds_occur(schema: dict[str, Any], allowed: set[float]) -> None:
    assert set(values({"type": "number", **schema})) == allowed


def test_multiples_of_a_hundredth_have_at_most_two_decimals() -> None:
    made = values({"type": "number", "multipleOf": 0.01})

    assert all(Decimal(repr(value)) % Decimal("0.01") == 0 for value in made)
    assert len(set(made)) > 50
    assert any(value != int(value) for value in made)


@pytest.mark.parametrize(
    ("steps", "common"),
    [((4, 6), 12), ((3, 5, 2), 30), ((0.4, 0.6), 1.2), ((2, 0.5), 2), ((3, 0.4), 6), ((0.5, 0.75), 1.5)],
)
def test_a_value_with_several_multiple_of_is_a_multiple_of_each(steps: tuple[float, ...], common: float) -> None:
    made = values({"type": "number", "allOf": [{"multipleOf": step} for step in steps]})

    assert all(Decimal(repr(value)) % Decimal(repr(common)) == 0 for value in made)
    assert len(set(made)) > 30
    [smallest] = set(
        values(
            {"allOf": [{"multipleOf": step} for step in steps], "minimum": 12, "maximum": 12}
            if 12 % common == 0
            else {"const": 12}
        )
    )
    assert smallest == 12


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        ({"minimum": 9, "maximum": 10, "exclusiveMaximum": 10}, {9}),
        ({"minimum": 9, "maximum": 9, "exclusiveMaximum": 10}, {9}),
        ({"minimum": 9, "maximum": 10, "exclusiveMaximum": 11}, {9, 10}),
        ({"minimum": 9, "maximum": 12, "exclusiveMaximum": 11}, {9, 10}),
        ({"minimum": 9, "exclusiveMinimum": 9, "maximum": 11}, {10, 11}),
        ({"minimum": 9, "exclusiveMinimum": 8, "maximum": 10}, {9, 10}),
        ({"minimum": 9, "exclusiveMinimum": 10, "maximum": 12}, {11, 12}),
        ({"allOf": [{"minimum": 1}, {"minimum": 3}, {"maximum": 9}, {"maximum": 4}]}, {3, 4}),
        ({"allOf": [{"exclusiveMinimum": 1}, {"exclusiveMinimum": 3}, {"exclusiveMaximum": 9}], "maximum": 5}, {4, 5}),
        ({"allOf": [{"exclusiveMaximum": 6}, {"exclusiveMaximum": 9}], "minimum": 4}, {4, 5}),
    ],
)
def test_of_two_bounds_on_one_side_the_narrower_holds(schema: dict[str, Any], allowed: set[int]) -> None:
    assert set(values({"type": "integer", **schema})) == allowed


@pytest.mark.parametrize(
    "schema",
    [
        {"minimum": 0, "maximum": 1, "exclusiveMaximum": 0.5},
        {"minimum": -0.5, "exclusiveMaximum": 0.5, "maximum": 0.5},
        {"minimum": 0, "maximum": 0.5, "exclusiveMaximum": 1},
        {"minimum": 0, "exclusiveMinimum": -1, "maximum": 0.5},
        {"minimum": 0.25, "maximum": 0.25},
    ],
)
def test_a_number_keeps_to_both_bounds_of_a_side(schema: dict[str, Any]) -> None:
    assert max(values({"type": "number", **schema})) <= 0.5


def test_the_only_number_between_two_exclusive_bounds_is_found() -> None:
    schema = {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1 + 2**-51}

    assert set(values(schema)) == {1 + 2**-52}


@pytest.mark.parametrize("bound", [2**64 - 1, -(2**63), 2**53 + 1])
def test_whole_numbers_that_json_can_hold_are_exact(bound: int) -> None:
    made = values({"type": "integer", "minimum": bound, "maximum": bound})

    assert {(type(value), value) for value in made} == {(int, bound)}


@pytest.mark.parametrize("bound", [2**64, -(2**63) - 2048])
def test_greater_numbers_than_64_bits_hold_are_floating_point(bound: int) -> None:
    made = values({"type": "integer", "minimum": bound, "maximum": bound})

    assert {(type(value), value) for value in made} == {(float, float(bound))}


def test_where_there_is_a_choice_a_whole_number_has_64_bits() -> None:
    made = values({"type": "integer", "minimum": -(10**30)})

    assert {type(value) for value in made} == {int}
    assert -(2**63) <= min(made) < max(made) <= -(2**63) + 1000


NODE = {"type": "object", "properties": {"next": {"$ref": "#/components/node"}}}
ENDLESS = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/components/endless"}}}
ROOT = {"components": {"node": NODE, "endless": ENDLESS}}


def test_optional_parts_end_at_the_fourth_level() -> None:
    assert values(NODE, ROOT) == [{"next": {"next": {"next": {"next": {}}}}}] * len(KEYS)


def test_a_schema_that_requires_itself_ends_with_null_after_25_levels() -> None:
    value = generate_value(ENDLESS, root=ROOT, key=b"key")

    levels = 0
    while value is not None:
        value, levels = value["next"], levels + 1
    assert levels == 25


def test_a_large_value_has_no_optional_parts_beyond_400_and_nothing_beyond_2000() -> None:
    item = {"type": "object", "properties": {"a": {"type": "integer"}}}

    value = generate_value({"type": "array", "items": item, "minItems": 3000, "maxItems": 3000}, root={}, key=b"key")

    assert [len(value), sum(bool(each) for each in value), value.count({}), value.count(None)] == [
        3000,
        200,
        1599,
        1201,
    ]


@pytest.mark.parametrize(
    ("schema", "size"),
    [
        ({"type": "string", "minLength": 1_000_000, "maxLength": 1_000_000}, 1_000_000),
        ({"type": "string", "minLength": 2_000_000}, 1_000_000),
        ({"type": "array", "minItems": 10_000, "maxItems": 10_000, "items": {"type": "null"}}, 10_000),
        ({"type": "array", "minItems": 20_000, "items": {"type": "null"}}, 10_000),
        ({"type": "object", "minProperties": 10_000}, 10_000),
        ({"type": "object", "minProperties": 20_000}, 10_000),
    ],
)
def test_a_value_is_as_large_as_asked_for_up_to_a_bound(schema: dict[str, Any], size: int) -> None:
    made = generate_value(schema, root={}, key=b"key")

    longest_word = 40 if schema.get("minLength") == 2_000_000 else 0  # a text ends with a whole word
    assert size <= len(made) <= size + longest_word


@pytest.mark.parametrize(
    ("schema", "sizes"),
    [
        ({}, {1, 2, 3}),
        ({"minItems": 2}, {2, 3, 4}),
        ({"maxItems": 1}, {1}),
        ({"maxItems": 0}, {0}),
        ({"minItems": 3, "maxItems": 3}, {3}),
        ({"minItems": 1, "maxItems": 9}, {1, 2, 3}),
        ({"prefixItems": [{"const": 1}, {"const": 2}]}, {2, 3, 4}),
        ({"prefixItems": [{"const": 1}, {"const": 2}], "items": False}, {2}),
        ({"prefixItems": [{"const": 1}, {"const": 2}], "maxItems": 1}, {1}),
    ],
)
def test_an_array_has_one_to_three_items_or_what_it_must_have(schema: dict[str, Any], sizes: set[int]) -> None:
    assert {len(value) for value in values({"type": "array", "items": {"type": "integer"}, **schema})} == sizes


@pytest.mark.parametrize(
    ("schema", "size"),
    [
        ({"additionalProperties": {"type": "integer"}}, 2),
        ({"additionalProperties": {"type": "integer"}, "maxProperties": 1}, 1),
        ({"additionalProperties": {"type": "integer"}, "maxProperties": 0}, 0),
        ({"additionalProperties": {"type": "integer"}, "minProperties": 5}, 5),
        ({"additionalProperties": True}, 0),
        ({"properties": {"a": {}, "b": {}, "c": {}}}, 3),
        ({"properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2}, 2),
        ({"properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"], "maxProperties": 1}, 1),
        ({"properties": {"a": {}, "b": False}}, 1),
        ({"properties": {"a": {}}, "minProperties": 3}, 3),
        ({"properties": {"a": {}, "b": {"writeOnly": True}}}, 1),
        ({"properties": {"a": {}, "b": {"writeOnly": False}}}, 2),
        ({"properties": {"a": {}, "b": {"writeOnly": True}}, "required": ["b"]}, 2),
        ({"properties": {"a": {}}, "additionalProperties": {"type": "integer"}}, 1),
    ],
)
def test_an_object_has_the_properties_it_names(schema: dict[str, Any], size: int) -> None:
    assert {len(value) for value in values({"type": "object", **schema})} == {size}


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"properties": {}}, dict),
        ({"required": ["a"]}, dict),
        ({"minProperties": 1}, dict),
        ({"items": {}}, list),
        ({"maxItems": 2}, list),
        ({"prefixItems": [{}]}, list),
        ({"maximum": 2}, float),
        ({"exclusiveMinimum": 2}, float),
        ({"multipleOf": 2}, int),
        ({"minLength": 2}, str),
        ({}, str),
        ({"type": ["integer", "string"]}, int),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, int),
        ({"allOf": [{"type": ["string", "integer"]}, {"type": ["number", "boolean"]}]}, int),
    ],
)
def test_the_type_of_a_schema_is_inferred_from_its_keywords(schema: dict[str, Any], type_: type) -> None:
    assert {type(value) for value in values(schema)} == {type_}


@pytest.mark.parametrize(
    ("parts", "lengths"),
    [
        (({"minLength": 3}, {"minLength": 5}, {"maxLength": 5}), {5}),
        (({"maxLength": 4}, {"maxLength": 2}, {"minLength": 2}), {2}),
    ],
)
def test_merged_lengths_are_the_narrower_ones(parts: tuple[Any, ...], lengths: set[int]) -> None:
    assert {len(value) for value in values({"type": "string", "allOf": [*parts]})} == lengths


def test_unique_items_are_as_many_as_asked_for() -> None:
    schema = {"type": "array", "uniqueItems": True, "minItems": 6, "maxItems": 6, "items": {"enum": [1, 2, 3, 4, 5, 6]}}

    assert all(sorted(value) == [1, 2, 3, 4, 5, 6] for value in values(schema))


def test_a_value_of_one_branch_of_one_of_has_nothing_that_another_requires() -> None:
    one, other = {"required": ["a", "x"]}, {"required": ["b", "y"]}
    schema = {"type": "object", "properties": {name: {"type": "integer"} for name in "abxy"}, "oneOf": [one, other]}

    assert {tuple(sorted(value)) for value in values(schema)} == {("a", "x"), ("b", "y")}
