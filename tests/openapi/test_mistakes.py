"""The mistakes of an OpenAPI document: where each is, and how it is described."""

from typing import Any

import pytest

from mockserver.openapi.mistakes import find_mistakes
from mockserver.openapi.operations import METHODS

JSON = "application/json"
OPERATION = ("paths", "/things/{id}", "get")
SCHEMA = ("components", "schemas", "A")
CIRCLE = "it goes round in circles"


def make_document(operation: Any = None, **more: Any) -> dict[str, Any]:
    """A document with `GET /things/{id}`."""
    return {"openapi": "3.1.0", "paths": {"/things/{id}": {"get": operation or {}}}, **more}


def mistakes_of(document: Any) -> list[tuple[tuple[str | int, ...], str]]:
    return [(location, message) for location, message in find_mistakes(document)]


def mistakes_of_operation(operation: Any, **components: Any) -> dict[str, str]:
    """Messages by their location inside the operation, or in the document if they are elsewhere."""
    return {
        ".".join(map(str, location[3:] if location[:3] == OPERATION else location)): message
        for location, message in find_mistakes(make_document(operation, components=components))
    }


def mistakes_of_schemas(**schemas: Any) -> dict[str, str]:
    """Messages by their location in `components.schemas`."""
    found = find_mistakes(make_document(components={"schemas": schemas}))
    return {".".join(map(str, location[2:])): message for location, message in found}


@pytest.mark.parametrize(
    ("document", "location", "message"),
    [
        (None, (), "the document is null; wanted a mapping"),
        ([], (), "the document is a list; wanted a mapping"),
        ("x", (), "the document is text; wanted a mapping"),
        (True, (), "the document is a boolean; wanted a mapping"),
        (3, (), "the document is a number; wanted a mapping"),
        (3.5, (), "the document is a number; wanted a mapping"),
        (b"x", (), "the document is bytes; wanted a mapping"),
        ({}, ("openapi",), "openapi is None; wanted a version 3.x document"),
        ({"openapi": 3.1}, ("openapi",), "openapi is 3.1; wanted a version 3.x document"),
        ({"openapi": "31"}, ("openapi",), "openapi is '31'; wanted a version 3.x document"),
        ({"openapi": "3.2.0"}, (), "paths is missing; there is nothing to serve"),
    ],
)
def test_what_is_no_document_of_version_3_is_the_only_mistake(
    document: Any, location: tuple[str, ...], message: str
) -> None:
    assert mistakes_of(document) == [(location, message)]


def test_a_value_is_shown_with_its_first_hundred_characters() -> None:
    assert mistakes_of({"openapi": "9" * 98}) == [
        (("openapi",), f"openapi is '{'9' * 98}'; wanted a version 3.x document")
    ]
    assert mistakes_of({"openapi": "9" * 99}) == [
        (("openapi",), f"openapi is '{'9' * 99}…; wanted a version 3.x document")
    ]


def test_all_mistakes_are_found_in_the_order_of_the_document() -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": 5},
        "paths": {"things": {}, "/{a}/{a}": {"post": 7}, "/a": {"$ref": 5}},
        "components": [],
        "security": {},
    }

    assert mistakes_of(document) == [
        (("info", "title"), "is a number; wanted text"),
        (("paths", "things"), "a path starts with '/'"),
        (("paths", "/{a}/{a}"), "a name in braces stands twice"),
        (("paths", "/{a}/{a}", "post"), "is a number; wanted a mapping"),
        (("paths", "/a", "$ref"), "is a number; wanted text"),
        (("components",), "is a list; wanted a mapping"),
        (("security",), "is a mapping; wanted a list"),
    ]


def test_extensions_and_fields_that_are_not_read_may_contain_anything() -> None:
    document = make_document(
        {
            "servers": 5,
            "callbacks": 7,
            "responses": {"x-note": 5, "default": {"links": 3}},
            "security": [{"key": 5}],
            "requestBody": {"description": 4},
        },
        servers=1,
        tags=2,
        components={"links": 1, "examples": {"any": {"value": 5, "summary": 7}}},
    )
    document["paths"]["x-paths"] = 5
    document["paths"]["/things/{id}"]["servers"] = 5

    assert mistakes_of(document) == []


