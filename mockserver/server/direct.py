"""Answers most requests inside the protocol's callback, without an ASGI conversation.

An ASGI conversation (a task, an event, a scope, two messages) costs as much as all else that happens to a small
request. A request needs none if its message is whole and the application can answer it at once. So:

- When a head is complete and nothing speaks against it (see `_may_be_direct`), the request is *held*: its body is
  gathered here. When its message is complete, the application is asked for the response (`AnswersAtOnce.respond`).
- If it has one that is plain bytes, the response is written as uvicorn would write it. If the response needs a
  conversation (a delay, a fault, a stream, an unusual header), one is begun that only delivers it.
- If the application declines, the request becomes the conversation that it would have been, and what was read is
  replayed. The same happens to a body that is not whole within GATHER_SECONDS, so all bounds on slow bodies hold.

Nothing is written in the callback. The answers of one round of the event loop go out together, by one `call_soon`
(`PendingWrites`): written one by one, each would wake its client, whose next request would then come alone.

With a shared store an answer is not written before what its request has changed is committed (`GroupedAnswers`). One
commit for many requests takes little longer than one for each, so it waits while rounds of the loop bring further
requests. If the commit fails, each of its requests becomes a conversation.

A connection gets one direct answer in a round of the loop. A request behind it takes the ASGI way, and what is behind
that one waits, so a client that pipelines thousands of requests delays no other client and fills no memory.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, Protocol, cast, runtime_checkable

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mockserver.http import EMPTY_STATUSES, Request, Response
from mockserver.percent import unquote
from mockserver.server.socket import CoalescingTransport
from mockserver.stores import GroupCommit, Ticket
from mockserver.web.answers.space import SMALL_BYTES
from mockserver.web.fault_delivery import TRANSPORT
from mockserver.web.scopes import decode_text, origin_of

GATHER_SECONDS = 0.02
"""How long a body may take to become whole before its request becomes a conversation."""

MAX_GROUP, GROUP_SECONDS = 64, 0.002
"""Answers whose requests are committed together, and the longest wait for further ones."""
MAX_STARTS = 1000
"""The most heads of responses that are kept."""
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})

App = Callable[..., Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


@runtime_checkable
class AnswersAtOnce(Protocol):
    """An application that may answer without an ASGI conversation."""

    @property
    def max_direct_body(self) -> int:
        """The most bytes of a body that it answers at once."""

    def respond(self, request: Request) -> Response | None:
        """The response; None, with nothing done, if the request needs a conversation."""

    @property
    def group(self) -> GroupCommit | None:
        """Commits what `respond` has changed, and the response waits for; None if nothing has to be committed."""

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


class ResponseEncoder:
    """Encodes responses as uvicorn sends them, for all connections of a server."""

    def __init__(self, app: AnswersAtOnce) -> None:
        self.app = app
        self.grouped = GroupedAnswers(app.group) if app.group is not None else None
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
        lines = []
        if response.headers:
            lines = [(_line_starts.get(name) or _add_line_start(name)) + value for name, value in response.headers]
            text = "".join(lines)
            if not (text.isascii() and text.isprintable()):
                return None
        if status in EMPTY_STATUSES:
            body = b""
        if status != 204:
            lines.append(f"content-length: {len(body)}")
        rest = "\r\n".join([*lines, "", ""]).encode()
        return start + rest if only_head else start + rest + body

    def _add_start(self, key: tuple[int, str, str], defaults: Headers) -> bytes:
        if self._defaults is not defaults or len(self._starts) >= MAX_STARTS:
            self._starts, self._defaults = {}, defaults
        headers = (*defaults, *self.app.standing_headers(*key[1:]))
        start = self._starts[key] = b"".join([STATUS_LINE[key[0]], *(b"%b: %b\r\n" % header for header in headers)])
        return start


class GroupedAnswers:
    """Connections whose answers wait for a commit, which is one for all of them."""

    def __init__(self, group: GroupCommit) -> None:
        self.group = group
        self._waiting: list[DirectProtocol] = []
        self._looked_at = 0
        """How many they were after the last round of the loop."""
        self._since = 0.0

    def add(self, connection: "DirectProtocol") -> None:
        """Commit soon, and call the connection then."""
        if not self._waiting:
            self._since, self._looked_at = perf_counter(), 0
            connection.loop.call_soon(self._look)
        self._waiting.append(connection)

    def commit(self) -> None:
        """Commit now; the answers are written at the end of this round."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.group.commit()
            for each in waiting:
                each.commit_ended()

    def _look(self) -> None:
        """Commit, unless the last round of the loop has brought more requests: then the next one may do so, too."""
        size = len(self._waiting)
        if self._looked_at < size < MAX_GROUP and perf_counter() - self._since < GROUP_SECONDS:
            self._looked_at = size
            self._waiting[0].loop.call_soon(self._look)
        elif self._waiting:
            first = self._waiting[0]
            self.commit()
            first.transport.send_all()


