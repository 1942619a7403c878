"""Resources of a document at their edges: ids, replacement, nested values, properties that clients cannot send."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, value_of, write_json
from foreign import foreign_engine, send

from mockserver.engine.engine import Engine
from mockserver.engine.stateful import handlers
from mockserver.http import Response

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
THING: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "name": TEXT,
        "secret": {"type": "string", "writeOnly": True},
        "made": {"type": "string", "readOnly": True},
        "more": {"type": "object"},
    },
}
COUNTED: dict[str, Any] = {**THING, "properties": {**THING["properties"], "id": WHOLE}}
ANY_BODY: dict[str, Any] = {"requestBody": {"content": {"application/json": {"schema": {}}}}}


def make_engine(
    folder: Path, item: dict[str, Any] = THING, *, methods: str = "post get put patch delete", **changes: Any
) -> Engine:
    """An engine that remembers things; `created` is the status of a PUT."""
    created, seeds = changes.pop("created", "200"), changes.pop("seeds", None)
    drawn = {"id": "drawn", "name": "drawn", "secret": "drawn", "made": "drawn"} | changes.pop("drawn", {})
    place = {"parameters": [{"name": "id", "in": "path", "required": True, "schema": TEXT}]}
    item_operations = {
        "get": make_operation("read", schema=item, example=drawn),
        "put": make_operation("replace", status=created, schema=item, example=drawn) | ANY_BODY,
        "patch": make_operation("update", schema=item, example=drawn) | ANY_BODY,
        "delete": {"operationId": "delete", "responses": {"204": {"description": "gone"}}},
    }
    create = make_operation("create", status="201", schema=item, example=drawn) | ANY_BODY
    create["responses"]["201"]["headers"] = {"Location": {"required": True, "example": "/elsewhere", "schema": TEXT}}
    listed = make_operation("list", schema={"type": "array", "items": item})
    paths = {
        "/things": {"get": listed, **({"post": create} if "post" in methods else {})},
        "/things/{id}": place | {name: each for name, each in item_operations.items() if name in methods},
    }
    if seeds is not None:
        write_json(folder / "fixtures" / "seeds.json", {"resources": {"/things": seeds}})
        changes["fixtures"] = (str(folder / "fixtures"),)
    return foreign_engine(make_document(paths), folder, stateful=True, **changes)


def ids_of(engine: Engine) -> list[Any]:
    return [each["id"] for each in value_of(send(engine, "GET", "/things"))]


def create(engine: Engine, **sent: Any) -> Any:
    return value_of(send(engine, "POST", "/things", json=sent))


def header_of(response: Response, name: str) -> str:
    return dict(response.headers)[name]


def test_the_limits() -> None:
    assert (handlers.MAX_ITEMS, handlers.MAX_CHARACTERS, handlers.TRIES) == (10_000, 16_000_000, 20)


def test_an_item_has_what_was_sent_and_else_what_is_drawn(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)

    made = create(engine, id="mine", name="sent", secret="sent", made="sent", other="sent")

    assert (made["id"], made["name"], made["made"]) == ("mine", "sent", "drawn")
    assert made.get("secret") != "sent"
    assert "other" not in made
    assert value_of(send(engine, "GET", "/things/mine")) == made


def test_an_id_that_is_taken_or_of_another_type_is_replaced(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)

    first, second, third = create(engine, id="mine"), create(engine, id="mine"), create(engine, id=None)

    assert first["id"] == "mine"
    assert len({each["id"] for each in (first, second, third)}) == 3
    assert sorted(ids_of(engine)) == sorted(each["id"] for each in (first, second, third))


def test_an_id_that_clients_cannot_send_is_made(tmp_path: Path) -> None:
    properties = {**THING["properties"], "id": {"type": "string", "readOnly": True}}

    assert create(make_engine(tmp_path, {**THING, "properties": properties}), id="mine")["id"] != "mine"


@pytest.mark.parametrize(
    ("definition", "sent", "ids"),
    [
        ({}, [None, None], [1, 2]),
        ({"minimum": 5}, [None, None], [5, 6]),
        ({"minimum": 0}, [None], [1]),
        ({"minimum": -3}, [None], [1]),
        ({}, [7, None, 3, None], [7, 8, 3, 9]),
        ({}, [1, 1], [1, 2]),
    ],
)
def test_integer_ids_count_from_the_greatest(
    tmp_path: Path, definition: dict[str, Any], sent: list[int | None], ids: list[int]
) -> None:
    item = {**COUNTED, "properties": {**COUNTED["properties"], "id": WHOLE | definition}}
    engine = make_engine(tmp_path, item, drawn={"id": 100})

    assert [create(engine, **({} if id_ is None else {"id": id_}))["id"] for id_ in sent] == ids


def test_an_id_is_not_given_again(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, COUNTED, drawn={"id": 100})
    create(engine)
    send(engine, "DELETE", f"/things/{create(engine)['id']}")

    assert create(engine)["id"] == 3


def test_the_location_is_that_of_the_new_item(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)

    response = send(engine, "POST", "/things", json={"id": "mine"})

    assert (response.status, response.source) == (201, "handler")
    assert header_of(response, "Location") == "/things/mine"


@pytest.mark.parametrize(
    ("methods", "created", "status"),
    [("get put", "200", 200), ("get put", "201", 201), ("post get put", "201", 201), ("post get put", "200", 404)],
)
def test_a_put_of_an_unknown_item_creates_it_where_nothing_else_can_or_201_is_documented(
    tmp_path: Path, methods: str, created: str, status: int
) -> None:
    engine = make_engine(tmp_path, methods=methods, created=created)

    response = send(engine, "PUT", "/things/new", json={"name": "sent"})

    assert response.status == status
    assert ids_of(engine) == ([] if status == 404 else ["new"])
    if status != 404:
        assert value_of(response)["name"] == "sent"


def test_a_put_replaces_all_but_what_clients_cannot_send(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    made = create(engine, id="mine", name="old", more={"a": 1})

    changed = value_of(send(engine, "PUT", "/things/mine", json={"id": "other", "made": "sent"}))

    assert (changed["id"], changed["made"]) == ("mine", made["made"])
    assert changed.get("name") != "old"
    assert changed.get("more") != {"a": 1}
    assert ids_of(engine) == ["mine"]


def test_the_id_of_a_path_has_the_type_of_the_property(tmp_path: Path) -> None:
    engine = make_engine(tmp_path, COUNTED, methods="get put", drawn={"id": 100})

    assert value_of(send(engine, "PUT", "/things/12", json={}))["id"] == 12
    assert ids_of(engine) == [12]


def test_an_update_merges_objects_and_keeps_the_id(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    create(engine, id="mine", name="old", more={"a": 1, "b": {"c": 2, "d": 3}})

    changes = {"id": "other", "made": "sent", "more": {"a": None, "b": {"c": [5]}, "e": 6}}
    changed = value_of(send(engine, "PATCH", "/things/mine", json=changes))

    assert (changed["id"], changed["name"], changed["made"]) == ("mine", "old", "drawn")
    assert changed["more"] == {"a": None, "b": {"c": [5], "d": 3}, "e": 6}
    assert value_of(send(engine, "GET", "/things/mine")) == changed


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_item_that_is_not_there_is_named(tmp_path: Path, method: str) -> None:
    response = send(make_engine(tmp_path), method, "/things/" + "x" * 150, json={} if method == "PATCH" else None)

    assert response.status == 404
    assert f"/things has no item '{'x' * 100}'." in str(value_of(response))


def test_fixtures_fill_a_collection_once_and_ids_are_made_for_items_without(tmp_path: Path) -> None:
    seeds = [{"id": 7, "name": "a"}, {"name": "b"}, {"id": None, "name": "c"}]
    engine = make_engine(tmp_path, COUNTED, seeds=seeds, drawn={"id": 100})

    assert [(each["id"], each["name"]) for each in value_of(send(engine, "GET", "/things"))] == [
        (7, "a"),
        (8, "b"),
        (9, "c"),
    ]
    send(engine, "DELETE", "/things/7")
    assert ids_of(engine) == [8, 9]
    assert create(engine)["id"] == 10


def test_items_of_another_collection_whose_path_begins_alike_are_not_listed(tmp_path: Path) -> None:
    engine = make_engine(tmp_path)
    create(engine, id="1")
    create(engine, id="10")

    send(engine, "DELETE", "/things/1")

    assert ids_of(engine) == ["10"]


def test_what_a_fixture_answers_is_not_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "canned"
    write_json(folder / "canned.json", {"responses": {"create": [{"status": 201, "body": {"id": "canned"}}]}})
    engine = make_engine(tmp_path, fixtures=(str(folder),))

    assert create(engine, id="mine") == {"id": "canned"}
    assert ids_of(engine) == []


def test_an_item_may_be_sent_in_the_object_that_answers_have_around_it(tmp_path: Path) -> None:
    wrapped = {"type": "object", "properties": {"data": THING}}
    place = {"parameters": [{"name": "id", "in": "path", "required": True, "schema": TEXT}]}
    create = make_operation("create", status="201", schema=wrapped) | ANY_BODY
    paths = {"/things": {"post": create}, "/things/{id}": place | {"get": make_operation("read", schema=wrapped)}}
    engine = foreign_engine(make_document(paths), tmp_path, stateful=True)

    inside = value_of(send(engine, "POST", "/things", json={"data": {"id": "a", "name": "in"}}))
    beside = value_of(send(engine, "POST", "/things", json={"id": "b", "name": "beside"}))
    other = value_of(send(engine, "POST", "/things", json={"id": "c", "name": "text", "data": "text"}))

    assert [(each["data"]["id"], each["data"]["name"]) for each in (inside, beside, other)] == [
        ("a", "in"), ("b", "beside"), ("c", "text"),
    ]  # fmt: skip
    assert value_of(send(engine, "GET", "/things/a")) == inside


def listing(folder: Path, schema: Any, **content: Any) -> Engine:
    """An engine whose list is answered with this schema."""
    place = {"parameters": [{"name": "id", "in": "path", "required": True, "schema": TEXT}]}
    create = make_operation("create", status="201", schema=THING) | ANY_BODY
    paths = {
        "/things": {"post": create, "get": make_operation("list", schema=schema, **content)},
        "/things/{id}": place | {"get": make_operation("read", schema=THING)},
    }
    return foreign_engine(make_document(paths), folder, stateful=True)


def test_a_list_keeps_the_other_members_of_its_documented_answer(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"items": {"type": "array", "items": THING}, "note": TEXT}}
    engine = listing(tmp_path, schema, example={"items": [], "note": "kept"})
    made = create(engine, id="a")

    assert value_of(send(engine, "GET", "/things")) == {"items": [made], "note": "kept"}


def test_an_answer_that_has_no_list_stays_as_it_is(tmp_path: Path) -> None:
    engine = listing(tmp_path, {"type": "object", "properties": {"note": TEXT}}, example={"note": "kept"})
    create(engine, id="a")

    assert value_of(send(engine, "GET", "/things")) == {"note": "kept"}


def test_what_nobody_sent_is_the_documents_example(tmp_path: Path) -> None:
    named = {**THING, "properties": {**THING["properties"], "colour": {"type": "string", "example": "documented"}}}

    assert create(make_engine(tmp_path, named), id="a")["colour"] == "documented"


@pytest.mark.parametrize(("room", "status"), [(0, 201), (-1, 507)])
def test_items_have_as_many_characters_as_the_bound_says(
    tmp_path: Path, room: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(tmp_path)
    first = create(engine, id="a", name="x")
    [size] = [len(text) for text in engine.sandboxes.open("test").collection(handlers.COLLECTION, str).scan()]
    assert first["id"] == "a"

    monkeypatch.setattr(handlers, "MAX_CHARACTERS", 2 * size + room)

    assert send(engine, "POST", "/things", json={"id": "b", "name": "x"}).status == status
