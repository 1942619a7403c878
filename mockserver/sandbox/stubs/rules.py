"""The rules installed in a sandbox: which requests get a stubbed response or a fault, and how often."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.http import Request
from mockserver.records import Record
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.ids import canonical, digest
from mockserver.sandbox.stubs.matcher import Matcher, RequestView
from mockserver.stores.collection import Cell, OwnCell

if TYPE_CHECKING:  # importing faults costs milliseconds, and most servers use none
    from mockserver.sandbox.stubs.faults import Fault

MAX_RULES = 1000
MAX_TOTAL = 16 * 1024 * 1024
"""The most bytes of all definitions of a sandbox."""
MAX_STEPS = 50_000
"""The most steps (see Matcher) of all rules of a sandbox: a request is compared with each, on the event loop."""


class RuleSnapshot(Record, frozen=True, gc=False):
    """A rule as a sandbox remembers and exports it: plain values."""

    definition: Mapping[str, Any]
    origin: str
    times: int | None
    until: Instant | None
    id: str
    matched: int
    claimed: int


class Rule(NamedTuple):
    """A rule: matching requests get this response, this fault, or both."""

    definition: Mapping[str, Any]
    """As it was sent."""
    origin: str
    """Its origin: `next`, `fault`, or `scenario:<name>`."""
    matcher: Matcher
    reply: Mapping[str, Any] | None = None
    """A value that fits REPLY_SCHEMA; None for a rule with a fault only."""
    fault: "Fault | None" = None
    times: int | None = None
    """How often it may be used; None is unlimited."""
    after: int = 0
    """How many matches to skip first."""
    probability: float = 1.0
    """The probability that a later match is used. Seeded by the rule's id and the number of the match."""
    until: float | None = None
    """When it ends, in Unix seconds of sandbox time; None is never."""
    undocumented: bool = False
    """Whether the response may be undocumented."""
    size: int = 0
    """The size of the definition, in bytes."""
    steps: int = 0
    """See Matcher."""
    id: str = ""
    """Set when it is installed."""
    matched: int = 0
    """How many requests it matched. Requests that an earlier rule answered do not count."""
    claimed: int = 0
    """How many of these it answered or disturbed."""

    @property
    def answers(self) -> bool:
        """Whether it determines the response, and not only its delivery."""
        return self.reply is not None or (self.fault is not None and self.fault.status is not None)

    def met(self) -> "Rule":
        """The rule after one more match."""
        met = self._replace(matched=self.matched + 1)
        return met._replace(claimed=self.claimed + 1) if met._is_due() else met

    def kept(self) -> RuleSnapshot:
        """The state, for `restored_rule`."""
        return RuleSnapshot(self.definition, self.origin, self.times, self.until, self.id, self.matched, self.claimed)

    def key(self) -> bytes:
        """16 bytes that seed the fault of the latest match."""
        return digest(self.id.encode(), b"fault", b"%d" % self.matched)

    def is_gone(self, now: float) -> bool:
        """Whether it cannot be used again."""
        return (self.times is not None and self.claimed >= self.times) or (self.until is not None and self.until <= now)

    def _is_due(self) -> bool:
        if self.matched <= self.after:
            return False
        drawn = digest(self.id.encode(), b"%d" % self.matched)
        return int.from_bytes(drawn[:8]) < self.probability * 2**64


class Claim(NamedTuple):
    """What the rules determine for one request."""

    stub: Rule | None = None
    """The rule that answers, by its response or its fault's status."""
    faults: "tuple[tuple[Fault, bytes], ...]" = ()
    """The faults of the response, in the order of the rules, each with the key of its random numbers."""


