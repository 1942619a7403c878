"""Searches of the journal: each fact of an exchange counts, and the order of several."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.http import Request, Response
from mockserver.openapi.schema import Schema
from mockserver.sandbox.journal import Exchange
from mockserver.sandbox.stubs.search import SEARCH_PROPERTIES, find_order, read_search

REQUEST = Request("POST", "/v1/batches/b1/cancel", "a=1&a=2&b=", {"x-name": "me"}, b'{"a":{"b":1,"c":[1,2]}}')
EXCHANGE = Exchange(5, 0.0, "cancelBatch", REQUEST, Response(409, source="fixture:a.yaml#2"), "conflict", ())


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"operation": "cancelBatch"}, {"operation": "cancel"}),
        ({"operation": "cancelBatch"}, {"operation": ""}),
        ({"method": "post"}, {"method": "GET"}),
        ({"path": "/v1/batches/b1/cancel"}, {"path": "/v1/batches/b1"}),
        ({"path": "/v1/batches/*/cancel"}, {"path": "/v1/*/cancel"}),
        ({"query": {"a": "2", "b": ""}}, {"query": {"a": "3"}}),
        ({"query": {"b": "*"}}, {"query": {"c": "*"}}),
        ({"header": {"X-Name": "me"}}, {"header": {"X-Name": "you"}}),
        ({"body": {"a": {"b": 1}}}, {"body": {"a": {"b": True}}}),
        ({"body": {"a": {"c": [1, 2]}}}, {"body": {"a": {"c": [1]}}}),
        ({"body_at": {"/a/c/1": 2}}, {"body_at": {"/a/c/2": 2}}),
        ({"status": 409}, {"status": 40}),
        ({"status": "4xx"}, {"status": "5XX"}),
        ({"reason": "conflict"}, {"reason": ""}),
        ({"source": "fixture:a.yaml#2"}, {"source": "fixture:a.yaml"}),
        ({"source": "fixture:*"}, {"source": "gen*"}),
        ({"source": "fixture:a.yaml#2*"}, {"source": "fixture:b*"}),
        ({"source": "*"}, {"source": "fixture:a.yaml#3*"}),
        ({"status": "4XX"}, {"status": "3xx"}),
        ({"since": 5, "until": 5}, {"since": 6}),
        ({"until": 9}, {"until": 4}),
        ({}, {"status": 409, "method": "GET"}),
    ],
)
def test_an_exchange_is_found_by_each_field(good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert read_search(good).finds(EXCHANGE)
    assert not read_search(bad).finds(EXCHANGE)


@pytest.mark.parametrize("status", [200, 299, 300, 399, 400, 499, 500, 599])
def test_a_class_of_statuses_is_a_hundred_of_them(status: int) -> None:
    exchange = EXCHANGE._replace(response=Response(status))

    assert [n for n in range(1, 6) if read_search({"status": f"{n}XX"}).finds(exchange)] == [status // 100]


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [("status", 100, 599), ("since", 0, None), ("until", 0, None)],
)
def test_a_number_of_a_search_has_bounds(field: str, least: int, most: int | None) -> None:
    schema = Schema(SEARCH_PROPERTIES[field], {})

    assert schema.accepts(least)
    assert not schema.accepts(least - 1)
    assert most is None or (schema.accepts(most) and not schema.accepts(most + 1))


@pytest.mark.parametrize("field", ["operation", "reason", "source"])
def test_a_text_of_a_search_has_at_most_2048_characters(field: str) -> None:
    schema = Schema(SEARCH_PROPERTIES[field], {})

    assert schema.accepts("x" * 2048)
    assert not schema.accepts("x" * 2049)


def test_an_empty_operation_finds_unmatched_requests() -> None:
    assert read_search({"operation": ""}).finds(EXCHANGE._replace(operation=""))


@pytest.mark.parametrize("place", [{"body": 0}, {"body_at": {"/a": 0}}])
def test_a_body_nested_too_deeply_is_refused(place: dict[str, Any]) -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    wanted = {"body": deep} if "body" in place else {"body_at": {"/a": deep}}

    with pytest.raises(ValueError, match="too deeply"):
        read_search(wanted)


def exchanges(paths: str) -> list[Exchange]:
    return [
        Exchange(number, 0.0, "", Request("GET", f"/{name}"), Response(200), "", ())
        for number, name in enumerate(paths, 1)
    ]


@pytest.mark.parametrize(
    ("seen", "wanted", "numbers", "missing"),
    [
        ("abc", "abc", (1, 2, 3), None),
        ("xaxbxc", "abc", (2, 4, 6), None),
        ("acb", "abc", (1, 3), 2),
        ("ab", "ba", (2,), 1),
        ("a", "aa", (1,), 1),
        ("", "a", (), 0),
    ],
)
def test_an_order_holds_or_names_the_first_missing_request(
    seen: str, wanted: str, numbers: tuple[int, ...], missing: int | None
) -> None:
    found = find_order([read_search({"path": f"/{name}"}) for name in wanted], exchanges(seen))

    assert (found.numbers, found.missing) == (numbers, missing)


@settings(derandomize=True)
@given(st.text("ab", max_size=8), st.text("ab", min_size=1, max_size=4))
def test_an_order_holds_exactly_for_subsequences(seen: str, wanted: str) -> None:
    rest = iter(seen)
    is_subsequence = all(name in rest for name in wanted)

    found = find_order([read_search({"path": f"/{name}"}) for name in wanted], exchanges(seen))

    assert (found.missing is None) == is_subsequence
