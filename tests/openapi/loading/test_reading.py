"""Documents of several files, of older versions, and with mistakes, as one OpenAPI 3.1 document."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, write_json
from foreign import DOCUMENTS
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import SpecError
from mockserver.openapi.loading.read import main_file, read_any, read_repaired
from mockserver.openapi.loading.repair import repair
from mockserver.openapi.loading.upgrade import as_openapi_31
from mockserver.openapi.mistakes import find_mistakes


@pytest.mark.parametrize("name", ["shop.yaml", "legacy.yaml", "parts"])
def test_the_sample_documents_have_no_mistakes(name: str) -> None:
    read = read_any(DOCUMENTS / name)

    assert list(find_mistakes(read.document)) == []
    assert read.problems == ()


def test_an_extension_is_no_mistake_where_a_name_may_be_chosen_it_is_a_name() -> None:
    operation = make_operation("a")
    operation["responses"]["x-note"] = 1
    document = make_document({"/a": {"get": operation}, "x-note": 2})
    document["components"] = {"schemas": {"x-thing": []}}

    found = [each.location for each in find_mistakes(document)]

    assert found == [("components", "schemas", "x-thing")]


def test_references_to_other_files_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    operation = make_operation("a", schema={"$ref": "gone.yaml#/a"})
    path = write_json(tmp_path / "a.json", make_document({"/a": {"get": operation}, "/b": {"$ref": "b.json#/none"}}))
    write_json(tmp_path / "b.json", {})

    read = read_repaired(path)

    told = [str(each) for each in read.problems]
    assert any("gone.yaml" in each and "No such file" in each for each in told)
    assert any("'b.json#/none'; there is no such thing" in each for each in told)
    assert [*find_mistakes(read.document)] == []


def test_files_that_refer_to_each_other_in_a_circle_are_told(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", make_document({"/a": {"$ref": "b.json"}}))
    write_json(tmp_path / "b.json", {"$ref": "c.json"})
    write_json(tmp_path / "c.json", {"$ref": "b.json"})

    assert any("circles" in str(each) for each in read_any(path).problems)


def test_discriminators_name_schemas_of_other_files(tmp_path: Path) -> None:
    schema = {
        "oneOf": [{"$ref": "cat.json"}],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": "cat.json", "dog": "Dog"}},
    }
    path = write_json(tmp_path / "a.json", make_document({"/a": {"get": make_operation("a", schema=schema)}}))
    write_json(tmp_path / "cat.json", {"type": "object"})

    document = read_any(path).document

    found = document["paths"]["/a"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert found["discriminator"]["mapping"] == {"cat": "#/components/schemas/cat", "dog": "Dog"}
    assert document["components"]["schemas"]["cat"] == {"type": "object"}


def test_a_file_may_refer_back_to_a_schema_of_the_document(tmp_path: Path) -> None:
    operation = make_operation("a", schema={"$ref": "b.json#/One"})
    schemas = {"Two": {"type": "object", "properties": {"again": {"$ref": "b.json#/One"}}}}
    whole = {**make_document({"/a": {"get": operation}}), "components": {"schemas": schemas}}
    path = write_json(tmp_path / "a.json", whole)
    write_json(tmp_path / "b.json", {"One": {"properties": {"two": {"$ref": "a.json#/components/schemas/Two"}}}})

    read = read_any(path)

    assert read.problems == ()
    assert read.document["components"]["schemas"] == {
        "One": {"properties": {"two": {"$ref": "#/components/schemas/Two"}}},
        "Two": {"type": "object", "properties": {"again": {"$ref": "#/components/schemas/One"}}},
    }


def test_a_folder_is_its_main_file(tmp_path: Path) -> None:
    write_json(tmp_path / "one" / "api.json", make_document({}))
    write_json(tmp_path / "one" / "part.json", {})
    write_json(tmp_path / "one" / "notes.txt", make_document({}))
    write_json(tmp_path / "one" / "old.json" / "api.json", make_document({}))

    assert main_file(tmp_path / "one") == tmp_path / "one" / "api.json"
    with pytest.raises(SpecError, match="no OpenAPI documents; name one file"):
        main_file(tmp_path)


@pytest.mark.parametrize(
    ("schema", "converted"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"$ref": "#/x", "nullable": True}, {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ({"items": [{"type": "string"}]}, {"prefixItems": [{"type": "string"}]}),
        ({"properties": {"nullable": {"type": "string"}}}, {"properties": {"nullable": {"type": "string"}}}),
    ],
)
def test_schemas_of_openapi_3_0_become_json_schemas(schema: Any, converted: Any) -> None:
    found = as_openapi_31(schema)
    found.pop("nullable", None)

    assert found == converted


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["get", "responses", "content", "schema", "type", "$ref", "parameters", "required", "name", "in", "200", "/a"]
    ), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(VALUES)
def test_any_document_is_repaired(paths: Any) -> None:
    document, _ = repair({"openapi": "3.1.0", "info": {}, "paths": paths})

    assert list(find_mistakes(document)) == []
