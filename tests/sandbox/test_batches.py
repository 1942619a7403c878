"""Batches: what they are at an instant follows from their values, and never goes backwards."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mockserver.sandbox.batches import IMMEDIATE, Batch, ItemCounts, Progression

STEADY = settings(derandomize=True)

MakeBatch = Callable[..., Batch]

LATE = 1_700_000_000.123
"""An instant at which a float still tells a quarter of a microsecond, and no less."""

MARKERS = [
    "[mock:fail]",
    "[mock:fail=429]",
    "[mock:slow=30s]",
    "[mock:slow=250ms] [mock:fail]",
    "[mock:slow=999999999h]",
    "[mock:hang]",
    "[mock:hang][mock:fail]",
]
AMOUNTS = st.one_of(st.sampled_from([0.0, 1e-320, 1e-9, 0.1, 2.0, 3.0, 86_400.0, 1e12]), st.floats(0, 1e12))
PROGRESSIONS = st.one_of(
    st.just(IMMEDIATE),
    st.builds(Progression, st.just("time"), AMOUNTS),
    st.builds(Progression, st.just("polls"), st.one_of(st.integers(1, 6), st.sampled_from([7, 100, 1000]))),
)
CREATIONS = st.one_of(st.sampled_from([0.0, LATE, 253_402_300_000.0]), st.floats(0, 253_402_300_000))
SIZES = st.one_of(st.integers(1, 12), st.sampled_from([99, 1000]))


HEADS = st.sampled_from([0.0, 0.0, 0.1, 0.5])
HELD = st.one_of(st.just(-math.inf), st.sampled_from([0.0, LATE, math.inf]), st.floats(0, 253_402_300_000))


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    """What a batch is made of, a few marked texts among them."""
    texts = [f"text {n}" for n in range(draw(SIZES))]
    for index in draw(st.sets(st.integers(0, len(texts) - 1), max_size=4)):
        texts[index] = f"marked {draw(st.sampled_from(MARKERS))}"
    return {
        "texts": texts,
        "created": draw(CREATIONS),
        "progression": draw(PROGRESSIONS),
        "archives": draw(st.booleans()),
        "head": draw(HEADS),
        "not_before": draw(HELD),
    }


@st.composite
def aged(draw: st.DrawFn) -> tuple[dict[str, Any], list[float]]:
    """A batch's facts, and the seconds after its creation at which its status is read, in order."""
    moments = draw(st.lists(st.one_of(st.floats(0, 100), st.floats(0, 1e6)), max_size=8))
    return draw(facts()), sorted(moments)


def read_often(batch: Batch, moments: list[float]) -> Batch:
    for moment in moments:
        batch = batch.read_at(batch.created + moment)
    return batch


def counted(batch: Batch, now: float) -> ItemCounts:
    """The tally as one would count it by hand."""
    batch = batch.with_outcomes()
    ended = [batch.outcome(index) for index in range(batch.size) if batch.due(index) <= now]
    failed = sum(outcome.failure is not None for outcome in ended)
    return ItemCounts(len(ended) - failed, failed)


