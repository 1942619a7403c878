"""The one API behind the proxy: requests are sent to it and to no other host, and its answers are streamed."""

import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    import aiohttp
    import yarl
else:
    aiohttp = lazy_module("aiohttp")  # the extra `proxy`
    yarl = lazy_module("yarl")

Headers = list[tuple[bytes, bytes]]
RawHeaders = Iterable[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"}
    | {b"trailer", b"transfer-encoding", b"upgrade"}
)
"""Headers that concern one connection only (RFC 9110, 7.6.1). Trailers are not passed on, so `Trailer` is neither."""
OWN_PREFIX = b"x-mock-"
"""Headers for mockserver itself, which the upstream does not get."""
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 5.0
"""How long an unused connection is kept: shorter than servers keep theirs, so that none is used as it closes."""
MAX_HEAD = 256 * 1024
"""The most bytes of all headers of an answer."""
MAX_SAID = 300
WHOLE_BYTES = 32 * 1024
"""The most bytes of a body that is written in one piece: half of what a connection takes before it asks for a pause."""
INTERIM = frozenset(range(100, 200)) - {101}
"""The statuses of heads before that of the answer."""
_BEYOND_ASCII = re.compile(rb"[^\x21\x22\x24-\x7e]")
_REPLACED = frozenset({b"host", b"expect"})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_CONTROLS = bytes([*range(9), *range(10, 32), 127])
"""Characters that no header may have; a tab may be in one."""
_PORTS = {"http": 80, "https": 443}


