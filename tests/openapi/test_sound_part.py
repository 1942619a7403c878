"""What of a document with mistakes is served: the operations that have none."""

from typing import Any

import pytest

from mockserver.openapi.mistakes import sound_part

REF_A = {"$ref": "#/components/schemas/A"}
CONTENT = {"application/json": {"schema": REF_A}}


def make_document(operation: Any, **more: Any) -> dict[str, Any]:
    """A document with `GET /things/{id}`."""
    return {"openapi": "3.1.0", "paths": {"/things/{id}": {"get": operation}}, **more}


def test_operations_with_mistakes_are_left_out_and_the_others_keep_their_shared_parameters() -> None:
    shared = [{"name": "id", "in": "path"}]
    good, bad = {"operationId": "good"}, {"operationId": "bad", "tags": 5}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "kept"},
        "paths": {
            "/a": {"parameters": shared, "get": good, "post": bad, "summary": "not read"},
            "/b": {"get": bad},
            "/c": {"parameters": [5], "get": {}},
            "/d": 5,
            "/e": {"$ref": "#/components/pathItems/Item"},
            "/f": {"$ref": "#/components/pathItems/No"},
            "g": {"get": {}},
        },
        "components": {"pathItems": {"Item": {"delete": {"operationId": "referenced"}, "parameters": shared}}},
    }

    assert sound_part(document) == {
        **document,
        "paths": {
            "/a": {"parameters": shared, "get": good},
            "/e": {"delete": {"operationId": "referenced"}, "parameters": shared},
        },
    }


def test_of_operations_with_the_same_id_the_first_is_served() -> None:
    document = make_document({"operationId": "it"})
    document["paths"]["/b"] = {"get": {"operationId": "it"}, "post": {"operationId": ""}, "put": {"operationId": ""}}
    document["paths"]["/c"] = {"put": {"operationId": "put /b"}}

    assert sound_part(document)["paths"] == {
        "/things/{id}": {"get": {"operationId": "it"}},
        "/b": {"post": {"operationId": ""}, "put": {"operationId": ""}},
    }


@pytest.mark.parametrize("paths", [None, [], 5])
def test_a_document_without_paths_has_no_sound_operations(paths: Any) -> None:
    assert sound_part({"openapi": "3.1.0", "paths": paths})["paths"] == {}


def test_an_operation_with_a_mistake_in_what_it_references_is_left_out() -> None:
    document = make_document({"responses": {"200": {"content": CONTENT}}}, components={"schemas": {"A": {"type": "x"}}})

    assert sound_part(document)["paths"] == {}
