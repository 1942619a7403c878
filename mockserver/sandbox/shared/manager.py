"""The sandboxes of a shared store: its list of them, and handles on those that this process uses."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mockserver.sandbox.manager import UNPINNED_SHARE, Counts, SandboxesFull, SandboxManager
from mockserver.sandbox.record import NO_OPTIONS, SandboxOptions
from mockserver.sandbox.sandbox import STATE_TYPES, Sandbox, SandboxDefaults
from mockserver.sandbox.shared.coverage import COVERAGE, SharedCoverage
from mockserver.sandbox.shared.journal import TOTALS
from mockserver.sandbox.shared.sandbox import CLAIMS, LEASES, SERVER, SharedSandbox
from mockserver.stores.backend import Entry
from mockserver.stores.shared import SharedStore

MAX_HANDLES = 1000
"""The most sandboxes of which a process knows values."""
EVICTED, COUNTS = "evicted", "counts"
"""Of what concerns all sandboxes: the names of evicted ones, and their number under the key EVICTED."""
SERVER_TYPES: Mapping[str, Any] = {EVICTED: int, COUNTS: int, CLAIMS: tuple[str, float], COVERAGE: tuple[int, int]}
_INNER = frozenset({*STATE_TYPES, TOTALS, LEASES})
"""Collections that hold a sandbox's own state, and nothing that a client has created."""
FIRST_LOOK = 32
"""The least recently used sandboxes among which one is looked for that may be evicted."""