class UpstreamUrl(NamedTuple):
    """The address of an API."""

    scheme: str
    host: str
    port: int
    prefix: str
    """The path before that of each request, without a trailing slash; empty for most."""

    @property
    def authority(self) -> str:
        """Host and port as in a `Host` header; the scheme's usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        return self.origin + self.prefix


def parse_upstream(text: str) -> UpstreamUrl:
    """The address in a command line; raises SettingsError."""
    wanted = "wanted http://HOST or https://HOST, perhaps with a port and a path"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise SettingsError(f"the URL cannot be read; {wanted}") from None
    if parts.username is not None or parts.password is not None:  # which a process list would show
        raise SettingsError("the URL holds a user name or a password; send them in the Authorization header instead")
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment or not text.isascii():
        raise SettingsError(f"the URL is {text[:200]!r}; {wanted}")
    return UpstreamUrl(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


class UpstreamError(Exception):
    """The upstream gave no usable answer; `status` is what the proxy answers instead."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class UpstreamResponse:
    """An answer whose body is still arriving."""

    def __init__(
        self, status: int, raw_headers: RawHeaders, content: "aiohttp.StreamReader", close: Callable[[], None]
    ) -> None:
        """`close` closes the connection, unless it has been given back to the pool."""
        self.status = status
        self.headers = end_to_end(raw_headers)
        """End-to-end headers only, with names in lower case."""
        self._values = dict(self.headers)
        self._content = content
        self._close = close

    def header(self, name: bytes) -> str:
        """A header's last value, by its name in lower case; empty without one."""
        return self._values.get(name, b"").decode("latin-1")

    def remove_header(self, name: bytes) -> None:
        """Pass a header on no more."""
        self.headers = [each for each in self.headers if each[0] != name]
        self._values.pop(name, None)

    def read_now(self) -> bytes | None:
        """The whole body if it has arrived; else None, and nothing is read."""
        content = self._content
        return content.read_nowait() if content.is_eof() and content.exception() is None else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises UpstreamError if it breaks off or stalls."""
        try:
            async for chunk in self._content.iter_any():
                yield chunk
        except Exception as error:
            raise _as_upstream_error(error) from error

    def close(self) -> None:
        """Close the connection if the body was not read to its end."""
        if not self._content.at_eof():
            self._close()


class Upstream:
    """A pool of connections to one API, of one event loop. Redirects are not followed, cookies are not kept, nothing is
    sent twice, and no variable (`HTTP_PROXY`) is read.

    A small request that is whole is written in one piece on a connection of aiohttp's pool, and its answer is read by
    aiohttp's parser. aiohttp's session would take as long for it as all else that the proxy does: it makes a URL, a
    multidict, a request and a task of each. Other requests are sent by the session, with the same pool.
    """

    def __init__(self, url: UpstreamUrl, *, timeout: float, ca_file: str = "", connections: int = 100) -> None:
        """`timeout` is the longest silence, in seconds; raises SettingsError if a library or `ca_file` is missing."""
        self.url = url
        self.timeout = timeout
        self._connections = connections
        try:
            self._timeout = aiohttp.ClientTimeout(
                total=None, connect=timeout, sock_connect=min(CONNECT_SECONDS, timeout), sock_read=timeout
            )
        except ImportError:
            raise SettingsError(
                "this needs the extra `proxy`: pip install 'batch-mockserver[proxy]', or '.[proxy]' in a checkout"
            ) from None
        self._tls = _tls_context(ca_file) if url.scheme == "https" else True
        self._session: aiohttp.ClientSession | None = None
        self._connector: aiohttp.BaseConnector | None = None
        self._place: aiohttp.ClientRequest | None = None
        """By which the pool knows where to connect to."""

    def target(self, raw_path: bytes, query: bytes) -> bytes:
        """The request target at the upstream."""
        path = self.url.prefix.encode() + (raw_path or b"/")
        return path + b"?" + query if query else path

    async def send(
        self,
        method: str,
        target: bytes,
        headers: Headers,
        body: "AsyncIterator[bytes] | bytes | None",
        *,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> UpstreamResponse:
        """The beginning of the answer; raises UpstreamError, also if the iterator `body` fails.

        `meanwhile` may be called when the request is sent, so that its work is done while the answer is awaited.
        """
        if self._session is None:
            self._session = self._open_session()
        if _BEYOND_ASCII.search(target):
            target = _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], target)
        message = _message(method, target, headers, body) if body is None or isinstance(body, bytes) else None
        try:
            if message is not None:
                answer = await self._exchange(message, meanwhile, has_body=method != "HEAD")
            else:
                answer = await self._send_with_session(self._session, method, target, headers, body)
        except Exception as error:
            raise _as_upstream_error(error) from error
        if not 200 <= answer.status < 600:
            answer.close()
            raise UpstreamError(502, f"The upstream answered with the status {answer.status}, which HTTP has not.")
        if sum([len(name) + len(value) for name, value in answer.headers]) > MAX_HEAD:
            answer.close()
            raise UpstreamError(502, f"The upstream's headers are larger than {MAX_HEAD} bytes.")
        return answer

    async def _exchange(self, message: bytes, meanwhile: Callable[[], object], *, has_body: bool) -> UpstreamResponse:
        """Write a whole request on a connection of the pool, and read the head of its answer."""
        assert self._connector is not None and self._place is not None
        try:
            connection = await self._connector.connect(self._place, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        try:
            protocol = connection.protocol
            assert protocol is not None
            protocol.set_response_params(
                skip_payload=not has_body,
                read_until_eof=True,
                auto_decompress=False,
                read_timeout=self.timeout,
                max_line_size=MAX_HEAD,
                max_field_size=MAX_HEAD,
            )
            if protocol.transport is None or protocol.transport.is_closing():
                raise aiohttp.ServerDisconnectedError
            protocol.transport.write(message)
            protocol.start_timeout()
            meanwhile()
            head, content = await protocol.read()
            while head.code in INTERIM:
                head, content = await protocol.read()
        except BaseException:
            connection.close()
            raise
        content.on_eof(connection.release)
        return UpstreamResponse(head.code, head.raw_headers, content, connection.close)

    async def _send_with_session(
        self,
        session: "aiohttp.ClientSession",
        method: str,
        target: bytes,
        headers: Headers,
        body: "AsyncIterator[bytes] | bytes | None",
    ) -> UpstreamResponse:
        response = await session.request(
            method,
            yarl.URL(self.url.origin + target.decode("ascii"), encoded=True),
            data=body,
            headers=[(name.decode("latin-1"), _text(value)) for name, value in headers],
            allow_redirects=False,
        )
        return UpstreamResponse(response.status, response.raw_headers, response.content, response.close)

    def _open_session(self) -> "aiohttp.ClientSession":
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._tls, keepalive_timeout=IDLE_SECONDS)
        session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            trust_env=False,
        )
        session._retry_connection = False  # a second GET could cost, too; there is no public switch
        self._connector = connector
        self._place = aiohttp.ClientRequest("GET", yarl.URL(self.url.origin), session=session)
        return session

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers without those of one connection: the usual ones, and those that `Connection` names. Names become
    lower case.
    """
    lowered = [(name.lower(), value) for name, value in headers]
    kept = [each for each in lowered if each[0] not in HOP_BY_HOP]
    if len(kept) == len(lowered):
        return kept
    named = {each.strip().lower() for name, value in lowered if name == b"connection" for each in value.split(b",")}
    return [each for each in kept if each[0] not in named]


