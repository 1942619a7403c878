"""Immutable bytes: small ones in memory, large ones in an unnamed file that is removed with its last reference."""

import os
import tempfile
import weakref
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterator
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import xxhash

from mockserver.errors import NO_STORAGE, Reason, Refusal
from mockserver.http import StoredBytes

MEMORY_BYTES = 1024 * 1024
"""Larger content is stored on disk."""
CHUNK_BYTES = 256 * 1024
MAX_LINE = 16 * 1024 * 1024
LEAST_BODY = 16 * 1024
"""Smaller bodies are kept as they are, and are not counted."""
FILE_BYTES = 64 * 1024 * 1024
"""The size at which another file is begun."""
BODIES_IN_MEMORY = 256 * 1024 * 1024
"""Bytes of such bodies beyond which further ones go to a file."""


class UnnamedFile:
    """A file without a name, closed with its last reference."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    @classmethod
    def create(cls) -> "UnnamedFile":
        """A new file in the folder for temporary files; raises OSError."""
        with tempfile.TemporaryFile(buffering=0) as file:
            return cls(os.dup(file.fileno()))

    def append(self, content: bytes) -> None:
        """Write at the end; raises OSError if the disk is full."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def read(self, size: int, start: int) -> bytes:
        """Bytes that were written, from `start` on; raises OSError if the file is shorter."""
        parts, stop = [], start + size
        while start < stop:
            part = os.pread(self.descriptor, stop - start, start)
            if not part:
                raise OSError(f"a file of {stop} bytes ends at {start}")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class BytesReader(Protocol):
    """Bytes that are read in parts, such as an UnnamedFile."""

    def read(self, size: int, start: int, /) -> bytes:
        """Bytes from `start` on; raises OSError if there are fewer."""


class Blob:
    """Immutable bytes. Safe to read from several threads."""

    def __init__(
        self, content: "bytes | BytesReader", size: int, digest: bytes = b"", *, is_ascii: bool = False
    ) -> None:
        """Created by `in_memory`, `on_disk`, `BlobWriter.finish`, and by stores. An unknown digest is empty.

        `is_ascii` if all bytes are known to be ASCII.
        """
        self._content = content
        self._digest = digest
        self._is_ascii = is_ascii
        self.size = size

    @classmethod
    def in_memory(cls, content: bytes) -> "Blob":
        """A blob in memory, of any size."""
        return cls(content, len(content))

    @classmethod
    def on_disk(cls, file: BinaryIO) -> "Blob":
        """The content of an open file, which must not change any more. The caller may close it, but must not pass it to
        others.
        """
        file.flush()
        descriptor = os.dup(file.fileno())
        return cls(UnnamedFile(descriptor), os.fstat(descriptor).st_size)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from `start` up to `stop`, or up to the end."""
        start, stop = self._within(start, stop)
        if isinstance(self._content, bytes):
            return self._content[start:stop]
        return self._content.read(max(stop - start, 0), start)

    def chunks(self, start: int = 0, stop: int | None = None) -> "BlobParts":
        """The bytes as `read` returns them, in pieces."""
        return BlobParts(self, *self._within(start, stop))

    def line_groups(self) -> Iterator[list[bytes]]:
        r"""The lines in order, without their `\n`, in groups of at most CHUNK_BYTES and one line.

        Only `\n` ends a line; the last line may lack it. A line longer than MAX_LINE is cut to MAX_LINE bytes and a
        NUL, which is invalid in JSON.
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
        """A digest of 16 bytes. Not for secrets."""
        if not self._digest:
            hasher = xxhash.xxh3_128()
            for chunk in self.chunks():
                hasher.update(chunk)
            self._digest = hasher.digest()
        return self._digest

    def is_utf8(self) -> bool:
        """Whether the bytes are text in UTF-8; they are read unless they are known to be ASCII."""
        if self._is_ascii:
            return True
        decoder = getincrementaldecoder("utf-8")()
        try:
            for chunk in self.chunks():
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True

    def _within(self, start: int, stop: int | None) -> tuple[int, int]:
        return max(start, 0), self.size if stop is None else min(stop, self.size)


class BlobParts(Iterator[bytes]):
    """The bytes of a blob in pieces."""

    def __init__(self, blob: Blob, start: int, stop: int) -> None:
        self.part_bytes = CHUNK_BYTES
        """The size of the next piece; may be changed at any time."""
        self._blob: Blob | None = blob
        self._at = start
        self._stop = stop

    def __next__(self) -> bytes:
        if self._blob is None or self._at >= self._stop:
            raise StopIteration
        end = min(self._at + self.part_bytes, self._stop)
        part = self._blob.read(self._at, end)
        self._at = end
        return part

    def close(self) -> None:
        """Close the reader and release the blob."""
        self._blob = None


