"""What metrics count of each exchange: outcomes, and durations by buckets."""

from types import SimpleNamespace
from typing import Any

import pytest

from mockserver.web.metrics.observations import BOUNDS, Durations, Observations


def make_engine(**met: int) -> Any:
    return SimpleNamespace(met={(name, 200): count for name, count in met.items()}, observer=None)


def observe(engine: Any, operation: str = "a", status: int = 200, reason: str = "", seconds: float = 0.1) -> None:
    sandbox = SimpleNamespace(after_commit=lambda action: action())
    engine.observer(sandbox, operation, status, reason, seconds)


def test_the_bounds_of_the_buckets() -> None:
    assert BOUNDS == (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.0005, 0), (0.00051, 1), (0.1, 7), (0.11, 8), (10.0, 13), (10.1, 14)]
)
def test_a_duration_is_in_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    engine = make_engine()
    found = Observations(engine)

    observe(engine, seconds=seconds)

    (durations,) = found.durations().values()
    assert durations.counts == tuple(int(n == bucket) for n in range(15))
    assert durations.total == seconds


def test_exchanges_are_counted_by_operation_status_and_reason_also_those_before() -> None:
    engine = make_engine(a=3)
    found = Observations(engine)

    observe(engine)
    observe(engine, status=422, reason="invalid", seconds=0.2)
    observe(engine, status=422, reason="invalid", seconds=0.3)
    observe(engine, operation="", status=404, reason="no-such-path")

    assert found.counts() == {("a", 200, ""): 4, ("a", 422, "invalid"): 2, ("", 404, "no-such-path"): 1}
    assert {name: (sum(each.counts), each.total) for name, each in found.durations().items()} == {
        "a": (3, pytest.approx(0.6)), "": (1, 0.1)
    }  # fmt: skip


def test_an_earlier_observer_still_observes_and_only_what_was_committed_counts() -> None:
    engine, seen = make_engine(), list[Any]()
    engine.observer = lambda *given: seen.append(given[1:])
    found = Observations(engine)
    waiting: list[Any] = []

    engine.observer(SimpleNamespace(after_commit=waiting.append), "a", 200, "", 0.5)

    assert seen == [("a", 200, "", 0.5)]
    assert found.counts() == {}
    waiting[0]()
    assert found.counts() == {("a", 200, ""): 1}
    assert found.durations() == {"a": Durations(tuple(int(n == 9) for n in range(15)), 0.5)}
