"""What a request prefers: the header `Prefer` as RFC 7240 writes it, and its twins in the query."""

import re

import pytest
from builders import make_request
from hypothesis import given
from hypothesis import strategies as st

from mockserver.openapi.operations import Operation, Parameter
from mockserver.openapi.prefer import MAX_HEADER, NAMES, Preference, preference_applied, read_preference
from mockserver.openapi.schema import Schema

OPERATION = Operation("op", "GET", "/x", "", "", (), None, False, {})


def read(header: str = "", query: str = "") -> Preference | None:
    request = make_request("GET", "/x", query=query, headers={"prefer": header} if header else {})
    return read_preference(OPERATION, request)[0]


@pytest.mark.parametrize(
    ("header", "preference"),
    [
        ("code=402", Preference(402)),
        ("Code = 402", Preference(402)),
        ('code="402"', Preference(402)),
        ("code=402, example=empty", Preference(402, "empty")),
        ('example="two words, and a \\"quote\\"", code=200', Preference(200, 'two words, and a "quote"')),
        ("dynamic", Preference(dynamic=True)),
        ("dynamic=true, seed=7", Preference(dynamic=True, seed="7")),
        ("dynamic=false", Preference(dynamic=False)),
        ("code=402; why=test; other, example=a", Preference(402, "a")),
        ("code=402, code=500", Preference(402)),
        ("respond-async, wait=10, code=402", Preference(402)),
        ("respond-async, wait=10", None),
        ('return=minimal; foo="code=402"', None),
        ('foo="code=402, code=500"', None),
        (",,;=code=", None),
        ('code="402', None),
        ("code=" + "4" * MAX_HEADER, None),
    ],
)
def test_the_header_is_read_as_the_rfc_writes_it(header: str, preference: Preference | None) -> None:
    assert read(header) == preference


@pytest.mark.parametrize(
    ("query", "preference", "rest"),
    [
        ("__code=402", Preference(402), ""),
        ("id=1&__code=402&z=%20&__example=a+b", Preference(402, "a b"), "id=1&z=%20"),
        ("__dynamic&__seed=7", Preference(dynamic=True, seed="7"), ""),
        ("__code=402&__code=500", Preference(500), ""),
        ("__id=1&code=402", None, "__id=1&code=402"),
    ],
)
def test_preferences_in_the_query_are_read_and_removed(query: str, preference: Preference | None, rest: str) -> None:
    found, request = read_preference(OPERATION, make_request("GET", "/x", query=query))

    assert found == preference
    assert request.query == rest


def test_a_preference_in_the_query_has_precedence_over_the_header() -> None:
    assert read("code=402, example=a", "__code=500") == Preference(500, "a")


def test_a_documented_argument_is_not_taken_for_a_preference() -> None:
    parameter = Parameter("__code", "query", False, False, {}, Schema({}, {}))
    operation = Operation("op", "GET", "/x", "", "", (parameter,), None, False, {})

    assert read_preference(operation, make_request("GET", "/x", query="__code=402"))[0] is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("code=abc", "code is 'abc'"),
        ("code=99", "200 to 599"),
        ("code=600", "200 to 599"),
        ("code", "code is ''"),
        ("dynamic=maybe", "dynamic is 'maybe'"),
        ("seed", "seed is ''"),
        ("seed=" + "7" * 201, "up to 200"),
        ('example=""', "example is empty"),
    ],
)
def test_an_invalid_preference_is_rejected_with_a_reason(header: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read(header)


@pytest.mark.parametrize("seed", ["%0d%0aX-Evil:1", "%C3%A9", "%00", "%7F"])
def test_a_seed_cannot_break_out_of_a_header(seed: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        read(query=f"__seed={seed}")


@pytest.mark.parametrize("header", ['"\\"' * 1000, "a=" * 2000, '"' * 4095, "code=1;" * 500, " " * 4096, '=",' * 1300])
def test_a_header_made_to_be_slow_is_read_at_once(header: str) -> None:
    try:
        read(header)
    except ValueError as error:
        assert "code" in str(error)


@given(st.text("code=example,;\"\\ 402'", max_size=60))
def test_any_prefer_header_is_read_or_rejected(header: str) -> None:
    try:
        found = read(header)
    except ValueError as error:
        assert str(error).startswith("The preference ")
    else:
        assert found is None or set(found._asdict()) == set(NAMES)


@given(st.text(max_size=40).filter(bool))
def test_preference_applied_is_one_line_that_parses_back(example: str) -> None:
    said = preference_applied(Preference(402, example), code=402, example=example, source="example")

    assert said.isascii()
    assert said.isprintable()
    if example.isascii() and example.isprintable():
        assert read(said) == Preference(402, example)


@pytest.mark.parametrize(
    ("preference", "source", "said"),
    [
        (Preference(402), "example", "code=402"),
        (Preference(dynamic=True, seed="7"), "generated", "dynamic=true, seed=7"),
        (Preference(dynamic=True, seed="7"), "example", ""),
        (Preference(dynamic=False), "example", "dynamic=false"),
        (Preference(dynamic=False), "generated", ""),
        (Preference(seed="a b"), "generated", 'seed="a b"'),
    ],
)
def test_preference_applied_lists_applied_preferences_only(preference: Preference, source: str, said: str) -> None:
    assert preference_applied(preference, code=402, example="", source=source) == said
