"""Counts of answers, for coverage."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mockserver.engine.hits import count_hit


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns after a few steps each."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("quick_switches")
def test_threads_that_count_at_once_lose_none() -> None:
    hits: dict[tuple[str, int], int] = {}

    def count() -> None:
        for number in range(10_000):
            count_hit(hits, "getUser", 200 + number % 2)

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(count) for _ in range(4)]:
            done.result()

    assert hits == {("getUser", 200): 20_000, ("getUser", 201): 20_000}
