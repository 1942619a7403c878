"""Who pays, how much is left, and the book of charges."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from heapq import merge
from typing import NamedTuple
from zlib import crc32

from mockserver.redaction import account_key
from mockserver.sandbox.batches import Batch

DEFAULT_CREDITS = 1_000_000_000
"""Credits of an account nobody has described."""
MOST = 2**62
"""Credits, had or owed: whatever is spent besides, JSON has digits for what is left."""

_RESERVED = re.compile(
    r"mock-(?:(no-credits)|credits-(\d{1,15})|(revoked)|status-([2-5]\d\d))(?![A-Za-z0-9])", re.ASCII
)


class AccountSpec(NamedTuple):
    """What an accounts file, or a reserved token, says of an account before anything happens."""

    key: str
    """The digest of its token (`account_key`); the token itself is not kept."""
    email: str
    credits: int = DEFAULT_CREDITS
    revoked: bool = False
    revoked_at: float | None = None
    """Sandbox time from which the token is refused, in Unix seconds; None is never."""


class AccountOverrides(NamedTuple):
    """What holds for every account of a sandbox, whatever else is said of it. What is None is left alone."""

    credits: int | None = None
    revoked: bool | None = None
    revoked_at: float | None = None

    def with_those_of(self, later: "AccountOverrides") -> "AccountOverrides":
        """These terms, except for what later ones say."""
        terms = self if later.revoked is None else self._replace(revoked=later.revoked, revoked_at=later.revoked_at)
        return terms if later.credits is None else terms._replace(credits=later.credits)

    def applied(self, facts: AccountSpec) -> AccountSpec:
        """The facts of an account that is opened under these terms."""
        return facts._replace(**{name: value for name, value in self._asdict().items() if value is not None})


NO_OVERRIDES = AccountOverrides()


class Charge(NamedTuple):
    """One entry of the ledger."""

    at: float
    """Sandbox time, in Unix seconds."""
    credits: int
    """What it did to the balance: negative for what was spent, or for a `set` to less. All together are the balance."""
    entry: str
    """`opened`, `set` or `item`."""
    batch: str = ""
    item: int | None = None
    """The item's index in its batch, from 0."""


class AccountSnapshot(NamedTuple):
    """All that an account remembers."""

    key: str
    email: str
    revoked: bool
    revoked_at: float | None
    is_operator_made: bool
    entries: tuple[Charge, ...]
    batches: tuple[str, ...]
    settled: int
    open: Mapping[str, int]


class Account:
    """Who pays. Its charges are not written down: they follow from the batches it queued."""

    __slots__ = (
        "_open",
        "_promised",
        "_settled",
        "batches",
        "email",
        "entries",
        "is_operator_made",
        "key",
        "revoked",
        "revoked_at",
    )

    def __init__(self, facts: AccountSpec, now: float) -> None:
        self.key = facts.key
        self.email = facts.email
        self.revoked = facts.revoked
        self.revoked_at = facts.revoked_at
        self.is_operator_made = False
        """Whether the operator opened or changed it, which makes it good for every provider."""
        self.entries = [Charge(now, facts.credits, "opened")]
        self.batches: list[str] = []
        self._settled = facts.credits
        self._open: dict[str, int] = {}
        self._promised = 0

    def kept(self) -> AccountSnapshot:
        """The account as a value, for `restored`."""
        batches, entries = tuple(self.batches), tuple(self.entries)
        facts = (self.key, self.email, self.revoked, self.revoked_at, self.is_operator_made)
        return AccountSnapshot(*facts, entries, batches, self._settled, dict(self._open))

    @classmethod
    def restored(cls, kept: AccountSnapshot) -> "Account":
        """The account that a value says; raises ValueError for one that owes what it never bought, or too much."""
        if not kept.open.keys() <= {*kept.batches}:
            raise ValueError("it owes for batches that are not its own")
        if not -MOST <= kept.settled <= MOST:
            raise ValueError("it has, or owes, more credits than there are")
        account = cls(AccountSpec(kept.key, kept.email, 0, kept.revoked, kept.revoked_at), 0.0)
        account.is_operator_made = kept.is_operator_made
        account.entries, account.batches = list(kept.entries), list(kept.batches)
        account._settled, account._open, account._promised = kept.settled, dict(kept.open), sum(kept.open.values())
        return account

    def add_batch(self, batch: Batch) -> None:
        """Remember that the batch's successes will be paid from here."""
        if batch.price:
            self.batches.append(batch.id)
            self._open[batch.id] = batch.price * batch.size
            self._promised += batch.price * batch.size

    def is_revoked(self, now: float) -> bool:
        """Whether the token is refused."""
        return self.revoked or (self.revoked_at is not None and self.revoked_at <= now)

    def can_pay(self, batches: MutableMapping[str, Batch], now: float) -> bool:
        """Whether the balance is above 0. Nothing is settled while even the worst case leaves credits."""
        return self._settled > self._promised or self.balance(batches, now) > 0

    def balance(self, batches: MutableMapping[str, Batch], now: float) -> int:
        """The credits left: what the account began with, less every success that has fallen due."""
        due = 0
        for id_ in list(self._open):
            batch = batches[id_]
            if batch.fates is None:
                batch = batches[id_] = batch.with_outcomes()
            spent = batch.tally(now).successful * batch.price
            if batch.end() <= now:
                self._promised -= self._open.pop(id_)
                self._settled -= spent
            else:
                due += spent
        return self._settled - due

    def set_balance(self, credits: int, batches: MutableMapping[str, Batch], now: float) -> None:
        """Make the balance what the operator says, from now on."""
        change = credits - self.balance(batches, now)  # A line of its own: reading the balance settles batches.
        self._settled += change
        self.entries.append(Charge(now, change, "set"))

    def ledger(self, batches: Mapping[str, Batch], now: float) -> Iterator[Charge]:
        """Every entry up to now, oldest first."""
        return merge(self.entries, *(_charges(batches[id_], now) for id_ in self.batches), key=lambda charge: charge.at)


