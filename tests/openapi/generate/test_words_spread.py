"""Words reach everything they may draw, and nothing else: both ends of each range, every list, every frame."""

import re
from collections.abc import Callable

import pytest

from mockserver.openapi.generate.words import ENDINGS, HOSTS, SENTENCES, UNWANTED, WordGenerator, text_for, word_lists


def drawn(make: Callable[[WordGenerator], str], times: int = 3000) -> list[str]:
    words = WordGenerator(b"many")
    return [make(words) for _ in range(times)]


@pytest.mark.parametrize(
    ("format_", "pattern", "low", "high"),
    [
        ("ipv4", r"203\.0\.113\.(\d+)", 1, 254),
        ("duration", r"PT(\d+)M", 1, 59),
        ("relative-json-pointer", r"(\d+)/[a-z]+", 0, 3),
    ],
)
def test_numbers_in_formats_reach_both_ends(format_: str, pattern: str, low: int, high: int) -> None:
    found = [re.fullmatch(pattern, text) for text in drawn(lambda words: text_for(words, format_=format_, name=""))]

    numbers = {int(match[1]) for match in found if match}
    assert None not in found
    assert (min(numbers), max(numbers), len(numbers)) == (low, high, high - low + 1)


def test_phones_and_streets_reach_both_ends() -> None:
    assert {text[-4:] for text in drawn(WordGenerator.phone)} == {f"01{n:02}" for n in range(100)}
    streets = drawn(lambda words: text_for(words, format_="", name="street"))
    assert {int(text.split()[0]) for text in streets} == set(range(1, 100))


def test_ipv6_has_one_group_that_is_not_zero() -> None:
    groups = [
        int(text.removeprefix("2001:db8::"), 16) for text in drawn(lambda w: text_for(w, format_="ipv6", name=""))
    ]

    assert min(groups) >= 1
    assert max(groups) <= 0xFFFF
    assert (min(groups) < 100, max(groups) > 0xFF00) == (True, True)


def test_moments_are_seconds_of_the_year_2026() -> None:
    moments = drawn(lambda words: f"{words.moment():%Y-%m-%dT%H:%M:%S}")

    assert {text[:4] for text in moments} == {"2026"}
    assert {text[5:7] for text in moments} == {f"{n:02}" for n in range(1, 13)}
    assert {text[8:10] for text in moments} == {f"{n:02}" for n in range(1, 32)}
    assert {text[11:13] for text in moments} == {f"{n:02}" for n in range(24)}
    assert {text[17:] for text in moments} == {f"{n:02}" for n in range(60)}


@pytest.mark.parametrize("fraction", [0.0, 1 - 2**-53])
def test_the_first_and_the_last_draw_stay_in_range(fraction: float, monkeypatch: pytest.MonkeyPatch) -> None:
    words = WordGenerator(b"x")
    monkeypatch.setattr(words, "_draw", lambda: fraction)

    assert words.integer(5, 8) == (5 if fraction == 0 else 8)
    assert words.pick("abc") == ("a" if fraction == 0 else "c")
    assert f"{words.moment():%m-%dT%H:%M:%S}" == ("01-01T00:00:00" if fraction == 0 else "12-31T23:59:59")
    assert words.chance(1.0)
    assert not words.chance(0.0)


def test_large_integers_cover_their_range() -> None:
    words = WordGenerator(b"large")
    for low, high in ((0, 2**32 - 1), (0, 2**32), (-(2**70), 2**70)):
        numbers = [words.integer(low, high) for _ in range(2000)]
        assert low <= min(numbers) < low + (high - low) // 100
        assert high - (high - low) // 100 < max(numbers) <= high


def test_hexadecimal_texts_have_the_requested_length_and_all_digits_occur() -> None:
    texts = drawn(lambda words: words.hexadecimal(3))

    assert {len(text) for text in texts} == {3}
    assert {text[0] for text in texts} == set("0123456789abcdef")


def test_three_of_ten_domains_have_no_subdomain_and_all_hosts_occur() -> None:
    domains = drawn(WordGenerator.domain)

    assert 700 < sum(domain in HOSTS for domain in domains) < 1100
    assert {domain[-4:] for domain in domains} == {".com", ".org", ".net"}


def test_every_sentence_frame_occurs_and_no_unwanted_word() -> None:
    sentences = drawn(WordGenerator.sentence)
    patterns = [re.escape(frame).replace("%s", "([a-z-]+)") for frame, _ in SENTENCES]

    for pattern in patterns:
        found = [match for match in (re.fullmatch(pattern, text) for text in sentences) if match]
        assert len(found) > 100, pattern
        assert not {word for match in found for word in match.groups()} & UNWANTED
    assert {text.partition(" ")[2] for text in drawn(WordGenerator.company)} >= set(ENDINGS)
    assert all(word.endswith("ly") for word in word_lists().by_kind["r"])


def test_a_paragraph_has_three_sentences_by_default() -> None:
    words = WordGenerator(b"x")

    assert [text.count(".") for text in (words.paragraph(), words.paragraph(1), words.paragraph(5))] == [3, 1, 5]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, None, "one two"),
        (0, 7, "one two"),
        (0, 6, "one tw"),
        (0, 4, "one."),
        (0, 3, "one"),
        (0, 0, ""),
        (7, 7, "one two"),
    ],
)
def test_a_text_that_fits_is_unchanged_and_a_longer_one_is_cut(low: int, high: int | None, text: str) -> None:
    assert WordGenerator(b"x").fitted("one two", low, high) == text


def test_a_text_that_is_too_short_gets_words_until_it_is_long_enough() -> None:
    for low in range(8, 60):
        text = WordGenerator(b"x").fitted("one two", low, None)
        assert text.startswith("one two ")
        assert len(text) >= low
        assert len(text.rpartition(" ")[0]) < low


@pytest.mark.parametrize(("format_", "least", "most"), [
    ("ipv4", "203.0.113.1", "203.0.113.254"),
    ("ipv6", "2001:db8::1", "2001:db8::ffff"),
    ("date-time", "2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z"),
    ("date", "2026-01-01", "2026-12-31"),
    ("time", "00:00:00Z", "23:59:59Z"),
    ("duration", "PT1M", "PT59M"),
])  # fmt: skip
def test_the_least_and_the_greatest_text_of_a_format(
    format_: str, least: str, most: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = WordGenerator(b"k")
    monkeypatch.setattr(WordGenerator, "integer", lambda _, low, high: low)
    assert text_for(words, format_=format_, name="") == least
    monkeypatch.setattr(WordGenerator, "integer", lambda _, low, high: high)
    assert text_for(words, format_=format_, name="") == most
