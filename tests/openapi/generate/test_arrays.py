"""Generated arrays: the first items have their own schemas, and enough of the others fit `contains`."""

from typing import Any

import pytest

from mockserver.openapi.generate.values import generate_value

KEYS = [bytes([n]) for n in range(12)]


def arrays(schema: Any) -> list[list[Any]]:
    return [generate_value({"type": "array", **schema}, root={}, key=key) for key in KEYS]


NOUGHT, SEVEN = {"const": 0}, {"const": 7}


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        ({"prefixItems": [NOUGHT], "contains": SEVEN, "minItems": 1, "maxItems": 1}, [0, 7]),
        ({"prefixItems": [NOUGHT], "contains": SEVEN, "minContains": 2, "minItems": 1, "maxItems": 1}, [0, 7, 7]),
        ({"contains": SEVEN, "minContains": 3, "minItems": 1, "maxItems": 1}, [7, 7, 7]),
        ({"contains": SEVEN, "minContains": 1, "items": NOUGHT | {"const": 7}, "minItems": 2, "maxItems": 2}, [7, 7]),
        ({"contains": SEVEN, "minContains": 0, "items": NOUGHT, "minItems": 2, "maxItems": 2}, [0, 0]),
        ({"prefixItems": [NOUGHT, SEVEN], "items": False}, [0, 7]),
        ({"items": SEVEN, "minItems": 3, "maxItems": 3}, [7, 7, 7]),
    ],
)
def test_an_array_has_the_items_that_its_schema_names(schema: Any, found: list[Any]) -> None:
    assert arrays(schema) == [found] * len(KEYS)


@pytest.mark.parametrize(
    ("schema", "sizes"),
    [
        ({}, {1, 2, 3}),
        ({"minItems": 2}, {2, 3, 4}),
        ({"maxItems": 2}, {1, 2}),
        ({"minItems": 2, "maxItems": 2}, {2}),
        ({"maxItems": 0}, {0}),
        ({"prefixItems": [NOUGHT, NOUGHT]}, {2, 3, 4}),
    ],
)
def test_an_array_has_one_to_three_items_or_up_to_two_more_than_its_least(schema: Any, sizes: set[int]) -> None:
    assert {len(each) for each in arrays({"items": SEVEN, **schema})} == sizes