@pytest.mark.parametrize("method", METHODS)
def test_the_operation_of_each_method_is_checked(method: str) -> None:
    document = make_document()
    document["paths"]["/a"] = {method: {"tags": 5}}

    assert mistakes_of(document) == [(("paths", "/a", method, "tags"), "is a number; wanted a list")]


@pytest.mark.parametrize(
    ("operation", "location", "message"),
    [
        ({"operationId": 5}, "operationId", "is a number; wanted text"),
        ({"summary": []}, "summary", "is a list; wanted text"),
        ({"tags": ["a", 5]}, "tags.1", "is a number; wanted text"),
        ({"parameters": {}}, "parameters", "is a mapping; wanted a list"),
        ({"parameters": [5]}, "parameters.0", "is a number; wanted a mapping"),
        ({"requestBody": {"required": "yes"}}, "requestBody.required", "is text; wanted true or false"),
        ({"requestBody": {"content": {"": {}}}}, "requestBody.content.", "the key is ''; wanted a media type"),
        (
            {"requestBody": {"content": {"a\nb": {}}}},
            "requestBody.content.a\nb",
            "the key is 'a\\nb'; wanted a media type",
        ),
        ({"requestBody": {"content": {JSON: {"schema": 5}}}}, f"requestBody.content.{JSON}.schema", "is a number; "
         "wanted a schema: a mapping, true or false"),
        ({"requestBody": {"content": {JSON: {"examples": {"a": 5}}}}}, f"requestBody.content.{JSON}.examples.a",
         "is a number; wanted a mapping"),
        ({"responses": {"600": {}}}, "responses.600", "the key is '600'; wanted a status (200, 4XX) or default"),
        ({"responses": {"0XX": {}}}, "responses.0XX", "the key is '0XX'; wanted a status (200, 4XX) or default"),
        ({"responses": {"20": {}}}, "responses.20", "the key is '20'; wanted a status (200, 4XX) or default"),
        ({"responses": {"2xx": {}, "default": {}, "5XX": 5}}, "responses.5XX", "is a number; wanted a mapping"),
        ({"responses": {"200": {"description": 5}}}, "responses.200.description", "is a number; wanted text"),
        (
            {"responses": {"200": {"headers": {"a b": {}}}}},
            "responses.200.headers.a b",
            "the key is 'a b'; wanted the name of a header",
        ),
        (
            {"responses": {"200": {"headers": {"X": {"schema": 5}}}}},
            "responses.200.headers.X.schema",
            "is a number; wanted a schema: a mapping, true or false",
        ),
        ({"security": [5]}, "security.0", "is a number; wanted a mapping"),
    ],
)  # fmt: skip
def test_a_mistake_in_an_operation_is_described(operation: Any, location: str, message: str) -> None:
    assert mistakes_of_operation(operation) == {location: message}


def test_a_key_is_shown_with_its_first_hundred_characters() -> None:
    found = mistakes_of_operation({"responses": {"9" * 200: {}}})

    assert list(found.values()) == [f"the key is '{'9' * 100}'; wanted a status (200, 4XX) or default"]


@pytest.mark.parametrize(
    ("parameter", "came"),
    [
        ({}, "name None, in None"),
        ({"name": 5, "in": "query"}, "name 5, in 'query'"),
        ({"name": "a"}, "name 'a', in None"),
        ({"name": "a", "in": "body"}, "name 'a', in 'body'"),
    ],
)
def test_a_parameter_has_a_name_and_a_location(parameter: Any, came: str) -> None:
    assert mistakes_of_operation({"parameters": [parameter]}) == {
        "parameters.0": f"a parameter has {came}; wanted a name, and in one of path, query, header, cookie"
    }


