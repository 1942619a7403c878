"""Requests that the protocol answers itself get the same bytes as through ASGI, in whatever form they arrive."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, cast

import pytest
from builders import make_request, make_settings
from fuzzer import Fuzzer, read_targets

from mockserver.http import Request, Response
from mockserver.server import direct
from mockserver.server.direct import DirectAnswers, DirectProtocol
from mockserver.server.process import ThreadedServer
from mockserver.web.answers import loop_turns
from mockserver.web.app import MockServer, create_app

DATE = re.compile(rb"date: [^\r\n]*\r\n")
TOKEN = b"Authorization: Bearer test\r\n"
HEAD = b"Host: localhost\r\n" + TOKEN
STREAM = json.dumps(
    {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
).encode()
BATCH = b'{"prompts": ["Who?", "Where?"]}'
SMALL = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BATCH), BATCH)
POST = b"POST /ai/batches HTTP/1.1\r\n" + HEAD + SMALL
USER = b"GET /user HTTP/1.1\r\n" + HEAD + b"\r\n"
LAST = b"GET /user HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"
CHUNKED = (
    b"POST /ai/batches HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
LARGE = json.dumps({"prompts": [f"question {number} " + "why? " * 30 for number in range(1000)]}).encode()
HUGE = json.dumps({"prompts": ["why? " * 300] * 1000}).encode()


def queue(body: bytes, *more: bytes) -> bytes:
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(body), *more)
    return b"POST /ai/batches HTTP/1.1\r\n" + HEAD + b"\r\n".join(lines) + b"\r\n\r\n" + body


class Both(NamedTuple):
    """Two servers with the same seed; the second one answers everything through ASGI."""

    direct: ThreadedServer
    through_asgi: ThreadedServer

    def exchange(self, *pieces: bytes) -> bytes:
        """What both send until they close the connection, without dates; it must be the same."""
        ours, theirs = (DATE.sub(b"", exchange(server.port, *pieces)) for server in self)
        assert ours == theirs
        return ours


def exchange(port: int, *pieces: bytes) -> bytes:
    """What a server sends until it closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                wire.sendall(piece)
            while part := wire.recv(65_536):
                received += part
        except (ConnectionResetError, BrokenPipeError):
            pass
    return received


@pytest.fixture
def both() -> Iterator[Both]:
    yield from _both()


@pytest.fixture(scope="module")
def shared() -> Iterator[Both]:
    """The same for tests whose answers do not depend on what was sent before."""
    yield from _both()


