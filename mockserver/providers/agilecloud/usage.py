"""Usage of AgileCloud's accounts: sums, and one meter event for each answered request.

An account's entries are numbered. A live request is one entry, a batch one for each of its models, with the usage of
each request in a blob beside it. Both are bounded: of older requests only the sums are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import Annotated, Any

import orjson

from mockserver.api.call import ApiContext, Call
from mockserver.http import StoredBytes
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes
from mockserver.providers.agilecloud.context import context_models, context_prices
from mockserver.providers.agilecloud.models import Model, ModelKind
from mockserver.providers.agilecloud.pricing import ModelRate, dollars, meter_event
from mockserver.providers.agilecloud.rate_limit import spend
from mockserver.records import Bounds, Record
from mockserver.sandbox.blobs import Blob, BlobWriter
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.sandbox import Sandbox
from mockserver.workers import checkpoint

USAGE = "agilecloud.usage"
"""The collection of entries, by account and number."""
STARTS, ENDS = "agilecloud.usage_starts", "agilecloud.usage_ends"
"""The collections that say, by account, the number of its first entry (0 where there is none), and of its next."""
MAX_ENTRIES = 10_000
"""The most entries of an account; beyond it the older half is summed up, by operation and model."""
MAX_EVENTS = 100_000
"""The most events of an account's batches; beyond it those of the oldest batch are dropped."""
MAX_ID = 512
"""The most characters of a `custom_id` in an event."""
MOST = 2**40
"""The most tokens, or requests, of an account, so that costs fit into JSON."""
Count = Annotated[int, Bounds(ge=0, le=MOST)]
Cost = Annotated[int, Bounds(ge=0, le=2**62)]
"""Nano-dollars."""
ROWS = 500
"""The requests in one line of a batch's events."""


class UsageEntry(Record, frozen=True, gc=False):
    """Usage and cost of a request, or of the requests of a batch."""

    at: Instant
    """Sandbox time."""
    operation: str
    model: str
    """The model's own name, not the requested alias."""
    prompt_tokens: Count
    completion_tokens: Count
    cost: Cost | None = None
    """In nano-dollars, rounded per request; None for a live request, whose cost follows from its tokens."""
    requests: Count = 1
    is_batch: bool = False
    """Whether batch prices apply."""
    id: str = ""
    """The id of the completion, or of the batch; empty for a sum of older requests."""
    events: StoredBytes | None = None
    """The usage of each request of a batch, see ModelEvents; None for a live request, or if dropped."""

    @property
    def event_count(self) -> int:
        """The number of meter events that are kept."""
        if self.is_batch:
            return self.requests if self.events is not None else 0
        return 1 if self.cost is None else 0


class UsageTotal(Record, frozen=True, gc=False):
    """The usage of a batch's requests to one model."""

    requests: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    cost: Cost = 0
    """In nano-dollars, rounded per request."""

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Requests, prompt tokens, completion tokens and cost."""
        return self.requests, self.prompt_tokens, self.completion_tokens, self.cost


EventRow = tuple[str, int, int, int]
"""The custom id of a request, its prompt and completion tokens, and its cost."""


class ModelEvents:
    """Writes the usage of each request to one model: lines of JSON, each a list of `[custom_id, prompt, said, cost]`.

    A line holds many requests, since a line for each would take a tenth of the time of answering.
    """

    def __init__(self) -> None:
        self._writer = BlobWriter()
        self._rows: list[EventRow] = []

    def add(self, rows: Sequence[EventRow]) -> None:
        if max(map(len, map(itemgetter(0), rows)), default=0) > MAX_ID:
            rows = [(id_[:MAX_ID], asked, said, cost) for id_, asked, said, cost in rows]
        self._rows += rows
        while len(self._rows) >= ROWS:
            self._write()

    def finish(self) -> Blob:
        """The lines; no more events may be added."""
        if self._rows:
            self._write()
        return self._writer.finish()

    def _write(self) -> None:
        self._writer.write(jsonl_bytes(self._rows[:ROWS]), b"\n")
        del self._rows[:ROWS]


class EventWriter:
    """Writes the usage of each request of a batch, by model."""

    def __init__(self) -> None:
        self._models: dict[str, ModelEvents] = {}

    def of_model(self, name: str) -> ModelEvents:
        """The writer of a model's events."""
        return self._models.get(name) or self._models.setdefault(name, ModelEvents())

    def finish(self) -> dict[str, Blob]:
        """The events by model; no more may be added."""
        return {model: events.finish() for model, events in self._models.items()}


