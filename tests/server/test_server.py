"""The server in a thread, over real sockets, in front of a small app of the tests' own."""

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from mockserver.errors import SpecError
from mockserver.server import process as server_module
from mockserver.server.process import EventDrivenServer, ThreadedServer
from mockserver.settings.table import Settings
from mockserver.web.app import MockServer, create_app

FREE = Settings(port=0)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """`/slow` starts to answer and never ends; everything else says hello."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    if scope["path"] == "/slow":
        await send({"type": "http.response.body", "body": b"h", "more_body": True})
        await asyncio.Event().wait()
    await send({"type": "http.response.body", "body": b"hello"})


class Gate:
    """An app that holds its answer back until the test opens it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.opened = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.opened.set)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.entered.set()
        await self.opened.wait()
        await hello(scope, receive, send)


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    target = urlsplit(url)
    assert target.hostname is not None
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def get(connection: http.client.HTTPConnection, path: str = "/") -> tuple[int, bytes]:
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read()


def test_a_threaded_server_answers_on_a_free_port_and_stops() -> None:
    with ThreadedServer(FREE, app=hello) as server, connected(server.url) as connection:
        assert get(connection) == (200, b"hello")
        assert server.url == f"http://127.0.0.1:{server.port}"
        inner = server._server
        assert inner is not None
        assert all(each.is_serving() for each in inner.servers)

    assert not any(each.is_serving() for each in inner.servers)  # its port may be another process's by now


def test_the_port_is_free_again_at_once_and_an_idle_connection_does_not_hold_it() -> None:
    with ThreadedServer(FREE, app=hello) as server, connected(server.url) as connection:
        get(connection)
        server.stop()

        with ThreadedServer(Settings(port=server.port), app=hello) as second:
            assert second.port == server.port


def test_stopping_twice_is_once_and_starting_twice_is_refused() -> None:
    with ThreadedServer(FREE, app=hello) as server:
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        server.stop()
        server.stop()


def test_two_servers_run_side_by_side() -> None:
    with ThreadedServer(FREE, app=hello) as one, ThreadedServer(FREE, app=hello) as two:
        assert one.port != two.port


def test_a_threaded_server_has_the_engine_it_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def create(settings: Settings) -> MockServer:
        made.append(create_app(settings))
        return made[0]

    monkeypatch.setattr(server_module, "create_app", create)

    with ThreadedServer(FREE) as server, connected(server.url) as connection:
        assert server.engine is made[0].engine
        assert get(connection, "/health") == (200, b'{"status":"ok"}')


def test_a_server_given_an_app_has_no_engine() -> None:
    with ThreadedServer(FREE, app=hello) as server, pytest.raises(RuntimeError, match="no engine"):
        _ = server.engine


def test_start_raises_errors_of_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(settings: Settings) -> None:
        raise SpecError("openapi.yaml: is no document")

    monkeypatch.setattr(server_module, "create_app", refuse)

    with pytest.raises(SpecError, match="is no document"):
        ThreadedServer(FREE).start()


def test_start_raises_errors_of_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: EventDrivenServer, sockets: object = None) -> None:
        raise LookupError("no loop today")

    monkeypatch.setattr(EventDrivenServer, "startup", fail)

    with pytest.raises(LookupError, match="no loop today"):
        ThreadedServer(FREE, app=hello).start()


def test_an_error_that_ends_the_thread_later_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda caught: seen.append(caught.exc_value))

    async def fail(self: EventDrivenServer) -> None:
        raise LookupError("the loop broke")

    monkeypatch.setattr(EventDrivenServer, "main_loop", fail)

    with ThreadedServer(FREE, app=hello):
        pass

    assert [str(error) for error in seen] == ["the loop broke"]


def test_a_request_that_runs_is_answered_before_the_server_stops() -> None:
    gate = Gate()
    server = ThreadedServer(FREE, app=gate).start()
    with connected(server.url) as connection:
        connection.request("GET", "/")
        assert gate.entered.wait(20)

        stopping = threading.Thread(target=server.stop)
        stopping.start()
        gate.open()

        assert connection.getresponse().read() == b"hello"
        stopping.join(20)
        assert not stopping.is_alive()


def test_a_request_that_does_not_end_is_cut_when_its_grace_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "GRACE", 0.01)
    server = ThreadedServer(FREE, app=hello).start()
    with connected(server.url) as connection:
        connection.request("GET", "/slow")
        response = connection.getresponse()

        server.stop()

        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
    assert caplog.records == []


def test_the_server_does_not_wait_for_requests_of_disconnected_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "GRACE", 3600)
    server = ThreadedServer(FREE, app=hello).start()
    with connected(server.url) as connection:
        connection.request("GET", "/slow")
        connection.getresponse().close()

    server.stop()


def test_an_error_of_the_app_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a bug")

    with ThreadedServer(FREE, app=broken) as server, connected(server.url) as connection:
        assert get(connection)[0] == 500

    assert "a bug" in caplog.text


def test_a_response_has_a_date_and_no_server_header() -> None:
    with ThreadedServer(FREE, app=hello) as server, connected(server.url) as connection:
        connection.request("GET", "/")
        headers = connection.getresponse().headers

    assert headers["date"].endswith("GMT")
    assert headers["server"] is None


def test_the_date_header_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TICK", 0.001)

    async def tick(running: EventDrivenServer) -> list[int]:
        ticks: list[int] = []

        async def on_tick(counter: int) -> bool:
            ticks.append(counter)
            running._stopping.set()
            return False

        running.on_tick = on_tick  # type: ignore[method-assign]  # in place of the engine's own, or the server's
        await running.main_loop()
        return ticks

    assert asyncio.run(tick(EventDrivenServer(hello, FREE, when_ready=lambda: None))) == [0]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_an_ipv6_host_is_served_and_shown_in_brackets(host: str) -> None:
    with ThreadedServer(Settings(host=host, port=0), app=hello) as server, connected(server.url) as connection:
        assert server.url == f"http://[::1]:{server.port}"
        assert get(connection) == (200, b"hello")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the method and the body."""
    body = scope["method"].encode()
    more = True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    ("more", "body"),
    [("Content-Length: 5", b"hello"), ("Transfer-Encoding: chunked", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")],
)
@pytest.mark.parametrize("offer", ["h2c", "websocket"])
@pytest.mark.parametrize("apart", [True, False])
def test_a_request_to_upgrade_is_answered_without_upgrading(
    more: str, body: bytes, offer: str, apart: bool, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {offer}\r\n{more}\r\n\r\n"
    parts = [head.encode(), body] if apart else [head.encode() + body]
    server = ThreadedServer(FREE, app=echo)
    with server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for _ in range(2):
            for part in parts:
                connection.sendall(part)
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert (response.status, response.read()) == (200, b"POSThello")
            response.close()
    assert caplog.records == []


def test_connect_is_always_rejected() -> None:
    server = ThreadedServer(FREE, app=echo)
    with server, socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")

        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
