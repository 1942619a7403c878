"""Encodes responses as uvicorn sends them."""

import re
from collections.abc import Sequence
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mockserver.http import EMPTY_STATUSES, Response
from mockserver.lazy import lazy_pattern
from mockserver.web.answers.space import SMALL_BYTES

MAX_STARTS = 1000
"""The most heads of responses that are kept."""
_TOKEN = lazy_pattern(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_CONTROLS = bytes([*range(32), 127])
"""Characters that no header may have: what has more of them than its line ends needs a conversation."""
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})

Headers = Sequence[tuple[bytes, bytes]]


class HasStandingHeaders(Protocol):
    """What knows the headers of responses beside their own."""

    def standing_headers(self, media_type: str, source: str) -> Headers:
        """The headers of every response with this media type and source."""


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
    text = ""
    for name, value in headers:
        start = _line_starts.get(name) or _add_line_start(name)
        text += f"{start}{value}\r\n"
    if not text.isascii():
        return None
    fields = text.encode()
    return fields if len(fields.translate(None, _CONTROLS)) == len(fields) - 2 * len(headers) else None


class ResponseEncoder:
    """Encodes responses as uvicorn sends them, for all connections of a server."""

    def __init__(self, app: HasStandingHeaders) -> None:
        self.app = app
        self._starts: dict[tuple[int, str, str], bytes] = {}
        """Status line and standing headers by status, media type and source."""
        self._defaults: Headers = ()
        """The default headers in them; they change each second."""

    def encode(self, response: Response, defaults: Headers, only_head: bool) -> bytes | None:
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