@pytest.mark.parametrize("location", ["path", "query", "header", "cookie"])
def test_a_parameter_in_each_location_is_checked(location: str) -> None:
    parameter = {"name": "a", "in": location, "required": 5, "explode": 5, "content": {JSON: 5}, "schema": []}

    assert mistakes_of_operation({"parameters": [parameter]}) == {
        "parameters.0.required": "is a number; wanted true or false",
        "parameters.0.explode": "is a number; wanted true or false",
        f"parameters.0.content.{JSON}": "is a number; wanted a mapping",
        "parameters.0.schema": "is a list; wanted a schema: a mapping, true or false",
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("schemas", "is a number; wanted a schema: a mapping, true or false"),
        *(
            (section, "is a number; wanted a mapping")
            for section in ("responses", "parameters", "examples", "requestBodies", "headers", "securitySchemes")
        ),
    ],
)
def test_each_library_of_components_is_checked_under_any_name(section: str, message: str) -> None:
    assert mistakes_of_operation({}, **{section: {"a name": 5}}) == {f"components.{section}.a name": message}
    assert mistakes_of_operation({}, **{section: 5}) == {f"components.{section}": "is a number; wanted a mapping"}


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (5, "is a number; wanted text"),
        ("other.yaml#/a", "$ref is 'other.yaml#/a'; only references inside the document (#/…) are followed"),
        ("#", "$ref is '#'; only references inside the document (#/…) are followed"),
        ("#/components/responses/No", "$ref is '#/components/responses/No'; the document has no such thing"),
        ("#/components/responses/One/content/0", "$ref is '#/components/responses/One/content/0'; the document has "
         "no such thing"),
        ("#/components/responses/Round", "$ref is '#/components/responses/Round'; it goes round in circles"),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_is_described_where_it_stands(reference: Any, message: str) -> None:
    again = {"$ref": "#/components/responses/Round"}

    found = mistakes_of_operation({"responses": {"200": {"$ref": reference}}}, responses={"One": {}, "Round": again})

    assert found.pop("components.responses.Round.$ref") == f"$ref is '#/components/responses/Round'; {CIRCLE}"
    assert found == {"responses.200.$ref": message}


def test_a_chain_of_references_is_followed_to_its_end_and_told_once() -> None:
    found = mistakes_of_operation(
        {"responses": {"200": {"$ref": "#/components/responses/One"}, "201": {"$ref": "#/components/responses/Two"}}},
        responses={"One": {"$ref": "#/components/responses/Two"}, "Two": {"headers": 5}},
    )

    assert found == {"components.responses.Two.headers": "is a number; wanted a mapping"}


def test_references_count_into_lists_and_are_escaped() -> None:
    parameters = [{"name": "a", "in": "query"}, {"name": 5, "in": "query"}]
    document = make_document({"x-all": parameters})
    start = "#/paths/~1things~1%7Bid%7D/get/x-all/"
    document["paths"]["/b"] = {"parameters": [{"$ref": start + "0"}, {"$ref": start + "1"}, {"$ref": start + "2"}]}

    found = dict(mistakes_of(document))

    assert found == {
        (*OPERATION, "x-all", 1): "a parameter has name 5, in 'query'; wanted a name, and in one of path, query, "
        "header, cookie",
        ("paths", "/b", "parameters", 2, "$ref"): f"$ref is '{start}2'; the document has no such thing",
    }


def test_an_operation_id_stands_once() -> None:
    document = make_document({"operationId": "it"})
    document["paths"]["/b"] = {"post": {"operationId": "it"}, "put": {"operationId": ""}, "get": {"operationId": ""}}

    assert mistakes_of(document) == [(("paths", "/b", "post", "operationId"), "the operationId 'it' stands twice")]


def test_only_the_keys_of_paths_are_paths() -> None:
    item = {"get": {"parameters": [5]}}
    document = make_document(components={"pathItems": {"any": item}})
    document["paths"]["/b"] = {"$ref": "#/components/pathItems/any"}

    assert mistakes_of(document) == [
        (("components", "pathItems", "any", "get", "parameters", 0), "is a number; wanted a mapping")
    ]


# Schemas


