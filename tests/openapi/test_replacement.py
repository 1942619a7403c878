"""Documents that replace the bundled one: what their operations replace, what is left, and what handlers need."""

from typing import Any

import pytest

from mockserver.errors import SpecError
from mockserver.openapi.document import OpenApiDocument
from mockserver.openapi.replacement import FARTHEST, PARTIAL, Needs, find_replaced, remaining, replace_bundled
from mockserver.openapi.schema import Schema

JSON = "application/json"


def make_operation(key: str, *, tag: str = "Mine", **more: Any) -> dict[str, Any]:
    return {"operationId": key, "tags": [tag], "responses": {"200": {"description": "ok"}}, **more}


def make_document(paths: dict[str, Any], name: str = "served.yaml", **more: Any) -> OpenApiDocument:
    return OpenApiDocument({"openapi": "3.1.0", "paths": paths, **more}, name)


def make_bundled(**more: Any) -> OpenApiDocument:
    paths = {
        "/a": {"get": make_operation("getA"), "post": make_operation("postA"), "parameters": []},
        "/b": {"get": make_operation("getB")},
        "/c": {"get": make_operation("getC", tag="Other"), "summary": "not kept"},
    }
    return make_document(paths, "bundled.yaml", **more)


def keys_of(found: dict[Any, Any]) -> dict[str, str]:
    return {served.key: ours.key for served, ours in found.items()}


@pytest.mark.parametrize(
    ("paths", "replaced"),
    [
        ({"/x": {"put": make_operation("getA")}}, {"getA": "getA"}),
        ({"/x": {"put": make_operation("getA", tag="Unknown")}}, {}),
        ({"/a": {"get": make_operation("getA", tag="Unknown")}}, {"getA": "getA"}),
        ({"/a": {"get": make_operation("another")}}, {"another": "getA"}),
        ({"/a": {"get": make_operation("another", tag="Unknown")}}, {}),
        ({"/a": {"put": make_operation("another")}}, {}),
        ({"/a": {"get": make_operation("one")}, "/x": {"put": make_operation("getA")}}, {"getA": "getA"}),
        ({"/a": {"get": make_operation("getB"), "post": make_operation("getA")}}, {"getB": "getB", "getA": "getA"}),
    ],
)
def test_an_operation_replaces_that_of_its_id_else_that_of_its_place(
    paths: dict[str, Any], replaced: dict[str, str]
) -> None:
    assert keys_of(find_replaced(make_document(paths), make_bundled(), {"Mine", "Other"})) == replaced


def remaining_of(paths: dict[str, Any], **more: Any) -> Any:
    """What a document leaves of the bundled one, by path and method; None for nothing, and the whole as `all`."""
    bundled = make_bundled()
    served = replace_bundled(make_document(paths, **more), bundled, {"Mine", "Other"})
    left = remaining(bundled, [make_document({}), served])
    if left is bundled:
        return "all"
    assert left is None or left.name == "bundled.yaml"
    return left and (left.document["paths"], sorted(each.key for each in left.operations))


def test_a_document_replaces_all_operations_of_its_api() -> None:
    bundled = make_bundled().document["paths"]

    assert remaining_of({"/x": {"get": make_operation("getX")}}) == "all"
    assert remaining_of({"/a": {"get": make_operation("getA")}}) == ({"/c": {"get": bundled["/c"]["get"]}}, ["getC"])
    assert remaining_of({"/a": {"get": make_operation("getA")}}, **{PARTIAL: True}) == (
        {
            "/a": {"post": bundled["/a"]["post"], "parameters": []},
            "/b": bundled["/b"],
            "/c": {"get": bundled["/c"]["get"]},
        },
        ["getB", "getC", "postA"],
    )
    assert remaining_of({"/a": {"get": make_operation("getA")}}, **{PARTIAL: "true"}) == (
        {"/c": {"get": bundled["/c"]["get"]}},
        ["getC"],
    )
    assert remaining_of({"/a": {"get": make_operation("getA")}, "/c": {"get": make_operation("getC")}}) is None


# What handlers need


def needed_by(definition: Any) -> Any:
    bundled = make_document({}, "bundled.yaml")
    return Needs(bundled).of(Schema(definition, bundled.document)).definition


