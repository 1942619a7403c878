"""How a response is sent: its headers, in one message or in parts, and what stays in memory."""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from mockserver.errors import Refusal
from mockserver.http import Response
from mockserver.web.answers import delivery as module
from mockserver.web.answers.delivery import Delivery, is_large, no_space
from mockserver.web.answers.encoding import encode_pieces, has_pieces
from mockserver.web.answers.space import AnswerSpace
from mockserver.workers import LaneFull, Workers

LARGE = b"x" * 65_537


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers()
    yield made
    made.stop(20)


def sent(made: Delivery, response: Response, method: str = "GET") -> list[Any]:
    """The messages that are sent."""
    messages: list[Any] = []

    async def run() -> None:
        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            messages.append(message)

        await made.deliver(response, method, receive, send)

    asyncio.run(run())
    return messages


def body_of(messages: list[Any]) -> bytes:
    return b"".join(each["body"] for each in messages[1:])


@pytest.mark.parametrize(("size", "large"), [(65_536, False), (65_537, True)])
def test_a_body_of_more_than_64_kib_in_memory_is_large(size: int, large: bool) -> None:
    assert is_large(Response(200, "", b"x" * size)) is large
    assert not is_large(Response(200, "", iter((b"x" * size,))))


@pytest.mark.parametrize(
    ("media_type", "source", "shows", "headers"),
    [
        ("application/json", "stub", True, [(b"content-type", b"application/json"), (b"x-mock-source", b"stub")]),
        ("application/json", "stub", False, [(b"content-type", b"application/json")]),
        ("text/plain", "", True, [(b"content-type", b"text/plain; charset=utf-8")]),
        ("text/plain; charset=ascii", "", True, [(b"content-type", b"text/plain; charset=ascii")]),
        ("", "", True, []),
    ],
)
def test_a_response_names_its_media_type_and_its_source(
    workers: Workers, media_type: str, source: str, shows: bool, headers: list[tuple[bytes, bytes]]
) -> None:
    made = Delivery(workers, AnswerSpace(), shows_source=shows)

    start, end = sent(made, Response(201, media_type, b"ab", (("X-Name", "gr\u00fcn\u2603"),), source))

    assert start == {
        "type": "http.response.start",
        "status": 201,
        "headers": [*headers, (b"x-name", b"gr\xfcn?"), (b"content-length", b"2")],
    }
    assert end == {"type": "http.response.body", "body": b"ab"}


@pytest.mark.parametrize(
    ("status", "method", "body", "length"),
    [(200, "GET", b"ab", b"2"), (200, "HEAD", b"", b"2"), (204, "GET", b"", None), (200, "GET", b"", b"0")],
)
def test_a_body_has_a_length_where_there_may_be_one(
    workers: Workers, status: int, method: str, body: bytes, length: bytes | None
) -> None:
    response = Response(status, "application/json", b"ab" if length == b"2" else b"")

    messages = sent(Delivery(workers, AnswerSpace(), shows_source=True), response, method)

    assert dict(messages[0]["headers"]).get(b"content-length") == length
    assert (body_of(messages), len(messages)) == (body, 2)


@pytest.mark.parametrize(("size", "parts"), [(65_536, [65_536]), (65_537, [16_384] * 4 + [1])])
def test_a_large_body_is_sent_in_parts(workers: Workers, size: int, parts: list[int]) -> None:
    made = Delivery(workers, AnswerSpace(memory=10_000), shows_source=True)

    messages = sent(made, Response(200, "", b"x" * size))

    assert [len(each["body"]) for each in messages[1:] if each["body"]] == parts
    assert not messages[-1].get("more_body")
    assert all(each["more_body"] for each in messages[1:-1])
    assert made.space.streams == 0


def test_the_head_of_a_large_body_is_sent_alone(workers: Workers) -> None:
    messages = sent(Delivery(workers, AnswerSpace(), shows_source=True), Response(200, "", LARGE), "HEAD")

    assert [each["body"] for each in messages[1:]] == [b""]


