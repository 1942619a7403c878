"""Any document served alone: what starts, what steps aside, and answers that are documented and valid."""

import logging
from pathlib import Path
from typing import Any

import pytest
from builders import ask, make_document, make_engine, make_operation, value_of, violations_of
from foreign import DOCUMENTS, SAMPLES, foreign_engine, send, valid_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.errors import SpecError
from mockserver.openapi.requests import check_reply

ENGINES = {path.stem: foreign_engine(path) for path in SAMPLES}
OPERATIONS = [(name, service.operation.key) for name, engine in ENGINES.items() for service in engine.services]
FORMS = {"addPicture", "scan", "login"}


def shop(**changes: Any) -> Engine:
    return foreign_engine(DOCUMENTS / "shop.yaml", **changes)


@pytest.mark.parametrize(("name", "key"), [each for each in OPERATIONS if each[1] not in FORMS])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.binary(max_size=4))
def test_a_valid_request_is_answered_with_a_documented_success_and_a_valid_body(
    name: str, key: str, seed: bytes
) -> None:
    engine = ENGINES[name]
    operation = next(each.operation for each in engine.services if each.operation.key == key)

    response = engine.handle(valid_request(operation, seed))

    assert response.status == operation.success, response
    assert check_reply(operation, response) == []


def test_the_bundled_apis_step_aside() -> None:
    engine = shop()

    assert {each.provider for each in engine.services} == {None}
    assert ask(engine, "GET", "/user").status == 404
    assert ask(shop(with_bundled=True), "GET", "/user").status == 200


def test_paths_are_found_below_the_paths_of_servers_too() -> None:
    assert [send(shop(), "GET", f"{base}/products").status for base in ("", "/live/v2", "/v2")] == [200, 200, 404]


def test_a_mistake_is_a_warning_and_affects_its_operation_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = make_operation("b", schema={"type": "object", "properties": {"n": {"type": "arrray"}}})
    twin = make_operation("a", example=2)
    document = make_document(
        {"/a": {"get": make_operation("a", example=1)}, "/b": {"get": broken}, "/c": {"get": twin}}
    )
    with caplog.at_level(logging.WARNING, "mockserver"):
        engine = foreign_engine(document, tmp_path)

    assert [send(engine, "GET", path).status for path in ("/a", "/b", "/c")] == [200, 200, 200]
    told = [each.getMessage() for each in caplog.records]
    assert len(told) == 2
    assert any("document.json:1: paths./b.get" in each and "'arrray'" in each for each in told)
    assert any("'a' stands twice" in each for each in told)


def test_strict_spec_makes_it_fatal(tmp_path: Path) -> None:
    document = make_document({"/b": {"get": make_operation("b", schema={"type": "arrray"})}})

    with pytest.raises(SpecError, match="'arrray'"):
        foreign_engine(document, tmp_path, strict_spec=True)


@pytest.mark.parametrize(
    ("schema", "accepted", "refused"),
    [
        ({"minimum": 3, "exclusiveMinimum": True, "type": "integer"}, 4, 3),
        ({"type": "string", "pattern": "("}, "anything", 5),
        ({"required": ["a", "a"], "type": "object"}, {"a": 1}, {}),
        ({"$ref": "#/components/schemas/Gone"}, 5, None),
        ({"type": "array", "items": [{"type": "integer"}]}, [1], ["x"]),
    ],
)
def test_a_schema_with_a_mistake_still_says_the_rest(tmp_path: Path, schema: Any, accepted: Any, refused: Any) -> None:
    operation = make_operation("a", example=1)
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    engine = foreign_engine(make_document({"/a": {"post": operation}}), tmp_path)

    assert send(engine, "POST", "/a", json=accepted).status == 200
    if refused is not None:
        assert send(engine, "POST", "/a", json=refused).status == 422


def test_keys_that_stand_twice_and_large_numbers_are_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    number = "{maximum: 92233720368547758080, type: integer}"
    path.write_text(
        "openapi: 3.1.0\ninfo: {title: A, title: B, version: '1'}\npaths:\n  /a:\n    get:\n      responses:\n"
        f"        '200': {{description: A, content: {{application/json: {{schema: {number}}}}}}}\n"
    )
    spec = foreign_engine(path).services[0].world.spec

    assert [each.place.rpartition(":")[2] for each in spec.problems] == ["2", "7"]
    with pytest.raises(SpecError, match="No such file"):
        make_engine(spec=(str(tmp_path / "none.yaml"),))


def test_swagger_is_converted() -> None:
    engine = foreign_engine(DOCUMENTS / "legacy.yaml")

    assert value_of(send(engine, "GET", "/api/orders", query="ids=1|2&many=3&many=4")) == [{"id": 7, "customer": "Ann"}]
    assert send(engine, "GET", "/orders", query="ids=1|x").status == 400
    assert send(engine, "POST", "/orders", json={"id": 1}).status == 422
    assert send(engine, "POST", "/orders", json={"id": 1, "customer": "A", "paid": None}).status == 201
    assert send(engine, "POST", "/orders", json={}, authorization="Digest x").status == 401


def test_a_document_of_several_files_is_one() -> None:
    engine = foreign_engine(DOCUMENTS / "parts")

    assert value_of(send(engine, "GET", "/cats")) == [{"name": "Tom"}]
    assert send(engine, "GET", "/cats/a-name-that-is-too-long").status == 422
    assert send(engine, "POST", "/cats", json={"name": "Tom", "mother": {"name": 5}}).status == 422
    assert send(engine, "POST", "/cats", json={"name": "Tom", "mother": {"name": "Ann"}}).status == 201
    assert engine.services[0].world.spec.problems == ()


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/xml", "application/xml"),
        ("text/html, application/xml;q=0.9, */*;q=0.8", "application/xml"),
        ("application/*;q=0.1, application/xml;q=0", "application/json"),
    ],
)
def test_accept_chooses_the_media_type(accept: str, media_type: str) -> None:
    assert send(shop(), "GET", "/products", accept=accept).media_type == media_type


