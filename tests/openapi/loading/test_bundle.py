"""Documents of several files as one: what takes the place of a reference, and which references lead nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from mockserver.errors import SpecError
from mockserver.openapi.loading import bundle as bundling
from mockserver.openapi.loading.bundle import bundle, has_other_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Other files beside the document."""
    write(
        tmp_path / "common.json",
        {
            "Name": {"type": "string"},
            "a/b~c%d": {"type": "null"},
            "Tree": {"properties": {"child": {"$ref": "#/Tree"}, "name": {"$ref": "#/Name"}}},
            "Response": {"description": "ok", "content": {"application/json": {"schema": {"$ref": "#/Name"}}}},
            "Chain": {"$ref": "#/Response"},
            "Round": {"$ref": "#/Round"},
            "Back": {"$ref": "api.json#/components/responses/Mine"},
            "list": [{"value": 1}, 2],
            "text": "plain",
        },
    )
    write(tmp_path / "parts" / "thing.json", {"type": "object", "properties": {"n": {"$ref": "../common.json#/Name"}}})
    return tmp_path


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


def bundled(folder: Path, document: dict[str, Any], **more: Any) -> tuple[dict[str, Any], list[str]]:
    """The document, and the messages of its problems."""
    found = bundle(document, folder / "api.json", **more)
    return found.document, [each.message for each in found.problems]


def bundled_schema(folder: Path, schema: Any, **components: Any) -> tuple[Any, Any]:
    """What becomes of a schema, and the schemas of the components."""
    document = {"components": {"schemas": components}} if components else {}
    made, problems = bundled(folder, {"paths": {"/a": {"schema": schema}}, **document})
    assert problems == []
    return made["paths"]["/a"]["schema"], made.get("components", {}).get("schemas")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": [{"$ref": "b.yaml"}]}, True),
        ({"a": {"$ref": "https://a.example/b"}}, True),
        ({"a": {"$ref": "#/b"}}, False),
        ({"a": {"$ref": 5}, "$ref": {"b": 1}}, False),
        ({}, False),
        ("$ref", False),
    ],
)
def test_a_document_has_other_files_if_a_reference_leads_out_of_it(document: Any, expected: bool) -> None:
    assert has_other_files(document) is expected


def test_a_schema_of_another_file_becomes_a_component(folder: Path) -> None:
    schema, schemas = bundled_schema(folder, {"items": {"$ref": "common.json#/Tree", "title": "kept"}})

    assert schema == {"items": {"$ref": "#/components/schemas/Tree", "title": "kept"}}
    assert schemas == {
        "Tree": {
            "properties": {
                "child": {"$ref": "#/components/schemas/Tree"},
                "name": {"$ref": "#/components/schemas/Name"},
            }
        },
        "Name": {"type": "string"},
    }


def test_a_name_that_is_taken_gets_a_number(folder: Path) -> None:
    write(folder / "other.json", {"Name": {"type": "integer"}})

    schema, schemas = bundled_schema(
        folder, {"allOf": [{"$ref": "common.json#/Name"}, {"$ref": "other.json#/Name"}]}, Name={"type": "null"}
    )

    assert schema == {"allOf": [{"$ref": "#/components/schemas/Name_2"}, {"$ref": "#/components/schemas/Name_3"}]}
    assert schemas == {"Name": {"type": "null"}, "Name_2": {"type": "string"}, "Name_3": {"type": "integer"}}


@pytest.mark.parametrize(
    ("reference", "name", "written"),
    [
        ("parts/thing.json", "thing", "thing"),
        ("parts/thing.json#", "thing", "thing"),
        ("parts/thing.json#/", "thing", "thing"),
        ("./parts/../parts/thing.json", "thing", "thing"),
        ("common.json#/a~1b~0c%25d", "a_b_c%d", "a_b_c%25d"),
    ],
)
def test_a_component_has_the_name_of_its_schema_or_file(folder: Path, reference: str, name: str, written: str) -> None:
    schema, schemas = bundled_schema(folder, {"$ref": reference})

    assert schema == {"$ref": f"#/components/schemas/{written}"}
    assert name in schemas


