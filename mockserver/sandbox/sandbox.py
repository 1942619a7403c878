"""A sandbox: an isolated environment with its own accounts, batches, clock and journal."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast
from weakref import WeakMethod

from mockserver.lazy import lazy_function, lazy_module
from mockserver.sandbox.accounts import NO_OVERRIDES, AccountOverrides, Accounts, AccountSpec
from mockserver.sandbox.batches import Batch, Progression
from mockserver.sandbox.blobs import BodySpace
from mockserver.sandbox.callbacks import Callback, Outbox
from mockserver.sandbox.clock import Clock, ClockConfig, initial_state, wall_time
from mockserver.sandbox.conditions import NORMAL, Conditions
from mockserver.sandbox.deferred_free import AT_ONCE, DeferredFree, Values
from mockserver.sandbox.ids import IdSequence, as_uuid, salt_of
from mockserver.sandbox.journal import Journal, JournalSpace
from mockserver.sandbox.record import NO_OPTIONS, SandboxOptions, SandboxRecord
from mockserver.sandbox.stubs.rules import Rules
from mockserver.stores import Store, open_store
from mockserver.stores.collection import Cell, Collection

if TYPE_CHECKING:
    from mockserver.sandbox.stubs import schema
else:
    schema = lazy_module("mockserver.sandbox.stubs.schema")

Value = TypeVar("Value")
RECORD, PENDING, CLAIMED = "sandbox", "pending_callbacks", "claimed_callbacks"
STATE_TYPES: Mapping[str, Any] = {RECORD: SandboxRecord, PENDING: Callback, CLAIMED: Callback}
"""The types of collections that only a sandbox itself uses: its record, under the key "", and its callbacks."""


class SandboxDefaults(NamedTuple):
    """The initial state of every sandbox."""

    seed: str
    clock: ClockConfig
    progression: Progression
    accounts: Mapping[str, AccountSpec]
    closed: Mapping[str, frozenset[str]]
    """By provider, the only valid accounts; see Accounts."""
    journal_size: int
    dated: tuple[str, ...] = ("batches",)
    """The collections whose values have timestamps; while one has any, the clock cannot begin again."""

    def of(self, own: SandboxOptions) -> "SandboxDefaults":
        """The defaults with these options."""
        if own == NO_OPTIONS:
            return self
        known = {facts.key: facts for facts in own.accounts}
        return self._replace(
            clock=own.clock or self.clock,
            progression=own.progression or self.progression,
            accounts={**self.accounts, **known},
            closed={provider: tokens | known.keys() for provider, tokens in self.closed.items()},
        )


class OpenRecord:
    """The record of a sandbox, read once from the store, and written at each change."""

    __slots__ = ("_rows", "value")

    def __init__(self, rows: Collection[SandboxRecord], initial: SandboxRecord) -> None:
        self._rows = rows
        self.value = initial
        self.read()

    def read(self) -> None:
        """Take the record of the store; put the present one if there is none."""
        known = self._rows.get("")
        if known is None:
            self._rows.put("", self.value)
        else:
            self.value = known

    def change(self, **fields: Any) -> None:
        """Replace the record by one with these fields."""
        self.value = self.value._replace(**fields)
        self._rows.put("", self.value)


class _RecordCell:
    """A field of a sandbox's record, for the object that uses it."""

    __slots__ = ("_name", "_record")

    def __init__(self, record: OpenRecord, name: str) -> None:
        self._record = record
        self._name = name

    def get(self) -> Any:
        return getattr(self._record.value, self._name)

    def put(self, value: Any, /) -> None:
        self._record.change(**{self._name: value})


def _field(name: str) -> Any:
    """An attribute of a sandbox that is a field of its record."""
    return property(attrgetter(f"_record.value.{name}"), lambda sandbox, value: sandbox.change(**{name: value}))


