"""Drift finds each difference that is planted in an API, in any combination, and nothing else."""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from builders import make_document, make_settings, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.contract.drift.proposals import propose_overlay
from mockserver.contract.drift.report import differences_of, drift_of_live
from mockserver.contract.drift.sides import EngineTarget
from mockserver.contract.live.runner import LiveBudget
from mockserver.contract.live.verification import Credentials, prepare
from mockserver.engine.build import build_engine
from mockserver.settings.table import Settings

BUDGET = LiveBudget(1000, 1e9, frozenset({"GET", "POST"}), 1000.0)
Found = frozenset[tuple[str, str, str]]


def thing_schema() -> dict[str, Any]:
    properties = {
        "name": {"type": "string"},
        "size": {"type": "integer"},
        "state": {"type": "string", "enum": ["new", "old"]},
        "parts": {"type": "array", "items": {"type": "object", "properties": {"weight": {"type": "number"}}}},
    }
    return {"type": "object", "required": ["name"], "properties": properties}


def example() -> dict[str, Any]:
    return {"name": "hammer", "size": 3, "state": "new", "parts": [{"weight": 1.5}, {"weight": 2.5}]}


def operation(key: str, schema: Any, value: Any, *, status: str = "200", **more: Any) -> dict[str, Any]:
    said = {"text/plain": {"schema": {"type": "string"}, "example": "Please send a token"}}
    answer = {"description": "Fine.", "content": {"application/json": {"schema": schema, "example": value}}}
    responses = {status: answer, "401": {"description": "No.", "content": said}, "422": {"description": "Bad."}}
    return {"operationId": key, "security": [{"token": []}], "responses": responses, **more}


def api() -> dict[str, Any]:
    """An API whose answers are its examples."""
    body = {
        "type": "object",
        "required": ["names"],
        "properties": {"names": {"type": "array", "minItems": 1, "maxItems": 10, "items": {"type": "string"}}},
    }
    request = {"required": True, "content": {"application/json": {"schema": body, "example": {"names": ["a"]}}}}
    listed = {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}
    paths = {
        "/things": {
            "get": operation("listThings", listed, [example(), example()]),
            "post": operation("makeThings", {"type": "object", "properties": {"count": {"type": "integer"}}},
                              {"count": 1}, requestBody=request),
        },
        "/best": {"get": operation("getBest", {"$ref": "#/components/schemas/Thing"}, example())},
    }  # fmt: skip
    components = {
        "schemas": {"Thing": thing_schema()},
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    }
    return make_document(paths, components=components)


def answer_of(document: Any, path: str, method: str = "get", status: str = "200") -> Any:
    return document["paths"][path][method]["responses"][status]["content"]["application/json"]


class Plant(NamedTuple):
    """A change of the live API, and the differences that it is to be seen by."""

    change: Callable[[Any], None]
    seen: Found


def _add_field(document: Any) -> None:
    answer_of(document, "/best")["example"]["colour"] = "red"


def _remove_field(document: Any) -> None:
    for each in answer_of(document, "/things")["example"]:
        del each["size"]


def _nested_field(document: Any) -> None:
    for each in answer_of(document, "/best")["example"]["parts"]:
        each["unit"] = "kg"


def _change_type(document: Any) -> None:
    document["components"]["schemas"]["Thing"]["properties"]["size"] = {"type": ["integer", "string"]}
    answer_of(document, "/best")["example"]["size"] = "three"


def _grow_enum(document: Any) -> None:
    document["components"]["schemas"]["Thing"]["properties"]["state"]["enum"].append("lost")
    answer_of(document, "/best")["example"]["state"] = "lost"


def _reword(document: Any) -> None:
    document["paths"]["/best"]["get"]["responses"]["401"]["content"]["text/plain"]["example"] = "Who are you?"


def _other_status(document: Any) -> None:
    responses = document["paths"]["/things"]["post"]["responses"]
    responses["201"] = responses.pop("200")


