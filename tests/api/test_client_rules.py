"""What the sandbox tells rules about clients."""

from mockserver.api.client_rules import RejectedItems


def test_all_rejected_items_are_counted_and_three_are_shown() -> None:
    rejected = RejectedItems()
    for number in range(1, 6):
        rejected = rejected.with_item(f"line {number}", "is wrong")

    assert rejected == RejectedItems(5, ("line 1: is wrong", "line 2: is wrong", "line 3: is wrong"))


def test_an_example_of_a_rejected_item_has_at_most_300_characters() -> None:
    (example,) = RejectedItems().with_item("line 1", "é" * 400).examples

    assert example == "line 1: " + "é" * 292
