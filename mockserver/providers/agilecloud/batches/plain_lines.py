"""Reads plain batch lines, which most batches consist of: chat requests with text messages and a few parameters.

A typed decoder parses and validates a line in one step, which takes a third of the time of parsing it and validating
the value. The document accepts all lines that it accepts, also as live requests: it knows the messages' form,
and leaves the parameters (PARAMETERS) to the document's own schemas. A line that it does not accept is not plain, valid
or not: the general path (input.py) parses it again, and reports all errors. A test compares both paths.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from re import escape
from typing import Annotated, Literal, NamedTuple

import msgspec
import orjson

from mockserver.openapi.regex import compile_pattern
from mockserver.openapi.schema import Schema
from mockserver.sandbox.blobs import CHUNK_BYTES

PARAMETERS = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
"""The optional fields of a plain request, with their schemas in the document."""
MAX_PLAIN = CHUNK_BYTES
"""The most bytes of a plain line: the number of values in a longer one is limited, which only the general path does."""
MAX_KNOWN, MAX_WRITTEN = 1000, 200
"""The most sets of parameters that are remembered, and the most bytes of one. Most batches have few."""
MARKER = b"[mock:"
NO_PARAMETERS = -1
"""The limit of a request without parameters."""


class PlainMessage(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of a plain request."""

    role: Literal["system", "user", "assistant"]
    content: str


class PlainBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The body of a plain request."""

    model: str
    messages: Annotated[list[PlainMessage], msgspec.Meta(min_length=1)]


class PlainRequest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The request of a plain line."""

    custom_id: str
    method: Literal["POST"]
    url: Literal["/v1/chat/completions"]
    body: PlainBody


class _LongBody(PlainBody, forbid_unknown_fields=True, gc=False):
    temperature: msgspec.Raw = msgspec.Raw()
    top_p: msgspec.Raw = msgspec.Raw()
    seed: msgspec.Raw = msgspec.Raw()
    max_tokens: msgspec.Raw = msgspec.Raw()
    max_completion_tokens: msgspec.Raw = msgspec.Raw()


class _LongRequest(PlainRequest, forbid_unknown_fields=True, gc=False):
    body: _LongBody


OtherLine = tuple[int, bytes]
"""The number and the bytes of a line that is not plain."""


class PlainGroup(NamedTuple):
    """Plain lines that follow one another."""

    numbers: Sequence[int]
    """Their numbers in the file, from 1."""
    lines: Sequence[bytes]
    requests: Sequence[PlainRequest]
    limits: Sequence[int]
    """The most tokens of each response; 0 for any number, NO_PARAMETERS if the request has no parameters."""

    def part(self, start: int, stop: int) -> "PlainGroup":
        """Some of the lines."""
        if stop - start == len(self.lines):
            return self
        lines, requests, limits = self.lines[start:stop], self.requests[start:stop], self.limits[start:stop]
        return PlainGroup(self.numbers[start:stop], lines, requests, limits)


_decode_short = msgspec.json.Decoder(PlainRequest).decode
_decode_long = msgspec.json.Decoder(_LongRequest).decode
_INVALID = (msgspec.MsgspecError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError)


class PlainReader:
    """Reads the plain lines of one file."""

    def __init__(self, parameters: Schema, *, applies_markers: bool) -> None:
        """`parameters` is the schema of an object with some of PARAMETERS. With `applies_markers`, a line with a marker
        is not plain.
        """
        self._accepts = parameters.fast_accepts
        self._applies_markers = applies_markers
        self._decode: Callable[[bytes], PlainRequest] = _decode_short
        self._limits: list[int] = []
        """The limits of the requests that `_decode_checked` has read."""
        self._known: dict[bytes, int] = {}
        """The limits of parameters, as they were written."""

    def read(self, lines: Sequence[bytes], numbers: Sequence[int]) -> Iterator[PlainGroup | OtherLine]:
        """All lines in order: plain ones in groups, each other one by itself."""
        readable = self._without_special(lines)
        rest, at = iter(readable), 0
        while at < len(lines):
            requests: list[PlainRequest] = []
            self._limits = []
            with suppress(*_INVALID):
                requests.extend(map(self._decode, rest))  # which keeps those before an invalid one
            end = at + len(requests)
            if requests:
                limits = self._limits or [NO_PARAMETERS] * len(requests)
                if max(limits) == NO_PARAMETERS:
                    self._decode = _decode_short
                yield PlainGroup(numbers[at:end], lines[at:end], requests, limits)
            if end < len(lines):
                single = self._plain_after_all(readable[end : end + 1], numbers[end : end + 1])
                yield single or (numbers[end], lines[end])
            at = end + 1

    def _plain_after_all(self, lines: Sequence[bytes], numbers: Sequence[int]) -> PlainGroup | None:
        """The group of one line if it is plain but for its parameters; those that follow may have some, too."""
        if self._decode == self._decode_checked or not lines[0]:
            return None
        with suppress(*_INVALID):
            group = PlainGroup(numbers, lines, [self._decode_checked(lines[0])], self._limits[-1:])
            self._decode = self._decode_checked
            return group
        return None

    def _without_special(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """The lines; empty ones in the place of those that are too long to be plain, or have a marker."""
        has_long = max(map(len, lines), default=0) > MAX_PLAIN
        has_markers = self._applies_markers and (has_long or _may_have_markers(lines))
        if not (has_long or has_markers):
            return lines
        return [b"" if len(line) > MAX_PLAIN or (has_markers and MARKER in line) else line for line in lines]

    def _decode_checked(self, line: bytes) -> PlainRequest:
        """The request of a line that may have parameters; raises ValidationError if they are not plain."""
        request = _decode_long(line)
        body = request.body
        written = b",".join((body.temperature, body.top_p, body.seed, body.max_tokens, body.max_completion_tokens))
        limit = self._known.get(written)
        if limit is None:
            limit = self._limit_of(body)
            if len(written) <= MAX_WRITTEN and len(self._known) < MAX_KNOWN:
                self._known[written] = limit
        self._limits.append(limit)
        return request

    def _limit_of(self, body: _LongBody) -> int:
        """The limit that the parameters set, if they are plain; raises ValidationError."""
        found = {name: getattr(body, name) for name in PARAMETERS}
        given = {name: orjson.loads(bytes(raw)) for name, raw in found.items() if raw}
        if not given:
            return NO_PARAMETERS
        if not self._accepts(given):
            raise msgspec.ValidationError
        return int(given.get("max_completion_tokens") or given.get("max_tokens") or 0)


@cache
def _marker_search() -> Callable[[str], bool]:
    return compile_pattern(escape(MARKER.decode())).found_in


def _may_have_markers(lines: Sequence[bytes]) -> bool:
    """Whether a line may have a marker. Searching all lines together is faster than searching each."""
    try:
        return _marker_search()(b"".join(lines).decode())
    except UnicodeDecodeError:
        return True
