"""What OpenAPI 3.2 adds: QUERY, other methods, and sequences of items."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import bytes_of, make_document, make_operation, write_json
from foreign import foreign_engine, send

from mockserver.engine.engine import Engine
from mockserver.openapi.document import read_repaired_openapi

EVENT = {"type": "object", "required": ["event", "data"], "properties": {"event": {"const": "a"}, "data": {"const": 1}}}
ITEM = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


def document(**more: Any) -> dict[str, Any]:
    search = make_operation("search")
    search["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["q"]}}},
    }
    sequence = {
        "responses": {
            "200": {
                "description": "",
                "content": {"text/event-stream": {"itemSchema": EVENT}, "application/jsonl": {"itemSchema": ITEM}},
            }
        }
    }
    things = {"query": search, "additionalOperations": {"COPY": make_operation("copy", status="201"), **more}}
    return {**make_document({"/things": things, "/events": {"get": sequence}}), "openapi": "3.2.0", "$self": "urn:a"}


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return foreign_engine(document(), tmp_path)


def test_query_is_answered_and_its_body_is_judged(engine: Engine) -> None:
    assert send(engine, "QUERY", "/things", json={"q": "a"}).status == 200
    assert send(engine, "QUERY", "/things", json={}).status == 422


def test_other_methods_are_answered_and_allowed(engine: Engine) -> None:
    assert send(engine, "COPY", "/things").status == 201
    refused = send(engine, "GET", "/things")
    assert (refused.status, dict(refused.headers)["Allow"]) == (405, "COPY, OPTIONS, QUERY")


def test_a_sequence_is_written_item_by_item(engine: Engine) -> None:
    stream = send(engine, "GET", "/events", accept="text/event-stream")
    lines = send(engine, "GET", "/events", accept="application/jsonl")

    events = bytes_of(stream).split(b"\n\n")
    assert events.pop() == b""
    assert {frozenset(each.split(b"\n")) for each in events} == {frozenset({b"event: a", b"data: 1"})}
    assert all(orjson.loads(each).keys() == {"n"} for each in bytes_of(lines).splitlines())


def test_another_method_with_a_mistake_is_left_out_with_a_warning(tmp_path: Path) -> None:
    spec = read_repaired_openapi(write_json(tmp_path / "a.json", document(MOVE={"responses": []})))

    assert [each.key for each in spec.operations] == ["search", "copy", "GET /events"]
    assert any("MOVE /things" in str(each) for each in spec.problems)
