"""Mistakes are taken out of a document, each with a message, and the rest is served."""

from typing import Any

import pytest

from mockserver.openapi.loading import repair as repairing
from mockserver.openapi.loading.repair import repair

FINE = {"200": {"description": "Fine."}}


def operation(**more: Any) -> dict[str, Any]:
    return {"responses": {"200": {"description": "Fine."}}, **more}


def document(paths: Any, **more: Any) -> dict[str, Any]:
    return {"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths, **more}


def of_schema(schema: Any) -> tuple[Any, list[tuple[str | int, ...]]]:
    """What becomes of a schema, and where its mistakes were found."""
    whole, found = repair(document({}, components={"schemas": {"A": schema}}))
    places = [each.location for each in found]
    assert all(place[:3] == ("components", "schemas", "A") for place in places)
    return whole["components"]["schemas"].get("A"), [place[3:] for place in places]


def test_a_document_without_mistakes_stays_as_it_is() -> None:
    given = document({"/a": {"get": operation(operationId="a")}})

    made, found = repair(given)

    assert made is given
    assert made == document({"/a": {"get": operation(operationId="a")}})
    assert found == []


@pytest.mark.parametrize("paths", [None, [], "x"])
def test_paths_that_are_none_are_empty(paths: Any) -> None:
    assert repair(document(paths))[0]["paths"] == {}


@pytest.mark.parametrize(
    ("schema", "made", "places"),
    [
        ({"type": "integer", "exclusiveMinimum": True, "minimum": 1}, {"type": "integer", "exclusiveMinimum": 1},
         [("exclusiveMinimum",)]),
        ({"type": "integer", "exclusiveMaximum": True, "maximum": 1}, {"type": "integer", "exclusiveMaximum": 1},
         [("exclusiveMaximum",)]),
        ({"exclusiveMinimum": False, "minimum": 1}, {"minimum": 1}, [("exclusiveMinimum",)]),
        ({"exclusiveMinimum": True}, {}, [("exclusiveMinimum",)]),
        ({"required": ["a", "b", "a"]}, {"required": ["a", "b"]}, [("required",)]),
        ({"type": ["string", "string"]}, {"type": ["string"]}, [("type",)]),
        ({"items": [{"type": "string"}]}, {"prefixItems": [{"type": "string"}]}, [("items",)]),
        ({"items": [{"type": "string"}], "prefixItems": [{"type": "null"}]}, {"prefixItems": [{"type": "null"}]},
         [("items",)]),
        ({"minLength": "x", "maxLength": 3}, {"maxLength": 3}, [("minLength",)]),
        ({"properties": {"a": {"type": "strin"}, "b": {"minimum": "x"}}}, {"properties": {"a": {}, "b": {}}},
         [("properties", "a", "type"), ("properties", "b", "minimum")]),
    ],
)  # fmt: skip
def test_a_mistake_in_a_schema_is_corrected_if_it_can_be_and_left_out_if_not(
    schema: Any, made: Any, places: list[tuple[str, ...]]
) -> None:
    found, where = of_schema(schema)

    assert found == made
    assert sorted(where) == places


def test_an_operation_id_that_stands_twice_is_left_out() -> None:
    long = "k" * 101
    paths = {
        "/a": {"get": operation(operationId="a"), "post": operation(operationId="a"), "put": operation(operationId="")},
        "/b": {"get": operation(operationId=long), "delete": operation(operationId=long), "put": operation()},
    }

    made, found = repair(document(paths))

    assert {each.location: each.message for each in found if each.location[-1] == "operationId"} == {
        ("paths", "/a", "post", "operationId"): ("the operationId 'a' stands twice; this operation is called POST /a"),
        ("paths", "/b", "delete", "operationId"): (
            f"the operationId {'k' * 100!r} stands twice; this operation is called DELETE /b"
        ),
    }
    assert made["paths"]["/a"]["get"]["operationId"] == "a"
    assert "operationId" not in made["paths"]["/a"]["post"]
    assert made["paths"]["/b"]["get"]["operationId"] == long


def test_of_paths_that_differ_in_names_of_parameters_only_the_first_is_served() -> None:
    def named(*names: str) -> dict[str, Any]:
        schema = {"type": "string"}
        return operation(parameters=[{"name": n, "in": "path", "required": True, "schema": schema} for n in names])

    paths = {
        "/a/{x}/b": {"get": named("x"), "post": named("x")},
        "/a/{y}/b": {"get": named("y"), "put": named("y")},
        "/a/{y}/c": {"get": named("y")},
        "x-mine": {"get": {}},
    }

    made, found = repair(document(paths))

    assert [(each.location, each.message) for each in found] == [
        (("paths", "/a/{y}/b", "get"), "is described twice: /a/{x}/b takes all of its paths")
    ]
    assert {path: sorted(item) for path, item in made["paths"].items()} == {
        "/a/{x}/b": ["get", "post"],
        "/a/{y}/b": ["put"],
        "/a/{y}/c": ["get"],
        "x-mine": ["get"],
    }


def test_mistakes_in_a_list_are_taken_out_backwards() -> None:
    parameters = [
        {"name": "a", "in": "query", "schema": {"type": "string"}},
        {"in": "query"},
        {"name": "b", "in": "nowhere", "schema": {"type": "string"}},
        {"name": "c", "in": "query", "schema": {"type": "string"}},
    ]

    made, found = repair(document({"/a": {"get": operation(parameters=parameters)}}))

    assert [each["name"] for each in made["paths"]["/a"]["get"]["parameters"]] == ["a", "c"]
    assert found


def test_as_many_mistakes_are_mended_at_once_as_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, Any]:
        return document({}, components={"schemas": {f"S{n}": {"minLength": "x"} for n in range(6)}})

    monkeypatch.setattr(repairing, "MAX_MISTAKES", 2)
    made, found = repair(broken())
    assert len(found) == 6
    assert made["components"]["schemas"] == {f"S{n}": {} for n in range(6)}

    monkeypatch.setattr(repairing, "MAX_ROUNDS", 2)
    _, found = repair(broken())
    assert len(found) == 4
