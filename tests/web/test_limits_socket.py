"""Limits of the wire: heads without end, trailers that would be headers, offers piled up, and pages of strangers."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_client, make_document, make_operation, make_settings, write_json

from mockserver.server.process import ThreadedServer

HEAD = b"Host: x\r\nAuthorization: Bearer test\r\n"


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer(make_settings()) as running:
        yield running


def dial(server: ThreadedServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def read_until_closed(wire: socket.socket) -> bytes:
    answer = b""
    try:
        while part := wire.recv(65_536):
            answer += part
    except ConnectionResetError:  # the server closed before it had read all that was sent
        pass
    return answer


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /user HTTP/1.1\r\n" + HEAD + b"X: ",
        b"GET /",
        b"\r\n",
        b"POST /ai/batches HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    ],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(server: ThreadedServer, beginning: bytes) -> None:
    with dial(server) as wire:
        wire.sendall(beginning)
        for _ in range(20):
            wire.sendall((b"\r\n" if beginning == b"\r\n" else b"aa") * 32_768)

        answer = read_until_closed(wire)

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"detail":"The head has more than 65536 bytes (setting --max-head)."' in answer


@pytest.mark.parametrize(("size", "status"), [(65_000, 200), (66_000, 431)])
def test_a_head_is_read_up_to_its_limit(server: ThreadedServer, size: int, status: int) -> None:
    with dial(server) as wire:
        wire.sendall(b"GET /user HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * size + b"\r\n\r\n")

        assert wire.recv(100).startswith(b"HTTP/1.1 %d " % status)


def test_a_trailer_is_no_header(server: ThreadedServer) -> None:
    body = b'{"prompts":["hello"]}'
    chunks = b"%x\r\n%b\r\n0\r\nX-Mock-Sandbox: other\r\nAuthorization: Bearer mock-revoked\r\n\r\n" % (len(body), body)
    head = HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with dial(server) as wire:
        wire.sendall(b"POST /ai/batches HTTP/1.1\r\n" + head + chunks)

        assert wire.recv(100).startswith(b"HTTP/1.1 202 ")
    assert server.engine.sandboxes.open("other").journal.seen == 0


def test_many_requests_to_upgrade_are_ignored_at_once(server: ThreadedServer) -> None:
    offer = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    with dial(server) as wire:
        wire.sendall(offer * 1000 + b"GET /health HTTP/1.0\r\n\r\n")

        assert read_until_closed(wire).count(b"HTTP/1.1 200 OK") == 1001


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Host", "evil.example:4024"),
        ("Host", "127.0.0.1.evil.example"),
        ("Host", "[x"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ],
)
def test_a_web_page_of_another_host_cannot_call_the_admin_api(header: str, value: str) -> None:
    with make_client() as client:
        refused = client.post("/__admin/clock/advance", content=b'{"days": 1}', headers={header: value})

        assert refused.status_code == 403
        assert client.get("/__admin/clock").json()["now"] == "2026-04-12T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("header", "value"),
    [("Host", "localhost"), ("Host", "[::1]:4024"), ("Host", "my.localhost:80"), ("Origin", "http://localhost:3000")],
)
def test_a_web_page_on_loopback_can_call_the_admin_api(header: str, value: str) -> None:
    with make_client() as client:
        assert client.get("/__admin/clock", headers={header: value}).status_code == 200


def test_with_the_admin_token_any_origin_can_call_the_admin_api() -> None:
    with make_client(admin_token="secret") as client:
        headers = {"Host": "mock.example", "Origin": "https://ci.example", "X-Mock-Admin-Token": "secret"}

        assert client.get("/__admin/clock", headers=headers).status_code == 200


@pytest.mark.parametrize("status", ["204", "304"])
def test_a_204_or_304_has_no_body_even_if_the_document_has_one(tmp_path: Path, status: str) -> None:
    secured = {"components": {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}, "security": [{"b": []}]}
    paths = {"/x": {"get": make_operation("getX", status=status, example="something")}}
    document = write_json(tmp_path / "other.json", make_document(paths, **secured))
    with ThreadedServer(make_settings(spec=(str(document),))) as server, dial(server) as wire:
        wire.sendall(b"GET /x HTTP/1.1\r\nAuthorization: Bearer mock-status-%b\r\n\r\n" % status.encode())
        wire.sendall(b"GET /health HTTP/1.0\r\n\r\n")

        answers = read_until_closed(wire)

    assert answers.startswith(b"HTTP/1.1 %b " % status.encode())
    assert b"something" not in answers
    assert b"\r\n\r\nHTTP/1.1 200 OK" in answers
