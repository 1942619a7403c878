"""The rules installed in a sandbox: which requests get a reply or a fault out of turn, and how often."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.http import Request
from mockserver.sandbox.ids import canonical, digest
from mockserver.sandbox.stubs.matcher import Matcher, RequestView

if TYPE_CHECKING:  # what faults are costs milliseconds, and most servers never meet one
    from mockserver.sandbox.stubs.faults import Fault

MAX_RULES = 1000
MAX_TOTAL = 16 * 1024 * 1024
"""Of all definitions of a sandbox."""


class RuleSnapshot(NamedTuple):
    """What a rule can be made from again, as plain values."""

    definition: dict[str, Any]
    origin: str
    times: int | None
    until: float | None
    id: str
    matched: int
    claimed: int


class Rule(NamedTuple):
    """A stub: requests of this kind get this reply, this fault, or both."""

    definition: Mapping[str, Any]
    """As it came."""
    origin: str
    """What installed it: `next`, `fault`, or `scenario:<name>`."""
    matcher: Matcher
    reply: Mapping[str, Any] | None = None
    """What fits REPLY_SCHEMA; None leaves the reply to whoever else answers."""
    fault: "Fault | None" = None
    times: int | None = None
    """How often it is claimed before it is gone; None is for ever."""
    after: int = 0
    """How many matches are let go before."""
    probability: float = 1.0
    """Of each later match to be claimed. The rule's id and the match's number decide: it is the same on every run."""
    until: float | None = None
    """When it is gone, in Unix seconds of sandbox time; None is never."""
    undocumented: bool = False
    """Whether the reply may be one that the document does not allow."""
    size: int = 0
    """Of the definition, in bytes."""
    id: str = ""
    """Given when it is installed."""
    matched: int = 0
    """How many requests it matched; not counted are those that an earlier rule answered in its place."""
    claimed: int = 0
    """How many of these it answered or disturbed."""

    @property
    def answers(self) -> bool:
        """Whether it decides what the answer is, rather than how it is delivered."""
        return self.reply is not None or (self.fault is not None and self.fault.status is not None)

    def met(self) -> "Rule":
        """The rule after one more match."""
        met = self._replace(matched=self.matched + 1)
        return met._replace(claimed=self.claimed + 1) if met._is_due() else met

    def kept(self) -> RuleSnapshot:
        """What `restored_rule` makes it from again."""
        definition = dict(self.definition)
        return RuleSnapshot(definition, self.origin, self.times, self.until, self.id, self.matched, self.claimed)

    def key(self) -> bytes:
        """16 bytes for the draws of the latest match's fault."""
        return digest(self.id.encode(), b"fault", b"%d" % self.matched)

    def is_gone(self, now: float) -> bool:
        """Whether it will never be claimed again."""
        return (self.times is not None and self.claimed >= self.times) or (self.until is not None and self.until <= now)

    def _is_due(self) -> bool:
        if self.matched <= self.after:
            return False
        drawn = digest(self.id.encode(), b"%d" % self.matched)
        return int.from_bytes(drawn[:8]) < self.probability * 2**64


class Claim(NamedTuple):
    """What the rules decide about one request."""

    stub: Rule | None = None
    """The rule that answers, by its reply or by its fault's status."""
    faults: "tuple[tuple[Fault, bytes], ...]" = ()
    """What disturbs the answer, in the order of the rules, each with the key for its draws."""


class Rules:
    """The rules of one sandbox, in the order in which they are asked. Those that are used up or over are gone."""

    __slots__ = ("_new_id", "installed")

    def __init__(self, new_id: Callable[[str, bytes], str]) -> None:
        """`new_id` gives the id of what a canonical body creates."""
        self._new_id = new_id
        self.installed: list[Rule] = []
        """Asked first, so that a sandbox without rules pays for one look at an empty list."""

    def claim(self, operation: str, request: Request, now: float, *, is_answered: bool = False) -> Claim:
        """What the rules decide about a request to this operation, counted.

        The first rule that answers and is due wins, and later ones that would answer wait; other faults add up. With
        `is_answered` none that would answer is asked.
        """
        self.drop_gone(now)
        asked, stub, faults = RequestView(operation, request), None, []
        for place, rule in enumerate(self.installed):
            if (rule.answers and (is_answered or stub is not None)) or not rule.matcher.fits(asked):
                continue
            met = self.installed[place] = rule.met()
            if met.claimed == rule.claimed:
                continue
            stub = met if met.answers else stub
            if met.fault is not None:
                faults.append((met.fault, met.key()))
        self.drop_gone(now)
        return Claim(stub, tuple(faults))

    def install(self, rules: Iterable[Rule], *, instead_of: str | None = None) -> list[Rule]:
        """Add rules after those that are there, and tell them with their ids.

        With `instead_of` the rules of that origin go. A rule that has an id keeps it. Raises ValueError, and changes
        nothing, when there would be too many.
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
        """Drop the rules that match, and say how many."""
        kept = [each for each in self.installed if not matches(each)]
        dropped = len(self.installed) - len(kept)
        self.installed = kept
        return dropped

    def drop_gone(self, now: float) -> None:
        """Forget the rules that will never be claimed again."""
        if any(rule.is_gone(now) for rule in self.installed):
            self.installed = [rule for rule in self.installed if not rule.is_gone(now)]

    def _unused_id(self, rule: Rule, taken: set[str]) -> str:
        """An id that follows from the definition. Where ids began anew while rules stayed, it may be taken."""
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
