"""Admin calls as values: counts in a query, what pins a sandbox, what is large, and violations without repetitions."""

from types import SimpleNamespace
from typing import Any

import pytest

from mockserver.errors import Violation
from mockserver.web.admin.call import (
    LARGE_COLLECTION,
    LARGE_JOURNAL,
    MAX_ROWS,
    AdminRefusal,
    AdminRoute,
    deduplicated,
    is_large_sandbox,
    object_schema,
    or_422,
    read_count,
)


def make_call(**query: str) -> Any:
    return SimpleNamespace(query=query)


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("007", 7), ("1000", 1000), (None, 50)],
)
def test_a_count_in_a_query(text: str | None, count: int) -> None:
    assert MAX_ROWS == 1000
    assert read_count(make_call(**({"limit": text} if text else {})), "limit", 50, MAX_ROWS) == count


@pytest.mark.parametrize("text", ["", "1001", "-1", "1.0", "1_0", "\u0661", "x" * 200, "0" * 18])
def test_another_count_is_refused(text: str) -> None:
    with pytest.raises(AdminRefusal) as caught:
        read_count(make_call(limit=text), "limit", 50, MAX_ROWS)

    assert (caught.value.status, caught.value.detail) == (
        400,
        f"limit is {text[:100]!r}; wanted a whole number up to 1000.",
    )


def test_seventeen_digits_are_a_count() -> None:
    assert read_count(make_call(after="0" * 16 + "5"), "after", 0, 2**53) == 5


def test_every_method_but_get_pins_the_sandbox_unless_the_route_says_otherwise() -> None:
    found = {
        (method, opens): AdminRoute(method, "/x", lambda _: None, opens=opens).sets_up
        for method in ("GET", "POST", "DELETE")
        for opens in (None, True, False)
    }

    assert {key for key, sets_up in found.items() if sets_up} == {
        ("POST", None),
        ("DELETE", None),
        *((method, True) for method in ("GET", "POST", "DELETE")),
    }


def make_sandbox(*, journal: int = 0, collection: int = 0, rules: tuple[int, ...] = (), outbox: Any = None) -> Any:
    return SimpleNamespace(
        journal=SimpleNamespace(held=journal),
        largest_collection=collection,
        rules=SimpleNamespace(installed=[SimpleNamespace(size=size) for size in rules]),
        outbox=None if outbox is None else SimpleNamespace(counts=lambda: outbox),
    )


@pytest.mark.parametrize(
    ("sandbox", "is_large"),
    [
        ({}, False),
        ({"journal": 262_144}, False),
        ({"journal": 262_145}, True),
        ({"collection": 200}, False),
        ({"collection": 201}, True),
        ({"rules": (262_144 - 1000,)}, False),
        ({"rules": (262_144 - 999,)}, True),
        ({"rules": (100_000, 160_144)}, False),
        ({"rules": (100_000, 160_145)}, True),
        ({"outbox": (100, 100)}, False),
        ({"outbox": (100, 101)}, True),
    ],
)
def test_a_sandbox_is_large_by_what_it_holds(sandbox: dict[str, Any], is_large: bool) -> None:
    assert (LARGE_JOURNAL, LARGE_COLLECTION) == (262_144, 200)
    assert is_large_sandbox(make_sandbox(**sandbox)) is is_large


def test_an_object_has_its_properties_and_no_others() -> None:
    schema = object_schema("a", a={"type": "integer"}, b={})

    values: list[Any] = [{"a": 1}, {"a": 1, "b": 2}, {}, {"a": "x"}, {"a": 1, "c": 2}, []]
    assert [schema.accepts(value) for value in values] == [True, True, False, False, False, False]
    assert object_schema(b={}).accepts({})
    assert not object_schema(b={}, at_least=1).accepts({})


def test_a_value_error_is_a_422() -> None:
    def fail() -> None:
        raise ValueError("the clock never goes back")

    with pytest.raises(AdminRefusal) as caught:
        or_422(fail)

    assert (caught.value.status, caught.value.detail) == (422, "the clock never goes back.")


PLACE = ("body", "a")
NO_WAY = "5 is not valid under any of the given schemas"


@pytest.mark.parametrize(
    ("violations", "kept"),
    [
        ([Violation(PLACE, "type", "t"), Violation(PLACE, "enum", "e"), Violation(("body",), "required", "r")],
         [(PLACE, "t"), (("body",), "r")]),
        ([Violation(PLACE, "enum", "e"), Violation(PLACE, "const", "e"), Violation(PLACE, "enum", "f")],
         [(PLACE, "e"), (PLACE, "f")]),
        ([Violation(PLACE, "type", "t"), Violation(PLACE, "type", "u")], [(PLACE, "t"), (PLACE, "u")]),
        ([Violation(PLACE, "anyOf", NO_WAY, {"description": "this or that"})],
         [(PLACE, "5 fits no alternative (this or that)")]),
        ([Violation(PLACE, "oneOf", NO_WAY, {"description": "this or that"})],
         [(PLACE, "5 fits no alternative (this or that)")]),
        ([Violation(PLACE, "oneOf", NO_WAY)], [(PLACE, NO_WAY)]),
        ([Violation(PLACE, "enum", NO_WAY, {"description": "this"})], [(PLACE, NO_WAY)]),
    ],
)  # fmt: skip
def test_violations_are_told_once_and_only_the_type_where_that_is_wrong(violations: Any, kept: Any) -> None:
    assert [(each.location, each.message) for each in deduplicated(violations)] == kept