def read_events(events: StoredBytes, start: int = 0) -> Iterator[tuple[str, int, int, int]]:
    """The custom id, prompt tokens, completion tokens and cost of each request, from the `start`-th on.

    Raises ValueError for invalid events.
    """
    for line in (line for group in events.line_groups() for line in group if line):
        rows = orjson.loads(line)
        if not isinstance(rows, list):
            raise ValueError("wanted lists")
        for row in rows[start:]:
            match row:
                case [str(id_), int(asked), int(said), int(cost)]:
                    yield id_, asked, said, cost
                case _:
                    raise ValueError("wanted a text and three whole numbers")
        start = max(0, start - len(rows))


def add_up(events: StoredBytes) -> UsageTotal:
    """The sum of the events; raises ValueError for invalid ones."""
    requests = prompt = said = cost = 0
    for _, *used in read_events(events):
        if min(used) < 0:
            raise ValueError("wanted numbers from 0")
        requests, prompt, said, cost = requests + 1, prompt + used[0], said + used[1], cost + used[2]
    return UsageTotal(requests, prompt, said, cost)


def record_usage(call: Call, model: Model, id_: str, prompt_tokens: int, completion_tokens: int = 0) -> None:
    """Record the usage of a live request."""
    account = call.account.key
    entry = UsageEntry(
        call.now, call.operation.key, model.name, prompt_tokens, completion_tokens, None, 1, False, id_
    )  # by place: names would take twice as long
    _add_entry(call, account, entry)
    spend(call.sandbox, account, prompt_tokens + completion_tokens)


def meter_batch(
    call: Call, account: str, id_: str, usage: Mapping[str, UsageTotal], events: Mapping[str, StoredBytes]
) -> None:
    """Record the usage of a batch, by model."""
    for model, total in usage.items():
        requests, prompt, said, cost = total.counts
        kept = events.get(model)
        used = UsageEntry(call.now, "createBatch", model, prompt, said, cost, requests, True, id_, kept)
        _add_entry(call, account, used)
    _drop_events(call.sandbox, account)


def usage_entries(sandbox: Sandbox, account: str) -> list[UsageEntry]:
    """What an account used, oldest first; of older requests the sums."""
    usage = sandbox.collection(USAGE, UsageEntry)
    found = (usage.get(f"{account}\n{number}") for number in _numbers(sandbox, account))
    return [each for each in found if each is not None]


def _numbers(sandbox: Sandbox, account: str) -> range:
    start, end = (sandbox.collection(name, int).get(account) or 0 for name in (STARTS, ENDS))
    return range(max(start, end - MAX_ENTRIES - 1), end)


def _add_entry(call: Call, account: str, entry: UsageEntry) -> None:
    sandbox = call.sandbox
    ends = sandbox.collection(ENDS, int)
    number = ends.get(account) or 0
    sandbox.collection(USAGE, UsageEntry).put(f"{account}\n{number}", entry)
    ends.put(account, number + 1)
    if number >= MAX_ENTRIES and number - (sandbox.collection(STARTS, int).get(account) or 0) >= MAX_ENTRIES:
        _fold(call.sandbox, account, call.world)


def report(world: ApiContext, sandbox: Sandbox, after: int = 0, limit: int = 1000) -> dict[str, Any]:
    """Each account's usage, live and in batches, and a page of the meter events that would be sent to Stripe.

    `next` is the `after` of the following page, None at the end; `dropped` is the number of requests without an event.
    """
    priced, ends = _Pricing(world), sandbox.collection(ENDS, int)
    used = {key: [priced(each) for each in usage_entries(sandbox, key)] for key, _ in ends.items()}
    entries = [each for of_account in used.values() for each in of_account]
    total = sum(each.entry.event_count for each in entries)
    return {
        "unit": "nano-dollars",
        "accounts": {key: _account_report(of_account) for key, of_account in used.items()},
        "events": list(islice(_events(used, after), limit)),
        "next": after + limit if after + limit < total else None,
        "dropped": sum(each.entry.requests for each in entries) - total,
    }


class _Priced(Record, frozen=True, gc=False):
    """Usage, its cost, and its cost at live prices; in nano-dollars."""

    entry: UsageEntry
    cost: int
    live: int


