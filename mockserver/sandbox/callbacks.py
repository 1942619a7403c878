"""Callbacks (webhooks): when they are due, and the result of each delivery attempt."""

import math
from collections.abc import Iterable
from enum import StrEnum
from heapq import heappop, heappush
from itertools import islice

from mockserver.records import Endless, Record
from mockserver.sandbox.clock import Instant
from mockserver.stores.collection import Cell, Collection, OwnCell
from mockserver.stores.memory import MemoryRows

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


class Attempt(Record, frozen=True, gc=False):
    """One attempt to deliver a callback."""

    at: Instant
    """Sandbox time at its end."""
    status: int | None
    """The status of the receiver's response; None without a response."""
    error: str
    """Empty if it was delivered."""


class Callback(Record, frozen=True, gc=False):
    """A notification, such as of the end of a batch, sent once."""

    id: str
    """The id of its batch, if it is a batch's. A batch has at most one callback."""
    number: int
    """From 1, in order of creation."""
    provider: str
    """The name of the provider that makes the payload; empty if a document describes it."""
    target: str
    """A URL, or the ARN of a queue."""
    base_url: str
    """The server's address as the client that queued the batch used it."""
    due: Endless = math.inf
    """Sandbox time, in Unix seconds; infinite while the end of the batch is unknown."""
    state: State = State.PENDING
    payload: bytes = b""
    """JSON; of a batch, empty while it is pending."""
    attempts: tuple[Attempt, ...] = ()
    method: str = "POST"
    media_type: str = "application/json"
    """Of the payload; empty if it has no body."""
    is_received: bool = False
    """Whether another server sent it, and this one has only passed it on."""
    violations: str = ""
    """How a received one differs from the document, as a JSON array; empty if it does not."""

    def tried(self, attempt: Attempt, state: State) -> "Callback":
        """The callback after an attempt."""
        return self._replace(attempts=(*self.attempts, attempt)[-MAX_ATTEMPTS:], state=state)


