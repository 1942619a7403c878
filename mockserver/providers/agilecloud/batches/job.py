"""AgileCloud's batches as values: statuses and timeline."""

import math
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache

from mockserver.api.client_rules import BatchState, RejectedItems
from mockserver.http import StoredBytes
from mockserver.providers.agilecloud.batches.results import LineResults
from mockserver.providers.agilecloud.files import Life
from mockserver.providers.agilecloud.prompts.prompt import Prompt
from mockserver.records import Endless, Record
from mockserver.sandbox.batches import Batch, Lifecycle
from mockserver.sandbox.clock import DAY
from mockserver.sandbox.conditions import InputRejection
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import Collection

DEFAULT_WINDOW = "24h"
"""How long a batch may take where neither the request nor the document says it."""
_WINDOW = re.compile(r"([1-9]\d{0,8})([smhdw])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY, "w": 7 * DAY}
CANCELLING_SHARE = 0.1
"""The share of a timed batch's duration that cancelling takes, in profiles that show it."""
MAX_CANCELLING = 600.0
"""The longest cancelling, in seconds: "up to 10 minutes"."""


@lru_cache(maxsize=128)
def window_seconds(window: str) -> float:
    """How long a completion window is: `24h`, `90m`, `2d`. A document's window in other words lasts a day."""
    found = _WINDOW.fullmatch(window)
    return float(int(found[1]) * _UNITS[found[2]]) if found else float(DAY)


class Status(StrEnum):
    """The status of a batch. The profile `agilecloud` shows neither `finalizing`, `expired` nor `cancelling`."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


_RUNNING_ENDS = {Status.FAILED, Status.EXPIRED, Status.CANCELLING, Status.CANCELLED}
LIFECYCLE = Lifecycle(
    {
        Status.VALIDATING: {Status.IN_PROGRESS, Status.FINALIZING, Status.COMPLETED, *_RUNNING_ENDS},
        Status.IN_PROGRESS: {Status.FINALIZING, Status.COMPLETED, *_RUNNING_ENDS},
        Status.FINALIZING: {Status.COMPLETED, *_RUNNING_ENDS},
        Status.CANCELLING: {Status.CANCELLED},
        Status.COMPLETED: set(),
        Status.FAILED: set(),
        Status.EXPIRED: set(),
        Status.CANCELLED: set(),
    }
)


class BatchRecord(Record, frozen=True, gc=False):
    """A batch. Its status at any instant is computed from these values."""

    batch: Batch
    """The timeline. Its size and outcomes are known when `results` is set."""
    endpoint: str
    input_file_id: str
    input: StoredBytes | None
    """None if the file was not found, or is no longer needed."""
    metadata: Mapping[str, str] | None
    output_expires_after: Life | None
    """Seconds after which its files expire."""
    is_openai: bool
    """Whether it has all of OpenAI's statuses."""
    rejection: InputRejection | None = None
    """The error that its validation reports, regardless of its input."""
    results: LineResults | None = None
    prompts: Mapping[str, Prompt] = {}
    """The account's prompts at the time its items began."""
    cancelled: Endless = math.inf
    """The sandbox time at which it was cancelled."""
    cancel_seen: Endless = math.inf
    """When its status was first read after that; only under the progression `polls`."""
    output_file_id: str | None = None
    error_file_id: str | None = None
    is_collected: bool = False
    """Whether its files were created."""
    window: str = DEFAULT_WINDOW
    """Its completion window, as the request or the document says it: `24h`."""

    def __post_init__(self) -> None:
        results, size = self.results, self.batch.size
        if results is None and size != 1:
            raise ValueError("it has a size, and no line was read yet")
        if results is not None and not results.errors and max(results.size, 1) != size:
            raise ValueError(f"results: its size is {results.size}; that of its batch is {size}")
        if self.cancelled < self.batch.created or self.cancel_seen < self.cancelled:
            raise ValueError("it was cancelled before its beginning, or seen to be before it was")

    def status(self, now: float) -> Status:
        if self.cancelled <= now:
            return Status.CANCELLED if now >= self.cancelled_end() else Status.CANCELLING
        is_worked_on = self.results is None and self.input is not None  # by another process
        if now < self.items_start() or is_worked_on:
            return Status.VALIDATING
        if self.results is None or self.results.errors:
            return Status.FAILED
        if self.ended() <= now:
            if self.batch.end() <= self.deadline():
                return Status.COMPLETED
            return Status.EXPIRED if self.is_openai else Status.FAILED
        return Status.FINALIZING if self.batch.items_end() <= now and self.is_openai else Status.IN_PROGRESS

    def read_at(self, now: float) -> "BatchRecord":
        """The batch after one more status request, which makes it progress unless it is final."""
        if self.batch.progression.kind != "polls":
            return self
        if self.cancelled <= now:
            return self._replace(cancel_seen=min(self.cancel_seen, now))
        return self if LIFECYCLE.is_final(self.status(now)) else self._replace(batch=self.batch.read_at(now))

    def items_start(self) -> float:
        """When validation ends and its items begin: at the end of its window at the latest."""
        return min(self.batch.items_start(), self.deadline())

    def deadline(self) -> float:
        """When its window closes, in Unix seconds; earlier than `expires_at` if the conditions set `expires`."""
        plan = self.batch.plan
        return min(self.expires_at, self.batch.progressed()) if plan and plan.expires else self.expires_at

    @property
    def expires_at(self) -> float:
        """The documented end of its window, in Unix seconds."""
        return self.batch.created + window_seconds(self.window)

    def ended(self) -> float:
        """When it becomes final; infinite while unknown."""
        return self.cancelled_end() if self.cancelled < math.inf else min(self.batch.end(), self.deadline())

    def cancelled_end(self) -> float:
        """When cancelling ends; infinite while unknown."""
        if not self.is_openai or self.batch.progression.kind == "immediate":
            return self.cancelled
        if self.batch.progression.kind == "time":
            return self.cancelled + min(self.batch.progression.amount * CANCELLING_SHARE, MAX_CANCELLING)
        return self.cancel_seen

    def stopped(self, now: float) -> float:
        """The instant after which no more items end."""
        return min(now, self.cancelled, self.deadline())

    def counts(self, now: float) -> dict[str, int]:
        """The number of requests, and of those that have succeeded and failed by now."""
        results = self.results
        if results is None or results.errors or self.items_start() > now:
            return {"total": 0, "completed": 0, "failed": 0}
        if self.status(now) in {Status.COMPLETED, Status.EXPIRED, Status.FAILED}:
            # What was not reached in time has failed; and rounding leaves nothing of a completed batch open.
            completed, ended = results.succeeded.count(1), results.size
        else:
            completed, ended = self._completed(results, self.stopped(now))
        return {"total": results.size, "completed": completed, "failed": ended - completed}

    def _completed(self, results: LineResults, now: float) -> tuple[int, int]:
        """The number of succeeded and of ended items."""
        plain = sum(self.batch._replace(outcomes={}).tally(now))
        completed = results.succeeded.count(1, 0, plain)
        for index in results.outcomes:
            completed += results.succeeded[index] * ((self.batch.due(index) <= now) - (index < plain))
        return completed, sum(self.batch.tally(now))


def jobs_of(sandbox: Sandbox) -> Collection[BatchRecord]:
    """The batches of a sandbox, by id."""
    return sandbox.collection("agilecloud.jobs", BatchRecord)


def batch_state(sandbox: Sandbox, id_: str, now: float) -> BatchState | None:
    """The state of a batch. It is not over while its lines have not been processed."""
    job = jobs_of(sandbox).get(id_)
    if job is None:
        return None
    is_over = LIFECYCLE.is_final(job.status(now)) and (job.results is not None or job.input is None)
    refused = job.results.refused if job.results else RejectedItems()
    return BatchState(job.batch.progression, is_over, job.counts(now)["failed"], refused=refused)
