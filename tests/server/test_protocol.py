"""One connection of the server, on a transport that is a list: heads and their bounds, targets, rejections, timers."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import orjson
import pytest
from builders import make_settings
from uvicorn.server import ServerState

from mockserver.server import process, protocol
from mockserver.server.log_output import Throttle
from mockserver.server.protocol import NoUpgradeProtocol


class Wire(asyncio.Transport):
    """A transport that notes what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.steps: list[str] = []
        self.buffered = 0

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return "close" in self.steps or "abort" in self.steps

    def close(self) -> None:
        self.steps.append("close")

    def abort(self) -> None:
        self.steps.append("abort")

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.steps.append("eof")

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.steps.append("pause")

    def resume_reading(self) -> None:
        self.steps.append("resume")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.7", 5000), "sockname": ("127.0.0.1", 4024)}.get(name, default)


class Server:
    """Makes connections of one server, and notes the requests that reach its application."""

    def __init__(self, **settings: Any) -> None:
        self.scopes: list[Any] = []
        self.state = ServerState()
        self._config = process._config(self._answer, make_settings(**settings))
        self._config.load()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def connect(self) -> tuple[NoUpgradeProtocol, Wire]:
        wire = Wire()
        make = cast(Callable[..., NoUpgradeProtocol], self._config.http_protocol_class)
        made = make(config=self._config, server_state=self.state, app_state={})
        made.connection_made(wire)
        return made, wire


def send(*data: bytes, **settings: Any) -> tuple[Wire, list[Any]]:
    """What a connection answers to some data, and the requests that it was."""

    async def run() -> tuple[Wire, list[Any]]:
        server = Server(**settings)
        connection, wire = server.connect()
        for each in data:
            connection.data_received(each)
            for _ in range(5):
                await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire, server.scopes

    return asyncio.run(run())


def problem(wire: Wire) -> tuple[int, Any]:
    head, _, body = wire.sent.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-type: application/problem+json" in head
    return int(head.split()[1]), orjson.loads(body)


HOST = b"Host: a\r\n"


@pytest.mark.parametrize(("fields", "status"), [(500, 200), (501, 431)])
def test_a_head_has_at_most_500_fields(fields: int, status: int) -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"a:\r\n" * (fields - 1) + b"\r\n"

    wire, scopes = send(head)

    assert int(wire.sent.split()[1]) == status
    assert len(scopes) == (status == 200)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1000, 431)])
