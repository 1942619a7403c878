"""All sandboxes of a server: created when they are first named, evicted when there are too many."""

import sys
from collections.abc import Callable
from threading import Lock

from mockserver.sandbox.blobs import BodySpace
from mockserver.sandbox.deferred_free import DeferredFree
from mockserver.sandbox.eviction import EvictionOrder
from mockserver.sandbox.ids import digest
from mockserver.sandbox.journal import JournalSpace
from mockserver.sandbox.record import NO_OPTIONS, SandboxOptions
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.stores import GroupCommit, Store, open_store
from mockserver.workers import checkpoint

MAX_SANDBOXES = 10_000
Counts = dict[tuple[str, int], int]
"""Responses by operation key and status."""
UNPINNED_SHARE = 10
"""One place in so many is reserved for unpinned sandboxes."""
MAX_NAME = 200
"""The most characters of a name."""


class SandboxesFull(Exception):
    """No sandbox can be created or pinned: the limit is reached, and too many are pinned."""


class SandboxManager:
    """All sandboxes of one server. Beyond the limit the least recently used is evicted."""

    is_shared = False
    """Whether other processes may use them, too."""
    group: GroupCommit | None = None
    """Commits the transactions of an event loop together; None in memory, where there are no commits."""

    def __init__(
        self,
        store: Store,
        defaults: SandboxDefaults,
        *,
        limit: int = MAX_SANDBOXES,
        journal_bytes: int = sys.maxsize,
        batch_bytes: int = sys.maxsize,
        when_evicted: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`journal_bytes` bounds all journals together, and `batch_bytes` the memory of large batches.

        `when_evicted` is called with the number of evictions.
        """
        self._store = store
        self.defaults = defaults
        self.limit = limit
        self.evicted = 0
        """The number of evictions."""
        self.deferred_free = DeferredFree()
        self.journals = JournalSpace(journal_bytes)
        self._bodies = BodySpace(batch_bytes)
        self._when_evicted = when_evicted
        self._by_name: dict[str, Sandbox] = {}
        self._by_key: dict[str, Sandbox] = {}
        self._evicted_names: dict[str, None] = {}
        self._idle: EvictionOrder[Sandbox] = EvictionOrder()
        self._waiting: EvictionOrder[Sandbox] = EvictionOrder()
        self._uses = 0
        self._making = Lock()
        self._unused: dict[str, tuple[int, float]] = {}
        """By name the last use of a sandbox, and since when that is known; see `expire`."""

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def is_available(self) -> bool:
        """Whether their store answered the last time."""
        return True

    def close(self) -> None:
        """Release what the store holds of the system."""

    def due(self, now: float) -> list[Sandbox]:
        """Sandboxes whose callbacks another process may have left, at that wall-clock time; none in memory."""
        del now
        return []

    def totals(self) -> dict[str, int]:
        """The number of values in each collection, over all sandboxes; `journal` are the recorded exchanges."""
        found: dict[str, int] = {"journal": 0}
        for sandbox in self.every():
            checkpoint()
            lengths = {**sandbox.lengths(), "journal": sandbox.journal.seen - sandbox.journal.dropped}
            for name, length in lengths.items():
                found[name] = found.get(name, 0) + length
        return found

    def stored_bytes(self) -> int:
        """Bytes that the store takes; in memory, those of journals and of large batches."""
        return self.journals.held + self._bodies.held

    def journal_drops(self) -> int:
        """Exchanges that the journals of these sandboxes have dropped."""
        return sum(each.journal.dropped for each in self.every())

    def coverage(self, met: Counts, demanded: Counts) -> tuple[Counts, Counts]:
        """The counts of all processes on the store, of which these are the counts of this one; see Engine."""
        return met, demanded

    def note_coverage(self, met: Counts, demanded: Counts) -> None:
        """Let other processes see this one's counts."""

    def clear_coverage(self) -> None:
        """Forget the counts of all processes; this one clears its own."""

    def store_figures(self) -> dict[str, int]:
        """What this process has counted of its use of a shared store: round trips, conflicts, failures."""
        return {}

    def change_defaults(self, defaults: SandboxDefaults) -> None:
        """Sandboxes that are made or reset from now on begin with these."""
        self.defaults = defaults
        for sandbox in self.every():
            with sandbox.transaction:
                sandbox.change_defaults(defaults)

    def open(self, name: str, own: SandboxOptions = NO_OPTIONS, *, by_token: bool = False) -> Sandbox:
        """The sandbox of that name or key, created if there is none; raises SandboxesFull.

        `by_token` means that the name is a client's token.
        """
        sandbox = self._by_name.get(name) or self._by_key.get(name)
        if sandbox is None:
            sandbox = self._make(name, own, by_token=by_token)
        self._uses = sandbox.used = self._uses + 1
        return sandbox

    def find(self, key: str) -> Sandbox | None:
        """The sandbox with that key; None if there is none."""
        sandbox = self._by_key.get(key)
        if sandbox is not None:
            self._uses = sandbox.used = self._uses + 1
        return sandbox

    def name_of(self, key: str | None) -> str | None:
        """The name of the sandbox with that key. Does not count as a use."""
        sandbox = self._by_key.get(key) if key else None
        return sandbox.name if sandbox else None

    def named(self, name: str) -> Sandbox | None:
        """The sandbox of that name or key; None if there is none. Does not count as a use."""
        return self._by_name.get(name) or self._by_key.get(name)

    def peek(self, name: str, *, by_token: bool = False) -> Sandbox:
        """The sandbox of that name or key, or a new one that is not registered."""
        found = self.named(name)
        if found is None:
            found = Sandbox(name, open_store(), self.defaults)
            found.is_named_by_token = by_token
        return found

    def is_busy(self, name: str) -> bool:
        """Whether another thread is inside the sandbox of that name or key."""
        found = self.named(name)
        return found is not None and found.is_busy()

    def every(self) -> list[Sandbox]:
        """All sandboxes, in order of creation."""
        return list(self._by_name.values())

    def by_use(self) -> list[Sandbox]:
        """All sandboxes, the most recently used first."""
        return sorted(self._by_name.values(), key=lambda sandbox: -sandbox.used)

    def expire(self, seconds: float, now: float) -> int:
        """Evict the sandboxes that were unused for so long before `now`, and may be evicted; returns their number.

        The last use is only known as that of the latest call, so they may be unused for longer.
        """
        known, self._unused = self._unused, {}
        gone = 0
        for sandbox in self.every():
            used, since = known.get(sandbox.name, (-1, now))
            if used == sandbox.used and now - since >= seconds and self._may_go(sandbox):
                with self._making:
                    self._note_evicted(sandbox)
                gone += 1
            else:
                self._unused[sandbox.name] = sandbox.used, since if used == sandbox.used else now
        return gone

    def page_by_use(self, start: int, most: int, text: str = "") -> tuple[list[Sandbox], int]:
        """At most so many sandboxes in that order, without the first `start`, and the number of all of them.

        With a text in lower case, only those whose shown name contains it.
        """
        every = [each for each in self.by_use() if text in each.shown_name.lower()] if text else self.by_use()
        return every[start : start + most], len(every)

    def unused_name(self) -> str:
        """A name that is not in use."""
        number = len(self._by_name) + 1
        while f"sandbox-{number}" in self._by_name:
            number += 1
        return f"sandbox-{number}"

    def delete(self, name: str) -> Sandbox | None:
        """Delete the sandbox of that name or key, pinned or not; None if there is none."""
        with self._making:
            sandbox = self.named(name)
            if sandbox is not None:
                self._forget(sandbox)
            return sandbox

    def check_room_to_pin(self, name: str) -> None:
        """Raises SandboxesFull if pinning the sandbox of that name would leave too few places for others."""
        most = self.limit - self.limit // UNPINNED_SHARE
        sandbox = self._by_name.get(name)
        if len(self._by_name) < most or (sandbox is not None and sandbox.is_pinned):
            return
        if sum(each.is_pinned for each in self.every()) >= most:
            raise SandboxesFull(f"{most} of {self.limit} sandboxes are held, the most that may be: {self._holders()}")

    def _make(self, name: str, own: SandboxOptions, *, by_token: bool) -> Sandbox:
        with self._making:
            if name in self._by_name:  # another thread has created it
                return self._by_name[name]
            was_evicted = name in self._evicted_names
            while len(self._by_name) >= self.limit:
                idle = self._find_idle()
                self._evicted_names.pop(name, None)  # so that the eviction is remembered within the bound
                self._evict(idle)
            sandbox = Sandbox(name, self._store, self.defaults, own, self.deferred_free, self.journals, self._bodies)
            sandbox.is_named_by_token = by_token
            if was_evicted:
                self._evicted_names.pop(name, None)
                sandbox.was_evicted = True
            self._by_key[sandbox.key] = self._by_name[name] = sandbox
            return sandbox

    def _find_idle(self) -> Sandbox:
        idle = self._idle.longest(self.every, self._may_go)
        if idle is None and self.limit >= UNPINNED_SHARE:  # some places are reserved for unpinned sandboxes
            idle = self._waiting.longest(self.every, self._may_go_at_need)
        if idle is None:
            raise SandboxesFull(f"there are {self.limit} sandboxes, and all of them are held: {self._holders()}")
        return idle

    def _holders(self) -> str:
        every = self.every()
        held = sum(each.is_held for each in every)
        set_up = sum(each.is_pinned for each in every) - held
        waiting = sum(each.is_in_use for each in every) - held - set_up
        return (
            f"{held} by POST /__admin/sandboxes, {set_up} by what other admin calls have set in them, and {waiting} by "
            "callbacks that are not delivered yet (GET /__admin/sandboxes lists them)"
        )

    def _evict(self, idle: Sandbox) -> None:
        self._note_evicted(idle)
        self._when_evicted(self.evicted)

    def _note_evicted(self, idle: Sandbox) -> None:
        self._forget(idle)
        self.evicted += 1
        self._evicted_names[idle.name] = None
        if len(self._evicted_names) > self.limit:
            del self._evicted_names[next(iter(self._evicted_names))]

    def _may_go(self, sandbox: Sandbox) -> bool:
        return self._by_name.get(sandbox.name) is sandbox and sandbox.may_be_evicted

    def _may_go_at_need(self, sandbox: Sandbox) -> bool:
        """Whether only a pending callback keeps the sandbox from being evicted."""
        is_free = not (sandbox.is_pinned or sandbox.is_busy())
        return self._by_name.get(sandbox.name) is sandbox and is_free

    def _forget(self, sandbox: Sandbox) -> None:
        del self._by_name[sandbox.name]
        self._by_key.pop(sandbox.key, None)
        sandbox.detach()


def shortened_name(name: str) -> str:
    """A digest in place of a long name. Two JSON Web Tokens may have the same first MAX_NAME characters."""
    if len(name) <= MAX_NAME:
        return name
    mark = digest(name.encode()).hex()
    return f"{name[: MAX_NAME - len(mark)]}{mark}"