def moments_of_interest(batch: Batch) -> list[float]:
    """Instants at which something happens to the batch, with their neighbours, in order."""
    batch = batch.with_outcomes()
    chosen = {0, 1, batch.size // 2, batch.size - 1, *(batch.outcomes or {})} & set(range(batch.size))
    turns = {batch.created, batch.items_end(), batch.end(), *batch.reads, *(batch.due(index) for index in chosen)}
    near = {math.nextafter(turn, towards) for turn in turns for towards in (-math.inf, math.inf)}
    return sorted(instant for instant in turns | near | {0.0, batch.created + 1e7} if math.isfinite(instant))


def phase(batch: Batch, now: float) -> int:
    """0 while items are to end, 1 while the archive is to be built, 2 at the end."""
    return (batch.items_end() <= now) + (batch.end() <= now)


@STEADY
@given(aged())
def test_the_counts_equal_those_of_the_items(make_batch: MakeBatch, age: tuple[dict[str, Any], list[float]]) -> None:
    batch = read_often(make_batch(**age[0]), age[1])

    for now in moments_of_interest(batch):
        assert batch.tally(now) == batch.with_outcomes().tally(now) == counted(batch, now)


@STEADY
@given(aged())
def test_status_and_counts_never_go_back_with_time(
    make_batch: MakeBatch, age: tuple[dict[str, Any], list[float]]
) -> None:
    batch = read_often(make_batch(**age[0]), age[1]).with_outcomes()

    seen = [(batch.tally(now), phase(batch, now)) for now in moments_of_interest(batch)]

    for (before, phase_before), (after, phase_after) in pairwise(seen):
        assert before.successful <= after.successful
        assert before.failed <= after.failed
        assert phase_before <= phase_after


@STEADY
@given(aged())
def test_status_and_counts_never_go_back_with_polls(
    make_batch: MakeBatch, age: tuple[dict[str, Any], list[float]]
) -> None:
    batch = make_batch(**age[0])

    for moment in age[1]:
        now = batch.created + moment
        after = batch.read_at(now)
        assert batch.tally(now).successful <= after.tally(now).successful
        assert batch.tally(now).failed <= after.tally(now).failed
        assert phase(batch, now) <= phase(after, now)
        batch = after


@STEADY
@given(aged())
def test_the_items_end_with_the_last_of_them(make_batch: MakeBatch, age: tuple[dict[str, Any], list[float]]) -> None:
    batch = read_often(make_batch(**age[0]), age[1])
    known = batch.with_outcomes()
    dues = [known.due(index) for index in range(known.size)]

    assert batch.items_end() == known.items_end() == max(dues)
    assert min(dues) >= batch.created
    assert batch.items_end() <= batch.end()


@STEADY
@given(aged())
def test_all_items_are_counted_exactly_when_the_items_ended(
    make_batch: MakeBatch, age: tuple[dict[str, Any], list[float]]
) -> None:
    batch = read_often(make_batch(**age[0]), age[1])

    for now in moments_of_interest(batch):
        assert (sum(batch.tally(now)) == batch.size) == (batch.items_end() <= now)


@STEADY
@given(CREATIONS, AMOUNTS, SIZES, st.booleans())
@example(LATE, 3.0, 1, True)
@example(0.0, 0.3, 7, True)
def test_a_timed_batch_ends_exactly_at_its_time(
    make_batch: MakeBatch, created: float, amount: float, size: int, archives: bool
) -> None:
    batch = make_batch(size=size, created=created, progression=Progression("time", amount), archives=archives)

    assert batch.end() == created + amount
    assert batch.tally(created + amount) == (size, 0)


@STEADY
@given(CREATIONS, AMOUNTS, SIZES, st.booleans())
def test_the_items_of_a_timed_batch_end_one_by_one(
    make_batch: MakeBatch, created: float, amount: float, size: int, archives: bool
) -> None:
    batch = make_batch(size=size, created=created, progression=Progression("time", amount), archives=archives)
    share = Fraction(4, 5) if archives else Fraction(1)

    for index in {0, size // 3, size - 1}:
        exact = Fraction(created) + Fraction(amount) * share * Fraction(index + 1, size)
        assert batch.due(index) == pytest.approx(float(exact), rel=1e-15)


def test_a_timed_batch_leaves_a_fifth_of_its_time_to_the_archive(make_batch: MakeBatch) -> None:
    batch = make_batch(size=4, created=100.0, progression=Progression("time", 10))

    assert [batch.due(index) for index in range(4)] == [102, 104, 106, 108]
    assert (batch.items_end(), batch.end()) == (108, 110)
    assert [batch.tally(now).successful for now in (99, 100, 102, 107.9, 108)] == [0, 0, 1, 3, 4]


def test_without_an_archive_the_items_take_the_whole_time(make_batch: MakeBatch) -> None:
    batch = make_batch(size=4, progression=Progression("time", 10), archives=False)

    assert [batch.due(index) for index in range(4)] == [2.5, 5, 7.5, 10]
    assert batch.items_end() == batch.end() == 10


def test_a_time_that_is_too_short_to_divide_ends_at_once(make_batch: MakeBatch) -> None:
    batch = make_batch(size=3, created=LATE, progression=Progression("time", 5e-324))

    assert batch.tally(LATE + 1e9) == batch.tally(LATE) == (3, 0)


def test_an_immediate_batch_is_finished_when_it_is_queued(make_batch: MakeBatch) -> None:
    batch = make_batch(size=3, created=LATE)

    assert (batch.items_end(), batch.end()) == (LATE, LATE)
    assert (batch.tally(math.nextafter(LATE, 0)), batch.tally(LATE)) == ((0, 0), (3, 0))


@pytest.mark.parametrize("archives", [True, False])
@pytest.mark.parametrize("polls", [1, 2, 3, 1000])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 999, 1000])
def test_the_last_of_the_polls_and_none_before_it_is_final(
    make_batch: MakeBatch, polls: int, size: int, archives: bool
) -> None:
    batch = make_batch(size=size, created=LATE, progression=Progression("polls", polls), archives=archives)

    for _ in range(polls - 1):
        batch = batch.read_at(LATE)
    assert batch.end() == math.inf
    batch = batch.read_at(LATE)

    assert batch.end() == batch.items_end() == LATE
    assert batch.tally(LATE) == (size, 0)


