"""Ids that are the same on every run: f(seed, sandbox, operation, canonical body, how often that body was seen)."""

from collections.abc import Iterable
from typing import Any

import orjson
import xxhash

from mockserver.http import Upload
from mockserver.sandbox.collection import Collection

NESTING_MARGIN = 24
"""Levels that an answer may have around what was given."""


def digest(*parts: bytes) -> bytes:
    """16 bytes that stand for the parts. Not for secrets: XXH3, because a batch's body is hashed on every queuing."""
    return xxhash.xxh3_128_digest(_fold(parts))


def seed_of(*parts: bytes) -> int:
    """A number that stands for the parts, to begin many digests with."""
    return xxhash.xxh3_64_intdigest(_fold(parts))


def seeded_digest(seed: int, part: bytes) -> bytes:
    """16 bytes that stand for a part and what the seed was made of; for half the price of `digest`."""
    return xxhash.xxh3_128_digest(part, seed)


def _fold(parts: Iterable[bytes]) -> bytes:
    return b"".join([b"%d:%b" % (len(part), part) for part in parts])


def as_uuid(identity: bytes) -> str:
    """16 bytes as the text of a version 4 UUID (RFC 9562), which is what the documented ids look like."""
    text = identity.hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[identity[8] & 3]}{text[17:20]}-{text[20:]}"


def canonical(value: Any) -> bytes:
    """A JSON value in the one form that all ways of writing it share: keys sorted, no white space.

    A form's files may be in it; what stands for them depends on all of their content.
    """
    return orjson.dumps(value, default=_replacement, option=orjson.OPT_SORT_KEYS)


def check_depth(value: Any) -> None:
    """Raises JSONEncodeError for what is so deep that an answer around it could not be written."""
    for _ in range(NESTING_MARGIN):
        value = [value]
    canonical(value)


def _replacement(value: Any) -> list[str]:
    if isinstance(value, Upload):
        return [value.filename, value.media_type, value.blob.digest().hex()]
    raise TypeError(f"{type(value).__name__} is not JSON")


def salt_of(seed: str, sandbox: str) -> bytes:
    """What the ids of a sandbox of that name derive from."""
    return digest(seed.encode(), sandbox.encode())


class IdSequence:
    """The identities one sandbox gives. A body seen again gets another one, whatever was asked in between."""

    def __init__(self, seed: str, sandbox: str, seen: Collection[int]) -> None:
        """`seen` is where the sandbox counts how often each body came."""
        self.salt = salt_of(seed, sandbox)
        self._get = seen.get
        self._put = seen.put

    def next(self, operation: str, body: bytes) -> bytes:
        """The next identity for this operation and canonical body."""
        content = xxhash.xxh3_128_hexdigest(body) + operation
        count = self._get(content) or 0
        self._put(content, count + 1)
        return xxhash.xxh3_128_digest(b"%b%d:%b" % (self.salt, count, content.encode()))
