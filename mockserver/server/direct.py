"""Answers most requests inside the protocol's callback, without an ASGI conversation.

An ASGI conversation (a task, an event, a scope, two messages) costs as much as all else that happens to a small
request. A request needs none if its message is whole and the application can answer it at once. So:

- When a head is complete and nothing speaks against it (see `_may_be_direct`), the request is *held*: its body is
  gathered here. When its message is complete, it is *whole*.
- At the end of the event loop's round the application is asked for the responses to all whole requests
  (`AnswersAtOnce.respond`).
- If it has one that is plain bytes, the response is written as uvicorn would write it. If the response needs a
  conversation (a delay, a fault, a stream, an unusual header), one is begun that only delivers it.
- If the application declines, the request becomes the conversation that it would have been, and what was read is
  replayed. The same happens to a body that is not whole within GATHER_SECONDS, so all bounds on slow bodies hold.

A round has five steps: parse what all connections have received, prepare all requests (operation, credential, small
JSON bodies), make all responses, encode them, send them. Each step's code and data then stay in the processor's caches,
which saves a fourth of the time; and no client that got its response interrupts the others with its next request.

With a shared store, no response is sent before what its request has changed is committed. One commit for many requests
takes little longer than one for each, so it waits while rounds bring further requests. If it fails, the requests become
conversations.

A connection gets one direct answer in a round of the loop. A request behind it takes the ASGI way, and what is behind
that one waits, so a client that pipelines thousands of requests delays no other client and fills no memory.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mockserver.engine.prepared import PreparedRequest
from mockserver.http import EMPTY_STATUSES, Request, Response
from mockserver.lazy import lazy_pattern
from mockserver.percent import unquote
from mockserver.server.socket import CoalescingTransport
from mockserver.stores import GroupCommit
from mockserver.web.answers.space import SMALL_BYTES
from mockserver.web.scopes import TRANSPORT, decode_text, origin_of

GATHER_SECONDS = 0.02
"""How long a body may take to become whole before its request becomes a conversation."""

WAITING_BYTES = 16 * 1024
"""A larger body does not wait for the end of the round, so that few of them are in memory."""

PREPARED_TOGETHER, PREPARED_BYTES = 64, 4 * 1024
"""The most requests that are prepared before the responses to them are made, and the most bytes of each body."""

MAX_GROUP = 64
"""Requests that are committed together without a look for more."""

MAX_STARTS = 1000
"""The most heads of responses that are kept."""
_TOKEN = lazy_pattern(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_CONTROLS = bytes([*range(32), 127])
"""Characters that no header may have: what has more of them than its line ends needs a conversation."""
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})

_log = logging.getLogger("mockserver")

App = Callable[..., Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


class AnswersAtOnce(Protocol):
    """An application that may answer without an ASGI conversation."""

    @property
    def max_direct_body(self) -> int:
        """The most bytes of a body that it answers at once."""

    @property
    def responds(self) -> bool:
        """Whether `respond` may have responses; else every request needs a conversation."""

    def prepare(self, request: Request) -> PreparedRequest | None:
        """What a request says of itself, for `respond`; None where that has to find it out. Changes nothing."""

    def respond(self, request: Request, prepared: PreparedRequest | None = None) -> Response | None:
        """The response; None, with nothing done, if the request needs a conversation."""

    @property
    def group(self) -> GroupCommit | None:
        """Commits what `respond` has changed, which a response waits for; None if nothing has to be committed."""

    def standing_headers(self, media_type: str, source: str) -> Headers:
        """The headers of every response with this media type and source."""

    def deliverer(self, response: Response) -> App:
        """An ASGI application that delivers this response."""


_line_starts: dict[str, str] = {}
"""The starts of header lines by name; those of headers that need a conversation are not printable."""


def _add_line_start(name: str) -> str:
    if len(_line_starts) >= MAX_STARTS:
        _line_starts.clear()
    lower = name.lower()
    start = _line_starts[name] = f"{lower}: " if _TOKEN.fullmatch(lower) and lower not in _FRAMING else "\0"
    return start


def _encode_fields(headers: Sequence[tuple[str, str]]) -> bytes | None:
    """The lines of the headers; None if one of them needs a conversation."""
    try:
        lines = [_line_starts[name] + value for name, value in headers]
    except KeyError:
        lines = [(_line_starts.get(name) or _add_line_start(name)) + value for name, value in headers]
    lines.append("")
    text = "\r\n".join(lines)
    if not text.isascii():
        return None
    fields = text.encode("ascii")
    return fields if len(fields.translate(None, _CONTROLS)) == len(fields) - 2 * len(lines) + 2 else None


class ResponseEncoder:
    """Encodes responses as uvicorn sends them, for all connections of a server."""

    def __init__(self, app: AnswersAtOnce) -> None:
        self.app = app
        self._starts: dict[tuple[int, str, str], bytes] = {}
        """Status line and standing headers by status, media type and source."""
        self._defaults: Headers = ()
        """The default headers in them; they change each second."""

    def encode(self, response: Response, defaults: Headers, *, only_head: bool) -> bytes | None:
        """The response with these headers first; None if it needs a conversation."""
        body, status = response.body, response.status
        if not isinstance(body, bytes) or len(body) > SMALL_BYTES or response.delay or response.disturbance is not None:
            return None
        key = (status, response.media_type, response.source)
        start = self._starts.get(key) if self._defaults is defaults else None
        if start is None:
            if status not in STATUS_LINE:
                return None
            start = self._add_start(key, defaults)
        if response.headers:
            fields = _encode_fields(response.headers)
            if fields is None:
                return None
            start += fields
        if status in EMPTY_STATUSES:
            body = b""
        end = b"content-length: %d\r\n\r\n" % len(body) if status != 204 else b"\r\n"
        return start + end if only_head else start + end + body

    def _add_start(self, key: tuple[int, str, str], defaults: Headers) -> bytes:
        if self._defaults is not defaults or len(self._starts) >= MAX_STARTS:
            self._starts, self._defaults = {}, defaults
        headers = (*defaults, *self.app.standing_headers(*key[1:]))
        start = self._starts[key] = b"".join([STATUS_LINE[key[0]], *(b"%b: %b\r\n" % header for header in headers)])
        return start


class DirectAnswers:
    """Answers the whole requests of all connections of a server, at the end of each round of the event loop."""

    def __init__(self, app: AnswersAtOnce) -> None:
        self.app = app
        self.encode = ResponseEncoder(app).encode
        self._group = app.group
        self._waiting: list[DirectProtocol] = []
        self._looked_at = 0
        """How many requests were waiting after the last round."""

    def add(self, connection: "DirectProtocol") -> None:
        """Answer the connection's whole request at the end of this round."""
        if not self._waiting:
            connection.loop.call_soon(self._answer)
        self._waiting.append(connection)

    def respond(self, request: Request) -> Response | None:
        """The response; None if the request needs a conversation."""
        if not self.app.responds:
            return None
        response = self._respond(request)
        if self._group is not None:
            ticket = self._group.latest
            self._group.commit()
            return response if ticket is None or ticket.is_committed else None
        return response

    def _respond(self, request: Request, prepared: PreparedRequest | None = None) -> Response | None:
        try:
            return self.app.respond(request, prepared)
        except Exception:  # which the conversation meets again, where it harms no other connection
            return None

    def _answer(self) -> None:
        if self._group is not None and self._looked_at < len(self._waiting) < MAX_GROUP:
            self._looked_at = len(self._waiting)  # the next round may bring more for the same commit
            self._waiting[0].loop.call_soon(self._answer)
            return
        waiting, self._waiting, self._looked_at = self._waiting, [], 0
        encoded = []
        for connection, response in self._responses(waiting):
            try:
                encoded.append((connection.transport, connection.answer_whole(response)))
            except Exception:  # which ends only its own connection
                _log.exception("a response could not be sent")
                connection.transport.abort()
        for transport, data in encoded:
            if data is not None:
                transport.send(data)

    def _responses(self, waiting: Sequence["DirectProtocol"]) -> list[tuple["DirectProtocol", Response | None]]:
        if not self.app.responds:
            return [(each, None) for each in waiting if each.whole is not None]
        if self._group is None:
            return [(each, self._respond(*given)) for each, given in self._prepared(waiting)]
        return self._committed_responses(self._group, waiting)

    def _prepared(
        self, waiting: Sequence["DirectProtocol"]
    ) -> Iterator[tuple["DirectProtocol", tuple[Request, PreparedRequest | None]]]:
        """The whole requests of these connections, prepared if there are several."""
        for start in range(0, len(waiting), PREPARED_TOGETHER):
            some = [each for each in waiting[start : start + PREPARED_TOGETHER] if each.whole is not None]
            prepare = self._prepare if len(some) > 1 else _prepare_nothing
            yield from [(each, (each.whole, prepare(each.whole))) for each in some if each.whole is not None]

    def _prepare(self, request: Request) -> PreparedRequest | None:
        if len(request.body) > PREPARED_BYTES:
            return None
        try:
            return self.app.prepare(request)
        except Exception:  # which `respond` meets again
            return None

    def _committed_responses(
        self, group: GroupCommit, waiting: Sequence["DirectProtocol"]
    ) -> list[tuple["DirectProtocol", Response | None]]:
        """The responses, after one commit for all of them; None where it failed."""
        found = []
        for each, given in self._prepared(waiting):
            found.append((each, self._respond(*given), group.latest))
        group.commit()
        return [(each, answer if ticket is None or ticket.is_committed else None) for each, answer, ticket in found]


