"""Where a received call goes, and what the document says of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders import make_engine

from mockserver.contract.callbacks.places import CallbackPlace, find_places
from mockserver.contract.callbacks.received import ReceivedCall, callback_violations, target_of

CALL = ReceivedCall("POST", "", "", "application/json", b"{}")


@pytest.mark.parametrize(
    ("target", "path", "query", "passed"),
    [
        ("https://a.example/hook", "", "", "https://a.example/hook"),
        ("https://a.example/hook?t=1", "", "event=done", "https://a.example/hook?t=1&event=done"),
        ("https://a.example/hook/?t=1#x", "data", "", "https://a.example/hook/data?t=1"),
        ("http://a.example:81", "data/%20x", "a=b", "http://a.example:81/data/%20x?a=b"),
        ("http://a.example", "", "", "http://a.example"),
    ],
)
def test_what_the_api_appends_goes_to_the_clients_own_url(target: str, path: str, query: str, passed: str) -> None:
    assert target_of(target, CALL._replace(path=path, query=query)) == passed


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> CallbackPlace:
    path: Path = tmp_path_factory.mktemp("spec") / "api.json"
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"enum": ["done", "failed"]}}}
    body = {"required": True, "content": {"application/json": {"schema": schema}, "text/plain": {}}}
    sent = {"post": {"requestBody": body, "responses": {"204": {"description": "ok"}}}, "delete": {"responses": {}}}
    start = {"callbacks": {"done": {"{$request.body#/hook}": sent}}, "responses": {"200": {"description": "ok"}}}
    document = {"openapi": "3.1.0", "info": {"title": "a", "version": "1"}, "paths": {"/jobs": {"post": start}}}
    path.write_text(json.dumps(document))
    [service] = [each for each in make_engine(spec=(str(path),)).services if each.operation.path == "/jobs"]
    [found] = find_places(service)
    return found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"body": b'{"status": "done"}'}, []),
        ({"body": b'{"status": "done"}', "media_type": "application/json; charset=utf-8"}, []),
        ({"body": b"done", "media_type": "text/plain"}, []),
        ({"body": b"", "method": "DELETE"}, []),
        ({"body": b'{"status": "over"}'}, [("callback.body.status", "enum")]),
        ({"body": b"{"}, [("callback.body", "syntax")]),
        ({"body": b""}, [("callback.body", "required")]),
        ({"body": b"<a/>", "media_type": "text/xml"}, [("callback.header.Content-Type", "undocumented")]),
        ({"method": "PUT"}, [("callback.method", "undocumented")]),
    ],
)
def test_a_call_is_compared_with_the_document(
    place: CallbackPlace, changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    violations = callback_violations(place, CALL._replace(**changes))

    assert [(".".join(map(str, each.location)), each.code) for each in violations] == found
    assert callback_violations(place._replace(sent=()), CALL._replace(**changes)) == ()