def test_a_stream_is_sent_as_it_is_made(workers: Workers) -> None:
    parts = [b"a", b"b" * 16_383, b"c", b"d"]

    messages = sent(Delivery(workers, AnswerSpace(), shows_source=True), Response(200, "", iter(parts)))
    heads = sent(Delivery(workers, AnswerSpace(), shows_source=True), Response(200, "", iter(parts)), "HEAD")

    assert [each["body"][:1] for each in messages[1:]] == [b"a", b"b", b"", b"c", b"d", b""]
    assert b"content-length" not in dict(messages[0]["headers"])
    assert body_of(heads) == b""


@pytest.mark.parametrize(("memory", "is_kept"), [(65_537, False), (65_536, True)])
def test_a_large_response_goes_to_disk_where_memory_is_full(workers: Workers, memory: int, is_kept: bool) -> None:
    made = Delivery(workers, AnswerSpace(memory=memory), shows_source=True)

    kept = made.kept(Response(200, "text/plain", LARGE, (("X-A", "1"),)))

    assert isinstance(kept.body, bytes) is not is_kept
    assert kept.headers == ((("X-A", "1"), ("Content-Length", "65537")) if is_kept else (("X-A", "1"),))
    assert body_of(sent(made, kept)) == LARGE


def test_a_response_without_room_anywhere_is_a_503(workers: Workers) -> None:
    made = Delivery(workers, AnswerSpace(memory=0, disk=0), shows_source=True)

    full = made.kept(Response(200, "text/plain", LARGE))

    assert full.status == 503
    assert ("Retry-After", "1") in full.headers
    assert orjson.loads(full.body)["detail"] == (  # type: ignore[arg-type]  # a problem's body is bytes
        "This request was not handled: too many large answers wait to be read for its sandbox."
    )


def test_what_has_no_space_says_why() -> None:
    assert no_space(LaneFull("busy")).status == 503
    assert no_space(Refusal("full-disk", "No space.", status=507)).status == 507  # type: ignore[arg-type]  # any reason
    assert no_space(Refusal("full-disk", "No space.")).status == 503  # type: ignore[arg-type]  # any reason


@pytest.mark.parametrize(("memory", "counted"), [(10**6, 65_537), (0, 0)])
def test_a_held_response_counts_while_it_is_in_memory(workers: Workers, memory: int, counted: int) -> None:
    made = Delivery(workers, AnswerSpace(memory=memory), shows_source=True)
    seen: list[int] = []

    async def hold() -> None:
        async with made.hold(Response(200, "", LARGE)):
            seen.append(made.space.in_memory)
        async with made.hold(Response(200, "", b"small")):
            seen.append(made.space.in_memory)
        seen.append(made.space.in_memory)

    asyncio.run(hold())
    assert seen == [counted, 0, 0]


@pytest.mark.parametrize(("most", "threads"), [(65_537, 0), (65_536, 1)])
def test_a_very_large_response_goes_to_disk_in_a_thread(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, most: int, threads: int
) -> None:
    assert module.KEPT_AT_ONCE == 4 * 1024**2
    monkeypatch.setattr(module, "KEPT_AT_ONCE", most)
    made, runs = Delivery(workers, AnswerSpace(memory=0), shows_source=True), list[str]()
    run = workers.run

    def noted(lane: str, action: Any) -> Any:
        runs.append(lane)
        return run(lane, action)

    monkeypatch.setattr(workers, "run", noted)

    async def hold() -> None:
        async with made.hold(Response(200, "", LARGE)) as kept:
            assert not isinstance(kept.body, bytes)

    asyncio.run(hold())
    assert len(runs) == threads


@pytest.mark.parametrize(
    ("answer", "pieces", "text"),
    [
        ({}, False, b"{}"),
        ({"a": 1, "b": [2]}, False, b'{"a":1,"b":[2]}'),
        ({"a": iter(()), "b": 1}, True, b'{"a":[],"b":1}'),
        ({"a": iter((1, {"x": 2})), "b": iter("c")}, True, b'{"a":[1,{"x":2}],"b":["c"]}'),
        (iter((b"[1,", b"2]")), True, b"[1,2]"),
    ],
)
def test_an_answer_is_encoded_piece_by_piece(answer: Any, pieces: bool, text: bytes) -> None:
    assert has_pieces(answer) is pieces
    assert b"".join(encode_pieces(answer)) == text
