"""Answers of the upstream: which are held back, with what headers they are sent, and as what the journal has them."""

import asyncio
import gzip
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mockserver.contract.answers import answer_headers, captured, changeable_answer, is_held, response_value
from mockserver.contract.capture import CHECKED_BYTES, Capture
from mockserver.contract.upstream import UpstreamResponse

JSON = (b"Content-Type", b"application/json; charset=utf-8")


def answer(status: int = 200, *headers: tuple[bytes, bytes]) -> UpstreamResponse:
    return UpstreamResponse(status, headers, cast(Any, None), lambda: None)


def capture_of(content: bytes, limit: int = CHECKED_BYTES, *, has_ended: bool = True) -> Capture:
    kept = Capture(limit)
    kept.add(content)
    kept.has_ended = has_ended
    return kept


@pytest.mark.parametrize(
    ("given", "method", "held"),
    [
        (answer(200, JSON), "GET", True),
        (answer(200, JSON), "POST", True),
        (answer(500, (b"content-type", b"application/problem+json")), "GET", True),
        (answer(200, JSON), "HEAD", False),
        (answer(204, JSON), "GET", False),
        (answer(205, JSON), "GET", False),
        (answer(304, JSON), "GET", False),
        (answer(200, (b"content-type", b"text/event-stream")), "GET", False),
        (answer(200, (b"content-type", b"text/plain"), (b"content-length", b"65536")), "GET", True),
        (answer(200, (b"content-type", b"text/plain"), (b"content-length", b"65537")), "GET", False),
        (answer(200, (b"content-length", b"0")), "GET", True),
        (answer(200, (b"content-length", b"-1")), "GET", False),
        (answer(200), "GET", False),
    ],
)
def test_json_and_small_bodies_are_held_until_they_are_whole(given: UpstreamResponse, method: str, held: bool) -> None:
    assert is_held(given, method) is held


LENGTH = (b"content-length", b"7")


@pytest.mark.parametrize(
    ("status", "method", "size", "lengths"),
    [
        (200, "GET", 2, [b"2"]),
        (200, "GET", 0, [b"0"]),
        (200, "GET", None, [b"7"]),
        (200, "HEAD", None, [b"7"]),
        (204, "GET", None, []),
        (304, "GET", None, []),
        (304, "HEAD", None, [b"7"]),
    ],
)
def test_an_answer_states_the_length_that_it_is_sent_with(
    status: int, method: str, size: int | None, lengths: list[bytes]
) -> None:
    headers = answer_headers(answer(status, LENGTH), method, size)

    assert [value for name, value in headers if name == b"content-length"] == lengths


def test_the_upstreams_own_mock_headers_and_control_characters_are_left_out() -> None:
    given = answer(
        200, (b"X-Mock-Violations", b"[]"), (b"X-Mock-Source", b"stub"), (b"X-A", b"1\x00\x08\t2\n\x1f\x7f\x80"), LENGTH
    )

    assert answer_headers(given, "GET", None) == [(b"x-a", b"1\t2\x80"), LENGTH]


def test_the_journal_has_the_answer_without_its_framing() -> None:
    given = answer(201, JSON, LENGTH, (b"X-Mock-Source", b"stub"), (b"X-Name", b"gr\xfcn"))

    kept = response_value(given, capture_of(b'{"a":1}'))

    assert kept._asdict() | {"body": kept.body} == kept._asdict()
    assert (kept.status, kept.media_type, kept.body) == (201, "application/json; charset=utf-8", b'{"a":1}')
    assert (kept.headers, kept.source) == ((("x-name", "gr\u00fcn"),), "upstream")


@pytest.mark.parametrize(
    ("kept", "is_read"),
    [
        (capture_of(b"a"), True),
        (capture_of(b""), True),
        (capture_of(b"a", has_ended=False), False),
        (capture_of(b"a" * CHECKED_BYTES), True),
        (capture_of(b"a" * (CHECKED_BYTES + 1)), False),
        (capture_of(b"a" * (CHECKED_BYTES + 1), limit=2 * CHECKED_BYTES), False),
    ],
)
def test_a_body_is_validated_when_it_is_whole_and_at_most_a_mebibyte(kept: Capture, is_read: bool) -> None:
    assert isinstance(response_value(answer(), kept).body, bytes) is is_read


