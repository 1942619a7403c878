"""Matching rules of a Pact file: which values of a real answer must be equal, and of which only the type counts."""

from typing import Any

import pytest

from mockserver.openapi.schema import Schema
from mockserver.verify.pact.matching import MAX_DEPTH, body_rules, documented_values, is_deep, rule, shape_of

TYPE, EQUAL, WHOLE, NUMBER = ({"match": word} for word in ("type", "equality", "integer", "number"))
SOME = {"match": "type", "min": 1}


def rules_of(value: Any, schema: Any = None, *exact: str) -> dict[str, Any]:
    """The one matcher of each place."""
    made = Schema(schema, {"components": {"schemas": {"Kind": {"enum": ["a", "b.c"]}}}}) if schema is not None else None
    _, rules = body_rules(value, made, frozenset(exact))
    assert all(each == rule(*each["matchers"]) and len(each["matchers"]) == 1 for each in rules.values())
    return {place: each["matchers"][0] for place, each in rules.items()}


def test_a_rule_combines_its_matchers() -> None:
    assert rule(TYPE, EQUAL) == {"combine": "AND", "matchers": [TYPE, EQUAL]}


@pytest.mark.parametrize(
    ("value", "matcher"),
    [
        ("text", TYPE),
        (True, TYPE),
        (False, TYPE),
        (5, WHOLE),
        (0, WHOLE),
        (5.5, NUMBER),
        ({}, TYPE),
        ({"a": None}, TYPE),
        ([], TYPE),
    ],
)
def test_a_value_is_compared_by_its_type(value: Any, matcher: Any) -> None:
    assert rules_of(value) == {"$": matcher}


def test_members_have_places_and_null_says_nothing() -> None:
    value = {"a": {"b": 1, "c": None}, "d-e": "x", "it's\\": {"f_1": 2.5}, "_": [], "1": True}

    assert rules_of(value) == {
        "$.a.b": WHOLE,
        "$['d-e']": TYPE,
        "$['it\\'s\\\\'].f_1": NUMBER,
        "$._": TYPE,
        "$['1']": TYPE,
    }
    assert body_rules(value, None, frozenset())[0] == {**value, "a": {"b": 1}}


def test_the_first_item_of_a_list_stands_for_all() -> None:
    value = {"all": [{"n": 1}, {"n": 2}], "none": [None, 5]}

    example, _ = body_rules(value, None, frozenset())

    assert example == {"all": [{"n": 1}], "none": []}
    assert rules_of(value) == {"$.all": SOME, "$.all[*].n": WHOLE, "$.none": SOME}


def test_a_long_text_is_cut_at_200_characters() -> None:
    assert body_rules({"a": "x" * 201}, None, frozenset())[0] == {"a": "x" * 200}


def test_named_members_of_the_top_level_are_compared_by_equality() -> None:
    value = {"status": "done", "inner": {"status": "done"}, "list": [{"status": 5}]}

    assert rules_of(value, None, "status") == {
        "$.status": EQUAL,
        "$.inner.status": TYPE,
        "$.list": SOME,
        "$.list[*].status": WHOLE,
    }


@pytest.mark.parametrize(
    ("value", "schema", "matcher"),
    [
        ("a", {"const": "a"}, EQUAL),
        ("b", {"const": "a"}, TYPE),
        (5, {"const": 5}, EQUAL),
        (True, {"enum": [True]}, EQUAL),
        (True, {"enum": [True, False]}, TYPE),
        ("a", {"enum": ["a", None]}, EQUAL),
        ("a", {"enum": ["a", "b.c", None, 5]}, {"match": "regex", "regex": r"^(a|b\.c)$"}),
        ("z", {"enum": ["a", "b"]}, TYPE),
        ("a", {"$ref": "#/components/schemas/Kind"}, {"match": "regex", "regex": r"^(a|b\.c)$"}),
        ("a", {"anyOf": [{"const": "a"}, {"const": "b"}]}, {"match": "regex", "regex": "^(a|b)$"}),
        ("a", {"oneOf": [{"allOf": [{"const": "a"}]}, {"const": "a"}]}, EQUAL),
        ("a/^$*+?{}[]\\|()-", {"enum": ["a/^$*+?{}[]\\|()-", "b"]},
         {"match": "regex", "regex": r"^(a/\^\$\*\+\?\{\}\[\]\\\|\(\)-|b)$"}),
        (5, {"enum": [5, 6]}, WHOLE),
        (5, {"type": "integer"}, WHOLE),
        (5, {"type": "number"}, NUMBER),
        (5, {"type": ["null", "number"]}, NUMBER),
        (5, {"anyOf": [{"type": "string"}, {"type": "number"}]}, NUMBER),
        (5.0, {"type": "integer"}, NUMBER),
    ],
)  # fmt: skip
def test_documented_values_are_compared_as_the_document_says(value: Any, schema: Any, matcher: Any) -> None:
    assert rules_of({"a": value}, {"properties": {"a": schema}}) == {"$.a": matcher}
    assert rules_of([value], {"items": schema}) == {"$": SOME, "$[*]": matcher}


def test_alternatives_are_followed_eight_levels_deep() -> None:
    def nested(levels: int) -> Any:
        return {"const": "a"} if not levels else {"allOf": [nested(levels - 1)]}

    assert [rules_of("a", nested(levels)) for levels in (0, 8, 9)] == [{"$": EQUAL}, {"$": EQUAL}, {"$": TYPE}]


def test_the_documented_values_of_a_member_are_those_between_which_there_is_a_choice() -> None:
    def values_of(schema: Any) -> list[str]:
        return documented_values(Schema({"properties": {"status": schema}}, {}), "status")

    assert values_of({"enum": ["a", 5, "b", None]}) == ["a", "b"]
    assert values_of({"enum": ["a", 5]}) == []
    assert values_of({"const": "a"}) == []
    assert values_of({"type": "string"}) == []
    assert documented_values(Schema({"enum": ["a", "b"]}, {}), "status") == []
    assert documented_values(None, "status") == []


def test_the_shape_of_a_body_has_names_and_types() -> None:
    assert shape_of({"b": [1, "x", 2, {"c": None}], "a": 1.5, "d": True}) == {
        "a": "float",
        "b": ["int", "str", {"c": "NoneType"}],
        "d": "bool",
    }
    assert list(shape_of({"b": 1, "a": 1})) == ["a", "b"]
    assert shape_of([{"b": 1, "a": 1}, {"a": 2, "b": 3}, []]) == [[], {"a": "int", "b": "int"}]


def nested_value(levels: int, *, lists: bool) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [0, value] if lists else {"a": 0, "b": value}
    return value


@pytest.mark.parametrize("lists", [True, False])
def test_a_body_of_more_than_100_levels_is_too_deep(lists: bool) -> None:
    assert MAX_DEPTH == 100
    assert not is_deep(nested_value(100, lists=lists))
    assert is_deep(nested_value(101, lists=lists))
    assert not is_deep(1)
