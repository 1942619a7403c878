"""A sandbox in a shared store: a handle, which takes over at each transaction what other processes have changed."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from threading import Event, Thread
from typing import Any, TypeVar, cast
from weakref import WeakMethod

from mockserver.errors import StoreUnavailable
from mockserver.sandbox.callbacks import UNDECIDED, Callback, Outbox
from mockserver.sandbox.clock import wall_time
from mockserver.sandbox.deferred_free import DeferredFree
from mockserver.sandbox.journal import Journal, JournalSpace
from mockserver.sandbox.record import NO_OPTIONS, SandboxOptions, SandboxRecord
from mockserver.sandbox.sandbox import CLAIMED, PENDING, RECORD, OpenRecord, Sandbox, SandboxDefaults, key_of
from mockserver.sandbox.shared.journal import JOURNAL, StoredJournal
from mockserver.stores.backend import Facts
from mockserver.stores.collection import Collection
from mockserver.stores.partition import HIDDEN, SharedPartition
from mockserver.stores.shared import SharedStore

SERVER, CLAIMS = f"{HIDDEN}server", "claims"
"""The partition of what concerns all sandboxes; in it the work that is under way, with its process and its end."""
CLAIM_SECONDS, RENEW_SECONDS = 10.0, 3.0
"""How long a process has for its work, until another one may do it; and how often it says that it still works."""
Value = TypeVar("Value")
LEASES = "callback_leases"
"""The collection of wall-clock times until which one process sends a callback, by its id."""


class _SharedRecord(OpenRecord):
    """A record that is read again when another process may have changed it."""

    __slots__ = ("_inside",)

    def __init__(
        self,
        rows: Collection[SandboxRecord],
        initial: SandboxRecord,
        inside: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._inside = inside
        super().__init__(rows, initial)

    def read(self) -> None:
        self._inside(super().read)

    def change(self, **fields: Any) -> None:
        self._inside(lambda: self._change(fields))

    def _change(self, fields: dict[str, Any]) -> None:
        if any(getattr(self.value, name) != value for name, value in fields.items()):
            super().change(**fields)


class SharedSandbox(Sandbox):
    """A handle on a sandbox in a shared store. Its attributes are those of the last transaction of this process."""

    lasting = frozenset({RECORD, *JOURNAL})

    def __init__(  # noqa: PLR0917  as Sandbox has it
        self,
        name: str,
        store: SharedStore,
        defaults: SandboxDefaults,
        own: SandboxOptions = NO_OPTIONS,
        deferred_free: DeferredFree | None = None,
        journals: JournalSpace | None = None,
        bodies: Any = None,
    ) -> None:
        self._shared = store
        self._computed: tuple[str, object, Any] | None = None
        """The last result of long work, until it is committed: its id, what it depends on, and itself."""
        self._partition: SharedPartition = store.open(name)
        key = key_of(defaults.seed, name)
        self._partition.facts = lambda: Facts(key)
        super().__init__(name, cast(Any, store), defaults, own, deferred_free, journals, bodies)
        facts, read = WeakMethod(self._facts), WeakMethod(self._read_again)
        self._partition.facts = lambda: _called(facts)
        self._partition.when_read = lambda: _called(read)

    def after_commit(self, action: Callable[[], None]) -> None:
        self._partition.after_commit(action)

    def refresh(self) -> None:
        """Take over what other processes have changed."""
        self._partition.refresh()

    def detach(self) -> None:
        """Remove it from the store."""
        self._shared.drop(self.name)
        self.outbox = None

    def collections(self) -> list[str]:
        return [name for name in super().collections() if name not in {*JOURNAL, LEASES}]

    def lease(self, id_: str, seconds: float) -> None:
        if seconds:
            self._leases().put(id_, wall_time() + seconds)
        else:
            self._leases().delete(id_)

    def lost_callbacks(self) -> Sequence[Callback]:
        if self.outbox is None or not len(self._leases()):
            return ()
        now = wall_time()
        over = [self.outbox.find_claimed(id_) for id_, end in self._leases().items() if end <= now]
        return [each for each in over if each is not None and each.state in UNDECIDED]

    def claim_work(self, id_: str) -> bool:
        return self._shared.open(SERVER).inside(partial(self._claim, f"{self.name}\n{id_}"))

    def computed_once(self, id_: str, given: object, action: Callable[[], Value]) -> Value:
        known = self._computed
        if known is None or known[:2] != (id_, given):
            with self._renewed_claim(id_):
                known = self._computed = (id_, given, action())
        self.after_commit(self._forget_computed)
        return cast(Value, known[2])

    @contextmanager
    def _renewed_claim(self, id_: str) -> Iterator[None]:
        """Other processes wait for the work while the block runs."""
        has_ended = Event()

        def renew() -> None:
            while not has_ended.wait(RENEW_SECONDS):
                with suppress(StoreUnavailable):
                    self.claim_work(id_)

        Thread(target=renew, name="mockserver-claim", daemon=True).start()
        try:
            yield
        finally:
            has_ended.set()

    def _claim(self, work: str) -> bool:
        """Claim work, in a transaction of the server's partition."""
        claims, now = self._shared.open(SERVER).rows(CLAIMS), wall_time()
        owner, end = claims.get(work) or (self._shared.process, 0.0)
        if owner != self._shared.process and end > now:
            return False
        for each, (_, over) in claims.items():
            if over <= now:
                claims.delete(each)
        claims.put(work, (self._shared.process, now + CLAIM_SECONDS))
        return True

    def _forget_computed(self) -> None:
        self._computed = None

    def _leases(self) -> Collection[float]:
        return self.collection(LEASES, float)

    def _facts(self) -> Facts:
        return Facts(self.key, self.is_pinned, None if self.outbox is None else self._due(self.outbox))

    def _due(self, outbox: Outbox) -> float | None:
        """The wall-clock time of its next callback or of the end of a lease."""
        ends = [end for _, end in self._leases().items()]
        if outbox.has_pending():
            wait = self.clock.wait_for(outbox.next_due())
            ends.append(math.inf if wait is None else wall_time() + wait)
        return min(ends, default=None)

    def _read_again(self) -> None:
        """The values were read again."""
        before = self.own
        if self.collection(RECORD, SandboxRecord).get("") is None:  # another process has deleted the sandbox
            self._own_defaults = self._defaults
            self._record.value = self._initial_record(NO_OPTIONS)
        self._record.read()
        cast(StoredJournal, self.journal).forget()
        if self.own != before:
            self._own_defaults = self._defaults.of(self.own)
            self.clock.start = self._own_defaults.clock
            self._open()
        self.accounts.reload()
        if not self.record.has_callbacks:
            self.outbox = None
        elif self.outbox is None:
            self.outbox = self._outbox()
        else:
            self.outbox.reload()

    def open_outbox(self) -> Outbox:
        if self.outbox is None:
            self.outbox = self._outbox()
            self.change(has_callbacks=True)
        return self.outbox

    def _outbox(self) -> Outbox:
        pending, claimed = self.collection(PENDING, Callback), self.collection(CLAIMED, Callback)
        return Outbox(pending=pending, claimed=claimed, dropped=self._cell("callbacks_dropped"))

    def _open_record(self, initial: SandboxRecord) -> OpenRecord:
        return _SharedRecord(self.collection(RECORD, SandboxRecord), initial, self._partition.inside)

    def _open_journal(self, journals: JournalSpace | None) -> Journal:
        del journals
        return cast(Journal, StoredJournal(self._defaults.journal_size, self.collection, self._partition))


def _called(method: WeakMethod[Any]) -> Any:
    known = method()
    return Facts() if known is None else known()