class _Pricing:
    """Computes the costs of entries."""

    def __init__(self, world: ApiContext) -> None:
        self._models = {model.name: model for model in context_models(world).values()}
        self._prices = context_prices(world)
        self._rates: dict[tuple[str, ModelKind], ModelRate] = {}

    def __call__(self, entry: UsageEntry) -> _Priced:
        checkpoint()
        live = self._live_cost(entry)
        return _Priced(entry, live if entry.cost is None else entry.cost, live)

    def cost(self, entry: UsageEntry) -> int:
        """The cost of an entry."""
        return self._live_cost(entry) if entry.cost is None else entry.cost

    def _live_cost(self, entry: UsageEntry) -> int:
        """The cost at live prices."""
        # Of a model that is no longer listed, only embeddings have no completion tokens.
        kind = ModelKind.CHAT if entry.completion_tokens else ModelKind.EMBEDDING
        rate = self._rates.get((entry.model, kind)) or self._add_rate(entry.model, kind)
        return rate.cost(entry.prompt_tokens, entry.completion_tokens)

    def _add_rate(self, name: str, kind: ModelKind) -> ModelRate:
        model = self._models.get(name) or Model(name, name, kind)
        rate = self._rates[name, kind] = self._prices.tariff(model, batch=False)
        return rate


def _account_report(used: Sequence[_Priced]) -> dict[str, Any]:
    batch = [each for each in used if each.entry.is_batch]
    spared = sum(each.live for each in batch)
    live = _sum_entries([each for each in used if not each.entry.is_batch])
    return {"live": live, "batch": {**_sum_entries(batch), "cost_at_live_price": spared}}


def _sum_entries(used: Sequence[_Priced]) -> dict[str, Any]:
    cost = sum(each.cost for each in used)
    return {
        "requests": sum(each.entry.requests for each in used),
        "prompt_tokens": sum(each.entry.prompt_tokens for each in used),
        "completion_tokens": sum(each.entry.completion_tokens for each in used),
        "cost": cost,
        "dollars": dollars(cost),
    }


def _events(used: Mapping[str, Sequence[_Priced]], after: int) -> Iterator[dict[str, Any]]:
    """The events after the first `after`, by account, oldest first."""
    for key, entries in used.items():
        for each in entries:
            count = each.entry.event_count
            if after < count:
                yield from _events_of(each, key, after)
            after = max(0, after - count)


def _events_of(used: _Priced, customer: str, start: int) -> Iterator[dict[str, Any]]:
    entry = used.entry
    if entry.events is None:
        tokens = entry.prompt_tokens, entry.completion_tokens
        yield _event(entry, entry.id, customer, used.cost, tokens)
        return
    for custom_id, prompt, said, cost in read_events(entry.events, start):
        yield _event(entry, custom_id, customer, cost, (prompt, said))


def _event(entry: UsageEntry, id_: str, customer: str, cost: int, tokens: tuple[int, int]) -> dict[str, Any]:
    batch = entry.id if entry.is_batch else None
    return meter_event(
        id=id_, customer=customer, cost=cost, tokens=tokens, model=entry.model, at=int(entry.at), batch=batch
    )


def _fold(sandbox: Sandbox, account: str, world: ApiContext) -> None:
    """Sum up the older half of an account's entries."""
    usage, half = sandbox.collection(USAGE, UsageEntry), _numbers(sandbox, account)[: MAX_ENTRIES // 2]
    keys = [f"{account}\n{number}" for number in half]
    found: dict[tuple[str, str, bool], list[UsageEntry]] = {}
    for entry in usage.pick(keys):
        if entry is not None:
            found.setdefault((entry.operation, entry.model, entry.is_batch), []).append(entry)
    for key in keys:
        usage.delete(key)
    start, pricing = half.stop - len(found), _Pricing(world)
    for number, entries in enumerate(found.values(), start):
        usage.put(f"{account}\n{number}", _sum_of(entries, pricing))
    sandbox.collection(STARTS, int).put(account, start)


def _sum_of(entries: Sequence[UsageEntry], pricing: _Pricing) -> UsageEntry:
    """The sum of entries of one operation and model, as an entry."""
    return entries[-1]._replace(
        prompt_tokens=sum([each.prompt_tokens for each in entries]),
        completion_tokens=sum([each.completion_tokens for each in entries]),
        cost=sum([pricing.cost(each) for each in entries]),
        requests=sum([each.requests for each in entries]),
        id="",
        events=None,
    )


def _drop_events(sandbox: Sandbox, account: str) -> None:
    """Keep at most MAX_EVENTS of batches, the latest; a batch's events of a model are kept or dropped as a whole."""
    usage, kept = sandbox.collection(USAGE, UsageEntry), 0
    for number in reversed(_numbers(sandbox, account)):
        entry = usage.get(f"{account}\n{number}")
        if entry is not None and entry.events is not None:
            kept += entry.requests
            if kept > MAX_EVENTS:
                usage.put(f"{account}\n{number}", entry._replace(events=None))
