"""Responses that are encoded without a conversation: their bytes, what is declined, and what is kept of them."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from mockserver import server
from mockserver.http import Request, Response
from mockserver.server import direct, encoding, process
from mockserver.server.direct import DirectAnswers
from mockserver.server.encoding import ResponseEncoder

DEFAULTS = [(b"date", b"now")]


class App:
    """Standing headers and responses, and how often they were asked for."""

    max_direct_body = 1000
    responds = True

    def __init__(self, group: Any = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.group = group
        self.prepared: list[bytes] = []
        self.answers: list[Any] = []
        self.noted: list[int] = []
        """The number of prepared requests at each request for a response."""

    def standing_headers(self, media_type: str, source: str) -> Sequence[tuple[bytes, bytes]]:
        self.asked.append((media_type, source))
        return [(b"content-type", media_type.encode())] if media_type else []

    def prepare(self, request: Request) -> Any:
        self.prepared.append(request.body)
        if request.body == b"bug":
            raise ValueError
        return None

    def respond(self, request: Request, prepared: Any = None) -> Response | None:
        self.noted.append(len(self.prepared))
        found = self.answers.pop(0) if self.answers else Response(200, "", request.body)
        if isinstance(found, Exception):
            raise found
        return found


def encoder() -> tuple[ResponseEncoder, App]:
    app = App()
    return ResponseEncoder(app), app


@pytest.mark.parametrize(
    ("response", "encoded"),
    [
        (Response(200, "text/x", b"ab", (("X-A", "1"), ("x-b", "2 3"))),
         b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: text/x\r\nx-a: 1\r\nx-b: 2 3\r\ncontent-length: 2\r\n\r\nab"),
        (Response(200, "", b""), b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 0\r\n\r\n"),
        (Response(204, "", b"ab"), b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n"),
        (Response(205, "", b"ab"), b"HTTP/1.1 205 Reset Content\r\ndate: now\r\ncontent-length: 0\r\n\r\n"),
        (Response(304, "", b"ab"), b"HTTP/1.1 304 Not Modified\r\ndate: now\r\ncontent-length: 0\r\n\r\n"),
        (Response(600, "", b""), None),
        (Response(200, "", iter(())), None),
        (Response(200, "", b"", delay=0.1), None),
        (Response(200, "", b"", (("Connection", "close"),)), None),
        (Response(200, "", b"", (("Content-Length", "5"),)), None),
        (Response(200, "", b"", (("Transfer-Encoding", "chunked"),)), None),
        (Response(200, "", b"", (("X A", "1"),)), None),
        (Response(200, "", b"", (("X-A", "1\r\nX-B: 2"),)), None),
        (Response(200, "", b"", (("X-A", "1\x002"),)), None),
        (Response(200, "", b"", (("X-A", "1\t2"),)), None),
        (Response(200, "", b"", (("X-A", "gr\u00fcn"),)), None),
    ],
)  # fmt: skip
def test_a_response_is_encoded_or_declined(response: Response, encoded: bytes | None) -> None:
    made, _ = encoder()

    for _ in range(2):  # the second time with what was kept
        assert made.encode(response, DEFAULTS, only_head=False) == encoded


@pytest.mark.parametrize(("size", "is_encoded"), [(65_536, True), (65_537, False)])
def test_a_body_of_more_than_64_kib_needs_a_conversation(size: int, is_encoded: bool) -> None:
    made, _ = encoder()

    assert (made.encode(Response(200, "", b"x" * size), DEFAULTS, only_head=False) is not None) is is_encoded


def test_a_head_is_encoded_with_the_length_of_its_body() -> None:
    made, _ = encoder()

    assert made.encode(Response(200, "", b"ab"), DEFAULTS, only_head=True) == (
        b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 2\r\n\r\n"
    )


def test_the_start_of_a_response_is_made_once_for_the_same_default_headers() -> None:
    made, app = encoder()
    later = [(b"date", b"later")]

    first = [made.encode(Response(200, "a", b""), DEFAULTS, only_head=False) for _ in range(3)]
    other = made.encode(Response(200, "b", b""), DEFAULTS, only_head=False)
    assert app.asked == [("a", ""), ("b", "")]
    second = made.encode(Response(200, "a", b""), later, only_head=False)

    assert first == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: a\r\ncontent-length: 0\r\n\r\n"] * 3
    assert other is not None
    assert second == b"HTTP/1.1 200 OK\r\ndate: later\r\ncontent-type: a\r\ncontent-length: 0\r\n\r\n"
    assert app.asked == [("a", ""), ("b", ""), ("a", "")]
    assert len(made._starts) == 1


def test_a_bounded_number_of_starts_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert encoding.MAX_STARTS == 1000
    monkeypatch.setattr(encoding, "MAX_STARTS", 2)
    monkeypatch.setattr(encoding, "_line_starts", {})
    made, _ = encoder()
    sizes = []
    for n in range(5):
        made.encode(Response(200, f"a{n}", b"", ((f"x-{n}", "1"),)), DEFAULTS, only_head=False)
        sizes.append((len(made._starts), len(encoding._line_starts)))

    assert sizes == [(1, 1), (2, 2), (1, 1), (2, 2), (1, 1)]


class Connection:
    """A connection with a whole request."""

    def __init__(self, body: bytes, calls: list[Any]) -> None:
        self.loop: Any = SimpleNamespace(call_soon=calls.append)
        self.whole: Request | None = Request("POST", "/", "", {}, body)
        self.transport = None
        self.response: Any = "none yet"

    def answer_whole(self, response: Response | None) -> None:
        self.response = response


class Group:
    """Commits what waits."""

    def __init__(self) -> None:
        self.latest: Any = None
        self.commits = 0
        self.is_good = True

    def run(self, action: Any, *given: Any) -> Any:
        return action(*given)

    def commit(self) -> None:
        self.commits += 1
        if self.latest is not None:
            self.latest.is_committed = self.is_good


def waiting(app: App, *bodies: bytes) -> tuple[DirectAnswers, list[Connection], list[Any]]:
    calls: list[Any] = []
    answers = DirectAnswers(app)  # type: ignore[arg-type]  # without `deliverer`, which is not called
    connections = [Connection(each, calls) for each in bodies]
    for each in connections:
        answers.add(each)  # type: ignore[arg-type]  # it has what is needed of one
    return answers, connections, calls


def test_the_requests_of_a_round_are_answered_at_its_end() -> None:
    app = App()
    app.answers = [Response(200, "", b"1"), ValueError("a bug"), Response(200, "", b"3")]
    answers, connections, calls = waiting(app, b"a", b"b", b"c")
    assert len(calls) == 1

    calls[0]()

    assert [each.response and each.response.body for each in connections] == [b"1", None, b"3"]
    answers.add(connections[0])  # type: ignore[arg-type]  # it has what is needed of one
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("bodies", "prepared"),
    [
        ([b"a"], []),
        ([b"a", b""], [b"a", b""]),
        ([b"bug", b"a"], [b"bug", b"a"]),
        ([b"a", b"x" * 4096, b"x" * 4097], [b"a", b"x" * 4096]),
    ],
)
def test_small_requests_of_a_round_are_prepared_together(bodies: list[bytes], prepared: list[bytes]) -> None:
    app = App()
    _, connections, calls = waiting(app, *bodies)

    calls[0]()

    assert app.prepared == prepared
    assert [each.response.body for each in connections] == bodies


def test_sixty_four_requests_are_prepared_before_their_requests_are_answered() -> None:
    assert (direct.PREPARED_TOGETHER, direct.PREPARED_BYTES, direct.MAX_GROUP) == (64, 4096, 64)
    assert (direct.GATHER_SECONDS, direct.WAITING_BYTES) == (0.02, 16_384)
    app = App()
    _, _, calls = waiting(app, *[b"a"] * 65)

    calls[0]()

    assert app.noted == [64] * 65, "the last one is alone"


def test_a_request_whose_connection_is_gone_is_not_answered() -> None:
    _, connections, calls = waiting(App(), b"a", b"b")
    connections[0].whole = None

    calls[0]()

    assert connections[0].response == "none yet"
    assert connections[1].response.body == b"b"


@pytest.mark.parametrize("is_good", [True, False])
def test_with_a_shared_store_answers_wait_for_a_commit(is_good: bool) -> None:
    group = Group()
    group.is_good = is_good
    group.latest = SimpleNamespace(is_committed=False)
    _, connections, calls = waiting(App(group), b"a", b"b")

    calls.pop(0)()
    assert (group.commits, [each.response for each in connections]) == (0, ["none yet"] * 2)
    calls.pop(0)()

    assert group.commits == 1
    assert [each.response is not None for each in connections] == [is_good] * 2
    assert calls == []


def test_a_commit_waits_while_rounds_bring_further_requests() -> None:
    group = Group()
    answers, connections, calls = waiting(App(group), b"a")

    calls.pop(0)()
    answers.add(Connection(b"b", calls))  # type: ignore[arg-type]  # it has what is needed of one
    calls.pop(0)()
    assert group.commits == 0
    calls.pop(0)()

    assert group.commits == 1
    assert connections[0].response.body == b"a"


@pytest.mark.parametrize(("count", "looks"), [(63, 2), (64, 1)])
def test_sixty_four_requests_are_committed_without_another_look(count: int, looks: int) -> None:
    group = Group()
    _, _, calls = waiting(App(group), *[b"a"] * count)

    done = 0
    while calls:
        calls.pop(0)()
        done += 1

    assert (done, group.commits) == (looks, 1)


@pytest.mark.parametrize(
    ("ticket", "is_good", "is_answered"),
    [(None, True, True), (SimpleNamespace(is_committed=False), True, True), (SimpleNamespace(), False, False)],
)
def test_a_single_request_is_committed_at_once(ticket: Any, is_good: bool, is_answered: bool) -> None:
    group = Group()
    group.latest, group.is_good = ticket, is_good
    answers, _, _ = waiting(App(group))

    response = answers.respond(Request("GET", "/", "", {}))

    assert group.commits == 1
    assert (response is not None) is is_answered


def test_the_package_has_the_threaded_server_and_nothing_else() -> None:
    assert server.ThreadedServer is process.ThreadedServer
    with pytest.raises(AttributeError, match=r"^module 'mockserver.server' has no attribute 'Threaded'$"):
        _ = server.Threaded
