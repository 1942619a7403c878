"""Accounts: credits, balance and ledger."""

import re
from collections.abc import Iterator, Mapping, MutableMapping
from heapq import merge
from typing import NamedTuple
from zlib import crc32

from mockserver.redaction import account_key
from mockserver.sandbox.batches import Batch

DEFAULT_CREDITS = 1_000_000_000
"""Credits of an account that no file describes."""
MOST = 2**62
"""The most credits or debts, so that a balance always fits into JSON."""

_RESERVED = re.compile(
    r"mock-(?:(no-credits)|credits-(\d{1,15})|(revoked)|status-([2-5]\d\d))(?![A-Za-z0-9])", re.ASCII
)


class AccountSpec(NamedTuple):
    """What an accounts file or a reserved token specifies of an account."""

    key: str
    """The digest of its token (`account_key`); the token itself is not kept."""
    email: str
    credits: int = DEFAULT_CREDITS
    revoked: bool = False
    revoked_at: float | None = None
    """Sandbox time from which the token is rejected, in Unix seconds; None is never."""


class AccountOverrides(NamedTuple):
    """Values for every account of a sandbox; they override files and tokens. None leaves a value unchanged."""

    credits: int | None = None
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


class Charge(NamedTuple):
    """One entry of the ledger."""

    at: float
    """Sandbox time, in Unix seconds."""
    credits: int
    """The change of the balance: negative for a payment, or for a `set` to less. The balance is the sum of all."""
    entry: str
    """`opened`, `set` or `item`."""
    batch: str = ""
    item: int | None = None
    """The item's index in its batch, from 0."""


class AccountSnapshot(NamedTuple):
    """The complete state of an account."""

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
    """An account. Its charges are not stored: they are computed from its batches."""

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
        """Whether an admin call created or changed it; then every provider accepts its token."""
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
        """The account of a snapshot. Raises ValueError if its debts are inconsistent or too large."""
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
        """Charge this account for the batch's successful items."""
        if batch.price:
            self.batches.append(batch.id)
            self._open[batch.id] = batch.price * batch.size
            self._promised += batch.price * batch.size

    def is_revoked(self, now: float) -> bool:
        """Whether the token is rejected."""
        return self.revoked or (self.revoked_at is not None and self.revoked_at <= now)

    def can_pay(self, batches: MutableMapping[str, Batch], now: float) -> bool:
        """Whether the balance is above 0. Charges are not computed while the credits cover the worst case."""
        return self._settled > self._promised or self.balance(batches, now) > 0

    def balance(self, batches: MutableMapping[str, Batch], now: float) -> int:
        """The credits left: the initial credits, less the price of every item that has succeeded by now."""
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
        """Set the balance from now on."""
        change = credits - self.balance(
            batches, now
        )  # Read before the new charge is added: reading the balance adds the charges of finished batches.
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
        """`known` are the accounts of files, by account key. `closed` holds by provider the only valid accounts.

        It has an entry for each provider whose accounts are closed; "" stands for operations without a provider and for
        the admin API.
        """
        self._known = known
        self._closed = closed
        self._shelf = shelf
        self.terms = NO_OVERRIDES
        """Overrides for accounts that are opened from now on."""

    def find(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """The token's account, opened at first use; None if the provider does not accept the token."""
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
        """The account of a token, or with that key, for the admin API. Does not open it."""
        return self.with_key(token) or self._shelf.get(account_key(token)) or self.draft(token, now, magic=magic)

    def with_key(self, key: str) -> Account | None:
        """The open account with that key."""
        return self._shelf.get(key)

    def every(self) -> list[Account]:
        """The accounts opened so far, oldest first."""
        return list(self._shelf.values())

    def open(self, facts: AccountSpec, now: float) -> Account:
        """Open an account, even if files close the API to its token."""
        account = self._shelf[facts.key] = Account(facts, now)
        account.is_operator_made = True
        return account

    def draft(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """The account that would be opened for the token; None if the provider does not accept it."""
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
    found = _RESERVED.match(token) if token.startswith("mock-status-") else None
    return int(found.group(4)) if found else None


def email_of(token: str) -> str:
    """A generated address for an account that no file describes. It is unique, and does not contain the token."""
    return f"account-{crc32(token.encode()):08x}@example.com"


def _charges(batch: Batch, now: float) -> Iterator[Charge]:
    batch = batch.with_outcomes()
    dues = ((batch.due(index), index) for index in range(batch.size) if batch.fate(index).failure is None)
    # Without markers items fall due in their order; thousands of batches need not be looked at to their ends.
    for due, index in sorted(dues) if batch.fates else dues:
        if due > now:
            return
        yield Charge(due, -batch.price, "item", batch.id, index)