def test_polls_let_items_end_in_equal_shares_and_leave_the_last_to_the_archive(make_batch: MakeBatch) -> None:
    batch = make_batch(size=6, progression=Progression("polls", 4))
    seen = []

    for now in range(1, 5):
        batch = batch.read_at(now)
        seen.append((batch.tally(now).successful, phase(batch, now)))

    assert seen == [(2, 0), (4, 0), (6, 1), (6, 2)]


def test_reads_after_the_last_of_the_polls_change_nothing(make_batch: MakeBatch) -> None:
    batch = make_batch(progression=Progression("polls", 2)).read_at(1).read_at(2)

    assert batch.read_at(3) is batch


@pytest.mark.parametrize("progression", [IMMEDIATE, Progression("time", 2)])
def test_only_with_polls_a_batch_progresses_when_it_is_read(make_batch: MakeBatch, progression: Progression) -> None:
    batch = make_batch(progression=progression)

    assert batch.read_at(1) is batch


@STEADY
@given(aged(), st.floats(0, 1e15))
def test_a_hung_item_never_ends(make_batch: MakeBatch, age: tuple[dict[str, Any], list[float]], now: float) -> None:
    given_facts = age[0] | {"texts": [*age[0]["texts"], "[mock:hang]"]}
    batch = read_often(make_batch(**given_facts), age[1])

    assert batch.due(batch.size - 1) == batch.items_end() == batch.end() == math.inf
    assert sum(batch.tally(now)) < batch.size


def test_a_slow_item_delays_its_batch_and_no_other_item(make_batch: MakeBatch) -> None:
    batch = make_batch(texts=["[mock:slow=1m]", "plain"], created=100.0, progression=Progression("time", 10))

    assert [batch.due(0), batch.due(1)] == [164, 108]
    assert (batch.items_end(), batch.end()) == (164, 166)
    assert [batch.tally(now).successful for now in (108, 163, 164)] == [1, 1, 2]


def test_a_slow_item_outlasts_the_polls(make_batch: MakeBatch) -> None:
    batch = make_batch(texts=["[mock:slow=30s]", "plain"], progression=Progression("polls", 1)).read_at(5)

    assert (batch.tally(29), batch.tally(30)) == ((1, 0), (2, 0))
    assert batch.end() == 30