def test_a_file_url_and_an_escaped_name_are_read(folder: Path) -> None:
    write(folder / "a b.json", {"type": "null"})

    first, _ = bundled_schema(folder, {"$ref": "a%20b.json"})
    second, schemas = bundled_schema(folder, {"$ref": f"file://{folder}/a%20b.json"})

    assert first == second == {"$ref": "#/components/schemas/a b"}
    assert schemas == {"a b": {"type": "null"}}


def test_what_is_no_schema_takes_the_place_of_its_reference(folder: Path) -> None:
    responses = {
        "200": {"$ref": "common.json#/Chain", "description": "mine"},
        "201": {"$ref": "common.json#/list/0"},
        "202": {"$ref": "common.json#/text"},
        "203": {"$ref": "#/components/responses/Mine"},
        "204": {"$ref": "common.json#/Back"},
    }

    made, problems = bundled(folder, {"responses": responses, "components": {"responses": {"Mine": {}}}})

    assert problems == []
    assert made["responses"] == {
        "200": {
            "description": "mine",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Name"}}},
        },
        "201": {"value": 1},
        "202": "plain",
        "203": {"$ref": "#/components/responses/Mine"},
        "204": {"$ref": "#/components/responses/Mine"},
    }
    assert made["components"] == {"responses": {"Mine": {}}, "schemas": {"Name": {"type": "string"}}}


def test_definitions_of_swagger_are_schemas(folder: Path) -> None:
    made, problems = bundled(
        folder, {"swagger": "2.0", "definitions": {"Name": {}, "Mine": {"$ref": "common.json#/Name"}}}
    )

    assert problems == []
    assert made["definitions"] == {
        "Name": {},
        "Mine": {"$ref": "#/definitions/Name_2"},
        "Name_2": {"type": "string"},
    }
    made, _ = bundled(folder, {"swagger": "2.0", "paths": {"schema": {"$ref": "common.json#/Name"}}})
    assert made["definitions"] == {"Name": {"type": "string"}}


@pytest.mark.parametrize("word", ["example", "examples", "default", "enum", "const", "value"])
def test_a_reference_in_data_is_only_followed_to_a_file_that_exists(folder: Path, word: str) -> None:
    data = [{"$ref": "missing.json"}, {"$ref": "#/Name"}, {"$ref": "common.json#/list"}, {"$ref": "common.json#/Name"}]

    made, problems = bundled(folder, {"a": {word: data}})

    assert problems == [] or all("missing.json" in each or "No such file" in each for each in problems)
    assert made["a"][word] == [data[0], data[1], [{"value": 1}, 2], {"type": "string"}]
    assert "components" not in made


def test_a_property_that_is_called_like_data_is_a_schema(folder: Path) -> None:
    properties = {"default": {"type": "object", "allOf": [{"$ref": "common.json#/Name"}]}}

    schema, _ = bundled_schema(folder, {"properties": properties})

    assert schema["properties"]["default"]["allOf"] == [{"$ref": "#/components/schemas/Name"}]


