"""Operations, parameters and contents as values: what is computed from their fields."""

from typing import Any

import pytest

from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.openapi.operations import Content, Parameter, SentRequest
from mockserver.openapi.schema import Schema

JSON = "application/json"
COMPONENTS = {
    "schemas": {
        "Size": {"type": "integer", "default": 5},
        "Thing": {"properties": {"size": {"$ref": "#/components/schemas/Size"}, "plain": {}}},
    },
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    },
}


def make_operation(operation: dict[str, Any], *, is_foreign: bool = False) -> Operation:
    document = {"openapi": "3.1.0", "paths": {"/a/{id}": {"post": operation}}, "components": COMPONENTS}
    return OpenApiDocument(document, "doc.yaml", is_foreign=is_foreign).operations[0]


def make_content(definition: Any, media_type: str = JSON) -> Content:
    return Content(media_type, None if definition is None else Schema(definition, {"components": COMPONENTS}), {})


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (JSON, True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/json-seq", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_a_content_is_json_by_its_media_type(media_type: str, expected: bool) -> None:
    assert make_content(None, media_type).is_json is expected


def test_properties_that_may_be_encoded_are_marked() -> None:
    properties = {"a": {"x-mock-encoded": True}, "b": {"x-mock-encoded": False}, "c": {}}

    assert make_content({"properties": properties}).encoded == {"a"}
    assert make_content({"properties": None}).encoded == frozenset()
    assert make_content(None).encoded == frozenset()


def test_a_parameter_has_the_types_of_all_alternatives() -> None:
    definition = {"type": "string", "anyOf": [{"type": ["null"]}], "oneOf": [{}], "allOf": [{"oneOf": [{"type": "x"}]}]}
    marked = Parameter("a", "query", False, True, {**definition, "x-mock-encoded": 1}, Schema({}, {}))
    plain = Parameter("a", "query", False, True, {}, Schema({}, {}))

    assert (marked.types, marked.is_encoded) == (frozenset({"string", "null", "x"}), True)
    assert (plain.types, plain.is_encoded) == (frozenset(), False)


def test_the_defaults_of_arguments_and_of_the_body_are_joined() -> None:
    operation = make_operation(
        {
            "parameters": [
                {"name": "n", "in": "query", "schema": {"default": 0}},
                {"name": "size", "in": "query", "schema": {"default": 1}},
                {"name": "m", "in": "query", "schema": {}},
            ],
            "requestBody": {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Thing"}}, "text/plain": {}}},
        }
    )

    assert operation.defaults == {"n": 0, "size": 5}
    assert make_operation({}).defaults == {}


@pytest.mark.parametrize(
    ("security", "takes_credential", "takes_token_only"),
    [
        ([], False, False),
        ([{}], False, False),
        ([{"bearer": []}], True, True),
        ([{"bearer": []}, {}], True, True),
        ([{"key": []}], True, False),
        ([{"bearer": []}, {"key": []}], True, False),
        ([{"bearer": [], "key": []}], True, False),
    ],
)
def test_which_credentials_are_read(security: Any, takes_credential: bool, takes_token_only: bool) -> None:
    operation = make_operation({"security": security})

    assert (operation.takes_credential, operation.takes_token_only) == (takes_credential, takes_token_only)


@pytest.mark.parametrize(
    ("responses", "bundled", "foreign"),
    [
        (["199", "299", "200"], 299, 200),
        (["300", "404"], 200, 300),
        (["200"], 200, 200),
        (["4XX"], 200, 400),
        (["1XX", "3XX"], 200, 100),
    ],
)
def test_the_success_of_a_bundled_document_is_the_first_and_else_200(
    responses: list[str], bundled: int, foreign: int
) -> None:
    operation = {"responses": {status: {"description": ""} for status in responses}}

    assert make_operation(operation).success == bundled
    assert make_operation(operation, is_foreign=True).success == foreign


def test_an_operation_knows_its_place_and_its_examples() -> None:
    contents = {
        JSON: {"examples": {"a": {"value": 1}, "b": {"value": 2}}},
        "text/plain": {"examples": {"b": {"value": 3}, "c": {"value": 4}}},
    }
    operation = make_operation({"responses": {"200": {"description": "", "content": contents}}})

    assert operation.location == ("paths", "/a/{id}", "post")
    assert operation.responses["200"].examples == ("a", "b", "c")
    assert (operation.replaces, operation.is_foreign, operation.is_deprecated) == (False, False, False)
    assert (operation.bases, operation.callbacks, operation.price, operation.body_required) == ((), (), None, False)


def test_a_status_of_each_class_is_found() -> None:
    operation = make_operation({"responses": {"5XX": {"description": "server"}, "401": {"description": "who"}}})

    found = {status: operation.response(status) for status in (499, 500, 599, 600, 401)}

    assert {status: each.description for status, each in found.items() if each} == {
        500: "server",
        599: "server",
        401: "who",
    }


def test_operations_and_parameters_are_compared() -> None:
    operation = make_operation({"security": [{"bearer": []}]})

    assert operation != operation._replace(summary="x")
    assert {operation: 1}[operation] == 1
    assert SentRequest("a", "", "POST", None) == SentRequest("a", "", "POST", None)
