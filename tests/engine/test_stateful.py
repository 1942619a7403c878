"""`--stateful`: what a request creates, later requests find, change and delete."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, value_of, write_json
from foreign import DOCUMENTS, foreign_engine, send

from mockserver.engine.engine import Engine
from mockserver.openapi.requests import check_reply

LUTE = {"name": "Lute", "price": 12.5, "colour": "red", "secret": "hidden"}


def shop(**changes: Any) -> Engine:
    return foreign_engine(DOCUMENTS / "shop.yaml", stateful=True, **changes)


def create(engine: Engine, **fields: Any) -> Any:
    response = send(engine, "POST", "/products", json={**LUTE, **fields})
    assert response.status == 201, response
    return value_of(response)


def test_what_is_created_is_found() -> None:
    engine = shop()
    response = send(engine, "POST", "/products", json=LUTE)
    made = value_of(response)

    found = value_of(send(engine, "GET", f"/products/{made['id']}"))

    assert found == made
    assert (found["name"], found["price"], found["colour"]) == ("Lute", 12.5, "red")
    assert "secret" not in found
    assert dict(response.headers)["Location"] == f"/products/{made['id']}"


def test_without_the_setting_nothing_is_remembered() -> None:
    engine = foreign_engine(DOCUMENTS / "shop.yaml")
    create(engine)

    assert value_of(send(engine, "GET", "/products/1"))["name"] == "Guitar"


def test_an_item_is_replaced_changed_and_deleted() -> None:
    engine = shop()
    place = f"/products/{create(engine)['id']}"

    send(engine, "PATCH", place, json={"price": 3})
    assert value_of(send(engine, "GET", place))["price"] == 3
    send(engine, "PUT", place, json={"id": 9, "name": "Harp", "price": 7})
    assert {**value_of(send(engine, "GET", place)), "id": 0}["name"] == "Harp"
    assert send(engine, "DELETE", place).status == 204
    assert [send(engine, method, place, json={}).status for method in ("GET", "DELETE", "PATCH")] == [404, 404, 404]


def test_lists_have_the_items_that_are_asked_for() -> None:
    engine = shop()
    assert value_of(send(engine, "GET", "/products"))["items"] == []
    made = [create(engine, name=f"n{n}", colour="red" if n % 2 else "blue") for n in range(5)]

    page = value_of(send(engine, "GET", "/products", query="limit=2&offset=1"))
    last = value_of(send(engine, "GET", "/products", query="limit=2&offset=4"))
    red = value_of(send(engine, "GET", "/products", query="colour=red"))

    assert [each["id"] for each in made] == [1, 2, 3, 4, 5]
    assert ([each["name"] for each in page["items"]], page["total"], page["has_more"]) == (["n1", "n2"], 5, True)
    assert ([each["name"] for each in last["items"]], last["has_more"]) == (["n4"], False)
    assert [each["name"] for each in red["items"]] == ["n1", "n3"]


def test_items_below_an_item_are_its_own() -> None:
    engine = shop()
    first, second = create(engine)["id"], create(engine)["id"]
    review = value_of(send(engine, "POST", f"/products/{first}/reviews", json={"stars": 5}))["data"]

    assert value_of(send(engine, "GET", f"/products/{first}/reviews/{review['id']}"))["data"]["stars"] == 5
    assert len(value_of(send(engine, "GET", f"/products/{first}/reviews"))) == 1
    assert value_of(send(engine, "GET", f"/products/{second}/reviews")) == []
    send(engine, "DELETE", f"/products/{first}")
    assert send(engine, "GET", f"/products/{first}/reviews/{review['id']}").status == 404


def test_sandboxes_do_not_see_each_other_and_ids_are_the_same_on_every_run() -> None:
    engine, other = shop(), shop()
    asked = {"stars": 1}
    ids = [
        value_of(send(each, "POST", "/products/1/reviews", json=asked, authorization=f"Bearer {name}"))["data"]["id"]
        for each, name in ((engine, "ann"), (engine, "bob"), (other, "ann"))
    ]

    assert ids[0] == ids[2] != ids[1]
    assert value_of(send(engine, "GET", "/products/1/reviews", authorization="Bearer eve")) == []


def test_every_answer_fits_the_document() -> None:
    engine = shop()
    place = f"/products/{create(engine)['id']}"
    by_key = {each.operation.key: each.operation for each in engine.services}
    answers = {
        "getProduct": send(engine, "GET", place),
        "listProducts": send(engine, "GET", "/products"),
        "changeProduct": send(engine, "PATCH", place, json={"name": "x" * 99, "price": -1}),
        "replaceProduct": send(engine, "PUT", place, json={"id": 1, "name": "a", "price": 1}),
    }

    assert [check_reply(by_key[key], response) for key, response in answers.items()] == [[], [], [], []]


def test_fixtures_fill_a_collection(tmp_path: Path) -> None:
    write_json(
        tmp_path / "mine" / "seeds.json", {"resources": {"/products": [{"id": 7, "name": "Drum"}, {"name": "Bell"}]}}
    )
    engine = shop(fixtures=(str(tmp_path / "mine"),))

    assert value_of(send(engine, "GET", "/products/7"))["name"] == "Drum"
    assert [each["id"] for each in value_of(send(engine, "GET", "/products"))["items"]] == [7, 8]
    assert create(engine)["id"] == 9
    send(engine, "DELETE", "/products/7")
    assert send(engine, "GET", "/products/7").status == 404


@pytest.mark.parametrize("parameter", ["thingId", "thing_id", "id", "ID"])
def test_the_id_is_found_under_common_names(tmp_path: Path, parameter: str) -> None:
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}}
    add = make_operation("add", status="201", schema=schema)
    add["requestBody"] = {"content": {"application/json": {"schema": {"type": "object"}}}}
    read = make_operation("read", schema=schema)
    read["parameters"] = [{"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}]
    engine = foreign_engine(
        make_document({"/things": {"post": add}, f"/things/{{{parameter}}}": {"get": read}}), tmp_path, stateful=True
    )

    made = value_of(send(engine, "POST", "/things", json={"id": "mine", "n": 3}))

    assert made == {"id": "mine", "n": 3}
    assert value_of(send(engine, "GET", "/things/mine")) == made


@pytest.mark.parametrize(("bound", "value"), [("MAX_ITEMS", 3), ("MAX_CHARACTERS", 400)])
def test_a_sandbox_keeps_a_bounded_number_of_items(bound: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"mockserver.engine.stateful.handlers.{bound}", value)
    engine = shop()
    made = [send(engine, "POST", "/products", json={**LUTE, "name": "L" * n}) for n in range(1, 9)]
    kept = [value_of(each) for each in made if each.status == 201]

    assert 0 < len(kept) < 8
    assert {each.status for each in made[len(kept) :]} == {507}
    assert len(value_of(send(engine, "GET", "/products"))["items"]) == len(kept)
    place = f"/products/{kept[0]['id']}"
    assert send(engine, "PATCH", place, json={"price": 1}).status == 200
    assert send(engine, "DELETE", place).status == 204
    assert send(engine, "POST", "/products", json=LUTE).status == 201


def test_what_clients_cannot_send_outlives_a_replacement(tmp_path: Path) -> None:
    made = {"type": "string", "format": "date-time", "readOnly": True}
    name = {"type": "string"}
    schema = {"type": "object", "required": ["made"], "properties": {"id": name, "name": name, "made": made}}
    content = {"content": {"application/json": {"schema": schema}}}
    place = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    operations = {
        "post": make_operation("add", status="201", schema=schema) | {"requestBody": content},
        "put": make_operation("replace", schema=schema) | {"requestBody": content, "parameters": place},
        "get": make_operation("read", schema=schema) | {"parameters": place},
    }
    paths = {"/things": {"post": operations.pop("post")}, "/things/{id}": operations}
    engine = foreign_engine(make_document(paths), tmp_path, stateful=True)
    first = value_of(send(engine, "POST", "/things", json={"name": "old"}))

    send(engine, "PUT", f"/things/{first['id']}", json={"name": "new", "made": "2001-02-03T04:05:06Z"})

    assert value_of(send(engine, "GET", f"/things/{first['id']}")) == {**first, "name": "new"}
