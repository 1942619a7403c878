"""Texts for people: the nearest name, tables, counts."""

import pytest

from mockserver.text import did_you_mean, format_count, format_location, format_table, nearest, without_passwords

KNOWN = ("operation", "operationId", "times", "priority_level", "x", "Xylophone")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("op", "operation"),
        ("operationI", "operationId"),
        ("operatoin", "operation"),
        ("Time", "times"),
        ("priority-level", "priority_level"),
        ("PRIORITY", "priority_level"),
        ("xy", "Xylophone"),
        ("x", "x"),
        ("t", ""),
        ("nothing", ""),
        ("", ""),
    ],
)
def test_the_nearest_known_name_is_found(word: str, name: str) -> None:
    assert nearest(word, KNOWN) == name


def test_a_beginning_is_near_only_where_it_may_be() -> None:
    assert nearest("op", KNOWN, by_beginning=False) == ""
    assert nearest("operations", KNOWN, by_beginning=False) == "operation"


def test_of_two_spellings_the_first_known_is_named() -> None:
    assert nearest("max", ["MAX", "max", "Max"]) == "MAX"


def test_two_hundred_characters_of_a_word_are_compared() -> None:
    assert nearest("a" * 200 + "b" * 9, ["a" * 200]) == "a" * 200
    assert nearest("a" * 199 + "b" + "a" * 9, ["a" * 199 + "b"]) == "a" * 199 + "b"


def test_a_suggestion_is_a_clause() -> None:
    assert did_you_mean("tims", KNOWN) == "; did you mean times?"
    assert did_you_mean("nothing", KNOWN) == ""


@pytest.mark.parametrize(("number", "text"), [(0, "0 errors"), (1, "1 error"), (2, "2 errors")])
def test_a_count_agrees_with_its_number(number: int, text: str) -> None:
    assert format_count(number, "error") == text


def test_a_table_has_columns_as_wide_as_their_widest_cell() -> None:
    assert format_table([("a", "bb", ""), ("ccc", "d", "e")]) == ["a    bb", "ccc  d   e"]


def test_a_table_has_as_many_cells_in_each_row() -> None:
    with pytest.raises(ValueError, match="shorter than argument 1"):
        format_table([("a", "b"), ("c",)])


def test_a_location_has_dots_and_brackets() -> None:
    assert format_location(("a", 0, "b", 1)) == "a[0].b[1]"
    assert format_location(()) == ""


def test_what_stands_before_the_host_of_a_url_is_hidden() -> None:
    assert without_passwords("redis://user:p@ss@host:1/0 and a@b") == "redis://[redacted]@host:1/0 and a@b"
    assert without_passwords("mail a@b") == "mail a@b"