class Accounts:
    """The accounts of one sandbox."""

    def __init__(
        self,
        known: Mapping[str, AccountSpec],
        *,
        closed: Mapping[str, frozenset[str]] = {},
        shelf: MutableMapping[str, Account],
    ) -> None:
        """`known` is what files say, by account key; `closed` says by provider which accounts alone are good.

        It names only providers whose accounts are closed; "" stands for operations of no provider and for the operator.
        """
        self._known = known
        self._closed = closed
        self._shelf = shelf
        self.terms = NO_OVERRIDES
        """What accounts opened from now on begin with."""

    def find(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """The token's account, opened at first use; None when the token is not good for the provider."""
        key = account_key(token)
        account = self._shelf.get(key)
        if account is None:
            account = self.draft(token, now, magic=magic, provider=provider)
            if account is not None:
                self._shelf[key] = account
        elif self._closed and not self._admits(key, provider) and not account.is_operator_made:
            return None
        return account

    def peek(self, token: str, now: float, *, magic: bool) -> Account | None:
        """The account of a token, or with that key, as an operator sees it; not opened by the look."""
        return self.with_key(token) or self._shelf.get(account_key(token)) or self.draft(token, now, magic=magic)

    def with_key(self, key: str) -> Account | None:
        """The account that is open under a key."""
        return self._shelf.get(key)

    def every(self) -> list[Account]:
        """The accounts opened so far, oldest first."""
        return list(self._shelf.values())

    def open(self, facts: AccountSpec, now: float) -> Account:
        """Put an account on the book, whatever files say of its token."""
        account = self._shelf[facts.key] = Account(facts, now)
        account.is_operator_made = True
        return account

    def draft(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """What would be opened for the token; None when it is not good for the provider."""
        key = account_key(token)
        if not self._admits(key, provider):
            return None
        facts = self._known.get(key) or (account_from_token(token) if magic else facts_of(token))
        return Account(facts if self.terms is NO_OVERRIDES else self.terms.applied(facts), now)

    def _admits(self, key: str, provider: str) -> bool:
        return provider not in self._closed or key in self._closed[provider]


def facts_of(
    token: str, email: str | None = None, credits: int = DEFAULT_CREDITS, revoked: bool = False
) -> AccountSpec:
    """The facts of the token's account; without an e-mail address of its own it has a made-up one."""
    return AccountSpec(account_key(token), email or email_of(token), credits, revoked)


def account_from_token(token: str) -> AccountSpec:
    """What a token's own words say: `mock-no-credits…`, `mock-credits-N…`, `mock-revoked…`; plenty otherwise."""
    found = _RESERVED.match(token)
    if found is None:
        return facts_of(token)
    empty, credits_, revoked, _ = found.groups()
    balance = 0 if empty else int(credits_) if credits_ else DEFAULT_CREDITS
    return facts_of(token, None, balance, bool(revoked))


def reserved_status(token: str) -> int | None:
    """The status that `mock-status-NNN…` asks for; None for any other token."""
    found = _RESERVED.match(token) if token.startswith("mock-status-") else None
    return int(found.group(4)) if found else None


def email_of(token: str) -> str:
    """An address for an account nobody has described. It tells accounts apart and does not repeat the token."""
    return f"account-{crc32(token.encode()):08x}@example.com"


def _charges(batch: Batch, now: float) -> Iterator[Charge]:
    batch = batch.with_outcomes()
    dues = ((batch.due(index), index) for index in range(batch.size) if batch.fate(index).failure is None)
    # Without markers items fall due in their order; thousands of batches need not be looked at to their ends.
    for due, index in sorted(dues) if batch.fates else dues:
        if due > now:
            return
        yield Charge(due, -batch.price, "item", batch.id, index)
