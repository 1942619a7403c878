"""A store in a Redis or Valkey database, which any number of replicas may use.

A commit is one script, which compares the sandbox's version and applies all changes, so it takes one round trip; so
does reading any number of keys. All keys begin with PREFIX: other keys in the database are never touched.

While the server does not answer, requests fail at once; a thread asks it once a second whether it does again.
"""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from mockserver.errors import StoreError, StoreUnavailable
from mockserver.stores.backend import GRACE, Changes, Entry, Facts, Key

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise StoreError(
        "a store in Redis needs the package redis: pip install 'batch-mockserver[redis]' (the extra [redis])"
    ) from error

PREFIX = "mockserver:"
FORMAT = 1
SECONDS = 2.0
"""The longest wait for an answer of the server."""
PAUSE = 1.0
"""Seconds between two questions whether the server answers again."""
SWEEP_SECONDS = 30.0
"""Seconds between two searches for blobs that can be deleted."""
SWEEP_MOST = 100
"""Blobs that one search deletes."""
TOTALS_SLICE = 500
"""Sandboxes whose collections are counted in one script, so that others need not wait."""
_FULL = ("OOM", "READONLY", "MISCONF", "NOREPLICAS")
"""The beginnings of errors of a server that takes no more changes."""

# Keys, each after PREFIX: "s" + sandbox (a hash: version, used, key, pinned, due), "c" + sandbox + collection (a hash
# of contents), "o" + sandbox + collection (a sorted set of keys), "n" + sandbox (its collections), "u" + sandbox (a
# hash: the blobs of a value), "b" + blob + number (a chunk), "w" + blob (the values that refer to it); and those of
# the whole store: "sandboxes" and "used" (sorted sets of names), "keys" (a hash of names by key), "ids", "places" and
# "unused" (a sorted set of blobs).
_COMMON = """
local P, S, N = ARGV[1], '\\31', ARGV[2]
local head = P .. 's' .. S .. N
local function of(kind, collection) return P .. kind .. S .. N .. S .. collection end
local version = redis.call('HGET', head, 'version') or '0'
"""
_FETCH = """
local found = {version}
for i = 3, #ARGV, 2 do found[#found + 1] = redis.call('HGET', of('c', ARGV[i]), ARGV[i + 1]) end
return found
"""
_SCAN = """
local keys = redis.call('ZRANGE', of('o', ARGV[3]), 0, -1)
local contents = {}
for i, key in ipairs(keys) do contents[i] = redis.call('HGET', of('c', ARGV[3]), key) end
return {version, keys, contents}
"""
_LATEST = """
local keys = redis.call('ZREVRANGE', of('o', ARGV[3]), ARGV[4], ARGV[4] + ARGV[5] - 1)
local contents = {}
for i, key in ipairs(keys) do contents[i] = redis.call('HGET', of('c', ARGV[3]), key) end
return {version, keys, contents}
"""
_COUNT = "return {version, redis.call('HLEN', of('c', ARGV[3]))}"
_USES = """
local uses = P .. 'u' .. S .. N
local function refer(collection, key, blobs)
  local field = collection .. S .. key
  local before = redis.call('HGET', uses, field)
  if (before or '') == blobs then return end
  for blob in string.gmatch(before or '', '[^ ]+') do
    redis.call('SREM', P .. 'w' .. S .. blob, N .. S .. field)
    redis.call('ZADD', P .. 'unused', now, blob)
  end
  for blob in string.gmatch(blobs, '[^ ]+') do redis.call('SADD', P .. 'w' .. S .. blob, N .. S .. field) end
  if blobs == '' then redis.call('HDEL', uses, field) else redis.call('HSET', uses, field, blobs) end
end
local function empty(collection)
  for _, field in ipairs(redis.call('HKEYS', uses)) do
    if string.sub(field, 1, #collection + 1) == collection .. S then
      refer(collection, string.sub(field, #collection + 2), '')
    end
  end
  redis.call('UNLINK', of('c', collection), of('o', collection))
  redis.call('SREM', P .. 'n' .. S .. N, collection)
end
"""
_COMMIT = f"""
if version ~= ARGV[3] then return '' end
local now, i, is_listed = ARGV[4], 9, string.byte(N) ~= 1
{_USES}
if version == '0' then
  redis.call('HSET', head, 'version', string.format('%.0f', redis.call('INCR', P .. 'ids') * 16777216))
  if is_listed then redis.call('ZADD', P .. 'sandboxes', redis.call('INCR', P .. 'places'), N) end
end
redis.call('HSET', head, 'used', now)
if is_listed then redis.call('ZADD', P .. 'used', now, N) end
if ARGV[6] ~= '-' then
  local before = redis.call('HGET', head, 'key')
  if before and before ~= ARGV[5] then redis.call('HDEL', P .. 'keys', before) end
  if ARGV[5] ~= '' then redis.call('HSET', P .. 'keys', ARGV[5], N) end
  redis.call('HSET', head, 'key', ARGV[5], 'pinned', ARGV[6], 'due', ARGV[7])
  if ARGV[7] ~= '' and is_listed then
    redis.call('ZADD', P .. 'due', ARGV[7], N)
  else
    redis.call('ZREM', P .. 'due', N)
  end
end
if ARGV[8] ~= '' then
  local kept = {{}}
  for j = 1, tonumber(ARGV[8]) do kept[ARGV[i]] = true; i = i + 1 end
  for _, collection in ipairs(redis.call('SMEMBERS', P .. 'n' .. S .. N)) do
    if not kept[collection] then empty(collection) end
  end
end
local has_uses = redis.call('EXISTS', uses) == 1
local function delete(collection, key)
  redis.call('HDEL', of('c', collection), key)
  redis.call('ZREM', of('o', collection), key)
  if has_uses then refer(collection, key, '') end
end
local place = redis.call('HINCRBY', head, 'commits', 1) * 1048576
local deleted = tonumber(ARGV[i]); i = i + 1
for j = 1, deleted do delete(ARGV[i], ARGV[i + 1]); i = i + 2 end
while i <= #ARGV do
  local collection, key = ARGV[i], ARGV[i + 1]
  if ARGV[i + 3] == '1' then delete(collection, key) end
  if redis.call('HSET', of('c', collection), key, ARGV[i + 2]) == 1 then
    redis.call('ZADD', of('o', collection), place + i, key)
    redis.call('SADD', P .. 'n' .. S .. N, collection)
  end
  if ARGV[i + 4] ~= '-' then refer(collection, key, ARGV[i + 4]) end
  i = i + 5
end
return string.format('%.0f', redis.call('HINCRBY', head, 'version', 1))
"""
_DROP = f"""
if version == '0' then return 0 end
local now = ARGV[3]
{_USES}
for _, collection in ipairs(redis.call('SMEMBERS', P .. 'n' .. S .. N)) do empty(collection) end
local key = redis.call('HGET', head, 'key')
if key then redis.call('HDEL', P .. 'keys', key) end
redis.call('ZREM', P .. 'sandboxes', N)
redis.call('ZREM', P .. 'used', N)
redis.call('ZREM', P .. 'due', N)
redis.call('UNLINK', head, P .. 'n' .. S .. N, uses)
return 1
"""
_LISTING = """
local P, S = ARGV[1], '\\31'
local function listed(names)
  local found = {}
  for i, name in ipairs(names) do
    found[i] = {name, unpack(redis.call('HMGET', P .. 's' .. S .. name, 'used', 'key', 'pinned', 'due'))}
  end
  return found
end
"""
_ENTRIES = "return listed(redis.call('ZRANGE', P .. ARGV[2], 0, tonumber(ARGV[3])))"
_DUE = "return listed(redis.call('ZRANGEBYSCORE', P .. 'due', '-inf', ARGV[2]))"
_ENTRY = """
local name = N
if version == '0' then name = redis.call('HGET', P .. 'keys', N) end
if not name then return {} end
return {name, unpack(redis.call('HMGET', P .. 's' .. S .. name, 'used', 'key', 'pinned', 'due'))}
"""
_TOTALS = """
local counts, found = {}, {}
for _, name in ipairs(redis.call('ZRANGE', P .. 'sandboxes', ARGV[2], ARGV[3])) do
  for _, collection in ipairs(redis.call('SMEMBERS', P .. 'n' .. S .. name)) do
    local count = redis.call('HLEN', P .. 'c' .. S .. name .. S .. collection)
    counts[collection] = (counts[collection] or 0) + count
  end
end
for collection, count in pairs(counts) do
  found[#found + 1] = collection
  found[#found + 1] = count
end
return found
"""
_SWEEP = """
local gone = 0
for _, blob in ipairs(redis.call('ZRANGEBYSCORE', P .. 'unused', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])) do
  redis.call('ZREM', P .. 'unused', blob)
  if redis.call('SCARD', P .. 'w' .. S .. blob) == 0 then
    local number = 0
    while redis.call('UNLINK', P .. 'b' .. S .. blob .. S .. number) == 1 do number = number + 1 end
    gone = gone + 1
  end
end
return gone
"""


