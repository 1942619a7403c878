"""Parses JSON of clients, and limits the number of its values before they are created."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

# A value costs memory that its text does not show: `[],` is 3 bytes of text and 64 of memory, `{"a":1},` 8 and 192.
# So text that could hold more values than its limit is scanned first, at the speed of bytes.translate. Commas in
# strings make that count too high; only text that exceeds it is scanned again with its strings left out.

MAX_VALUES = 300_000
"""The most values in a body: objects, lists, strings, numbers and literals; names in objects do not count."""
MAX_VALUES_LARGE = 1_000_000
BYTES_PER_VALUE = 16
"""A large body may hold a value for each so many of its bytes, up to MAX_VALUES_LARGE."""
NESTING_MARGIN = 24
"""Levels of nesting that a response may add around a client's value, so that the encoder's limit is not reached."""
_LEAST_BYTES = 2
"""The least bytes of a value: `1,`."""
_PIECE = 1024 * 1024
"""Bytes that are scanned at once, so that other threads can run in between."""
_NO_MARKS = bytes(set(range(256)) - set(b",[{"))
_OTHERS = bytes(set(_NO_MARKS) - set(b'"'))


class JsonError(ValueError):
    """Text that is not JSON (`code` is "syntax"), or that holds too many values ("max_values")."""

    def __init__(self, code: str, message: str, rule: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.rule = rule or {}


def parse_json(text: bytes, limit: int | None = None) -> Any:
    """The value; raises JsonError. `limit` is the most values it may hold, `max_values` by default."""
    if limit is not None or len(text) > MAX_VALUES * _LEAST_BYTES:
        check_values(text, limit)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        message = f"not JSON: {problem}"
    raise JsonError("syntax", message)  # outside, because the original holds a copy of the text


def check_depth(value: Any) -> None:
    """Raises JSONEncodeError for a value nested so deeply that no response could contain it."""
    for _ in range(NESTING_MARGIN):
        value = [value]
    orjson.dumps(value)


def max_values(size: int) -> int:
    """How many values a text of `size` bytes may hold."""
    return max(MAX_VALUES, min(size // BYTES_PER_VALUE, MAX_VALUES_LARGE))


def check_values(text: bytes, limit: int | None = None) -> None:
    """Raises JsonError for text that holds more values than `limit`, which is `max_values` by default."""
    check_values_in(lambda: _pieces(text), len(text), max_values(len(text)) if limit is None else limit)


def check_values_in(read: Callable[[], Iterable[bytes]], size: int, limit: int) -> None:
    """As check_values, of a text of `size` bytes, whose pieces `read` returns."""
    if size > limit * _LEAST_BYTES and sum(map(_count_marks, read())) >= limit and _count(read(), limit) > limit:
        message = f"JSON of {size} bytes may hold at most {limit} values; this holds more"
        raise JsonError("max_values", message, {"most": limit})


def count_values(text: bytes, enough: int | None = None) -> int:
    """The number of values in JSON text; an empty list or object counts twice. Stops when there are `enough`."""
    return _count(_pieces(text), enough)


def _count(pieces: Iterable[bytes], enough: int | None) -> int:
    count, is_string, rest = 1, False, b""
    for given in pieces:
        if enough is not None and count > enough:
            break
        piece = rest + given
        rest = b"\\" if (len(piece) - len(piece.rstrip(b"\\"))) % 2 else b""  # it escapes the next piece
        piece = piece.removesuffix(rest)
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHERS).split(b'"')
        count += sum(map(len, parts[is_string::2]))
        is_string ^= len(parts) % 2 == 0
    return count


def _count_marks(piece: bytes) -> int:
    """At least the number of values in a piece of JSON: each but the first follows a comma or an opening bracket."""
    return len(piece.translate(None, _NO_MARKS))


def _pieces(text: bytes) -> Iterator[bytes]:
    return (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