def _lower_limit(document: Any) -> None:
    body = document["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body["properties"]["names"]["maxItems"] = 9


def _null_is_no_claim(document: Any) -> None:
    document["components"]["schemas"]["Thing"]["properties"]["parts"] = {"type": ["array", "null"]}
    answer_of(document, "/best")["example"]["parts"] = None


PLANTS: Mapping[str, Plant] = {
    "field": Plant(_add_field, frozenset({("field-added", "getBest", "200 colour")})),
    "no field": Plant(_remove_field, frozenset({("field-removed", "listThings", "200 [].size")})),
    "nested": Plant(_nested_field, frozenset({("field-added", "getBest", "200 parts[].unit")})),
    "type": Plant(
        _change_type,
        frozenset({("type-changed", "getBest", "200 size"), ("undocumented", "getBest", "200 body.size")}),
    ),
    "enum": Plant(
        _grow_enum,
        frozenset({("enum-grown", "getBest", "200 state"), ("undocumented", "getBest", "200 body.state")}),
    ),
    "text": Plant(_reword, frozenset({("error-wording", "getBest", "401")})),
    "status": Plant(
        _other_status,
        frozenset(
            {("status", "makeThings", said) for said in ("valid", "names at 10")}
            | {("undocumented", "makeThings", "201 status")}
        ),
    ),
    "limit": Plant(_lower_limit, frozenset({("status", "makeThings", "names at 10")})),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drift")


def served(folder: Path, name: str, document: Any, **more: Any) -> Settings:
    return make_settings(spec=(str(write_json(folder / f"{name}.json", document)),), **more)


def drift(live: Settings, ours: Settings) -> list[Any]:
    checked = prepare(ours, [])
    target = EngineTarget(build_engine(live))
    _, pairs, more = drift_of_live(checked, target, BUDGET, ours, Credentials("any"))
    return [*differences_of(pairs), *more]


def found_in(differences: list[Any]) -> Found:
    return frozenset((each.kind, each.operation, each.place) for each in differences)


@given(st.sets(st.sampled_from(sorted(PLANTS))))
@settings(max_examples=25)
def test_each_planted_difference_is_found_and_nothing_else(folder: Path, names: set[str]) -> None:
    document = copy.deepcopy(api())
    for name in sorted(names):
        PLANTS[name].change(document)

    found = drift(served(folder, "live", document), served(folder, "ours", api()))

    wanted = frozenset[tuple[str, str, str]]().union(*(PLANTS[name].seen for name in names))
    assert found_in(found) == wanted


def test_null_says_nothing_of_a_field(folder: Path) -> None:
    document = api()
    _null_is_no_claim(document)

    found = drift(served(folder, "live", document), served(folder, "ours", api()))

    assert found_in(found) == {("undocumented", "getBest", "200 body.parts")}


@pytest.mark.parametrize("name", sorted(PLANTS.keys() - {"limit"}))  # by one value beyond it, no limit is known
def test_the_proposed_overlay_takes_the_difference_away(folder: Path, name: str) -> None:
    document = api()
    PLANTS[name].change(document)
    live, ours = served(folder, "live", document), served(folder, "ours", api())
    overlay = propose_overlay(drift(live, ours), build_engine(ours).services)

    followed = served(folder, "ours", api(), overlay=(str(write_json(folder / "overlay.json", overlay)),))

    assert overlay["actions"]
    assert found_in(drift(live, followed)) == frozenset()


def test_a_proposal_holds_no_value_of_the_live_api(folder: Path) -> None:
    document = api()
    answer_of(document, "/best")["example"]["owner"] = "ann@corp.example"
    live, ours = served(folder, "live", document), served(folder, "ours", api())

    overlay = propose_overlay(drift(live, ours), build_engine(ours).services)

    assert "ann@corp" not in str(overlay) and "owner" in str(overlay)