def test_a_head_has_a_bounded_size(parts: int, extra: int, status: int) -> None:
    head = b"GET / HTTP/1.1\r\n" + HOST + b"x: " + b"a" * (3900 + extra) + b"\r\n\r\n"
    step = len(head) // parts + 1

    wire, scopes = send(*(head[at : at + step] for at in range(0, len(head), step)), max_head=4096)

    assert int(wire.sent.split()[1]) == status
    assert len(scopes) == (status == 200)
    if status == 431:
        assert problem(wire) == (431, {
            "type": "about:blank", "title": "Request Header Fields Too Large", "status": 431,
            "detail": "The head has more than 4096 bytes (setting --max-head).",
        })  # fmt: skip
        assert "eof" in wire.steps


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a?x=1", "/a", b"x=1"),
        (b"http://a/b?x=1", "/b", b"x=1"),
        (b"http://a", "/", b""),
        (b"http://a?x=/1", "/", b"x=/1"),
        (b"http://a/", "/", b""),
        (b"/http://a/b", "/http://a/b", b""),
    ],
)
def test_a_target_is_a_path_or_a_url(target: bytes, path: str, query: bytes) -> None:
    _, (scope,) = send(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")

    assert (scope["path"], scope["query_string"]) == (path, query)


@pytest.mark.parametrize(
    ("head", "status", "detail"),
    [
        (b"GET a HTTP/1.1\r\n" + HOST + b"\r\n", 400, "Invalid characters in url"),
        (b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "CONNECT is not supported: this is no proxy."),
        (b"CONNECT /a HTTP/1.1\r\n" + HOST + b"\r\n", 400, "CONNECT is not supported: this is no proxy."),
        (b"hello\r\n\r\n", 400, "Invalid method encountered"),
        (b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "The target is neither a path nor a URL."),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: x\r\n\r\n", 400, "Invalid character in Content-Length"),
    ],
)
def test_what_is_no_request_is_a_400_and_the_connection_ends(head: bytes, status: int, detail: str) -> None:
    wire, scopes = send(head, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")

    found, told = problem(wire)
    assert (found, told["title"], told["status"], told["type"]) == (status, "Bad Request", status, "about:blank")
    assert told["detail"] == detail
    assert scopes == [], "what follows is discarded"
    assert wire.sent.count(b"HTTP/1.1 ") == 1


def test_an_invalid_request_is_logged_with_its_client(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "_invalid_requests", Throttle(1, 0))
    send(b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n")
    monkeypatch.setattr(protocol._invalid_requests, "_left_out", 2)
    send(b"CONNECT a:443 HTTP/1.1\r\n" + HOST + b"\r\n")

    said = "invalid HTTP request from 192.0.2.7:5000: CONNECT is not supported: this is no proxy. (400)"
    assert [each.message for each in caplog.records] == [said, f"{said}; 2 more before it"]


@pytest.mark.parametrize(
    ("expect", "version", "status"),
    [(b"100-continue", b"1.1", 200), (b"100-Continue ", b"1.1", 200), (b"x", b"1.1", 417), (b"x", b"1.0", 200)],
)
def test_an_expectation_that_cannot_be_met_is_a_417(expect: bytes, version: bytes, status: int) -> None:
    head = b"POST / HTTP/" + version + b"\r\n" + HOST + b"Expect: " + expect + b"\r\nContent-Length: 1\r\n\r\n"

    wire, _ = send(head, b"x")

    answers = [line.split()[1] for line in wire.sent.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert answers[-1] == b"%d" % status
    assert (b"100" in answers) is (status == 200 and version == b"1.1")


def test_options_of_the_whole_server_are_answered() -> None:
    wire, scopes = send(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n")

    assert wire.sent.startswith(b"HTTP/1.1 20")
    assert scopes == []


def test_an_offer_to_upgrade_is_left_out() -> None:
    offer = b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\nX-A: 1\r\n"
    _, (scope,) = send(b"GET /a HTTP/1.1\r\n" + HOST + offer + b"\r\n")

    assert scope["headers"] == [(b"host", b"a"), (b"connection", b"keep-alive"), (b"x-a", b"1")]


def on_loop(act: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(cast(Any, act()))


@pytest.mark.parametrize(("begun", "steps", "status"), [(b"GET / HT", ["eof"], 408), (b"", ["close"], None)])
def test_a_head_that_does_not_come_is_a_408_and_a_spare_connection_is_closed(
    begun: bytes, steps: list[str], status: int | None
) -> None:
    async def run() -> None:
        connection, wire = Server(head_timeout=2.5).connect()
        if begun:
            connection.data_received(begun)

        connection._end_late_head()

        await asyncio.sleep(0)
        assert wire.steps == steps
        if status is not None:
            assert problem(wire)[0] == status
            assert problem(wire)[1]["detail"] == "No head within 2.5 seconds."
        connection.connection_lost(None)

    on_loop(run)


@pytest.mark.parametrize(("read", "is_cut"), [(16_383, True), (16_384, False)])
def test_a_client_that_reads_less_than_16_kib_in_a_while_is_cut(read: int, is_cut: bool) -> None:
    async def run() -> None:
        connection, wire = Server().connect()
        wire.buffered = 50_000 - read

        connection._look_at_reader(50_000)

        assert (wire.steps == ["abort"]) is is_cut
        assert (connection._reader_timer is None) is is_cut
        connection.connection_lost(None)

    on_loop(run)


@pytest.mark.parametrize(("idle", "closed"), [(2, 1), (15, 1), (16, 2), (31, 2), (32, 3)])
def test_room_is_made_by_the_connections_that_were_idle_for_longest(idle: int, closed: int) -> None:
    async def run() -> None:
        server = Server(max_connections=idle)
        made = [server.connect() for _ in range(idle)]
        for number, (connection, _) in enumerate(made):
            connection._stop_timer()
            connection._active_at = -float(number)  # the last one was idle for longest

        server.connect()

        assert [wire.steps for _, wire in made[::-1]] == [["close"]] * closed + [[]] * (idle - closed)

    on_loop(run)


def test_if_all_connections_are_busy_another_one_is_a_503() -> None:
    async def run() -> None:
        server = Server(max_connections=1)
        busy, _ = server.connect()
        busy.data_received(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n")

        _, wire = server.connect()

        await asyncio.sleep(0)
        status, told = problem(wire)
        assert (status, told["detail"]) == (503, "There are 1 connections (setting --max-connections).")

    on_loop(run)


@pytest.mark.parametrize(
    ("data", "at", "size"),
    [
        (b"a: 1\r\n\r\nbody", 0, 8),
        (b"xxa: 1\r\n\r\nbody", 2, 8),
        (b"a" * 2000, 0, 1024),
        (b"a" * 1020 + b"\r\n\r\nrest", 0, 1024),
        (b"a" * 1021 + b"\r\n\r\nrest", 0, 1024),
        (b"a" * 1019 + b"\r\n\r\nrest", 0, 1023),
    ],
)
def test_a_head_is_parsed_to_its_end_and_no_further(data: bytes, at: int, size: int) -> None:
    assert protocol._head_piece(data, at) == size


def test_the_bounds_of_a_connection() -> None:
    assert (protocol.PIECE, protocol.BODY_PIECE, protocol.READ_AHEAD, protocol.LARGE_HEAD) == (
        1024, 16_384, 65_536, 16_384
    )  # fmt: skip
    assert (protocol.MAX_FIELDS, protocol.LINGER, protocol.LEAST_READ, protocol.CLOSED_SHARE) == (500, 2.0, 16_384, 16)
