"""Callbacks (webhooks): when they are due, and the result of each delivery attempt."""

import math
from collections.abc import Iterable
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple

MAX_CLAIMED = 1000
"""The most callbacks that an outbox keeps after they were due. Dropped ones are counted."""
MAX_ATTEMPTS = 100
"""The latest attempts that are kept for a callback."""


class State(StrEnum):
    """The delivery state of a callback."""

    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    KEPT = "kept"
    """It was due, and is not sent because `--callbacks inbox` is set."""


UNDECIDED = frozenset({State.PENDING, State.SENDING, State.RETRYING})


class Attempt(NamedTuple):
    """One attempt to deliver a callback."""

    at: float
    """Sandbox time at its end, in Unix seconds."""
    status: int | None
    """The status of the receiver's response; None without a response."""
    error: str
    """Empty if it was delivered."""


class Callback(NamedTuple):
    """A notification of the end of a batch, sent once."""

    id: str
    """The id of its batch. A batch has at most one callback."""
    number: int
    """From 1, in order of creation."""
    provider: str
    """The name of the provider that makes the payload."""
    target: str
    """A URL, or the ARN of a queue."""
    base_url: str
    """The server's address as the client that queued the batch used it."""
    due: float = math.inf
    """Sandbox time, in Unix seconds; infinite while the end of the batch is unknown."""
    state: State = State.PENDING
    payload: bytes = b""
    """JSON; empty while it is pending."""
    attempts: tuple[Attempt, ...] = ()

    def tried(self, attempt: Attempt, state: State) -> "Callback":
        """The callback after an attempt."""
        return self._replace(attempts=(*self.attempts, attempt)[-MAX_ATTEMPTS:], state=state)


class Outbox:
    """The callbacks of one sandbox: pending ones, and those that have been claimed for delivery."""

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        """`callbacks` are those of another outbox, as `every` returns them."""
        self.pending: dict[str, Callback] = {}
        self.claimed: dict[str, Callback] = {}
        """In the order in which they were due."""
        self.noted = 0
        self.dropped = 0
        self._queue: list[tuple[float, int, str]] = []
        """Heap by due time, then number. Entries whose callback is no longer pending, or has another due time, are
        ignored.
        """
        for each in callbacks:
            self.noted = max(self.noted, each.number)
            if each.state is State.PENDING:
                self._await(each)
            else:
                self.claimed[each.id] = each

    def note(self, id_: str, *, provider: str, target: str, base_url: str, due: float) -> None:
        """Adds a pending callback for a batch."""
        self.noted += 1
        self._await(Callback(id_, self.noted, provider, target, base_url, due))

    def reschedule(self, id_: str, due: float) -> None:
        """Updates the due time after the end of a batch has changed. Ignores a batch without a pending callback."""
        callback = self.pending.get(id_)
        if callback is not None and callback.due != due:
            self._await(callback._replace(due=due))

    def next_due(self) -> float:
        """The earliest due time of all pending callbacks; infinite if unknown."""
        while self._queue and self._is_void(self._queue[0]):
            heappop(self._queue)
        return self._queue[0][0] if self._queue else math.inf

    def claim_due(self, now: float) -> list[Callback]:
        """Callbacks that are due and were not claimed before, in due order, then by number."""
        found = []
        while self.next_due() <= now and self._queue:
            callback = self.pending.pop(heappop(self._queue)[2])
            found.append(callback._replace(state=State.SENDING))
            self.claimed[callback.id] = found[-1]
        return found

    def redeliver(self, id_: str) -> None:
        """Makes a claimed callback due again; it keeps its attempts."""
        self._await(self.claimed.pop(id_)._replace(state=State.PENDING))

    def find(self, id_: str) -> Callback | None:
        """The callback of a batch."""
        return self.claimed.get(id_) or self.pending.get(id_)

    def update(self, callback: Callback) -> None:
        """Replaces a claimed callback by its current value, unless it was dropped."""
        if callback.id in self.claimed:
            self.claimed[callback.id] = callback
            self._drop_oldest()

    def every(self) -> list[Callback]:
        """Claimed callbacks in due order, then pending ones in their expected order."""
        return [*self.claimed.values(), *sorted(self.pending.values(), key=lambda each: (each.due, each.number))]

    def _await(self, callback: Callback) -> None:
        self.pending[callback.id] = callback
        if callback.due < math.inf:
            heappush(self._queue, (callback.due, callback.number, callback.id))

    def _drop_oldest(self) -> None:
        """Enforces the bound. Callbacks that are still to be sent are not dropped, nor later ones."""
        while len(self.claimed) > MAX_CLAIMED:
            oldest = next(iter(self.claimed.values()))
            if oldest.state in UNDECIDED:
                return
            del self.claimed[oldest.id]
            self.dropped += 1

    def _is_void(self, entry: tuple[float, int, str]) -> bool:
        callback = self.pending.get(entry[2])
        return callback is None or callback.due != entry[0]
