"""A document as requests see it: what only responses have is not required."""

from typing import Any

from mockserver.openapi.loading import sides
from mockserver.openapi.loading.sides import side_of

TEXT = {"type": "string"}
MADE = {"type": "string", "readOnly": True}


def copy_of(document: Any) -> Any:
    side = side_of(document, "readOnly")
    return None if side is None else side.document


def test_a_document_without_the_word_has_no_sides() -> None:
    assert side_of({"a": {"required": ["b"], "properties": {"b": TEXT}}}, "readOnly") is None
    assert side_of({"a": {"required": ["b"], "properties": {"b": {"readOnly": "true"}}}}, "readOnly") is None
    assert side_of({"a": {"properties": {"b": MADE}}}, "readOnly") is None
    assert side_of({"a": {"required": ["c"], "properties": {"b": MADE, "c": TEXT}}}, "readOnly") is None
    assert side_of({"a": {"required": ["b"], "properties": {"b": MADE}}}, "writeOnly") is None


def test_properties_with_the_word_are_not_required() -> None:
    given: dict[str, Any] = {"a": [{"required": ["b", "c"], "properties": {"b": MADE, "c": TEXT}}], "other": [{"x": 1}]}

    side = side_of(given, "readOnly")

    assert side is not None
    assert side.document == {"a": [{"required": ["c"], "properties": {"b": MADE, "c": TEXT}}], "other": [{"x": 1}]}
    assert given["a"][0]["required"] == ["b", "c"]
    assert side.document["other"] is given["other"]
    assert side.of(given["a"][0]) is side.document["a"][0]
    assert side.of(given["other"]) is given["other"]


def test_properties_inside_others_and_behind_references_count() -> None:
    inner = {"required": ["m"], "properties": {"m": MADE}}
    given = {
        "components": {"schemas": {"Made": MADE}},
        "a": {"required": ["r", "i"], "properties": {"r": {"$ref": "#/components/schemas/Made"}, "i": inner}},
    }

    assert copy_of(given)["a"] == {
        "required": ["i"],
        "properties": {"r": {"$ref": "#/components/schemas/Made"}, "i": {"required": [], "properties": {"m": MADE}}},
    }


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"m": MADE}}
    for _ in range(levels):
        schema = {"allOf": [schema]}
    return {"a": {**schema, "required": ["m", "n"]}}


def test_parts_of_all_of_are_looked_into_ten_levels_deep() -> None:
    assert sides.MAX_DEPTH == 10
    assert copy_of(nested(0))["a"]["required"] == ["n"]
    assert copy_of(nested(10))["a"]["required"] == ["n"]
    assert copy_of(nested(11)) is None


def test_data_is_no_schema() -> None:
    data = {"required": ["m"], "properties": {"m": MADE}}

    for word in ("example", "examples", "default", "enum", "const"):
        assert copy_of({"a": {word: data}}) is None


def test_a_schema_that_stands_in_two_places_is_one_in_the_copy() -> None:
    shared = {"required": ["m"], "properties": {"m": MADE}}

    made = copy_of({"a": shared, "b": [shared]})

    assert made["a"] is made["b"][0]
    assert made["a"] == {"required": [], "properties": {"m": MADE}}
