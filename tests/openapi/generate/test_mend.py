"""Values are mended where they break their schema, and elsewhere stay as they are."""

from typing import Any

import pytest

from mockserver.errors import Violation
from mockserver.openapi.generate import mend
from mockserver.openapi.generate.mend import mended
from mockserver.openapi.generate.steps import TooCostly
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


def test_properties_that_are_mended_in_later_rounds_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "MAX_MENDED", 1)
    names = ("a", "b", "c", "d")
    schema = {"type": "object", "properties": {name: {"const": 1} for name in names}}

    assert mended_by(schema, dict.fromkeys(names, 0)) == dict.fromkeys(names, 1)


def test_a_value_that_would_take_too_long_to_mend_is_mended_as_far_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_costly(*_: Any, **__: Any) -> Any:
        raise TooCostly("it takes too many steps")

    monkeypatch.setattr(mend, "generate_value", too_costly)

    assert mended({"a": 0}, Schema({"properties": {"a": {"const": 1}}}, {}), key=b"k") == {"a": 0}


Made = tuple[Any, list[bytes]]


def made_by(monkeypatch: pytest.MonkeyPatch, value: Any, *rounds: list[tuple[Any, ...]], code: str = "const") -> Made:
    """The value after rounds in which these places do not fit, with `new` for each; and the keys of what was made."""
    keys: list[bytes] = []

    class Scripted:
        def __init__(self) -> None:
            self.document: dict[str, Any] = {}
            self.left = [*rounds]

        def violations(self, _: Any) -> list[Violation]:
            return [Violation(place, code, "") for place in (self.left.pop(0) if self.left else ())]

    def make(*_: Any, key: bytes, **__: Any) -> str:
        keys.append(key)
        return "new"

    monkeypatch.setattr(mend, "generate_value", make)
    made: Any = Scripted()
    return mended(value, made, key=b"k"), keys


def test_a_property_that_never_fits_is_left_out_after_five_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    always: list[list[tuple[Any, ...]]] = [[("a",)]] * 20
    assert made_by(monkeypatch, {"a": 0, "b": 1}, *always) == ({"b": 1}, [b"k%d-0" % n for n in range(5)])
    items: list[list[tuple[Any, ...]]] = [[(0,)]] * 20
    assert made_by(monkeypatch, [0], *items) == (["new"], [b"k%d-0" % n for n in range(9)])
    whole: list[list[tuple[Any, ...]]] = [[()]] * 20
    assert made_by(monkeypatch, {"a": 0}, *whole) == ("new", [b"k%d-0" % n for n in range(9)])


def test_other_properties_get_another_value_in_every_second_round(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[list[tuple[Any, ...]]] = [[("x",)]] * 5 + [[(each,)] for each in "abcd"]

    value, _ = made_by(monkeypatch, dict.fromkeys("abcdx", 0), *rounds)

    assert value == {"b": "new", "d": "new", "x": "new"}


@pytest.mark.parametrize("place", [("no",), ("list", 5), ("a", "b"), ("list", "b"), ("list", 0, 0)])
def test_a_place_that_is_gone_is_passed_over(monkeypatch: pytest.MonkeyPatch, place: tuple[Any, ...]) -> None:
    value = {"a": 0, "list": [1]}

    assert made_by(monkeypatch, value, [place, ("a",)]) == ({"a": "new", "list": [1]}, [b"k0-1"])


@pytest.mark.parametrize("code", ["required", "minProperties"])
def test_an_object_that_lacks_properties_gets_them(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    assert made_by(monkeypatch, {"a": 0}, [()], code=code)[0] == "new"
    assert made_by(monkeypatch, [0], [(0,)], code=code)[0] == ["new"]
