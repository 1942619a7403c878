"""Counts exchanges by operation, status and reason, and the time that answering took."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple

from mockserver.engine.engine import Engine
from mockserver.sandbox.sandbox import Sandbox

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations, in seconds; there is one more for longer ones."""
Outcome = tuple[str, int, str]
"""Operation (empty for requests that match none), status, reason of a rejection (empty without one)."""


class Durations(NamedTuple):
    """The durations of one operation's requests."""

    counts: tuple[int, ...]
    """By bucket."""
    total: float
    """Their sum, in seconds."""


class Observations:
    """What the exchanges of an engine were, from now on; those before it has counted without their reasons."""

    def __init__(self, engine: Engine) -> None:
        self._lock = Lock()
        counted = engine.met.copy()  # other threads count meanwhile
        self._counts: dict[Outcome, int] = {(key, status, ""): count for (key, status), count in counted.items()}
        self._buckets: dict[str, list[int]] = {}
        self._totals: dict[str, float] = {}
        self._next: Callable[[Sandbox, str, int, str, float], None] | None = engine.observer
        engine.observer = self._observe

    def counts(self) -> Mapping[Outcome, int]:
        """The number of exchanges by outcome."""
        with self._lock:
            return dict(self._counts)

    def durations(self) -> Mapping[str, Durations]:
        """Durations by operation."""
        with self._lock:
            return {key: Durations(tuple(counts), self._totals[key]) for key, counts in self._buckets.items()}

    def _observe(self, sandbox: Sandbox, operation: str, status: int, reason: str, seconds: float) -> None:
        """Called within the sandbox's transaction, which may fail and run again: counted is what was committed."""
        if self._next is not None:
            self._next(sandbox, operation, status, reason, seconds)
        sandbox.after_commit(lambda: self._add((operation, status, reason), seconds))

    def _add(self, outcome: Outcome, seconds: float) -> None:
        operation = outcome[0]
        with self._lock:
            self._counts[outcome] = self._counts.get(outcome, 0) + 1
            buckets = self._buckets.get(operation)
            if buckets is None:
                buckets = self._buckets[operation] = [0] * (len(BOUNDS) + 1)
                self._totals[operation] = 0.0
            buckets[bisect_left(BOUNDS, seconds)] += 1
            self._totals[operation] += seconds
