"""What a snapshot has to hold to beyond its types, so that whoever reads the sandbox does not stumble."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from mockserver.sandbox.batches import Batch, ItemOutcome, Progression
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.ids import NESTING_MARGIN

KINDS = frozenset({"immediate", "time", "polls"})
LONGEST = 1e12
"""Seconds, or reads, of a progression."""
MAX_PRICE = 1_000_000
"""Credits for an item; whatever is owed can then be written as JSON."""


class Inconsistency(NamedTuple):
    """Something that no server would have left on a shelf."""

    place: str
    """The shelf, and what lies there: `files.file-abc`."""
    complaint: str


SnapshotCheck = Callable[[Mapping[str, Mapping[str, Any]]], Iterator[Inconsistency]]
"""What makes no sense on the shelves of a sandbox; nothing for what a server left there."""


def is_time(instant: float) -> bool:
    """Whether it is an instant that can be shown, in Unix seconds: from 1970 to the end of 9999."""
    return 0 <= instant <= LATEST


def is_progression(progression: Progression) -> bool:
    """Whether batches can age so."""
    least = 1 if progression.kind == "polls" else 0
    return progression.kind in KINDS and least <= progression.amount <= LONGEST


def is_valid_batch(batch: Batch) -> bool:
    """Whether it can be told at every instant what has become of the batch; its body does not matter."""
    is_priced = batch.size >= 1 and 0 <= batch.price <= MAX_PRICE
    is_dated = is_time(batch.created) and 0 <= batch.head <= 1
    return (
        is_priced
        and is_dated
        and is_progression(batch.progression)
        and _are_read_counts(batch)
        and _have_outcomes(batch)
    )


def are_valid_outcomes(fates: Mapping[int, ItemOutcome], size: int) -> bool:
    """Whether these can be the fates of so many items."""
    return all(0 <= index < size and fate.slowness >= 0 for index, fate in fates.items())


def is_json(value: Any) -> bool:
    """Whether an answer around it could be written."""
    for _ in range(NESTING_MARGIN):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _are_read_counts(batch: Batch) -> bool:
    instants = (batch.created, *batch.reads, LATEST)
    return len(batch.reads) <= batch.progression.amount and all(map(_rises, instants, instants[1:]))


def _rises(one: float, other: float) -> bool:
    return one <= other < math.inf


def _have_outcomes(batch: Batch) -> bool:
    return batch.fates is None or are_valid_outcomes(batch.fates, batch.size)