class SharedSandboxManager(SandboxManager):
    """All sandboxes of a shared store. Beyond the limit the least recently used is evicted."""

    is_shared = True

    def __init__(self, store: SharedStore, defaults: SandboxDefaults, **options: Any) -> None:
        super().__init__(cast(Any, store), defaults, **options)
        self._shared = store
        self._backend = store.backend
        self.group = store.group
        self.server = store.open(SERVER)
        """What concerns all sandboxes."""
        self._coverage = SharedCoverage(self.server)
        self.evicted = 0

    def __len__(self) -> int:
        return self._backend.size()

    @property
    def is_available(self) -> bool:
        return self._backend.is_available

    @property
    def evicted(self) -> int:
        """The number of evictions."""
        return self.server.rows(COUNTS).get(EVICTED) or 0

    @evicted.setter
    def evicted(self, count: int) -> None:
        """Ignored: the store counts."""

    def close(self) -> None:
        self._backend.close()

    def open(self, name: str, own: SandboxOptions = NO_OPTIONS, *, by_token: bool = False) -> Sandbox:
        found = self._by_name.get(name) or self._by_key.get(name)
        if found is not None:
            return found
        entry = self._backend.entry(name)
        if entry is not None:
            return self._handle(entry.name)
        return self._make(name, own, by_token=by_token)

    def find(self, key: str) -> Sandbox | None:
        return self._by_key.get(key) or self.named(key)

    def name_of(self, key: str | None) -> str | None:
        found = self.find(key) if key else None
        return found.name if found else None

    def named(self, name: str) -> Sandbox | None:
        entry = self._backend.entry(name)
        return self._fresh(entry) if entry is not None else None

    def every(self) -> list[Sandbox]:
        return [self._fresh(each) for each in self._backend.entries()]

    def by_use(self) -> list[Sandbox]:
        return [self._fresh(each) for each in sorted(self._backend.entries(), key=lambda entry: -entry.used)]

    def page_by_use(self, start: int, most: int, text: str = "") -> tuple[list[Sandbox], int]:
        """As SandboxManager.page_by_use. The number includes sandboxes of later pages whose name is a token."""
        entries = sorted(self._backend.entries(), key=lambda entry: -entry.used)
        if not text:
            return [self._fresh(each) for each in entries[start : start + most]], len(entries)
        named = [each for each in entries if text in each.name.lower() or text in each.facts.key]
        found: list[Sandbox] = []
        others = 0
        for each in named:
            if len(found) == start + most:
                break
            sandbox = self._fresh(each)
            if text in sandbox.shown_name.lower():
                found.append(sandbox)
            else:
                others += 1
        return found[start:], len(named) - others

    def unused_name(self) -> str:
        names = {each.name for each in self._backend.entries()}
        number = len(names) + 1
        while f"sandbox-{number}" in names:
            number += 1
        return f"sandbox-{number}"

    def check_room_to_pin(self, name: str) -> None:
        most = self.limit - self.limit // UNPINNED_SHARE
        if self._backend.size() < most:
            return
        pinned = {each.name for each in self._backend.entries() if each.facts.is_pinned}
        if len(pinned) >= most and name not in pinned:
            raise SandboxesFull(f"{most} of {self.limit} sandboxes are held, the most that may be: {self._holders()}")

    def due(self, now: float) -> list[Sandbox]:
        """The sandboxes with a callback that is due at that wall-clock time, or was lost by the process that had it."""
        return [self._fresh(each) for each in self._backend.due(now)]

    def totals(self) -> dict[str, int]:
        return {name: count for name, count in self._backend.totals().items() if name not in _INNER}

    def stored_bytes(self) -> int:
        return self._backend.stored_bytes()

    def journal_drops(self) -> int:
        decode = self._shared.codec.decode
        return sum(decode(TOTALS, content).first - 1 for content in self._backend.every(TOTALS, ""))

    def expire(self, seconds: float, now: float) -> int:
        gone = 0
        for entry in self._backend.idle(now - seconds):
            is_waiting = entry.facts.due is not None
            if not is_waiting and self._is_free(entry) and self._backend.drop(entry.name, entry.used):
                self._note_gone(entry, keeps="")
                gone += 1
        return gone

    def coverage(self, met: Counts, demanded: Counts) -> tuple[Counts, Counts]:
        return self._coverage.merged(met, demanded)

    def note_coverage(self, met: Counts, demanded: Counts) -> None:
        self._coverage.publish(met, demanded)

    def clear_coverage(self) -> None:
        self._coverage.clear()

    def store_figures(self) -> dict[str, int]:
        backend = self._backend
        return {
            "round_trips": backend.round_trips,
            "conflicts": self._shared.conflicts,
            "failures": backend.failures,
        }

    def _make(self, name: str, own: SandboxOptions, *, by_token: bool) -> Sandbox:
        with self._making:
            if self._shared.group.is_deferring:
                self._shared.group.commit()  # sandboxes that others have just made count, too
            while self._backend.size() >= self.limit:
                self._evict_entry(self._idle_entry(), keeps=name)
            was_evicted = self.server.inside(lambda: self._take_evicted(name))
            sandbox = self._handle(name, own)
            if by_token:
                sandbox.is_named_by_token = True
            sandbox.was_evicted = was_evicted
            return sandbox

    def _handle(self, name: str, own: SandboxOptions = NO_OPTIONS) -> SharedSandbox:
        """The handle on a sandbox, which is created if there is none."""
        found = self._by_name.get(name)
        if found is None:
            while len(self._by_name) >= MAX_HANDLES:
                self._release(next(iter(self._by_name)))
            found = SharedSandbox(name, self._shared, self.defaults, own, self.deferred_free, bodies=self._bodies)
            self._by_key[found.key] = self._by_name[name] = found
        return cast(SharedSandbox, found)

    def _fresh(self, entry: Entry) -> Sandbox:
        """The handle on a listed sandbox, with its latest values."""
        handle = self._handle(entry.name)
        handle.refresh()
        handle.used = int(entry.used * 1000)
        return handle

    def _release(self, name: str) -> None:
        handle = self._by_name.pop(name)
        self._by_key.pop(handle.key, None)
        self._shared.release(name)

    def _forget(self, sandbox: Sandbox) -> None:
        self._by_name.pop(sandbox.name, None)
        self._by_key.pop(sandbox.key, None)
        sandbox.detach()

    def _idle_entry(self) -> Entry:
        """The least recently used sandbox that may be evicted: at need one with a callback that is pending."""
        for most in (FIRST_LOOK, self.limit + 1):
            free = [each for each in self._backend.oldest(most) if self._is_free(each)]
            waiting = [] if self.limit < UNPINNED_SHARE or most == FIRST_LOOK else free
            idle = [each for each in free if each.facts.due is None] or waiting
            if idle:
                return idle[0]
        raise SandboxesFull(f"there are {self.limit} sandboxes, and all of them are held: {self._holders()}")

    def _is_free(self, entry: Entry) -> bool:
        handle = self._by_name.get(entry.name)
        return not entry.facts.is_pinned and not (handle and handle.is_busy())

    def _holders(self) -> str:
        entries: Sequence[Entry] = self._backend.entries()
        pinned = sum(each.facts.is_pinned for each in entries)
        waiting = sum(each.facts.due is not None and not each.facts.is_pinned for each in entries)
        return (
            f"{pinned} by admin calls, and {waiting} by callbacks that are not delivered yet "
            "(GET /__admin/sandboxes lists them)"
        )

    def _evict_entry(self, entry: Entry, *, keeps: str) -> None:
        self._shared.drop(entry.name)
        self._note_gone(entry, keeps=keeps)
        self._when_evicted(self.evicted)

    def _note_gone(self, entry: Entry, *, keeps: str) -> None:
        """A sandbox was evicted; `keeps` is the name of one of which that is still to be told."""
        handle = self._by_name.pop(entry.name, None)
        if handle is not None:
            self._by_key.pop(handle.key, None)
        self._shared.release(entry.name)
        self.server.inside(lambda: self._remember_gone(entry.name, keeps))

    def _remember_gone(self, name: str, keeps: str) -> None:
        rows, counts = self.server.rows(EVICTED), self.server.rows(COUNTS)
        rows.put(name, 1)
        counts.put(EVICTED, (counts.get(EVICTED) or 0) + 1)
        if len(rows) > self.limit:
            oldest = next(key for key, _ in rows.items() if key != keeps)
            rows.delete(oldest)

    def _take_evicted(self, name: str) -> bool:
        rows = self.server.rows(EVICTED)
        was_evicted = rows.get(name) is not None
        if was_evicted:
            rows.delete(name)
        return was_evicted
