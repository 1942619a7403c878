"""Operations that a document describes twice: the first keeps its name and its paths."""

from typing import Any

from builders import make_document, make_operation

from mockserver.openapi.loading.repair import repair


def repaired(paths: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    document, mistakes = repair(make_document(paths))
    return document["paths"], [f"{'.'.join(map(str, each.location))}: {each.message}" for each in mistakes]


def test_the_second_operation_of_a_name_is_called_by_its_method_and_path() -> None:
    paths, told = repaired(
        {"/a": {"get": make_operation("x"), "post": make_operation("y")}, "/b": {"get": make_operation("x")}}
    )

    assert paths["/a"]["get"]["operationId"] == "x"
    assert paths["/a"]["post"]["operationId"] == "y"
    assert "operationId" not in paths["/b"]["get"]
    assert told == ["paths./b.get.operationId: the operationId 'x' stands twice; this operation is called GET /b"]


def test_paths_that_differ_in_names_of_parameters_only_are_one() -> None:
    one, other, different = make_operation("a"), make_operation("b"), make_operation("c")
    for operation, name in ((one, "id"), (other, "key"), (different, "key")):
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}]

    paths, told = repaired({"/a/{id}": {"get": one}, "/a/{key}": {"get": other, "put": different}})

    assert (set(paths["/a/{id}"]), set(paths["/a/{key}"])) == ({"get"}, {"put"})
    assert told == ["paths./a/{key}.get: is described twice: /a/{id} takes all of its paths"]


def test_a_document_without_paths_has_none() -> None:
    document, mistakes = repair({"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": 5})

    assert (document["paths"], mistakes) == ({}, [])
