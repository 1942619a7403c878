"""YAML at its bounds: numbers that are rounded, keys that stand twice, values that are merged."""

from pathlib import Path
from typing import Any

import pytest

from mockserver.errors import WARNING, Problem, SpecError
from mockserver.openapi import yaml_values
from mockserver.openapi.yaml_values import MAX_DIGITS, MAX_NODES, find_lines, format_yaml, read_yaml

PATH = Path("a.yaml")


def read(content: str) -> tuple[Any, list[Problem]]:
    """The value, and what is noted of it."""
    notes: list[Problem] = []
    return read_yaml(content.encode(), PATH, SpecError, notes), notes


def refusal_of(content: str, notes: list[Problem] | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        read_yaml(content.encode(), PATH, SpecError, notes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"), [(str(2**64), 2.0**64), (str(-(2**63) - 1), -(2.0**63)), ("9" * 299, float("9" * 299))]
)
def test_an_integer_that_is_too_large_is_rounded_and_noted(text: str, value: float) -> None:
    found, notes = read(f"a: 1\nb: {text}\n")

    assert (found["b"], type(found["b"])) == (value, float)
    assert notes == [Problem("a.yaml:2", f"{text} does not fit into 64 bits", WARNING)]


def test_integers_of_64_bits_are_not_rounded() -> None:
    assert read(f"[{2**64 - 1}, {-(2**63)}]") == ([2**64 - 1, -(2**63)], [])


def test_longer_integers_and_large_fractions_are_refused_all_the_same() -> None:
    assert (MAX_NODES, MAX_DIGITS) == (2_000_000, 300)
    message = refusal_of(f"a: {'9' * 300}\n", [])

    assert message == f"a.yaml:1: not YAML: {'9' * 200}"
    assert refusal_of("a: 1e400\n", []) == "a.yaml:1: not YAML: 1e400 is too large"
    assert refusal_of(f"a: {2**64}\n") == f"a.yaml:1: not YAML: {2**64} does not fit into 64 bits"


def test_of_a_key_that_stands_twice_the_last_value_counts_and_it_is_noted() -> None:
    found, notes = read("a: 1\nb: 2\na: 3\n")

    assert found == {"a": 3, "b": 2}
    assert notes == [Problem("a.yaml:3", "the key 'a' stands twice", WARNING)]


def test_so_many_values_may_be_merged_and_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    merged = "a: &a {b: 1, c: 2, d: 3}\ne:\n  <<: [*a, *a, *a, *a]\n"
    monkeypatch.setattr(yaml_values, "MAX_NODES", 12)
    assert read(merged)[0]["e"] == {"b": 1, "c": 2, "d": 3}
    monkeypatch.setattr(yaml_values, "MAX_NODES", 11)
    assert refusal_of(merged) == "a.yaml:3: not YAML: more than 11 values are merged"

    unfolded = "a: &a [1, 2]\nb: [*a, *a, *a]\n"
    monkeypatch.setattr(yaml_values, "MAX_NODES", 14)
    assert read(unfolded)[0]["b"] == [[1, 2]] * 3
    monkeypatch.setattr(yaml_values, "MAX_NODES", 13)
    assert "its aliases unfold into more than 13 values" in refusal_of(unfolded)


def test_lines_are_counted_from_one() -> None:
    assert find_lines(b"a: 1\nb:\n  - c\n", [("a",), ("b", 0), ("b", 1), ("no",), ()]) == [1, 3, 3, 1, 1]
    assert find_lines(b"", [()]) == [None]
    assert find_lines(b"[", [(), ("a",)]) == [None, None]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, "b: 1\na:\n- true\n- null\n"),
        ({"a": "no", "b": "1e3", "c": "1.5", "d": "010", "e": "~"}, "a: 'no'\nb: '1e3'\nc: '1.5'\nd: '010'\ne: '~'\n"),
        ({"a": "x\ny\n"}, "a: |\n  x\n  y\n"),
        ({"a": "\u00e4"}, "a: \u00e4\n"),
    ],
)
def test_values_are_written_for_people(value: Any, text: str) -> None:
    assert format_yaml(value) == text
    assert read(format_yaml(value)) == (value, [])


def test_equal_values_are_written_twice_and_long_texts_are_folded() -> None:
    same = [1]

    assert format_yaml({"a": same, "b": same}) == "a:\n- 1\nb:\n- 1\n"
    assert max(map(len, format_yaml({"a": "word " * 60}).splitlines())) <= 115
