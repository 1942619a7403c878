"""Regular expressions match in linear time, and what cannot do so is refused in words."""

from typing import Any

import pytest

from mockserver.errors import SpecError
from mockserver.openapi.regex import PatternError, compile_pattern, is_regular_expression, pattern_weight
from mockserver.openapi.schema import Schema

NAMES = {"type": "object", "patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("(?i)HELLO", "say hello", True),
        ("^(?:yes|no)$", "no", True),
        (r"^\d{4}-\d{2}$", "2026-07", True),
        (r"\p{Lu}", "straße Ä", True),
        (r"\u00e9", "é", True),
        ("", "", True),
        (r"^[^@\s]+@[^@\s]+$", "ann@example.com", True),
    ],
)
def test_the_syntax_of_json_schema_is_understood(pattern: str, text: str, is_found: bool) -> None:
    assert compile_pattern(pattern).found_in(text) is is_found


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a|b)\1", "backreference"),
        ("(", "is not a regular expression"),
        ("a{1000000}", "too large"),
        ("(((((a{9}){9}){9}){9}){9}){9}", "too large"),
        (r"(\p{L}{99}){99}", "too large"),
        ("(a|b)" * 50_000, "has 250000 characters; a pattern has at most 5000"),
        ("()" * 500, "has 500 groups; a pattern has at most 100"),
        ("\ud800", "is not a regular expression"),
    ],
)
def test_a_pattern_that_is_too_costly_is_rejected_with_a_message(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why) as problem:
        compile_pattern(pattern)

    assert len(str(problem.value)) < 300


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(([a-z])+.)+[A-Z]$", "(a|aa)+$", "(.*)*x", "^(a?){30}a{30}$"])
def test_patterns_that_backtrack_elsewhere_take_no_time(pattern: str) -> None:
    assert compile_pattern(pattern).found_in("a" * 100_000 + "!") is False


def test_a_larger_pattern_weighs_more() -> None:
    assert pattern_weight("a") < pattern_weight("[a-z]{900}") < pattern_weight(r"\p{L}{20}")


def test_the_format_regex_accepts_expressions_beyond_the_linear_engine() -> None:
    assert is_regular_expression("^(?!a)(b)\\1$")
    assert not is_regular_expression("(")
    assert not is_regular_expression("a" * 1_000_000)
    assert Schema({"type": "string", "format": "regex"}, {}).violations("((((" * 20_000)


@pytest.mark.parametrize(("pattern", "why"), [("^(?!a)", "look-around"), ("(", "is not a regular expression")])
def test_a_document_s_pattern_that_is_not_supported_is_named(pattern: str, why: str) -> None:
    definitions: list[dict[str, Any]] = [{"pattern": pattern}, {"items": {"patternProperties": {pattern: {}}}}]
    for definition in definitions:
        with pytest.raises(SpecError, match=why):
            Schema(definition, {}).check_usable()


def test_names_are_explained_in_linear_time() -> None:
    name = "a" * 50_000 + "!"
    schema = Schema(NAMES, {})

    assert [each.code for each in schema.violations({name: 1})] == ["additionalProperties"]
    assert [each.code for each in schema.violations({"aa": "x"})] == ["type"]
    assert schema.violations({"aa": 1}) == []


def test_unevaluated_names_are_explained_in_linear_time() -> None:
    closed = {"allOf": [{"patternProperties": {"^(a+)+$": {}}}], "unevaluatedProperties": False}
    schema = Schema(closed, {})

    assert [each.code for each in schema.violations({"a" * 50_000 + "!": 1})] == ["unevaluatedProperties"]
    assert schema.violations({"aa": 1}) == []


@pytest.mark.parametrize("size", [100, 1_000, 4_000])
def test_a_pattern_that_is_large_by_its_counts_is_told_so_however_large_it_is_without(size: int) -> None:
    text = "(?:" + "".join(chr(0x4E00 + n) for n in range(size)) + "){20000}"

    with pytest.raises(PatternError, match="is too large: with its counts it compiles to more than 1048576 bytes"):
        compile_pattern(text)
