"""What an overlay changes in a document for each kind of difference, and what it leaves alone."""

from typing import Any

import pytest
from builders import make_document
from foreign import foreign_engine

from mockserver.contract.drift.differences import Difference
from mockserver.contract.drift.proposals import json_path, propose_overlay

ITEM = {
    "type": "object",
    "required": ["id", "old"],
    "properties": {"id": {"type": "string"}, "old": {"type": "integer"}},
}
JOB = {
    "type": "object",
    "properties": {
        "n": {"type": ["integer", "null"]},
        "m": {"type": "integer"},
        "free": {},
        "state": {"enum": ["new", "done"]},
        "data": {"type": "array", "items": ITEM},
    },
}
SCHEMA = {"$ref": "#/components/schemas/J"}
ONE = {
    "description": "ok",
    "content": {"application/json": {"schema": SCHEMA, "example": {"n": 1, "data": [{"id": "x", "old": 1}]}}},
}
EXAMPLES = {"one": {"value": {"n": 1}}, "two": {"$ref": "#/components/examples/two"}, "far": {"externalValue": "x"}}
MANY = {
    "description": "ok",
    "content": {"text/html": {}, "application/problem+json": {"schema": SCHEMA, "examples": EXAMPLES}},
}
TEXT = {"description": "no", "content": {"text/plain": {"example": "No"}}}
PARAMETER = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
PATHS: dict[str, Any] = {
    "/a": {"get": {"operationId": "a", "responses": {"200": ONE, "4XX": TEXT, "default": MANY}}},
    "/b/{id}": {
        "post": {
            "operationId": "b",
            "parameters": [PARAMETER],
            "responses": {"201": {"$ref": "#/components/responses/Made"}, "404": {"description": "x"}},
        }
    },
}
LINKS = {f"L{n}": {"$ref": f"#/components/schemas/L{n + 1}"} for n in range(29)}
CHAIN = {
    "far": {"$ref": "#/components/schemas/L0"},
}
PATHS["/c"] = {
    "get": {
        "operationId": "c",
        "responses": {
            "200": {"description": "ok", "content": {"application/json": {"schema": {"properties": CHAIN}}}},
        },
    }
}
COMPONENTS = {
    "schemas": {"J": JOB, **LINKS, "L29": {"$ref": "#/components/schemas/End"}, "End": {"enum": ["a"]}},
    "examples": {"two": {"value": {"n": 2}}},
    "responses": {"Made": ONE},
}

J = "$['components']['schemas']['J']"
ITEMS = f"{J}['properties']['data']['items']"
A = "$['paths']['/a']['get']['responses']"
EXAMPLE = f"{A}['200']['content']['application/json']['example']"
B = "$['paths']['/b/{id}']['post']['responses']"
MADE = "$['components']['responses']['Made']['content']['application/json']['example']"
OF_PROBLEM = f"{A}['default']['content']['application/problem+json']['examples']['one']['value']"
STRING, INTEGER = {"type": "string"}, {"type": "integer"}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return foreign_engine(make_document(PATHS, components=COMPONENTS), tmp_path_factory.mktemp("proposals")).services


def difference(
    kind: str, operation: str, place: str, schema: Any = None, *, live: str = "", ours: str = ""
) -> Difference:
    return Difference(kind, operation, place, live, ours, seen=2, of=3, schema=schema)


def update(target: str, value: Any) -> tuple[str, Any]:
    return target, value


def removed(target: str) -> tuple[str, Any]:
    return target, "removed"


