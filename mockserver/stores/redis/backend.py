"""A store in a Redis or Valkey database, which any number of replicas may use.

A commit is one script, which compares the sandbox's version and applies all changes, so it takes one round trip; so
does reading any number of keys. All keys begin with PREFIX: other keys in the database are never touched.

While the server does not answer, requests fail at once; a thread asks it once a second whether it does again.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from mockserver.errors import StoreError, StoreUnavailable
from mockserver.stores.backend import (
    SHORTEST_GRACE,
    Changes,
    Commit,
    Entry,
    Facts,
    Key,
    blob_size,
    expired_blobs,
    slices_of,
    staged_part,
)
from mockserver.stores.codec import CHUNK_BYTES
from mockserver.stores.redis.scripts import SCRIPTS

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise StoreError(
        "a store in Redis needs the package redis: pip install 'batch-mockserver[redis]' (the extra [redis])"
    ) from error

PREFIX = "mockserver:"
FORMAT = 4
"""1 had other keys in journals, and 3 other values; see `StoredJournal`. 2 had no blobs that hold a large value."""
SECONDS = 2.0
"""The longest wait for an answer of the server."""
PAUSE = 1.0
"""Seconds between two questions whether the server answers again."""
STAGED_NAME = "\x01staged "
"""The beginning of the names under which imports are written."""
STAGED_SECONDS = 6 * 3600.0
"""Seconds after which an import is no longer being written."""
SWEEP_SECONDS = 30.0
"""Seconds between two searches for blobs that can be deleted."""
SWEEP_BYTES = 256 * 1024 * 1024
"""The bytes of blobs after which a script deletes no more of them, so that others need not wait: 1,024 chunks."""
ENTRIES_SLICE = 500
"""Sandboxes that one script reads or counts, so that others need not wait."""
_FULL = ("OOM", "READONLY", "MISCONF", "NOREPLICAS")
"""The beginnings of errors of a server that takes no more changes; redis-py removes the first two."""
_FULL_ERRORS = (redis.exceptions.OutOfMemoryError, redis.exceptions.ReadOnlyError)


class RedisBackend:
    """The database of a store; see `stores.backend.Backend`. May be used from several threads."""

    def __init__(self, url: str, wall: Callable[[], float]) -> None:
        """Connect; raises StoreError. `wall` is the wall clock, in Unix seconds."""
        self._wall = wall
        self._swept = monotonic()
        self._is_closed = threading.Event()
        self.is_available = True
        """Whether the server answered the last time."""
        self.round_trips = self.failures = 0
        try:
            self._place = place_of(url)
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0),
                health_check_interval=0, client_name="mockserver",
            )  # fmt: skip
        except (ValueError, redis.RedisError) as problem:
            raise StoreError(f"the store is no Redis URL: {type(problem).__name__}") from None
        self._scripts = {name: self._client.register_script(text) for name, text in SCRIPTS.items()}
        try:
            self._check()
        except StoreError:
            self.close()
            raise
        threading.Thread(target=self._watch, name="mockserver-redis", daemon=True).start()

    def fetch(self, sandbox: str, keys: Sequence[Key]) -> tuple[int, Sequence[bytes | None]]:
        found = self._run("fetch", sandbox, *(part for key in keys for part in key))
        return int(found[0]), found[1:]

    def scan(self, sandbox: str, collection: str) -> tuple[int, Sequence[tuple[str, bytes]]]:
        return self._range(sandbox, collection, "ZRANGE", 0, 2**53)

    def latest(self, sandbox: str, collection: str, start: int, most: int) -> tuple[int, Sequence[tuple[str, bytes]]]:
        return self._range(sandbox, collection, "ZREVRANGE", start, most)

    def count(self, sandbox: str, collection: str) -> tuple[int, int]:
        version, count = self._run("count", sandbox, collection)
        return int(version), count

    def commit(self, commits: Sequence[Commit]) -> Sequence[int | None]:
        staged = [self._stage(each) for each in commits]
        given = [_arguments(each, name) for each, name in staged]
        found = [self._run("commit", *given[0])] if len(given) == 1 else self._call(partial(self._commit_all, given))
        for version, (_, name) in zip(found, staged, strict=True):
            if name and not version:
                self._drop_staged(name)
        if monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = monotonic()
            threading.Thread(target=self._sweep_aside, name="mockserver-sweep", daemon=True).start()
        return [int(each) if each else None for each in found]

    def drop(self, sandbox: str, unused_since: float | None = None) -> bool:
        return bool(self._run("drop", sandbox, repr(self._wall()), "inf" if unused_since is None else unused_since))

    def entries(self) -> Sequence[Entry]:
        found: list[Entry] = []
        last: bytes | int = 0
        while True:
            rows, last = self._run("entries", last, ENTRIES_SLICE)
            found += map(_entry, rows)
            if len(rows) < ENTRIES_SLICE:
                return found

    def oldest(self, most: int) -> Sequence[Entry]:
        return [_entry(row) for row in self._run("oldest", most - 1)]

    def due(self, now: float) -> Sequence[Entry]:
        return [_entry(row) for row in self._run("due", repr(now))]

    def idle(self, since: float) -> Sequence[Entry]:
        return [_entry(row) for row in self._run("idle", repr(since))]

    def size(self) -> int:
        return int(self._call(lambda: self._client.zcard(PREFIX + "sandboxes")))

    def entry(self, name: str) -> Entry | None:
        found = self._run("entry", name)
        return _entry(found) if found and found[1] is not None else None

    def totals(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for start in range(0, self.size(), ENTRIES_SLICE):
            rows = self._run("totals", start, start + ENTRIES_SLICE - 1)
            for collection, count in zip(rows[::2], rows[1::2], strict=True):
                found[collection.decode()] = found.get(collection.decode(), 0) + count
        return found

    def every(self, collection: str, key: str) -> Sequence[bytes]:
        slices = range(0, self.size(), ENTRIES_SLICE)
        rows = [self._run("every", start, start + ENTRIES_SLICE - 1, collection, key) for start in slices]
        return [content for each in rows for content in each]

    def stored_bytes(self) -> int:
        return int(self._call(lambda: self._client.info("memory"))["used_memory"])

    def next_number(self) -> int:
        return int(self._call(lambda: self._client.incr(PREFIX + "ids")))

    def has_blob(self, id_: str) -> bool:
        # Marked as unused now, whether a value refers to it or not: a sweep looks for values.
        if not self._call(lambda: self._client.exists(_chunk(id_, 0))):
            return False
        self._call(lambda: self._client.zadd(PREFIX + "unused", {id_: self._wall()}))
        return True

    def write_blob(self, id_: str, chunks: Iterator[bytes]) -> None:
        self._call(lambda: self._client.zadd(PREFIX + "unused", {id_: self._wall()}))
        first = next(chunks)
        for number, chunk in enumerate(chunks, 1):
            self._set(_chunk(id_, number), chunk)
        self._set(_chunk(id_, 0), first)  # last: with it the blob is there

    def read_chunk(self, id_: str, number: int) -> bytes:
        return self._call(lambda: self._client.get(_chunk(id_, number))) or b""

    def close(self) -> None:
        self._is_closed.set()
        self._client.close()

    def sweep(self) -> None:
        """Delete blobs that no value refers to, in short scripts."""
        for gone in self._call(lambda: self._client.hkeys(PREFIX + "gone")):
            while self._run("release", gone, repr(self._wall())):
                pass
        for name in self._call(lambda: self._client.zrangebyscore(PREFIX + "staged", 0, self._wall() - STAGED_SECONDS)):
            self._drop_staged(name.decode())
        latest, unused, count = repr(self._wall() - SHORTEST_GRACE), list[tuple[str, float]](), ENTRIES_SLICE
        while count == ENTRIES_SLICE:
            count, *rows = self._run("unused", latest, len(unused), ENTRIES_SLICE)
            unused += ((id_.decode(), float(since)) for id_, since in zip(rows[::2], rows[1::2], strict=True))
        some, size = list[str](), 0
        for id_ in expired_blobs(unused, self._wall()):
            some.append(id_)
            size += max(blob_size(id_), CHUNK_BYTES)
            if size > SWEEP_BYTES:
                self._run("sweep", latest, *some)
                some, size = [], 0
        if some:
            self._run("sweep", latest, *some)

    def _stage(self, commit: Commit) -> tuple[Commit, str]:
        """Write a long commit aside; returns what is left of it, and the name of what was written, if any."""
        puts, rest = staged_part(commit.changes)
        if not puts:
            return commit, ""
        name, version = f"{STAGED_NAME}{self.next_number()}", 0
        self._call(lambda: self._client.zadd(PREFIX + "staged", {name: self._wall()}))
        for some in slices_of(puts):
            part = Commit(name, version, Changes(None, (), some), None, commit.used)
            version = int(self._run("commit", *_arguments(part)))
        return commit._replace(changes=rest), name

    def _drop_staged(self, name: str) -> None:
        self.drop(name)
        self._call(lambda: self._client.zrem(PREFIX + "staged", name))

    def _commit_all(self, given: Sequence[Sequence[Any]]) -> list[Any]:
        """Several commits in one round trip. One with an error has changed nothing; alone it will have it again."""
        script = self._scripts["commit"]
        with self._client.pipeline(transaction=False) as pipe:
            for each in given:
                pipe.evalsha(script.sha, 0, PREFIX, *each)
            found = pipe.execute(raise_on_error=False)
        for number, each in enumerate(found):
            if isinstance(each, redis.exceptions.NoScriptError):
                found[number] = script(args=(PREFIX, *given[number]))
            elif isinstance(each, Exception):
                found[number] = None
        return list(found)

    def _range(
        self, sandbox: str, collection: str, order: str, start: int, most: int
    ) -> tuple[int, Sequence[tuple[str, bytes]]]:
        """What `scan` and `latest` return, read in parts so that the server is not busy for long."""
        rows: list[tuple[str, bytes]] = []
        while True:
            at, left = start + len(rows), most - len(rows)
            version, keys, contents, is_more = self._run("range", sandbox, collection, order, at, left)
            rows += ((key.decode(), content) for key, content in zip(keys, contents, strict=True))
            if not is_more or len(rows) == most:
                return int(version), rows

    def _sweep_aside(self) -> None:
        with suppress(StoreUnavailable):
            self.sweep()

    def _set(self, name: str, content: bytes) -> None:
        self._call(lambda: self._client.set(name, content))

    def _run(self, script: str, *given: Any) -> Any:
        return self._call(lambda: self._scripts[script](args=(PREFIX, *given)))

    def _call(self, action: Callable[[], Any]) -> Any:
        self.round_trips += 1
        if not self.is_available:
            self.failures += 1
            raise StoreUnavailable(f"Redis at {self._place} does not answer")
        try:
            return action()
        except (redis.ConnectionError, redis.TimeoutError) as problem:
            self.is_available = False
            self.failures += 1
            raise StoreUnavailable(f"Redis at {self._place} does not answer: {_reason(problem)}") from None
        except redis.RedisError as problem:
            self.failures += 1
            text = str(problem)
            is_full = isinstance(problem, _FULL_ERRORS) or any(word in text for word in _FULL)
            raise StoreUnavailable(f"Redis at {self._place} refuses: {text[:200]}", is_full=is_full) from None

    def _watch(self) -> None:
        while not self._is_closed.wait(PAUSE):
            if not self.is_available:
                try:
                    self._client.ping()
                    self.is_available = True
                except redis.RedisError:
                    continue

    def _check(self) -> None:
        """Raises StoreError if this is no Redis server that can be used."""
        try:
            self._client.ping()
            found = self._client.get(PREFIX + "format")
            if found is None:
                self._client.set(PREFIX + "format", FORMAT, nx=True)
            elif not found.isdigit() or int(found) > FORMAT:
                raise StoreError(
                    f"the database at {self._place} was written by a newer mockserver (format {found.decode()[:20]}; "
                    f"this one reads up to {FORMAT}); use that version, or another database number"
                )
            elif int(found) < FORMAT:
                self._client.set(PREFIX + "format", FORMAT)
        except redis.AuthenticationError:
            raise StoreError(f"Redis at {self._place} rejects the password") from None
        except redis.TimeoutError:
            waited = f"no answer in {math.ceil(SECONDS)} seconds"
            raise StoreError(f"there is no Redis server at {self._place}: {waited}") from None
        except redis.ConnectionError as problem:
            raise StoreError(f"there is no Redis server at {self._place}: {_reason(problem)}") from None
        except redis.RedisError as problem:
            raise StoreError(f"Redis at {self._place} cannot be used: {str(problem)[:200]}") from None
        except (ValueError, UnicodeError, IndexError):
            raise StoreError(f"what answers at {self._place} is no Redis server") from None


def _arguments(commit: Commit, staged: str = "") -> list[Any]:
    """What the script of a commit is given. `staged` is the name of values that were written aside."""
    facts, changes = commit.facts, commit.changes
    given: list[Any] = [commit.sandbox, commit.version, repr(commit.used)]
    if facts is None:
        given += ["", "-", ""]
    else:
        given += [facts.key, int(facts.is_pinned), "" if facts.due is None else repr(facts.due)]
    given += [""] if changes.kept is None else [len(changes.kept), *changes.kept]
    given.append(staged)
    given.append(len(changes.deleted))
    for at in changes.deleted:
        given += at
    for collection, key, content, is_last, blobs in changes.put:
        given += (collection, key, content, int(is_last), " ".join(blobs))
    return given


def _chunk(id_: str, number: int) -> str:
    return f"{PREFIX}b\x1f{id_}\x1f{number}"


def place_of(url: str) -> str:
    """Host, port and database of a URL, without user and password."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname}:{parts.port or 6379}{parts.path}"


def _reason(problem: Exception) -> str:
    text = str(problem)
    return text[:200] if "@" not in text else type(problem).__name__


def _entry(row: Sequence[bytes]) -> Entry:
    name, used, key, pinned, due = (part.decode() if part else "" for part in row)
    return Entry(name, float(used or 0), Facts(key, pinned == "1", float(due) if due else None))
