"""Writes the values of collections as bytes, and reads them back by the types with which they are declared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, get_args, get_type_hints
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec

from mockserver.errors import Conflict
from mockserver.http import StoredBytes
from mockserver.records import Endless, is_record, read_endless
from mockserver.stores.backend import OWNED

INLINE_BYTES = 16 * 1024
"""Blobs of at most so many bytes are written with their value."""
CHUNK_BYTES = 256 * 1024
"""The size of the pieces of a larger blob.

Larger values are stored as blobs, too: a client can make some of many megabytes, and the engine is locked while it
takes one.
"""
AS_BLOB = b"\xc1"
"""The beginning of what is stored in the place of such a value; MessagePack never uses it."""
_decode_reference = msgspec.msgpack.Decoder(tuple[str, int]).decode


class Codec:
    """MessagePack by type: named tuples are arrays, enumerations are texts; `write` and `read` handle stored bytes."""

    def __init__(
        self, types: Mapping[str, Any], *, write: Callable[[Any], Any], read: Callable[[type, Any], Any]
    ) -> None:
        """`types` are those of the values in each collection, by its name.

        `write` gives what is written for an object that is no plain value, or raises TypeError. `read` makes the
        object of that type again, or raises ValueError. `sandbox.blobs` has both.
        """
        self._encoder = msgspec.msgpack.Encoder(enc_hook=write)

        def read_other(type_: type, value: Any) -> Any:
            return read_endless(value) if type_ is Endless else read(type_, value)

        self._decoders = {name: msgspec.msgpack.Decoder(each, dec_hook=read_other) for name, each in types.items()}

    def encode(self, value: Any) -> bytes:
        """The value in bytes; raises TypeError for one that is no value."""
        return self._encoder.encode(value)

    def decode(self, collection: str, content: bytes) -> Any:
        """The value of a collection; raises msgspec.ValidationError for one of another type."""
        return self._decoders[collection].decode(content)


class BlobBackend(Protocol):
    """Stores blobs in chunks of CHUNK_BYTES; see `stores.shared.Backend`."""

    def next_number(self) -> int: ...

    def has_blob(self, id_: str) -> bool: ...

    def write_blob(self, id_: str, chunks: Iterator[bytes]) -> None: ...

    def read_chunk(self, id_: str, number: int) -> bytes: ...


class BlobContent:
    """The bytes of a stored blob, read from the backend piece by piece."""

    def __init__(self, backend: BlobBackend, id_: str) -> None:
        self.id = id_
        self._backend = backend

    def read(self, size: int, start: int) -> bytes:
        """Bytes of the blob, from `start` on."""
        parts, stop = [], start + size
        while start < stop:
            number, skip = divmod(start, CHUNK_BYTES)
            part = self._backend.read_chunk(self.id, number)[skip : skip + stop - start]
            if not part:
                raise OSError(f"the stored blob {self.id} ends at {start}, not at {stop}")
            parts.append(part)
            start += len(part)
        return b"".join(parts)  # which is the only part itself, if there is one


class BlobCodec(Codec):
    """A codec that writes large blobs to a backend, and references to them into the values."""

    def __init__(
        self,
        types: Mapping[str, Any],
        backend: BlobBackend,
        *,
        write: Callable[[Any], bytes],
        make: Callable[[bytes | BlobContent, int], StoredBytes],
    ) -> None:
        """`write` gives the bytes of other objects; `make` a blob of that content and size."""
        super().__init__(types, write=self._write, read=self._read)
        self._backend = backend
        self._write_other = write
        self._make = make
        self._ids: WeakKeyDictionary[StoredBytes, str] = WeakKeyDictionary()
        self._blobs: WeakValueDictionary[str, StoredBytes] = WeakValueDictionary()
        self._with_blobs = frozenset(name for name, type_ in types.items() if _has_blobs(type_, set()))

    def encode_with_blobs(self, collection: str, value: Any) -> tuple[bytes, tuple[str, ...]]:
        """The value in bytes, and the ids of the blobs to which they refer."""
        used: list[str] = []
        encoder = self._encoder
        if collection in self._with_blobs:
            encoder = msgspec.msgpack.Encoder(enc_hook=lambda each: self._write(each, used))
        content = encoder.encode(value)
        if len(content) > CHUNK_BYTES:
            id_ = f"{OWNED}{self._backend.next_number()}"
            self._backend.write_blob(id_, _chunks(self._make(content, len(content))))
            used.append(id_)
            content = AS_BLOB + msgspec.msgpack.encode((id_, len(content)))
        return content, tuple(used)

    def decode(self, collection: str, content: bytes) -> Any:
        """As Codec.decode. Raises Conflict for a value that another process has replaced meanwhile."""
        if content.startswith(AS_BLOB):
            id_, size = _reference(content)
            try:
                content = BlobContent(self._backend, id_).read(size, 0)
            except OSError:
                raise Conflict from None
        return super().decode(collection, content)

    @staticmethod
    def size(content: bytes, blobs: Sequence[str] = ()) -> int:
        """The bytes of an encoded value, wherever they are, and of blobs that it refers to."""
        own = _reference(content)[1] if content.startswith(AS_BLOB) else len(content)
        return own + sum(int(id_.rpartition("-")[2]) for id_ in blobs if not id_.startswith(OWNED))

    def _write(self, value: Any, used: list[str] | None = None) -> Any:
        if not isinstance(value, StoredBytes):
            return self._write_other(value)
        if value.size <= INLINE_BYTES:
            return value.read()
        id_ = self._ids.get(value) or f"{value.digest().hex()}-{value.size}"
        if not self._backend.has_blob(id_):
            self._backend.write_blob(id_, _chunks(value))
        self._ids[value] = id_
        self._blobs.setdefault(id_, value)
        if used is not None:
            used.append(id_)
        return [id_, value.size]

    def _read(self, type_: type, value: Any) -> StoredBytes:
        if not hasattr(type_, "line_groups"):
            raise ValueError(f"a {type(value).__name__} is no {type_.__name__}")
        if isinstance(value, bytes):
            return self._make(value, len(value))
        id_, size = value
        blob = self._blobs.get(id_)
        if blob is None:
            blob = self._blobs[id_] = self._make(BlobContent(self._backend, id_), size)
            self._ids[blob] = id_
        return blob


def _reference(content: bytes) -> tuple[str, int]:
    """The id and the size of the blob that holds a value."""
    found: tuple[str, int] = _decode_reference(content[len(AS_BLOB) :])
    return found


def _chunks(blob: StoredBytes) -> Iterator[bytes]:
    return (blob.read(start, start + CHUNK_BYTES) for start in range(0, blob.size, CHUNK_BYTES))


def _has_blobs(type_: Any, seen: set[int]) -> bool:
    """Whether a type mentions stored bytes."""
    if isinstance(type_, type) and (type_ is StoredBytes or hasattr(type_, "line_groups")):
        return True
    if id(type_) in seen:
        return False
    seen.add(id(type_))
    parts = get_type_hints(type_).values() if is_record(type_) else get_args(type_)
    return any(_has_blobs(each, seen) for each in parts)
