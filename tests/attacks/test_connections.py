"""Connections that begin and never go on, that ask for much and read nothing, and heads out of the ordinary."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from attack_server import PROBES, AttackedServer, attacked_server, others_are_served
from waiting import eventually

MEGABYTE = 1024 * 1024
HOST = b"Host: localhost\r\nAuthorization: Bearer attacker\r\n"


@pytest.fixture(scope="module")
def hasty() -> Iterator[AttackedServer]:
    """A server that waits for a second at most."""
    with attacked_server("--head-timeout", "1", "--body-timeout", "1", "--send-timeout", "1") as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[AttackedServer]:
    with attacked_server() as server:
        yield server


def dial(server: AttackedServer, *, receive_buffer: int = 0) -> socket.socket:
    wire = socket.socket()
    if receive_buffer:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    wire.settimeout(30)
    wire.connect(("127.0.0.1", server.port))
    return wire


def read_all(wire: socket.socket) -> bytes:
    """What comes until the connection ends; empty if it was reset."""
    parts = []
    try:
        while part := wire.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"\r\n", b"HTTP/1.1 408 "),
        (b"G", b"HTTP/1.1 408 "),
        (b"GET /user", b"HTTP/1.1 408 "),
        (b"GET /user HTTP/1.1\r\nX: y\r\n", b"HTTP/1.1 408 "),
        (b"GET /health HTTP/1.1\r\n\r\nGET /user HTTP/1.1\r\nX", b"HTTP/1.1 200 "),
    ],
)
def test_a_request_head_that_never_arrives_times_out(hasty: AttackedServer, sent: bytes, answer: bytes) -> None:
    with dial(hasty) as wire:
        wire.sendall(sent)

        received = read_all(wire)

    assert received.startswith(answer)
    assert (b" 408 " in received) == (sent != b"")


@pytest.mark.parametrize("drip", [b"X", b"\r\n", b"a: b\r\n"])
def test_a_request_head_that_arrives_too_slowly_times_out(hasty: AttackedServer, drip: bytes) -> None:
    with dial(hasty) as wire:
        wire.sendall(b"" if drip == b"\r\n" else b"GET /user HTTP/1.1\r\n")
        wire.settimeout(0.1)
        received = b""
        for _ in range(300):  # each waits for an answer, so a server that goes on waiting is waited for 30 s
            try:
                wire.sendall(drip)
                received += (part := wire.recv(1000))
            except TimeoutError:
                continue
            except ConnectionError:
                break
            if not part:
                break
        else:
            pytest.fail("the connection stayed open")

    assert received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", [b"/health", b"/user", b"/v1/files", b"/__admin/clock"])
@pytest.mark.parametrize("framing", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_arrives_too_slowly_times_out(hasty: AttackedServer, path: bytes, framing: bytes) -> None:
    with dial(hasty) as wire:
        wire.sendall(b"POST " + path + b" HTTP/1.1\r\n" + HOST + framing + b"\r\n\r\n")
        wire.settimeout(0.1)
        for _ in range(300):
            try:
                wire.sendall(b"1\r\nx\r\n")
                if not wire.recv(1000):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        else:
            pytest.fail("the connection stayed open")


def test_many_large_heads_cost_little_memory(plain: AttackedServer) -> None:
    before = plain.resident()
    with ExitStack() as stack, others_are_served(plain):
        for _ in range(200):
            wire = stack.enter_context(dial(plain))
            try:
                wire.sendall(b"GET /user HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 500_000)
            except ConnectionError:
                continue

        assert plain.resident() - before < 40 * MEGABYTE


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n\r\n", b"GET /user HTTP/1.1\r\n" + HOST + b"\r\n"])
def test_pipelined_requests_use_memory_in_proportion_to_their_size(plain: AttackedServer, request_: bytes) -> None:
    before = plain.resident()
    with ExitStack() as stack, others_are_served(plain):
        wires = [stack.enter_context(dial(plain, receive_buffer=4096)) for _ in range(20)]
        for wire in wires:
            wire.settimeout(0.2)
            try:
                wire.sendall(request_ * (MEGABYTE // len(request_)))
            except TimeoutError:  # it takes no more
                continue

        assert plain.resident() - before < 4 * 20 * MEGABYTE


def test_a_client_that_reads_nothing_is_disconnected_and_uses_little_memory(hasty: AttackedServer) -> None:
    prompts = json.dumps({"prompts": ["hello"] * 1000}).encode()
    with attacked_server("--send-timeout", "1", "--page-weight", "realistic", "--progression", "immediate") as server:
        id_ = json.loads(server.request("POST", "/ai/batches", prompts)[1])["id"]
        url = json.loads(server.request("GET", f"/ai/batches?id={id_}")[1])["url"]
        path = url.partition(f":{server.port}")[2].encode()
        before, files = server.resident(), server.open_files()
        with ExitStack() as stack, others_are_served(server):
            wires = [stack.enter_context(dial(server, receive_buffer=4096)) for _ in range(10)]
            for wire in wires:
                wire.sendall(b"GET " + path + b"?format=ndjson HTTP/1.1\r\n" + HOST + b"\r\n")
            eventually(lambda: server.open_files() <= files + PROBES)

            assert server.resident() - before < 60 * MEGABYTE


def test_idle_connections_make_room_for_new_ones() -> None:
    with attacked_server("--max-connections", "50") as server, ExitStack() as stack:
        wires = [stack.enter_context(dial(server)) for _ in range(200)]

        assert server.request("GET", "/user")[0] == 200
        assert server.open_files() < 120
        wires[-1].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wires[-1].recv(13) == b"HTTP/1.1 200 "
        assert wires[0].recv(1) == b""


OFFERS = [
    b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: Upgrade\r\nConnection: close\r\nUpgrade: h2c\r\n",
    b"Connection: Upgrade,close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    b"Upgrade: h2c, websocket\r\nConnection: close , uPgRaDe\r\nHTTP2-Settings: AAMAAABkAAQ\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.0\r\n",
    b"Connection: upgrade\r\n",
    b"Upgrade: h2c\r\n",
]
BODIES = [
    (b"GET /user", b"", 200),
    (b"POST /ai/batches", b'Content-Length: 21\r\n\r\n{"prompts":["hello"]}', 202),
    (b"POST /ai/batches", b'Transfer-Encoding: chunked\r\n\r\n15\r\n{"prompts":["hello"]}\r\n0\r\n\r\n', 202),
]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize(("line", "body", "status"), BODIES)
@pytest.mark.parametrize("apart", [True, False])
def test_a_request_to_upgrade_gets_the_plain_response(  # noqa: PLR0917  one for each parameter
    plain: AttackedServer, offer: bytes, version: bytes, line: bytes, body: bytes, status: int, apart: bool
) -> None:
    head = line + b" HTTP/" + version + b"\r\n" + HOST + b"Content-Type: application/json\r\n" + offer
    whole = head + (body or b"\r\n")
    is_last = version == b"1.0" or b"close" in offer
    last = b"" if is_last else b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with dial(plain) as wire:
        for part in (whole[: len(head) - 3], whole[len(head) - 3 :] + last) if apart else (whole + last,):
            wire.sendall(part)

        received = read_all(wire)

    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert received.count(b"HTTP/1.1 ") == (1 if is_last else 2)


@pytest.mark.parametrize(
    ("expectation", "version", "beginning"),
    [
        (b"100-continue", b"1.1", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 "),
        (b"100-Continue ", b"1.1", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 "),
        (b"100-continue", b"1.0", b"HTTP/1.1 202 "),
        (b"something-else", b"1.1", b"HTTP/1.1 417 "),
        (b"100-continue, something-else", b"1.1", b"HTTP/1.1 417 "),
        (b"something-else", b"1.0", b"HTTP/1.1 202 "),
    ],
)
def test_an_expect_header_is_honoured_or_rejected(
    plain: AttackedServer, expectation: bytes, version: bytes, beginning: bytes
) -> None:
    body = b'{"prompts":["hello"]}'
    head = b"POST /ai/batches HTTP/" + version + b"\r\n" + HOST + b"Content-Type: application/json\r\n"
    with dial(plain) as wire:
        wire.sendall(head + b"Connection: close\r\nContent-Length: 21\r\nExpect: " + expectation + b"\r\n\r\n")
        if beginning.startswith(b"HTTP/1.1 100"):
            assert wire.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
            beginning = beginning[25:]
        if b" 417 " not in beginning:
            wire.sendall(body)

        assert read_all(wire).startswith(beginning)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"OPTIONS * HTTP/1.1", 204),
        (b"GET * HTTP/1.1", 400),
        (b"GET http://elsewhere.example/health HTTP/1.1", 200),
        (b"GET http://elsewhere.example:80/user?a=b HTTP/1.1", 200),
        (b"GET http://elsewhere.example HTTP/1.1", 200),
        (b"GET http://elsewhere.example?a HTTP/1.1", 200),
        (b"CONNECT elsewhere.example:443 HTTP/1.1", 400),
        (b"CONNECT /user HTTP/1.1", 400),
        (b"CONNECT http://elsewhere.example/user HTTP/1.1", 400),
        (b"CONNECT / HTTP/1.1\r\nUpgrade: h2c", 400),
        (b"TRACE /user HTTP/1.1", 405),
        (b"FOO /user HTTP/1.1", 400),
        (b"GET //user HTTP/1.1", 404),
        (b"GET /\xc3\xa9 HTTP/1.1", 400),
        (b"GET /user HTTP/9.9", 400),
    ],
)
def test_unusual_targets_and_methods_are_answered(plain: AttackedServer, line: bytes, status: int) -> None:
    with dial(plain) as wire:
        wire.sendall(line + b"\r\n" + HOST + b"Connection: close\r\nX-Secret: reflected\r\n\r\n")

        received = read_all(wire)

    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b"reflected" not in received


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"GET /user\x00 HTTP/1.1\r\n\r\n", b"\xff" * 1000])
def test_the_log_names_the_client_and_the_reason_of_an_invalid_http_request(sent: bytes) -> None:
    with attacked_server() as server:
        with dial(server) as wire:
            client = "{}:{}".format(*wire.getsockname())
            wire.sendall(sent)

            assert read_all(wire).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        server.stop()
        assert server.process.stderr is not None
        [line] = server.process.stderr.read().splitlines()

    assert line.startswith(f"mockserver: WARNING: invalid HTTP request from {client}: Invalid ")