def _both() -> Iterator[Both]:
    settings = make_settings(seed="direct", body_timeout=1, head_timeout=1)
    app = create_app(settings)

    async def through_asgi(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    with ThreadedServer(settings) as first, ThreadedServer(settings, app=through_asgi) as second:
        yield Both(first, second)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request that was held and came to its end: whether it was answered directly."""
    seen: list[bool] = []
    original = DirectProtocol.answer_whole

    def noted(self: DirectProtocol, response: Response | None) -> bytes | None:
        data = original(self, response)
        seen.append(data is not None)
        return data

    monkeypatch.setattr(DirectProtocol, "answer_whole", noted)
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_random_requests_get_the_same_bytes_both_ways(both: Both, answered: list[bool], seed: int) -> None:
    fuzzer = Fuzzer(read_targets([]), seed)
    with ExitStack() as stack:
        wires = [stack.enter_context(Kept(server.port)) for server in both]
        for _ in range(400):
            request = fuzzer.next()

            ours, theirs = (wire.ask(request) for wire in wires)

            assert ours == theirs, request
            fuzzer.learn(ours[1])

    assert answered.count(True) > 100


class Kept:
    """One connection, opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wire: socket.socket | None = None

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Head without its date, and body."""
        if self._wire is None:
            self._wire = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        # The request behind it shows where the answer ends, and that the connection goes on.
        self._wire.sendall(request + b"GET /ready?last HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b'{"status":"ready"}' not in received:
            try:
                part = self._wire.recv(65_536)
            except ConnectionResetError:
                part = b""
            if not part:
                self.close()
                break
            received += part
        head, _, body = DATE.sub(b"", received).partition(b"\r\n\r\n")
        return head, body


FRAMINGS = {
    "one": (POST + LAST,),
    "two directly behind each other": (USER + USER + LAST,),
    "many behind each other": (USER * 40 + LAST,),
    "a head in two pieces": (POST[:40], POST[40:] + LAST),
    "a body in two pieces": (POST[:-10], POST[-10:] + LAST),
    "byte by byte": (*(bytes([each]) for each in POST + LAST),),
    "large": (queue(LARGE) + LAST,),
    "large in pieces": (*(queue(LARGE)[n : n + 9000] for n in range(0, len(LARGE) + 500, 9000)), LAST),
    "too large for the loop": (queue(HUGE) + LAST,),
    "chunked": (CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BATCH), BATCH) + LAST,),
    "chunked with a trailer": (
        CHUNKED + b"%x\r\n%b\r\n0\r\nAuthorization: Bearer other\r\n\r\n" % (len(BATCH), BATCH) + LAST,
    ),
    "chunked, and a length": (CHUNKED[:-2] + b"Content-Length: 5\r\n\r\n0\r\n\r\n" + LAST,),
    "a broken chunk": (CHUNKED + b"xyz\r\n" + LAST,),
    "two lengths": (POST.replace(b"Content-Length", b"Content-Length: 3\r\nContent-Length") + LAST,),
    "a negative length": (POST.replace(b"Content-Length: ", b"Content-Length: -") + LAST,),
    "a length with a plus": (POST.replace(b"Content-Length: ", b"Content-Length: +") + LAST,),
    "a space before the colon": (POST.replace(b"Host:", b"Host :") + LAST,),
    "a folded header": (POST.replace(b"Host: localhost", b"Host: local\r\n host") + LAST,),
    "bare line feeds": (USER.replace(b"\r\n", b"\n") + LAST,),
    "a header without a name": (USER.replace(b"Host", b"") + LAST,),
    "a zero byte in a header": (USER.replace(b"localhost", b"local\0host") + LAST,),
    "bytes beyond ASCII in a header": (USER.replace(b"localhost", b"l\xf6c\xff") + LAST,),
    "bytes beyond ASCII in the path": (USER.replace(b"/user", b"/us\xc3\xa9r") + LAST,),
    "a fragment": (USER.replace(b"/user", b"/user#x?y") + LAST,),
    "two slashes": (USER.replace(b"/user", b"//user?x=1") + LAST,),
    "an encoded path": (USER.replace(b"/user", b"/%75ser?a=%20b+c") + LAST,),
    "a whole URL": (USER.replace(b"/user", b"http://localhost/user") + LAST,),
    "a star": (USER.replace(b"GET /user", b"OPTIONS *") + LAST,),
    "HTTP/1.0": (USER.replace(b"1.1", b"1.0") + LAST,),
    "HTTP/1.0, kept": (USER.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n") + LAST,),
    "HTTP/0.9": (b"GET /user\r\n\r\n" + LAST,),
    "an offer to upgrade": (USER.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n") + LAST,),
    "an offer with a body": (POST.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost") + LAST,),
    "a client that waits for 100": (POST.replace(b"Host", b"Expect: 100-continue\r\nHost") + LAST,),
    "another expectation": (POST.replace(b"Host", b"Expect: tea\r\nHost"),),
    "an unknown path": (USER.replace(b"/user", b"/nothing") + LAST,),
    "an unknown method": (USER.replace(b"GET", b"BREW") + LAST,),
    "HEAD": (USER.replace(b"GET", b"HEAD") + LAST,),
    "OPTIONS": (USER.replace(b"GET", b"OPTIONS") + LAST,),
    "a body where none is expected": (USER.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\nabc") + LAST,),
    "a page's origin": (POST.replace(b"Host", b"Origin: http://localhost:3000\r\nHost") + LAST,),
    "a coded body": (POST.replace(b"Host", b"Content-Encoding: gzip\r\nHost") + LAST,),
    "no credential": (USER.replace(TOKEN, b"") + LAST,),
    "an event stream": (queue(STREAM).replace(b"/ai/batches", b"/v1/chat/completions") + LAST,),
    "a form": (
        b"POST /v1/files HTTP/1.1\r\n"
        + HEAD
        + b"Content-Type: multipart/form-data; boundary=B\r\n"
        b'Content-Length: 60\r\n\r\n--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nx\r\n--'.ljust(60)
        + LAST,
    ),
    "what is no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + LAST,),
    "admin, and the page for browsers": (
        USER.replace(b"/user", b"/__admin/clock")
        + USER.replace(b"/user", b"/")
        + USER.replace(b"/user", b"/health")
        + LAST,
    ),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_every_framing_gets_the_same_bytes_both_ways(both: Both, name: str) -> None:
    assert both.exchange(*FRAMINGS[name]).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "sent", [USER + b"\0\0\0\0\r\n\r\n", POST.replace(b"Content-Length: 3", b"Content-Length: 1"), USER + USER[:20]]
)
def test_what_is_no_http_behind_a_request_ends_the_connection_after_its_answer(shared: Both, sent: bytes) -> None:
    ours, theirs = (exchange(server.port, sent) for server in shared)

    assert ours.partition(b"\r\n\r\n")[0][:12] == theirs.partition(b"\r\n\r\n")[0][:12]
    assert ours.count(b"HTTP/1.1 ") <= 2


STUBS: dict[str, dict[str, Any]] = {
    "a header": {"status": 200, "headers": {"X-Ours": "1", "Retry-After": "2"}, "body": {"a": 1}},
    "a header beyond ASCII": {"status": 200, "headers": {"X-Ours": "é\t1"}},
    "an end of the connection": {"status": 503, "headers": {"Connection": "close"}},
    "an empty status": {"status": 204, "headers": {"X-Ours": "1"}},
    "nothing new": {"status": 304},
    "a fault": {"fault": {"type": "cut", "bytes": 5}},
    "a delay": {"fault": {"type": "latency", "seconds": 0.01}},
}


@pytest.mark.parametrize("name", STUBS)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_what_a_stub_answers_gets_the_same_bytes_both_ways(both: Both, name: str, method: bytes) -> None:
    path = b"/__admin/faults" if "fault" in STUBS[name] else b"/__admin/next"
    body = json.dumps({"operation": "getUser", **STUBS[name]}).encode()

    received = both.exchange(queue(body).replace(b"/ai/batches", path) + USER.replace(b"GET", method) + USER + LAST)

    assert received.count(b"HTTP/1.1 20") >= 1


def test_a_body_that_stops_is_waited_for_no_longer_than_through_asgi(shared: Both) -> None:
    assert b"HTTP/1.1 408 " in shared.exchange(POST[:-5])


def test_a_client_that_leaves_within_its_body_leaves_nothing_behind(shared: Both) -> None:
    before = shared.direct.engine.sandboxes
    with socket.create_connection(("127.0.0.1", shared.direct.port), timeout=10) as wire:
        wire.sendall(POST[:-5])
    assert before is shared.direct.engine.sandboxes
    assert b"200 OK" in shared.exchange(LAST)


def test_a_large_body_that_arrives_soon_needs_no_conversation(
    shared: Both, answered: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "GATHER_SECONDS", 10.0)

    received = exchange(shared.direct.port, queue(LARGE)[:100_000], queue(LARGE)[100_000:], LAST)

    assert received.startswith(b"HTTP/1.1 202 ")
    assert answered == [True]


def test_a_bug_before_the_engine_is_left_to_the_conversation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MockServer, "respond", lambda *_: 1 / 0)

    with ThreadedServer(make_settings()) as server:
        assert exchange(server.port, USER + LAST).count(b"HTTP/1.1 200 ") == 2


def test_a_response_that_cannot_be_encoded_ends_only_its_own_connection(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(direct.ResponseEncoder, "encode", lambda *_, **__: 1 / 0)

    with ThreadedServer(make_settings()) as server:
        assert exchange(server.port, USER) == b""
        assert exchange(server.port, LAST).startswith(b"HTTP/1.1 200 ")
    assert [each.message for each in caplog.records] == ["a response could not be sent"]


class Arrived:
    """A connection with a whole request; keeps the response."""

    def __init__(self, request: Request) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport = None
        self.whole = request
        self.response: Response | None = None

    def answer_whole(self, response: Response | None) -> None:
        self.response = response


def answer_round(app: MockServer, requests: Sequence[Request]) -> list[Response | None]:
    """The responses to requests that arrive in one round of the event loop."""

    async def run() -> list[Response | None]:
        answers, connections = DirectAnswers(app), [Arrived(each) for each in requests]
        for each in connections:
            answers.add(cast(DirectProtocol, each))
        await asyncio.sleep(0)
        return [each.response for each in connections]

    return asyncio.run(run())


BODIES = (b"{", b"", b"[]", BATCH, b'{"prompts": []}', b'{"prompts": ["Why?"], "city": "Rome"}', LARGE, b"[" * 400)


def test_requests_of_one_round_get_the_same_responses_as_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_turns, "ROUND_SECONDS", 60.0)
    is_json = {"content-type": "application/json"}
    requests = [make_request("POST", "/ai/batches", body=body, headers=is_json) for body in BODIES * 10]
    requests += [make_request("GET", "/user"), make_request("POST", "/ai/batche", body=BATCH)]
    together, apart = (create_app(make_settings(clock="frozen")) for _ in range(2))

    assert answer_round(together, requests) == [answer_round(apart, [each])[0] for each in requests]


def test_small_bodies_of_a_round_are_parsed_before_any_response_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    for name in ("prepare", "respond"):
        monkeypatch.setattr(MockServer, name, noting(steps, name, getattr(MockServer, name)))

    answer_round(create_app(make_settings()), [make_request("POST", "/ai/batches", body=BATCH)] * 3)

    assert steps == ["prepare"] * 3 + ["respond"] * 3


def noting(steps: list[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*given: Any) -> Any:
        steps.append(name)
        return function(*given)

    return noted


def test_only_one_request_of_a_connection_is_answered_in_a_round(shared: Both, answered: list[bool]) -> None:
    received = exchange(shared.direct.port, USER * 20 + LAST)

    assert received.count(b"HTTP/1.1 200 ") == 21
    assert answered == [True]


def test_an_idle_connection_is_closed_when_all_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mockserver.server.process.KEEP_ALIVE", 0.3)
    with (
        ThreadedServer(make_settings()) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire,
    ):
        begun = time.monotonic()
        for _ in range(3):
            wire.sendall(USER)
            assert wire.recv(65_536)
        assert wire.recv(65_536) == b""

        assert time.monotonic() - begun >= 0.3