def _prepare_nothing(_request: Request) -> None:
    """A request is prepared in its turn."""


class DirectProtocol(HttpToolsProtocol):
    """One connection; see the module."""

    transport: CoalescingTransport  # type: ignore[assignment]

    def __init__(self, *given: Any, direct: DirectAnswers | None = None, **named: Any) -> None:
        """`direct` is shared by the connections of a server. Without it, every request becomes a conversation."""
        super().__init__(*given, **named)
        self._direct = direct
        self.is_held = False
        """Whether a request is held that is not whole yet."""
        self.whole: Request | None = None
        """The held request when it is whole, until the end of the round."""
        self.fields: dict[str, str] = {}
        """The headers of the current request; of a repeated one the last counts."""
        self._path = self._query = self._origin = ""
        self.parts: list[bytes] = []
        """Path, query, origin and pieces of the body of the held request."""
        self._gather_timer: asyncio.TimerHandle | None = None

    def hold_or_begin(self) -> None:
        """The head is complete: hold the request, or begin its conversation."""
        if not self._may_be_direct():
            self.begin_conversation()
            return
        target = httptools.parse_url(self.url)
        path, query = target.path.decode("ascii"), target.query
        self._path = unquote(path) if "%" in path else path
        self._query = query.decode("latin-1") if query else ""
        self.is_held = True

    def begin_conversation(self, app: App | None = None) -> None:
        """Begin the ASGI conversation of the current request; `app` replaces the application for it."""
        url, expects, usual = self.url, self.expect_100_continue, self.app
        headers = [(name.lower(), value) for name, value in self.headers]
        super().on_message_begin()  # makes the scope
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers.copy()  # Trailers are no headers, but the parser would add them.
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]  # an entry of our own
        self.app = cast(Any, app) or usual
        try:
            super().on_headers_complete()
        finally:
            self.app = usual

    def release_held(self) -> None:
        """Make the held request, if there is one, a conversation, and replay what was read of its body."""
        if self.is_held:
            parts = self.parts
            self.drop_held()
            self.begin_conversation()
            for part in parts:
                super().on_body(part)

    def drop_held(self) -> None:
        """Forget the held request: it is whole, or its connection is lost."""
        self.is_held = False
        self.parts = []
        if self._gather_timer is not None:
            self._gather_timer.cancel()
            self._gather_timer = None

    def gather(self) -> None:
        """The received data ends within the body of the held request: wait if it is small, else release."""
        stated = self.fields.get("content-length", "")
        if self._direct is None or not stated.isdigit() or int(stated) > self._direct.app.max_direct_body:
            self.release_held()
        elif self._gather_timer is None:
            self._gather_timer = self.loop.call_later(GATHER_SECONDS, self.release_held)

    def _may_be_direct(self) -> bool:
        cycle, parser, transport = self.cycle, self.parser, self.transport
        return not (
            self._direct is None
            or (cycle is not None and not cycle.response_complete)
            or transport.parts
            or self.flow.write_paused
            or "transfer-encoding" in self.fields
            or parser.should_upgrade()
            or not parser.should_keep_alive()
            or ("connection" in self.fields and parser.get_http_version() != "1.1")  # 1.0 needs it to stay open
            or transport.is_closing()
        )

    def complete_held(self) -> None:
        """The message of the held request is complete."""
        assert self._direct is not None
        parts = self.parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        method = decode_text(self.parser.get_method())
        self.drop_held()
        origin = self._origin or self._find_origin()
        self.whole = Request(method, self._path, self._query, self.fields, body, origin)
        if len(body) > WAITING_BYTES:
            self.answer_now()
        else:
            self._direct.add(self)

    def answer_now(self) -> None:
        """Answer the whole request, if there is one, before the end of the round: more data follows it."""
        if self.whole is not None and self._direct is not None:
            data = self.answer_whole(self._direct.respond(self.whole))
            if data is not None:
                self.transport.write(data)

    def answer_whole(self, response: Response | None) -> bytes | None:
        """The encoded response to the whole request; None after the beginning of a conversation."""
        request, direct = self.whole, self._direct
        assert request is not None and direct is not None
        self.whole = None
        if response is None:
            self._replay(request, None)
            return None
        data = direct.encode(response, self.server_state.default_headers, only_head=request.method == "HEAD")
        if data is None:
            self._replay(request, direct.app.deliverer(response))
            return None
        self.server_state.total_requests += 1
        if self.timeout_keep_alive_task is None:
            self.await_next(self.timeout_keep_alive)
        return data

    def await_next(self, seconds: float) -> None:
        """Call `timeout_keep_alive_handler` after so long."""
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _replay(self, request: Request, app: App | None) -> None:
        """Make a whole request a conversation."""
        self.begin_conversation(app)
        if request.body:
            super().on_body(request.body)
        super().on_message_complete()

    def _find_origin(self) -> str:
        host, port = self.server or ("127.0.0.1", None)
        self._origin = origin_of(self.scheme or "http", host, port or 4024)
        return self._origin
