"""OpenAPI documents as typed operations, and the broken ones that are turned away with a reason."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mockserver.errors import SpecError
from mockserver.openapi.document import Content, OpenApiDocument, Operation, read_openapi
from mockserver.openapi.operations import usual_status
from mockserver.openapi.schema import Schema

JSON = "application/json"
OURS = Path(__file__).parents[2] / "openapi.yaml"


def make_document(operation: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A document with `GET /things/{id}`."""
    return {"openapi": "3.1.0", "paths": {"/things/{id}": {"get": operation or {}}}, **more}


def make_operation(operation: dict[str, Any], **more: Any) -> Operation:
    return OpenApiDocument(make_document(operation, **more), "doc.yaml").operations[0]


def schema_of(contents: Mapping[str, Content] | None) -> Schema:
    assert contents
    schema = contents[JSON].schema
    assert schema
    return schema


def refusal_of(document: Any) -> str:
    with pytest.raises(SpecError) as caught:
        OpenApiDocument(document, "doc.yaml")
    return str(caught.value)


def test_the_bundled_document_is_read_completely() -> None:
    spec = read_openapi(OURS)

    assert {"queueBatch", "getBatchStatus", "askModel", "getUser"} <= {operation.key for operation in spec.operations}
    assert spec.name == str(OURS)
    assert list(spec._unusable_schemas()) == []
    assert spec.by_key["queueBatch"] is spec.by_key["POST /ai/batches"]
    assert [each.key for each in spec.operations if each.is_open] == ["getArchive"]
    assert spec.by_key["getArchive"].sandbox_parameter == "sandbox"
    assert spec.by_key["getUser"].sandbox_parameter == ""


def test_an_operation_has_the_fields_of_the_document() -> None:
    operation = make_operation(
        {
            "operationId": "getThing",
            "summary": "Get it",
            "tags": ["A", "B"],
            "responses": {"200": {"description": "ok"}},
        }
    )

    assert (operation.key, operation.method, operation.path) == ("getThing", "GET", "/things/{id}")
    assert (operation.summary, operation.tag, operation.document) == ("Get it", "A", "doc.yaml")
    assert operation.responses["200"].description == "ok"
    assert (operation.body, operation.body_required) == (None, False)


def test_an_operation_without_an_id_is_called_by_method_and_path() -> None:
    operation = make_operation({})

    assert (operation.key, operation.summary, operation.tag, operation.parameters) == ("GET /things/{id}", "", "", ())


def test_operation_parameters_override_those_of_the_path() -> None:
    shared = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    document = make_document(
        {
            "parameters": [
                {"name": "limit", "in": "query", "schema": {"type": "string"}},
                {"name": "id", "in": "query"},
                {"$ref": "#/components/parameters/Trace"},
            ]
        },
        components={"parameters": {"Trace": {"name": "X-Trace", "in": "header", "schema": {"type": "string"}}}},
    )
    document["paths"]["/things/{id}"]["parameters"] = [shared, {"name": "limit", "in": "query", "required": True}]

    (operation,) = OpenApiDocument(document, "doc.yaml").operations

    assert [(each.location, each.name, each.required, sorted(each.types)) for each in operation.parameters] == [
        ("path", "id", True, ["integer"]),
        ("query", "limit", False, ["string"]),
        ("query", "id", False, []),
        ("header", "x-trace", False, ["string"]),
    ]


def test_accept_content_type_and_authorization_are_no_parameters() -> None:
    names = ["Accept", "content-type", "AUTHORIZATION", "X-Mine"]

    operation = make_operation({"parameters": [{"name": name, "in": "header"} for name in names]})

    assert [each.name for each in operation.parameters] == ["x-mine"]


@pytest.mark.parametrize(
    ("location", "stated", "explode"),
    [
        ("query", None, True),
        ("cookie", None, True),
        ("path", None, False),
        ("header", None, False),
        ("query", False, False),
        ("header", True, True),
    ],
)
def test_explode_has_the_default_of_its_place(location: str, stated: bool | None, explode: bool) -> None:
    parameter = {"name": "id", "in": location} | ({} if stated is None else {"explode": stated})

    assert make_operation({"parameters": [parameter]}).parameters[0].explode is explode


