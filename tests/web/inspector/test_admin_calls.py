"""How pages call the admin API: what is sent, what is returned, and how a rejection is told."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from builders import make_settings

from mockserver.web.admin_auth import TOKEN_HEADER
from mockserver.web.answers.loop_turns import LoopTurns
from mockserver.web.inspector.admin_calls import AdminAnswer, AdminCallError, AdminCalls


class Admin:
    """Stands in for the admin API: notes scopes and bodies, and gives one answer."""

    def __init__(self, answer: Any = None, status: int = 200) -> None:
        self.body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        self.status = status
        self.scopes: list[Any] = []
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        message = await receive()
        assert (message["type"], message["more_body"]) == ("http.request", False)
        self.bodies.append(message["body"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(receive(), 0)  # a page does not leave
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"x-n\xe4me", b"v\xe4lue")]})
        await send({"type": "http.response.body", "body": self.body[:3], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[3:]})
        await send({"type": "http.response.body"})


def make_calls(admin: Admin, **settings: Any) -> AdminCalls:
    return AdminCalls(admin, make_settings(**settings), LoopTurns())


def sent_by(admin: Admin) -> tuple[str, str, str, bytes]:
    """Method, path, query and body of the only call."""
    (scope,), (body,) = admin.scopes, admin.bodies
    return scope["method"], scope["path"], scope["query_string"].decode(), body


def test_a_get_has_its_query_and_its_sandbox() -> None:
    admin = Admin({"a": 1})

    calls = make_calls(admin)
    found = asyncio.run(calls.get("/batches/\u00e4", "b\u00e4\u2014", limit=0, text="a b", none=None, empty=""))

    assert found == {"a": 1}
    assert sent_by(admin) == ("GET", "/__admin/batches/\u00e4", "limit=0&text=a+b", b"")
    (scope,) = admin.scopes
    assert scope["headers"] == [(b"host", b"localhost"), (b"x-mock-sandbox", b"b\xe4?")]
    assert (scope["type"], scope["scheme"], scope["http_version"], scope["root_path"]) == ("http", "http", "1.1", "")
    assert scope["raw_path"] == b"/__admin/batches/%C3%A4"
    assert (scope["server"], scope["client"]) == (("localhost", 80), None)


def test_a_call_without_a_sandbox_names_none_and_brings_the_admin_token() -> None:
    admin = Admin()

    asyncio.run(make_calls(admin, admin_token="secret").get("/x"))

    assert admin.scopes[0]["headers"] == [(b"host", b"localhost"), (TOKEN_HEADER.encode(), b"secret")]


@pytest.mark.parametrize(("body", "sent"), [(None, b""), (b"raw", b"raw"), ({"a": 1}, b'{"a":1}'), ([], b"[]")])
def test_a_change_sends_json_or_bytes(body: Any, sent: bytes) -> None:
    admin = Admin([5])

    assert asyncio.run(make_calls(admin).change("PUT", "/x", "a", body, query="q=1")) == [5]
    assert sent_by(admin) == ("PUT", "/__admin/x", "q=1", sent)


def test_a_download_is_the_whole_response() -> None:
    admin = Admin(b"content", 201)

    assert asyncio.run(make_calls(admin).download("/x", "a", n=1)) == AdminAnswer(
        201, {"x-n\u00e4me": "v\u00e4lue"}, b"content"
    )


def refusal_of(status: int, answer: Any) -> tuple[int, str]:
    with pytest.raises(AdminCallError) as caught:
        asyncio.run(make_calls(Admin(answer, status)).get("/x"))
    assert str(caught.value) == caught.value.detail
    return caught.value.status, caught.value.detail


def make_violation(*location: str | int) -> Mapping[str, Any]:
    return {"location": ["body", *location], "message": "is wrong"}


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"detail": "No."}, "No."),
        ({"detail": "No.", "violations": [make_violation("a", 0), make_violation()]}, "No. a/0: is wrong : is wrong"),
        ({"violations": [make_violation("a")] * 6}, " ".join(["a: is wrong"] * 5)),
        ({}, ""),
        ([], ""),
        (b"<html>", ""),
    ],
)
def test_a_rejection_has_its_detail_and_the_first_five_violations(answer: Any, detail: str) -> None:
    assert refusal_of(400, answer) == (400, detail)
    assert refusal_of(503, answer) == (503, detail)


def test_operations_are_asked_for_once() -> None:
    admin = Admin({"coverage": [{"key": "a"}, {"key": "b"}]})
    calls = make_calls(admin)

    assert [asyncio.run(calls.operations()) for _ in range(2)] == [["a", "b"]] * 2
    assert sent_by(admin)[:2] == ("GET", "/__admin/coverage")


def test_other_processes_may_answer_where_the_store_is_shared(tmp_path: Any) -> None:
    assert not make_calls(Admin()).has_replicas
    assert make_calls(Admin(), store=f"sqlite://{tmp_path}/a.db").has_replicas


@pytest.mark.parametrize(("status", "saved"), [(200, True), (299, True), (300, False), (404, False)])
def test_a_forwarded_response_is_a_file_unless_it_is_a_rejection(status: int, saved: bool) -> None:
    admin, sent = Admin(b"content", status), []
    calls = make_calls(admin)

    async def forward() -> None:
        async def receive() -> Any:
            if sent_requests:
                await asyncio.Event().wait()
            sent_requests.append(1)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        sent_requests: list[int] = []
        await calls.forward("/files/f/content", "a", "a b\u00e4/.jsonl", query="q=1")({}, receive, send)

    asyncio.run(forward())

    named = (b"content-disposition", b"attachment; filename*=UTF-8''a%20b%C3%A4%2F.jsonl")
    assert (named in sent[0]["headers"]) is saved
    assert (b"x-n\xe4me", b"v\xe4lue") in sent[0]["headers"]
    assert b"".join(each.get("body", b"") for each in sent[1:]) == b"content"
    assert sent_by(admin) == ("GET", "/__admin/files/f/content", "q=1", b"")
