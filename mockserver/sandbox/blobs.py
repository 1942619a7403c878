"""Bytes at rest: small ones in memory, large ones in a file that has no name and is gone with its last holder."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from typing import BinaryIO

import xxhash

from mockserver.errors import NO_STORAGE, Reason, Refusal

MEMORY_BYTES = 1024 * 1024
"""What is larger rests on disk."""
CHUNK_BYTES = 256 * 1024
MAX_LINE = 16 * 1024 * 1024


class _UnnamedFile:
    """A file without a name, closed when nobody holds it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)


class Blob:
    """Bytes that no longer change. Any number of threads may read them at once."""

    def __init__(self, content: "bytes | _UnnamedFile", size: int) -> None:
        """Made by `in_memory`, `on_disk` and `BlobWriter.finish`."""
        self._content = content
        self.size = size

    @classmethod
    def in_memory(cls, content: bytes) -> "Blob":
        """These bytes, however many."""
        return cls(content, len(content))

    @classmethod
    def on_disk(cls, file: BinaryIO) -> "Blob":
        """The content of an open file, which must not change any more; the caller may close it, but not hand it on."""
        file.flush()
        descriptor = os.dup(file.fileno())
        return cls(_UnnamedFile(descriptor), os.fstat(descriptor).st_size)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from `start` up to `stop`, as far as there are any."""
        start, stop = self._within(start, stop)
        if isinstance(self._content, bytes):
            return self._content[start:stop]
        parts = []
        while start < stop:
            part = os.pread(self._content.descriptor, stop - start, start)
            if not part:
                raise OSError(f"a file of {self.size} bytes ends at {start}")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """What `read` gives, piece by piece."""
        start, stop = self._within(start, stop)
        for at in range(start, stop, CHUNK_BYTES):
            yield self.read(at, min(at + CHUNK_BYTES, stop))

    def line_groups(self) -> Iterator[list[bytes]]:
        r"""The lines in order without the `\n` that ends them, in groups of CHUNK_BYTES and a line at most.

        Nothing else ends a line, and the last one may lack its end. Of a line longer than MAX_LINE its first MAX_LINE
        bytes and a NUL, which no JSON text may hold.
        """
        line = bytearray()
        for chunk in self.chunks():
            group = chunk.split(b"\n")
            line += group[0][: max(0, MAX_LINE + 1 - len(line))]
            if len(group) > 1:
                group[0] = _bounded(line)
                line = bytearray(group.pop())
                yield group
        if line:
            yield [_bounded(line)]

    def __repr__(self) -> str:
        return f"<Blob of {self.size} bytes, {self.digest().hex()}>"

    def digest(self) -> bytes:
        """16 bytes that stand for the content; not for secrets."""
        hasher = xxhash.xxh3_128()
        for chunk in self.chunks():
            hasher.update(chunk)
        return hasher.digest()

    def _within(self, start: int, stop: int | None) -> tuple[int, int]:
        return max(start, 0), self.size if stop is None else min(stop, self.size)


class BlobWriter:
    """Writes a Blob from first byte to last; what was written is gone when a writer is dropped before its end."""

    def __init__(self) -> None:
        self._file: _UnnamedFile | None = None
        self._size = 0
        self._waiting: list[bytes] = []
        self._written = 0

    def write(self, *parts: bytes) -> None:
        """Add bytes to the end; raises OSError when the disk takes no more."""
        self._size += sum(map(len, parts))
        self._waiting += parts
        if self._size > MEMORY_BYTES and self._size - self._written >= CHUNK_BYTES:
            self._spill()

    def finish(self) -> Blob:
        """All that was written. Nothing may be written afterwards."""
        if self._size <= MEMORY_BYTES:
            return Blob.in_memory(b"".join(self._waiting))
        return Blob(self._spill(), self._size)

    def _spill(self) -> _UnnamedFile:
        if self._file is None:
            with tempfile.TemporaryFile(buffering=0) as file:
                self._file = _UnnamedFile(os.dup(file.fileno()))
        rest = memoryview(b"".join(self._waiting))
        self._waiting.clear()
        while rest:
            rest = rest[os.write(self._file.descriptor, rest) :]
        self._written = self._size
        return self._file


def no_room(problem: OSError) -> Refusal:
    """The refusal of a request whose bytes could not be kept; the request may be sent again when there is room."""
    try:
        folder = f" {tempfile.gettempdir()}"
    except OSError:
        folder = ""
    detail = (
        f"mockserver cannot write to its folder for temporary files{folder}: {problem.strerror or problem}. Free some "
        "space, or let TMPDIR name another folder; then send the request again."
    )
    return Refusal(Reason.UNAVAILABLE, detail, status=NO_STORAGE)


def _bounded(line: bytearray) -> bytes:
    return bytes(line) if len(line) <= MAX_LINE else bytes(line[:MAX_LINE]) + b"\0"