@pytest.mark.parametrize(
    ("definition", "types"),
    [
        ({"type": "integer"}, {"integer"}),
        ({"type": ["integer", "null"]}, {"integer", "null"}),
        ({"anyOf": [{"type": "integer"}, {"oneOf": [{"type": "null"}, True]}]}, {"integer", "null"}),
        ({"allOf": [{"type": "number"}]}, {"number"}),
        ({}, set()),
    ],
)
def test_the_types_of_a_parameter_are_those_its_schema_names(definition: dict[str, Any], types: set[str]) -> None:
    (parameter,) = make_operation({"parameters": [{"name": "id", "in": "path", "schema": definition}]}).parameters

    assert parameter.types == types


def test_keywords_beside_a_reference_count_too() -> None:
    operation = make_operation(
        {"parameters": [{"name": "id", "in": "path", "schema": {"$ref": "#/components/schemas/Id", "maxLength": 3}}]},
        components={"schemas": {"Id": {"type": "string", "minLength": 2}}},
    )

    (parameter,) = operation.parameters

    assert parameter.types == {"string"}
    assert [parameter.schema.accepts(text) for text in ("a", "ab", "abcd")] == [False, True, False]


def test_the_sandbox_parameter_is_marked_by_an_extension_of_a_path_parameter() -> None:
    marked = {"in": "path", "schema": {"type": "string"}, "x-mock-sandbox-key": True}

    assert make_operation({"parameters": [{**marked, "name": "id"}]}).sandbox_parameter == "id"
    assert make_operation({"parameters": [{**marked, "name": "id", "in": "query"}]}).sandbox_parameter == ""


def test_references_are_followed_to_everything_that_can_be_referred_to() -> None:
    operation = make_operation(
        {
            "requestBody": {"$ref": "#/components/requestBodies/Thing"},
            "responses": {"200": {"$ref": "#/components/responses/Twice"}},
        },
        components={
            "requestBodies": {"Thing": {"required": True, "content": {JSON: {"schema": True}}}},
            "responses": {
                "Twice": {"$ref": "#/components/responses/Thing"},
                "Thing": {
                    "description": "ok",
                    "headers": {"Retry-After": {"$ref": "#/components/headers/Retry"}},
                    "content": {JSON: {"examples": {"a": {"$ref": "#/components/examples/A"}}}},
                },
            },
            "headers": {"Retry": {"example": 3}},
            "examples": {"A": {"value": [1]}},
        },
    )

    assert operation.body_required
    assert schema_of(operation.body).accepts({"any": "thing"})
    assert operation.responses["200"].headers == {"Retry-After": {"example": 3}}
    assert operation.responses["200"].content[JSON].examples == {"a": [1]}


@pytest.mark.parametrize("pointer", ["#/paths/~1things~1{id}/get/x-it/0", "#/paths/~1things~1%7Bid%7D/get/x-it/0"])
def test_a_reference_may_be_escaped_and_may_count(pointer: str) -> None:
    operation = {"x-it": [{"name": "id", "in": "path"}], "parameters": [{"$ref": pointer}]}

    assert make_operation(operation).parameters[0].name == "id"


def content_of(content: dict[str, Any], **more: Any) -> dict[str, Any]:
    responses = {"200": {"description": "ok", "content": {JSON: content}}}
    return dict(make_operation({"responses": responses}, **more).responses["200"].content[JSON].examples)


def test_examples_keep_their_order_and_go_before_those_of_the_schema() -> None:
    named = {"z": {"value": 1}, "a": {"value": 2}}

    assert list(content_of({"examples": named, "schema": {"example": 3}}).items()) == [("z", 1), ("a", 2)]
    assert content_of({"example": None, "schema": {"example": 3}}) == {"default": None}
    assert list(content_of({"examples": named, "example": 3})) == ["z", "a", "default"]
    assert content_of({"schema": {"example": 0}}) == {"default": 0}
    assert content_of({"schema": {"examples": [7, 8]}}) == {"default": 7}
    assert content_of({"schema": {"examples": []}}) == {}
    assert content_of({"schema": False}) == {}


