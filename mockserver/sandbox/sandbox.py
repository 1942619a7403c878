"""A sandbox: one isolated world, with its own accounts, batches, clock and journal."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar, cast
from weakref import WeakMethod

from mockserver.sandbox.accounts import Accounts, AccountSpec
from mockserver.sandbox.batches import Batch, Progression
from mockserver.sandbox.callbacks import Outbox
from mockserver.sandbox.clock import Clock, ClockConfig
from mockserver.sandbox.collection import Collection
from mockserver.sandbox.conditions import NORMAL
from mockserver.sandbox.ids import IdSequence, as_uuid, salt_of
from mockserver.sandbox.journal import Journal, JournalSpace
from mockserver.sandbox.stubs.rules import Rules
from mockserver.sandbox.waste import AT_ONCE, Heap, Waste
from mockserver.stores import Store, open_store

Value = TypeVar("Value")


class SandboxOptions(NamedTuple):
    """What one sandbox starts from where it is not what all start from."""

    clock: ClockConfig | None = None
    progression: Progression | None = None
    accounts: tuple[AccountSpec, ...] = ()
    """Known beside those of files, and good for every provider."""
    ids_of: str = ""
    """The name whose sandbox would give the same ids; empty for its own."""


NO_OPTIONS = SandboxOptions()


class SandboxDefaults(NamedTuple):
    """What every sandbox starts from."""

    seed: str
    clock: ClockConfig
    progression: Progression
    accounts: Mapping[str, AccountSpec]
    closed: Mapping[str, frozenset[str]]
    """By provider, the only tokens that are good; see Accounts."""
    journal_size: int
    dated: tuple[str, ...] = ("batches",)
    """The collections whose values have timestamps; while one has any, the clock cannot begin again."""

    def of(self, own: SandboxOptions) -> "SandboxDefaults":
        """The same, but for what is the sandbox's own."""
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
    """One isolated world."""

    used = 0
    """When it was last opened, counted in openings of all sandboxes."""
    is_held = False
    """Whether somebody asked for it to stay."""
    is_set_up = False
    """Whether the operator has set something in it since it was new."""
    outbox: Outbox | None = None
    """None until a batch asks for a callback."""
    is_named_by_token = False
    """Whether its name is a client's token, which is not shown."""
    was_evicted = False
    """Whether an earlier sandbox of this name was forgotten, and nobody was told so far."""

    def __init__(  # noqa: PLR0917  made in one place
        self,
        name: str,
        store: Store,
        beginnings: SandboxDefaults,
        own: SandboxOptions = NO_OPTIONS,
        waste: Waste | None = None,
        journals: JournalSpace | None = None,
    ) -> None:
        """What is large and forgotten goes to the `waste`; without one it is freed at once.

        `journals` bounds the journals of all sandboxes together.
        """
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
        next_id = WeakMethod(self.next_id)  # rules that held their sandbox would keep it from being freed at once
        self.rules = Rules(lambda operation, body: _called(next_id, operation, body))
        self.key = salt_of(beginnings.seed, name).hex()[:16]
        """Names the sandbox in URLs, where its name (often a token) must not show."""

    @property
    def shown_name(self) -> str:
        """The name as it is shown, logged and exported: the key, where the name is a token."""
        return self.key if self.is_named_by_token else self.name

    @property
    def has_no_timestamps(self) -> bool:
        """Whether nothing is here that has a time, so that the clock may go anywhere."""
        return not any(self.sizes().values())

    def sizes(self) -> dict[str, int]:
        """How many values are in each collection whose values have timestamps."""
        return {name: len(self.collection(name, object)) for name in self._common.dated}

    def collection(self, name: str, type_: type[Value]) -> Collection[Value]:
        """The collection of that name; its values are of the type with which it is declared."""
        try:
            return self._collections[name]
        except KeyError:
            return self._open_collection(name, type_)

    def collections(self) -> list[str]:
        """The names of the collections that were opened so far."""
        return list(self._collections)

    def next_id(self, operation: str, body: bytes) -> str:
        """The UUID for what a request with this canonical body creates; see IdSequence."""
        return as_uuid(self.ids.next(operation, body))

    @property
    def is_pinned(self) -> bool:
        """Whether an admin call asked for it to stay, or has set something in it: it is never evicted."""
        return self.is_held or self.is_set_up

    @property
    def is_in_use(self) -> bool:
        """Whether it is pinned, or has a callback that is not delivered yet."""
        return self.is_pinned or bool(self.outbox and self.outbox.pending)

    @property
    def may_be_evicted(self) -> bool:
        """Whether nobody counts on it to stay, and nothing happens in it right now."""
        return not (self.is_in_use or self.is_busy())

    def is_busy(self) -> bool:
        """Whether another thread is inside a transaction."""
        return self._partition.is_busy()

    def open_outbox(self) -> Outbox:
        """Where callbacks are noted."""
        if self.outbox is None:
            self.outbox = Outbox()
        return self.outbox

    def reset(self) -> None:
        """Become what a new sandbox is. One that is held stays so."""
        self.reset_state()
        self._throw_away(self.journal.clear())
        self.rules.remove()
        self.clock.reset()
        self.reset_progression()
        self.reset_conditions()
        self.is_set_up = False

    def reset_state(self) -> None:
        """Forget batches, their callbacks, accounts and the ids that were given; keep clock and journal."""
        for values in self._partition.clear():
            self._throw_away(values)
        self._furnish()

    def reset_clock(self) -> None:
        """Let the clock begin again; raises ValueError while there is what would then lie in the future."""
        if not self.has_no_timestamps:
            raise ValueError("the clock cannot begin again while there are batches or files; reset the state first")
        self.clock.reset()

    def reset_progression(self) -> None:
        """Let batches age as they did in the beginning."""
        self.progression = self._beginnings.progression

    def reset_conditions(self) -> None:
        """Let everything be as the settings say."""
        self.conditions = NORMAL

    def restart_with(self, own: SandboxOptions) -> None:
        """Become a new sandbox that starts from something else."""
        self.own, self._beginnings = own, self._common.of(own)
        self.clock = Clock(self._beginnings.clock)
        self.reset()

    def detach(self) -> None:
        """Give up the place in the store, where another sandbox of this name may begin. Who is inside goes on."""
        self._store.drop(self.name)
        for collection in self._collections.values():
            if len(collection) > AT_ONCE:  # copies, because requests that are inside need the collections
                self._throw_away(list(collection.items()))
        self._store = open_store()
        self.journal.detach()
        self.outbox = None

    def _throw_away(self, heap: Heap) -> None:
        if self._waste is not None:
            self._waste.add(heap)

    def _furnish(self) -> None:
        """Make what reads and writes the collections."""
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
