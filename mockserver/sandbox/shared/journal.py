"""The journal of a sandbox in a shared store: an entry for each exchange, and its totals."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.errors import Violation
from mockserver.http import DeliveryFault, Request, Response
from mockserver.sandbox.journal import EXCHANGE_BYTES, MAX_BYTES, Exchange, exchange_weight, retry_after_seconds
from mockserver.stores.collection import Collection
from mockserver.workers import checkpoint

ENTRIES, TOTALS = "journal", "journal_totals"
READ_AT_ONCE = 64
"""The most entries that are read in one round trip to the store."""


class Entry(NamedTuple):
    """An exchange as it is stored."""

    number: int
    at: float
    operation: str
    request: tuple[str, str, str, Mapping[str, str], bytes, str, str, str]
    """Method, path, query, headers, body, origin, problem of the form, prefix."""
    response: tuple[int, str, bytes | None, tuple[tuple[str, str], ...], str, float, DeliveryFault | None]
    """As in Response; the body is None for a stream."""
    reason: str
    violations: tuple[Violation, ...]
    weight: int
    """The bytes of its texts and bodies."""
    seconds: float
    """The wall-clock time that answering took."""


class Totals(NamedTuple):
    """The state of a journal beside its entries."""

    seen: int = 0
    first: int = 1
    """The number of the oldest entry that is kept."""
    weight: int = 0
    waits: Mapping[int, float] = {}
    """See Journal.waits."""
    waits_end: float = 0.0


JOURNAL_TYPES: Mapping[str, Any] = {ENTRIES: Entry, TOTALS: Totals}
_EMPTY = Totals()


class StoredJournal:
    """The latest exchanges, bounded as those of Journal, but not by the sum of all journals."""

    used = 0

    def __init__(
        self,
        limit: int,
        entries: Collection[Entry],
        totals: Collection[Totals],
        inside: Callable[[Callable[[], Any]], Any],
    ) -> None:
        """`limit` is the most exchanges. `inside` runs an action in a transaction of the sandbox."""
        self._limit = limit
        self._entries = entries
        self._totals = totals
        self._inside = inside
        self._weights: dict[int, int] = {}
        """The weights of entries that this process has recorded or read, by number."""

    def forget(self) -> None:
        """The sandbox was read again: exchanges of this process may be lost, or removed by another one."""
        self._weights.clear()

    @property
    def seen(self) -> int:
        """The number of requests."""
        return self._state.seen

    @property
    def dropped(self) -> int:
        """Exchanges dropped because of the bounds."""
        return self._state.first - 1

    @property
    def held(self) -> int:
        """Bytes that it takes."""
        state = self._state
        return state.weight + EXCHANGE_BYTES * (state.seen + 1 - state.first)

    @property
    def waits(self) -> Mapping[int, float]:
        """See Journal.waits."""
        return self._state.waits

    @property
    def waits_end(self) -> float:
        """See Journal.waits_end."""
        return self._state.waits_end

    def clear(self) -> list[Any]:
        """Remove all exchanges and reset the counts. Returns nothing to free."""
        self._inside(self._clear)
        return []

    def detach(self) -> None:
        """Nothing to do: it counts towards no sum."""

    def fill(self, seen: int, exchanges: Iterable[Exchange]) -> None:
        """Take over another journal's count and exchanges."""
        self._clear()
        rows = list(exchanges)
        first = rows[0].number if rows else seen + 1
        self._totals.put("", self._state._replace(seen=first - 1, first=first))
        for exchange in rows:
            self._totals.put("", self._state._replace(seen=exchange.number - 1))
            self.record(*exchange[1:])
        self._totals.put("", self._state._replace(seen=seen))

    def record(  # noqa: PLR0917  as Journal has it
        self,
        at: float,
        operation: str,
        request: Request,
        response: Response,
        reason: str,
        violations: tuple[Violation, ...],
        seconds: float = 0.0,
    ) -> None:
        """Record an exchange; see Journal.record."""
        before = self._state
        number, weight = before.seen + 1, exchange_weight(request, response, violations)
        asked = (
            request.method, request.path, request.query, request.headers, request.body, request.origin,
            request.form_problem, request.prefix,
        )  # fmt: skip
        body = response.body if isinstance(response.body, bytes) else None
        answered = (
            response.status, response.media_type, body, response.headers, response.source, response.delay,
            response.disturbance,
        )  # fmt: skip
        entry = Entry(number, at, operation, asked, answered, reason, violations, weight, seconds)
        self._entries.put(str(number), entry)
        self._weights[number] = weight
        state = before._replace(seen=number, weight=before.weight + weight)
        while state.seen + 1 - state.first > self._limit or state.weight > MAX_BYTES:
            state = self._without_oldest(state)
        self._totals.put("", state)

    def note_wait(self, at: float, response: Response, wall: float) -> None:
        """Record the latest exchange's wall-clock time; see Journal.note_wait."""
        state = self._state
        seconds = retry_after_seconds(response, at) if response.status >= 400 else 0.0
        end = 0.0 if state.waits_end < wall else state.waits_end
        end = max(end, wall + seconds) if seconds else end
        waits = {**state.waits, state.seen: wall} if end and state.seen >= state.first else state.waits
        if (end, waits) != (state.waits_end, state.waits):
            self._totals.put("", state._replace(waits=waits, waits_end=end))

    def find(self, matches: Callable[[Exchange], bool], after: int = 0) -> Iterator[Exchange]:
        """The exchanges with a larger number than `after` that match, oldest first."""
        state = self._state
        entries = self._read(range(after + 1, state.seen + 1)) if after >= state.first else self._entries.scan()
        for entry in entries:
            checkpoint()
            exchange = _exchange(entry)
            if exchange.number > after and matches(exchange):
                yield exchange

    def latest(self, before: int, most: int) -> Iterator[Exchange]:
        """At most so many exchanges with a smaller number than `before`, newest first."""
        state = self._state
        newest = min(before - 1, state.seen)
        return map(_exchange, self._read(range(newest, max(state.first - 1, newest - most), -1)))

    def _read(self, numbers: Sequence[int]) -> Iterator[Entry]:
        """The entries of these numbers, some at a time."""
        for start in range(0, len(numbers), READ_AT_ONCE):
            keys = [str(number) for number in numbers[start : start + READ_AT_ONCE]]
            yield from (each for each in self._entries.pick(keys) if each is not None)

    def seconds(self, number: int) -> float:
        """The wall-clock time that answering the exchange of that number took; 0 if it is not kept."""
        entry = self._entries.get(str(number))
        return entry.seconds if entry is not None else 0.0

    @property
    def _state(self) -> Totals:
        return self._totals.get("") or _EMPTY

    def _clear(self) -> None:
        state = self._state
        self._weights.clear()
        for number in range(state.first, state.seen + 1):
            self._entries.delete(str(number))
        self._totals.put("", _EMPTY)

    def _without_oldest(self, state: Totals) -> Totals:
        if state.first not in self._weights:
            self._read_weights(state)
        lost = self._weights.pop(state.first, 0)
        self._entries.delete(str(state.first))
        waits = state.waits
        if state.first in waits:
            waits = {number: wall for number, wall in waits.items() if number != state.first}
        return state._replace(first=state.first + 1, weight=state.weight - lost, waits=waits)

    def _read_weights(self, state: Totals) -> None:
        """Read the weights of the oldest entries, which another process has recorded, many at once."""
        numbers = [
            number
            for number in range(state.first, min(state.first + READ_AT_ONCE, state.seen + 1))
            if number not in self._weights
        ]
        entries = self._entries.pick([str(number) for number in numbers])
        self._weights.update(
            (number, entry.weight) for number, entry in zip(numbers, entries, strict=True) if entry is not None
        )


def _exchange(entry: Entry) -> Exchange:
    method, path, query, headers, body, origin, form_problem, prefix = entry.request
    request = Request(method, path, query, headers, body, origin, form_problem=form_problem, prefix=prefix)
    status, media_type, answer, fields, source, delay, disturbance = entry.response
    content: bytes | Iterator[bytes] = iter(()) if answer is None else answer
    response = Response(status, media_type, content, fields, source, delay, disturbance)
    return Exchange(entry.number, entry.at, entry.operation, request, response, entry.reason, entry.violations)
