"""Forms that are meant to hurt: whatever one client uploads, others are served, and what is refused is let go."""

import json
import resource
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served

MEGABYTE = 1024 * 1024
TYPE = "multipart/form-data; boundary=X"
NOISE = bytes(range(128)) * 8 * 1024 * 2


def part(name: str, content: bytes, filename: str | None = None, *, extra: bytes = b"") -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--X\r\nContent-Disposition: form-data; name="{name}"{named}\r\n'.encode()
    return head + extra + b"\r\n" + content + b"\r\n"


def upload(content: bytes = NOISE, *, filename: str = "in.jsonl", purpose: str = "batch") -> bytes:
    return part("purpose", purpose.encode()) + part("file", content, filename) + b"--X--\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[AttackedServer]:
    with attacked_server() as running:
        status, _ = running.request("POST", "/v1/files", upload(b"{}"), content_type=TYPE)
        assert status == 200
        yield running


def files_are_closed(server: AttackedServer, before: int) -> bool:
    """Whether no more files are open than before, once the server has noticed which connections were closed."""
    for _ in range(500):  # each is a round through the server's event loop
        if server.open_files() <= before:
            return True
        assert server.request("GET", "/health")[0] == 200
    return False


def error_of(body: bytes) -> str:
    return str(json.loads(body)["error"]["message"])


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "utf-7", "hz"])
@pytest.mark.parametrize(
    ("path", "token", "wanted"), [("/v1/files", "", 401), ("/nowhere", "", 404), ("/v1/files", "a", 200)]
)
def test_a_charset_parameter_takes_no_time(
    server: AttackedServer, path: str, token: str, wanted: int, charset: str
) -> None:
    fields = b"".join(part(f"f{n}", b"a" * 200_000) for n in range(60))
    body = fields + upload(b"{}")

    with others_are_served(server):
        status, _ = server.request("POST", path, body, token=token, content_type=f"{TYPE}; charset={charset}")

    assert status == wanted


