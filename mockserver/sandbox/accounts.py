"""Who pays, how much is left, and the book of charges."""

import re
from collections.abc import Iterator, Mapping
from heapq import merge
from typing import NamedTuple
from zlib import crc32

from mockserver.redaction import account_key
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.collection import OpenCollection

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


class Account(NamedTuple):
    """Who pays. Charges for items are not written down: they follow from the batches of the account."""

    key: str
    email: str
    revoked: bool
    revoked_at: float | None
    entries: tuple[Charge, ...]
    """What it was opened with, and what the operator set since."""
    is_operator_made: bool = False
    """Whether the operator opened or changed it, which makes it good for every provider."""

    def is_revoked(self, now: float) -> bool:
        """Whether the token is refused."""
        return self.revoked or (self.revoked_at is not None and self.revoked_at <= now)


class Accounts:
    """The accounts of one sandbox, and the book of charges."""

    def __init__(
        self,
        known: Mapping[str, AccountSpec],
        *,
        closed: Mapping[str, frozenset[str]] = {},
        collections: OpenCollection,
    ) -> None:
        """`known` is what files say, by account key; `closed` says by provider which accounts alone are good.

        It names only providers whose accounts are closed; "" stands for operations of no provider and for the operator.
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
        self.terms = NO_OVERRIDES
        """What accounts opened from now on begin with."""

    def find(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """The token's account, opened at first use; None when the token is not good for the provider."""
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
        """The account of a token, or with that key, as an operator sees it; not opened by the look."""
        return self.with_key(token) or self._accounts.get(account_key(token)) or self.draft(token, now, magic=magic)

    def with_key(self, key: str) -> Account | None:
        """The account that is open under a key."""
        return self._accounts.get(key)

    def every(self) -> list[Account]:
        """The accounts opened so far, oldest first."""
        return list(self._accounts.scan())

    def open(self, facts: AccountSpec, now: float) -> Account:
        """Put an account on the book, whatever files say of its token."""
        account = self._accounts.get(facts.key) or self._open(_opened(facts, now))
        return self.put(account._replace(is_operator_made=True))

    def put(self, account: Account) -> Account:
        """Replace an account by a changed one."""
        self._accounts.put(account.key, account)
        return account

    def draft(self, token: str, now: float, *, magic: bool, provider: str = "") -> Account | None:
        """What would be opened for the token; None when it is not good for the provider."""
        key = account_key(token)
        if not self._admits(key, provider):
            return None
        facts = self._known.get(key) or (account_from_token(token) if magic else facts_of(token))
        return _opened(facts if self.terms is NO_OVERRIDES else self.terms.applied(facts), now)

    def add_batch(self, batch: Batch) -> None:
        """Add a batch, whose successes its account pays for."""
        id_, price = batch.id, batch.price
        self._batches.put(id_, batch)
        if price:
            key, promised = batch.account, self._promised
            promised.put(key, (promised.get(key) or 0) + price * batch.size)
            self._unpaid.put(id_, key)

    def can_pay(self, account: Account, now: float) -> bool:
        """Whether the balance is above 0. Nothing is settled while even the worst case leaves credits."""
        settled = self._settled.get(account.key)
        if settled is not None and settled > (self._promised.get(account.key) or 0):
            return True
        return self.balance(account, now) > 0

    def balance(self, account: Account, now: float) -> int:
        """The credits left: what the account began with, less every success that has fallen due."""
        settled, promised, due = self._settled_of(account), self._promised.get(account.key), 0
        for id_, key in self._unpaid.items() if promised else ():
            batch = self._batches.get(id_) if key == account.key else None
            if promised is None or batch is None:
                continue
            if batch.fates is None:
                batch = batch.with_outcomes()
                self._batches.put(id_, batch)
            spent = batch.tally(now).successful * batch.price
            if batch.end() <= now:
                promised -= batch.price * batch.size
                settled -= spent
                self._unpaid.delete(id_)
                self._promised.put(key, promised)
                self._settled.put(key, settled)
            else:
                due += spent
        return settled - due

    def set_balance(self, account: Account, credits: int, now: float) -> Account:
        """The account with what the operator says left on it, from now on."""
        change = credits - self.balance(account, now)  # A line of its own: reading the balance settles batches.
        self._settled.put(account.key, self._settled_of(account) + change)
        return self.put(account._replace(entries=(*account.entries, Charge(now, change, "set"))))

    def ledger(self, account: Account, now: float) -> Iterator[Charge]:
        """Every entry up to now, oldest first."""
        paid = (each for each in self._batches.scan() if each.price and each.account == account.key)
        return merge(account.entries, *(_charges(each, now) for each in paid), key=lambda charge: charge.at)

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


def _opened(facts: AccountSpec, now: float) -> Account:
    entries = (Charge(now, facts.credits, "opened"),)
    return Account(facts.key, facts.email, facts.revoked, facts.revoked_at, entries)


def _charges(batch: Batch, now: float) -> Iterator[Charge]:
    batch = batch.with_outcomes()
    dues = ((batch.due(index), index) for index in range(batch.size) if batch.fate(index).failure is None)
    # Without markers items fall due in their order; thousands of batches need not be looked at to their ends.
    for due, index in sorted(dues) if batch.fates else dues:
        if due > now:
            return
        yield Charge(due, -batch.price, "item", batch.id, index)
