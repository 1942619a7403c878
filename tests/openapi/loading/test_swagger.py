"""Swagger 2.0 as OpenAPI 3.0: each part where the newer version keeps it."""

from typing import Any

import pytest

from mockserver.openapi.loading.swagger import as_openapi, is_swagger, original_location

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
NAME = {"in": "formData", "name": "name", "type": "string", "required": True}
PHOTO = {"in": "formData", "name": "photo", "type": "file"}
THING = {"type": "object", "properties": {"id": {"type": "integer"}}}


def convert(operation: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The converted `POST /things`."""
    document = as_openapi({"swagger": "2.0", "paths": {"/things": {"post": operation}}, **more})
    found: dict[str, Any] = document["paths"]["/things"]["post"]
    return found


def convert_parameter(**parameter: Any) -> dict[str, Any]:
    found: dict[str, Any] = convert({"parameters": [{"name": "p", "in": "query", **parameter}]})["parameters"][0]
    return found


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"swagger": "2.0"}, True),
        ({"swagger": 2.0}, True),
        ({"swagger": "1.2"}, False),
        ({"openapi": "3.0.3"}, False),
        ([], False),
        (None, False),
    ],
)
def test_only_version_two_is_swagger(document: Any, expected: bool) -> None:
    assert is_swagger(document) is expected


def test_definitions_parameters_responses_and_security_become_components() -> None:
    document = as_openapi(
        {
            "swagger": "2.0",
            "info": {"title": "Things"},
            "tags": [{"name": "a"}],
            "host": "api.example",
            "schemes": ["https"],
            "definitions": {"Thing": THING, "x-note": "kept"},
            "parameters": {"Limit": {"in": "query", "name": "limit", "type": "integer"}, "Body": {"in": "body"}},
            "responses": {"Gone": {"description": "gone", "schema": {"$ref": "#/definitions/Thing"}}},
            "securityDefinitions": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
        }
    )

    assert document == {
        "openapi": "3.0.3",
        "info": {"title": "Things"},
        "tags": [{"name": "a"}],
        "paths": {},
        "components": {
            "schemas": {"Thing": THING, "x-note": "kept"},
            "parameters": {"Limit": {"in": "query", "name": "limit", "schema": {"type": "integer"}}},
            "responses": {
                "Gone": {
                    "description": "gone",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                }
            },
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
        },
    }


@pytest.mark.parametrize(
    ("base", "servers"), [("/v2", [{"url": "/v2"}]), ("/", None), ("", None), (None, None), (5, None)]
)
def test_the_base_path_is_a_server(base: Any, servers: Any) -> None:
    assert as_openapi({"swagger": "2.0", "basePath": base}).get("servers") == servers


@pytest.mark.parametrize(
    ("consumes", "fields", "media_types"),
    [
        ([], [NAME], [FORM]),
        (["application/json"], [NAME], [FORM]),
        ([MULTIPART], [NAME], [MULTIPART]),
        ([FORM, "text/plain", MULTIPART], [NAME], [FORM, MULTIPART]),
        ([FORM], [NAME, PHOTO], [MULTIPART]),
        ([], [PHOTO], [MULTIPART]),
    ],
)
def test_form_data_is_a_request_body_in_the_forms_that_are_consumed(
    consumes: list[str], fields: list[dict[str, Any]], media_types: list[str]
) -> None:
    body = convert({"consumes": consumes, "parameters": fields})["requestBody"]

    assert list(body["content"]) == media_types
    assert body["required"] is (NAME in fields)


def test_the_fields_of_a_form_are_properties() -> None:
    tags = {"in": "formData", "name": "tags", "type": "array", "items": {"type": "string"}, "collectionFormat": "ssv"}
    filled = {"in": "formData", "name": "filled", "type": "string", "allowEmptyValue": False}
    limited = {**filled, "name": "limited", "minLength": 3}

    body = convert({"consumes": [MULTIPART], "parameters": [NAME, PHOTO, tags, filled, limited]})["requestBody"]

    assert body["content"][MULTIPART] == {
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "photo": {"type": "string", "format": "binary"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "filled": {"type": "string", "minLength": 1},
                "limited": {"type": "string", "minLength": 3},
            },
            "required": ["name"],
        },
        "encoding": {"tags": {"style": "spaceDelimited", "explode": False}},
    }


def test_a_form_without_a_required_field_may_be_missing() -> None:
    body = convert({"parameters": [{**NAME, "required": False}]})["requestBody"]

    assert body == {
        "content": {FORM: {"schema": {"type": "object", "properties": {"name": {"type": "string"}}}}},
        "required": False,
    }


def test_what_an_operation_consumes_wins_over_what_the_document_does() -> None:
    body = {"parameters": [{"in": "body", "name": "b", "schema": THING, "required": True, "description": "A thing."}]}

    own = convert({**body, "consumes": ["text/csv", "text/plain"]}, consumes=["application/xml"])["requestBody"]
    shared = convert(body, consumes=["application/xml"])["requestBody"]
    neither = convert(body)["requestBody"]

    assert own == {
        "content": {"text/csv": {"schema": THING}, "text/plain": {"schema": THING}},
        "description": "A thing.",
        "required": True,
    }
    assert list(shared["content"]) == ["application/xml"]
    assert list(neither["content"]) == ["application/json"]


@pytest.mark.parametrize(
    ("examples", "expected"),
    [({"x-example": {"id": 1}}, {"id": 1}), ({"x-examples": {"id": 2}, "x-example": {"id": 1}}, {"id": 2})],
)
def test_a_body_has_its_example(examples: dict[str, Any], expected: Any) -> None:
    body = convert({"parameters": [{"in": "body", "name": "b", "schema": THING, **examples}]})["requestBody"]

    assert body["content"]["application/json"]["example"] == expected


def test_a_shared_body_and_referenced_parameters_are_those_of_the_operation() -> None:
    document = as_openapi(
        {
            "swagger": "2.0",
            "parameters": {
                "Body": {"in": "body", "name": "b", "schema": {"$ref": "#/definitions/Thing"}},
                "Limit": {"in": "query", "name": "limit", "type": "integer"},
            },
            "paths": {
                "/things": {
                    "parameters": [{"$ref": "#/parameters/Body"}, {"$ref": "#/parameters/Limit"}],
                    "put": {},
                    "post": {"parameters": [{"in": "body", "name": "b", "schema": {"type": "string"}}]},
                }
            },
        }
    )

    item = document["paths"]["/things"]
    assert item["parameters"] == [{"$ref": "#/components/parameters/Limit"}]
    assert "parameters" not in item["put"]
    assert item["post"]["parameters"] == []
    schemas = [item[method]["requestBody"]["content"]["application/json"]["schema"] for method in ("put", "post")]
    assert schemas == [{"$ref": "#/components/schemas/Thing"}, {"type": "string"}]


@pytest.mark.parametrize(
    ("collection", "place", "style"),
    [
        ("csv", "query", ("form", False)),
        ("ssv", "query", ("spaceDelimited", False)),
        ("tsv", "query", ("spaceDelimited", False)),
        ("pipes", "query", ("pipeDelimited", False)),
        ("multi", "query", ("form", True)),
        ("unknown", "query", ("form", False)),
        ("multi", "header", ("simple", False)),
        ("pipes", "path", ("simple", False)),
    ],
)
def test_a_list_is_written_as_its_collection_format_says(collection: str, place: str, style: tuple[str, bool]) -> None:
    items = {"type": "string"}

    made = convert_parameter(**{"in": place}, type="array", items=items, collectionFormat=collection)

    assert made == {
        "name": "p",
        "in": place,
        "schema": {"type": "array", "items": items},
        "style": style[0],
        "explode": style[1],
    }


def test_a_list_without_a_collection_format_has_commas() -> None:
    made = convert_parameter(type="array", items={"type": "string"})

    assert (made["style"], made["explode"]) == ("form", False)


def test_a_parameter_keeps_its_bounds_and_examples() -> None:
    made = convert_parameter(
        type="number", minimum=1, exclusiveMaximum=True, maximum=9, default=2, description="d", **{"x-example": 3}
    )

    assert made == {
        "name": "p",
        "in": "query",
        "description": "d",
        "schema": {"type": "number", "minimum": 1, "exclusiveMaximum": True, "maximum": 9, "default": 2},
        "x-example": 3,
        "example": 3,
    }


def test_a_response_has_its_examples_by_media_type() -> None:
    response = {
        "description": "ok",
        "schema": {"$ref": "#/definitions/Thing"},
        "examples": {"text/csv": "1", "*/*": {"id": 5}, "no media type": 0},
        "headers": {"X-Count": {"type": "integer", "description": "how many"}},
    }
    schema = {"$ref": "#/components/schemas/Thing"}

    made = convert({"produces": ["application/json", "application/xml"], "responses": {"200": response}})

    assert made["responses"]["200"] == {
        "description": "ok",
        "content": {
            "application/json": {"schema": schema, "example": {"id": 5}},
            "application/xml": {"schema": schema, "example": {"id": 5}},
            "text/csv": {"schema": schema, "example": "1"},
        },
        "headers": {"X-Count": {"description": "how many", "schema": {"type": "integer"}}},
    }


def test_a_response_without_a_schema_has_no_content() -> None:
    shared = {"description": "shared", "schema": THING}
    made = convert(
        {"responses": {"204": {"description": "none"}, "404": {"$ref": "#/responses/Gone"}, "x-note": 1}},
        responses={"Gone": shared},
        produces=["text/plain"],
    )

    assert made["responses"] == {
        "204": {"description": "none"},
        "404": {"$ref": "#/components/responses/Gone"},
        "x-note": 1,
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "file"}, {"type": "string", "format": "binary"}),
        ({"type": "string", "x-nullable": True}, {"type": "string", "nullable": True}),
        ({"discriminator": "kind"}, {"discriminator": {"propertyName": "kind"}}),
        (
            {"properties": {"a": {"allOf": [{"$ref": "#/definitions/Thing"}]}}},
            {"properties": {"a": {"allOf": [{"$ref": "#/components/schemas/Thing"}]}}},
        ),
        (
            {"default": {"$ref": "#/definitions/Thing", "type": "file"}},
            {"default": {"$ref": "#/definitions/Thing", "type": "file"}},
        ),
        ({"$ref": "other.yaml#/definitions/Thing"}, {"$ref": "other.yaml#/definitions/Thing"}),
    ],
)
def test_a_schema_is_written_as_openapi_writes_it(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert as_openapi({"swagger": "2.0", "definitions": {"It": schema}})["components"]["schemas"]["It"] == expected


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ({"type": "basic"}, {"type": "http", "scheme": "basic"}),
        (
            {"type": "oauth2", "flow": "accessCode", "tokenUrl": "/t", "authorizationUrl": "/a", "scopes": {"x": "y"}},
            {
                "type": "oauth2",
                "flows": {"authorizationCode": {"tokenUrl": "/t", "authorizationUrl": "/a", "scopes": {"x": "y"}}},
            },
        ),
        (
            {"type": "oauth2", "flow": "application", "tokenUrl": "/t"},
            {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/t"}}},
        ),
        ({"type": "oauth2", "flow": "password"}, {"type": "oauth2", "flows": {"password": {}}}),
        ({"type": "oauth2"}, {"type": "oauth2", "flows": {"implicit": {}}}),
    ],
)
def test_a_security_scheme_is_written_as_openapi_writes_it(scheme: Any, expected: Any) -> None:
    document = as_openapi({"swagger": "2.0", "securityDefinitions": {"s": scheme}})

    assert document["components"]["securitySchemes"]["s"] == expected


@pytest.mark.parametrize(
    "mistake",
    [
        {"paths": []},
        {"paths": {"/a": None}},
        {"paths": {"/a": {"get": 5, "parameters": "none"}}},
        {"paths": {"/a": {"get": {"parameters": [5], "responses": {"200": "ok"}}}}},
        {"definitions": [], "parameters": 5, "responses": "x", "securityDefinitions": {"s": None}},
        {"consumes": "text/plain", "produces": 5},
    ],
)
def test_a_part_with_a_mistake_is_kept_as_it_is(mistake: dict[str, Any]) -> None:
    document = as_openapi({"swagger": "2.0", **mistake})

    assert document["paths"] == mistake.get("paths", {})


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("components", "schemas", "Thing", "type"), ("definitions", "Thing", "type")),
        (("components", "responses", "Gone"), ("responses", "Gone")),
        (("components",), ("components",)),
        (("paths", "/a", "get"), ("paths", "/a", "get")),
    ],
)
def test_a_mistake_is_shown_where_it_stands_in_the_swagger_document(
    location: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert original_location(location) == expected


@pytest.mark.parametrize(
    ("stated", "required"), [({}, False), ({"required": True}, True), ({"required": False}, False)]
)
def test_a_body_is_required_if_the_document_says_so(stated: dict[str, Any], required: bool) -> None:
    made = convert({"parameters": [{"in": "body", "name": "b", "schema": THING, **stated}]})

    assert made["requestBody"] == {
        "content": {"application/json": {"schema": THING}},
        "description": "",
        "required": required,
    }
