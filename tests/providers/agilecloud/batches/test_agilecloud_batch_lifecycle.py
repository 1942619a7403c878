"""AgileCloud's batches, whatever happens to them: nothing goes backwards, and all comes to an end."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from batch_client import (
    DAY,
    BatchClient,
    counts_of,
    jsonl,
    request_of,
    times_of,
)
from builders import value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.providers.agilecloud.batches.job import LIFECYCLE, Status
from mockserver.sandbox.batches import Progression

STEADY = settings(derandomize=True, max_examples=150)
TEXTS = st.sampled_from(["plain", "[mock:fail]", "[mock:slow=30s]", "[mock:slow=20h][mock:fail=429]", "[mock:hang]"])
PROGRESSIONS = st.one_of(
    st.just(Progression("immediate")),
    st.builds(Progression, st.just("time"), st.sampled_from([0.0, 0.3, 2.0, 100.0, 80_000.0, 86_400.0, 1e6, 1e12])),
    st.builds(Progression, st.just("polls"), st.integers(1, 7)),
)
DEEDS = st.lists(
    st.one_of(
        st.just("read"),
        st.just("list"),
        st.just("cancel"),
        st.sampled_from([0.1, 10.0, 600.0, 40_000.0, 86_400.0]),
    ),
    min_size=2,
    max_size=14,
)


@pytest.fixture(scope="module")
def engines() -> list[Engine]:
    capacities = ("free", "busy", "2026-04-12T05:00:00")
    profiles = ("agilecloud", "openai")
    return [
        BatchClient(agilecloud_profile=profile, capacity=capacity).engine
        for profile, capacity in itertools.product(profiles, capacities)
    ]


def looks(desk: BatchClient, id_: str) -> dict[str, Callable[[], Any]]:
    def cancel() -> Any:
        response = desk.ask("POST", f"/v1/batches/{id_}/cancel")
        return value_of(response) if response.status == 200 else None

    return {
        "read": lambda: desk.read(id_),
        "list": lambda: value_of(desk.ask("GET", "/v1/batches"))["data"][0],
        "cancel": cancel,
    }


def check_succession(before: Any, after: Any) -> None:
    first, second = Status(before["status"]), Status(after["status"])
    assert LIFECYCLE.allows(first, second)
    assert all(old <= new for old, new in zip(counts_of(before), counts_of(after), strict=True))
    times = times_of(after)
    assert times.items() >= times_of(before).items()
    if LIFECYCLE.is_final(first):
        assert after == before


def check_sense(batch: Any, is_openai: bool) -> None:
    status, times = batch["status"], times_of(batch)
    total, completed, failed = counts_of(batch)
    allowed = {"validating", "in_progress", "completed", "failed", "cancelled"}
    assert is_openai or status in allowed
    assert completed + failed <= total
    assert list(times.values()) == sorted(times.values())
    assert (status == "validating") == (not times)
    assert status == "validating" or status in times
    assert not times.keys() & ({"completed", "failed", "expired", "cancelled"} - {status})
    if status in {"completed", "expired", "failed"}:
        assert total == completed + failed


@STEADY
@given(st.lists(TEXTS, min_size=1, max_size=6), PROGRESSIONS, DEEDS, st.integers(0, 5))
def test_no_batch_status_ever_goes_back(
    engines: list[Engine], texts: list[str], progression: Progression, deeds: list[str | float], which: int
) -> None:
    engines[which].sandboxes.open("ann").reset()
    desk = BatchClient(engines[which])
    desk.sandbox.progression = progression
    before = desk.create(jsonl(*(request_of(f"r{n}", text) for n, text in enumerate(texts))))

    for deed in deeds:
        if isinstance(deed, float):
            desk.sandbox.clock.advance(deed)
            continue
        after = looks(desk, before["id"])[deed]()
        if after is not None:
            check_succession(before, after)
            check_sense(after, is_openai=which > 2)
            before = after
    desk.sandbox.clock.advance(2 * DAY)
    last = desk.read(before["id"])

    check_succession(before, last)
    assert LIFECYCLE.is_final(Status(last["status"]))
    output, error = desk.lines(last["output_file_id"]), desk.lines(last["error_file_id"])
    assert (len(output), len(error)) == counts_of(last)[1:]
    assert not output.keys() & error.keys()
    if last["status"] != "cancelled":
        assert {*output, *error} == {f"r{n}" for n in range(len(texts))}
    late = [line for line in error.values() if line["error"] is not None]
    assert not late or last["status"] in {"expired", "failed"}
