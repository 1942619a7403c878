"""Values are mended where they break their schema, and elsewhere stay as they are."""

from typing import Any

import pytest

from mockserver.openapi.generate import mend
from mockserver.openapi.generate.mend import mended
from mockserver.openapi.schema import Schema

WHOLE, TEXT = {"type": "integer"}, {"type": "string"}


def mended_by(schema: Any, value: Any) -> Any:
    made = Schema(schema, {"components": {"schemas": {"Known": {"properties": {"a": WHOLE}}}}})
    found = mended(value, made, key=b"k")
    assert made.violations(found) == []
    return found


@pytest.mark.parametrize(
    ("schema", "value", "found"),
    [
        ({"const": 5}, 4, 5),
        ({"type": "array", "items": {"const": 5}}, [5, 4, "x"], [5, 5, 5]),
        ({"properties": {"a": {"const": 5}}}, {"a": 1, "b": 2}, {"a": 5, "b": 2}),
        ({"properties": {"a": WHOLE}, "additionalProperties": False}, {"a": 1, "b": 2}, {"a": 1}),
        ({"properties": {"a": WHOLE}, "unevaluatedProperties": False}, {"a": 1, "b": 2}, {"a": 1}),
        ({"required": ["b"], "properties": {"a": WHOLE, "b": {"const": 3}}}, {"a": 1}, {"a": 1, "b": 3}),
        ({"type": "object", "properties": {"a": {"not": {}}}}, {"a": 1, "b": 2}, {"b": 2}),
        ({"properties": {"o": {"properties": {"a": {"const": 5}}}}}, {"o": {"a": 1, "b": 2}}, {"o": {"a": 5, "b": 2}}),
        ({"type": "array", "maxItems": 1, "items": {"const": 1}}, [1, 1, 1], None),
    ],
)
def test_a_part_that_breaks_the_schema_is_another_and_the_rest_stays(schema: Any, value: Any, found: Any) -> None:
    made = mended_by(schema, value)

    assert found is None or made == found


def test_the_value_itself_stays_as_it_was() -> None:
    value = {"a": {"b": 1}}

    assert mended(value, Schema({"properties": {"a": {"properties": {"b": {"const": 2}}}}}, {}), key=b"k") != value
    assert value == {"a": {"b": 1}}


def test_each_place_is_mended_by_a_value_of_its_own_and_the_same_on_every_run() -> None:
    schema = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 10**9}}

    first, second = mended_by(schema, ["x"] * 9), mended_by(schema, ["x"] * 9)

    assert first == second
    assert len(set(first)) == 9


def test_as_many_parts_are_mended_at_once_as_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "MAX_MENDED", 2)
    monkeypatch.setattr(mend, "ROUNDS", 3)
    schema = Schema({"items": {"const": 1}}, {})

    assert mended([0] * 8, schema, key=b"k") == [1] * 6 + [0] * 2
