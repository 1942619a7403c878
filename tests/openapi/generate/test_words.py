"""Words: suited to a name or a format, in range, and never another draw than before."""

import re
from typing import Any

import pytest

from mockserver.openapi.generate.values import WordGenerator, generate_value

KEYS = [bytes([n]) for n in range(40)]


def make(schema: dict[str, Any], key: bytes = b"key") -> Any:
    return generate_value(schema, root={}, key=key)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("email", r"[a-z.'-]+@[a-z.]+"),
        ("workEmail", r"[a-z.'-]+@[a-z.]+"),
        ("first_name", r"[A-Z][a-z]+"),
        ("callback-url", r"https://([a-z]+\.)?example\.(com|org|net)/.+"),
        ("country", "[A-Z]{2}"),
        ("createdAt", r"2026-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("phone", r"\+1-202-555-01\d\d"),
        ("userName", "[a-z]+"),
        ("company", r"[A-Z].* .+"),
        ("author", r"[A-Z]\w+ [A-Z].+"),
        ("address", r"\d+ [A-Z].* Street, [A-Z].+"),
        ("street", r"\d+ [A-Z].* Street"),
        ("city", "[A-Z].+"),
        ("title", "[A-Z][a-z]+ [a-z]+ [a-z]+"),
        ("description", r"([A-Z][^.]+\. ?){3}"),
        ("id", "[0-9a-f]{24}"),
        ("status", "[a-z]+"),
    ],
)
def test_the_name_of_a_property_determines_its_generated_text(name: str, pattern: str) -> None:
    schema = {"type": "object", "required": [name], "properties": {name: {"type": "string"}}}

    for key in KEYS:
        assert re.fullmatch(pattern, make(schema, key)[name])


@pytest.mark.parametrize(
    "name", ["iso-3166-1-alpha-2", "language", "json-pointer", "relative-json-pointer", "uri-template"]
)
def test_a_format_without_a_checker_here_is_still_in_shape(name: str) -> None:
    shapes = {"iso-3166-1-alpha-2": "[A-Z]{2}", "language": "[a-z]{2}", "json-pointer": "(/[a-z]+){2}"}
    shapes |= {"relative-json-pointer": r"\d/[a-z]+", "uri-template": r"https://[a-z.]+/\{[a-z]+\}"}

    assert re.fullmatch(shapes[name], make({"type": "string", "format": name}))


def test_generated_words_stay_in_their_ranges() -> None:
    words = WordGenerator(b"ranges")

    assert {words.integer(0, 3) for _ in range(200)} == {0, 1, 2, 3}
    assert all(0 <= words.integer(0, 10**30) <= 10**30 for _ in range(100))
    assert len({words.integer(0, 10**30) for _ in range(100)}) == 100
    assert words.integer(7, 7) == 7


def test_names_of_servers_are_reserved_for_examples() -> None:
    words = WordGenerator(b"domains")

    for _ in range(100):
        assert re.search(r"(^|\.)example\.(com|org|net)$", words.domain())


def test_seeded_random_values_never_change() -> None:
    words = WordGenerator(b"golden")

    assert [words.integer(0, 999) for _ in range(5)] == GOLDEN
    assert make({"type": "string", "format": "uuid"}, b"golden") == GOLDEN_UUID


GOLDEN = [710, 906, 857, 648, 958]
GOLDEN_UUID = "be835684-e7f2-4231-9518-cc68b5cf8660"


def test_a_text_is_cut_to_its_length_but_never_after_a_space() -> None:
    words = WordGenerator(b"cut")

    assert words.fitted("one two", 0, 3) == "one"
    assert words.fitted("one two", 0, 4) == "one."
    assert words.fitted("one two", 7, 7) == "one two"
    assert len(words.fitted("one", 50, None)) >= 50
