"""A sandbox's collections in a shared store; see `stores.shared`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from threading import get_ident
from typing import Any, TypeVar

from mockserver.errors import Conflict
from mockserver.stores.backend import Changes, Commit, Facts, Key, Put
from mockserver.stores.group import Ticket
from mockserver.stores.known import KEY_BYTES, MAX_CACHED, MAX_COMPLETE, KnownValues
from mockserver.stores.owner import Owner
from mockserver.stores.retry import retried
from mockserver.stores.shared_rows import UNKNOWN, SharedRows
from mockserver.stores.transaction import Transactional, Unput

MAX_FETCHED = 64
"""The most keys that are read at once after a conflict: those that the transaction had used."""
CONTENDED = 32
"""Transactions after a conflict that first ask whether another process has changed the sandbox."""
HIDDEN = "\x01"
"""The beginning of the names of partitions that are no sandbox's."""
Result = TypeVar("Result")


class SharedPartition(Transactional):
    """A sandbox's collections in a shared store."""

    def __init__(self, store: Owner, name: str) -> None:
        super().__init__()
        self.name = name
        self.when_read: Callable[[], None] = lambda: None
        """Called in a transaction whose values are read again, because the sandbox is new here or has changed."""
        self.facts: Callable[[], Facts] = Facts
        """What the list of sandboxes is to say; called at each commit."""
        self.unput: Unput | None = None
        """What has changes that are not put yet."""
        self.codec, self._store = store.codec, store
        self._backend = store.backend
        self._group = store.group
        self._is_hidden = name.startswith(HIDDEN)
        self._known: dict[str, KnownValues] = {}
        self._version: int | None = None
        """The version of the known values; None if none are known."""
        self._facts: Facts | None = None
        """Those of the latest commit of this process, if it was the latest of all."""
        self._next_facts, self._next_bytes = Facts(), 0
        """The facts of the commit under way, and the bytes of its values."""
        self._is_checked = False
        """Whether the version was compared in this transaction."""
        self._contended = 0
        """Transactions that still ask first whether another process has changed the sandbox."""
        self._ticket: Ticket | None = None
        """That of the changes, if they are those of transactions that have ended; see `GroupCommit`."""
        self._changes: dict[Key, Any] = {}
        """New values by key; None for a deleted one."""
        self._moved: set[Key] = set()
        """Keys that were deleted in this transaction before they were put."""
        self._kept: frozenset[str] | None = None
        self._reads: dict[Key, None] = {}
        """The latest keys that transactions have read, to read them at once after a conflict."""
        self._bytes = 0
        self._committed: list[Callable[[], None]] = []

    def rows(self, collection: str) -> SharedRows:
        return SharedRows(self, collection, self._known_of(collection).values)

    def clear(self, *, keep: frozenset[str] = frozenset()) -> list[Any]:
        """Empty every collection but those. Returns nothing to free."""
        return self.inside(lambda: self._clear(keep))

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run the action when the transaction is committed; at once outside of one."""
        if self.owner == get_ident():
            self._committed.append(action)
        else:
            action()

    def inside(self, action: Callable[[], Result]) -> Result:
        """The action's result, in this thread's transaction, or in one of its own."""
        if self.owner == get_ident():
            return action()

        def attempt() -> Result:
            with self:
                return action()

        return retried(attempt)

    def refresh(self) -> None:
        """Take over what other processes have changed."""
        self.inside(lambda: None)

    def begin(self) -> None:
        """A transaction begins."""
        is_deferring = self._is_deferring()
        if self._ticket is not None:
            if is_deferring:
                return
            (version,) = self._backend.commit([self.prepared()])
            for action in self.finish(version):
                action()
        self._is_checked = False
        if is_deferring and self._contended and self._version is not None:
            self._contended -= 1
            self._is_checked = self._backend.fetch(self.name, ())[0] == self._version
            if not self._is_checked:
                self.forget()
        if self._version is None:
            wanted = [*self._reads]
            self._reads.clear()
            version, contents = self._backend.fetch(self.name, wanted)
            self._version, self._is_checked = version, True
            for key, content in zip(wanted, contents, strict=True):
                self._learn(key, content)
            self.when_read()

    def commit(self) -> Sequence[Callable[[], None]]:
        """The transaction ends: apply its changes, and return what waited for that; raises Conflict."""
        assert self._version is not None
        has_changed = bool(self._changes) or self.unput is not None or self._kept is not None
        if self._is_deferring() and (has_changed or self._ticket):
            self._ticket = self._group.latest = self._ticket or self._group.join(self)
            return ()
        try:
            if not has_changed:
                if not self._is_checked and self._backend.fetch(self.name, ())[0] != self._version:
                    raise self._conflict()
                self._bound()
                return self._take_committed()
            (version,) = self._backend.commit([self.prepared()])
            if version is None:
                raise self._conflict()
        except BaseException:
            self.roll_back()
            raise
        return self.finish(version)

    def prepared(self) -> Commit:
        """The commit of all changes. What it raises has rolled back."""
        assert self._version is not None
        try:
            if self.unput is not None:
                self.unput.flush()
                self.unput = None
            changes, self._next_bytes = self._gathered()
            self._next_facts = self.facts()
        except BaseException:
            self.roll_back()
            raise
        facts = None if self._next_facts == self._facts else self._next_facts
        return Commit(self.name, self._version, changes, facts, self._store.wall())

    def finish(self, version: int | None) -> Sequence[Callable[[], None]]:
        """The changes have been committed, or the sandbox has another version: returns what waited for the commit."""
        if version is None:
            self._conflict()
            self.roll_back()
            return ()
        self._facts, self._version = self._next_facts, version
        self._bytes += self._next_bytes
        self._end_ticket(is_committed=True)
        self._settle()
        return self._take_committed()

    def roll_back(self) -> None:
        """The transaction ends without a change; so do those before it that wait for a commit."""
        self._changes.clear()
        self._moved.clear()
        self._committed.clear()
        self._kept = None
        if self.unput is not None:
            self.unput.drop_unput()
            self.unput = None
        self.forget()
        self._end_ticket(is_committed=False)

    def forget(self) -> None:
        """Read all values again at the next transaction."""
        for each in self._known.values():
            each.forget()
        self._version = self._facts = None
        self._bytes = 0

    def forget_if_free(self) -> None:
        """Forget all values, unless a transaction runs."""
        if self.take_if_free():
            try:
                if self._ticket is None:
                    self.forget()
            finally:
                self.give_back()

    def get(self, collection: str, key: str) -> Any:
        """The value of a key; None if it is unknown. Raises Conflict."""
        known, at = self._known_of(collection), (collection, key)
        value = known.values.get(key, UNKNOWN)
        if value is not UNKNOWN:
            return value
        if known.keys is not None:
            return None
        if at not in self._changes and self._is_emptied(collection):
            return None
        if len(self._reads) < MAX_FETCHED and collection not in self._store.passing:
            self._reads[at] = None
        version, (content,) = self._backend.fetch(self.name, (at,))
        self._check(version)
        return self._learn(at, content)

    def pick(self, collection: str, keys: Sequence[str]) -> list[Any]:
        """The values of several keys, read at once; None for an unknown one. Raises Conflict."""
        known = self._known_of(collection)
        found = known.values
        missing = [(collection, key) for key in keys if key not in known.values]
        if missing and known.keys is None and not self._is_emptied(collection):
            version, contents = self._backend.fetch(self.name, missing)
            self._check(version)
            if collection in self._store.passing:
                found = {key: known.values.get(key) for key in keys}
                decode = self._store.codec.decode
                pairs = zip(missing, contents, strict=True)
                found.update((at[1], None if it is None else decode(collection, it)) for at, it in pairs)
            else:
                for at, content in zip(missing, contents, strict=True):
                    self._learn(at, content)
        return [found.get(key) for key in keys]

    def latest(self, collection: str, start: int, most: int) -> list[Any]:
        """At most so many values in reverse order, without the first `start` of them. Raises Conflict."""
        is_changed = any(name == collection for name, _ in self._changes)
        if is_changed or self._is_emptied(collection) or self._known_of(collection).keys is not None:
            rows = list(self.items(collection))
            return [value for _, value in islice(reversed(rows), start, start + most)]
        version, found = self._backend.latest(self.name, collection, start, most)
        self._check(version)
        return [self._learn((collection, key), content) for key, content in found]

    def put(self, collection: str, key: str, value: Any) -> None:
        """Add or replace a value."""
        known = self._known_of(collection)
        before = known.values.get(key, UNKNOWN)
        if value is before:
            return
        if before is UNKNOWN:
            self._bytes += KEY_BYTES
        known.values[key] = value
        if known.keys is not None:
            known.keys[key] = None
        at = (collection, key)
        if at in self._moved and self._changes[at] is None:
            del self._changes[at]  # its place is that of its first put after the deletion
        self._changes[at] = value

    def put_many(self, collection: str, values: Mapping[str, Any]) -> None:
        """Add or replace several values."""
        known = self._known_of(collection)
        if known.keys is not None or self._moved:
            for key, value in values.items():
                self.put(collection, key, value)
        else:
            known.values.update(values)
            self._changes.update({(collection, key): value for key, value in values.items()})

    def delete(self, collection: str, key: str) -> None:
        """Remove a key."""
        at, known = (collection, key), self._known_of(collection)
        if known.keys is None:
            known.values[key] = None
            self._bytes += KEY_BYTES
        else:
            known.values.pop(key, None)
            known.keys.pop(key, None)
        self._changes.pop(at, None)  # a later put comes last
        self._changes[at] = None
        self._moved.add(at)

    def items(self, collection: str) -> Iterator[tuple[str, Any]]:
        """The keys and values in order."""
        known = self._known_of(collection)
        if known.keys is not None:
            return iter([(key, known.values[key]) for key in known.keys])
        stored: dict[str, Any] = {}
        if not self._is_emptied(collection):
            version, rows = self._backend.scan(self.name, collection)
            self._check(version)
            stored = dict(rows)
        decode, values = self._store.codec.decode, known.values
        for (name, key), value in self._changes.items():
            if name == collection:
                if value is None or (name, key) in self._moved:
                    stored.pop(key, None)
                if value is not None:
                    stored[key] = value
        if len(stored) > MAX_COMPLETE or collection in self._store.passing:
            return ((key, decode(collection, it) if isinstance(it, bytes) else it) for key, it in stored.items())
        for key, it in stored.items():
            if values.get(key) is None:
                values[key] = self._learn((collection, key), it) if isinstance(it, bytes) else it
        known.keys = dict.fromkeys(stored)
        return iter([(key, values[key]) for key in stored])

    def size(self, collection: str) -> int:
        """The number of keys."""
        known = self._known_of(collection)
        if known.keys is not None:
            return len(known.keys)
        changed = [(at[1], value) for at, value in self._changes.items() if at[0] == collection]
        if self._is_emptied(collection):
            return sum(value is not None for _, value in changed)
        if known.size is None:
            version, known.size = self._backend.count(self.name, collection)
            self._check(version)
        if not changed:
            return known.size
        version, before = self._backend.fetch(self.name, [(collection, key) for key, _ in changed])
        self._check(version)
        pairs = zip(changed, before, strict=True)
        return known.size + sum((value is not None) - (content is not None) for (_, value), content in pairs)

    def _clear(self, keep: frozenset[str]) -> list[Any]:
        self._kept = keep if self._kept is None else self._kept & keep
        for at in [at for at in self._changes if at[0] not in keep]:
            del self._changes[at]
            self._moved.discard(at)
        for name, known in self._known.items():
            if name not in keep:
                known.forget()
                known.keys = {}
        return []

    def _is_emptied(self, collection: str) -> bool:
        return self._kept is not None and collection not in self._kept

    def _known_of(self, collection: str) -> KnownValues:
        found = self._known.get(collection)
        if found is None:
            found = self._known.setdefault(collection, KnownValues())
        return found

    def _learn(self, at: Key, content: bytes | None) -> Any:
        """The value that was read."""
        value = None if content is None else self._store.codec.decode(at[0], content)
        known, size = self._known_of(at[0]), 0 if content is None else self._store.codec.size(content)
        self._bytes += KEY_BYTES + known.growth(at[1], size)
        known.values[at[1]] = value
        return value

    def _check(self, version: int) -> None:
        """Raises Conflict if what was just read is not of the version of what is known."""
        if version != self._version:
            raise self._conflict()
        self._is_checked = True

    def _is_deferring(self) -> bool:
        """Whether the transaction's changes will be committed with others."""
        return self._group.thread == self.owner and not self._is_hidden

    def _end_ticket(self, *, is_committed: bool) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket is not None:
            ticket.end(is_committed=is_committed)

    def _conflict(self) -> Conflict:
        self._store.conflicts += 1
        self._contended = CONTENDED
        return Conflict()

    def _gathered(self) -> tuple[Changes, int]:
        """The changes in bytes, and the number of bytes that are known from now on."""
        deleted, put, size, codec, passing = [], [], 0, self._store.codec, self._store.passing
        for at, value in self._changes.items():
            if value is None:
                deleted.append(at)
                continue
            content, blobs = codec.encode_with_blobs(at[0], value)
            put.append(Put(*at, content, at in self._moved, blobs))
            if at[0] not in passing:
                size += self._known[at[0]].growth(at[1], codec.size(content, blobs))
        return Changes(self._kept, deleted, put), size

    def _take_committed(self) -> Sequence[Callable[[], None]]:
        waiting, self._committed = self._committed, []
        return waiting

    def _settle(self) -> None:
        """The changes are committed."""
        for collection, _ in self._changes:
            self._known[collection].size = None
        for collection in self._store.passing:
            self._known_of(collection).forget()
        self._changes.clear()
        self._moved.clear()
        self._kept = None
        self._bound()

    def _bound(self) -> None:
        """Forget all values if they are too many; no change may wait."""
        if self._bytes > MAX_CACHED:
            self.forget()
        self._store.note_size(self.name, self._bytes)
