"""Callbacks and webhooks of any document: sent as it says, the same on every run, and seen in the inbox."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders import ask, make_document, make_engine, make_operation, make_settings, write_json
from receiver import receiving

from mockserver.server.process import ThreadedServer

SCHEMA = {
    "type": "object",
    "required": ["id", "event"],
    "properties": {"id": {"type": "string", "format": "uuid"}, "event": {"enum": ["done"]}},
}
URL = {"type": "object", "properties": {"url": {"type": "string"}}}
TARGET = "{$request.body#/url}/told"


def spec(folder: Path, **operation: Any) -> tuple[str]:
    body = {"content": {"application/json": {"schema": SCHEMA}}}
    subscribe = make_operation("subscribe", status="201") | operation
    subscribe["requestBody"] = {"content": {"application/json": {"schema": URL}}}
    subscribe.setdefault("callbacks", {"told": {TARGET: {"put": {"requestBody": body, "responses": {}}}}})
    whole = make_document({"/subscriptions": {"post": subscribe}})
    whole["webhooks"] = {"newPet": {"post": {"requestBody": body}}}
    return (str(write_json(folder / "api.json", whole)),)


def inbox(server: ThreadedServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{server.url}/__admin/callbacks").json()["callbacks"]
    return found


def subscribe(server: ThreadedServer, **body: Any) -> int:
    return httpx.post(f"{server.url}/subscriptions", json=body).status_code


def test_a_callback_goes_to_the_url_of_the_request_with_a_payload_of_its_schema(tmp_path: Path) -> None:
    with receiving() as receiver, ThreadedServer(make_settings(spec=spec(tmp_path))) as server:
        assert subscribe(server, url=receiver.url) == 201
        told = receiver.wait()

    assert (told.method, told.path, told.headers["content-type"]) == ("PUT", "/told", "application/json")
    assert told.value["event"] == "done"
    assert re.fullmatch("[0-9a-f-]{36}", told.value["id"])


def test_callbacks_are_the_same_on_every_run_and_differ_from_each_other(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        with ThreadedServer(make_settings(spec=spec(tmp_path), callbacks="inbox")) as server:
            for _ in range(2):
                assert subscribe(server, url="http://localhost:1") == 201
            runs.append(inbox(server))

    first, second = ([(each["id"], each["payload"]) for each in run] for run in runs)
    assert first == second
    assert len({each["id"] for each in runs[0]}) == len({each["payload"]["id"] for each in runs[0]}) == 2
    assert {(each["state"], each["target"]) for each in runs[0]} == {("kept", "http://localhost:1/told")}


@pytest.mark.parametrize("body", [{}, {"url": 5}, {"url": None}])
def test_a_request_without_a_target_has_no_callback(tmp_path: Path, body: dict[str, Any]) -> None:
    with ThreadedServer(make_settings(spec=spec(tmp_path), callbacks="inbox")) as server:
        subscribe(server, **body)

        assert inbox(server) == []


def test_a_target_beyond_the_machine_is_refused(tmp_path: Path) -> None:
    with ThreadedServer(make_settings(spec=spec(tmp_path))) as server:
        assert subscribe(server, url="http://192.0.2.1") == 201
        (callback,) = inbox(server)

    assert callback["state"] in {"sending", "refused"}
    assert callback["payload"]["event"] == "done"


def test_a_callback_without_a_body_and_one_with_text_are_sent_too(tmp_path: Path) -> None:
    text = {"requestBody": {"content": {"text/plain": {"example": "ready"}}}}
    callbacks = {"told": {TARGET: {"post": {}, "put": text}}}
    with ThreadedServer(make_settings(spec=spec(tmp_path, callbacks=callbacks), callbacks="inbox")) as server:
        subscribe(server, url="http://localhost:1")

        assert {(each["method"], each["payload"]) for each in inbox(server)} == {("POST", None), ("PUT", "ready")}


def test_a_webhook_is_sent_when_the_test_asks_for_it(tmp_path: Path) -> None:
    with receiving() as receiver, ThreadedServer(make_settings(spec=spec(tmp_path))) as server:
        admin = f"{server.url}/__admin/webhooks"
        assert httpx.get(admin).json() == {"webhooks": [{"name": "newPet", "method": "POST"}]}
        httpx.post(f"{admin}/newPet", json={"url": f"{receiver.url}/a"}).raise_for_status()
        generated = receiver.wait()
        httpx.post(f"{admin}/newPet", json={"url": f"{receiver.url}/b", "payload": {"mine": 1}}).raise_for_status()
        given = receiver.wait()
        unknown = httpx.post(f"{admin}/newPets", json={"url": receiver.url})
        large = httpx.post(f"{admin}/newPet", json={"url": receiver.url, "payload": "x" * 300_000})

    assert (generated.path, generated.value["event"]) == ("/a", "done")
    assert (given.path, given.value) == ("/b", {"mine": 1})
    assert unknown.status_code == 404
    assert "newPet" in unknown.text
    assert large.status_code == 413
    assert receiver.is_left_alone()


def outbox(settings: dict[str, Any], *, status: str = "201", code: int = 201) -> list[Any]:
    """The callbacks after one request, without a server."""
    engine = make_engine(callbacks="inbox", **settings)
    headers = {"prefer": f"code={code}"} if code != int(status) else {}
    assert ask(engine, "POST", "/subscriptions", json={"url": "http://localhost:1/x"}, headers=headers).status == code
    return [*engine.sandboxes.open("test").open_outbox().every()]


@pytest.mark.parametrize(("status", "count"), [("200", 1), ("201", 1), ("299", 1), ("300", 0), ("404", 0)])
def test_callbacks_are_sent_after_a_success(tmp_path: Path, status: str, count: int) -> None:
    operation = make_operation("subscribe", status=status, schema={"type": "object"})

    assert len(outbox({"spec": spec(tmp_path, **operation)}, status=status, code=int(status))) == count


def test_a_callback_is_due_at_once_and_has_the_documents_method_and_body(tmp_path: Path) -> None:
    example = {"requestBody": {"content": {"application/json": {"example": {"a": 1}}}}}
    callbacks = {"told": {TARGET: {"put": example, "delete": {}}}}

    put, delete = outbox({"spec": spec(tmp_path, callbacks=callbacks)})

    assert (put.target, put.method, put.media_type, put.payload) == (
        "http://localhost:1/x/told", "PUT", "application/json", b'{"a":1}',
    )  # fmt: skip
    assert (delete.method, delete.media_type, delete.payload) == ("DELETE", "", b"")
    assert put.due == delete.due == 1775952000.0
    assert put.id != delete.id


@pytest.mark.parametrize(("strict", "value"), [(False, "mended"), (True, "done?")])
def test_an_example_that_does_not_fit_its_schema_is_mended_unless_the_server_is_strict(
    tmp_path: Path, strict: bool, value: str
) -> None:
    schema = {"properties": {"event": {"enum": ["mended"]}}}
    body = {"content": {"application/json": {"schema": schema, "example": {"event": "done?"}}}}
    callbacks = {"told": {TARGET: {"post": {"requestBody": body}}}}

    [callback] = outbox({"spec": spec(tmp_path, callbacks=callbacks), "strict": strict})

    assert json.loads(callback.payload) == {"event": value}