@pytest.mark.parametrize(
    ("schema", "location", "message"),
    [
        ({"type": "text"}, "A.type", "type is 'text'; wanted one of array, boolean, integer, null, number, object, "
         "string, or a list of them"),
        ({"properties": {"a": {"type": ["string", 5]}}}, "A.properties.a.type", "type is ['string', 5]; wanted one of "
         "array, boolean, integer, null, number, object, string, or a list of them"),
        ({"minLength": -1}, "A.minLength", "minLength cannot be -1: -1 is less than the minimum of 0"),
        ({"pattern": "("}, "A.pattern", "the pattern '(' is not a regular expression"),
        ({"patternProperties": {"(": True}}, "A.patternProperties.(", "the pattern '(' is not a regular expression"),
        ({"$ref": "#/components/schemas/No"}, "A.$ref", "$ref is '#/components/schemas/No'; the document has no such "
         "thing"),
        ({"$ref": "#/info/title"}, "A.$ref", "$ref is '#/info/title'; wanted a schema in components or paths"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_schema_is_described(schema: Any, location: str, message: str) -> None:
    found = mistakes_of(make_document(components={"schemas": {"A": schema}}, info={"title": "Things"}))

    assert [(".".join(map(str, place[2:])), said[: len(message)]) for place, said in found] == [(location, message)]


def test_a_long_reason_is_cut() -> None:
    ((_, message),) = mistakes_of(make_document(components={"schemas": {"A": {"required": ["a" * 500] * 2}}}))

    assert message.startswith("required cannot be ['aaa")
    assert len(message) == len("required cannot be ") + 101 + len(": ") + 200


NAMED = {name: {"pattern": "("} for name in ("a", "b")}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf", "prefixItems"])
def test_lists_of_schemas_are_searched(keyword: str) -> None:
    assert list(mistakes_of_schemas(A={keyword: [True, {"pattern": "("}]})) == [f"A.{keyword}.1.pattern"]


@pytest.mark.parametrize("keyword", ["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"])
def test_maps_of_schemas_are_searched(keyword: str) -> None:
    assert list(mistakes_of_schemas(A={keyword: NAMED})) == [f"A.{keyword}.b.pattern", f"A.{keyword}.a.pattern"]


@pytest.mark.parametrize(
    "keyword",
    [
        "items",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "unevaluatedItems",
        "unevaluatedProperties",
        "contentSchema",
    ],
)
def test_schemas_below_a_keyword_are_searched(keyword: str) -> None:
    assert list(mistakes_of_schemas(A={keyword: {"pattern": "("}})) == [f"A.{keyword}.pattern"]


def test_a_schema_of_another_place_is_checked_where_it_stands() -> None:
    document = make_document({"x-schema": {"type": "text"}})
    document["components"] = {"schemas": {"A": {"$ref": "#/paths/~1things~1{id}/get/x-schema"}}}

    assert [place for place, _ in mistakes_of(document)] == [(*OPERATION, "x-schema", "type")]


REF_A = {"$ref": "#/components/schemas/A"}


@pytest.mark.parametrize(
    "schema",
    [
        REF_A,
        {"allOf": [True, REF_A]},
        {"anyOf": [REF_A]},
        {"oneOf": [{"not": REF_A}]},
        {"if": REF_A},
        {"then": REF_A},
        {"else": REF_A},
        {"dependentSchemas": {"a": REF_A}},
        {"allOf": [{"$ref": "#/components/schemas/B"}]},
    ],
)
def test_a_schema_that_applies_itself_to_the_same_value_is_a_mistake(schema: Any) -> None:
    found = mistakes_of_schemas(A=schema, B={"allOf": [True, REF_A]})

    assert set(found.values()) <= {f"$ref is '#/components/schemas/{name}'; {CIRCLE}" for name in "AB"}
    assert [place for place in found if place.startswith("A.")] != []


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": REF_A}},
        {"items": REF_A},
        {"additionalProperties": REF_A},
        {"patternProperties": {"a": REF_A}},
        {"contains": REF_A},
        {"propertyNames": REF_A},
        {"allOf": [{"$ref": "#/components/schemas/B"}], "anyOf": [{"$ref": "#/components/schemas/B"}]},
        {"$ref": "#nowhere", "$anchor": "nowhere"},
    ],
)
def test_a_schema_that_applies_itself_to_a_part_of_the_value_is_fine(schema: Any) -> None:
    found = mistakes_of_schemas(A=schema, B={"properties": {"b": REF_A}, "oneOf": [{"type": "object"}]})

    assert found == {}


def test_a_circle_below_an_escaped_name_is_found() -> None:
    name = "a/b~c%d"
    reference = {"$ref": "#/components/schemas/a~1b~0c%25d"}

    assert list(mistakes_of_schemas(**{name: {"allOf": [reference]}})) == [f"{name}.allOf.0.$ref"]