@pytest.mark.parametrize(
    ("found", "actions"),
    [
        (difference("field-added", "a", "200 data[].new", STRING),
         [update(ITEMS, {"properties": {"new": STRING}}), update(f"{EXAMPLE}['data'][*]", {"new": "text"})]),
        (difference("field-added", "a", "200 new"),
         [update(J, {"properties": {"new": {}}}), update(EXAMPLE, {"new": None})]),
        (difference("field-added", "a", "500 new", INTEGER),
         [update(J, {"properties": {"new": INTEGER}}), update(OF_PROBLEM, {"new": 1}),
          update("$['components']['examples']['two']['value']", {"new": 1})]),
        (difference("field-added", "b", "201 new", {"type": "boolean"}),
         [update(J, {"properties": {"new": {"type": "boolean"}}}), update(MADE, {"new": True})]),
        (difference("field-added", "b", "404 new", STRING), []),
        (difference("field-added", "b", "500 new", STRING), []),
        (difference("field-added", "other", "200 new", STRING), []),
        (difference("field-removed", "a", "200 data[].old"),
         [removed(f"{ITEMS}.required[?@ == 'old']"), removed(f"{ITEMS}['properties']['old']"),
          removed(f"{EXAMPLE}['data'][*]['old']")]),
        (difference("field-removed", "a", "200 m"), [removed(f"{J}['properties']['m']"), removed(f"{EXAMPLE}['m']")]),
        (difference("field-removed", "a", "200 none"), [removed(f"{EXAMPLE}['none']")]),
        (difference("type-changed", "a", "200 n", STRING),
         [removed(f"{J}['properties']['n']['type']"),
          update(f"{J}['properties']['n']", {"type": ["integer", "null", "string"]}), update(EXAMPLE, {"n": "text"})]),
        (difference("type-changed", "a", "200 m", STRING),
         [update(f"{J}['properties']['m']", {"type": ["integer", "string"]}), update(EXAMPLE, {"m": "text"})]),
        (difference("type-changed", "a", "200 m", INTEGER),
         [update(f"{J}['properties']['m']", {"type": "integer"}), update(EXAMPLE, {"m": 1})]),
        (difference("type-changed", "a", "200 free", STRING),
         [update(f"{J}['properties']['free']", {"type": "string"}), update(EXAMPLE, {"free": "text"})]),
        (difference("type-changed", "a", "200 data[]", STRING), [update(ITEMS, {"type": ["object", "string"]})]),
        (difference("enum-grown", "a", "200 state", ["gone", "lost"]),
         [update(f"{J}['properties']['state']['enum']", "gone"),
          update(f"{J}['properties']['state']['enum']", "lost")]),
        (difference("error-wording", "a", "404", live="Sorry"),
         [update(f"{A}['4XX']['content']['text/plain']", {"example": "Sorry"})]),
        (difference("error-wording", "a", "404 message", live="Sorry"), []),
        (difference("error-wording", "a", "500", live="Sorry"), []),
        (difference("status", "b", "x", live="202", ours="201"),
         [update(B, {"202": {"$ref": "#/components/responses/Made"}}), removed(f"{B}['201']")]),
        (difference("status", "b", "x", live="202", ours="200"),
         [update(B, {"202": {"description": "Seen where the sandbox answers 200: x."}})]),
        (difference("status", "b", "unknown id", live="410", ours="404"),
         [update(B, {"410": {"description": "Seen where the sandbox answers 404: unknown id."}})]),
        (difference("status", "a", "x", live="404", ours="200"), []),
        (difference("status", "b", "x", live="302", ours="201"),
         [update(B, {"302": {"description": "Seen where the sandbox answers 201: x."}})]),
        (difference("type-changed", "a", "200 m"), [update(EXAMPLE, {"m": None})]),
        (difference("enum-grown", "c", "200 gone", ["x"]), []),
        (difference("enum-grown", "c", "200 far", ["x"]), [update("$['components']['schemas']['End']['enum']", "x")]),
        (difference("error-wording", "c", "200 far", {"type": "string"}), []),
        (difference("header-added", "a", "200 x-a"), []),
        (difference("media-type", "a", "200"), []),
    ],
)  # fmt: skip
def test_a_document_follows_a_difference(services: Any, found: Difference, actions: list[tuple[str, Any]]) -> None:
    overlay = propose_overlay([found], services)

    assert [
        (each["target"], "removed" if each.get("remove") is True else each["update"]) for each in overlay["actions"]
    ] == actions


def test_an_overlay_says_why_each_action_is_there(services: Any) -> None:
    found = difference("field-removed", "a", "200 m")

    overlay = propose_overlay([found, found], services)

    assert overlay == {
        "overlay": "1.0.0",
        "info": {"title": "What a live API answers otherwise than the document says", "version": "1"},
        "actions": [
            {
                "target": target,
                "description": "field-removed: a, 200 m; seen in 2 of 3",
                "remove": True,
            }
            for target in (f"{J}['properties']['m']", f"{EXAMPLE}['m']")
        ],
    }


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}}}}, {"a": [1.5]}),
        ({"type": "array"}, []),
        ({"type": "boolean"}, True),
        ({}, None),
    ],
)
def test_an_example_gets_a_made_up_value_of_the_type(services: Any, schema: Any, value: Any) -> None:
    actions = propose_overlay([difference("field-added", "a", "200 new", schema)], services)["actions"]

    assert actions[1]["update"] == {"new": value}


def test_a_path_is_written_as_rfc_9535_says() -> None:
    assert json_path(("a", "it's", 3, "b\\")) == r"$['a']['it\'s'][3]['b\\']"
    assert json_path(()) == "$"
