"""Percent-decoding is that of urllib, for any text."""

from urllib import parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver import percent

PIECES = st.sampled_from(["%", "2", "F", "f", "a", "+", "&", "=", "%C3%A9", "%F0%9F", "é", "%4", "%zz", " ", "\ud800"])
TEXTS = st.lists(PIECES, max_size=20).map("".join)


@given(TEXTS)
def test_texts_are_decoded_as_by_urllib(text: str) -> None:
    assert percent.unquote(text) == parse.unquote(text)
    assert percent.unquote_plus(text) == parse.unquote_plus(text)


@given(TEXTS)
def test_arguments_are_read_as_by_urllib(text: str) -> None:
    assert percent.parse_qsl(text) == parse.parse_qsl(text, keep_blank_values=True)


@pytest.mark.parametrize("text", ["%ff", "a%c3", "%F0%9F%98"])
def test_what_is_no_utf_8_raises_when_it_is_read_strictly(text: str) -> None:
    with pytest.raises(UnicodeDecodeError):
        percent.unquote(text, "strict")


def test_too_many_arguments_are_refused() -> None:
    assert len(percent.parse_qsl("a&b&c", max_num_fields=3)) == 3
    with pytest.raises(ValueError, match="fields"):
        percent.parse_qsl("a&b&c&d", max_num_fields=3)


def test_a_long_run_of_escapes_is_decoded_as_urllib_decodes_it() -> None:
    text = "%E2%82%AC" * 5000 + "%ff%"

    assert percent.unquote(text) == parse.unquote(text)