class DirectProtocol(HttpToolsProtocol):
    """One connection; see the module."""

    transport: CoalescingTransport  # type: ignore[assignment]

    def __init__(self, *given: Any, encoder: ResponseEncoder | None = None, **named: Any) -> None:
        """Without an encoder, every request becomes a conversation."""
        super().__init__(*given, **named)
        self._encoder = encoder
        self.is_held = False
        """Whether a request is held."""
        self.fields: dict[str, str] = {}
        """The headers of the current request; of a repeated one the last counts."""
        self._path = self._query = self._origin = ""
        self.parts: list[bytes] = []
        """Path, query, origin and pieces of the body of the held request."""
        self._gather_timer: asyncio.TimerHandle | None = None
        self._awaited: tuple[Ticket, bytes | App] | None = None
        """The commit that the answer to the held request waits for, and the answer or what delivers it."""

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

    def release_held(self, app: App | None = None) -> None:
        """Make the held request, if there is one, a conversation, and replay what was read of its body."""
        if self.is_held:
            parts = self.parts
            self.drop_held()
            self.begin_conversation(app)
            for part in parts:
                super().on_body(part)

    def drop_held(self) -> None:
        """Forget the held request: it is answered, or its connection is lost."""
        self.is_held = False
        self._awaited = None
        self.parts = []
        if self._gather_timer is not None:
            self._gather_timer.cancel()
            self._gather_timer = None

    def gather(self) -> None:
        """The received data ends within the body of the held request: wait if it is small, else release."""
        stated = self.fields.get("content-length", "")
        if self._encoder is None or not stated.isdigit() or int(stated) > self._encoder.app.max_direct_body:
            self.release_held()
        elif self._gather_timer is None:
            self._gather_timer = self.loop.call_later(GATHER_SECONDS, self.release_held)

    def _may_be_direct(self) -> bool:
        cycle, parser, transport = self.cycle, self.parser, self.transport
        return not (
            self._encoder is None
            or (cycle is not None and not cycle.response_complete)
            or transport.parts
            or self.flow.write_paused
            or "transfer-encoding" in self.fields
            or parser.should_upgrade()
            or not parser.should_keep_alive()
            or ("connection" in self.fields and parser.get_http_version() != "1.1")  # 1.0 needs it to stay open
            or transport.is_closing()
        )

    def answer_held(self) -> bool:
        """The message of the held request is complete: answer or release it; returns whether it is answered."""
        assert self._encoder is not None
        app, parts = self._encoder.app, self.parts
        method, body = decode_text(self.parser.get_method()), parts[0] if len(parts) == 1 else b"".join(parts)
        origin = self._origin or self._find_origin()
        response = app.respond(Request(method, self._path, self._query, self.fields, body, origin))
        if response is None:
            self.release_held()
            return False
        data = self._encoder.encode(response, self.server_state.default_headers, only_head=method == "HEAD")
        grouped = self._encoder.grouped
        if grouped is not None and grouped.group.latest is not None:
            self._await_commit(grouped, grouped.group.latest, app.deliverer(response) if data is None else data)
            return True
        if data is None:
            self.release_held(app.deliverer(response))
            return False
        self.drop_held()
        self.server_state.total_requests += 1
        self.transport.write(data)
        return True

    def _await_commit(self, grouped: GroupedAnswers, ticket: Ticket, answer: bytes | App) -> None:
        """Hold the request further: its answer waits for a commit."""
        parts = self.parts
        self.drop_held()
        self.parts, self._awaited = parts, (ticket, answer)
        grouped.add(self)

    @property
    def is_awaiting(self) -> bool:
        """Whether an answer waits for a commit."""
        return self._awaited is not None

    def commit_awaited(self) -> None:
        """Commit at once what an answer waits for."""
        if self._awaited is not None and self._encoder is not None and self._encoder.grouped is not None:
            self._encoder.grouped.commit()

    def end_held(self) -> None:
        """Answer the held request as soon as possible: it will not be held any more."""
        self.commit_awaited()
        self.release_held()

    def commit_ended(self) -> None:
        """The commit is done or has failed: answer the request, or begin its conversation."""
        if self._awaited is None:  # the connection is lost
            return
        ticket, answer = self._awaited
        if ticket.is_committed and isinstance(answer, bytes):
            self.drop_held()
            self.server_state.total_requests += 1
            self.transport.write(answer)
            return
        self._awaited, self.is_held = None, True
        self.release_held(answer if ticket.is_committed and not isinstance(answer, bytes) else None)
        super().on_message_complete()

    def _find_origin(self) -> str:
        host, port = self.server or ("127.0.0.1", None)
        self._origin = origin_of(self.scheme or "http", host, port or 4024)
        return self._origin
