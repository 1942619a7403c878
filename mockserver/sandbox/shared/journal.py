"""The journal of a sandbox in a shared store: its exchanges in blocks, and its totals.

A small exchange is stored in a block of BLOCK, because each value of a commit takes time. Those of the latest block,
which is not full, are under a key of their own. A large exchange has a value of its own, and an empty place in its
block. A new block replaces the oldest, and so does a large exchange, so the store changes few pages and no index.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import get_ident
from typing import Any, NamedTuple

from mockserver.errors import Violation
from mockserver.http import DeliveryFault, Request, Response
from mockserver.sandbox.journal import EXCHANGE_BYTES, MAX_BYTES, Exchange, exchange_weight, retry_after_seconds
from mockserver.stores.collection import OpenCollection
from mockserver.stores.partition import SharedPartition
from mockserver.workers import checkpoint

ENTRIES, TOTALS, BLOCKS, RECENT = "journal", "journal_totals", "journal_blocks", "journal_recent"
JOURNAL = frozenset({ENTRIES, TOTALS, BLOCKS, RECENT})
"""The collections of a journal."""
PASSING = frozenset({ENTRIES, BLOCKS})
"""Those that are not kept in memory."""
BLOCK = 8
"""The exchanges of a block."""
SMALL_BYTES = 1024
"""The most bytes of an exchange in a block, as it is written."""
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
    places: int = 0
    """The number of keys: an entry replaces the one that many numbers before it. 0 in stores of older versions, where
    the key of an entry is its number."""
    blocks: int = 0
    """The number of keys of blocks. 0 in stores of older versions, where each exchange has a value of its own."""


class Block(NamedTuple):
    """Exchanges with consecutive numbers."""

    first: int
    contents: tuple[bytes, ...]
    """Each as it is written; empty for one that has a value of its own."""


JOURNAL_TYPES: Mapping[str, Any] = {ENTRIES: Entry, TOTALS: Totals, BLOCKS: Block, RECENT: Block}
_EMPTY, _NO_BLOCK = Totals(), Block(1, ())
Row = tuple[float, str, Request, Response, str, tuple[Violation, ...], float]
"""What is given to `StoredJournal.record`."""


class StoredJournal:
    """The latest exchanges, bounded as those of Journal, but not by the sum of all journals.

    Exchanges are recorded in memory, and put into the store at the end of their transaction, which may be that of many
    requests.
    """

    used = 0

    def __init__(self, limit: int, collection: OpenCollection, partition: SharedPartition) -> None:
        """`limit` is the most exchanges."""
        self._limit = limit
        self._entries = collection(ENTRIES, Entry)
        self._totals = collection(TOTALS, Totals)
        self._blocks = collection(BLOCKS, Block)
        self._recent = collection(RECENT, Block)
        self._partition = partition
        self._transaction = partition.transaction
        self._rows: list[Row] = []
        """The exchanges of the transaction that are not put yet."""
        self._weights: dict[int, int] = {}
        """The weights of entries that this process has recorded or read, by number."""
        self._large: set[int] = set()
        """Those of them that have a value of their own."""

    def forget(self) -> None:
        """The sandbox was read again: exchanges of this process may be lost, or removed by another one."""
        self._weights.clear()
        self._large.clear()

    @property
    def seen(self) -> int:
        """The number of requests."""
        return self._state().seen

    @property
    def dropped(self) -> int:
        """Exchanges dropped because of the bounds."""
        return self._state().first - 1

    @property
    def held(self) -> int:
        """Bytes that it takes."""
        state = self._state()
        return state.weight + EXCHANGE_BYTES * (state.seen + 1 - state.first)

    @property
    def waits(self) -> Mapping[int, float]:
        """See Journal.waits."""
        return self._state().waits

    @property
    def waits_end(self) -> float:
        """See Journal.waits_end."""
        return (self._totals.get("") or _EMPTY).waits_end  # `flush` does not change it

    def clear(self) -> list[Any]:
        """Remove all exchanges and reset the counts. Returns nothing to free."""
        self._partition.inside(self._clear)
        return []

    def detach(self) -> None:
        """Nothing to do: it counts towards no sum."""

    def fill(self, seen: int, exchanges: Iterable[Exchange]) -> None:
        """Take over another journal's count and exchanges. Called in a transaction."""
        self._clear()
        rows = list(exchanges)
        self._totals.put("", _EMPTY._replace(first=rows[0].number if rows else seen + 1))
        for exchange in rows:
            self._totals.put("", self._state()._replace(seen=exchange.number - 1))
            self.record(*exchange[1:])
        self._totals.put("", self._state()._replace(seen=seen))

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
        if self._transaction.owner != get_ident():
            self._partition.inside(lambda: self.record(at, operation, request, response, reason, violations, seconds))
            return
        self._rows.append((at, operation, request, response, reason, violations, seconds))
        self._partition.unput = self

    def note_wait(self, at: float, response: Response, wall: float) -> None:
        """Record the latest exchange's wall-clock time; see Journal.note_wait."""
        state = self._state()
        seconds = retry_after_seconds(response, at) if response.status >= 400 else 0.0
        end = 0.0 if state.waits_end < wall else state.waits_end
        end = max(end, wall + seconds) if seconds else end
        waits = {**state.waits, state.seen: wall} if end and state.seen >= state.first else state.waits
        if (end, waits) != (state.waits_end, state.waits):
            self._totals.put("", state._replace(waits=waits, waits_end=end))

    def find(self, matches: Callable[[Exchange], bool], after: int = 0) -> Iterator[Exchange]:
        """The exchanges with a larger number than `after` that match, oldest first."""
        state = self._state()
        for entry in self._read(range(max(after + 1, state.first), state.seen + 1), state):
            checkpoint()
            exchange = _exchange(entry)
            if matches(exchange):
                yield exchange

    def latest(self, before: int, most: int) -> Iterator[Exchange]:
        """At most so many exchanges with a smaller number than `before`, newest first."""
        state = self._state()
        newest = min(before - 1, state.seen)
        numbers = range(newest, max(state.first - 1, newest - most), -1)
        return map(_exchange, self._read(numbers, state))

    def seconds(self, number: int) -> float:
        """The wall-clock time that answering the exchange of that number took; 0 if it is not kept."""
        state = self._state()
        kept = (number,) if state.first <= number <= state.seen else ()  # a block may hold older ones, too
        return sum((each.seconds for each in self._read(kept, state)), 0.0)

    def flush(self) -> None:
        """Put the exchanges of the transaction."""
        if not self._rows:
            return
        rows, self._rows, state = self._rows, [], self._totals.get("") or _EMPTY
        if not state.blocks or state.places < self._limit:
            state = self._with_places(state, max(self._limit, state.places, 1))
        writer = _Writer(state, self._recent.get("") or _NO_BLOCK, self._partition.codec.encode)
        number, first, weight = state.seen, state.first, state.weight
        for row in rows:
            number += 1
            while number - first >= self._limit and first < number:
                weight -= self._drop(first, number, state, writer)
                first += 1
            entry = _entry(number, row)
            if writer.add(number, entry):
                self._large.add(number)
            self._weights[number] = entry.weight
            weight += entry.weight
            while first <= number and (weight > MAX_BYTES or number - first >= self._limit):
                weight -= self._drop(first, number, state, writer)
                first += 1
        self._put(writer, first)
        waits = {each: wall for each, wall in state.waits.items() if each >= first} if state.waits else state.waits
        self._totals.put("", Totals(number, first, weight, waits, state.waits_end, state.places, state.blocks))

    def drop_unput(self) -> None:
        """The transaction is rolled back."""
        self._rows.clear()

    def _state(self) -> Totals:
        return self._partition.inside(self._flushed_state)

    def _flushed_state(self) -> Totals:
        self.flush()
        return self._totals.get("") or _EMPTY

    def _read(self, numbers: Sequence[int], state: Totals) -> Iterator[Entry]:
        """The entries of these numbers, some at a time."""
        recent, decode = self._recent.get("") or _NO_BLOCK, self._partition.codec.decode
        for start in range(0, len(numbers), READ_AT_ONCE):
            some = numbers[start : start + READ_AT_ONCE]
            contents = self._contents(some, recent, state)
            own = [number for number in some if not contents.get(number)]
            found = dict(zip(own, self._entries.pick([_key(each, state.places) for each in own]), strict=True))
            self._large.update(own)
            for number in some:
                entry = found[number] if number in found else decode(ENTRIES, contents[number])
                if entry is not None and entry.number == number:
                    yield entry

    def _contents(self, numbers: Sequence[int], recent: Block, state: Totals) -> dict[int, bytes]:
        """What is written of exchanges in blocks, by number; empty for one that has a value of its own."""
        full = {number // BLOCK % state.blocks: None for number in numbers if number < recent.first and state.blocks}
        found: list[Block | None] = [*self._blocks.pick([str(each) for each in full]), recent]
        return {
            number: content for block in found if block for number, content in enumerate(block.contents, block.first)
        }

    def _clear(self) -> None:
        state = self._flushed_state()
        self.forget()
        self._delete(state)
        self._totals.put("", _EMPTY)

    def _delete(self, state: Totals) -> None:
        """Remove all exchanges from the store."""
        for number in range(state.first, state.seen + 1):
            self._entries.delete(_key(number, state.places))
        for block in range(state.blocks):
            self._blocks.delete(str(block))
        self._recent.delete("")

    def _with_places(self, state: Totals, places: int) -> Totals:
        """Give all entries other keys: the number of keys grows."""
        entries = list(self._read(range(state.first, state.seen + 1), state))
        self._delete(state)
        state = state._replace(places=places, blocks=places // BLOCK + 2)
        writer = _Writer(state, Block(state.first, ()), self._partition.codec.encode)
        for entry in entries:
            writer.add(entry.number, entry)
        self._put(writer, state.first)
        self.forget()
        return state

    def _put(self, writer: "_Writer", first: int) -> None:
        """Put what was written, but exchanges before `first`."""
        if writer.entries:
            self._partition.put_many(ENTRIES, writer.entries)
        blocks = {key: block for key, block in writer.blocks.items() if block.first + len(block.contents) > first}
        if blocks:
            self._partition.put_many(BLOCKS, blocks)
        gone = max(first - writer.first, 0)
        self._recent.put("", Block(writer.first + gone, tuple(writer.contents[gone:])))

    def _drop(self, number: int, last: int, state: Totals, writer: "_Writer") -> int:
        """Remove the entry of that number, unless a later one, up to `last`, replaces it. Returns its weight."""
        if number not in self._weights:
            numbers = range(number, min(number + READ_AT_ONCE, last))
            self._weights.update((each.number, each.weight) for each in self._read(numbers, state))
        if number in self._large:
            self._large.discard(number)
            key = _key(number, state.places)
            replacement = writer.entries.get(key)
            if replacement is None or replacement.number == number:
                writer.entries.pop(key, None)
                self._entries.delete(key)
        return self._weights.pop(number, 0)


class _Writer:
    """Gathers what is put of new exchanges."""

    def __init__(self, state: Totals, recent: Block, encode: Callable[[Any], bytes]) -> None:
        self.entries: dict[str, Entry] = {}
        """Those that have a value of their own."""
        self.blocks: dict[str, Block] = {}
        """The blocks that are full now."""
        self.first, self.contents = recent.first, [*recent.contents]
        """The latest block, which is not full."""
        self._places, self._blocks = state.places, state.blocks
        self._encode = encode

    def add(self, number: int, entry: Entry) -> bool:
        """Add the exchange of that number; returns whether it has a value of its own."""
        if number != self.first + len(self.contents):  # as in a journal that was imported
            self._skip(number)
        content = self._encode(entry)
        is_large = len(content) > SMALL_BYTES
        if is_large:
            self.entries[_key(number, self._places)] = entry
        self.contents.append(b"" if is_large else content)
        if number % BLOCK == BLOCK - 1:
            self._close(number + 1)
        return is_large

    def _close(self, first: int) -> None:
        self.blocks[str(self.first // BLOCK % self._blocks)] = Block(self.first, tuple(self.contents))
        self.first, self.contents = first, []

    def _skip(self, number: int) -> None:
        """There are no exchanges before that number."""
        if not self.contents:
            self.first = number
        elif self.first // BLOCK == number // BLOCK:
            self.contents += [b""] * (number - self.first - len(self.contents))
        else:
            self._close(number)


def _key(number: int, places: int) -> str:
    return str(number % places if places else number)


def _entry(number: int, row: Row) -> Entry:
    at, operation, request, response, reason, violations, seconds = row
    asked = (
        request.method, request.path, request.query, request.headers, request.body, request.origin,
        request.form_problem, request.prefix,
    )  # fmt: skip
    answered = (
        response.status, response.media_type, response.body if isinstance(response.body, bytes) else None,
        response.headers, response.source, response.delay, response.disturbance,
    )  # fmt: skip
    weight = exchange_weight(request, response, violations)
    return Entry(number, at, operation, asked, answered, reason, violations, weight, seconds)


def _exchange(entry: Entry) -> Exchange:
    method, path, query, headers, body, origin, form_problem, prefix = entry.request
    request = Request(method, path, query, headers, body, origin, form_problem=form_problem, prefix=prefix)
    status, media_type, answer, fields, source, delay, disturbance = entry.response
    content: bytes | Iterator[bytes] = iter(()) if answer is None else answer
    response = Response(status, media_type, content, fields, source, delay, disturbance)
    return Exchange(entry.number, entry.at, entry.operation, request, response, entry.reason, entry.violations)