class Sandbox:
    """An isolated environment."""

    own: SandboxOptions = _field("own")
    progression: Progression = _field("progression")
    conditions: Conditions = _field("conditions")
    is_held: bool = _field("is_held")
    is_set_up: bool = _field("is_set_up")
    is_named_by_token: bool = _field("is_named_by_token")

    lasting = frozenset({RECORD})
    """The collections that a reset of the state does not empty."""

    def __init__(  # noqa: PLR0917  made in one place
        self,
        name: str,
        store: Store,
        defaults: SandboxDefaults,
        own: SandboxOptions = NO_OPTIONS,
        deferred_free: DeferredFree | None = None,
        journals: JournalSpace | None = None,
        bodies: BodySpace | None = None,
    ) -> None:
        """Large collections that are dropped go to the `deferred_free`; without one they are freed at once.

        `journals` bounds the journals of all sandboxes together, `bodies` the memory of their large batches.
        """
        self.used = 0
        """When it was last used, as a count of all sandboxes' uses."""
        self.outbox: Outbox | None = None
        """None until a batch has a callback."""
        self.was_evicted = False
        """Whether an earlier sandbox of this name was evicted, which no response has reported yet."""
        self.bodies = bodies or BodySpace()
        self.name = name
        self._store = store
        self._partition = store.open(name)
        self._collections: dict[str, Collection[Any]] = {}
        self.transaction = self._partition.transaction
        self._defaults = defaults
        self._deferred_free = deferred_free
        self._own_defaults = defaults.of(own)
        self._record = self._open_record(self._initial_record(own))
        if self.own != own:
            self._own_defaults = defaults.of(self.own)
        self._open()
        if self.record.has_callbacks:
            self.open_outbox()
        self.clock = Clock(self._own_defaults.clock, state=self._cell("clock"))
        self.journal = self._open_journal(journals)
        next_id = WeakMethod(self.next_id)  # a reference to the sandbox would delay freeing it
        restore = lazy_function(lambda: schema.restored_rule)
        self.rules = Rules(lambda operation, body: _called(next_id, operation, body), self._cell("rules"), restore)
        self.key = key_of(defaults.seed, name)
        """Identifies the sandbox in URLs, where its name (often a token) must not appear."""

    @property
    def record(self) -> SandboxRecord:
        """Its state beside the collections."""
        return self._record.value

    def change(self, **fields: Any) -> None:
        """Replace the record by one with these fields."""
        self._record.change(**fields)

    @property
    def shown_name(self) -> str:
        """The name as it is shown, logged and exported: the key if the name is a token."""
        return self.key if self.is_named_by_token else self.name

    @property
    def has_no_timestamps(self) -> bool:
        """Whether it holds no timestamps, so that the clock may be set to any instant."""
        return not any(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """The number of values in each collection that holds timestamps."""
        return {name: len(self.collection(name, object)) for name in self._defaults.dated}

    def collection(self, name: str, type_: type[Value]) -> Collection[Value]:
        """The collection of that name, which is declared with this type of values; see Provider.collections."""
        try:
            return self._collections[name]
        except KeyError:
            return self._open_collection(name, type_)

    def collections(self) -> list[str]:
        """The names of the collections that were opened so far."""
        return [name for name in tuple(self._collections) if name not in STATE_TYPES]

    def lengths(self) -> dict[str, int]:
        """The number of values in each of these collections. May be called from any thread."""
        return {name: len(rows) for name, rows in tuple(self._collections.items()) if name not in STATE_TYPES}

    @property
    def largest_collection(self) -> int:
        """The number of values in the largest of its collections. May be called from any thread."""
        return max(map(len, tuple(self._collections.values())))

    def next_id(self, operation: str, body: bytes | memoryview) -> str:
        """The UUID of what a request with this canonical body creates; see IdSequence."""
        return as_uuid(self.ids.next(operation, body))

    @property
    def is_pinned(self) -> bool:
        """Whether it is pinned, explicitly or by an admin call that changed it: it is never evicted."""
        return self.is_held or self.is_set_up

    @property
    def is_in_use(self) -> bool:
        """Whether it is pinned, or has an undelivered callback."""
        return self.is_pinned or bool(self.outbox and self.outbox.has_pending())

    @property
    def may_be_evicted(self) -> bool:
        """Whether it is neither in use nor inside a transaction."""
        return not (self.is_in_use or self.is_busy())

    def is_busy(self) -> bool:
        """Whether another thread is inside a transaction."""
        return self._partition.is_busy()

    def open_outbox(self) -> Outbox:
        """The outbox for callbacks, created if there is none."""
        if self.outbox is None:
            pending, claimed = self.collection(PENDING, Callback), self.collection(CLAIMED, Callback)
            self.outbox = Outbox(pending=pending, claimed=claimed, dropped=self._cell("callbacks_dropped"))
            self.change(has_callbacks=True)
        return self.outbox

    def remove_callbacks(self) -> None:
        """Remove all callbacks; pending ones are never sent."""
        if self.outbox is not None:
            self.outbox.clear()
            self.outbox = None
            self.change(has_callbacks=False)

    def lease(self, id_: str, seconds: float) -> None:
        """Have this process send a callback for so long; 0 ends that. Only where other processes might send it."""

    def lost_callbacks(self) -> Sequence[Callback]:
        """Callbacks that another process was to send, and did not."""
        return ()

    def claim_work(self, id_: str) -> bool:
        """Whether this process does some long work; False while another process does it."""
        del id_
        return True

    def computed_once(self, id_: str, given: object, action: Callable[[], Value]) -> Value:
        """The action's result, which depends on what is given only. Kept where a transaction may run again."""
        del id_, given
        return action()

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run the action when others see what the current transaction has changed."""
        action()

    def reset(self) -> None:
        """Return to the initial state. A pinned sandbox stays pinned."""
        self.reset_state()
        self._free(self.journal.clear())
        self.rules.remove()
        self.clock.reset()
        start = self._own_defaults
        self.change(progression=start.progression, conditions=NORMAL, is_set_up=False)

    def reset_state(self) -> None:
        """Remove batches, callbacks and accounts, and restart ids; keep clock and journal."""
        for values in self._partition.clear(keep=self.lasting):
            self._free(values)
        for part in self.accounts.reload().parts():
            self._free(part)
        self.outbox = None
        self.change(terms=NO_OVERRIDES, salt=self._initial_salt(self.own), has_callbacks=False, callbacks_dropped=0)

    def reset_clock(self) -> None:
        """Restart the clock; raises ValueError if there are timestamps that would then lie in the future."""
        if not self.has_no_timestamps:
            raise ValueError("the clock cannot begin again while there are batches or files; reset the state first")
        self.clock.reset()

    def reset_progression(self) -> None:
        """Return to the initial progression."""
        self.progression = self._own_defaults.progression

    def reset_conditions(self) -> None:
        """Remove all conditions."""
        self.conditions = NORMAL

    def restart_with(self, own: SandboxOptions) -> None:
        """Reset it to another initial state."""
        self._own_defaults = self._defaults.of(own)
        self.change(own=own)
        self.clock.start = self._own_defaults.clock
        self._open()
        self.reset()

    def change_defaults(self, defaults: SandboxDefaults) -> None:
        """Take new defaults. Accounts that are open, the clock and the progression stay as they are until a reset."""
        self._defaults = defaults
        self._own_defaults = defaults.of(self.own)
        self.clock.start = self._own_defaults.clock
        self._open()

    def detach(self) -> None:
        """Give up its collections, so that a new sandbox can have this name. A running transaction can finish."""
        self._store.drop(self.name)
        for collection in tuple(self._collections.values()):
            if len(collection) > AT_ONCE:  # copies, because a running transaction needs the collections
                self._free(list(collection.items()))
        self._store = open_store()
        self.journal.detach()
        self.outbox = None

    def _free(self, values: Values) -> None:
        if self._deferred_free is not None:
            self._deferred_free.add(values)

    def _open_record(self, initial: SandboxRecord) -> OpenRecord:
        return OpenRecord(self.collection(RECORD, SandboxRecord), initial)

    def _open_journal(self, journals: JournalSpace | None) -> Journal:
        return Journal(self._defaults.journal_size, journals)

    def _open(self) -> None:
        """Open the collections, and make the objects that use them."""
        start = self._own_defaults
        self.batches = self.collection("batches", Batch)
        terms: Cell[AccountOverrides] = self._cell("terms")
        self.accounts = Accounts(start.accounts, closed=start.closed, collections=self.collection, terms=terms)
        self.ids = IdSequence(start.seed, self.name, self.collection("seen", int), self._cell("salt"))

    def _initial_record(self, own: SandboxOptions) -> SandboxRecord:
        start = self._own_defaults
        clock = initial_state(start.clock, wall_time())
        return SandboxRecord(own, self._initial_salt(own), clock, start.progression)

    def _initial_salt(self, own: SandboxOptions) -> bytes:
        return salt_of(self._own_defaults.seed, own.ids_of or self.name)

    def _cell(self, name: str) -> Cell[Any]:
        """A field of the record."""
        return _RecordCell(self._record, name)

    def _open_collection(self, name: str, type_: type[Value]) -> Collection[Value]:
        del type_  # The store knows it from the provider's declaration.
        found = cast("Collection[Value]", self._partition.rows(name))
        return self._collections.setdefault(name, found)


def key_of(seed: str, name: str) -> str:
    """The key of the sandbox of that name."""
    return salt_of(seed, name).hex()[:16]


def _called(next_id: WeakMethod[Any], operation: str, body: bytes) -> str:
    method = next_id()
    assert method is not None, "rules are used by their sandbox only"
    return str(method(operation, body))