def test_the_mapping_of_a_discriminator_names_components(folder: Path) -> None:
    mapping = {
        "a": "common.json#/Name",
        "b": "parts/thing.json",
        "c": "Name",
        "d": "#/components/schemas/Mine",
        "e": "missing.json",
        "f": 5,
    }
    made, problems = bundled(
        folder,
        {
            "schema": {"discriminator": {"propertyName": "kind", "mapping": mapping}},
            "discriminator": {"mapping": {"a": "common.json#/Name"}},
            "components": {"schemas": {"Mine": {"discriminator": {"propertyName": "kind"}}}},
        },
    )

    assert made["schema"]["discriminator"] == {
        "propertyName": "kind",
        "mapping": {
            **mapping,
            "a": "#/components/schemas/Name",
            "b": "#/components/schemas/thing",
        },
    }
    assert made["discriminator"] == {"mapping": {"a": "common.json#/Name"}}
    assert sorted(made["components"]["schemas"]) == ["Mine", "Name", "thing"]
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("common.json#/No", "$ref is 'common.json#/No'; there is no such thing"),
        ("common.json#/Round", "$ref is '#/Round'; it goes in circles"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told_and_left_out(folder: Path, reference: str, message: str) -> None:
    made, problems = bundled(folder, {"responses": {"200": {"$ref": reference, "description": "kept"}}})

    assert made == {"responses": {"200": {"description": "kept"}}}
    assert problems == [message]


def test_a_missing_file_is_told_once_and_each_reference_to_it(folder: Path) -> None:
    found = bundle(
        {"a": {"$ref": "no.json#/a"}, "b": {"$ref": "no.json#/b"}, "c": {"$ref": "https://a.example/" + "x" * 300}},
        folder / "api.json",
    )

    assert found.document == {"a": {}, "b": {}, "c": {}}
    messages = [each.message for each in found.problems]
    assert messages[1:3] == [f"$ref is 'no.json#/{name}'; there is no such thing" for name in "ab"]
    assert messages[-1].startswith("$ref is 'https://a.example/xxx")
    assert len(messages[-1]) == len("$ref is ''; there is no such thing") + 200
    assert found.problems[1].place == str(folder / "api.json")
    assert folder / "no.json" in found.files
    assert found.files[0] == folder / "api.json"


def test_a_schema_that_is_missing_is_told_and_accepts_everything(folder: Path) -> None:
    made, problems = bundled(folder, {"schema": {"$ref": "common.json#/No"}})

    assert problems == ["$ref is '#/No'; there is no such thing"]
    assert made["components"]["schemas"] == {"No": {}}


def test_only_files_below_the_folder_are_read(folder: Path) -> None:
    made, problems = bundled(folder, {"a": {"$ref": "../x.json"}, "b": {"$ref": "common.json#/text"}}, within=folder)

    assert made == {"a": {}, "b": "plain"}
    told = "not read: it is not below the document's address"
    assert problems == [told, "$ref is '../x.json'; there is no such thing"]


def test_the_number_of_files_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (bundling.MAX_FILES, bundling.MAX_DEPTH, bundling.MAX_COPIED) == (5_000, 60, 5_000_000)
    document = {"a": {"$ref": "common.json#/text"}, "schema": {"$ref": "parts/thing.json"}}
    monkeypatch.setattr(bundling, "MAX_FILES", 3)
    bundled(folder, document)
    monkeypatch.setattr(bundling, "MAX_FILES", 2)

    with pytest.raises(SpecError) as caught:
        bundled(folder, document)
    assert str(caught.value) == f"{folder / 'api.json'}: it refers to more than 2 files"


def test_the_number_of_copied_values_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"a": [1, 2, {"b": None}]}
    monkeypatch.setattr(bundling, "MAX_COPIED", 6)
    assert bundled(folder, document) == (document, [])
    monkeypatch.setattr(bundling, "MAX_COPIED", 5)

    with pytest.raises(SpecError) as caught:
        bundled(folder, document)
    assert str(caught.value) == f"{folder / 'api.json'}: its references copy more than 5 values"


def test_the_length_of_a_chain_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "chain.json", {**{str(n): {"$ref": f"#/{n + 1}"} for n in range(3)}, "3": {"end": True}})
    monkeypatch.setattr(bundling, "MAX_DEPTH", 4)
    assert bundled(folder, {"a": {"$ref": "chain.json#/0"}}) == ({"a": {"end": True}}, [])
    monkeypatch.setattr(bundling, "MAX_DEPTH", 3)

    assert bundled(folder, {"a": {"$ref": "chain.json#/0"}}) == ({"a": {}}, ["$ref is '#/3'; it goes in circles"])