def test_an_example_of_a_schema_is_found_through_its_reference() -> None:
    components = {"schemas": {"Thing": {"example": {"a": 1}}}}

    assert content_of({"schema": {"$ref": "#/components/schemas/Thing"}}, components=components) == {
        "default": {"a": 1}
    }


def test_a_status_is_documented_by_number_then_class_then_default() -> None:
    responses = {name: {"description": name} for name in ("default", "4xx", "404", "201")}
    operation = make_operation({"responses": responses})

    found = {status: operation.response(status) for status in (404, 422, 500, 201)}

    assert {status: each and each.description for status, each in found.items()} == {
        404: "404",
        422: "4xx",
        500: "default",
        201: "201",
    }
    assert operation.statuses == (404, 201)
    assert operation.success == 201
    assert make_operation({"responses": {"4XX": {}}}).response(500) is None
    assert make_operation({"responses": {"404": {}}}).success == 200


@pytest.mark.parametrize(
    ("documented", "status"),
    [
        (["204", "201", "404"], 201),
        (["200", "default"], 200),
        (["299", "300"], 299),
        (["2XX", "404"], 200),
        (["default", "404"], 200),
        ([], 200),
        (["404", "302", "301"], 301),
        (["199", "404"], 199),
        (["500", "404"], 404),
        (["400", "399"], 399),
        (["4XX", "5XX"], 400),
        (["5XX"], 500),
    ],
)
def test_the_usual_status_is_the_lowest_success_else_a_redirect_else_an_error(
    documented: list[str], status: int
) -> None:
    operation = make_operation({"responses": {name: {"description": name} for name in documented}})

    assert usual_status(operation.responses) == status


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "Shouted": {"type": "http", "scheme": "BEARER"},
    "oauth": {"type": "oauth2", "flows": {}},
    "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://id.example"},
    "referred": {"$ref": "#/components/securitySchemes/bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "basic": {"type": "http", "scheme": "basic"},
    "tls": {"type": "mutualTLS"},
}


@pytest.mark.parametrize(
    ("own", "general", "is_open"),
    [
        (None, None, True),
        (None, [], True),
        (None, [{"bearer": []}], False),
        ([], [{"bearer": []}], True),
        ([{}], [{"bearer": []}], True),
        ([{"bearer": []}], None, False),
        ([{"Shouted": []}], None, False),
        ([{"oauth": ["read"]}], None, False),
        ([{"oidc": []}], None, False),
        ([{"referred": []}], None, False),
        ([{"bearer": []}, {}], None, True),
        ([{"key": []}], [{"bearer": []}], False),
        ([{"basic": []}], None, False),
        ([{"tls": []}], None, True),
        ([{"undeclared": []}], None, True),
        ([{"key": []}, {"bearer": []}], None, False),
        ([{"key": [], "bearer": []}], None, False),
    ],
)
def test_a_credential_is_needed_where_a_scheme_is_named_and_nothing_is_not_enough(
    own: Any, general: Any, is_open: bool
) -> None:
    more = {} if general is None else {"security": general}

    operation = make_operation(
        {} if own is None else {"security": own}, components={"securitySchemes": SCHEMES}, **more
    )

    assert operation.is_open is is_open


def on_disk(folder: Path, document: Any) -> Path:
    path = folder / "doc.json"
    path.write_text(json.dumps(document))
    return path


LEGACY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "nullable": True},
        "kind": {"type": "string", "nullable": True, "enum": ["a"]},
        "size": {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False},
        "both": {"type": "array", "items": {"type": "number", "maximum": 5, "exclusiveMaximum": True}},
        "default": {"type": "string", "nullable": True},
        "enum": {"type": "string", "nullable": True},
        "nullable": {"type": "boolean"},
        "mixed": {"anyOf": [{"type": "integer", "nullable": True}]},
        "free": {"nullable": True, "exclusiveMinimum": True},
    },
    "example": {"nullable": True, "type": "string"},
}


