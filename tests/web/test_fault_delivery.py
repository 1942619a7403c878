"""Disturbed replies over a real socket, byte for byte, and what becomes of the connection and of others."""

import http.client
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from faulty import FaultyEngine, faulty_server
from waiting import eventually

from mockserver.http import DeliveryFaultKind, Request, Response
from mockserver.server import process as server_module
from mockserver.server import protocol as protocol_module
from mockserver.server.process import ThreadedServer
from mockserver.web.fault_delivery import NO_SIZE, PERFORMERS

ASKED = b"%b %b HTTP/1.1\r\nHost: mock.example\r\nAuthorization: Bearer test\r\n\r\n"
STREAM = (b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n")
FOREVER = {"type": "timeout"}


@contextmanager
def dialled(server: ThreadedServer, path: str = "/user", method: str = "GET") -> Iterator[socket.socket]:
    """A connection on which a request was sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(ASKED % (method.encode(), path.encode()))
        yield wire


def everything(wire: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    return b"".join(iter(lambda: wire.recv(65536), b""))


def said(*faults: dict[str, Any] | None, path: str = "/user", method: str = "GET") -> bytes:
    """What a client reads until the connection is closed; then another client is answered as ever."""
    with faulty_server(*faults) as (server, engine):
        engine.streams["/stream"] = STREAM
        with dialled(server, path, method) as wire:
            received = everything(wire)
        assert status_of(server) == 200
    return received


def status_of(server: ThreadedServer, path: str = "/user") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers={"Authorization": "Bearer test"})
    status = connection.getresponse().status
    connection.close()
    return status


def read_reply(wire: socket.socket) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(wire)
    response.begin()
    return response.status, response.read()


def head_and_body(received: bytes) -> tuple[bytes, bytes]:
    head, _, body = received.partition(b"\r\n\r\n")
    return head, body


@pytest.fixture
def whole() -> bytes:
    with faulty_server() as (server, _), dialled(server) as wire:
        return read_reply(wire)[1]


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_every_kind_of_delivery_fault_is_performed() -> None:
    assert set(PERFORMERS) == set(DeliveryFaultKind)


def test_an_empty_reply_is_an_end_without_a_byte() -> None:
    assert said({"type": "empty"}) == b""


def test_a_reset_connection_is_reset() -> None:
    with pytest.raises(ConnectionResetError):
        said({"type": "reset"})


@pytest.mark.parametrize("path", ["/user", "/stream"])
def test_faults_before_the_response_apply_to_streams_too(path: str) -> None:
    assert said({"type": "empty"}, path=path) == b""


def test_a_cut_body_keeps_the_length_of_the_whole(whole: bytes) -> None:
    head, body = head_and_body(said({"type": "cut", "after": 5}))

    assert b"content-length: %d" % len(whole) in head
    assert body == whole[:5]


def test_a_share_of_a_body_is_cut_off(whole: bytes) -> None:
    assert head_and_body(said({"type": "cut", "share": 0.5}))[1] == whole[: len(whole) // 2]


@pytest.mark.parametrize(
    ("cut", "wanted"),
    [
        ({"after": 0}, b""),
        ({"after": 12}, b"9\r\ndata: 1\n\n\r\n3\r\ndat\r\n"),
        ({"after": 1000}, b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\ne\r\ndata: [DONE]\n\n\r\n"),
        ({"share": 0.5}, b"9\r\ndata: 1\n\n\r\n"),
    ],
)
def test_a_stream_is_cut_before_its_last_chunk(cut: dict[str, Any], wanted: bytes) -> None:
    assert head_and_body(said({"type": "cut", **cut}, path="/stream"))[1] == wanted


def test_a_malformed_chunk_follows_half_of_the_body(whole: bytes) -> None:
    head, body = head_and_body(said({"type": "malformed_chunk"}))

    half = whole[: len(whole) // 2]
    assert b"content-length" not in head
    assert b"transfer-encoding: chunked" in head
    assert body == b"%x\r\n%b\r\n%b" % (len(half), half, NO_SIZE)


def test_a_malformed_chunk_follows_the_first_part_of_a_stream() -> None:
    body = head_and_body(said({"type": "malformed_chunk"}, path="/stream"))[1]

    assert body == b"9\r\ndata: 1\n\n\r\n" + NO_SIZE


@pytest.mark.parametrize("fault", [{"type": "malformed_chunk"}, {"type": "cut", "after": 3}])
def test_a_head_has_no_body_to_break(fault: dict[str, Any]) -> None:
    head, body = head_and_body(said(fault, method="HEAD"))

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b""


def test_garbage_in_place_of_a_response_is_not_http() -> None:
    received = said({"type": "garbage", "size": 300, "instead_of": "reply"})

    assert len(received) == 300
    assert received.startswith(b"\xff")


def test_garbage_in_place_of_a_body_is_framed_and_the_connection_stays_open() -> None:
    with faulty_server({"type": "garbage", "size": 300}) as (server, _), dialled(server) as wire:
        status, body = read_reply(wire)
        wire.sendall(ASKED % (b"GET", b"/user"))

        assert (status, len(body), body[:1]) == (200, 300, b"\xff")
        assert read_reply(wire)[0] == 200


@pytest.mark.parametrize("pieces", [1, 3, 10, 1000])
def test_a_trickled_response_is_complete_and_the_connection_stays_open(pieces: int, whole: bytes) -> None:
    trickle = {"type": "trickle", "seconds": 0.05, "pieces": pieces}
    with faulty_server(trickle, trickle) as (server, engine), dialled(server) as wire:
        engine.streams["/stream"] = STREAM
        began = time.monotonic()
        assert read_reply(wire) == (200, whole)
        assert time.monotonic() - began >= 0.04
        wire.sendall(ASKED % (b"GET", b"/stream"))
        assert read_reply(wire) == (200, b"".join(STREAM))
        wire.sendall(ASKED % (b"GET", b"/user"))
        assert read_reply(wire)[0] == 200


def test_the_head_of_a_trickled_response_arrives_before_its_body() -> None:
    with faulty_server({"type": "trickle", "seconds": 600, "pieces": 2}) as (server, _), dialled(server) as wire:
        response = http.client.HTTPResponse(wire)
        response.begin()

        assert response.status == 200


def test_a_delayed_response_is_complete_and_the_connection_stays_open(whole: bytes) -> None:
    with faulty_server({"type": "latency", "seconds": 0.05}) as (server, _), dialled(server) as wire:
        began = time.monotonic()
        assert read_reply(wire) == (200, whole)
        assert time.monotonic() - began >= 0.04
        wire.sendall(ASKED % (b"GET", b"/user"))
        assert read_reply(wire) == (200, whole)


def test_a_timeout_closes_the_connection_when_its_time_is_over() -> None:
    assert said({"type": "timeout", "seconds": 0.02}) == b""


def test_others_are_answered_while_many_hang() -> None:
    with faulty_server(*[FOREVER] * 50) as (server, engine):
        hanging = [dialled(server) for _ in range(50)]
        wires = [each.__enter__() for each in hanging]
        eventually(lambda: len(engine.seen) == 50)

        assert [status_of(server, path) for path in ("/user", "/health", "/__admin/version")] == [200] * 3

        for wire in wires:
            wire.setblocking(False)
            with pytest.raises(BlockingIOError):
                wire.recv(1)
            wire.close()


def test_a_delayed_response_ends_when_the_client_disconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    original = protocol_module.NoUpgradeProtocol.connection_lost

    def note(self: Any, error: Exception | None) -> None:
        original(self, error)
        ended.append("lost")

    monkeypatch.setattr(protocol_module.NoUpgradeProtocol, "connection_lost", note)
    waits = ({"type": "latency", "seconds": 600}, {"type": "trickle", "seconds": 600, "pieces": 1}, FOREVER)
    with faulty_server(*waits) as (server, engine):
        for n in range(3):
            with dialled(server):
                eventually(partial(engine.has_seen, n + 1))
        eventually(lambda: len(ended) == 3)
        tasks = server._server.server_state.tasks  # type: ignore[union-attr]  # it is there
        eventually(lambda: not tasks)


@pytest.mark.parametrize(
    "fault",
    [FOREVER, {"type": "latency", "seconds": 600}, {"type": "trickle", "seconds": 600, "pieces": 3}],
    ids=lambda fault: fault["type"],
)
def test_a_stopping_server_does_not_wait_for_hanging_responses(
    fault: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "GRACE", 3600)
    with faulty_server(*[fault] * 3) as (server, engine):
        engine.streams["/stream"] = STREAM
        with dialled(server), dialled(server, "/stream"), dialled(server) as wire:
            eventually(lambda: len(engine.seen) == 3)

            stopping = threading.Thread(target=server.stop)
            stopping.start()
            stopping.join(20)

            assert not stopping.is_alive()
            with pytest.raises((ConnectionResetError, http.client.HTTPException)):
                read_reply(wire)


class Held(FaultyEngine):
    """An engine that works until the test lets it go on."""

    def __init__(self, *faults: dict[str, Any] | None) -> None:
        super().__init__(*faults)
        self.entered, self.released = threading.Event(), threading.Event()

    def is_slow(self, request: Any) -> bool:
        return True

    def handle(self, request: Any, *prepared: Any) -> Any:
        self.entered.set()
        assert self.released.wait(20)
        return super().handle(request, *prepared)


def test_a_response_does_not_begin_to_hang_while_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "GRACE", 3600)
    monkeypatch.setattr("faulty.FaultyEngine", Held)
    with faulty_server(FOREVER) as (server, engine), dialled(server) as wire:
        assert isinstance(engine, Held)
        assert engine.entered.wait(20)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        eventually(lambda: has_begun_to_stop(server))
        engine.released.set()
        stopping.join(20)

        assert not stopping.is_alive()
        assert wire.recv(1) == b""


def has_begun_to_stop(server: ThreadedServer) -> bool:
    """Whether it listens no more. The port says nothing: it is free then, and any process may listen on it."""
    assert server._server is not None
    return not any(each.is_serving() for each in server._server.servers)


@pytest.mark.parametrize(
    "fault",
    [{"type": "empty"}, {"type": "reset"}, {"type": "cut", "after": 3}, {"type": "garbage", "instead_of": "reply"}],
    ids=lambda fault: fault["type"],
)
def test_a_pipelined_response_before_a_broken_one_is_complete(fault: dict[str, Any], whole: bytes) -> None:
    with faulty_server(None, fault) as (server, engine), dialled(server) as wire:
        wire.sendall(ASKED % (b"GET", b"/user") * 2)

        assert read_reply(wire)[1] == whole
        eventually(lambda: len(engine.seen) == 2)
        with pytest.raises((ConnectionResetError, http.client.HTTPException)):
            read_reply(wire)
        assert len(engine.seen) == 2, "what was pipelined behind the broken reply is not answered"


def test_a_broken_response_affects_no_other_connection() -> None:
    with faulty_server(None, {"type": "reset"}) as (server, _), dialled(server) as wire:
        assert read_reply(wire)[0] == 200
        with dialled(server) as other, pytest.raises(ConnectionResetError):
            everything(other)
        wire.sendall(ASKED % (b"GET", b"/user"))
        assert read_reply(wire)[0] == 200


def test_a_fault_waits_first_and_breaks_then() -> None:
    with faulty_server() as (server, engine):
        plain = engine.handle

        def late(request: Request, *prepared: Any) -> Response:
            return plain(request, *prepared)._replace(delay=0.05)

        engine.handle = late  # type: ignore[method-assign]  # in place of the engine's own, or the server's
        engine.faults = [{"type": "empty"}]
        began = time.monotonic()
        with dialled(server) as wire:
            assert everything(wire) == b""
        assert time.monotonic() - began >= 0.04


def test_a_broken_stream_is_not_made_any_further() -> None:
    made: list[int] = []

    def stream() -> Iterator[bytes]:
        for n in range(100):
            made.append(n)
            yield b"x" * 10

    with faulty_server({"type": "cut", "after": 15}) as (server, engine):
        plain = engine.handle
        engine.handle = lambda *given: plain(*given)._replace(body=stream())  # type: ignore[method-assign]  # in place of the engine's own, or the server's
        with dialled(server) as wire:
            everything(wire)

    assert made[:1] == [0]
    assert len(made) <= 2


def test_a_stream_that_is_never_started_is_closed() -> None:
    stream = (pytest.fail("a part was made") for _ in range(1))
    with faulty_server({"type": "empty"}) as (server, engine):
        plain = engine.handle
        engine.handle = lambda *given: plain(*given)._replace(body=stream)  # type: ignore[method-assign]  # in place of the engine's own, or the server's
        with dialled(server) as wire:
            assert everything(wire) == b""

    assert next(stream, "closed") == "closed"


def test_an_unregistered_status_is_sent_unchanged() -> None:
    with faulty_server({"type": "status", "status": 499}) as (server, _):
        assert status_of(server) == 499
