"""Accounts: credits, balance and ledger."""

import math
import re
from collections.abc import Iterator, Mapping
from heapq import heappop, heappush, merge
from typing import Annotated
from zlib import crc32

from mockserver.lazy import lazy_pattern
from mockserver.records import Bounds, Record
from mockserver.redaction import account_key
from mockserver.sandbox.batches import Batch, LoopBudget
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.deferred_free import Values
from mockserver.stores.collection import Cell, OpenCollection, OwnCell
from mockserver.workers import checkpoint

DEFAULT_CREDITS = 1_000_000_000
"""Credits of an account that no file describes."""
READ_AT_ONCE = 64
"""The most batches that are read from a store at once."""
MOST = 2**62
"""The most credits or debts, so that a balance always fits into JSON."""
Credits = Annotated[int, Bounds(ge=-MOST, le=MOST)]
AccountKey = Annotated[str, Bounds(pattern="^[0-9a-f]{32}$")]
"""The digest of a token, see `account_key`; the token itself is not kept."""
DERIVED = ("settled", "promised", "unpaid")
"""The collections that are computed from accounts and batches, by `Accounts.recount`; exports leave them out."""

RESERVED_STATUS = "mock-status-"
"""The beginning of a token that asks for a status."""
_RESERVED = lazy_pattern(
    r"mock-(?:(no-credits)|credits-(\d{1,15})|(revoked)|status-([2-5]\d\d))(?![A-Za-z0-9])", re.ASCII
)


class AccountSpec(Record, frozen=True, gc=False):
    """What an accounts file or a reserved token specifies of an account."""

    key: AccountKey
    email: str
    credits: Credits = DEFAULT_CREDITS
    revoked: bool = False
    revoked_at: int | float | None = None
    """Sandbox time from which the token is rejected, in Unix seconds; None is never."""


class AccountOverrides(Record, frozen=True, gc=False):
    """Values for every account of a sandbox; they override files and tokens. None leaves a value unchanged."""

    credits: Credits | None = None
    revoked: bool | None = None
    revoked_at: float | None = None

    def with_those_of(self, later: "AccountOverrides") -> "AccountOverrides":
        """These overrides, replaced by those that `later` sets."""
        terms = self if later.revoked is None else self._replace(revoked=later.revoked, revoked_at=later.revoked_at)
        return terms if later.credits is None else terms._replace(credits=later.credits)

    def applied(self, facts: AccountSpec) -> AccountSpec:
        """The account's specification with these overrides."""
        return facts._replace(**{name: value for name, value in self._asdict().items() if value is not None})


NO_OVERRIDES = AccountOverrides()


class Charge(Record, frozen=True, gc=False):
    """One entry of the ledger."""

    at: Instant
    """Sandbox time."""
    credits: Credits
    """The change of the balance: negative for a payment, or for a `set` to less. The balance is the sum of all."""
    entry: str
    """`opened`, `set` or `item`."""
    batch: str = ""
    item: int | None = None
    """The item's index in its batch, from 0."""


class Account(Record, frozen=True, gc=False):
    """An account. Charges for items are not stored: they are computed from its batches."""

    key: AccountKey
    email: str
    revoked: bool
    revoked_at: int | float | None
    entries: tuple[Charge, ...]
    """The credits it was opened with, and later changes by admin calls."""
    is_operator_made: bool = False
    """Whether an admin call created or changed it; then every provider accepts its token."""

    def is_revoked(self, now: float) -> bool:
        """Whether the token is rejected."""
        return self.revoked or (self.revoked_at is not None and self.revoked_at <= now)


class RunningCosts:
    """What the unpaid batches of each account have cost so far, and when that changes.

    It is computed from the collections: only the batches are looked at in which an item has ended since the last time.
    """

    def __init__(self) -> None:
        self._costs: dict[str, int] = {}
        """By account."""
        self._spent: dict[str, int] = {}
        """By batch."""
        self._queue: list[tuple[float, str]] = []
        """A heap of times in Unix seconds of sandbox time, each with a batch whose cost changes then."""

    def parts(self) -> tuple[Values, ...]:
        """What it consists of, to be freed in small steps."""
        return self._costs, self._spent, self._queue

    def of(self, account: str) -> int:
        """The credits."""
        return self._costs.get(account, 0)

    def expect(self, batch: str, at: float) -> None:
        """Look at the batch when it is this time; an infinite one is unknown."""
        if at < math.inf:
            heappush(self._queue, (at, batch))

    def changed(self, now: float) -> Iterator[str]:
        """The batches whose cost may have changed by now. Stop at any of them: the others come the next time."""
        found = set()
        while self._queue and self._queue[0][0] <= now:
            batch = heappop(self._queue)[1]
            if batch not in found:
                found.add(batch)
                yield batch

    def note(self, batch: str, account: str, spent: int) -> None:
        """The batch has cost so many credits."""
        self._costs[account] = self.of(account) + spent - self._spent.get(batch, 0)
        self._spent[batch] = spent

    def forget(self, batch: str, account: str) -> None:
        """The batch is settled."""
        self.note(batch, account, 0)
        del self._spent[batch]


