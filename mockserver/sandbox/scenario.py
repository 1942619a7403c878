"""Applies a scenario to a sandbox, as a whole or not at all."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.sandbox.accounts import AccountOverrides, facts_of
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.clock import format_instant
from mockserver.sandbox.conditions import Conditions, read_conditions
from mockserver.sandbox.ids import as_uuid, digest
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.stubs.rules import Rule, Rules
from mockserver.sandbox.stubs.schema import read_rule
from mockserver.settings.parse import InvalidValue, read_capacity, read_instant, read_progression


class ScenarioError(ValueError):
    """An invalid part of a scenario."""

    def __init__(self, location: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


class AccountChange(NamedTuple):
    """A change of one account, or of all accounts."""

    token: str | None
    """None is every account of the sandbox, including later ones."""
    email: str | None = None
    credits: int | None = None
    revoked: bool | None = None
    revoked_after: float | None = None
    """Seconds of sandbox time."""


class ClockChange(NamedTuple):
    """A change of the clock. None leaves a value unchanged."""

    at: float | None = None
    frozen: bool | None = None
    scale: float | None = None


class ScenarioActions(NamedTuple):
    """A parsed scenario. None leaves a part of the sandbox unchanged."""

    name: str
    accounts: tuple[AccountChange, ...] = ()
    clock: ClockChange = ClockChange()
    progression: Progression | None = None
    conditions: Conditions | None = None
    stubs: tuple[Mapping[str, Any], ...] = ()
    """Definitions of rules. They are parsed for each sandbox, since some durations start when they are applied."""
    faults: tuple[Mapping[str, Any], ...] = ()

    def apply(self, sandbox: Sandbox, *, magic: bool, reset: bool = False) -> None:
        """Apply the scenario, after a reset if `reset` is true. Raises ValueError, and then changes nothing.

        `magic` says whether magic tokens are recognised when an account is opened.
        """
        self._check_clock(sandbox, reset=reset)
        if reset:
            sandbox.reset()
        now = self._now_in(sandbox)
        # First, because it may fail; not after a reset, since reading the scenario has validated it.
        sandbox.rules.install(self.rules(now, sandbox.ids.salt), instead_of=self.origin)
        self._set_clock(sandbox)
        for change in self.accounts:
            _change_accounts(sandbox, change, now, magic=magic)
        if self.progression is not None:
            sandbox.progression = self.progression
        if self.conditions is not None:
            sandbox.conditions = self.conditions

    @property
    def origin(self) -> str:
        """The origin of its rules."""
        return f"scenario:{self.name}"

    def rules(self, now: float, salt: bytes = b"") -> Iterator[Rule]:
        """Its stubs and faults. Their ids do not depend on how often it was applied."""
        for part, entries, times in (("stubs", self.stubs, 1), ("faults", self.faults, None)):
            for n, entry in enumerate(entries):
                try:
                    rule = read_rule(entry, origin=self.origin, now=now, times=times)
                except ValueError as error:
                    raise ScenarioError((part, n), str(error)) from error
                yield rule._replace(id=as_uuid(digest(salt, self.origin.encode(), part.encode(), b"%d" % n)))

    def _now_in(self, sandbox: Sandbox) -> float:
        """The sandbox's time after the clock change."""
        now = sandbox.clock.now()
        if self.clock.at is None:
            return now
        return self.clock.at if sandbox.has_no_timestamps else max(self.clock.at, now)

    def _check_clock(self, sandbox: Sandbox, *, reset: bool) -> None:
        at, now = self.clock.at, sandbox.clock.now()
        if at is not None and at < now and not (reset or sandbox.has_no_timestamps):
            raise ValueError(
                f"the scenario {self.name!r} sets the clock to {format_instant(at)}; it stands at "
                f"{format_instant(now)}, and moves forward only "
                "while there are batches or files: apply it with ?reset=true"
            )

    def _set_clock(self, sandbox: Sandbox) -> None:
        clock, change = sandbox.clock, self.clock
        if change.at is not None and sandbox.has_no_timestamps:
            clock.begin(change.at)
        elif change.at is not None:
            clock.set(max(change.at, clock.now()))
        if change.scale is not None:
            clock.scale_by(change.scale)
        if change.frozen is not None:
            (clock.freeze if change.frozen else clock.resume)()


