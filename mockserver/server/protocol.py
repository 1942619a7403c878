"""HTTP/1.1 on one connection, within bounds of time and memory.

uvicorn's protocol serves the requests that `direct` does not answer. What is added here:

- A head must arrive within `head_seconds` of its first byte, and of a new connection's beginning, and have at most
  `head_bytes`. One timer a connection; a head that arrives whole, as most do, starts none.
- Bytes behind a request whose response is under way wait unparsed. uvicorn would make a request of each, which takes a
  hundred times their memory.
- A request body that the application does not read is passed over for `body_seconds`.
- A client that reads next to nothing of its response for `send_seconds` loses its connection.
- Beyond `connections` connections, those that have been idle for longest are closed.
- An offer to upgrade is ignored, as HTTP allows: the request is served.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast

import httptools
import orjson

from mockserver.server.direct import App, DirectProtocol
from mockserver.server.limits import ConnectionLimits
from mockserver.server.log_output import Throttle
from mockserver.server.own_answers import expectation_failed, server_options
from mockserver.server.socket import CoalescingTransport, PendingWrites
from mockserver.web.large_bodies import LARGE_BODIES
from mockserver.web.scopes import parse_fields

PIECE = 1024
"""Bytes that are parsed at once while no body is read; pipelined requests are detected in between."""
BODY_PIECE = 16 * 1024
"""The same within a chunked body."""
READ_AHEAD = 64 * 1024
"""Unparsed bytes at which reading from the connection pauses."""
MAX_FIELDS = 500
"""The most fields of a head. Each takes a hundred times the memory of the shortest one's bytes."""
LARGE_HEAD = 16 * 1024
"""Bytes of a head whose memory is returned to the system after its connection."""
LINGER = 2.0
"""Seconds in which the client of a rejected request may read the response; what it sends meanwhile is discarded."""
LEAST_READ = 16 * 1024
"""Bytes of its response that a client must read in `send_seconds`."""
CLOSED_SHARE = 16
"""One in so many idle connections is closed when there are too many."""
NO_PROXY, NO_TARGET = "CONNECT is not supported: this is no proxy.", "The target is neither a path nor a URL."
_log = logging.getLogger("mockserver")
_invalid_requests = Throttle()


class _HeadTooLargeError(Exception):
    """Raised inside the parser's callback."""


