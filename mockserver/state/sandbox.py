"""A sandbox: one isolated world, with its own accounts, batches, clock and journal."""

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from mockserver.state.answers import AnswerBook
from mockserver.state.batches import Batch, Progression
from mockserver.state.callbacks import Outbox
from mockserver.state.clock import Clock, ClockStart
from mockserver.state.conditions import NORMAL
from mockserver.state.ids import IdSequence, as_uuid
from mockserver.state.journal import Journal
from mockserver.state.ledger import NO_TERMS, AccountFacts, Accounts
from mockserver.state.rules import Rules
from mockserver.stores import Store


class Beginnings(NamedTuple):
    """What every sandbox starts from."""

    seed: str
    clock: ClockStart
    progression: Progression
    accounts: Mapping[str, AccountFacts]
    closed: bool
    """Whether only the known accounts are good."""
    journal_size: int


class Sandbox:
    """One isolated world."""

    def __init__(self, name: str, store: Store, beginnings: Beginnings) -> None:
        self.name = name
        self.transaction = store.transaction(name)
        self.batches: MutableMapping[str, Batch] = store.shelf(name, "batches")
        self.jobs: MutableMapping[str, Any] = store.shelf(name, "jobs")
        self.prompts: MutableMapping[str, Any] = store.shelf(name, "prompts")
        self.files: MutableMapping[str, Any] = store.shelf(name, "files")
        self.usage: MutableMapping[str, Any] = store.shelf(name, "usage")
        self.buckets: MutableMapping[str, Any] = store.shelf(name, "buckets")
        self.answers = AnswerBook()
        self.outbox: Outbox | None = None
        """None until a batch asks for a callback."""
        self.clock = Clock(beginnings.clock)
        self.progression = beginnings.progression
        self.conditions = NORMAL
        self.journal = Journal(beginnings.journal_size)
        self.accounts = Accounts(beginnings.accounts, closed=beginnings.closed, shelf=store.shelf(name, "accounts"))
        self.ids = IdSequence(beginnings.seed, name, store.shelf(name, "seen"))
        self.rules = Rules(self.next_id)
        self.key = self.ids.salt.hex()[:16]
        """Names the sandbox in URLs, where its name (often a token) must not show."""
        self._clear: Callable[[], None] = lambda: store.clear(name)
        self._beginnings = beginnings

    @property
    def is_timeless(self) -> bool:
        """Whether nothing is here that has a time, so that the clock may go anywhere."""
        return not (self.batches or self.jobs or self.files)

    def next_id(self, operation: str, body: bytes) -> str:
        """The UUID for what a request with this canonical body creates; see IdSequence."""
        return as_uuid(self.ids.next(operation, body))

    def open_outbox(self) -> Outbox:
        """Where callbacks are noted."""
        if self.outbox is None:
            self.outbox = Outbox()
        return self.outbox

    def reset(self) -> None:
        """Become what a new sandbox is."""
        self.reset_state()
        self.journal.clear()
        self.rules.remove()
        self.clock.reset()
        self.reset_progression()
        self.reset_conditions()

    def reset_state(self) -> None:
        """Forget batches, their callbacks, accounts and the ids that were given; keep clock and journal."""
        self._clear()
        self.answers = AnswerBook()
        self.outbox = None
        self.accounts.terms = NO_TERMS

    def reset_clock(self) -> None:
        """Let the clock begin again; raises ValueError while there is what would then lie in the future."""
        if not self.is_timeless:
            raise ValueError("the clock cannot begin again while there are batches or files; reset the state first")
        self.clock.reset()

    def reset_progression(self) -> None:
        """Let batches age as they did in the beginning."""
        self.progression = self._beginnings.progression

    def reset_conditions(self) -> None:
        """Let everything be as the settings say."""
        self.conditions = NORMAL


class Sandboxes:
    """All worlds of one server, each made when it is first named."""

    def __init__(self, store: Store, beginnings: Beginnings) -> None:
        self._store = store
        self._beginnings = beginnings
        self._by_name: dict[str, Sandbox] = {}
        self._by_key: dict[str, Sandbox] = {}

    def open(self, name: str) -> Sandbox:
        """The sandbox of that name."""
        sandbox = self._by_name.get(name)
        if sandbox is None:
            sandbox = self._by_name.setdefault(name, Sandbox(name, self._store, self._beginnings))
            self._by_key[sandbox.key] = sandbox
        return sandbox

    def every(self) -> list[Sandbox]:
        """All of them."""
        return list(self._by_name.values())

    def find(self, key: str) -> Sandbox | None:
        """The sandbox with that key, if it was ever opened."""
        return self._by_key.get(key)