class BlobWriter:
    """Writes a Blob sequentially. A writer that is dropped before `finish` frees its content."""

    def __init__(self, memory: int = MEMORY_BYTES, *, hashes: bool = False) -> None:
        """Content of more than `memory` bytes goes to disk. With `hashes`, it is known when it is written what its
        digest is, and whether it is ASCII.
        """
        self._memory = memory
        self._hasher = xxhash.xxh3_128() if hashes else None
        self._is_ascii = hashes
        self._file: UnnamedFile | None = None
        self._size = 0
        self._waiting: list[bytes] = []
        self._written = 0

    def write(self, *parts: bytes) -> None:
        """Appends bytes; raises OSError if the disk is full."""
        self._size += sum(map(len, parts))
        self._waiting += parts
        if self._size > self._memory and self._size - self._written >= CHUNK_BYTES:
            self._spill()

    def finish(self) -> Blob:
        """The complete blob. No more writes are allowed."""
        if self._size <= self._memory:
            return Blob.in_memory(b"".join(self._waiting))
        file = self._spill()
        return Blob(file, self._size, self._hasher.digest() if self._hasher else b"", is_ascii=self._is_ascii)

    def _spill(self) -> UnnamedFile:
        if self._file is None:
            self._file = UnnamedFile.create()
        waiting = b"".join(self._waiting)
        self._waiting.clear()
        self._file.append(waiting)
        if self._hasher is not None:
            self._hasher.update(waiting)
            self._is_ascii = self._is_ascii and waiting.isascii()
        self._written = self._size
        return self._file


def no_room(problem: OSError) -> Refusal:
    """The rejection of a request whose bytes could not be stored. The client may retry it."""
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


class KeptBody:
    """A large body, in memory or in a file."""

    __slots__ = ("_content", "_freed", "_start", "size")

    def __init__(
        self, content: bytes | UnnamedFile, size: int, start: int = 0, freed: "deque[int] | None" = None
    ) -> None:
        """In a file it begins at byte `start`. Its size is added to `freed` when the body is dropped."""
        self._content = content
        self._start = start
        self._freed = freed
        self.size = size

    def read(self) -> bytes:
        """The body."""
        return self._content if isinstance(self._content, bytes) else self._content.read(self.size, self._start)

    def __eq__(self, other: object) -> bool:
        return self.read() == (other.read() if isinstance(other, KeptBody) else other)

    def __hash__(self) -> int:
        return hash(self.size)

    def __del__(self) -> None:
        if self._freed is not None:
            self._freed.append(self.size)


# A batch's body has the type `bytes` wherever it is written and read back: its exports are the same in either case.
if TYPE_CHECKING:
    Body = bytes | KeptBody
else:
    Body = bytes


class BodySpace:
    """Keeps the large bodies of all sandboxes' batches. May be used from several threads.

    Ten thousand batches of 200 kB are 2 GB. Their bodies are rarely read again, so those beyond the limit are appended
    to a file, which takes about as long as keeping them in fresh memory. A file goes with the last of its bodies.
    """

    def __init__(self, limit: int = BODIES_IN_MEMORY) -> None:
        """`limit` is the most bytes in memory."""
        self._limit = limit
        self._lock = Lock()
        self._held = 0
        self._freed: deque[int] = deque()
        """Sizes of dropped bodies that `_held` still counts: they are dropped in any thread, and at any time."""
        self._file: UnnamedFile | None = None
        self._file_size = 0

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return max(self._held - sum(self._freed.copy()), 0)

    def keep(self, body: bytes) -> "Body":
        """The body as a batch keeps it; raises Refusal if the disk is full."""
        if len(body) < LEAST_BODY:
            return body
        with self._lock:
            while self._freed:
                self._held -= self._freed.popleft()
            if self._held + len(body) <= self._limit:
                self._held += len(body)
                return KeptBody(body, len(body), freed=self._freed)
            try:
                return self._append(body)
            except OSError as problem:
                self._file = None  # which may end in a part of this body
                raise no_room(problem) from None

    def _append(self, body: bytes) -> KeptBody:
        if self._file is None or self._file_size >= FILE_BYTES:
            self._file, self._file_size = UnnamedFile.create(), 0
        start = self._file_size
        self._file.append(body)
        self._file_size += len(body)
        return KeptBody(self._file, len(body), start)


def read_body(body: "Body") -> bytes:
    """The bytes of a kept body."""
    return body.read() if isinstance(body, KeptBody) else body


def size_of(body: "Body") -> int:
    """The number of bytes of a kept body, which is not read."""
    return body.size if isinstance(body, KeptBody) else len(body)


def content_of(value: Any) -> bytes:
    """The bytes that a codec writes for a blob or a kept body; raises TypeError for another object."""
    if isinstance(value, (Blob, KeptBody)):
        return value.read()
    raise TypeError(f"a {type(value).__name__} is none of the values that can be written")


def blob_of(type_: type, value: Any) -> Blob:
    """The blob that a codec reads where one is declared; raises ValueError for another type."""
    if type_ not in {Blob, StoredBytes} or not isinstance(value, bytes):
        raise ValueError(f"a {type(value).__name__} is no {type_.__name__}")
    return Blob.in_memory(value)
