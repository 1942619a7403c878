"""The two values that cross the engine: a request as it came in, and the response that goes out."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_HOST = re.compile(r"[A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")

# NamedTuples, not frozen dataclasses: both are made once per request, and a frozen dataclass takes three times as long.


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
    """Scheme and authority of the connection, used where the client sent no usable `Host`."""

    @property
    def base_url(self) -> str:
        """Scheme and authority as the client typed them, without a trailing slash."""
        scheme, _, authority = self.origin.partition("://")
        host = self._forwarded("x-forwarded-host") or self.headers.get("host", "")
        scheme = self._forwarded("x-forwarded-proto") or scheme
        return f"{scheme if scheme.isalpha() else 'http'}://{host if _HOST.fullmatch(host) else authority}"

    def _forwarded(self, name: str) -> str:
        """What the first of several proxies says, which is the one the client spoke to."""
        return self.headers.get(name, "").partition(",")[0].strip()


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
