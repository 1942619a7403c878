"""The two values that cross the engine: a request as it came in, and the response that goes out."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")

# NamedTuples, not frozen dataclasses: both are made once per request, and a frozen dataclass takes three times as long.


@runtime_checkable
class StoredBytes(Protocol):
    """Bytes that rest somewhere and need not fit into memory; what a store's Blob supplies."""

    @property
    def size(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> bytes: ...

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]: ...

    def line_groups(self) -> Iterator[list[bytes]]: ...

    def digest(self) -> bytes: ...


class Upload(NamedTuple):
    """A file in a form."""

    filename: str
    media_type: str
    """As the client calls it; empty when it does not."""
    blob: StoredBytes


class Request(NamedTuple):
    """An HTTP request, received whole."""

    method: str
    path: str
    """Percent-decoded, without the query."""
    query: str = ""
    """As sent, still percent-encoded."""
    headers: Mapping[str, str] = {}
    """Names in lower case; of a repeated header the last value counts."""
    body: bytes = b""
    origin: str = "http://127.0.0.1:4024"
    """Scheme and authority of the connection, used where the client sent no usable `SandboxPool`."""
    form: Mapping[str, str | Upload] | None = None
    """Fields of a multipart body; of a repeated field the last counts. None when there is no such body, or one that
    cannot be read; `body` is empty then, too."""
    form_problem: str = ""
    """What is wrong with a multipart body that cannot be read."""
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
        """What the first of several proxies says, which is the one the client spoke to."""
        return self.headers.get(name, "").partition(",")[0].strip()


class DeliveryFaultKind(StrEnum):
    """The ways in which a delivery goes wrong; web/disturbances.py performs each."""

    TRICKLE = "trickle"
    CUT = "cut"
    MALFORMED_CHUNK = "malformed_chunk"
    GARBAGE = "garbage"
    """The body is all that is sent, without a head."""
    EMPTY = "empty"
    RESET = "reset"
    TIMEOUT = "timeout"


class DeliveryFault(NamedTuple):
    """How the delivery of a response goes wrong."""

    kind: DeliveryFaultKind
    seconds: float = 0.0
    """How long a trickle takes; how long a client that hangs is held at most."""
    amount: int = 0
    """Pieces of a trickle; bytes of the body that are let through before a cut, or FIRST_PART."""


EMPTY_STATUSES = frozenset({204, 205, 304})
"""Statuses whose answers have no body (RFC 9110): what followed the head of most would be read as the next answer."""
FAULT_SOURCE = "fault"
"""The source of a response that a fault put in the place of another."""
SOURCES = ("handler", "example", "generated", "stub", FAULT_SOURCE)
"""Every source of a response but the fixtures, which have names."""
UNDOCUMENTED_SOURCE = "undocumented"
"""While a reply is made: the source of one whose status the document does not have, with the body of another status."""
FIXTURE_SOURCE = "fixture:"
"""How the source of a response from a fixture begins."""
FIRST_PART = -1
"""Of a stream whose length nobody knows, what is let through before a cut."""


class Response(NamedTuple):
    """An HTTP response: a value until the gateway delivers it."""

    status: int
    media_type: str = ""
    """Empty when there is no body."""
    body: bytes | Iterator[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()
    source: str = ""
    """Where the answer came from (`X-Mock-Source`): `handler`, `example`, `generated`, `fixture:<file>#<n>`, …"""
    delay: float = 0.0
    """Seconds of wall time the gateway waits before it answers."""
    disturbance: DeliveryFault | None = None
    """How the delivery goes wrong; None when it does not."""

    def with_headers(self, *headers: tuple[str, str]) -> "Response":
        """The response with these headers, in place of those of the same names."""
        if not self.headers:  # as most; and `_replace` would take twice as long
            return Response(self.status, self.media_type, self.body, headers, self.source, self.delay, self.disturbance)
        names = {name.lower() for name, _ in headers}
        kept = [each for each in self.headers if each[0].lower() not in names]
        return self._replace(headers=(*kept, *headers))
