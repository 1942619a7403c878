"""What a shared store needs of an engine: bytes by sandbox, collection and key, and commits that compare versions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

GRACE, SHORTEST_GRACE = 600.0, 60.0
"""Seconds that a blob is kept while no value refers to it: until its first value is committed, or a download ends."""
UNUSED_BYTES = 64 * 1024 * 1024
"""The most bytes of such blobs for GRACE; beyond that, the oldest are kept for SHORTEST_GRACE."""
OWNED = "own-"
"""The beginning of the ids of blobs that hold one value: they are deleted as soon as it no longer refers to them."""
STAGED, STAGED_BYTES = 500, 4 * 1024 * 1024
"""The most values of an import that one transaction writes, and the bytes after which it writes no more."""
Key = tuple[str, str]
"""A collection and a key in it."""


def blob_size(id_: str) -> int:
    """The bytes of a blob; 0 if its id does not say."""
    size = id_.rpartition("-")[2]
    return int(size) if size.isdigit() and not id_.startswith(OWNED) else 0


def expired_blobs(unused: Sequence[tuple[str, float]], now: float) -> list[str]:
    """Of the blobs to which no value refers, with the time since when, those that are not kept any longer."""
    gone, kept = [], 0
    for id_, since in sorted(unused, key=lambda each: -each[1]):
        kept += blob_size(id_)
        if since < now - GRACE or (kept > UNUSED_BYTES and since < now - SHORTEST_GRACE):
            gone.append(id_)
    return gone


class Put(NamedTuple):
    """A value to add or to replace."""

    collection: str
    key: str
    content: bytes
    is_last: bool
    """Whether the key comes last, even if it is known: it was deleted before."""
    blobs: tuple[str, ...]
    """The ids of the blobs that it refers to."""


class Changes(NamedTuple):
    """What a transaction changes: first `kept`, then `deleted`, then `put`."""

    kept: frozenset[str] | None
    """The only collections that are not emptied; None if none is."""
    deleted: Sequence[Key]
    put: Sequence[Put]


def staged_part(changes: Changes) -> tuple[Sequence[Put], Changes]:
    """What is to be written aside before a commit, in parts, if it empties collections and fills them with much.

    Returns the values, and the other changes. There are no such values if the commit is short.
    """
    kept = changes.kept
    if kept is None or len(changes.put) <= STAGED:
        return (), changes
    staged = [each for each in changes.put if each.collection not in kept]
    return staged, changes._replace(put=[each for each in changes.put if each.collection in kept])


def slices_of(puts: Sequence[Put]) -> Iterator[Sequence[Put]]:
    """The values in parts, each of which is written in a short time."""
    start = size = 0
    for at, each in enumerate(puts):
        size += len(each.content)
        if at - start == STAGED - 1 or size > STAGED_BYTES or at == len(puts) - 1:
            yield puts[start : at + 1]
            start, size = at + 1, 0


class Facts(NamedTuple):
    """What the list of sandboxes says of one."""

    key: str = ""
    is_pinned: bool = False
    due: float | None = None
    """The wall-clock time at which its next callback is due, in Unix seconds; infinite while unknown, None for none."""


class Commit(NamedTuple):
    """What a transaction changes of a sandbox."""

    sandbox: str
    version: int
    """The version that it has read."""
    changes: Changes
    facts: Facts | None
    """None if they are as before."""
    used: float
    """The wall-clock time, in Unix seconds."""


class Entry(NamedTuple):
    """A sandbox in the list of sandboxes."""

    name: str
    used: float
    """The wall-clock time of its last commit, in Unix seconds."""
    facts: Facts


class Backend(Protocol):
    """Bytes by sandbox, collection and key. Raises StoreUnavailable where it cannot answer.

    The version of a sandbox that does not exist is 0. No version comes twice, not even if a sandbox is dropped.
    """

    is_available: bool
    """Whether it answered the last time."""
    round_trips: int
    """Questions and changes so far, each with one wait; threads that count at the same time may lose a count."""
    failures: int
    """How many of them had no answer."""

    def fetch(self, sandbox: str, keys: Sequence[Key]) -> tuple[int, Sequence[bytes | None]]:
        """The version, and the contents of these keys at that version."""

    def scan(self, sandbox: str, collection: str) -> tuple[int, Sequence[tuple[str, bytes]]]:
        """The version, and the keys and contents of a collection in the order in which they were first put.

        If the sandbox is changed meanwhile, the version is a later one, which fits only a part of the contents.
        """

    def latest(self, sandbox: str, collection: str, start: int, most: int) -> tuple[int, Sequence[tuple[str, bytes]]]:
        """The version, and at most so many keys and contents in reverse order, without the first `start` of them.

        The version is as that of `scan`.
        """

    def count(self, sandbox: str, collection: str) -> tuple[int, int]:
        """The version, and the number of keys in a collection."""

    def commit(self, commits: Sequence[Commit]) -> Sequence[int | None]:
        """Apply the changes of several sandboxes, each at most once, and return their new versions.

        It is None, with nothing done, for a sandbox that has another version.
        """

    def drop(self, sandbox: str, unused_since: float | None = None) -> bool:
        """Remove a sandbox, if its last use was not after that wall-clock time; returns whether it did."""

    def entries(self) -> Sequence[Entry]:
        """All sandboxes, in order of creation, without those whose names begin with `\\x01`."""

    def oldest(self, most: int) -> Sequence[Entry]:
        """The first of these sandboxes in the order of their last use."""

    def due(self, now: float) -> Sequence[Entry]:
        """Those of these sandboxes whose next callback is due at that wall-clock time."""

    def idle(self, since: float) -> Sequence[Entry]:
        """Those whose last use was not after that wall-clock time, the oldest first."""

    def size(self) -> int:
        """The number of these sandboxes."""

    def entry(self, name: str) -> Entry | None:
        """The sandbox of that name or key."""

    def totals(self) -> Mapping[str, int]:
        """The number of keys in each collection, over all of these sandboxes. Takes longer, the more keys there are."""

    def every(self, collection: str, key: str) -> Sequence[bytes]:
        """The contents of a key in those of these sandboxes that have it."""

    def stored_bytes(self) -> int:
        """Bytes that the engine takes for all it holds."""

    def next_number(self) -> int:
        """A number that no process on the store gets again."""

    def has_blob(self, id_: str) -> bool:
        """Whether a blob is stored; it is kept for the next GRACE seconds then, even if no value refers to it."""

    def write_blob(self, id_: str, chunks: Iterator[bytes]) -> None:
        """Store a blob. It is kept for the next GRACE seconds, and then as long as a value refers to it."""

    def read_chunk(self, id_: str, number: int) -> bytes:
        """A chunk of a blob, from 0."""

    def close(self) -> None:
        """Release connections."""