def test_a_3_0_document_is_converted_to_3_1(tmp_path: Path) -> None:
    document = make_document(
        {"responses": {"200": {"content": {JSON: {"schema": {"$ref": "#/components/schemas/Old"}}, "text/plain": {}}}}},
        components={"schemas": {"Old": LEGACY}},
    ) | {"openapi": "3.0.3"}

    spec = read_openapi(on_disk(tmp_path, document))

    schema = schema_of(spec.operations[0].responses["200"].content)
    good = [{"name": None}, {"kind": None}, {"kind": "a"}, {"size": 1}, {"size": 9}, {"both": [4.9]}, {"default": None}]
    bad = [{"name": 1}, {"kind": "b"}, {"size": 0}, {"size": 10}, {"both": [5]}, {"default": 1}, {"nullable": None}]
    assert [each for each in good + [{"enum": None}, {"free": 0}, {"mixed": None}] if not schema.accepts(each)] == []  # noqa: RUF005  a sum reads better here
    assert [each for each in bad if schema.accepts(each)] == []
    assert spec.operations[0].responses["200"].content[JSON].examples == {"default": LEGACY["example"]}


def test_a_3_1_document_is_unchanged(tmp_path: Path) -> None:
    document = make_document(components={"schemas": {"New": {"type": "string", "nullable": True}}})

    assert read_openapi(on_disk(tmp_path, document)).document == document


def test_a_schema_may_refer_to_itself(tmp_path: Path) -> None:
    reference = {"$ref": "#/components/schemas/Tree"}
    tree = {"type": "object", "properties": {"children": {"type": "array", "items": reference}}}
    document = make_document(
        {"requestBody": {"content": {JSON: {"schema": reference}}}}, components={"schemas": {"Tree": tree}}
    )

    spec = read_openapi(on_disk(tmp_path, document))

    schema = schema_of(spec.operations[0].body)
    assert schema.accepts({"children": [{"children": []}]})
    assert not schema.accepts({"children": [{"children": [1]}]})


GET: dict[str, Any] = {"/things/{id}": {"get": {}}}
CIRCLE = {"schemas": {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "the document is NoneType; wanted a mapping"),
        ([], "the document is list; wanted a mapping"),
        ({"swagger": "2.0", "paths": {}}, "openapi is None; wanted a version 3.x"),
        ({"openapi": "2.0", "paths": {}}, "openapi is '2.0'"),
        ({"openapi": 3.1, "paths": {}}, "openapi is 3.1"),
        ({"openapi": "3.1.0", "paths": None}, "paths is NoneType; wanted a mapping"),
        ({"openapi": "3.1.0", "paths": []}, "paths is list; wanted a mapping"),
        ({"openapi": "3.1.0", "paths": {"things": {}}}, "paths.things: a path starts with '/'"),
        ({"openapi": "3.1.0", "paths": {"/{a}/{a}": {}}}, "paths./{a}/{a}: a name in braces stands twice"),
        ({"openapi": "3.1.0", "paths": {"/a": 5}}, "/a is int; wanted a mapping"),
        ({"openapi": "3.1.0", "paths": {"/a": {"get": None}}}, "GET /a is NoneType; wanted a mapping"),
        ({"openapi": "3.1.0", "paths": GET, "components": []}, "components is list"),
        ({"openapi": "3.1.0", "paths": GET, "components": {"securitySchemes": 1}}, "components.securitySchemes is int"),
        ({"openapi": "3.1.0", "paths": GET, "components": {"securitySchemes": {"a": 1}}}, "securitySchemes.a is int"),
        ({"openapi": "3.1.0", "paths": {"/a": {"$ref": "#/nowhere"}}}, "/a: $ref is '#/nowhere'; the document has no"),
        ({"openapi": "3.1.0", "paths": {"/a": {"$ref": "b.yaml"}}}, "/a: $ref is 'b.yaml'; only references inside"),
    ],
)
def test_a_broken_document_is_refused_with_name_and_place(document: Any, words: str) -> None:
    message = refusal_of(document)

    assert message.startswith("doc.yaml: ")
    assert words in message


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ({"parameters": {}}, "parameters is dict; wanted a list"),
        ({"parameters": [5]}, "parameters is int; wanted a mapping"),
        ({"parameters": [{"in": "query"}]}, "a parameter has name None, in 'query'; wanted a name"),
        ({"parameters": [{"name": "a"}]}, "a parameter has name 'a', in None"),
        ({"parameters": [{"name": "a", "in": "body"}]}, "in one of path, query, header, cookie"),
        ({"parameters": [{"name": "a", "in": "query", "schema": 5}]}, "parameter a is int"),
        ({"parameters": [{"$ref": "#/components/parameters/No"}]}, "parameters: $ref is '#/components/parameters/No'"),
        ({"parameters": [{"$ref": "#/paths/9"}]}, "the document has no such thing"),
        ({"requestBody": 5}, "requestBody is int"),
        ({"requestBody": {"content": []}}, "requestBody: content is list"),
        ({"requestBody": {"content": {JSON: []}}}, "application/json is list"),
        ({"requestBody": {"content": {JSON: {"schema": 5}}}}, "application/json: schema is int"),
        ({"responses": []}, "responses is list"),
        ({"responses": {"200": None}}, "response 200 is NoneType"),
        ({"responses": {"200": {"headers": []}}}, "response 200: headers is list"),
        ({"responses": {"200": {"headers": {"A": 1}}}}, "response 200: header A is int"),
        ({"responses": {"200": {"content": {JSON: {"examples": []}}}}}, "examples is list"),
        ({"responses": {"200": {"content": {JSON: {"examples": {"a": 1}}}}}}, "example a is int"),
        ({"responses": {"200": {"$ref": "#/components/responses/No"}}}, "response 200: $ref"),
        ({"security": {"a": []}}, "security is dict; wanted a list"),
        ({"security": ["a"]}, "security is str; wanted a mapping"),
        ({"tags": "a"}, "tags is str; wanted a list"),
    ],
)
def test_a_broken_operation_is_refused_with_name_and_place(operation: dict[str, Any], words: str) -> None:
    message = refusal_of(make_document(operation))

    assert message.startswith("doc.yaml: GET /things/{id}")
    assert words in message


