"""Canned responses that use the request: conditions, templates, sequences."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, value_of, write_json
from foreign import foreign_engine, send

from mockserver.engine.check import check
from mockserver.engine.engine import Engine
from mockserver.errors import FixtureError
from mockserver.settings.table import Settings


def engine_with(folder: Path, *entries: dict[str, Any], method: str = "get", path: str = "/things/{id}") -> Engine:
    operation = make_operation("thing", example="no fixture")
    operation["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]
    operation["requestBody"] = {"content": {"application/json": {"schema": {}}}}
    write_json(folder / "mine" / "all.json", {"responses": {"thing": list(entries)}})
    return foreign_engine(make_document({path: {method: operation}}), folder, fixtures=(str(folder / "mine"),))


def test_a_template_shows_values_of_the_request(tmp_path: Path) -> None:
    body = {
        "id": "{{ request.path.id }}",
        "said": "{{ request.body.name }} ({{ request.query.lang }}, {{ request.headers['x-who'] }})",
        "method": "{{ request.method }}{% if request.query.empty == '' %} (empty){% endif %}",
        "more": ["{{ request.body.list }}", "{{ request.body.none }}"],
        "at": "{{ now }}",
    }
    engine = engine_with(
        tmp_path, {"template": True, "body": body, "headers": {"X-Id": "{{ request.path.id }}"}}, method="post"
    )

    response = send(engine, "POST", "/things/7", query="lang=en&empty=", json={"name": "Ann", "list": [1]}, x_who="me")

    assert value_of(response) == {
        "id": 7,
        "said": "Ann (en, me)",
        "method": "POST (empty)",
        "more": [[1], None],
        "at": "2026-04-12T00:00:00+00:00",
    }
    assert dict(response.headers) == {"X-Id": "7"}


def test_without_template_a_text_stays_as_it_is(tmp_path: Path) -> None:
    assert value_of(send(engine_with(tmp_path, {"body": "{{ now }}"}), "GET", "/things/7")) == "{{ now }}"


def test_credentials_are_not_shown(tmp_path: Path) -> None:
    engine = engine_with(tmp_path, {"template": True, "body": ["{{ request.headers.authorization }}"]})

    assert value_of(send(engine, "GET", "/things/7")) == [None]


@pytest.mark.parametrize(
    "text",
    ["{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}", "{{ request.none.none }}"],
)
def test_a_template_that_cannot_be_rendered_is_told(tmp_path: Path, text: str) -> None:
    response = send(engine_with(tmp_path, {"template": True, "text": text}), "GET", "/things/7")

    assert response.status == 500
    assert "fixture:all.json#1" in value_of(response)["detail"]


def test_a_text_that_is_no_template_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(FixtureError, match="is no template"):
        engine_with(tmp_path, {"template": True, "text": "{{"})


def test_conditions_are_compared_with_path_and_headers(tmp_path: Path) -> None:
    engine = engine_with(
        tmp_path,
        {"match": {"path": {"id": 7}, "headers": {"X-Beta": "on"}}, "body": "both"},
        {"match": {"path": {"id": 7}}, "body": "path"},
        {"match": {"query": {"id": 8}}, "body": "argument"},
    )

    answers = [send(engine, "GET", "/things/7", x_beta="on"), *(send(engine, "GET", f"/things/{n}") for n in (7, 8, 9))]

    assert [value_of(each) for each in answers] == ["both", "path", "argument", "no fixture"]


def test_a_sequence_is_answered_in_turn_in_each_sandbox(tmp_path: Path) -> None:
    steps = [{"status": 202, "body": "wait"}, {"status": 202, "body": "soon"}, {"body": "done"}]
    engine = engine_with(tmp_path, {"sequence": steps})

    seen = [value_of(send(engine, "GET", "/things/7")) for _ in range(4)]

    assert seen == ["wait", "soon", "done", "done"]
    assert send(engine, "GET", "/things/7", authorization="Bearer other").status == 202


def test_check_accepts_templates_and_sequences(tmp_path: Path) -> None:
    entry = {"match": {"path": {"id": 1}}, "template": True, "body": "{{ now }}"}
    engine_with(tmp_path, entry, {"sequence": [{"body": 1}]})

    assert check(Settings(spec=(str(tmp_path / "document.json"),), fixtures=(str(tmp_path / "mine"),))) == []