@pytest.mark.parametrize(
    ("coding", "content", "plain"),
    [
        (b"gzip", gzip.compress(b"{}", mtime=0), b"{}"),
        (b"gzip", b"{}", None),
        (b"br", b"{}", None),
        (b"identity", b"{}", b"{}"),
    ],
)
def test_a_coded_body_is_validated_without_its_coding(coding: bytes, content: bytes, plain: bytes | None) -> None:
    body = response_value(answer(200, (b"content-encoding", coding)), capture_of(content)).body

    assert (body if isinstance(body, bytes) else None) == plain


def test_a_body_that_may_be_changed_loses_its_coding_only_when_it_is_whole() -> None:
    content = gzip.compress(b"{}")
    whole, begun = (answer(200, JSON, (b"content-encoding", b"gzip")) for _ in range(2))

    capture, held = changeable_answer(None, None, whole, capture_of(content), [content[:5], content[5:]])
    kept, pieces = changeable_answer(None, None, begun, capture_of(content, has_ended=False), [content])

    assert (capture.content, held, whole.header(b"content-encoding")) == (b"{}", [b"{}"], "")
    assert [name for name, _ in whole.headers] == [b"content-type"]
    assert (kept.content, pieces, begun.header(b"content-encoding")) == (content, [content], "gzip")


@pytest.mark.parametrize("size", [0, 5, CHECKED_BYTES, CHECKED_BYTES + 1])
def test_a_changed_body_is_whole_whatever_its_size(size: int) -> None:
    kept = captured(b"x" * size)

    assert kept.is_whole
    assert kept.size == len(kept.content) == size


class Content:
    """A body that arrives."""

    def __init__(self, *chunks: bytes, error: Exception | None = None, at_eof: bool = True) -> None:
        self._chunks, self._error, self._at_eof = chunks, error, at_eof

    def is_eof(self) -> bool:
        return self._at_eof

    def at_eof(self) -> bool:
        return self._at_eof

    def exception(self) -> Exception | None:
        return self._error

    def read_nowait(self) -> bytes:
        return b"".join(self._chunks)

    async def iter_any(self) -> Any:
        for chunk in self._chunks:
            yield chunk
        if self._error is not None:
            raise self._error


def arriving(content: Content) -> tuple[UpstreamResponse, list[bool]]:
    closed: list[bool] = []
    return UpstreamResponse(200, (), cast(Any, content), lambda: closed.append(True)), closed


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (Content(b"a", b"b"), b"ab"),
        (Content(b"a", at_eof=False), None),
        (Content(b"a", error=ValueError()), None),
        (Content(b"a", error=ValueError(), at_eof=False), None),
    ],
)
def test_a_body_that_has_arrived_is_read_at_once(content: Content, read: bytes | None) -> None:
    assert arriving(content)[0].read_now() == read


@pytest.mark.parametrize("at_eof", [True, False])
def test_a_connection_is_closed_unless_its_body_was_read_to_the_end(at_eof: bool) -> None:
    given, closed = arriving(Content(at_eof=at_eof))

    given.close()

    assert closed == ([] if at_eof else [True])


def test_a_body_comes_in_the_pieces_in_which_it_arrives() -> None:
    async def read() -> list[bytes]:
        return [chunk async for chunk in arriving(Content(b"a", b"b"))[0].chunks()]

    assert asyncio.run(read()) == [b"a", b"b"]


def test_the_clients_own_urls_take_the_place_of_the_proxys_in_a_whole_answer() -> None:
    relay: Any = SimpleNamespace(restored=lambda content: content.replace(b"proxy", b"client"))
    noted: list[Any] = []
    redirection: Any = SimpleNamespace(note_answer=lambda *given: noted.append(given))
    given = answer(201, JSON, (b"Location", b"http://proxy/1"))
    capture = capture_of(b'{"url":"proxy"}')

    made, held = changeable_answer(relay, redirection, given, capture, [b'{"url":', b'"proxy"}'])
    same, pieces = changeable_answer(relay, None, answer(200, JSON), capture_of(b"{}"), [b"{", b"}"])
    begun, parts = changeable_answer(relay, None, answer(200, JSON), capture_of(b"proxy", has_ended=False), [b"proxy"])

    assert (made.content, held, dict(given.headers)[b"location"]) == (
        b'{"url":"client"}', [b'{"url":"client"}'], b"http://client/1"
    )  # fmt: skip
    assert noted == [(201, capture)]
    assert (same.content, pieces) == (b"{}", [b"{", b"}"])
    assert (begun.content, parts) == (b"proxy", [b"proxy"])
