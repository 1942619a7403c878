"""Consistency checks of an import that types cannot express."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from mockserver.json_bodies import check_depth
from mockserver.sandbox.batches import Batch, ItemOutcome, Progression
from mockserver.sandbox.clock import LATEST

KINDS = frozenset({"immediate", "time", "polls"})
LONGEST = 1e12
"""The longest progression, in seconds or polls."""
MAX_PRICE = 1_000_000
"""The most credits for an item, so that a balance always fits into JSON."""


class Inconsistency(NamedTuple):
    """A value that no server would have exported."""

    place: str
    """The collection and the key: `files.file-abc`."""
    complaint: str


SnapshotCheck = Callable[[Mapping[str, Mapping[str, Any]]], Iterator[Inconsistency]]
"""Yields the inconsistencies of a sandbox's collections; none for an export of a server."""


def is_time(instant: float) -> bool:
    """Whether it is an instant that can be formatted, in Unix seconds: from 1970 to the end of 9999."""
    return 0 <= instant <= LATEST


def is_progression(progression: Progression) -> bool:
    """Whether it is a valid progression."""
    least = 1 if progression.kind == "polls" else 0
    return progression.kind in KINDS and least <= progression.amount <= LONGEST


def is_valid_batch(batch: Batch) -> bool:
    """Whether the batch's status can be computed at every instant. Does not check its body."""
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
    """Whether these are valid outcomes for that number of items."""
    return all(0 <= index < size and fate.slowness >= 0 for index, fate in fates.items())


def is_json(value: Any) -> bool:
    """Whether a response that contains the value could be encoded."""
    try:
        check_depth(value)
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