def false_boundaries() -> bytes:
    return part("file", b"\r\n--X!" * (30 * MEGABYTE // 6), "a.jsonl") + b"--X--\r\n"


ATTACKS: dict[str, Callable[[], bytes]] = {
    "false boundaries": false_boundaries,
    "false boundaries in the preamble": lambda: b"\r\n--X!" * (30 * MEGABYTE // 6) + upload(b"{}"),
    "nearly boundaries": lambda: part("file", b"\r\n--\r\n-" * (30 * MEGABYTE // 7), "a.jsonl"),
    "bare newlines": lambda: b"\n--X" * (30 * MEGABYTE // 4),
    "padding": lambda: b"--X" + b" " * (30 * MEGABYTE),
    "padding at the end": lambda: upload(b"{}")[:-2] + b" " * (30 * MEGABYTE),
    "a header name without end": lambda: b"--X\r\n" + b"a" * (30 * MEGABYTE),
    "a header value without end": lambda: b"--X\r\nContent-Disposition: " + b";" * (30 * MEGABYTE),
    "a header of quotes": lambda: b"--X\r\nContent-Disposition: form-data" + b';"' * 2000 + b"\r\n\r\n",
    "many headers": lambda: b"--X\r\n" + b"a: b\r\n" * (30 * MEGABYTE // 6),
    "many tiny fields": lambda: b"".join(part("a", b"") for _ in range(300_000)),
    "many tiny parts without headers": lambda: b"--X\r\n\r\n\r\n" * 1_000_000,
    "many files": lambda: b"".join(part("a", b"", "a") for _ in range(200_000)),
    "costly headers in every part": lambda: b"".join(
        part(f"f{n}", b"", extra=b"a: " + b'";' * 1900 + b"\r\n") for n in range(100)
    ),
    "costly names in every part": lambda: b"".join(part(f"f{n}" + "\\;" * 1900, b"") for n in range(100)),
    "forms within forms": lambda: b"".join(
        part(f"f{n}", b"--Y\r\n" * 1000, extra=b"Content-Type: multipart/mixed; boundary=Y\r\n") for n in range(90)
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served_while_a_form_is_parsed(server: AttackedServer, name: str) -> None:
    at_rest, form = server.resident(), ATTACKS[name]()

    with others_are_served(server):
        status, body = server.request("POST", "/v1/files", form, content_type=TYPE)

    assert status in {200, 400}, body
    assert server.resident() < at_rest + 4 * len(form) + 16 * MEGABYTE


def test_a_content_type_may_not_be_long(server: AttackedServer) -> None:
    with others_are_served(server):
        for _ in range(20):
            costly = 'multipart/form-data; a="' + ";" * 60_000
            status, body = server.request("POST", "/v1/files", upload(), content_type=costly)

    assert (status, "longer than 1024 characters" in error_of(body)) == (400, True)


REFUSED: dict[str, dict[str, Any]] = {
    "a wrong key": {"body": upload(), "token": "mock-revoked"},
    "no form's end": {"body": upload()[:-9]},
    "another extension": {"body": upload(filename="notes.txt")},
    "another purpose": {"body": upload(purpose="none")},
    "not UTF-8": {"body": upload(NOISE + b"\xff")},
    "no purpose": {"body": part("file", NOISE, "a.jsonl") + b"--X--"},
    "a repeated file": {"body": part("file", NOISE, "a.jsonl") * 3 + upload(filename="notes.txt")},
    "a file as purpose": {"body": part("file", b"{}", "a.jsonl") + part("purpose", NOISE, "a") + b"--X--"},
    "another spelling": {"body": part("expires_after", b"5") + upload()},
    "an unknown path": {"body": upload(), "path": "/v1/nowhere"},
    "another method": {"body": upload(), "method": "PUT"},
    "another operation": {"body": upload(), "path": "/v1/embeddings"},
    "a coding": {"body": upload(), "content_encoding": "gzip"},
    "no boundary": {"body": upload(), "content_type": "multipart/form-data"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_upload_leaves_no_file_open(server: AttackedServer, name: str) -> None:
    asked = {"method": "POST", "path": "/v1/files", "content_type": TYPE, **REFUSED[name]}
    before = server.open_files()

    statuses = {server.request(**asked)[0] for _ in range(8)}

    assert statuses <= {400, 401, 404, 405}
    assert files_are_closed(server, before)


def test_a_client_that_disconnects_leaves_no_file_open(server: AttackedServer) -> None:
    before = server.open_files()
    head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nContent-Type: {TYPE}\r\n"

    for _ in range(8):
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(f"{head}Content-Length: 99000000\r\n\r\n".encode() + upload()[:-20])

    assert files_are_closed(server, before)


@pytest.fixture
def full_server() -> Iterator[AttackedServer]:
    """A server whose files may have a megabyte and a half, as on a disk that is nearly full."""
    with attacked_server() as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (3 * MEGABYTE // 2, 3 * MEGABYTE // 2))
        yield running


@pytest.mark.parametrize("size", [2, 20, 120])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_every_client_gets_507_when_the_disk_is_full(full_server: AttackedServer, size: int, is_chunked: bool) -> None:
    body = upload(b"x" * (size * MEGABYTE))
    sent = (body[at : at + MEGABYTE] for at in range(0, len(body), MEGABYTE))
    before = full_server.open_files()

    connection = full_server.connect()
    headers = {"Authorization": "Bearer a", "Content-Type": TYPE}
    connection.request("POST", "/v1/files", sent if is_chunked else body, headers, encode_chunked=is_chunked)
    response = connection.getresponse()
    said = error_of(response.read())
    connection.close()

    assert (response.status, "cannot write to its folder" in said) == (507, True)
    assert full_server.request("POST", "/v1/files", upload(b"{}"), content_type=TYPE)[0] == 200
    assert files_are_closed(full_server, before)


def test_others_are_served_while_uploads_fail_on_a_full_disk(full_server: AttackedServer) -> None:
    body = upload(b"x" * (20 * MEGABYTE))
    before = full_server.open_files()

    with others_are_served(full_server):
        statuses = {full_server.request("POST", "/v1/files", body, content_type=TYPE)[0] for _ in range(6)}

    assert statuses == {507}
    assert files_are_closed(full_server, before)


def test_a_slow_rejected_upload_is_answered_after_it_is_sent(full_server: AttackedServer) -> None:
    """Byte after byte of a client that reads nothing until it has sent all."""
    body = upload(b"x" * (3 * MEGABYTE))
    head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nContent-Type: {TYPE}\r\n"

    with socket.create_connection(("127.0.0.1", full_server.port), timeout=30) as client:
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        for at in range(0, len(body), 30_000):
            client.sendall(body[at : at + 30_000])
        answer = client.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 507 ")