class Accounts:
    """The accounts of one sandbox, and their ledger."""

    def __init__(
        self,
        known: Mapping[str, AccountSpec],
        *,
        closed: Mapping[str, frozenset[str]] = {},
        collections: OpenCollection,
        terms: Cell[AccountOverrides] | None = None,
    ) -> None:
        """`known` are the accounts of files, by account key. `closed` holds by provider the only valid accounts.

        It has an entry for each provider whose accounts are closed; "" stands for operations without a provider and for
        the admin API.
        """
        self._known = known
        self._closed = closed
        self._accounts = collections("accounts", Account)
        self._batches = collections("batches", Batch)
        self._settled = collections("settled", int)
        """By account: its credits, less all that finished batches cost."""
        self._promised = collections("promised", int)
        """By account: the credits that its unpaid batches cost at most."""
        self._unpaid = collections("unpaid", str)
        """By the id of a batch that is not settled, the key of the account that pays for it."""
        self._terms = terms or OwnCell(NO_OVERRIDES)
        self._running = RunningCosts()
        self._is_counted = len(self._unpaid) == 0

    def reload(self) -> RunningCosts:
        """Read the collections again, which another process may have changed, or a reset. Returns what to free."""
        known, self._running = self._running, RunningCosts()
        self._is_counted = False
        return known

    @property
    def terms(self) -> AccountOverrides:
        """Overrides for accounts that are opened from now on."""
        return self._terms.get()

    @terms.setter
    def terms(self, terms: AccountOverrides) -> None:
        self._terms.put(terms)

    def find(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """The token's account, opened at first use; None if the provider does not accept the token."""
        key = account_key(token)
        account = self._accounts.get(key)
        if account is None:
            account = self.draft(token, now, magic=magic, provider=provider)
            if account is not None:
                self._open(account)
        elif self._closed and not self._admits(key, provider) and not account.is_operator_made:
            return None
        return account

    def peek(self, token: str, now: float, *, magic: bool) -> Account | None:
        """The account of a token, or with that key, for the admin API. Does not open it."""
        return self.with_key(token) or self._accounts.get(account_key(token)) or self.draft(token, now, magic=magic)

    def with_key(self, key: str) -> Account | None:
        """The open account with that key."""
        return self._accounts.get(key)

    def items(self) -> Iterator[tuple[str, Account]]:
        """The accounts opened so far by their keys, oldest first."""
        return self._accounts.items()

    def every(self) -> list[Account]:
        """The accounts opened so far, oldest first."""
        return list(self._accounts.scan())

    def open(self, facts: AccountSpec, now: float) -> Account:
        """Open an account, even if files close the API to its token."""
        account = self._accounts.get(facts.key) or self._open(_opened(facts, now))
        return self.put(account._replace(is_operator_made=True))

    def put(self, account: Account) -> Account:
        """Replace an account by a changed one."""
        self._accounts.put(account.key, account)
        return account

    def draft(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """The account that would be opened for the token; None if the provider does not accept it."""
        key = account_key(token)
        if not self._admits(key, provider):
            return None
        facts = self._known.get(key) or (account_from_token(token) if magic else facts_of(token))
        terms = self.terms
        return _opened(facts if terms == NO_OVERRIDES else terms.applied(facts), now)

    def add_batch(self, batch: Batch) -> None:
        """Add a batch, and charge its account for the successful items."""
        self._batches.put(batch.id, batch)
        self._note_unpaid(batch)

    def update_batch(self, batch: Batch) -> None:
        """Replace a batch after a status request, which may have ended items of it."""
        before = self._batches.get(batch.id)
        self._batches.put(batch.id, batch)
        if batch.price and before is not None and before.reads != batch.reads:
            self._running.expect(batch.id, batch.first_due())

    def recount(self) -> None:
        """Replace the collections in DERIVED by what follows from accounts and batches: no batch is settled yet."""
        for rows in (self._settled, self._promised, self._unpaid):
            for key, _ in rows.items():
                rows.delete(key)
        self._running, self._is_counted = RunningCosts(), True
        for account in self._accounts.scan():
            self._settled.put(account.key, self._settled_of(account))
        for batch in self._batches.scan():
            checkpoint()
            self._note_unpaid(batch)

    def can_pay(self, account: Account, now: float) -> bool:
        """Whether the balance is above 0. Charges are not computed while the credits cover the worst case."""
        settled = self._settled.get(account.key)
        if settled is not None and settled > (self._promised.get(account.key) or 0):
            return True
        return self.balance(account, now) > 0

    def balance(self, account: Account, now: float) -> int:
        """The credits left: the initial credits, less the price of every item that has succeeded by now."""
        self._count(now)
        return self._settled_of(account) - self._running.of(account.key)

    def _count(self, now: float) -> None:
        """Look at the unpaid batches of which an item has ended since the last time.

        Raises NeedsThread on an event loop when there are many; those that were looked at are counted then.
        """
        budget = LoopBudget()
        if not self._is_counted:
            ids = [id_ for id_, _ in self._unpaid.items()]
            budget.expect(len(ids))
            for start in range(0, len(ids), READ_AT_ONCE):  # so that a store has few round trips
                self._unpaid.pick(ids[start : start + READ_AT_ONCE])
                self._batches.pick(ids[start : start + READ_AT_ONCE])
            for id_ in ids:
                self._running.expect(id_, 0.0)
            self._is_counted = True
        for id_ in self._running.changed(now):
            key, batch = self._unpaid.get(id_), self._batches.get(id_)
            if key is None or batch is None:
                continue
            if batch.outcomes is None:
                batch = batch.with_outcomes()
                self._batches.put(id_, batch)
            spent = batch.tally(now).successful * batch.price
            if batch.end() <= now:
                self._running.forget(id_, key)
                self._unpaid.delete(id_)
                self._promised.put(key, (self._promised.get(key) or 0) - batch.price * batch.size)
                self._settled.put(key, (self._settled.get(key) or 0) - spent)
            else:
                self._running.note(id_, key, spent)
                self._running.expect(id_, batch.next_change(now))
            budget.spend(batch.weight)

    def set_balance(self, account: Account, credits: int, now: float) -> Account:
        """The account with a balance of `credits` from now on."""
        change = credits - self.balance(account, now)  # Reading the balance changes the credits that are settled.
        self._settled.put(account.key, self._settled_of(account) + change)
        return self.put(account._replace(entries=(*account.entries, Charge(now, change, "set"))))

    def ledger(self, account: Account, now: float) -> Iterator[Charge]:
        """Every entry up to now, oldest first. Raises NeedsThread on an event loop when there are many batches."""
        paid, budget = list[Batch](), LoopBudget()
        budget.expect(len(self._batches))
        for batch in self._batches.scan():
            if batch.price and batch.account == account.key:
                budget.spend(batch.weight)
                paid.append(batch)
        return merge(account.entries, *(_charges(each, now) for each in paid), key=lambda charge: charge.at)

    def _note_unpaid(self, batch: Batch) -> None:
        if batch.price:
            key, promised = batch.account, self._promised
            promised.put(key, (promised.get(key) or 0) + batch.price * batch.size)
            self._unpaid.put(batch.id, key)
            self._running.expect(batch.id, batch.first_due())

    def _open(self, account: Account) -> Account:
        self._settled.put(account.key, self._settled_of(account))
        return self.put(account)

    def _settled_of(self, account: Account) -> int:
        settled = self._settled.get(account.key)
        return sum(each.credits for each in account.entries) if settled is None else settled

    def _admits(self, key: str, provider: str) -> bool:
        return provider not in self._closed or key in self._closed[provider]


def facts_of(
    token: str, email: str | None = None, credits: int = DEFAULT_CREDITS, revoked: bool = False
) -> AccountSpec:
    """The specification of the token's account. Without an e-mail address it gets a generated one."""
    return AccountSpec(account_key(token), email or email_of(token), credits, revoked)


def account_from_token(token: str) -> AccountSpec:
    """The account of a token with a magic prefix (`mock-no-credits…`, `mock-credits-N…`, `mock-revoked…`); otherwise
    DEFAULT_CREDITS.
    """
    found = _RESERVED.match(token)
    if found is None:
        return facts_of(token)
    empty, credits_, revoked, _ = found.groups()
    balance = 0 if empty else int(credits_) if credits_ else DEFAULT_CREDITS
    return facts_of(token, None, balance, bool(revoked))


def reserved_status(token: str) -> int | None:
    """The status of a token `mock-status-NNN…`; None for any other token."""
    found = _RESERVED.match(token) if token.startswith(RESERVED_STATUS) else None
    return int(found.group(4)) if found else None


def email_of(token: str) -> str:
    """A generated address for an account that no file describes. It is unique, and does not contain the token."""
    return f"account-{crc32(token.encode()):08x}@example.com"


def _opened(facts: AccountSpec, now: float) -> Account:
    entries = (Charge(now, facts.credits, "opened"),)
    return Account(facts.key, facts.email, facts.revoked, facts.revoked_at, entries)


def _charges(batch: Batch, now: float) -> Iterator[Charge]:
    batch = batch.with_outcomes()
    dues = ((batch.due(index), index) for index in range(batch.size) if batch.outcome(index).failure is None)
    # Without markers items fall due in their order; thousands of batches need not be looked at to their ends.
    for due, index in sorted(dues) if batch.outcomes else dues:
        if due > now:
            return
        yield Charge(due, -batch.price, "item", batch.id, index)
