"""The result of a batch's input file: its outcomes, its output and error files, and what its requests used."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from mockserver.api.client_rules import RejectedItems
from mockserver.http import StoredBytes
from mockserver.providers.agilecloud.models import Model
from mockserver.providers.agilecloud.prompts.select import SelectedVersion
from mockserver.providers.agilecloud.usage import EventRow, EventWriter, UsageTotal
from mockserver.records import Record
from mockserver.sandbox.batches import Outcomes
from mockserver.sandbox.blobs import Blob, BlobWriter

WINDOW = 64
WINDOW_BYTES = 1024 * 1024
"""The lines within which the order is changed, and the bytes that these may have: the memory that writing needs."""
NO_FILE = Blob.in_memory(b"")


class VersionUse(Record, frozen=True, gc=False):
    """A version of a prompt that a version test selected for a request."""

    slug: str
    version: int
    used: UsageTotal | None
    """The request's usage; None if it failed."""


class LineResults(Record, frozen=True, gc=False):
    """The result of an input file."""

    size: int
    errors: tuple[Mapping[str, Any], ...]
    """Why the batch fails; empty for a valid file."""
    outcomes: Outcomes
    succeeded: bytes
    """A byte for each item, in input order: 1 for one that succeeds."""
    output: Blob
    error: Blob
    usage: Mapping[str, UsageTotal]
    """By model, the usage of successful requests."""
    model: str | None = None
    """The model of all requests; None if they differ."""
    uses: tuple[VersionUse, ...] = ()
    refused: RejectedItems = RejectedItems()
    events: Mapping[str, StoredBytes] = {}
    """By model, the usage of each successful request; see ModelEvents. Empty once the account's usage has them."""

    def __post_init__(self) -> None:
        if self.errors and self.size:
            raise ValueError(f"it has errors, and a size of {self.size}")
        if len(self.succeeded) != self.size or self.succeeded.translate(None, b"\0\1"):
            raise ValueError(f"succeeded does not say 0 or 1 of each of {self.size} items")
        if self.outcomes and max(self.outcomes) >= self.size:
            raise ValueError("its outcomes are not those of its items")
        if sum(each.requests for each in self.usage.values()) != self.succeeded.count(1):
            raise ValueError("its usage is of more or fewer requests than have succeeded")

    def without_files(self) -> "LineResults":
        """The result without files and events, which others keep."""
        return self._replace(output=NO_FILE, error=NO_FILE, uses=(), events={})


def rejected_file(*errors: Mapping[str, Any]) -> LineResults:
    """The result of a file whose batch fails."""
    return LineResults(0, errors, {}, b"", NO_FILE, NO_FILE, {})


class OutputLines:
    """Writes a file in which neighbours swap places, as if requests were processed in parallel."""

    def __init__(self, order: Sequence[int] | None) -> None:
        """`order` is a permutation of WINDOW neighbours; without it the order is kept."""
        self._writer = BlobWriter(hashes=True)
        self._window: list[str] = []
        self._waiting = 0
        self._order = range(WINDOW) if order is None else order
        self._pick = itemgetter(*self._order)

    def extend(self, lines: Sequence[str]) -> None:
        """Add lines. They are written in windows of WINDOW lines, or of fewer if those have WINDOW_BYTES."""
        at = 0
        while at < len(lines):
            some = lines[at : at + WINDOW - len(self._window)]
            size = _utf8_size(some)
            if self._waiting + size >= WINDOW_BYTES:  # with which of them is found one by one
                some = some[:1]
                size = _utf8_size(some)
            self._window += some
            self._waiting += size
            at += len(some)
            if len(self._window) == WINDOW or self._waiting >= WINDOW_BYTES:
                self._write()

    def finish(self) -> Blob:
        self._write()
        return self._writer.finish()

    def _write(self) -> None:
        lines, self._window, self._waiting = self._window, [], 0
        if len(lines) == WINDOW:
            self._writer.write("".join(self._pick(lines)).encode())
        else:
            self._writer.write("".join([lines[at] for at in self._order if at < len(lines)]).encode())


def _utf8_size(lines: Sequence[str]) -> int:
    """The bytes of the lines."""
    if all(map(str.isascii, lines)):
        return sum(map(len, lines))
    return sum(len(line.encode()) for line in lines)


class Totals:
    """What the lines of a batch used: tokens and cost by model, and the prompt versions."""

    def __init__(self, models: set[str]) -> None:
        """`models` are the ids of those that lines were answered by so far."""
        self.uses: list[VersionUse] = []
        self.events = EventWriter()
        self._models = models
        self._sums: dict[str, list[int]] = {}

    def add_use(self, chosen: SelectedVersion, used: EventRow | None) -> None:
        """Add a request that a prompt's version was selected for; `used` is None if it failed."""
        if chosen.is_tested:
            total = UsageTotal(1, *used[1:]) if used else None
            self.uses.append(VersionUse(chosen.prompt.slug, chosen.version.number, total))

    def add_rows(self, model: Model, rows: Sequence[EventRow]) -> None:
        """Add what requests to a model used."""
        self._models.add(model.id)
        self.events.of_model(model.name).add(rows)
        counts = self._sums.setdefault(model.name, [0, 0, 0, 0])
        counts[0] += len(rows)
        for at in (1, 2, 3):
            counts[at] += sum(map(itemgetter(at), rows))

    def usage(self) -> dict[str, UsageTotal]:
        """The totals by the model's name."""
        return {model: UsageTotal(*counts) for model, counts in self._sums.items()}

    def only_model(self) -> str | None:
        """The id of the model that answered all lines; None when there are several, or none."""
        return next(iter(self._models)) if len(self._models) == 1 else None
