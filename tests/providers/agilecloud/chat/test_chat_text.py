"""Words and their number: what a prompt is about, what is said to it, and how many tokens both have."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.providers.agilecloud.chat.text import (
    CLOSINGS,
    LEADS,
    generated_text,
    last_user_message,
    sentence_bank,
    topic_of,
)
from mockserver.providers.agilecloud.chat.tokens import count_tokens, first_tokens, prompt_tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("é", 1), ("日本語", 3), ("👍👍", 2)]
)
def test_a_token_is_four_bytes(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


@given(text=st.text(), limit=st.integers(0, 30))
def test_a_cut_text_has_exactly_the_tokens_it_may_have(text: str, limit: int) -> None:
    cut = first_tokens(text, limit)

    assert text.startswith(cut)
    assert count_tokens(cut) == min(limit, count_tokens(text))


@given(one=st.text(), other=st.text())
def test_two_texts_together_have_no_more_tokens_than_apart(one: str, other: str) -> None:
    assert 0 <= count_tokens(one) + count_tokens(other) - count_tokens(one + other) <= 1


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ({"role": "user", "content": "12345678"}, 2),
        ({"role": "user", "content": [{"type": "text", "text": "12345678"}, {"type": "text", "text": "1"}]}, 3),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/x"}}]}, 85),
        ({"role": "user", "content": [{"type": "input_audio", "text": None}]}, 85),
        ({"role": "user", "content": "", "name": "Anna"}, 1),
        ({"role": "assistant", "content": None, "name": None, "tool_calls": None}, 0),
        (
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}{}"}}],
            },
            2,
        ),
    ],
)
def test_a_message_costs_four_tokens_and_its_content(message: dict[str, Any], tokens: int) -> None:
    assert prompt_tokens([message]) == 3 + 4 + tokens
    assert prompt_tokens([message, message]) == 3 + 2 * (4 + tokens)


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], ""),
        ([{"role": "system", "content": "Be brief."}], ""),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "b"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "a"),
        ([{"role": "user", "content": None}], ""),
        (
            [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}],
                }
            ],
            "a\nb",
        ),
    ],
)
def test_the_last_user_message_is_found(messages: list[dict[str, Any]], text: str) -> None:
    assert last_user_message(messages) == text


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("What is the capital of France?", "capital France"),
        ("[mock:fail=429] Explain photosynthesis, please!", "photosynthesis"),
        ("Who are you?", "Who are you"),
        ('{"well-known": "O\'Brien"}', "well-known O'Brien"),
        ("你好，世界", "你好 世界"),
        ("?!", "this"),
        ("", "this"),
        ("x" * 500, "x" * 60),
    ],
)
def test_the_topic_of_a_text_is_its_rarest_words(prompt: str, topic: str) -> None:
    assert topic_of(prompt) == topic


@given(prompt=st.text())
def test_a_topic_needs_no_escaping(prompt: str) -> None:
    topic = topic_of(prompt)

    assert orjson.dumps(topic) == b'"%b"' % topic.encode()
    assert len(topic.splitlines()) == 1


def test_the_built_in_sentences_need_no_escaping() -> None:
    for text in (*LEADS, *CLOSINGS, *sentence_bank()):
        assert re.fullmatch(r"[A-Za-z '’,.:?{}-]*", text), text


@given(key=st.binary(), topic=st.text(alphabet="abc", min_size=1, max_size=20))
def test_a_text_is_a_few_sentences_about_the_topic(key: bytes, topic: str) -> None:
    text = generated_text(key, topic)

    assert text == generated_text(key, topic)
    assert topic in text.lower()
    assert text[0].isupper()
    assert 60 <= len(text) <= 700


def test_different_keys_rarely_give_the_same_text() -> None:
    assert len({generated_text(b"%d" % n, "tea") for n in range(5000)}) == 5000
