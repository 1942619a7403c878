"""The ways into a server's admin API: over a socket, or straight into an ASGI app of this process."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from mockserver.redaction import shown_path
from mockserver.text import format_dotted

JsonObject = dict[str, Any]
"""A JSON object as the server sent it."""
MAX_MESSAGE = 20
"""Violations in the text of an error; `violations` has them all."""
_GONE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class AdminError(Exception):
    """An admin call that was refused, or that could not be made."""

    def __init__(self, call: str, status: int, detail: str, violations: Sequence[Mapping[str, Any]] = ()) -> None:
        """`call` is the method and path that were asked."""
        told = [_format_error(each) for each in violations[:MAX_MESSAGE] if str(each.get("message")) not in detail]
        more = [f"and {len(violations) - MAX_MESSAGE} more"] if len(violations) > MAX_MESSAGE else []
        super().__init__("\n  ".join([f"{call}: {status or 'no answer'}: {detail}", *told, *more]))
        self.status = status
        """0 when there was no answer."""
        self.detail = detail
        self.violations = tuple(violations)


class Answer(NamedTuple):
    status: int
    media_type: str
    body: bytes


class AdminCaller:
    """Whoever can ask an admin verb."""

    __slots__ = ()  # here and below: an assignment to a misspelt name is an error, and no knob that turns nothing

    def ask(self, verb: str, body: Any = None, *, path: Mapping[str, str] = {}, **query: Any) -> JsonObject:
        """The answer of a verb, named as the README names it; what is None in the query is left out."""
        raise NotImplementedError


class Transport(Protocol):
    """What takes one request and brings its answer; raises AdminError when there is none."""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer: ...

    def close(self) -> None: ...


class HttpTransport:
    """One kept connection, which threads share in turns."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        """`url` is the server's; raises ValueError when it is none."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"the server's URL is {url!r}; wanted http://HOST:PORT")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._prefix = parts.path.rstrip("/")
        self._turn = threading.Lock()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self._turn:
            try:
                return self._exchange(method, target, headers, body)
            except (OSError, HTTPException) as error:
                self._connection.close()
                raise AdminError(f"{method} {shown_path(target)}", 0, f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        was_open = self._connection.sock is not None
        try:
            return self._once(method, target, headers, body)
        except _GONE:
            # The server may close what was idle, just when it is used again: nothing was done then.
            self._connection.close()
            if not was_open:
                raise
            return self._once(method, target, headers, body)

    def _once(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self._connection.request(method, self._prefix + target, body or None, dict(headers))
        response = self._connection.getresponse()
        return Answer(response.status, response.headers.get("content-type", ""), response.read())


App = Callable[[Any, Any, Any], Awaitable[None]]


class AsgiTransport:
    """Calls an ASGI app of this process, on a loop of its own, so that it may be used inside a running loop."""

    def __init__(self, app: App, host: str = "127.0.0.1") -> None:
        self._app = app
        self._host = host
        self._thread: ThreadPoolExecutor | None = None

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mockserver-door")
        return self._thread.submit(asyncio.run, self._exchange(method, target, headers, body)).result()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    async def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        status, media_type, parts, sent = 0, "", [], False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()  # this client never leaves
            sent = True
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, media_type
            if message["type"] == "http.response.start":
                status = message["status"]
                media_type = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
            elif message["type"] == "http.response.body":
                parts.append(message.get("body", b""))

        await self._app(self._scope(method, target, headers), receive, send)
        return Answer(status, media_type, b"".join(parts))

    def _scope(self, method: str, target: str, headers: Mapping[str, str]) -> dict[str, Any]:
        path, query = (urlsplit(target)[i] for i in (2, 3))
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", self._host.encode()), *raw],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 80),
        }


def read_answer(call: str, answer: Answer) -> Any:
    """The value of a good answer: JSON, or text where it is none; raises AdminError for any other."""
    __tracebackhide__ = True  # a test that fails shows its own line
    is_json = answer.media_type.partition(";")[0].endswith("json")
    try:
        value = json.loads(answer.body) if is_json else answer.body.decode("utf-8", "replace")
    except ValueError as error:
        raise AdminError(call, answer.status, f"the answer is not JSON: {answer.body[:200]!r}") from error
    if 200 <= answer.status < 300:
        return value
    if isinstance(value, dict):
        raise AdminError(call, answer.status, _error_message(value), value.get("violations", ()))
    raise AdminError(call, answer.status, str(value)[:500])


def _error_message(value: Mapping[str, Any]) -> str:
    """What an answer says: as a problem, or in the envelope of an API, where the server's address has a path in it."""
    error = value.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(value.get("detail", message or value))


def _format_error(violation: Mapping[str, Any]) -> str:
    return f"{format_dotted(violation.get('location', ()))}: {violation.get('message', violation)}"