class RedisBackend:
    """The database of a store; see `stores.backend.Backend`. May be used from several threads."""

    def __init__(self, url: str, wall: Callable[[], float]) -> None:
        """Connect; raises StoreError. `wall` is the wall clock, in Unix seconds."""
        self._place = place_of(url)
        self._wall = wall
        self._swept = monotonic()
        self._is_closed = threading.Event()
        self.is_available = True
        """Whether the server answered the last time."""
        self.round_trips = self.failures = 0
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0),
                health_check_interval=0, client_name="mockserver",
            )  # fmt: skip
        except (ValueError, redis.RedisError) as problem:
            raise StoreError(f"the store is no Redis URL: {type(problem).__name__}") from None
        self._scripts = {
            name: self._client.register_script(_COMMON + text)
            for name, text in {
                "fetch": _FETCH, "scan": _SCAN, "latest": _LATEST, "count": _COUNT, "commit": _COMMIT, "drop": _DROP,
                "entry": _ENTRY,
            }.items()
        }  # fmt: skip
        for name, text in {"entries": _ENTRIES, "due": _DUE, "sweep": _SWEEP, "totals": _TOTALS}.items():
            self._scripts[name] = self._client.register_script(_LISTING + text)
        self._check()
        threading.Thread(target=self._watch, name="mockserver-redis", daemon=True).start()

    def fetch(self, sandbox: str, keys: Sequence[Key]) -> tuple[int, Sequence[bytes | None]]:
        found = self._run("fetch", sandbox, *(part for key in keys for part in key))
        return int(found[0]), found[1:]

    def scan(self, sandbox: str, collection: str) -> tuple[int, Sequence[tuple[str, bytes]]]:
        version, keys, contents = self._run("scan", sandbox, collection)
        return int(version), [(key.decode(), content) for key, content in zip(keys, contents, strict=True)]

    def latest(self, sandbox: str, collection: str, start: int, most: int) -> tuple[int, Sequence[tuple[str, bytes]]]:
        version, keys, contents = self._run("latest", sandbox, collection, start, most)
        return int(version), [(key.decode(), content) for key, content in zip(keys, contents, strict=True)]

    def count(self, sandbox: str, collection: str) -> tuple[int, int]:
        version, count = self._run("count", sandbox, collection)
        return int(version), count

    def commit(self, sandbox: str, version: int, changes: Changes, facts: Facts | None, used: float) -> int | None:
        given: list[Any] = [sandbox, version, repr(used)]
        if facts is None:
            given += ["", "-", ""]
        else:
            given += [facts.key, int(facts.is_pinned), "" if facts.due is None else repr(facts.due)]
        given += [""] if changes.kept is None else [len(changes.kept), *changes.kept]
        given.append(len(changes.deleted))
        for at in changes.deleted:
            given += at[:2]
        for collection, key, content, is_last, blobs in changes.put:
            given += (collection, key, content, int(is_last), "-" if blobs is None else " ".join(blobs))
        found = self._run("commit", *given)
        if monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = monotonic()
            self.sweep()
        return int(found) if found else None

    def drop(self, sandbox: str) -> bool:
        return bool(self._run("drop", sandbox, repr(self._wall())))

    def entries(self) -> Sequence[Entry]:
        return [_entry(row) for row in self._run("entries", "sandboxes", -1)]

    def oldest(self, most: int) -> Sequence[Entry]:
        return [_entry(row) for row in self._run("entries", "used", most - 1)]

    def due(self, now: float) -> Sequence[Entry]:
        return [_entry(row) for row in self._run("due", repr(now))]

    def size(self) -> int:
        return int(self._call(lambda: self._client.zcard(PREFIX + "sandboxes")))

    def entry(self, name: str) -> Entry | None:
        found = self._run("entry", name)
        return _entry(found) if found and found[1] is not None else None

    def totals(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for start in range(0, self.size(), TOTALS_SLICE):
            rows = self._run("totals", start, start + TOTALS_SLICE - 1)
            for collection, count in zip(rows[::2], rows[1::2], strict=True):
                found[collection.decode()] = found.get(collection.decode(), 0) + count
        return found

    def stored_bytes(self) -> int:
        return int(self._call(lambda: self._client.info("memory"))["used_memory"])

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
        """Delete blobs that no value refers to."""
        self._run("sweep", repr(self._wall() - GRACE), SWEEP_MOST)

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
            is_full = any(word in text for word in _FULL)
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
