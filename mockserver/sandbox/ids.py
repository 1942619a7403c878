"""Ids that are the same on every run.

An id is a digest of the seed, the sandbox's name, the operation, the canonical body, and how often this body was seen
in this sandbox:

- The canonical body (sorted keys, no white space) makes all spellings of one JSON value equal.

- The count gives a repeated request another id. It is the only state, and it depends on equal requests only: other
requests, their order, the number of workers and the clock have no effect.

- An export contains the counts and the salt, so an imported sandbox continues with the ids of the original.

Random ids and counters of all requests would break this, so neither is used anywhere.
"""

from collections.abc import Iterable
from typing import Any

import orjson
import xxhash
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from mockserver.http import Upload
from mockserver.stores.collection import Cell, Collection, OwnCell


def digest(*parts: bytes) -> bytes:
    """A digest of the parts, 16 bytes. Not for secrets: XXH3, since every batch's body is hashed."""
    return xxhash.xxh3_128_digest(_fold(parts))


def seed_of(*parts: bytes) -> int:
    """A number derived from the parts, as the seed of many digests."""
    return xxhash.xxh3_64_intdigest(_fold(parts))


def seeded_digest(seed: int, part: bytes) -> bytes:
    """A digest of a part and a seed, 16 bytes, at half the cost of `digest`."""
    return xxhash.xxh3_128_digest(part, seed)


def _fold(parts: Iterable[bytes]) -> bytes:
    return b"".join([b"%d:%b" % (len(part), part) for part in parts])


def as_uuid(identity: bytes) -> str:
    """16 bytes as the text of a version 4 UUID (RFC 9562), the format of the documented ids."""
    text = identity.hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[identity[8] & 3]}{text[17:20]}-{text[20:]}"


def canonical(value: Any) -> bytes:
    """JSON in canonical form: keys sorted, no white space.

    A form may contain files, which are represented by a digest of their content.
    """
    return orjson.dumps(value, default=_replacement, option=orjson.OPT_SORT_KEYS)


def _replacement(value: Any) -> list[str]:
    if isinstance(value, Upload):
        return [value.filename, value.media_type, value.blob.digest().hex()]
    raise TypeError(f"{type(value).__name__} is not JSON")


def salt_of(seed: str, sandbox: str) -> bytes:
    """The salt of the ids of a sandbox of that name."""
    return digest(seed.encode(), sandbox.encode())


class IdSequence:
    """The ids of one sandbox. A repeated body gets another id, independent of the requests in between."""

    def __init__(self, seed: str, sandbox: str, seen: Collection[int], salt: Cell[bytes] | None = None) -> None:
        """`seen` holds how often each body occurred, `salt` the salt, if it is not that of the sandbox."""
        self._salt = salt or OwnCell(salt_of(seed, sandbox))
        self._seen = seen

    @property
    def salt(self) -> bytes:
        """What tells the ids of this sandbox from those of others."""
        return self._salt.get()

    @salt.setter
    def salt(self, salt: bytes) -> None:
        self._salt.put(salt)

    def next(self, operation: str, body: bytes | memoryview) -> bytes:
        """The next digest for this operation and canonical body."""
        content = xxh3_128_hexdigest(body) + operation
        count = self._seen.get(content) or 0
        self._seen.put(content, count + 1)
        return xxh3_128_digest(b"%b%d:%b" % (self._salt.get(), count, content.encode()))