@pytest.mark.parametrize(
    ("definition", "needed"),
    [
        ({"type": "string", "minLength": 3, "pattern": "a", "format": "uuid", "enum": ["a", "b"], "const": "a"},
         {"type": "string", "const": "a"}),
        ({"type": "string", "format": "binary"}, {"type": "string", "format": "binary"}),
        ({"$ref": "#/components/schemas/A", "description": "x"}, {"$ref": "#/components/schemas/A"}),
        ({"type": "object", "required": ["a"], "dependentRequired": {"a": ["b"]}, "if": {"const": 1},
          "then": {"minLength": 1, "type": "string"}, "else": {"type": "null", "x": 1}},
         {"type": "object", "required": ["a"], "dependentRequired": {"a": ["b"]}, "if": {"const": 1},
          "then": {"type": "string"}, "else": {"type": "null"}}),
        ({"properties": {"a": {"enum": ["x"]}}, "patternProperties": {"^a": {"minLength": 1, "type": "string"}}},
         {"properties": {"a": {}}, "patternProperties": {"^a": {"type": "string"}}}),
        ({"items": {"type": "array", "minItems": 3}, "additionalProperties": {"type": "null"}},
         {"items": {"type": "array", "minItems": 1}, "additionalProperties": {"type": "null"}}),
        ({"items": True, "additionalProperties": False, "minItems": 0}, {}),
        ({"prefixItems": [{"enum": ["a"]}], "allOf": [{"enum": ["a"], "type": "string"}]},
         {"prefixItems": [{}], "allOf": [{"type": "string"}]}),
        ({"oneOf": [{"enum": ["a"]}, {"enum": ["a", "b"]}]}, {"anyOf": [{"enum": ["a"]}, {}]}),
        ({"anyOf": [{"properties": {"type": {"enum": ["a"]}}, "allOf": [{"enum": ["b"]}], "items": {"enum": ["c"]}}]},
         {"anyOf": [{"properties": {"type": {"enum": ["a"]}}, "allOf": [{"enum": ["b"]}], "items": {"enum": ["c"]}}]}),
        ({"type": "integer"}, {"type": "integer", "minimum": -FARTHEST, "maximum": FARTHEST}),
        ({"type": ["null", "number"], "minimum": 3, "maximum": 5},
         {"type": ["null", "number"], "minimum": 0, "maximum": FARTHEST}),
        ({"type": "number", "minimum": 0}, {"type": "number", "minimum": 0, "maximum": FARTHEST}),
        ({"type": "number", "minimum": -1}, {"type": "number", "minimum": -FARTHEST, "maximum": FARTHEST}),
    ],
)  # fmt: skip
def test_a_handler_needs_types_and_required_properties(definition: Any, needed: Any) -> None:
    assert needed_by(definition) == needed


def test_integers_are_bounded_by_what_json_can_represent() -> None:
    assert FARTHEST == 9_007_199_254_740_992


def test_a_value_fits_the_served_schema_and_what_the_handler_needs() -> None:
    components = {"Name": {"type": "string", "minLength": 3}}
    needs = Needs(make_document({}, "bundled.yaml", components={"schemas": components}))
    ours = Schema({"$ref": "#/components/schemas/Name"}, {"components": {"schemas": components}})
    served = Schema({"maxLength": 3}, {})

    guarded = needs.guarded(served, ours)

    assert [guarded.accepts(value) for value in ("", "abc", "abcd", 5)] == [True, True, False, False]
    assert [[each.code for each in guarded.violations(value)] for value in ("abc", "abcd", 5)] == [
        [],
        ["maxLength"],
        ["type"],
    ]
    assert guarded.violations(5, ("body", "a"))[0].location == ("body", "a")
    assert needs.guarded(None, ours).accepts("x")
    assert not needs.guarded(None, ours).accepts(5)
    assert needs.guarded(None, None).accepts(5)


def test_a_component_is_the_served_one_where_there_is_one() -> None:
    schemas = {"A": {"type": "string"}, "B": {"type": "null"}}
    bundled = make_document({}, "bundled.yaml", components={"schemas": schemas})
    served = make_document({}, components={"schemas": {"A": {"maxLength": 1}}})
    needs = Needs(bundled)

    assert [needs.component(served, "A").accepts(value) for value in ("a", "ab", 5)] == [True, False, False]
    assert needs.component(served, "A") is needs.component(served, "A")
    assert needs.component(served, "B") is bundled.component("B")
    assert needs.component(bundled, "A") is bundled.component("A")


# What a served operation has to have

