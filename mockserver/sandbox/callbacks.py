"""Callbacks: who is to be told that a batch is done, when that falls due, and what became of telling them."""

import math
from collections.abc import Iterable
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple

MAX_CLAIMED = 1000
"""How many callbacks that fell due an outbox keeps; it counts what it drops."""
MAX_ATTEMPTS = 100
"""How many attempts a callback keeps, the latest: redelivering has no end."""


class State(StrEnum):
    """What has become of a callback."""

    PENDING = "pending"
    SENDING = "sending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    KEPT = "kept"
    """It fell due, and stays in the inbox because nothing is sent."""


UNDECIDED = frozenset({State.PENDING, State.SENDING, State.RETRYING})


class Attempt(NamedTuple):
    """One try to deliver a callback."""

    at: float
    """Sandbox time at its end, in Unix seconds."""
    status: int | None
    """What the receiver answered; None without an answer."""
    error: str
    """Empty when it was delivered."""


class Callback(NamedTuple):
    """What a batch's owner asked to be told, once."""

    id: str
    """The batch's: a batch has one callback at most."""
    number: int
    """From 1, in the order in which they were asked for."""
    provider: str
    """The name of the provider that words it."""
    target: str
    """A URL, or the ARN of a queue."""
    base_url: str
    """Under which the client that queued the batch knows the server."""
    due: float = math.inf
    """Sandbox time, in Unix seconds; infinite while the batch's end is not in sight."""
    state: State = State.PENDING
    payload: bytes = b""
    """JSON; empty while it is pending."""
    attempts: tuple[Attempt, ...] = ()

    def tried(self, attempt: Attempt, state: State) -> "Callback":
        """The callback after an attempt."""
        return self._replace(attempts=(*self.attempts, attempt)[-MAX_ATTEMPTS:], state=state)


class Outbox:
    """The callbacks of one sandbox: those that wait for their due time, and those that were claimed since."""

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        """`callbacks` are those of another outbox, as `every` gives them."""
        self.pending: dict[str, Callback] = {}
        self.claimed: dict[str, Callback] = {}
        """In the order in which they fell due."""
        self.noted = 0
        self.dropped = 0
        self._queue: list[tuple[float, int, str]] = []
        """By due time, then number. An entry whose callback is no longer pending, or due at another time, is void."""
        for each in callbacks:
            self.noted = max(self.noted, each.number)
            if each.state is State.PENDING:
                self._await(each)
            else:
                self.claimed[each.id] = each

    def note(self, id_: str, *, provider: str, target: str, base_url: str, due: float) -> None:
        """A batch asks for a callback."""
        self.noted += 1
        self._await(Callback(id_, self.noted, provider, target, base_url, due))

    def reschedule(self, id_: str, due: float) -> None:
        """The batch's end has moved, or come in sight; one without a pending callback does not matter."""
        callback = self.pending.get(id_)
        if callback is not None and callback.due != due:
            self._await(callback._replace(due=due))

    def next_due(self) -> float:
        """The earliest due time of all that are pending; infinite when none is in sight."""
        while self._queue and self._is_void(self._queue[0]):
            heappop(self._queue)
        return self._queue[0][0] if self._queue else math.inf

    def claim_due(self, now: float) -> list[Callback]:
        """The callbacks due by now that nobody claimed before: in due order, of equal ones the older first."""
        found = []
        while self.next_due() <= now and self._queue:
            callback = self.pending.pop(heappop(self._queue)[2])
            found.append(callback._replace(state=State.SENDING))
            self.claimed[callback.id] = found[-1]
        return found

    def redeliver(self, id_: str) -> None:
        """Let a claimed callback be claimed once more; it remembers its attempts."""
        self._await(self.claimed.pop(id_)._replace(state=State.PENDING))

    def find(self, id_: str) -> Callback | None:
        """The callback of a batch."""
        return self.claimed.get(id_) or self.pending.get(id_)

    def update(self, callback: Callback) -> None:
        """A claimed callback as it is now; nothing happens when it was dropped meanwhile."""
        if callback.id in self.claimed:
            self.claimed[callback.id] = callback
            self._drop_oldest()

    def every(self) -> list[Callback]:
        """Those claimed, as they fell due, then those pending, as they will."""
        return [*self.claimed.values(), *sorted(self.pending.values(), key=lambda each: (each.due, each.number))]

    def _await(self, callback: Callback) -> None:
        self.pending[callback.id] = callback
        if callback.due < math.inf:
            heappush(self._queue, (callback.due, callback.number, callback.id))

    def _drop_oldest(self) -> None:
        """Keep to the bound; what is still to be sent is never dropped, nor what came after it."""
        while len(self.claimed) > MAX_CLAIMED:
            oldest = next(iter(self.claimed.values()))
            if oldest.state in UNDECIDED:
                return
            del self.claimed[oldest.id]
            self.dropped += 1

    def _is_void(self, entry: tuple[float, int, str]) -> bool:
        callback = self.pending.get(entry[2])
        return callback is None or callback.due != entry[0]
