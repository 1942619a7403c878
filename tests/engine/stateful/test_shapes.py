"""Which resources a document has, and where their ids and lists are."""

from typing import Any

import pytest
from builders import make_document

from mockserver.engine.stateful.shapes import envelope_of, find_roles, list_of, success_schema
from mockserver.openapi.document import OpenApiDocument
from mockserver.openapi.schema import Schema

JSON = "application/json"


def answering(schema: Any, media_type: str = JSON, status: str = "200", **more: Any) -> dict[str, Any]:
    return {"responses": {status: {"description": "", "content": {media_type: {"schema": schema}}}}, **more}


def thing(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


def with_id(operation: dict[str, Any], name: str = "id") -> dict[str, Any]:
    return {**operation, "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}]}


def roles_of(paths: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """By method and path: what the operation does, to which collection, and the property of the id."""
    spec = OpenApiDocument(make_document(paths), "doc.yaml")
    return {
        f"{operation.method} {operation.path}": (role.verb, role.resource.collection, role.resource.id_property)
        for operation, role in find_roles(spec.operations).items()
    }


PLAIN = {"responses": {"200": {"description": ""}}}


def test_the_operations_of_a_collection_have_their_roles() -> None:
    item = {each: with_id(answering(thing("id"))) for each in ("get", "put", "patch", "delete")}

    assert roles_of({"/things": {"get": PLAIN, "post": PLAIN}, "/things/{id}/": item, "/other": {"get": PLAIN}}) == {
        "GET /things": ("list", "/things", "id"),
        "POST /things": ("create", "/things", "id"),
        "GET /things/{id}/": ("read", "/things", "id"),
        "PUT /things/{id}/": ("replace", "/things", "id"),
        "PATCH /things/{id}/": ("update", "/things", "id"),
        "DELETE /things/{id}/": ("delete", "/things", "id"),
    }


def test_a_resource_needs_an_item_that_is_read_and_a_way_to_add_one() -> None:
    read, put = with_id(answering(thing("id"))), with_id(PLAIN)

    assert roles_of({"/a": {"get": PLAIN}, "/a/{id}": {"get": read}}) == {}
    assert roles_of({"/a": {"post": PLAIN}, "/a/{id}": {"delete": put}}) == {}
    assert set(roles_of({"/a/{id}": {"get": read, "put": put}})) == {"GET /a/{id}", "PUT /a/{id}"}
    assert roles_of({"/a": {"post": PLAIN}, "/a/{id}": {"get": with_id(answering(thing("size")))}}) == {}


def test_the_success_is_described_by_its_json() -> None:
    page = {"text/html": {"schema": {"type": "string"}}, JSON: {"schema": thing("id")}, "text/x": {}}
    operation = {"responses": {"200": {"description": "", "content": page}}}
    empty = {"responses": {"200": {"description": "", "content": {JSON: {}, "a/b+json": {"schema": thing("x")}}}}}
    spec = OpenApiDocument(make_document({"/a": {"get": operation}, "/b": {"get": PLAIN}, "/c": {"get": empty}}), "d")

    found = [success_schema(each) for each in spec.operations]

    assert [each.definition if each else None for each in found] == [thing("id"), None, thing("x")]


@pytest.mark.parametrize(
    ("parameter", "names", "property_"),
    [
        ("id", ["name", "id"], "id"),
        ("user_id", ["id", "userId"], "userId"),
        ("userId", ["ID", "name"], "ID"),
        ("order-item.uuid", ["uuid", "name"], "uuid"),
        ("orderItemSku", ["sku", "name"], "sku"),
        ("order_item_sku", ["SKU", "name"], "SKU"),
        ("petUserId", ["user_id", "name"], "user_id"),
        ("slug", ["title", "slug"], "slug"),
        ("thing", ["title", "name"], "name"),
        ("thing", ["title", "code", "key"], "key"),
        ("thing", ["title", "number"], "number"),
        ("thing", ["title", "size"], ""),
    ],
)
def test_an_item_has_its_id_in_the_property_that_fits_the_path(
    parameter: str, names: list[str], property_: str
) -> None:
    path = f"/things/{{{parameter}}}"
    found = roles_of({"/things": {"post": PLAIN}, path: {"get": with_id(answering(thing(*names)), parameter)}})

    assert found.get(f"GET {path}", ("", "", ""))[2] == property_


@pytest.mark.parametrize(
    ("properties", "envelope"),
    [
        ({"id": {"type": "string"}, "data": thing("id")}, ""),
        ({"meta": thing("id"), "data": thing("id")}, "data"),
        ({"meta": thing("id"), "order_item": thing("id")}, "order_item"),
        ({"meta": thing("id"), "more": thing("id")}, "meta"),
        ({"meta": thing("size"), "data": {"type": "string"}}, ""),
    ],
)
def test_an_item_may_stand_inside_an_object(properties: dict[str, Any], envelope: str) -> None:
    schema = Schema({"type": "object", "properties": properties}, {})

    name, inner = envelope_of(schema, "id", "/shops/{shop}/order-items")

    assert name == envelope
    assert inner.definition == (properties[envelope] if envelope else schema.definition)


OBJECTS = {"type": "array", "items": thing("id")}
TEXTS = {"type": "array", "items": {"type": "string"}}


@pytest.mark.parametrize(
    ("definition", "name"),
    [
        (OBJECTS, ""),
        (TEXTS, ""),
        ({"properties": {"links": OBJECTS, "records": OBJECTS, "items": OBJECTS}}, "items"),
        ({"properties": {"links": OBJECTS, "value": OBJECTS}}, "value"),
        ({"properties": {"tags": TEXTS, "data": TEXTS, "links": OBJECTS, "others": OBJECTS}}, "links"),
        ({"properties": {"tags": TEXTS}}, None),
        ({"type": "string"}, None),
    ],
)
def test_a_list_is_found_in_a_response(definition: Any, name: str | None) -> None:
    assert list_of(Schema(definition, {})) == name
