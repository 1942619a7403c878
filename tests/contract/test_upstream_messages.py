"""What is written to the upstream: headers, targets and whole requests; and what is said of its errors."""

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mockserver.contract import upstream
from mockserver.contract.upstream import (
    Upstream,
    UpstreamError,
    UpstreamResponse,
    UpstreamUrl,
    end_to_end,
    parse_upstream,
    request_headers,
)
from mockserver.errors import SettingsError

URL = UpstreamUrl("http", "api.example", 8080, "/v1")
Headers = list[tuple[bytes, bytes]]


CONNECTION = "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer " + (
    "transfer-encoding upgrade"
)


@pytest.mark.parametrize("name", CONNECTION.split())
def test_a_header_of_one_connection_is_not_passed_on(name: str) -> None:
    assert end_to_end([(name.title().encode(), b"x"), (b"X-A", b"1")]) == [(b"x-a", b"1")]


def test_headers_that_connection_names_are_not_passed_on() -> None:
    headers = [(b"Connection", b"close, X-One ,x-two"), (b"x-one", b"1"), (b"X-Two", b"2"), (b"X-Three", b"3")]

    assert end_to_end(headers) == [(b"x-three", b"3")]
    assert end_to_end([(b"connection", b"x-a"), (b"connection", b"x-b"), (b"x-b", b""), (b"x-c", b"")]) == [
        (b"x-c", b"")
    ]


@pytest.mark.parametrize(
    ("headers", "has_body", "sent"),
    [
        ([(b"Host", b"proxy"), (b"Expect", b"100-continue"), (b"X-Mock-Sandbox", b"a"), (b"X-Mocks", b"b")], False,
         [(b"x-mocks", b"b")]),
        ([(b"Content-Length", b"5")], True, [(b"content-length", b"5")]),
        ([(b"Content-Length", b"5")], False, []),
        ([(b"Content-Length", b" 0 ")], False, [(b"content-length", b" 0 ")]),
    ],
)  # fmt: skip
def test_a_request_has_the_upstreams_host_and_none_of_our_headers(
    headers: Headers, has_body: bool, sent: Headers
) -> None:
    found = request_headers(headers, URL, via=b"1.1 us", has_body=has_body)

    assert found == [(b"host", b"api.example:8080"), *sent, (b"via", b"1.1 us")]


def test_the_proxy_is_named_after_those_before_it() -> None:
    headers = request_headers([(b"Via", b"1.0 a"), (b"via", b"1.1 b")], URL, via=b"1.1 us", has_body=False)

    assert headers[1:] == [(b"via", b"1.0 a, 1.1 b, 1.1 us")]


@pytest.mark.parametrize(
    ("raw_path", "query", "target"),
    [(b"/a%20b", b"", b"/v1/a%20b"), (b"/a", b"x=1", b"/v1/a?x=1"), (b"", b"", b"/v1/"), (b"", b"x", b"/v1/?x")],
)
def test_a_target_has_the_prefix_of_the_upstream(raw_path: bytes, query: bytes, target: bytes) -> None:
    assert Upstream(URL, timeout=1).target(raw_path, query) == target


@pytest.mark.parametrize(
    ("method", "body", "end"),
    [
        ("GET", None, b"x-a: 1\r\n\r\n"),
        ("HEAD", None, b"x-a: 1\r\n\r\n"),
        ("OPTIONS", None, b"x-a: 1\r\n\r\n"),
        ("TRACE", None, b"x-a: 1\r\n\r\n"),
        ("POST", None, b"x-a: 1\r\ncontent-length: 0\r\n\r\n"),
        ("DELETE", None, b"x-a: 1\r\ncontent-length: 0\r\n\r\n"),
        ("POST", b"", b"x-a: 1\r\ncontent-length: 0\r\n\r\n"),
        ("POST", b"body", b"x-a: 1\r\ncontent-length: 4\r\n\r\nbody"),
        ("GET", b"body", b"x-a: 1\r\ncontent-length: 4\r\n\r\nbody"),
    ],
)
def test_a_small_request_is_written_in_one_piece(method: str, body: bytes | None, end: bytes) -> None:
    written = upstream._message(method, b"/v1/a", [(b"host", b"api.example"), (b"x-a", b"1")], body)

    assert written == method.encode() + b" /v1/a HTTP/1.1\r\nhost: api.example\r\n" + end


