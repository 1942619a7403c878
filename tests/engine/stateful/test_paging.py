"""Which part of a list the paging parameters select."""

from typing import Any

import pytest

from mockserver.engine.stateful.paging import DEFAULT_SIZE, counts, filtered, page_of

ITEMS = [{"id": str(n), "color": "red" if n % 2 else "blue"} for n in range(250)]


def ids(arguments: dict[str, Any]) -> list[int]:
    return [int(each["id"]) for each in page_of(ITEMS, arguments, "id").items]


@pytest.mark.parametrize(
    ("arguments", "selected"),
    [
        ({}, range(DEFAULT_SIZE)),
        ({"limit": 3}, range(3)),
        ({"per_page": 3, "page": 1}, range(3)),
        ({"per_page": 3, "page": 2}, range(3, 6)),
        ({"limit": 2, "page": 0}, range(2)),
        ({"limit": 2, "offset": 5}, range(5, 7)),
        ({"limit": 2, "after": "7"}, range(8, 10)),
        ({"limit": 2, "after": "unknown", "offset": 4}, range(4, 6)),
        ({"limit": 0}, range(0)),
        ({"limit": 10, "offset": 245}, range(245, 250)),
    ],
)
def test_paging_parameters_select_a_part(arguments: dict[str, Any], selected: range) -> None:
    assert ids(arguments) == list(selected)


@pytest.mark.parametrize("value", ["3", "many", True, False, -1, 2.0, None, [3]])
def test_a_size_that_is_no_whole_number_is_ignored(value: Any) -> None:
    assert ids({"limit": value}) == list(range(DEFAULT_SIZE))
    assert ids({"limit": value, "per_page": 4}) == list(range(4))


@pytest.mark.parametrize(("offset", "has_more"), [(0, True), (247, True), (248, False), (300, False)])
def test_a_page_says_whether_more_follow(offset: int, has_more: bool) -> None:
    page = page_of(ITEMS, {"limit": 2, "offset": offset}, "id")

    assert page.has_more is has_more
    assert counts(page, {"total": {}, "hasMore": {}, "data": {}}) == {"total": 250, "hasMore": has_more}


def test_arguments_filter_by_properties_of_the_same_name() -> None:
    blue = filtered(ITEMS, {"color": "blue", "limit": 1}, ["color", "limit"])

    assert {each["color"] for each in blue} == {"blue"}
    assert len(blue) == 125
    assert filtered(ITEMS, {"color": ["red", "blue"]}, ["color"]) == ITEMS
    assert filtered(ITEMS, {"shape": "round"}, ["shape"]) == ITEMS
