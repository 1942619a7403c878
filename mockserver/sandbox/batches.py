"""Batches: timelines, progressions, outcomes of items, and the table of allowed statuses."""

import math
import re
from asyncio import _get_running_loop
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import orjson

from mockserver.errors import NeedsThread
from mockserver.lazy import lazy_pattern
from mockserver.records import Bounds, Endless, Record
from mockserver.sandbox.blobs import Body, read_body, size_of
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.conditions import ItemPlan
from mockserver.settings.parse import LONGEST_PROGRESSION
from mockserver.workers import checkpoint

ARCHIVING_SHARE = 0.2
"""The share of a timed batch's duration that follows its last item."""
MAX_PRICE = 1_000_000
"""The most credits for an item, so that a balance always fits into JSON."""

BYTES_PER_ITEM = 1000
"""Bytes of a body that take about as long to look at as an item."""

BATCH_WEIGHT, LOOP_WEIGHT = 100, 20_000
"""What each batch weighs beside its items, and the weight that an event loop looks at in one transaction."""

Status = TypeVar("Status", bound=StrEnum)


def _may_have_markers(body: bytes) -> bool:
    """Whether JSON may contain a marker, possibly with escaped characters."""
    return b"[mock:" in body or b"\\u" in body


class Lifecycle(Generic[Status]):
    """Which status may follow which. Transitions that are not in the table cannot happen."""

    def __init__(self, table: Mapping[Status, set[Status]]) -> None:
        self._table = table

    def allows(self, before: Status, after: Status) -> bool:
        """Whether `after` is the same status as `before`, or can be reached from it."""
        seen, open_ends = {before}, [before]
        while open_ends:
            reached = self._table[open_ends.pop()] - seen
            seen |= reached
            open_ends += reached
        return after in seen

    def is_final(self, status: Status) -> bool:
        """Whether the status is final."""
        return not self._table[status]


class Progression(Record, frozen=True, gc=False):
    """What makes a batch progress: nothing (`immediate`: done at creation), the sandbox clock (`time`), or status
    requests (`polls`).
    """

    kind: str
    amount: int | float = 0
    """Seconds of sandbox time, or number of status requests, until the end."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no batch progresses by {self.kind[:100]!r}; wanted one of {', '.join(KINDS)}")
        if not KINDS[self.kind] <= self.amount <= LONGEST_PROGRESSION:
            raise ValueError(
                f"{self.kind}: {self.amount} is no number from {KINDS[self.kind]} to {LONGEST_PROGRESSION:g}"
            )


KINDS = {"immediate": 0, "time": 0, "polls": 1}
"""The kinds of progressions, and the least amount of each."""
IMMEDIATE = Progression("immediate")


class RecordedJob(Record, frozen=True, gc=False):
    """A recorded job that is replayed: its timeline is data, and it progresses as any batch does."""

    since: str
    """The operation whose answer began it; empty if it was read before any did."""
    began: float
    """Sandbox time, in Unix seconds."""
    reads: int
    progression: Progression

    def step(self, times: Sequence[float], now: float) -> int:
        """The index of its state, of those with these recorded times (in seconds, ascending).

        `time` spreads the recorded time over its amount, `polls` the states over its reads.
        """
        last, amount = len(times) - 1, self.progression.amount
        if self.progression.kind == "polls":
            if self.reads >= amount:
                return last
            return min(int((self.reads - 1) * len(times) / amount), max(last - 1, 0))
        if self.progression.kind == "immediate" or not times[-1] or now - self.began >= amount:
            return last
        return max(bisect_right(times, (now - self.began) / amount * times[-1]) - 1, 0)


class ItemOutcome(Record, frozen=True, gc=False):
    """The outcome of an item, as markers in its text set it."""

    failure: int | None = None
    """The status it fails with; None when it succeeds."""
    slowness: Endless = 0.0
    """Extra seconds of sandbox time; infinite if it hangs."""


Outcomes = Mapping[Annotated[int, Bounds(ge=0)], ItemOutcome]
"""By index, the outcomes of items that have a marker or a plan."""
PLAIN = ItemOutcome()
HANGING = ItemOutcome(slowness=math.inf)
DEFAULT_FAILURE = 500
_MARKER = lazy_pattern(r"\[mock:(?:(fail)(?:=([1-9]\d\d))?|slow=(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)|(hang))\]", re.ASCII)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_outcome(text: str) -> ItemOutcome:
    """The outcome that an item's markers set.

    They are `[mock:fail]`, `[mock:fail=429]`, `[mock:slow=30s]` (ms, s, m or h) and `[mock:hang]`.
    """
    failure, slowness = None, 0.0
    for fails, status, number, unit, hangs in _MARKER.findall(text):
        if fails:
            failure = int(status or DEFAULT_FAILURE)
        slowness += math.inf if hangs else float(number) * _UNITS[unit] if number else 0.0
    return ItemOutcome(failure, slowness)


def apply_plan(outcome: ItemOutcome, plan: ItemPlan, index: int, batch: str) -> ItemOutcome:
    """An item's outcome under a plan. A failure set by a marker has precedence."""
    if plan.hangs(index, batch):
        return HANGING
    failure = plan.failure(index, batch)
    return outcome if failure is None or outcome.failure is not None else ItemOutcome(failure, outcome.slowness)