class Rules:
    """The rules of one sandbox, in order of precedence. Used-up and expired ones are removed."""

    __slots__ = ("_new_id", "_restore", "_restored", "_restored_from", "_state")

    def __init__(
        self,
        new_id: Callable[[str, bytes], str],
        state: Cell[tuple[RuleSnapshot, ...]] | None = None,
        restore: Callable[[RuleSnapshot], Rule] | None = None,
    ) -> None:
        """`new_id` returns the id for a canonical body.

        `state` holds the rules as plain values; `restore` makes a rule of them that another process has put there.
        """
        self._new_id = new_id
        self._state = state or OwnCell(())
        self._restore = restore
        self._restored_from: tuple[RuleSnapshot, ...] = ()
        self._restored: list[Rule] = []

    @property
    def installed(self) -> list[Rule]:
        """The rules in order of precedence."""
        state = self._state.get()
        if state is not self._restored_from and state != self._restored_from:
            assert self._restore is not None, "only a sandbox's rules are restored"
            self._restored = list(map(self._restore, state))
            self._restored_from = state
        return self._restored

    @installed.setter
    def installed(self, rules: list[Rule]) -> None:
        self._restored = list(rules)
        self._restored_from = tuple(each.kept() for each in self._restored)
        self._state.put(self._restored_from)

    def claim(self, operation: str, request: Request, now: float, *, is_answered: bool = False) -> Claim:
        """The rules for a request to this operation; counts the match.

        The first rule that answers and is due wins, and later ones are not used up; other faults add up. With
        `is_answered` rules that answer are ignored.
        """
        self.drop_gone(now)
        asked, stub, faults, has_changed = RequestView(operation, request), None, [], False
        rules = list(self.installed)
        for place, rule in enumerate(rules):
            if (rule.answers and (is_answered or stub is not None)) or not rule.matcher.fits(asked):
                continue
            met = rules[place] = rule.met()
            has_changed = True
            if met.claimed == rule.claimed:
                continue
            stub = met if met.answers else stub
            if met.fault is not None:
                faults.append((met.fault, met.key()))
        if has_changed:
            self.installed = [rule for rule in rules if not rule.is_gone(now)]
        return Claim(stub, tuple(faults))

    def install(self, rules: Iterable[Rule], *, instead_of: str | None = None) -> list[Rule]:
        """Append rules; returns them with their ids.

        `instead_of` removes the rules of that origin first. A rule that has an id keeps it. Raises ValueError, and then
        changes nothing, if there would be too many.
        """
        kept = [each for each in self.installed if each.origin != instead_of]
        added = list(rules)
        _check_bounds([*kept, *added])
        taken = {each.id for each in kept}
        named = []
        for rule in added:
            named.append(rule if rule.id else rule._replace(id=self._unused_id(rule, taken)))
            taken.add(named[-1].id)
        self.installed = [*kept, *named]
        return named

    def remove(self, matches: Callable[[Rule], bool] = lambda _: True) -> int:
        """Remove the rules that match; returns their number."""
        rules = self.installed
        kept = [each for each in rules if not matches(each)]
        if len(kept) < len(rules):
            self.installed = kept
        return len(rules) - len(kept)

    def drop_gone(self, now: float) -> None:
        """Remove the rules that cannot be used again."""
        rules = self.installed
        if any(rule.is_gone(now) for rule in rules):
            self.installed = [rule for rule in rules if not rule.is_gone(now)]

    def _unused_id(self, rule: Rule, taken: set[str]) -> str:
        """An id derived from the definition. It may be taken if ids were restarted and rules kept."""
        body = canonical(rule.definition)
        id_ = self._new_id("stub", body)
        while id_ in taken:
            id_ = self._new_id("stub", body)
        return id_


def _check_bounds(rules: Sequence[Rule]) -> None:
    if len(rules) > MAX_RULES:
        raise ValueError(f"there would be {len(rules)} rules; a sandbox holds at most {MAX_RULES}")
    size = sum(each.size for each in rules)
    if size > MAX_TOTAL:
        raise ValueError(f"the rules would have {size} bytes; a sandbox holds at most {MAX_TOTAL}")
    steps = sum(each.steps for each in rules)
    if steps > MAX_STEPS:
        message = f"`body` and `body_at` of all rules would have {steps} values and steps of pointers"
        raise ValueError(f"{message}; a sandbox holds at most {MAX_STEPS}")
