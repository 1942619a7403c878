"""The two values that pass through the engine: Request and Response."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from mockserver.lazy import lazy_pattern
from mockserver.records import Record

_HOST = lazy_pattern(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")


@runtime_checkable
class StoredBytes(Protocol):
    """Bytes that may be too large for memory, such as a Blob."""

    @property
    def size(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> bytes: ...

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]: ...

    def line_groups(self) -> Iterator[list[bytes]]: ...

    def digest(self) -> bytes: ...

    def is_utf8(self) -> bool: ...


class Upload(NamedTuple):
    """A file in a form."""

    filename: str
    media_type: str
    """As sent by the client; empty if it sent none."""
    blob: StoredBytes


class Request(Record, frozen=True, gc=False):
    """An HTTP request, read completely."""

    method: str
    path: str
    """Percent-decoded, without the query."""
    query: str = ""
    """As sent, still percent-encoded."""
    headers: Mapping[str, str] = {}
    """Names in lower case; of a repeated header the last value counts."""
    body: bytes = b""
    origin: str = "http://127.0.0.1:4024"
    """Scheme and authority of the connection. Used if the client sent no valid `Host`."""
    form: Mapping[str, str | Upload] | None = None
    """Fields of a multipart body; of a repeated field the last counts. None without a multipart body, or if it is
    invalid; `body` is empty then, too.
    """
    form_problem: str = ""
    """What is wrong with an invalid multipart body."""
    form_parts: tuple[tuple[str, str | Upload], ...] = ()
    """All parts of a multipart body in their order, repeated ones included."""
    prefix: str = ""
    """The path that the server is mounted under in another application (`/llm`); empty where it is the whole."""

    @property
    def base_url(self) -> str:
        """Scheme and authority as the client typed them, with the prefix, and without a trailing slash."""
        scheme, _, authority = self.origin.partition("://")
        host = self._forwarded("x-forwarded-host") or self.headers.get("host", "")
        scheme = self._forwarded("x-forwarded-proto") or scheme
        return f"{scheme if scheme.isalpha() else 'http'}://{host if _HOST.fullmatch(host) else authority}{self.prefix}"

    def _forwarded(self, name: str) -> str:
        """The value that the first of several proxies set, which is the one the client connected to."""
        return self.headers.get(name, "").partition(",")[0].strip()


class DeliveryFaultKind(StrEnum):
    """The ways in which a delivery fails; web/fault_delivery.py implements them."""

    TRICKLE = "trickle"
    CUT = "cut"
    MALFORMED_CHUNK = "malformed_chunk"
    GARBAGE = "garbage"
    """Only the body is sent, without a head."""
    EMPTY = "empty"
    RESET = "reset"
    TIMEOUT = "timeout"


class DeliveryFault(NamedTuple):
    """A fault in the delivery of a response."""

    kind: DeliveryFaultKind
    seconds: float = 0.0
    """Duration of a trickle; the longest wait of a hanging response."""
    amount: int = 0
    """Pieces of a trickle; bytes of the body before a cut, or FIRST_PART."""


EMPTY_STATUSES = frozenset({204, 205, 304})
"""Statuses without a body (RFC 9110). A client would read a body as the beginning of the next response."""
FAULT_SOURCE = "fault"
"""The source of a response that a fault replaced."""
UPSTREAM_SOURCE, PROXY_SOURCE = "upstream", "proxy"
"""Sources of `mockserver proxy`: the API behind it, and the proxy itself where that gave no usable answer."""
SOURCES = ("handler", "example", "generated", "stub", FAULT_SOURCE, UPSTREAM_SOURCE, PROXY_SOURCE)
"""All sources of a response, except fixtures, which have names."""
UNDOCUMENTED_SOURCE = "undocumented"
"""Internal: the source of a response with an undocumented status, before its body is completed."""
FIXTURE_SOURCE = "fixture:"
"""Prefix of the source of a response from a fixture."""
FIRST_PART = -1
"""Bytes sent before a cut of a stream of unknown length."""


class Response(Record, frozen=True, gc=False):
    """An HTTP response. A value: web/ delivers it."""

    status: int
    media_type: str = ""
    """Empty when there is no body."""
    body: bytes | Iterator[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()
    source: str = ""
    """Where the answer came from (`X-Mock-Source`): `handler`, `example`, `generated`, `fixture:<file>#<n>`, …"""
    delay: float = 0.0
    """Seconds of wall-clock time before the response is sent."""
    disturbance: DeliveryFault | None = None
    """The delivery fault; None without one."""

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """The response with these headers; they replace headers of the same names."""
        if not self.headers:  # as most
            return Response(self.status, self.media_type, self.body, headers, self.source, self.delay, self.disturbance)
        names = {name.lower() for name, _ in headers}
        kept = [each for each in self.headers if each[0].lower() not in names]
        return self._replace(headers=(*kept, *headers))
