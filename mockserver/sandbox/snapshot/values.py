"""Values as JSON: records are objects, bytes are base64, and the contents of blobs stand apart, each once.

The types by which values are read are those with which stores read them; see `stores.codec`.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from mockserver.http import StoredBytes
from mockserver.records import Endless, read_endless
from mockserver.sandbox.blobs import CHUNK_BYTES, Blob, BlobWriter, content_of
from mockserver.workers import checkpoint

BLOB_PART = 192 * 1024
"""Bytes of a blob that are encoded at once; a multiple of 3, so that base64 pads only the last ones."""
_PLACE = re.compile(r"(.*) - at `(?:key` in `)?\$(.*)`", re.DOTALL)


class SnapshotError(Exception):
    """A value that cannot be encoded, or a document that cannot be decoded; the message says where and why."""


class ValueWriter:
    """Writes values as JSON, each as bytes."""

    def __init__(self, most: int) -> None:
        """`most` bounds the bytes of all values together; beyond it SnapshotError is raised."""
        self._blobs = _Blobs()
        self._encoder = msgspec.json.Encoder(enc_hook=self._blobs.write)
        self._most = most
        self._written = 0

    def write(self, value: Any) -> bytes:
        """The value as JSON; raises SnapshotError for one that cannot be written."""
        checkpoint()
        try:
            text = self._encoder.encode(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise SnapshotError(f"{error}"[:300]) from error
        self._written += len(text)
        if self._written + self._blobs.written > self._most:
            raise SnapshotError(f"there is more than {self._most} bytes of it")
        return text

    def write_list(self, values: Iterable[Any]) -> Iterator[bytes]:
        """The values as a list, which need not exist at the same time."""
        return _joined(b"[", ((self.write(each),) for each in values), b"]")

    def write_object(self, members: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
        """An object of values that are written already, by name."""
        return _joined(b"{", (self._member(name, pieces) for name, pieces in members), b"}")

    def write_blobs(self) -> Iterator[bytes]:
        """The contents of all blobs of the values, as a list of texts in base64."""
        return _joined(b"[", map(_encode_blob, self._blobs.found), b"]")

    def _member(self, name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        yield self.write(name) + b":"
        yield from pieces


class _Blobs:
    """The blobs of the values that were written, each once.

    Equal contents are one blob, because a store may give back as several objects what was one; only large ones whose
    digest is unknown are told apart.
    """

    def __init__(self) -> None:
        self.found: list[Blob] = []
        self.written = 0
        """The bytes of their contents in base64."""
        self._numbers: dict[tuple[int, bytes], int] = {}

    def write(self, value: Any) -> Any:
        """The number of a blob; the bytes of another object that holds bytes."""
        if not isinstance(value, Blob):
            return content_of(value)
        digest = value.quick_digest()
        key = (value.size if digest else id(value), digest)
        if key not in self._numbers:
            self.written += value.size * 4 // 3
            self._numbers[key] = len(self.found)
            self.found.append(value)
        return self._numbers[key]


class ValueReader:
    """Reads values by type from parsed JSON."""

    def __init__(self, contents: Any) -> None:
        """`contents` are those of the blobs; raises SnapshotError for anything but a list of texts in base64."""
        if not isinstance(contents, list):
            raise SnapshotError("blobs: wanted a list of texts in base64")
        self._blobs = [_read_blob(n, each) for n, each in enumerate(contents)]

    def read(self, value: Any, type_: Any, place: str) -> Any:
        """The value; raises SnapshotError for one of another type. `place` says where it stands."""
        checkpoint()
        try:
            return msgspec.convert(value, type_, str_keys=True, dec_hook=self._read_other)
        except (msgspec.ValidationError, RecursionError) as error:
            raise SnapshotError(_located(place, str(error))) from None

    def _read_other(self, type_: type, value: Any) -> Any:
        if type_ is Endless:
            return read_endless(value)
        if type_ not in {Blob, StoredBytes}:
            raise ValueError(f"a {type_.__name__} cannot be read")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(self._blobs):
            raise ValueError(f"there are {len(self._blobs)} blobs, and none is number {str(value)[:100]}")
        return self._blobs[value]


def read_document(content: bytes, type_: type[Any], place: str) -> Any:
    """The value of a text of JSON; raises SnapshotError for one of another type."""
    try:
        return msgspec.json.decode(content, type=type_)
    except (msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(_located(place, str(error))) from None


def _located(place: str, message: str) -> str:
    """The message of msgspec, with its place at the beginning."""
    found = _PLACE.fullmatch(message)
    return f"{place}{found[2]}: {found[1]}"[:500] if found else f"{place}: {message}"[:500]


def _joined(start: bytes, values: Iterable[Iterable[bytes]], end: bytes) -> Iterator[bytes]:
    for value in values:
        yield start
        yield from value
        start = b","
    yield end if start == b"," else start + end


def _encode_blob(blob: Blob) -> Iterator[bytes]:
    parts = blob.chunks()
    parts.part_bytes = BLOB_PART
    yield b'"'
    for part in parts:
        checkpoint()
        yield b64encode(part)
    yield b'"'


def _read_blob(number: int, text: Any) -> Blob:
    checkpoint()
    try:
        content = b64decode(text, validate=True)
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"blobs[{number}]: no base64: {error}"[:300]) from error
    writer = BlobWriter()
    for start in range(0, len(content), CHUNK_BYTES):
        writer.write(content[start : start + CHUNK_BYTES])
    return writer.finish()