ID = {"name": "id", "in": "query", "required": True, "schema": {"type": "integer", "minimum": 5}}
BODY = {"content": {JSON: {"schema": {"type": "object", "required": ["a"]}}}, "required": True}
BEARER = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}
OURS = {"parameters": [ID], "requestBody": BODY, "security": [{"bearer": []}]}


def served_as(operation: dict[str, Any], ours: dict[str, Any] = OURS, **more: Any) -> OpenApiDocument:
    bundled = make_document({"/a": {"post": make_operation("makeA", **ours)}}, "bundled.yaml", components=BEARER)
    served = make_document({"/a": {"post": make_operation("own", **operation)}}, components=BEARER)
    return replace_bundled(served, bundled, {"Mine"}, **more)


def test_a_replaced_operation_keeps_the_names_and_the_required_parts_of_the_bundled_one() -> None:
    operation = {
        **OURS,
        "parameters": [{**ID, "required": False, "schema": {"maximum": 9}}, {"name": "x", "in": "query"}],
        "requestBody": {"content": {"application/json; charset=utf-8": {"schema": {"maxProperties": 1}}}},
    }

    (found,) = served_as(operation).operations

    assert (found.key, found.tag, found.replaces, found.body_required) == ("makeA", "Mine", True, True)
    first, second = found.parameters
    assert (first.required, second.required) == (True, False)
    assert [first.schema.accepts(value) for value in (1, 9, 10, "1")] == [True, True, False, False]
    assert second.schema.accepts("anything")
    assert found.body
    ((media_type, content),) = found.body.items()
    assert media_type == "application/json; charset=utf-8"
    assert content.schema
    values: list[Any] = [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}, []]
    assert [content.schema.accepts(value) for value in values] == [True, False, False, False]


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        ({"parameters": []}, "", "the handler of makeA needs the query parameter 'id'"),
        ({"parameters": [{**ID, "in": "header"}]}, "", "the handler of makeA needs the query parameter 'id'"),
        ({"security": []}, "", "the handler of makeA needs to know who asks; wanted a bearer token in its security"),
        ({"requestBody": {"content": {}}}, "", "the handler of makeA needs a requestBody of application/json"),
        ({"requestBody": {"content": {"text/csv": {}}}}, ".requestBody",
         "the body is text/csv; the handler of makeA reads application/json"),
        ({"parameters": [{**ID, "schema": {"type": "integer", "default": "x"}}]}, ".parameters[0]",
         "the default of 'id' is 'x', which its schema refuses"),
        ({"parameters": [{"name": "x", "in": "query"}, {**ID, "schema": {"maximum": 1, "default": 2}}]},
         ".parameters[1]", "the default of 'id' is 2, which its schema refuses"),
        ({"requestBody": {"content": {JSON: {"schema": {"properties": {"ok": {"default": 1},
                                                                      "a": {"type": "null", "default": 1}}}}}}},
         f".requestBody.content.{JSON}.schema", "the default of 'a' is 1, which its schema refuses"),
    ],
)  # fmt: skip
def test_what_a_handler_needs_and_the_operation_lacks_is_a_mistake(
    changes: dict[str, Any], place: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        served_as({**OURS, **changes})

    assert str(caught.value).startswith("served.yaml")
    assert str(caught.value).endswith(f"paths./a.post{place}: {message}")
    assert served_as({**OURS, **changes}, only_sound=True).operations == ()


def test_an_operation_whose_handler_reads_no_body_gets_none() -> None:
    with pytest.raises(SpecError, match="the body is application/json; the handler of makeA reads no body"):
        served_as({"requestBody": BODY}, {})


@pytest.mark.parametrize(
    ("operation", "ours"),
    [
        (OURS, {**OURS, "parameters": [{**ID, "required": False}]}),
        ({**OURS, "parameters": []}, {**OURS, "parameters": [{**ID, "required": False}]}),
        ({**OURS, "security": []}, {**OURS, "security": []}),
        (OURS, {**OURS, "security": []}),
        ({}, {}),
    ],
)
def test_an_operation_may_have_more_than_its_handler_needs(operation: dict[str, Any], ours: dict[str, Any]) -> None:
    assert [each.key for each in served_as(operation, ours).operations] == ["makeA"]


def test_a_document_that_replaces_nothing_is_unchanged() -> None:
    served = make_document({"/x": {"get": make_operation("getX")}})

    assert replace_bundled(served, make_bundled(), {"Mine"}) is served
