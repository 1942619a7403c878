"""Batches whose items wait: for what comes before them, or for room."""

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mockserver.sandbox.batches import Batch, Progression

STEADY = settings(derandomize=True)

MakeBatch = Callable[..., Batch]

LATE = 1_700_000_000.123
AMOUNTS = st.one_of(st.sampled_from([0.0, 1e-320, 0.1, 0.3, 86_400.0]), st.floats(0, 1e9))


def test_a_timed_batch_begins_with_its_queue_share(make_batch: MakeBatch) -> None:
    batch = make_batch(size=4, created=100.0, progression=Progression("time", 10), head=0.2)

    assert batch.items_start() == 102
    assert [batch.due(index) for index in range(4)] == [103.5, 105, 106.5, 108]
    assert (batch.items_end(), batch.end()) == (108, 110)


@pytest.mark.parametrize(("polls", "reads"), [(1, 1), (2, 1), (3, 2), (4, 2), (1000, 2)])
def test_with_three_polls_the_queue_share_takes_one(make_batch: MakeBatch, polls: int, reads: int) -> None:
    batch = make_batch(progression=Progression("polls", polls), head=0.1)

    begun = []
    for now in range(1, reads + 1):
        begun.append(batch.items_start())
        batch = batch.read_at(now)

    assert begun == [math.inf] * reads
    assert batch.items_start() == reads


@pytest.mark.parametrize("archives", [True, False])
def test_polls_divide_the_items_after_the_queue_share(make_batch: MakeBatch, archives: bool) -> None:
    batch = make_batch(size=6, progression=Progression("polls", 4), head=0.1, archives=archives)
    seen = []

    for now in range(1, 5):
        batch = batch.read_at(now)
        seen.append((batch.tally(now).successful, batch.end() <= now))

    assert seen == (
        [(0, False), (3, False), (6, False), (6, True)] if archives else [(0, False), (2, False), (4, False), (6, True)]
    )


def test_an_immediate_batch_has_no_queue_share(make_batch: MakeBatch) -> None:
    batch = make_batch(created=LATE, head=0.5)

    assert batch.items_start() == batch.end() == LATE


@pytest.mark.parametrize(
    ("progression", "end"),
    [(Progression("immediate"), 500), (Progression("time", 10), 509), (Progression("polls", 3), 500)],
)
def test_items_wait_for_capacity(make_batch: MakeBatch, progression: Progression, end: float) -> None:
    batch = make_batch(size=3, progression=progression, head=0.1, not_before=500.0)
    for now in (1, 2, 3):
        batch = batch.read_at(now)

    assert batch.items_start() < 3
    assert batch.tally(499.9) == (0, 0)
    assert batch.end() == end
    assert batch.tally(end) == (3, 0)


@pytest.mark.parametrize("progression", [Progression("immediate"), Progression("time", 10), Progression("polls", 1)])
def test_without_capacity_items_wait_forever(make_batch: MakeBatch, progression: Progression) -> None:
    batch = make_batch(progression=progression, not_before=math.inf).read_at(1)

    assert batch.items_end() == batch.end() == math.inf
    assert batch.tally(1e15) == (0, 0)


@pytest.mark.parametrize("progression", [Progression("immediate"), Progression("time", 10), Progression("polls", 2)])
def test_capacity_that_was_free_before_changes_nothing(make_batch: MakeBatch, progression: Progression) -> None:
    plain, held = (
        make_batch(size=3, created=100.0, progression=progression, not_before=instant).read_at(101).read_at(102)
        for instant in (-math.inf, 50.0)
    )

    assert [held.due(index) for index in range(3)] == [plain.due(index) for index in range(3)]
    assert held.end() == plain.end()


@STEADY
@given(st.sampled_from([0.0, LATE]), AMOUNTS, st.sampled_from([0.1, 0.3, 0.7]), st.integers(1, 50))
@example(0.0, 1.5155328692340697, 0.1, 1)
def test_no_item_ends_before_its_turn_nor_after_its_batch(
    make_batch: MakeBatch, created: float, amount: float, head: float, size: int
) -> None:
    for archives in (True, False):
        batch = make_batch(
            size=size, created=created, progression=Progression("time", amount), head=head, archives=archives
        )

        assert batch.items_start() <= batch.due(0)
        assert batch.due(size - 1) <= batch.end() == created + amount


@STEADY
@given(AMOUNTS, st.sampled_from([0.0, 0.1, 0.5]), st.floats(0, 1e10))
def test_no_item_ends_while_capacity_is_busy(make_batch: MakeBatch, amount: float, head: float, held: float) -> None:
    batch = make_batch(size=5, created=LATE, progression=Progression("time", amount), head=head, not_before=held)

    assert batch.due(0) >= held
