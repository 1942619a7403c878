"""A sandbox: an isolated environment with its own accounts, batches, clock and journal."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakMethod

from mockserver.sandbox.accounts import Accounts, AccountSpec
from mockserver.sandbox.batches import Batch, Progression
from mockserver.sandbox.blobs import BodySpace
from mockserver.sandbox.callbacks import Outbox
from mockserver.sandbox.clock import Clock, ClockConfig
from mockserver.sandbox.collection import Collection
from mockserver.sandbox.conditions import NORMAL
from mockserver.sandbox.deferred_free import AT_ONCE, DeferredFree, Heap
from mockserver.sandbox.ids import IdSequence, as_uuid, salt_of
from mockserver.sandbox.journal import Journal, JournalSpace
from mockserver.sandbox.stubs.rules import Rules
from mockserver.stores import Store, open_store

Value = TypeVar("Value")


class SandboxOptions(NamedTuple):
    """How one sandbox differs from SandboxDefaults."""

    clock: ClockConfig | None = None
    progression: Progression | None = None
    accounts: tuple[AccountSpec, ...] = ()
    """In addition to those of files; every provider accepts them."""
    ids_of: str = ""
    """The name whose sandbox would produce the same ids; empty for its own."""


NO_OPTIONS = SandboxOptions()


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


class Sandbox:
    """An isolated environment."""

    used = 0
    """When it was last used, as a count of all sandboxes' uses."""
    is_held = False
    """Whether it was pinned explicitly."""
    is_set_up = False
    """Whether an admin call has changed it since its last reset."""
    outbox: Outbox | None = None
    """None until a batch has a callback."""
    is_named_by_token = False
    """Whether its name is a client's token, which must not be shown."""
    was_evicted = False
    """Whether an earlier sandbox of this name was evicted, which no response has reported yet."""

    def __init__(  # noqa: PLR0917  made in one place
        self,
        name: str,
        store: Store,
        beginnings: SandboxDefaults,
        own: SandboxOptions = NO_OPTIONS,
        waste: DeferredFree | None = None,
        journals: JournalSpace | None = None,
        bodies: BodySpace | None = None,
    ) -> None:
        """Large collections that are dropped go to the `waste`; without one they are freed at once.

        `journals` bounds the journals of all sandboxes together, `bodies` the memory of their large batches.
        """
        self.bodies = bodies or BodySpace()
        self.name = name
        self.own = own
        self._store = store
        self._partition = store.open(name)
        self._collections: dict[str, Collection[Any]] = {}
        self.transaction = self._partition.transaction
        self._common = beginnings
        self._beginnings = beginnings.of(own)
        self._waste = waste
        self._furnish()
        self.clock = Clock(self._beginnings.clock)
        self.progression = self._beginnings.progression
        self.conditions = NORMAL
        self.journal = Journal(beginnings.journal_size, journals)
        next_id = WeakMethod(self.next_id)  # a reference to the sandbox would delay freeing it
        self.rules = Rules(lambda operation, body: _called(next_id, operation, body))
        self.key = salt_of(beginnings.seed, name).hex()[:16]
        """Identifies the sandbox in URLs, where its name (often a token) must not appear."""

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
        return {name: len(self.collection(name, object)) for name in self._common.dated}

    def collection(self, name: str, type_: type[Value]) -> Collection[Value]:
        """The collection of that name, which is declared with this type of values; see Provider.collections."""
        try:
            return self._collections[name]
        except KeyError:
            return self._open_collection(name, type_)

    def collections(self) -> list[str]:
        """The names of the collections that were opened so far."""
        return list(self._collections)

    @property
    def largest_collection(self) -> int:
        """The number of values in the largest of its collections."""
        return max(map(len, self._collections.values()))

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
        return self.is_pinned or bool(self.outbox and self.outbox.pending)

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
            self.outbox = Outbox()
        return self.outbox

    def reset(self) -> None:
        """Return to the initial state. A pinned sandbox stays pinned."""
        self.reset_state()
        self._throw_away(self.journal.clear())
        self.rules.remove()
        self.clock.reset()
        self.reset_progression()
        self.reset_conditions()
        self.is_set_up = False

    def reset_state(self) -> None:
        """Remove batches, callbacks and accounts, and restart ids; keep clock and journal."""
        for values in self._partition.clear():
            self._throw_away(values)
        self._furnish()

    def reset_clock(self) -> None:
        """Restart the clock; raises ValueError if there are timestamps that would then lie in the future."""
        if not self.has_no_timestamps:
            raise ValueError("the clock cannot begin again while there are batches or files; reset the state first")
        self.clock.reset()

    def reset_progression(self) -> None:
        """Return to the initial progression."""
        self.progression = self._beginnings.progression

    def reset_conditions(self) -> None:
        """Remove all conditions."""
        self.conditions = NORMAL

    def restart_with(self, own: SandboxOptions) -> None:
        """Reset it to another initial state."""
        self.own, self._beginnings = own, self._common.of(own)
        self.clock = Clock(self._beginnings.clock)
        self.reset()

    def detach(self) -> None:
        """Give up its collections, so that a new sandbox can have this name. A running transaction can finish."""
        self._store.drop(self.name)
        for collection in self._collections.values():
            if len(collection) > AT_ONCE:  # copies, because a running transaction needs the collections
                self._throw_away(list(collection.items()))
        self._store = open_store()
        self.journal.detach()
        self.outbox = None

    def _throw_away(self, heap: Heap) -> None:
        if self._waste is not None:
            self._waste.add(heap)

    def _furnish(self) -> None:
        """Open the collections, and make the objects that use them."""
        start = self._beginnings
        self.batches = self.collection("batches", Batch)
        self.outbox = None
        self.accounts = Accounts(start.accounts, closed=start.closed, collections=self.collection)
        self.ids = IdSequence(start.seed, self.own.ids_of or self.name, self.collection("seen", int))

    def _open_collection(self, name: str, type_: type[Value]) -> Collection[Value]:
        del type_  # The store knows it from the provider's declaration.
        found = cast("Collection[Value]", self._partition.rows(name))
        return self._collections.setdefault(name, found)


def _called(next_id: WeakMethod[Any], operation: str, body: bytes) -> str:
    method = next_id()
    assert method is not None, "rules are used by their sandbox only"
    return str(method(operation, body))
