"""Conditions as values: which items a choice takes, what a plan makes of a batch, and that JSON keeps it all."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.sandbox.batches import Batch, ItemCounts, ItemOutcome, Progression
from mockserver.sandbox.conditions import NORMAL, Conditions, InputRejection, ItemPlan, ItemSelector, read_conditions

ALL = ItemSelector(every=1)

CHOICES: Any = st.one_of(
    st.just("all"),
    st.fixed_dictionaries({"every": st.integers(2, 50_000)}),
    st.fixed_dictionaries({"share": st.floats(0, 1, exclude_min=True)}),
    st.fixed_dictionaries(
        {"indexes": st.lists(st.integers(0, 49_999), min_size=1, max_size=20, unique=True).map(sorted)}
    ),
)
FAILING = st.fixed_dictionaries({"fail": CHOICES, "status": st.integers(400, 599)}, optional={"hang": CHOICES})
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "capacity": st.sampled_from(["free", "busy", "2026-12-24T18:00:00Z"]),
        "agilecloud_profile": st.sampled_from(["agilecloud", "openai"]),
        "credit_check": st.sampled_from(["paid", "documented"]),
        "keep_order": st.booleans(),
        "missing_variables": st.sampled_from(["error", "blank"]),
        "page_weight": st.sampled_from(["light", "realistic"]),
        "page_size": st.integers(1, 10_000),
        "items": st.one_of(FAILING, st.fixed_dictionaries({"hang": CHOICES})),
        "input": st.fixed_dictionaries(
            {"code": st.just("empty_file")}, optional={"line": st.integers(1, 9), "message": st.text(min_size=1)}
        ),
        "retention": st.floats(1e-9, 1e12),
    },
)


def taken(choice: ItemSelector, size: int = 10, key: bytes = b"key") -> list[int]:
    return [index for index in range(size) if choice.takes(index, key)]


def test_items_are_selected_by_every_share_or_indexes() -> None:
    assert taken(ALL) == list(range(10))
    assert taken(ItemSelector(every=3)) == [2, 5, 8]
    assert taken(ItemSelector(every=11)) == []
    assert taken(ItemSelector(indexes=(0, 4, 12))) == [0, 4]


def test_a_share_selects_the_same_items_each_time_and_others_for_another_key() -> None:
    third = ItemSelector(share=0.3)

    assert taken(third, 1000) == taken(third, 1000) != taken(third, 1000, b"other")
    assert 240 < len(taken(third, 1000)) < 360
    assert taken(ItemSelector(share=1.0)) == list(range(10))


@given(st.floats(0, 1, exclude_min=True), st.floats(0, 1, exclude_min=True))
def test_a_larger_share_includes_the_items_of_a_smaller_one(one: float, other: float) -> None:
    small, large = sorted((one, other))

    assert set(taken(ItemSelector(share=small), 50)) <= set(taken(ItemSelector(share=large), 50))


@given(CONDITIONS)
def test_the_description_of_conditions_is_read_as_the_same_conditions(value: dict[str, Any]) -> None:
    conditions = read_conditions(value)

    assert conditions.described() == value
    assert read_conditions(conditions.described()) == conditions


def test_no_conditions_are_the_default() -> None:
    assert read_conditions({}) is NORMAL
    assert NORMAL.described() == {}


def test_a_failing_item_gets_500_unless_a_status_is_said() -> None:
    assert read_conditions({"items": {"fail": "all"}}).items == ItemPlan(fail=ALL, status=500)
    assert read_conditions({"input": {"code": "x"}}).input == InputRejection("x")


def test_retention_removes_objects_after_its_time() -> None:
    assert not NORMAL.forgets(0, math.inf)
    assert [Conditions(retention=10).forgets(5, now) for now in (14.9, 15, 16)] == [False, True, True]


def planned_batch(make_batch: Callable[..., Batch], plan: ItemPlan, **given: Any) -> Batch:
    return make_batch(**given)._replace(plan=plan)


def test_a_plan_fails_items_beside_those_that_markers_fail(make_batch: Callable[..., Batch]) -> None:
    batch = planned_batch(make_batch, ItemPlan(ItemSelector(every=2), 429), texts=["a", "b", "[mock:fail=404]", "d"])

    assert [batch.outcome(index).failure for index in range(4)] == [None, 429, 404, 429]
    assert batch.tally(0) == ItemCounts(successful=1, failed=3)


def test_a_marker_decides_the_status_of_a_failed_item_and_the_plan_whether_it_ends(
    make_batch: Callable[..., Batch],
) -> None:
    texts = ["[mock:fail=404] [mock:slow=5s]", "[mock:slow=5s]"]

    assert [planned_batch(make_batch, ItemPlan(ALL, 429), texts=texts).outcome(index) for index in (0, 1)] == [
        ItemOutcome(404, 5.0),
        ItemOutcome(429, 5.0),
    ]
    assert planned_batch(make_batch, ItemPlan(hang=ALL), texts=texts).outcome(0) == ItemOutcome(slowness=math.inf)


def test_a_plan_applies_when_markers_are_turned_off(make_batch: Callable[..., Batch]) -> None:
    batch = planned_batch(make_batch, ItemPlan(ALL), texts=["[mock:hang]"], applies_markers=False)

    assert batch.tally(0) == ItemCounts(successful=0, failed=1)


@pytest.mark.parametrize(
    "progression", [Progression("immediate"), Progression("time", 10), Progression("polls", 3)], ids=lambda it: it.kind
)
def test_a_batch_with_a_hanging_item_never_ends_and_the_others_do(
    make_batch: Callable[..., Batch], progression: Progression
) -> None:
    batch = planned_batch(make_batch, ItemPlan(hang=ItemSelector(indexes=(1,))), size=3, progression=progression)
    for _ in range(3):
        batch = batch.read_at(5.0)

    assert batch.tally(1e9) == ItemCounts(successful=2, failed=0)
    assert batch.end() == batch.items_end() == math.inf
