"""Requests to the upstream: small ones that are written in one piece, and all others, which are streamed."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from builders import make_settings
from proxies import Servers
from upstreams import Connection, RawUpstream, answers, raw_upstream

from mockserver.contract.proxy import ProxyServer
from mockserver.contract.upstream import Upstream, parse_upstream
from mockserver.engine.build import build_engine

OK = (b"HTTP/1.1 200 OK", b"Content-Type: application/json")
TOKEN = {"Authorization": "Bearer t"}
SMALL, LARGE = b'{"prompts":["a"]}', b'{"prompts":["%b"]}' % (b"a" * 100_000)
Message = dict[str, Any]


@pytest.fixture
def plain(servers: Servers) -> RawUpstream:
    """An upstream that answers `{}`."""
    return servers.enter_context(raw_upstream(answers(*OK, b"Content-Length: 2", body=b"{}")))


def test_small_and_large_requests_look_the_same_and_share_a_connection(servers: Servers, plain: RawUpstream) -> None:
    url = f"{servers.proxy(plain.url).url}/ai/batches?a=%C3%A9"
    headers = {**TOKEN, "Content-Type": "application/json", "X-Mixed-Case": "kept\tas it is", "X-Empty": ""}
    with httpx.Client(headers=headers) as client:
        for body in (SMALL, LARGE, SMALL):
            assert client.post(url, content=body).json() == {}

    first, second, third = plain.requests
    assert [each.body for each in plain.requests] == [SMALL, LARGE, SMALL]
    assert first.head.split(b"\r\n")[0] == second.head.split(b"\r\n")[0] == b"POST /ai/batches?a=%C3%A9 HTTP/1.1"
    assert dict(first.headers) == dict(third.headers)
    assert dict(second.headers) == {**dict(first.headers), b"content-length": b"%d" % len(LARGE)}
    assert first.wire is second.wire is third.wire


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_bytes_beyond_ascii_in_a_header_are_passed_on(servers: Servers, plain: RawUpstream, body: bytes) -> None:
    value = "grün".encode()

    httpx.post(f"{servers.proxy(plain.url).url}/ai/batches", content=body, headers=[(b"x-name", value)])

    assert dict(plain.requests[0].headers)[b"x-name"] == value


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_answers_before_the_answer_are_dropped(servers: Servers, body: bytes) -> None:
    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 102 Processing")
        connection.send(b"HTTP/1.1 103 Early Hints", b"Link: </a>")
        connection.send(*OK, b"Content-Length: 2", body=b"{}")

    upstream = servers.enter_context(raw_upstream(answer))

    got = httpx.post(f"{servers.proxy(upstream.url).url}/ai/batches", content=body, headers=TOKEN)

    assert (got.status_code, got.json()) == (200, {})
    assert "link" not in got.headers


def test_a_connection_that_the_upstream_closes_is_not_used_again(servers: Servers) -> None:
    upstream = servers.enter_context(raw_upstream(answers(*OK, b"Content-Length: 2", b"Connection: close", body=b"{}")))
    with httpx.Client(base_url=servers.proxy(upstream.url).url, headers=TOKEN) as client:
        seen = [client.get("/user").json() for _ in range(3)]

    assert seen == [{}] * 3
    assert len({id(each.wire) for each in upstream.requests}) == 3


def test_an_answer_without_a_length_ends_with_its_connection(servers: Servers) -> None:
    def answer(connection: Connection) -> None:
        connection.send(*OK, b"Connection: close", body=b'{"a":')
        connection.wire.sendall(b"1}")
        connection.wire.close()

    upstream = servers.enter_context(raw_upstream(answer))

    assert httpx.get(f"{servers.proxy(upstream.url).url}/user", headers=TOKEN).json() == {"a": 1}


# Under another ASGI server


def run_app(url: str, use: Callable[[ProxyServer], Awaitable[None]]) -> None:
    """A proxy in front of that URL, as an ASGI application without mockserver's server."""

    async def run() -> None:
        settings = make_settings()
        app = ProxyServer(build_engine(settings), settings, Upstream(parse_upstream(url), timeout=20))
        async with app.running():
            await use(app)

    asyncio.run(run())


def scope_of(*headers: tuple[bytes, bytes]) -> Message:
    return {
        "type": "http", "method": "GET", "path": "/user", "raw_path": b"/user", "query_string": b"", "scheme": "http",
        "http_version": "1.1", "headers": [(b"authorization", b"Bearer t"), *headers], "server": ("127.0.0.1", 80),
    }  # fmt: skip


def test_a_client_of_another_server_that_leaves_ends_the_request(servers: Servers) -> None:
    ended = threading.Event()

    def answer(connection: Connection) -> None:
        connection.wire.recv(1)  # returns when the proxy closes
        ended.set()

    upstream = servers.enter_context(raw_upstream(answer))
    sent: list[Message] = []

    async def leave(app: ProxyServer) -> None:
        async def receive() -> Message:
            assert await asyncio.to_thread(upstream.came.acquire, timeout=20)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope_of(), receive, send)

    run_app(upstream.url, leave)

    assert ended.wait(20)
    assert sent == []


def test_a_client_of_another_server_gets_the_answer_or_an_error_if_it_breaks_off(servers: Servers) -> None:
    def answer(connection: Connection) -> None:
        if connection.head.startswith(b"HEAD"):
            connection.send(*OK, b"Content-Length: 7")
            return
        connection.send(b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked")
        connection.wire.sendall(b"1\r\na\r\n")
        connection.wire.close()

    upstream = servers.enter_context(raw_upstream(answer))
    sent: list[Message] = []

    async def ask(app: ProxyServer) -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            return {}

        async def send(message: Any) -> None:
            sent.append(message)

        await app({**scope_of(), "method": "HEAD"}, receive, send)
        with pytest.raises(ConnectionResetError):
            await app(scope_of(), receive, send)

    run_app(upstream.url, ask)

    assert [each.get("status") or each["body"] for each in sent] == [200, b"", 200, b"a"]


def test_a_header_that_no_http_allows_is_not_sent(plain: RawUpstream) -> None:
    async def ask(app: ProxyServer) -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            return {}

        async def send(message: Any) -> None:
            raise AssertionError(message)

        with pytest.raises(ValueError, match="control character"):
            await app(scope_of((b"x-a", b"1\r\nx-b: 2")), receive, send)

    run_app(plain.url, ask)

    assert plain.requests == []