def test_a_stated_length_is_not_stated_twice() -> None:
    assert upstream._message("POST", b"/", [(b"content-length", b"2"), (b"x-a", b"")], b"{}") == (
        b"POST / HTTP/1.1\r\ncontent-length: 2\r\nx-a: \r\n\r\n{}"
    )


@pytest.mark.parametrize(("size", "is_whole"), [(32_768, True), (32_769, False)])
def test_up_to_32_kib_are_written_in_one_piece(size: int, is_whole: bool) -> None:
    assert (upstream._message("POST", b"/", [], b"x" * size) is not None) is is_whole


@pytest.mark.parametrize("control", [*range(9), *range(10, 32), 127])
def test_a_header_with_a_control_character_is_left_to_the_session(control: int) -> None:
    assert upstream._message("GET", b"/", [(b"x-a", b"1" + bytes([control]) + b"2")], None) is None
    assert upstream._message("GET", b"/", [(b"x-a", b"1\t\x80 2")], None) is not None


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (aiohttp.ConnectionTimeoutError(), 504, "The upstream did not accept a connection in time."),
        (TimeoutError("late"), 504, "The upstream was silent for too long."),
        (aiohttp.ServerTimeoutError(), 504, "The upstream was silent for too long."),
        (aiohttp.ServerDisconnectedError(), 502, "The upstream broke off, or sent no valid HTTP: Server disconnected."),
        (aiohttp.ClientPayloadError(""), 502, "The upstream broke off, or sent no valid HTTP: ClientPayloadError."),
        (aiohttp.ClientPayloadError("a\n  b."), 502, "The upstream broke off, or sent no valid HTTP: a b."),
        (ConnectionResetError("reset"), 502, "The upstream broke off: reset."),
        (aiohttp.ClientPayloadError("x" * 301), 502, f"The upstream broke off, or sent no valid HTTP: {'x' * 300}."),
    ],
)
def test_an_error_of_the_upstream_is_answered_with_what_went_wrong(error: Exception, status: int, detail: str) -> None:
    found = upstream._as_upstream_error(error)

    assert isinstance(found, UpstreamError)
    assert (found.status, str(found)) == (status, detail)


def test_another_error_stays_as_it_is() -> None:
    error = KeyError("bug")

    assert upstream._as_upstream_error(error) is error


@pytest.mark.parametrize(
    ("value", "text"), [(b"plain", "plain"), ("gr\u00fcn".encode(), "gr\u00fcn"), (b"gr\xfcn", "gr\u00fcn")]
)
def test_bytes_of_a_header_are_read_as_utf_8_or_latin_1(value: bytes, text: str) -> None:
    assert upstream._text(value) == text


def test_the_bounds_of_the_upstream() -> None:
    assert (upstream.CONNECT_SECONDS, upstream.IDLE_SECONDS, upstream.MAX_HEAD) == (10.0, 5.0, 262_144)
    assert {*range(100, 200)} - {101} == upstream.INTERIM


@pytest.mark.parametrize(("timeout", "connect"), [(3.0, 3.0), (60.0, 10.0)])
def test_a_connection_is_awaited_for_ten_seconds_at_most(timeout: float, connect: float) -> None:
    made = Upstream(URL, timeout=timeout)._timeout

    assert (made.total, made.connect, made.sock_connect, made.sock_read) == (None, timeout, connect, timeout)


def test_authorities_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "none.pem"
    with pytest.raises(SettingsError, match="which cannot be read: "):
        Upstream(parse_upstream("https://api.example"), timeout=1, ca_file=str(file))
    file.write_text("no certificate")
    with pytest.raises(SettingsError, match=f"--upstream-ca is {str(file)!r}, which cannot be read: "):
        Upstream(parse_upstream("https://api.example"), timeout=1, ca_file=str(file))

    assert isinstance(Upstream(parse_upstream("https://api.example"), timeout=1)._tls, ssl.SSLContext)
    assert Upstream(parse_upstream("http://api.example"), timeout=1, ca_file=str(file))._tls is True


def test_the_last_value_of_a_repeated_header_counts_and_a_removed_one_is_gone() -> None:
    content: Any = None
    given = UpstreamResponse(200, [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"\xfc")], content, lambda: None)

    assert (given.header(b"x-a"), given.header(b"x-b"), given.header(b"x-c")) == ("2", "\u00fc", "")
    given.remove_header(b"x-a")
    given.remove_header(b"x-c")
    assert (given.headers, given.header(b"x-a")) == ([(b"x-b", b"\xfc")], "")
