"""Which items of a batch a condition selects."""

import pytest

from mockserver.sandbox.conditions import InputRejection, ItemPlan, ItemSelector


@pytest.mark.parametrize(
    ("selector", "taken"),
    [
        (ItemSelector(every=1), [0, 1, 2, 3, 4, 5]),
        (ItemSelector(every=3), [2, 5]),
        (ItemSelector(indexes=(0, 4)), [0, 4]),
        (ItemSelector(indexes=(5, 9)), [5]),
        (ItemSelector(), []),
        (ItemSelector(share=1.0), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_a_selector_takes_its_items(selector: ItemSelector, taken: list[int]) -> None:
    assert [index for index in range(6) if selector.takes(index, b"key")] == taken


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
def test_a_share_takes_about_its_part_of_the_items(share: float) -> None:
    taken = sum(ItemSelector(share=share).takes(index, b"key") for index in range(4000))

    assert taken == pytest.approx(4000 * share, abs=100)


def test_a_share_takes_other_items_of_another_batch() -> None:
    plan = ItemPlan(fail=ItemSelector(share=0.5), hang=ItemSelector(share=0.5), status=503)

    failed = [[plan.failure(index, batch) for index in range(100)] for batch in ("a", "b", "a")]
    hung = [[plan.hangs(index, batch) for index in range(100)] for batch in ("a", "b", "a")]

    assert failed[0] == failed[2] != failed[1]
    assert hung[0] == hung[2] != hung[1]
    assert set(failed[0]) == {None, 503}
    assert [each is not None for each in failed[0]] != hung[0]


def test_a_plan_without_selectors_changes_no_item() -> None:
    assert ItemPlan().failure(0, "a") is None
    assert not ItemPlan().hangs(0, "a")
    assert ItemPlan().status == 500
    assert InputRejection("bad").code == "bad"