def request_headers(headers: Iterable[tuple[bytes, bytes]], url: UpstreamUrl, *, via: bytes, has_body: bool) -> Headers:
    """The headers of a request as they are sent to the upstream, but for `Transfer-Encoding`, which the client adds."""
    kept = [(b"host", url.authority.encode())]
    before = []
    for name, value in end_to_end(headers):
        if name == b"via":
            before.append(value)
        elif name in _REPLACED or name.startswith(OWN_PREFIX):
            continue
        elif has_body or name != b"content-length" or value.strip() == b"0":
            kept.append((name, value))
    kept.append((b"via", b", ".join([*before, via])))
    return kept


def _message(method: str, target: bytes, headers: Headers, body: bytes | None) -> bytes | None:
    """A whole request; None if it is large, or has a header that the session rejects."""
    if body is not None and len(body) > WHOLE_BYTES:
        return None
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target)]
    is_length_stated = False
    for name, value in headers:
        lines.append(b"%b: %b" % (name, value))
        is_length_stated = is_length_stated or name == b"content-length"
    if not is_length_stated and (body or method not in _WITHOUT_BODY):
        lines.append(b"content-length: %d" % len(body or b""))
    head = b"\r\n".join(lines)
    if len(head.translate(None, _CONTROLS)) != len(head) - 2 * len(lines) + 2:
        return None
    return b"%b\r\n\r\n%b" % (head, body or b"")


def _text(value: bytes) -> str:
    """A header's value so that the client library, which writes UTF-8, sends the same bytes if they are UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _tls_context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"--upstream-ca is {ca_file!r}, which cannot be read: {error}") from error


def _as_upstream_error(error: Exception) -> Exception:
    """What the proxy answers for an error of the HTTP client; another error stays as it is."""
    rows: tuple[tuple[type[Exception], int, str], ...] = (
        (aiohttp.ConnectionTimeoutError, 504, "The upstream did not accept a connection in time."),
        (TimeoutError, 504, "The upstream was silent for too long."),
        (aiohttp.ClientConnectorError, 502, "The upstream cannot be reached: {}."),
        (aiohttp.ClientError, 502, "The upstream broke off, or sent no valid HTTP: {}."),
        (aiohttp.http.HttpProcessingError, 502, "The upstream sent no valid HTTP: {}."),
        (ConnectionError, 502, "The upstream broke off: {}."),
    )
    said = (" ".join(str(error).replace(" ssl:default", "").split())[:MAX_SAID] or type(error).__name__).rstrip(".")
    return next(
        (UpstreamError(status, text.format(said)) for kind, status, text in rows if isinstance(error, kind)), error
    )