class ItemCounts(NamedTuple):
    """How many items have succeeded and failed."""

    successful: int
    failed: int


class Batch(Record, frozen=True, gc=False):
    """A job of many items. Its status at any instant is computed from these values; there are no timers."""

    id: str
    kind: str
    """The kind of batch. An id is only valid for operations of its kind."""
    account: str
    size: Annotated[int, Bounds(ge=1)]
    body: Body
    """The accepted request in JSON. Items are parsed when they are needed."""
    texts_key: str
    """The key of the body that holds the items' texts: a list, or one text."""
    created: Instant
    """Sandbox time."""
    progression: Progression
    archives: bool = True
    """Whether an archiving phase follows the last item."""
    head: Annotated[float, Bounds(ge=0, le=1)] = 0.0
    """The share of a timed batch's duration before its items; under `polls` one status request."""
    not_before: Endless = 0.0
    """The sandbox time before which no item ends, in Unix seconds."""
    price: Annotated[int, Bounds(ge=0, le=MAX_PRICE)] = 0
    """Credits for each successful item."""
    applies_markers: bool = True
    plan: ItemPlan | None = None
    """The sandbox's conditions for items at the time the batch was created."""
    reads: tuple[Instant, ...] = ()
    """Sandbox times of the status requests that made it progress, oldest first; only under `polls`."""
    outcomes: Outcomes | None = None
    """None until they are computed by `with_outcomes`."""

    def __post_init__(self) -> None:
        reads = self.reads
        if reads and (len(reads) > self.progression.amount or [*reads] != sorted(reads) or reads[0] < self.created):
            raise ValueError("its reads do not rise, or are more than its progression has")
        if self.outcomes and max(self.outcomes) >= self.size:
            raise ValueError(f"it has an outcome for item {max(self.outcomes)}, and {self.size} items")

    @property
    def weight(self) -> int:
        """How long looking at all items takes, counted in short items."""
        return max(self.size, size_of(self.body) // BYTES_PER_ITEM)

    def with_outcomes(self) -> "Batch":
        """The same batch with its outcomes computed."""
        return self if self.outcomes is not None else self._replace(outcomes=self._read_outcomes())

    def texts(self) -> list[str]:
        """The items' texts, in input order."""
        found = self.request()[self.texts_key]
        return found if isinstance(found, list) else [found]

    def request(self) -> dict[str, Any]:
        """The accepted request."""
        request: dict[str, Any] = orjson.loads(read_body(self.body))
        return request

    def read_at(self, now: float) -> "Batch":
        """The batch after one more status request."""
        if self.progression.kind != "polls" or len(self.reads) >= self.progression.amount:
            return self
        return self._replace(reads=(*self.reads, now))

    def items_start(self) -> float:
        """The sandbox time at which the first items may end; infinite while unknown."""
        if self.progression.kind == "polls":
            return self._read_time(self._head_reads + 1)
        return self.created + (self.progression.amount * self.head if self.progression.kind == "time" else 0.0)

    def progressed(self) -> float:
        """The sandbox time of the last poll, under `polls`; infinite before it, and for other progressions."""
        if self.progression.kind == "polls":
            return self._read_time(int(self.progression.amount))
        return self.created if self.progression.kind == "immediate" else math.inf

    def outcome(self, index: int) -> ItemOutcome:
        """The final outcome of an item."""
        return self._outcomes.get(index, PLAIN)

    def due(self, index: int) -> float:
        """The sandbox time at which an item ends; infinite while unknown."""
        return self._base_due(index, self.outcome(index).slowness)

    def tally(self, now: float) -> ItemCounts:
        """How many items have ended by now."""
        ended, outcomes = self._plainly_ended(now), self._outcomes
        successful, failed = ended, 0
        for index, outcome in outcomes.items():
            successful -= index < ended
            if self._base_due(index, outcome.slowness) <= now:
                successful += outcome.failure is None
                failed += outcome.failure is not None
        return ItemCounts(successful, failed)

    def first_due(self) -> float:
        """The sandbox time before which no item ends; infinite while unknown."""
        return self._base_due(0, 0.0)

    def next_change(self, now: float) -> float:
        """The sandbox time at which the next item ends, or else the batch; infinite while unknown."""
        ended, end = self._plainly_ended(now), self.end()
        plain = self._base_due(ended, 0.0) if ended < self.size else math.inf
        marked = (self._base_due(index, outcome.slowness) for index, outcome in self._outcomes.items())
        return min((each for each in (plain, end, *marked) if each > now), default=math.inf)

    def items_end(self) -> float:
        """The sandbox time at which the last item ends; infinite while unknown."""
        last = self._base_due(self.size - 1, 0.0)
        outcomes = self._outcomes
        return (
            max([last, *(self._base_due(index, outcome.slowness) for index, outcome in outcomes.items())])
            if outcomes
            else last
        )

    def end(self) -> float:
        """The sandbox time at which the batch ends; infinite while unknown."""
        if self.progression.kind == "time":
            # Computed from the creation time, so that a batch without markers ends at exactly created + amount.
            last, outcomes = self._offset(self.size - 1), self._outcomes
            archiving = self.progression.amount - last
            if outcomes:
                last = max([last, *(self._offset(index) + outcome.slowness for index, outcome in outcomes.items())])
            return self._start + (last + archiving)
        if self.progression.kind == "polls":
            return max(self.items_end(), self._read_time(int(self.progression.amount)))
        return self.items_end()

    @property
    def _outcomes(self) -> Mapping[int, ItemOutcome]:
        return self.outcomes if self.outcomes is not None else self._read_outcomes()

    def _read_outcomes(self) -> dict[int, ItemOutcome]:
        outcomes: dict[int, ItemOutcome] = {}
        if self.applies_markers and _may_have_markers(read_body(self.body)):
            outcomes = {
                index: outcome for index, text in enumerate(self.texts()) if (outcome := read_outcome(text)) != PLAIN
            }
        if self.plan is None:
            return outcomes
        whole = (
            (index, apply_plan(outcomes.get(index, PLAIN), self.plan, index, self.id)) for index in range(self.size)
        )
        return {index: outcome for index, outcome in whole if outcome != PLAIN}

    @property
    def _steps(self) -> int:
        """The number of status requests over which items end; the last one is reserved for archiving if there is such a
        phase.
        """
        polls = int(self.progression.amount)
        return polls - self._head_reads - (1 if self.archives and polls > 1 else 0)

    @property
    def _head_reads(self) -> int:
        return 1 if self.head and self.progression.amount >= 3 else 0

    @property
    def _start(self) -> float:
        """The start of a timed batch's duration, which `not_before` may delay."""
        return max(self.created, self.not_before - self.progression.amount * self.head)

    def _base_due(self, index: int, slowness: float) -> float:
        if self.progression.kind == "time":
            return self._start + (self._offset(index) + slowness)
        if self.progression.kind == "polls":
            needed = self._head_reads - (-(index + 1) * self._steps // self.size)
            return max(self.created + slowness, self.not_before, self._read_time(needed))
        return max(self.created, self.not_before) + slowness

    def _offset(self, index: int) -> float:
        amount, head = self.progression.amount, self.head
        share = ARCHIVING_SHARE if self.archives else 0.0
        offset = amount * head + amount * (1 - head - share) * ((index + 1) / self.size)
        return offset if offset < amount else amount  # Rounding must not move an item past the end.

    def _read_time(self, number: int) -> float:
        return self.reads[number - 1] if len(self.reads) >= number else math.inf

    def _plainly_ended(self, now: float) -> int:
        """How many items would have ended by now without markers; does not look at each item."""
        if self._base_due(self.size - 1, 0.0) <= now:
            return self.size
        return bisect_right(range(self.size), now, key=lambda index: self._base_due(index, 0.0))


class LoopBudget:
    """Bounds the batches that a transaction looks at on an event loop, which should not wait for more."""

    def __init__(self) -> None:
        self._left = LOOP_WEIGHT if _get_running_loop() is not None else math.inf

    def expect(self, batches: int) -> None:
        """Raises NeedsThread on an event loop if that many batches are too many in any case."""
        if batches * BATCH_WEIGHT > self._left:
            raise NeedsThread("there are many batches to look at")

    def spend(self, weight: int) -> None:
        """Note that a batch was looked at; raises NeedsThread when an event loop has looked at enough.

        In a thread this is a `checkpoint`.
        """
        self._left -= BATCH_WEIGHT + weight
        if self._left < 0:
            raise NeedsThread("there are many batches to look at")
        checkpoint()
