"""Transports to a server's admin API: HTTP, or an ASGI app in this process."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException, HTTPSConnection, RemoteDisconnected
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Never, Protocol
from urllib.parse import unquote, urlsplit

from mockserver.redaction import shown_path
from mockserver.text import format_dotted, nearest

JsonObject = dict[str, Any]
"""A JSON object as the server sent it."""
MAX_MESSAGE = 20
"""The most violations in an error's text; `violations` has all."""
_GONE = (RemoteDisconnected, BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class AdminError(Exception):
    """An admin call that was rejected or could not be sent."""

    def __init__(self, call: str, status: int, detail: str, violations: Sequence[Mapping[str, Any]] = ()) -> None:
        """`call` is the method and path."""
        told = [_format_error(each) for each in violations[:MAX_MESSAGE] if str(each.get("message")) not in detail]
        more = [f"and {len(violations) - MAX_MESSAGE} more"] if len(violations) > MAX_MESSAGE else []
        super().__init__("\n  ".join([f"{call}: {status or 'no answer'}: {detail}", *told, *more]))
        self.status = status
        """0 without a response."""
        self.detail = detail
        self.violations = tuple(violations)


class Answer(NamedTuple):
    status: int
    media_type: str
    body: bytes


class CheckedAttributes:
    """Reading or assigning a misspelt attribute raises AttributeError, whose message has the nearest name.

    The classes below have `__slots__`: they cannot get attributes that the class does not declare.
    """

    __slots__ = ()
    _noun: ClassVar[str]
    """What messages call the object."""

    if not TYPE_CHECKING:  # type checkers know the names themselves, and would accept every one

        def __getattr__(self, name: str) -> Never:
            __tracebackhide__ = True  # hides this frame in pytest's tracebacks
            raise AttributeError(_no_attribute(type(self), name), name=name, obj=self)

        def __setattr__(self, name: str, value: object) -> None:
            __tracebackhide__ = True
            if not hasattr(type(self), name):
                raise AttributeError(_no_attribute(type(self), name), name=name, obj=self)
            super().__setattr__(name, value)


def _no_attribute(kind: type["CheckedAttributes"], name: str) -> str:
    near = nearest(name, [each for each in dir(kind) if not each.startswith("_")])
    return f"a {kind._noun} has no {name!r}{f'; did you mean {near!r}?' if near else ''}"


class AdminCaller(CheckedAttributes):
    """An object that can call the admin API for one sandbox."""

    __slots__ = ()
    _noun = "sandbox"

    def ask(self, verb: str, body: Any = None, *, path: Mapping[str, str] = {}, **query: Any) -> JsonObject:
        """The response of a route, named as in the reference; None values in the query are left out."""
        raise NotImplementedError  # SandboxClient has it


class Transport(Protocol):
    """Sends one request and returns its response; raises AdminError without one."""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer: ...

    def close(self) -> None: ...


class HttpTransport:
    """One persistent connection, shared by threads in turn."""

    def __init__(self, url: str, timeout: float = 30.0) -> None:
        """Raises ValueError if `url` is not an http URL."""
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
                place = shown_path(target.partition("?")[0])
                raise AdminError(f"{method} {place}", 0, f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        was_open = self._connection.sock is not None
        try:
            return self._once(method, target, headers, body)
        except _GONE:
            # The server may close an idle connection just as it is used again; the request was not processed then.
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
    """Calls an ASGI app of this process, in an event loop of its own, so that it works inside a running loop."""

    def __init__(self, app: App, host: str = "127.0.0.1") -> None:
        self._app = app
        self._host = host
        self._thread: ThreadPoolExecutor | None = None

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="mockserver-admin")
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
                await asyncio.Event().wait()  # the client never disconnects
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
    """The value of a successful response: JSON, or else text; raises AdminError for any other response."""
    __tracebackhide__ = True  # hides this frame in pytest's tracebacks
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
    """The message of a response: of a problem document, or of an API's error (if the URL has an API's path)."""
    error = value.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(value.get("detail", message or value))


def _format_error(violation: Mapping[str, Any]) -> str:
    return f"{format_dotted(violation.get('location', ()))}: {violation.get('message', violation)}"
