"""Names of missing and unknown properties, which error formatters need."""

from typing import Any

import pytest

from mockserver.errors import Violation
from mockserver.openapi.schema import MAX_EXPLAINED_ITEMS, MAX_NAMES, MAX_SHOWN_VALUE, Schema
from mockserver.providers.agilecloud.errors import message_and_code, param_of

ALTERNATIVES = {
    "oneOf": [
        {"properties": {"kind": {"const": 1}, "a": {}}, "required": ["kind"]},
        {"properties": {"kind": {"const": 2}, "b": {}}, "required": ["kind"]},
    ],
    "unevaluatedProperties": False,
}


def violations(definition: dict[str, Any], value: Any) -> list[Violation]:
    return Schema(definition, {}).violations(value, ("body",))


@pytest.mark.parametrize("name", ["plain", "it's", '"quoted"', "x', 'y", "(left", "two\nlines", "€"])
def test_a_missing_property_is_named_in_any_spelling(name: str) -> None:
    [missing] = violations({"required": [name]}, {})

    assert param_of(missing) == name
    assert message_and_code(missing) == (f"Missing required parameter: '{name}'.", "missing_required_parameter")


@pytest.mark.parametrize("name", ["plain", "it's", '"quoted"', "x', 'y", "(left", "two\nlines", "€"])
@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_an_unknown_property_is_named_in_any_spelling(keyword: str, name: str) -> None:
    [unknown] = violations({"properties": {"known": {}}, keyword: False}, {"known": 1, name: 2})

    assert param_of(unknown) == name
    assert message_and_code(unknown) == (f"Unknown parameter: '{name}'.", "unknown_parameter")


def test_each_missing_property_is_a_violation_with_its_own_name() -> None:
    assert [each.names for each in violations({"required": ["a", "b", "c"]}, {"b": 1})] == [("a",), ("c",)]


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_names_that_match_a_pattern_are_known(keyword: str) -> None:
    [unknown] = violations({"patternProperties": {"^x-": {}}, keyword: False}, {"x-a": 1, "y-a": 2})

    assert unknown.names == ("y-a",)


def test_a_property_of_another_alternative_is_unknown() -> None:
    [unknown] = violations(ALTERNATIVES, {"kind": 1, "b": 2})

    assert unknown.names == ("b",)


@pytest.mark.parametrize("keyword", ["additionalProperties", "unevaluatedProperties"])
def test_of_many_unknown_names_the_first_few_are_listed(keyword: str) -> None:
    [unknown] = violations({keyword: False}, {"n" * 1000: 1, "c": 1, "b": 1, "a": 1, "z": 1})

    assert unknown.names == ("a", "b", "c")
    assert len(unknown.names) == MAX_NAMES


def test_a_long_name_is_shortened() -> None:
    [unknown] = violations({"additionalProperties": False}, {"n" * 1000: 1})

    assert unknown.names == ("n" * MAX_SHOWN_VALUE,)


@pytest.mark.parametrize(
    ("item", "names"),
    [({"required": ["q"]}, ("q",)), ({"properties": {}, "additionalProperties": False}, ("x",))],
)
def test_names_are_listed_in_very_long_arrays_too(item: dict[str, Any], names: tuple[str, ...]) -> None:
    [violation] = violations(
        {"items": item}, [{"q": 1} if "required" in item else {}] * MAX_EXPLAINED_ITEMS + [{"x": 1}]
    )

    assert (violation.location, violation.names) == (("body", MAX_EXPLAINED_ITEMS), names)


def test_other_violations_have_no_names() -> None:
    [violation] = violations({"properties": {"a": {"type": "string"}}}, {"a": 1})

    assert violation.names == ()
