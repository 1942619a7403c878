"""Texts in the types of a schema, also where the schema is combined from others."""

from typing import Any

import pytest

from mockserver.openapi.wire.typed import items_of, kind_of, properties_of, typed, types_of

DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Paging": {"properties": {"limit": {"type": "integer"}, "after": {"type": "string"}}},
            "Flag": {"type": "boolean"},
            "Loop": {"allOf": [{"$ref": "#/components/schemas/Loop"}]},
        }
    }
}
PAGING = {"$ref": "#/components/schemas/Paging"}


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_the_properties_of_combined_schemas_have_their_types(word: str) -> None:
    schema = {word: [PAGING, {"properties": {"deleted": {"$ref": "#/components/schemas/Flag"}}}]}

    assert typed({"limit": "5", "after": "7", "deleted": "true"}, schema, DOCUMENT) == {
        "limit": 5,
        "after": "7",
        "deleted": True,
    }


def test_a_property_of_the_schema_itself_wins_over_that_of_a_part() -> None:
    schema = {"allOf": [PAGING], "properties": {"limit": {"type": "string"}}}

    assert properties_of(schema, DOCUMENT)["limit"] == {"type": "string"}
    assert typed({"limit": "5"}, schema, DOCUMENT) == {"limit": "5"}


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_a_combined_schema_has_the_types_and_items_of_its_parts(word: str) -> None:
    schema = {word: [{"type": "null"}, {"type": "array", "items": {"type": "number"}}]}

    assert types_of(schema, DOCUMENT) == {"null", "array"}
    assert items_of(schema, DOCUMENT) == {"type": "number"}
    assert typed(["1", "2.5", "x"], schema, DOCUMENT) == [1.0, 2.5, "x"]


def test_a_schema_with_properties_is_an_object_unless_it_says_otherwise() -> None:
    assert types_of(PAGING, DOCUMENT) == {"object"}
    assert types_of({"properties": {}, "type": ["string", "null"]}, DOCUMENT) == {"string", "null"}
    assert types_of({}, DOCUMENT) == frozenset()


def test_a_schema_that_refers_to_itself_ends() -> None:
    loop = {"$ref": "#/components/schemas/Loop"}

    assert types_of(loop, DOCUMENT) == frozenset()
    assert properties_of(loop, DOCUMENT) == {}
    assert items_of(loop, DOCUMENT) == {}


def test_values_below_additional_properties_have_their_type() -> None:
    schema = {"additionalProperties": {"type": "integer"}}

    assert typed({"any": "3", "other": {"not": "converted"}}, schema, DOCUMENT) == {
        "any": 3,
        "other": {"not": "converted"},
    }


def test_what_is_no_text_stays() -> None:
    assert typed(True, {"type": "string"}, DOCUMENT) is True
    assert typed(None, {"type": "integer"}, DOCUMENT) is None


@pytest.mark.parametrize(
    ("types", "kind"),
    [({"array", "object"}, "array"), ({"object", "null"}, "object"), ({"string"}, ""), (set(), "")],
)
def test_the_kind_of_a_parameter(types: set[str], kind: str) -> None:
    assert kind_of(frozenset(types)) == kind
