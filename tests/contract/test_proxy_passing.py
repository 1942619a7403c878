"""What passes through the proxy: headers of one connection, streams both ways, and upstreams that misbehave."""

import http.client
import json
import resource
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from proxies import RunningProxy, Servers
from receiver import refusing_port
from upstreams import Connection, RawUpstream, answers, raw_upstream
from waiting import eventually

from mockserver.contract.upstream import parse_upstream
from mockserver.errors import SettingsError

OK = (b"HTTP/1.1 200 OK", b"Content-Type: application/json")
TOKEN = {"Authorization": "Bearer t"}
MEGABYTE = 1024 * 1024


@pytest.fixture
def plain(servers: Servers) -> RawUpstream:
    """An upstream that answers `{}`."""
    return servers.enter_context(raw_upstream(answers(*OK, b"Content-Length: 2", body=b"{}")))


def raw_exchange(port: int, head: bytes, body: bytes = b"") -> bytes:
    """What comes back until the server closes, for a request with `Connection: close`."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body)
        parts = []
        while part := wire.recv(65536):
            parts.append(part)
    return b"".join(parts)


def last_headers(upstream: RawUpstream) -> dict[bytes, bytes]:
    return dict(upstream.requests[-1].headers)


# Heads


def test_headers_of_one_connection_are_not_passed_on(servers: Servers, plain: RawUpstream) -> None:
    proxy = servers.proxy(plain.url)

    raw_exchange(
        proxy.port,
        b"GET /user HTTP/1.1\nHost: proxy.example\nConnection: close, X-Hop\nX-Hop: 1\nKeep-Alive: timeout=5"
        b"\nTE: trailers\nProxy-Authorization: Basic eDp5\nProxy-Connection: keep-alive\nUpgrade: h2c\nX-Kept: yes"
        b"\nCookie: a=b\nX-Mock-Sandbox: mine\nX-Mock-Admin-Token: secret",
    )

    sent = last_headers(plain)
    assert sent.keys() == {b"host", b"x-kept", b"cookie", b"via"}
    assert sent[b"host"] == plain.url.removeprefix("http://").encode()
    assert sent[b"via"].startswith(b"1.1 mockserver-")


def test_headers_of_the_upstreams_connection_are_not_passed_back_and_repeated_ones_are(servers: Servers) -> None:
    head = (*OK, b"Content-Length: 2", b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"Keep-Alive: timeout=5",
            b"Proxy-Authenticate: Basic", b"Set-Cookie: a=1", b"Set-Cookie: b=2",
            b"Date: Thu, 01 Jan 2026 00:00:00 GMT",
            b"Server: them")  # fmt: skip
    upstream = servers.enter_context(raw_upstream(answers(*head, body=b"{}")))

    answer = httpx.get(f"{servers.proxy(upstream.url).url}/user", headers=TOKEN)

    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers.get_list("date") == ["Thu, 01 Jan 2026 00:00:00 GMT"]
    assert answer.headers["server"] == "them"
    assert not {"x-hop", "keep-alive", "proxy-authenticate"} & answer.headers.keys()


def test_the_target_is_passed_on_as_it_was_sent(servers: Servers, plain: RawUpstream) -> None:
    proxy = servers.proxy(f"{plain.url}/base")

    raw_exchange(proxy.port, b"GET /a%2Fb/%C3%A9//c?q=%20+&q=2&empty= HTTP/1.1\nHost: x\nConnection: close")
    raw_exchange(proxy.port, b"GET http://other.example/x HTTP/1.1\nHost: other.example\nConnection: close")
    raw_exchange(proxy.port, b"GET //other.example/x HTTP/1.1\nHost: other.example\nConnection: close")

    targets = [each.head.split(b" ")[1] for each in plain.requests]
    assert targets == [b"/base/a%2Fb/%C3%A9//c?q=%20+&q=2&empty=", b"/base/x", b"/base//other.example/x"]
    assert all(dict(each.headers)[b"host"] == plain.url.removeprefix("http://").encode() for each in plain.requests)


@pytest.mark.parametrize("location", [b"http://169.254.169.254/latest/meta-data", b"/elsewhere", b"https://x.example/"])
def test_redirects_are_passed_on_and_not_followed(servers: Servers, location: bytes) -> None:
    upstream = servers.enter_context(
        raw_upstream(answers(b"HTTP/1.1 307 Temporary Redirect", b"Location: " + location, b"Content-Length: 0"))
    )

    answer = httpx.get(f"{servers.proxy(upstream.url).url}/user", headers=TOKEN)

    assert (answer.status_code, answer.headers["location"]) == (307, location.decode())
    assert len(upstream.requests) == 1


def test_only_the_named_host_is_called_whatever_variables_say(
    servers: Servers, plain: RawUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_port() as port:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        url = servers.proxy(plain.url).url

        with httpx.Client(trust_env=False) as client:
            answer = client.get(f"{url}/user", headers=TOKEN)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "url",
    ["ftp://a.example", "a.example", "http://", "http://u:p@a.example", "http://a.example/?q=1", "http://a:99999", ""],
)
def test_what_is_no_upstream_is_an_error(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_upstream(url)

    assert "u:p" not in str(caught.value)


def test_a_proxy_that_leads_to_itself_says_so(servers: Servers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    proxy = servers.proxy(f"http://127.0.0.1:{port}", port=port)

    answer = httpx.get(f"{proxy.url}/user", headers=TOKEN)

    assert answer.status_code == 508
    assert "leads back" in answer.json()["detail"]


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_have_none(servers: Servers, status: int) -> None:
    upstream = servers.enter_context(
        raw_upstream(answers(b"HTTP/1.1 %d X" % status, b"ETag: a", *([b"Content-Length: 7"] if status == 304 else [])))
    )
    proxy = servers.proxy(upstream.url)
    with httpx.Client(base_url=proxy.url, headers=TOKEN) as client:
        first, second = client.get("/user"), client.get("/user")

    assert (first.status_code, second.status_code, first.content, first.headers["etag"]) == (status, status, b"", "a")


def test_a_head_request_has_the_length_and_no_body(servers: Servers) -> None:
    upstream = servers.enter_context(raw_upstream(answers(*OK, b"Content-Length: 4711")))
    with httpx.Client(base_url=servers.proxy(upstream.url).url, headers=TOKEN) as client:
        first, second = client.head("/user"), client.head("/user")

    assert [each.headers["content-length"] for each in (first, second)] == ["4711", "4711"]
    assert upstream.requests[0].head.startswith(b"HEAD ")


def test_100_continue_is_answered_by_the_proxy(servers: Servers, plain: RawUpstream) -> None:
    proxy = servers.proxy(plain.url)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as wire:
        wire.sendall(
            b"POST /ai/batches HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: application/json\r\n"
            b"Content-Length: 2\r\nConnection: close\r\n\r\n"
        )
        assert wire.recv(100).startswith(b"HTTP/1.1 100")
        wire.sendall(b"{}")
        assert b" 200 " in wire.recv(4096)

    assert b"expect" not in last_headers(plain)


# Bodies


def test_a_body_of_unknown_length_stays_chunked_and_of_known_length_stays_known(
    servers: Servers, plain: RawUpstream
) -> None:
    proxy = servers.proxy(plain.url)
    with httpx.Client(base_url=proxy.url, headers=TOKEN) as client:
        client.post("/ai/batches", content=iter([b'{"prompts":', b'["a"]}']))
        client.post("/ai/batches", content=b'{"prompts":["b"]}')
        client.request("POST", "/ai/batches")

    chunked, known, none = plain.requests
    assert chunked.is_chunked and b"content-length" not in dict(chunked.headers)
    assert dict(known.headers)[b"content-length"] == b"17" and known.body == b'{"prompts":["b"]}'
    assert dict(none.headers).get(b"content-length", b"0") == b"0" and not none.is_chunked


def test_events_are_passed_on_one_by_one(servers: Servers) -> None:
    steps = [threading.Event() for _ in range(3)]

    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked")
        for n, step in enumerate(steps):
            connection.wire.sendall(b"9\r\ndata: %d\n\n\r\n" % n)
            assert step.wait(20)  # the client has this event before the next is sent
        connection.wire.sendall(b"0\r\n\r\n")

    upstream = servers.enter_context(raw_upstream(answer))
    proxy = servers.proxy(upstream.url)
    seen = []
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json={}, headers=TOKEN, timeout=20) as answer_:
        for part in answer_.iter_raw():
            seen.append(part)
            steps[len(seen) - 1].set()

    assert seen == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_200_megabytes_are_uploaded_and_downloaded_in_bounded_memory(servers: Servers, tmp_path: Path) -> None:
    size, taken = 200 * MEGABYTE, []

    def answer(connection: Connection) -> None:
        connection.send(*OK, b"Content-Length: %d" % size)
        block = b" " * MEGABYTE
        for _ in range(200):
            connection.wire.sendall(block)

    def serve(listener: socket.socket) -> None:
        wire, _ = listener.accept()
        with wire:
            data = wire.recv(65536)
            head, _, rest = data.partition(b"\r\n\r\n")
            left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(rest)
            while left > 0:
                left -= len(wire.recv(MEGABYTE))
            taken.append(left)
            answer(Connection(wire))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        proxy = servers.proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
        httpx.get(f"{proxy.url}/health")
        before = peak_bytes()
        connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
        boundary = b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\nContent-Disposition: '
        boundary += b'form-data; name="file"; filename="in.jsonl"\r\n\r\n'
        total = len(boundary) + size + len(b"\r\n--b--\r\n")
        connection.putrequest("POST", "/v1/files")
        for name, value in (*TOKEN.items(), ("Content-Type", "multipart/form-data; boundary=b")):
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(total))
        connection.endheaders()
        connection.send(boundary)
        block = b"x" * MEGABYTE
        for _ in range(200):
            connection.send(block)
        connection.send(b"\r\n--b--\r\n")
        response = connection.getresponse()
        came = 0
        while part := response.read(MEGABYTE):
            came += len(part)
        connection.close()
        thread.join(20)

    assert (taken, came) == ([0], size)
    assert peak_bytes() - before < 16 * MEGABYTE


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Upstreams that misbehave


def cut(connection: Connection) -> None:
    connection.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.wire.close()


def short_json(connection: Connection) -> None:
    connection.send(*OK, b"Content-Length: 100", body=b'{"a":')
    connection.wire.close()


def garbage(connection: Connection) -> None:
    connection.wire.sendall(b"SSH-2.0-OpenSSH_9\r\n")
    connection.wire.close()


def silence(connection: Connection) -> None:
    connection.wire.recv(1)


def huge_head(connection: Connection) -> None:
    connection.send(*OK, *(b"X-%d: %b" % (n, b"y" * 8000) for n in range(100)), b"Content-Length: 2", body=b"{}")


def odd_status(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 799 Odd", b"Content-Length: 0")


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (cut, 502, "broke off"),
        (short_json, 502, "broke off"),
        (garbage, 502, "no valid HTTP"),
        (silence, 504, "silent"),
        (huge_head, 502, "larger than"),
        (odd_status, 502, "799"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_an_upstream_that_gives_no_usable_answer(servers: Servers, answer: Any, status: int, said: str) -> None:
    upstream = servers.enter_context(raw_upstream(answer))
    proxy = servers.proxy(upstream.url, timeout=0.5)

    got = httpx.get(f"{proxy.url}/user", headers=TOKEN, timeout=20)

    assert (got.status_code, got.headers["content-type"]) == (status, "application/problem+json")
    assert said in got.json()["detail"]
    assert got.headers["x-mock-source"] == "proxy"
    assert len(upstream.requests) == 1  # it may have cost something: nothing is sent twice
    [seen] = journal_of(proxy)
    assert seen["response"]["status"] == status


def test_an_upstream_that_cannot_be_reached_is_a_502(servers: Servers) -> None:
    with refusing_port() as port:
        got = httpx.get(f"{servers.proxy(f'http://127.0.0.1:{port}').url}/user", headers=TOKEN)

    assert got.status_code == 502
    assert "cannot be reached" in got.json()["detail"]


def test_a_client_sees_that_an_answer_broke_off(servers: Servers) -> None:
    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked")
        connection.wire.sendall(b"9\r\ndata: 1\n\n\r\n")
        connection.wire.close()

    proxy = servers.proxy(servers.enter_context(raw_upstream(answer)).url)

    with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked"):
        httpx.post(f"{proxy.url}/v1/chat/completions", json={}, headers=TOKEN)

    [seen] = journal_of(proxy)
    assert "incomplete" in {each["code"] for each in seen["violations"]}
    assert httpx.get(f"{proxy.url}/health").status_code == 200


def test_a_client_that_leaves_ends_the_request_at_the_upstream(servers: Servers) -> None:
    ended = threading.Event()

    def answer(connection: Connection) -> None:
        connection.wire.recv(1)  # returns when the proxy closes
        ended.set()

    upstream = servers.enter_context(raw_upstream(answer))
    proxy = servers.proxy(upstream.url)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as wire:
        wire.sendall(b"GET /user HTTP/1.1\r\nHost: x\r\n\r\n")
        assert upstream.came.acquire(timeout=20)

    assert ended.wait(20)


def test_a_client_that_leaves_within_its_body_ends_the_request_at_the_upstream(servers: Servers) -> None:
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            wire, _ = listener.accept()
            with wire:
                wire.settimeout(20)
                while wire.recv(65536):
                    pass
            closed.set()

        threading.Thread(target=serve, daemon=True).start()
        proxy = servers.proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as wire:
            wire.sendall(b"POST /ai/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")

        assert closed.wait(20)
    assert eventually(lambda: httpx.get(f"{proxy.url}/health").status_code == 200)


def journal_of(proxy: RunningProxy) -> list[Any]:
    rows = httpx.get(f"{proxy.url}/__admin/requests", headers=TOKEN).json()
    return list(rows["requests"])


def test_json_is_the_same_bytes(servers: Servers) -> None:
    body = json.dumps({"é": [1.50, "\u2028"]}, ensure_ascii=False, indent=3).encode()
    upstream = servers.enter_context(raw_upstream(answers(*OK, b"Content-Length: %d" % len(body), body=body)))

    assert httpx.get(f"{servers.proxy(upstream.url).url}/user", headers=TOKEN).content == body
