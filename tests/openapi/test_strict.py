"""The strict reading of a document."""

from typing import Any

import orjson
import pytest

from mockserver.openapi.document import OpenApiDocument
from mockserver.openapi.strict import closed

JSON = "application/json"


def make_document(schema: Any, **schemas: Any) -> dict[str, Any]:
    body = {"required": True, "content": {JSON: {"schema": schema, "example": {"a": "x"}}}}
    return {
        "openapi": "3.1.0",
        "paths": {
            "/a": {"summary": "a", "parameters": [], "post": {"requestBody": body}, "get": {"summary": "no body"}},
            "/b": {"$ref": "#/components/pathItems/B"},
        },
        "components": {
            "schemas": schemas,
            "pathItems": {"B": {"put": {"requestBody": {"$ref": "#/components/requestBodies/B"}}}},
            "requestBodies": {"B": body},
        },
    }


def tight(schema: Any, **schemas: Any) -> Any:
    """What judges the body of both operations."""
    spec = OpenApiDocument(closed(make_document(schema, **schemas), "doc.yaml"), "doc.yaml")
    judges = [(spec.by_key[key].body or {})[JSON].schema for key in ("POST /a", "PUT /b")]
    assert judges[0] and judges[1] and judges[0].definition == judges[1].definition
    return judges[0]


SCHEMA = {
    "type": "object",
    "required": ["must"],
    "properties": {
        "must": {"type": ["string", "null"]},
        "may": {"type": ["string", "null"]},
        "either": {"type": ["string", "integer", "null"]},
        "word": {"type": ["string", "null"], "enum": ["x", None]},
        "only": {"type": ["null"]},
        "plain": {"type": "integer"},
        "any": True,
        "far": {"$ref": "#/components/schemas/Far", "maxLength": 3},
    },
}
FAR = {"type": ["string", "null"], "minLength": 2}


@pytest.mark.parametrize(
    ("fields", "good"),
    [
        ({}, True),
        ({"must": None}, True),
        ({"may": "x"}, True),
        ({"may": None}, False),
        ({"either": 1}, True),
        ({"either": None}, False),
        ({"word": "x"}, True),
        ({"word": None}, False),
        ({"only": None}, True),
        ({"plain": 1}, True),
        ({"any": None}, True),
        ({"far": "xy"}, True),
        ({"far": None}, False),
        ({"far": "x"}, False),
        ({"far": "wxyz"}, False),
        ({"unknown": 1}, False),
    ],
)
def test_a_strict_body_has_known_keys_only_and_null_only_where_it_has_to_be(fields: dict[str, Any], good: bool) -> None:
    assert tight(SCHEMA, Far=FAR).accepts({"must": "x", **fields}) is good


def test_a_body_schema_behind_a_reference_is_tightened_too() -> None:
    judge = tight({"$ref": "#/components/schemas/Body", "required": ["b"]}, Body={"properties": {"a": {}, "b": {}}})

    assert judge.accepts({"b": 1})
    assert not judge.accepts({"a": 1})
    assert not judge.accepts({"b": 1, "c": 1})


def test_a_schema_with_additional_properties_is_unchanged() -> None:
    judge = tight({"properties": {}, "additionalProperties": {"type": "integer"}})

    assert judge.accepts({"other": 1})
    assert not judge.accepts({"other": "x"})


@pytest.mark.parametrize("schema", [True, {"type": "string"}, {"$ref": "#/components/schemas/Any"}])
def test_a_schema_without_properties_stays_as_it_is(schema: Any) -> None:
    assert tight(schema, Any=True).accepts("text")


def test_strict_mode_changes_nothing_else_and_no_input() -> None:
    document = make_document(SCHEMA, Far=FAR)
    before = orjson.dumps(document)

    strict = closed(document, "doc.yaml")

    assert orjson.dumps(document) == before
    assert strict["components"] == document["components"]
    assert strict["paths"]["/a"]["get"] == {"summary": "no body"}
    assert strict["paths"]["/a"]["summary"] == "a"
    assert strict["paths"]["/a"]["post"]["requestBody"]["required"] is True
    assert strict["paths"]["/a"]["post"]["requestBody"]["content"][JSON]["example"] == {"a": "x"}


NULLABLE = {"type": ["string", "null"]}


def test_fields_of_examples_are_allowed_in_strict_mode() -> None:
    schema = {"type": "object", "properties": {"a": NULLABLE, "b": NULLABLE, "c": {**NULLABLE, "example": None}}}
    document = make_document(schema)
    content = document["components"]["requestBodies"]["B"]["content"][JSON]
    del content["example"]
    content["examples"] = {"one": {"value": {"a": None, "x": 1}}, "two": {"$ref": "#/components/examples/two"}}
    document["components"]["examples"] = {"two": {"value": {"y": {}}}}
    spec = OpenApiDocument(closed(document, "doc.yaml"), "doc.yaml")
    judge = (spec.by_key["PUT /b"].body or {})[JSON].schema
    assert judge

    for good in ({"a": None}, {"c": None}, {"x": 2}, {"y": 1}, {"a": None, "c": None, "x": 1, "y": 1}):
        assert judge.accepts(good)
    for bad in ({"b": None}, {"z": 1}, {"a": 1}):
        assert not judge.accepts(bad)
