"""The one API behind the proxy: requests are sent to it and to no other host, and its answers are streamed."""

import re
import ssl
from collections.abc import AsyncIterator, Iterable
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
_BEYOND_ASCII = re.compile(rb"[^\x21-\x7e]")
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

    def __init__(self, response: "aiohttp.ClientResponse") -> None:
        self.status = response.status
        self.headers = end_to_end(response.raw_headers)
        """End-to-end headers only."""
        self._response = response

    def header(self, name: bytes) -> str:
        """A header's last value; empty without one."""
        return next((value for key, value in reversed(self.headers) if key.lower() == name), b"").decode("latin-1")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises UpstreamError if it breaks off or stalls."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except Exception as error:
            raise _as_upstream_error(error) from error

    def close(self) -> None:
        """Close the connection if the body was not read to its end."""
        if not self._response.content.at_eof():
            self._response.close()


class Upstream:
    """A pool of connections to one API, of one event loop. Redirects are not followed, cookies are not kept, nothing is
    sent twice, and no variable (`HTTP_PROXY`) is read.
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

    def target(self, raw_path: bytes, query: bytes) -> bytes:
        """The request target at the upstream."""
        path = self.url.prefix.encode() + (raw_path or b"/")
        return path + b"?" + query if query else path

    async def send(
        self, method: str, target: bytes, headers: Headers, body: "AsyncIterator[bytes] | bytes | None"
    ) -> UpstreamResponse:
        """The beginning of the answer; raises UpstreamError, also if the iterator `body` fails."""
        if self._session is None:
            self._session = self._open_session()
        plain = _BEYOND_ASCII.sub(lambda found: b"%%%02X" % found[0][0], target).decode("ascii")
        try:
            response = await self._session.request(
                method,
                yarl.URL(self.url.origin + plain, encoded=True),
                data=body,
                headers=[(name.decode("latin-1"), _text(value)) for name, value in headers],
                allow_redirects=False,
            )
        except Exception as error:
            raise _as_upstream_error(error) from error
        if not 200 <= response.status < 600:
            response.close()
            raise UpstreamError(502, f"The upstream answered with the status {response.status}, which HTTP has not.")
        if sum(len(name) + len(value) for name, value in response.raw_headers) > MAX_HEAD:
            response.close()
            raise UpstreamError(502, f"The upstream's headers are larger than {MAX_HEAD} bytes.")
        return UpstreamResponse(response)

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
        return session

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers without those of one connection: the usual ones, and those that `Connection` names."""
    headers = list(headers)
    named = {
        each.strip().lower() for name, value in headers if name.lower() == b"connection" for each in value.split(b",")
    }
    return [each for each in headers if each[0].lower() not in HOP_BY_HOP and each[0].lower() not in named]


def request_headers(headers: Iterable[tuple[bytes, bytes]], url: UpstreamUrl, *, via: bytes, has_body: bool) -> Headers:
    """The headers of a request as they are sent to the upstream, but for `Transfer-Encoding`, which the client adds."""
    kept = [
        each
        for each in end_to_end(headers)
        if each[0].lower() not in {b"host", b"expect"} and not each[0].lower().startswith(OWN_PREFIX)
    ]
    if not has_body:
        kept = [each for each in kept if each[0].lower() != b"content-length" or each[1].strip() == b"0"]
    before = b", ".join(value for name, value in kept if name.lower() == b"via")
    kept = [each for each in kept if each[0].lower() != b"via"]
    return [(b"host", url.authority.encode()), *kept, (b"via", before + b", " + via if before else via)]


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
        (ConnectionError, 502, "The upstream broke off: {}."),
    )
    said = (" ".join(str(error).split())[:MAX_SAID] or type(error).__name__).rstrip(".")
    return next(
        (UpstreamError(status, text.format(said)) for kind, status, text in rows if isinstance(error, kind)), error
    )