class NoUpgradeProtocol(DirectProtocol):
    """One connection; see the module."""

    __slots__ = (
        "_active_at", "_before", "_body_received", "_had_large_head", "_has_ended", "_is_begun", "_is_deaf",
        "_is_in_body", "_limits", "_reader_timer", "_timer", "_usual_head", "_waiting", "_writes",
    )  # fmt: skip

    def __init__(
        self,
        *given: Any,
        limits: ConnectionLimits,
        writes: PendingWrites | None = None,
        **named: Any,
    ) -> None:
        """`writes` is shared by the connections of a server."""
        super().__init__(*given, **named)
        self._limits = limits
        self._usual_head = min(LARGE_HEAD, limits.head_bytes)
        """Bytes up to which a head is neither large nor too large."""
        self._writes = writes
        self._before = 0
        """Bytes of the current head, or of data between two pieces of a body, that were parsed earlier."""
        self._body_received = 0
        """Bytes of the current body."""
        self._is_begun = self._is_in_body = self._has_ended = False
        """Whether a head has begun; whether a body is read; whether a message has ended in the current piece."""
        self.headers = []
        self._is_deaf = False
        """Whether received data is discarded, because the connection is about to close."""
        self._timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._waiting = b""
        """Data received after a request whose response is not complete."""
        self._had_large_head = False
        self._active_at = 0.0
        """When data came or a response ended, in seconds of the loop's clock."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        cork = CoalescingTransport(transport, self.loop, self._limits.send_seconds, self._writes)
        super().connection_made(cast(asyncio.Transport, cork))
        self._timer = self.loop.call_later(self._limits.head_seconds, self._end_late_head)
        self._active_at = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self.drop_held()
        self.whole = None
        super().connection_lost(exc)
        if self.transport.when_lost is not None:
            when_lost, self.transport.when_lost = self.transport.when_lost, None
            when_lost()
        self._unset_keepalive_if_required()  # which uvicorn leaves after a reset: it would keep the request for 75 s
        self._stop_timer()
        if self._had_large_head or self._before > LARGE_HEAD:
            LARGE_BODIES.trim_soon()
        self._waiting = b""
        if self._reader_timer is not None:
            self._reader_timer.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether no request is running; an incomplete head does not count."""
        return not self._is_in_body and self.whole is None and (self.cycle is None or self.cycle.response_complete)

    def idle_since(self) -> float:
        """When an idle connection became idle, in seconds of the loop's clock."""
        return self._active_at if self._timer is None else self._timer.when() - self._limits.head_seconds

    def timeout_keep_alive_handler(self) -> None:
        """The only timer of an idle connection looks whether it was idle for all of its time; else it starts again."""
        self.timeout_keep_alive_task = None
        if self.is_idle:  # else the end of the response starts it
            rest = self._active_at + self.timeout_keep_alive - self.loop.time()
            if rest <= 0 and self._timer is None:
                super().timeout_keep_alive_handler()
            else:
                self.await_next(max(rest, 1.0))

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._active_at = self.loop.time()
        if self._waiting:
            data = self._waiting + data
            self._waiting = b""
        if len(data) > PIECE or (self.cycle is not None and self._must_wait()):
            self._parse_in_pieces(data)
        elif again := self._parse(data):
            self._parse_in_pieces(again)
        elif self.is_held:
            self.gather()

    def _must_wait(self) -> bool:
        """Whether this data is the next request while the last response is incomplete."""
        return not (self._is_in_body or self.cycle is None or self.cycle.response_complete)

    def _parse_in_pieces(self, data: bytes) -> None:
        at = 0
        while at < len(data) and not self._is_deaf:
            if self._must_wait():
                self._waiting = data[at:]
                if len(self._waiting) > READ_AHEAD:
                    self.flow.pause_reading()
                return
            piece = memoryview(data)[at : at + (self._body_piece() if self._is_in_body else _head_piece(data, at))]
            at += len(piece)
            again = self._parse(piece)
            if again:
                data, at = again + data[at:], 0
        if self.is_held:
            self.gather()

    def _body_piece(self) -> int:
        """How much of a body to parse at once: all of it, if its length is known."""
        size = self.fields.get("content-length")
        return BODY_PIECE if size is None else max(int(size) - self._body_received, 1)

    def _parse(self, piece: bytes | memoryview) -> bytes:
        """Parses data; returns what to parse again: a request without its upgrade offer."""
        self._has_ended = False
        self._before += len(piece)
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            if "upgrade" not in self.fields:  # CONNECT asks for a tunnel; parsed again, it would do so again
                self._refuse(HTTPStatus.BAD_REQUEST, NO_PROXY)
                return b""
            return self._without_offer() + bytes(piece[offer.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLargeError):
                self._refuse_head_size()
            else:
                ours = error.__context__  # of a callback; the parser says only that it failed
                self._refuse(HTTPStatus.BAD_REQUEST, str(ours if isinstance(ours, ValueError) else error))
            return b""
        if self._is_in_body or self._is_begun or not self._has_ended:
            if self._before > self._limits.head_bytes or len(self.headers) > MAX_FIELDS:
                self._refuse_head_size()
            elif self._timer is None and not self._is_in_body:
                self._timer = self.loop.call_later(self._limits.head_seconds, self._end_late_head)
        return b""

    def on_message_begin(self) -> None:
        if self.whole is not None:
            self.answer_now()
        self._is_begun = True
        self.url, self.headers = b"", []
        self.expect_100_continue = False  # and no scope, which uvicorn makes here

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))  # `begin_conversation` writes the names in lower case

    def on_headers_complete(self) -> None:
        if self._before > self._usual_head:
            self._check_head_size()
        if len(self.headers) > MAX_FIELDS:
            raise _HeadTooLargeError
        if self._timer is not None:
            self._stop_timer()
        self._before = self._body_received = 0
        self._is_begun, self._is_in_body = False, True
        self.fields = fields = parse_fields(self.headers)
        if "expect" in fields or self.url[:1] != b"/":
            self._begin_unusual_request()
        else:
            self.hold_or_begin()

    def _check_head_size(self) -> None:
        """Raises _HeadTooLargeError; the data that was parsed may be more than the head."""
        if self._before > self._limits.head_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._limits.head_bytes:
                raise _HeadTooLargeError
        if self._before > LARGE_HEAD:
            self._had_large_head = True

    def on_body(self, body: bytes) -> None:
        self._before = 0
        self._body_received += len(body)
        if self.is_held:
            self.parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._before, self._is_begun, self._is_in_body = 0, False, False
        self._has_ended = True
        if self.is_held:
            self.complete_held()
            return
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete and not self.parser.should_upgrade():
            self._stop_timer()  # the rest of a body was skipped
            self._unset_keepalive_if_required()
            self.await_next(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._active_at = self.loop.time()
        if not (self._is_in_body or self._waiting) or self.transport.is_closing():
            return
        if self._is_in_body and not self.pipeline and self._timer is None:
            self._timer = self.loop.call_later(self._limits.body_seconds, self.transport.close)
        if self._waiting and not self.pipeline:
            data, self._waiting = self._waiting, b""
            self._unset_keepalive_if_required()
            self._parse_in_pieces(data)

    def shutdown(self) -> None:
        self.release_held()
        self.answer_now()
        self._waiting = b""
        self.transport.end()
        super().shutdown()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None

    def _should_upgrade(self) -> bool:
        """Keeps uvicorn from handling an upgrade; the request is parsed again without its offer."""
        return True

    def _without_offer(self) -> bytes:
        """The head of the current request without its upgrade offer. The parser, which has stopped, is reset."""
        self._before, self._is_begun, self._is_in_body = 0, False, False
        line = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        headers = []
        for name, value in [(name.lower(), value) for name, value in self.headers]:
            if name == b"connection":
                kept = b", ".join(each for each in map(bytes.strip, value.split(b",")) if each.lower() != b"upgrade")
                if kept:
                    headers.append(b"connection: %s\r\n" % kept)
            elif name != b"upgrade":
                headers.append(b"%s: %s\r\n" % (name, value))
        return b"".join([line, *headers, b"\r\n"])

    def _begin_unusual_request(self) -> None:
        """A target that is no path, or an `Expect` header, which HTTP/1.0 does not know."""
        expected = None if self.parser.get_http_version() == "1.0" else self.fields.get("expect")
        self.expect_100_continue = expected is not None and expected.strip().lower() == "100-continue"
        app: App | None = None
        if self.url == b"*" and self.parser.get_method() == b"OPTIONS":
            app = server_options
        elif expected is not None and not self.expect_100_continue:
            app = expectation_failed
        if b"://" in self.url and self.url[:1] != b"/":
            path = self.url.partition(b"://")[2]
            at = min((n for n in (path.find(mark) for mark in (b"/", b"?")) if n >= 0), default=len(path))
            self.url = path[at:] if path[at : at + 1] == b"/" else b"/" + path[at:]
        elif self.url[:1] != b"/" and app is not server_options:
            raise ValueError(NO_PROXY if self.parser.get_method() == b"CONNECT" else NO_TARGET)
        self.begin_conversation(app)

    def _end_late_head(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._before or self._is_begun:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, f"No head within {self._limits.head_seconds:g} seconds.")
        else:  # a client's spare connection: it has sent no request, so it gets no response
            self.transport.close()

    def _refuse_head_size(self) -> None:
        detail = f"The head has more than {self._limits.head_bytes} bytes (setting --max-head)."
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Responds to data that cannot be parsed, and closes the connection after the running responses."""
        self.answer_now()
        if (left_out := _invalid_requests.note()) is not None:
            client = "{}:{}".format(*self.client) if self.client else "a client"
            more = f"; {left_out} more before it" if left_out else ""
            _log.warning("invalid HTTP request from %s: %s (%d)%s", client, detail, status, more)
        self._is_deaf = True
        self._waiting = b""
        self._stop_timer()
        if self.cycle is not None and not self.cycle.response_complete:
            if not self._is_in_body:
                self.cycle.keep_alive = False  # the last of the running ones
                return
            self.cycle.disconnected = True  # the rest of its body will not arrive
            self.cycle.message_event.set()
            if self.pipeline or self.cycle.response_started:
                self.transport.close()
                return
        body = orjson.dumps({"type": "about:blank", "title": status.phrase, "status": status, "detail": detail[:500]})
        lines = [
            f"HTTP/1.1 {status.value} {status.phrase}".encode(),
            *(b"%s: %s" % header for header in self.server_state.default_headers),
            b"content-type: application/problem+json",
            b"content-length: %d" % len(body),
            b"connection: close",
        ]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.finish(LINGER)

    def _make_room(self) -> None:
        """Close the longest idle connections, or this one if all others are busy."""
        kept = [it for it in self.connections if isinstance(it, NoUpgradeProtocol) and not it.transport.is_closing()]
        if len(kept) <= self._limits.connections:
            return  # those that are closing make room
        idle = sorted((each for each in kept if each is not self and each.is_idle), key=NoUpgradeProtocol.idle_since)
        for each in idle[: len(idle) // CLOSED_SHARE + 1]:
            each.transport.close()
        if not idle:
            detail = f"There are {self._limits.connections} connections (setting --max-connections)."
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, detail)

    def _watch_reader(self) -> None:
        if self._reader_timer is None:
            size = self.transport.get_write_buffer_size()
            self._reader_timer = self.loop.call_later(self._limits.send_seconds, self._look_at_reader, size)

    def _look_at_reader(self, before: int) -> None:
        self._reader_timer = None
        if before - self.transport.get_write_buffer_size() < LEAST_READ:
            self.transport.abort()
        else:
            self._watch_reader()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _head_piece(data: bytes, at: int) -> int:
    """How much to parse at once while no body is read: to the end of a head, so that a body is not cut at its begin."""
    end = data.find(b"\r\n\r\n", at, at + PIECE)
    return PIECE if end < 0 else end + 4 - at