def read_actions(name: str, content: Mapping[str, Any]) -> ScenarioActions:
    """The actions of a scenario whose content fits the schema; raises ScenarioError for rules that the schema cannot
    express.
    """
    accounts = tuple(AccountChange(**{"token": None, **each}) for each in content.get("accounts", ()))
    setup = ScenarioActions(
        name,
        accounts,
        _read_clock(content.get("clock", {})),
        _read_progression(content),
        _read_conditions(content),
        tuple(content.get("stubs", ())),
        tuple(content.get("faults", ())),
    )
    _try_rules(setup)
    return setup


def _try_rules(setup: ScenarioActions) -> None:
    """Raises ScenarioError if the rules could not be installed in an empty sandbox."""
    for part in ("stubs", "faults"):
        for n, entry in enumerate(getattr(setup, part)):
            if "until" in entry:
                raise ScenarioError((part, n, "until"), "an instant came, which may be over; wanted 'for', in seconds")
    rules = list(setup.rules(0.0))
    try:
        Rules(lambda *_: "").install(rules)
    except ValueError as error:
        raise ScenarioError((), str(error)) from error


def _read_clock(content: Mapping[str, Any]) -> ClockChange:
    at = content.get("at")
    instant = None if at is None else read_instant(at)
    if at is not None and instant is None:
        raise ScenarioError(("clock", "at"), f"{at!r} came; wanted an ISO 8601 instant")
    return ClockChange(instant, content.get("frozen"), content.get("scale"))


def _read_progression(content: Mapping[str, Any]) -> Progression | None:
    if "progression" not in content:
        return None
    try:
        return Progression(*read_progression(content["progression"]))
    except InvalidValue as error:
        raise ScenarioError(("progression",), f"is {error.came}; wanted {error.wanted}") from error


def _read_conditions(content: Mapping[str, Any]) -> Conditions | None:
    if "conditions" not in content:
        return None
    return parse_conditions(content["conditions"], ("conditions",))


def parse_conditions(value: Mapping[str, Any], location: tuple[str | int, ...]) -> Conditions:
    """Conditions from JSON that fits the schema; raises ScenarioError for rules that the schema cannot express."""
    try:
        read_capacity(value.get("capacity", "free"))
    except InvalidValue as error:
        raise ScenarioError((*location, "capacity"), f"{error.came} came; wanted {error.wanted}") from error
    return read_conditions(value)


def _change_accounts(sandbox: Sandbox, change: AccountChange, now: float, *, magic: bool) -> None:
    revoked_at = None if change.revoked_after is None else now + change.revoked_after
    terms = AccountOverrides(change.credits, False if revoked_at is not None else change.revoked, revoked_at)
    if change.token is None:
        changed = sandbox.accounts.every()
        sandbox.accounts.terms = sandbox.accounts.terms.with_those_of(terms)
    else:
        found = sandbox.accounts.find(change.token, now, magic=magic)
        if found is None:  # the accounts are closed; naming one opens it, as PUT /accounts does
            found = sandbox.accounts.open(facts_of(change.token), now)
        changed = [found._replace(is_operator_made=True, email=change.email or found.email)]
    for each in changed:
        account = each if terms.credits is None else sandbox.accounts.set_balance(each, terms.credits, now)
        is_revoked, at = (account.revoked, account.revoked_at) if terms.revoked is None else (terms.revoked, revoked_at)
        sandbox.accounts.put(account._replace(revoked=is_revoked, revoked_at=at))