class Outbox:
    """The callbacks of one sandbox: pending ones, and those that have been claimed for delivery."""

    def __init__(
        self,
        callbacks: Iterable[Callback] = (),
        *,
        pending: Collection[Callback] | None = None,
        claimed: Collection[Callback] | None = None,
        dropped: Cell[int] | None = None,
    ) -> None:
        """`callbacks` are those of another outbox, as `every` returns them.

        The other arguments say where a sandbox has them: `claimed` in the order in which they were due.
        """
        self._pending: Collection[Callback] = MemoryRows() if pending is None else pending
        self._claimed: Collection[Callback] = MemoryRows() if claimed is None else claimed
        self._dropped = dropped or OwnCell(0)
        self._queue: list[tuple[float, int, str]] = []
        """Heap by due time, then number. Entries whose callback is no longer pending, or has another due time, are
        ignored.
        """
        self._oldest = ""
        """The id of a claimed callback that was the oldest, and was still to be sent."""
        self.reload()
        self.add(callbacks)

    def reload(self) -> None:
        """Read the collections again, which another process may have changed."""
        self._noted = max((each.number for rows in (self._pending, self._claimed) for each in rows.scan()), default=0)
        self._queue.clear()
        self._oldest = ""
        for each in self._pending.scan():
            self._queue_up(each)

    @property
    def pending(self) -> dict[str, Callback]:
        """The pending callbacks, by id."""
        return dict(self._pending.items())

    @property
    def claimed(self) -> dict[str, Callback]:
        """The claimed callbacks by id, in the order in which they were due."""
        return dict(self._claimed.items())

    @property
    def dropped(self) -> int:
        """The number of callbacks dropped because of the bound."""
        return self._dropped.get()

    def counts(self) -> tuple[int, int]:
        """The numbers of pending and of claimed callbacks."""
        return len(self._pending), len(self._claimed)

    def attempts(self) -> int:
        """The number of attempts to deliver claimed callbacks."""
        return sum(len(each.attempts) for each in self._claimed.scan())

    def has_pending(self) -> bool:
        """Whether a callback is pending."""
        return len(self._pending) > 0

    def add(self, callbacks: Iterable[Callback]) -> None:
        """Adds callbacks of another outbox, as `every` returns them."""
        for each in callbacks:
            self._noted = max(self._noted, each.number)
            if each.state is State.PENDING:
                self._await(each)
            else:
                self._claimed.put(each.id, each)

    def clear(self) -> None:
        """Removes all callbacks."""
        self._oldest = ""
        for rows in (self._pending, self._claimed):
            for id_, _ in rows.items():
                rows.delete(id_)
        self._dropped.put(0)

    def note(self, id_: str, *, provider: str, target: str, base_url: str, due: float) -> None:
        """Adds a pending callback for a batch."""
        self._noted += 1
        self._await(Callback(id_, self._noted, provider, target, base_url, due))

    def note_request(self, callback: Callback) -> None:
        """Adds a pending callback with its payload; its number is replaced by the next one."""
        self._noted += 1
        self._await(callback._replace(number=self._noted))

    def receive(self, callback: Callback) -> None:
        """Adds a callback that another server has sent, or replaces it; its number is replaced by the next one if it is
        new.
        """
        known = self.find(callback.id)
        if known is None:
            self._noted += 1
        elif self._pending.get(callback.id) is not None:
            self._pending.delete(callback.id)
        self._claimed.put(callback.id, callback._replace(number=known.number if known else self._noted))
        self._drop_oldest()

    def withdraw(self, id_: str) -> None:
        """Removes a pending callback, which will not come."""
        if self._pending.get(id_) is not None:
            self._pending.delete(id_)

    def reschedule(self, id_: str, due: float) -> None:
        """Updates the due time after the end of a batch has changed. Ignores a batch without a pending callback."""
        callback = self._pending.get(id_)
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
        while (callback := self.claim_next(now)) is not None:
            found.append(callback)
        return found

    def claim_next(self, now: float) -> Callback | None:
        """The first of the callbacks that `claim_due` would return; None if there is none."""
        if self.next_due() > now or not self._queue:
            return None
        id_ = heappop(self._queue)[2]
        callback = self._pending.get(id_)
        assert callback is not None, "next_due has removed the entries of other callbacks"
        self._pending.delete(id_)
        claimed = callback._replace(state=State.SENDING)
        self._claimed.put(id_, claimed)
        return claimed

    def find_due(self, now: float, most: int) -> list[str]:
        """The ids of callbacks that `claim_due` would return, and some that it ignores; `most` of them, unordered."""
        found, positions = list[str](), [0]
        while positions and len(found) < most:
            position = positions.pop()
            if position < len(self._queue) and self._queue[position][0] <= now:
                found.append(self._queue[position][2])
                positions += (2 * position + 1, 2 * position + 2)  # the heap's later entries
        return found

    def redeliver(self, id_: str) -> None:
        """Makes a claimed callback due again; it keeps its attempts."""
        callback = self._claimed.get(id_)
        if callback is not None:
            self._claimed.delete(id_)
            self._oldest = ""
            self._await(callback._replace(state=State.PENDING))

    def find(self, id_: str) -> Callback | None:
        """The callback of a batch."""
        return self._claimed.get(id_) or self._pending.get(id_)

    def find_claimed(self, id_: str) -> Callback | None:
        """The callback of a batch, if it was due."""
        return self._claimed.get(id_)

    def update(self, callback: Callback) -> None:
        """Replaces a claimed callback by its current value, unless it was dropped."""
        if self._claimed.get(callback.id) is not None:
            self._claimed.put(callback.id, callback)
            self._drop_oldest()

    def every(self) -> list[Callback]:
        """Claimed callbacks in due order, then pending ones in their expected order."""
        return [*self._claimed.scan(), *sorted(self._pending.scan(), key=lambda each: (each.due, each.number))]

    def _await(self, callback: Callback) -> None:
        self._pending.put(callback.id, callback)
        self._queue_up(callback)

    def _queue_up(self, callback: Callback) -> None:
        if callback.due < math.inf:
            heappush(self._queue, (callback.due, callback.number, callback.id))

    def _drop_oldest(self) -> None:
        """Enforces the bound. Callbacks that are still to be sent are not dropped, nor later ones."""
        excess = len(self._claimed) - MAX_CLAIMED
        if excess <= 0 or ((oldest := self._claimed.get(self._oldest)) is not None and oldest.state in UNDECIDED):
            return
        for oldest in islice(self._claimed.scan(), excess):
            if oldest.state in UNDECIDED:
                self._oldest = oldest.id
                return
            self._claimed.delete(oldest.id)
            self._dropped.put(self._dropped.get() + 1)

    def _is_void(self, entry: tuple[float, int, str]) -> bool:
        callback = self._pending.get(entry[2])
        return callback is None or callback.due != entry[0]
