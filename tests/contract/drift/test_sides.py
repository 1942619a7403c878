"""The sandbox's side of a comparison: its answers, and the requests that it is sent in place of recorded ones."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from builders import make_document, make_engine
from foreign import foreign_engine

from mockserver.contract.drift.sides import (
    EngineAnswer,
    EngineTarget,
    RecordedSide,
    _field,
    _recorded_response,
    pairs_of_runs,
)
from mockserver.fixtures.recordings import read_recordings
from mockserver.http import Request, Response, Upload

JSON = "application/json"
OK: dict[str, Any] = {"200": {"description": "Fine.", "content": {JSON: {}}}}


def test_an_answer_of_the_sandbox_looks_like_an_upstreams() -> None:
    plain = EngineAnswer(Response(201, JSON, b"{}", (("X-A", "gr\u00fcn"),), "stub"))
    streamed = EngineAnswer(Response(200, "", iter((b"a", b"b"))))

    async def read(answer: EngineAnswer) -> list[bytes]:
        return [chunk async for chunk in answer.chunks()]

    assert (plain.status, plain.header(b"content-type"), plain.header(b"x-mock-source")) == (201, JSON, "stub")
    assert plain.header(b"x-none") == ""
    assert (asyncio.run(read(plain)), asyncio.run(read(streamed))) == ([b"{}"], [b"ab"])
    assert streamed.header(b"content-type") == ""


@pytest.mark.parametrize(("query", "target"), [(b"", b"/a"), (b"x=1", b"/a?x=1")])
def test_a_target_of_the_sandbox_has_no_prefix(query: bytes, target: bytes) -> None:
    assert EngineTarget(make_engine()).target(b"/a", query) == target


def test_requests_to_the_sandbox_are_its_own_requests() -> None:
    engine = make_engine()
    target = EngineTarget(engine)
    form = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: '
    form += b'form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\r\n--b--\r\n'
    token = (b"Authorization", b"Bearer t")

    async def ask() -> list[int]:
        answers = [
            await target.send("GET", b"/user", [token], None),
            await target.send("GET", b"/v1/models/gpt%2D4o?x=1", [token], None),
            await target.send("POST", b"/v1/files",
                              [token, (b"content-type", b"multipart/form-data; boundary=b")], form),
        ]  # fmt: skip
        return [each.status for each in answers]

    assert asyncio.run(ask()) == [200, 200, 200]
    exchanges = list(engine.sandboxes.open("t").journal.find(lambda _: True))
    assert [(each.request.path, each.request.query) for each in exchanges] == [
        ("/user", ""), ("/v1/models/gpt-4o", "x=1"), ("/v1/files", "")
    ]  # fmt: skip


LINE = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer", "example": 7}}}


def upload_operation(folder: Path, schema: Any) -> Any:
    content = {"multipart/form-data": {"schema": schema} if schema is not None else {}}
    post = {"operationId": "up", "requestBody": {"content": content}, "responses": OK}
    engine = foreign_engine(make_document({"/up": {"post": post}}), folder)
    return next(each.operation for each in engine.services if each.operation.is_foreign)


@pytest.mark.parametrize(
    ("schema", "content"),
    [
        ({"type": "object", "properties": {"file": {"type": "string", "x-mock-line": LINE}}}, b'{"n":7}\n'),
        ({"type": "object", "properties": {"file": {"type": "string"}}}, b"drift\n"),
        ({"type": "object"}, b"drift\n"),
        (None, b"drift\n"),
    ],
)
def test_a_recorded_file_gets_a_content_that_fits_the_document(tmp_path: Path, schema: Any, content: bytes) -> None:
    operation = upload_operation(tmp_path, schema)

    named = _field(operation, "file", {"sha256": "00", "filename": "a.jsonl"})
    unnamed = _field(operation, "file", {"sha256": "00"})

    assert isinstance(named, Upload)
    assert isinstance(unnamed, Upload)
    assert (named.filename, named.blob.read(), unnamed.filename) == ("a.jsonl", content, "file")
    assert [_field(operation, "purpose", value) for value in ("batch", 5, {"a": 1})] == ["batch", "5", "{'a': 1}"]


PATHS = {
    "/jobs": {
        "post": {"operationId": "add", "requestBody": {"content": {JSON: {}}}, "responses": OK},
        "get": {"operationId": "list", "responses": OK},
    },
    "/jobs/{id}": {
        "get": {
            "operationId": "read",
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": OK,
        }
    },
    "/notes": {
        "post": {
            "operationId": "note",
            "requestBody": {"content": {"text/plain": {}, "text/csv": {}}},
            "responses": OK,
        },
        "put": {
            "operationId": "form",
            "requestBody": {"content": {"multipart/form-data": {}, JSON: {}}},
            "responses": OK,
        },
    },
}


def requests_of(folder: Path, *requests: dict[str, Any], **security: Any) -> list[Any]:
    """What the sandbox is asked in place of recorded requests."""
    engine = foreign_engine(make_document(PATHS, **security), folder)
    side = RecordedSide(engine)
    side._ids["theirs"] = "ours"
    services = {each.operation.key: each for each in engine.services}
    return [side._request(services[each["operation"]].operation, each) for each in requests]


def test_a_recorded_request_is_sent_with_the_sandboxes_ids(tmp_path: Path) -> None:
    add, read, note = requests_of(
        tmp_path,
        {"operation": "add", "body": {"ids": ["theirs", "other"], "n": 5}},
        {"operation": "read", "path": {"id": "theirs"}, "query": {"q": "theirs"}},
        {"operation": "note", "body": "text"},
    )

    assert (add.method, add.path, orjson.loads(add.body)) == ("POST", "/jobs", {"ids": ["ours", "other"], "n": 5})
    assert add.headers == {"x-mock-sandbox": "drift", "authorization": "Bearer drift", "content-type": JSON}
    assert (read.path, read.query, read.body) == ("/jobs/ours", "q=ours", b"")
    assert "content-type" not in read.headers
    assert (note.headers["content-type"], note.body) == ("text/plain", b"text")


def test_a_recorded_form_is_sent_as_one_and_another_body_as_json(tmp_path: Path) -> None:
    form, other, none = requests_of(
        tmp_path,
        {"operation": "form", "body": {"a": "theirs", "file": {"sha256": "00"}}},
        {"operation": "form", "body": ["theirs"]},
        {"operation": "list", "body": {"a": 1}},
    )

    assert form.headers["content-type"] == "multipart/form-data; boundary=drift"
    assert [name for name, _ in form.form_parts] == [*form.form] == ["a", "file"]
    assert (form.form["a"], form.body) == ("ours", b"")
    assert (other.headers["content-type"], other.body, other.form) == (JSON, b'["ours"]', None)
    assert (none.body, "content-type" in none.headers) == (b"", False)


def test_a_recorded_request_without_a_credential_has_none(tmp_path: Path) -> None:
    (found,) = requests_of(tmp_path, {"operation": "list", "credential": False})

    assert found.headers == {"x-mock-sandbox": "drift"}


def test_a_key_in_the_query_follows_the_arguments(tmp_path: Path) -> None:
    scheme = {"type": "apiKey", "in": "query", "name": "key"}
    security = {"security": [{"k": []}], "components": {"securitySchemes": {"k": scheme}}}

    (found,) = requests_of(tmp_path, {"operation": "list", "query": {"a": "1"}}, **security)

    assert (found.query, found.headers) == ("a=1&key=drift", {"x-mock-sandbox": "drift"})


def test_the_sandboxes_ids_are_learned_from_the_same_places(tmp_path: Path) -> None:
    side = RecordedSide(foreign_engine(make_document(PATHS), tmp_path))
    live = {
        "id": "a1", "rows": [{"job_id": "a2", "name": "a3"}, {"job_id": "a4"}], "ids": ["a5"], "n_id": 5,
        "only_id": "a6", "mixed": [1], "other": {"id": "a8"},
    }  # fmt: skip
    ours = {
        "id": "b1", "rows": [{"job_id": "b2", "name": "b3"}], "ids": ["b5", "b6"], "n_id": "b7",
        "more_id": "b6", "mixed": {"id": "b9"}, "other": ["b8"],
    }  # fmt: skip

    side._learn(Response(200, JSON, orjson.dumps(live)), Response(200, JSON, orjson.dumps(ours)))
    side._learn(Response(200, JSON, b'{"id": "a1"}'), Response(200, JSON, b'{"id": "c1"}'))
    side._learn(Response(200, JSON, b'{"id": "a9"}'), Response(200, JSON, b"{"))
    side._learn(Response(200, JSON, iter(())), Response(200, JSON, b'{"id": "c1"}'))

    assert side._ids == {"a1": "b1", "a2": "b2", "a5": "b5"}


@pytest.mark.parametrize(
    ("step", "response"),
    [
        ({"body": {"a": 1}}, (200, JSON, b'{"a":1}', ())),
        ({"status": 201, "text": "t", "media_type": "text/plain", "headers": {"x-a": "1"}},
         (201, "text/plain", b"t", (("x-a", "1"),))),
        ({"text": ""}, (200, "", b"", ())),
        ({}, (200, "", b"", ())),
        ({"file": "bodies/a.json"}, (200, JSON, b"[1]", ())),
    ],
)  # fmt: skip
def test_a_recorded_answer_is_read_as_it_was_sent(tmp_path: Path, step: dict[str, Any], response: Any) -> None:
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "a.json").write_bytes(b"[1]")
    known = [{"request": {"operation": "a"}, "answers": [step]}]
    [entry] = read_recordings("recording.yaml", tmp_path / "recording.yaml", known)

    found = _recorded_response(entry, step)

    assert (found.status, found.media_type, found.body, found.headers) == response
    assert found.source == "recorded"


def test_recorded_answers_are_paired_with_the_sandboxes_in_their_order(tmp_path: Path) -> None:
    engine = foreign_engine(make_document(PATHS), tmp_path)
    known: list[dict[str, Any]] = [
        {"request": {"operation": "nothing"}, "answers": [{"status": 200, "body": {}}]},
        {"request": {"operation": "list"}, "answers": [{"status": 200, "body": {}}, {"status": 404, "body": {}}]},
        {
            "request": {"operation": "read", "path": {"id": "a"}},
            "job": "a",
            "timeline": [{"after": n, "status": 200, "body": {}} for n in range(3)],
        },
    ]
    entries = list(read_recordings("recording.yaml", tmp_path / "recording.yaml", known))

    pairs = list(RecordedSide(engine).pairs(entries))

    assert [(each.operation.key, each.request, each.live.status) for each in pairs] == [
        ("list", "GET /jobs (recorded)", 200),
        ("list", "GET /jobs (recorded)", 404),
        *[("read", "GET /jobs/a (recorded)", 200)] * 3,
    ]
    assert [each.code for each in pairs[1].violations] == ["undocumented"]
    assert isinstance(pairs[0].sandbox.body, bytes)
    progression = engine.sandboxes.open("drift").progression
    assert (progression.kind, progression.amount) == ("polls", 3)


@pytest.mark.parametrize(("states", "polls"), [(None, 1), (0, 1), (1, 1), (4, 4)])
def test_jobs_of_the_sandbox_take_as_many_polls_as_the_longest_recorded_one(
    tmp_path: Path, states: int | None, polls: int
) -> None:
    engine = foreign_engine(make_document(PATHS), tmp_path)
    entries: list[Any] = [SimpleNamespace(steps=[{}] * 9, is_timeline=False, request={"operation": "nothing"})]
    if states is not None:
        entries.append(SimpleNamespace(steps=[{}] * states, is_timeline=True, request={"operation": "nothing"}))

    assert list(RecordedSide(engine).pairs(entries)) == []
    assert engine.sandboxes.open("drift").progression.amount == polls


def test_answers_to_the_same_request_of_a_plan_are_a_pair() -> None:
    def exchange(number: int, status: int) -> Any:
        planned = SimpleNamespace(operation="operation", situation="valid", faults=2)
        return SimpleNamespace(
            number=number, planned=planned, request=Request("GET", "/a", "", {}), response=Response(status, "", b""),
            violations=("violation",),
        )  # fmt: skip

    live = [exchange(-1, 200), exchange(0, 201), exchange(1, 202), exchange(2, 203)]

    pairs = pairs_of_runs(live, [exchange(-1, 400), exchange(0, 401), exchange(2, 403)])

    assert [(each.request, each.live.status, each.sandbox.status) for each in pairs] == [
        ("GET /a (valid)", 201, 401), ("GET /a (valid)", 203, 403)
    ]  # fmt: skip
    assert pairs[0].violations == live[1].violations
    assert pairs[0].faults == 2