def test_a_media_type_that_is_not_documented_is_not_acceptable() -> None:
    assert send(shop(), "GET", "/products", accept="text/csv").status == 406
    assert (
        send(shop(), "POST", "/payments", json={"kind": "invoice", "email": "a@b.c"}, accept="application/json").status
        == 200
    )


def test_what_is_documented_only_as_a_redirect_is_answered_so() -> None:
    response = send(shop(), "GET", "/old")

    assert (response.status, dict(response.headers)["Location"]) == (301, "/products")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("colours=red|blue", 200),
        ("price[least]=1.5&price[most]=3", 200),
        ("price[least]=cheap", 422),
        ("price[colour]=1", 422),
        ("limit=51", 422),
    ],
)
def test_arguments_are_read_by_style(query: str, status: int) -> None:
    assert send(shop(), "GET", "/products", query=query).status == status


def test_xml_and_forms_are_read_by_their_schema() -> None:
    xml = "<product id='5'><name>Lute</name><price>12.5</price><tags><tags>old</tags></tags></product>"
    engine = shop()

    def post(body: str, media_type: str) -> Any:
        request = valid_request(
            next(each.operation for each in engine.services if each.operation.key == "addProduct"), b""
        )
        return engine.handle(
            request._replace(body=body.encode(), headers={**request.headers, "content-type": media_type})
        )

    assert post(xml, "application/xml").status == 201
    assert [each["location"] for each in violations_of(post(xml.replace("12.5", "free"), "text/xml; a=b"))] == [
        ["header", "Content-Type"]
    ]
    assert [each["location"] for each in violations_of(post(xml.replace("12.5", "free"), "application/xml"))] == [
        ["body", "price"]
    ]
    assert post("id=5&name=Lute&price=12.5&tags=a&tags=b", "application/x-www-form-urlencoded").status == 201
    assert post("id=5&name=Lute&price=free", "application/x-www-form-urlencoded").status == 422
    assert post("<!DOCTYPE a []><product/>", "application/xml").status == 422


def test_read_only_properties_are_not_required_of_requests_nor_write_only_ones_of_responses(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "required": ["id", "name", "password"],
        "properties": {
            "id": {"type": "integer", "readOnly": True},
            "name": {"type": "string"},
            "password": {"type": "string", "writeOnly": True},
        },
    }
    operation = make_operation("a", schema=schema)
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    engine = foreign_engine(make_document({"/a": {"post": operation}}), tmp_path)

    made = send(engine, "POST", "/a", json={"name": "A", "password": "B"})

    assert (made.status, sorted(value_of(made))) == (200, ["id", "name"])
    assert send(engine, "POST", "/a", json={"id": 1, "name": "A"}).status == 422


def test_deprecated_operations_are_told_in_a_header() -> None:
    response = send(shop(), "POST", "/payments", json={"kind": "card", "number": "1" * 16})

    assert [(each["code"], each["severity"]) for each in violations_of(response)] == [("deprecated", "warning")]
    assert (
        violations_of(send(shop(debug_headers=False), "POST", "/payments", json={"kind": "card", "number": "1" * 16}))
        == []
    )


def test_deprecated_arguments_are_told_in_a_header_where_they_are_sent(tmp_path: Path) -> None:
    operation = make_operation("a", example={})
    operation["parameters"] = [
        {"name": name, "in": "query", "schema": {"type": "string"}, **more}
        for name, more in (("old", {"deprecated": True}), ("kept", {"deprecated": False}), ("new", {}))
    ]
    engine = foreign_engine(make_document({"/a": {"get": operation}}), tmp_path)

    told = violations_of(send(engine, "GET", "/a", query="old=1&kept=1&new=1"))

    assert [(each["code"], each["severity"]) for each in told] == [("deprecated", "warning")]
    assert "old" in str(told[0])
    assert violations_of(send(engine, "GET", "/a", query="kept=1&new=1")) == []


def test_an_example_that_does_not_fit_its_schema_is_mended_or_told(tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    }
    paths = {
        "/mended": {"get": make_operation("mended", example={"a": 1}, schema=schema)},
        "/told": {"get": make_operation("told", example="text", schema=schema)},
    }
    engine = foreign_engine(make_document(paths), tmp_path)

    mended, told = send(engine, "GET", "/mended"), send(engine, "GET", "/told")

    assert value_of(mended)["a"] == 1
    assert isinstance(value_of(mended)["b"], str)
    assert value_of(told) == "text"
    assert [each["code"] for each in violations_of(told)] == ["type"]
    assert send(foreign_engine(make_document(paths), tmp_path, strict=True), "GET", "/mended").status == 500


def test_preferences_apply_to_valid_requests() -> None:
    bad = {"kind": "card", "number": "x"}

    assert send(shop(), "POST", "/payments", json=bad, prefer="code=200").status == 422
    assert send(shop(), "GET", "/products", prefer="code=418").status == 404


def test_dynamic_generates_in_place_of_examples() -> None:
    assert send(foreign_engine(DOCUMENTS / "legacy.yaml", dynamic=True), "GET", "/orders").source == "generated"


def test_the_more_concrete_of_two_paths_is_found_whatever_their_order(tmp_path: Path) -> None:
    paths = {
        "/{a}/{id}.json": {"get": make_operation("one", example=1)},
        "/{a}/mobile.json": {"get": make_operation("two", example=2)},
    }

    assert value_of(send(foreign_engine(make_document(paths), tmp_path), "GET", "/x/mobile.json")) == 2