def test_a_repeated_operation_id_is_rejected() -> None:
    document = make_document({"operationId": "it"})
    document["paths"]["/other"] = {"post": {"operationId": "it"}}

    assert refusal_of(document) == "doc.yaml: the operationId 'it' stands twice"


def test_a_circular_reference_is_rejected() -> None:
    operation = {"requestBody": {"content": {JSON: {"schema": {"$ref": "#/components/schemas/A"}}}}}

    assert "its $ref goes round in circles" in refusal_of(make_document(operation, components=CIRCLE))


BODY = {"requestBody": {"content": {JSON: {"schema": {"properties": {"a": {"type": "strnig"}}}}}}}
REPLY = {"responses": {"200": {"content": {JSON: {"schema": {"items": {"$ref": "#/components/schemas/No"}}}}}}}
PARAMETER = {"parameters": [{"name": "id", "in": "path", "schema": {"pattern": "("}}]}


AT = "paths./things/{id}.get"


@pytest.mark.parametrize(
    ("operation", "components", "words"),
    [
        (BODY, {}, f"{AT}.requestBody.content.{JSON}.schema.properties.a.type: type is 'strnig'; wanted one of array"),
        (REPLY, {}, f"{AT}.responses.200.content.{JSON}.schema.items.$ref: $ref is '#/components/schemas/No'; "),
        (PARAMETER, {}, f"{AT}.parameters[0].schema.pattern: the pattern '(' is not a regular expression"),
        ({}, CIRCLE, "components.schemas.A.$ref: $ref is '#/components/schemas/B'; it goes round in circles"),
        ({}, {"schemas": []}, "components.schemas: is a list; wanted a mapping"),
    ],
)
def test_an_unusable_schema_is_reported_when_the_file_is_read(
    tmp_path: Path, operation: dict[str, Any], components: dict[str, Any], words: str
) -> None:
    path = on_disk(tmp_path, make_document(operation, components=components))

    with pytest.raises(SpecError) as caught:
        read_openapi(path)

    assert str(caught.value).startswith(f"{path}:1: {words}")


def test_a_file_without_paths_is_refused(tmp_path: Path) -> None:
    path = on_disk(tmp_path, {"openapi": "3.1.0", "components": {}})

    with pytest.raises(SpecError) as caught:
        read_openapi(path)

    assert str(caught.value) == f"{path}:1: the file: paths is missing; there is nothing to serve"


def test_a_file_that_cannot_be_read_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        read_openapi(tmp_path / "missing.yaml")
