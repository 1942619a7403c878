"""How tokens are counted, and the usage of a completion in full."""

from typing import Any

import pytest

from mockserver.providers.agilecloud.chat.tokens import (
    ATTACHMENT,
    BYTES,
    MESSAGE,
    REPLY,
    call_tokens,
    count_tokens,
    prompt_tokens,
    split_tokens,
    usage,
)


def test_the_usage_of_a_completion_has_all_details() -> None:
    assert usage(7, 5) == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_the_rule_is_the_documented_one() -> None:
    assert (BYTES, MESSAGE, REPLY, ATTACHMENT) == (4, 4, 3, 85)


@pytest.mark.parametrize("text", ["", "a", "abcd", "abcde", "ä", "aää", "日本語のテキスト", "a😀b😀", "😀" * 5])
def test_the_pieces_of_a_text_are_its_tokens(text: str) -> None:
    pieces = list(split_tokens(text))

    assert "".join(pieces) == text
    assert len(pieces) == count_tokens(text) == -(-len(text.encode()) // BYTES)
    assert all(pieces)


FUNCTION = {"type": "function", "function": {"name": "find", "arguments": "{}"}}
CUSTOM = {"type": "custom", "custom": {"name": "find", "input": "abcd"}}


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ({"role": "user", "content": "a" * 9}, 3),
        ({"role": "user", "content": ""}, 0),
        ({"role": "assistant", "content": None}, 0),
        ({"role": "user", "content": [{"type": "text", "text": "abcde"}]}, 2),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}, 1 + ATTACHMENT),
        ({"role": "user", "content": "a", "name": "abcde"}, 1 + 2),
        ({"role": "assistant", "content": None, "tool_calls": [FUNCTION, CUSTOM]}, 2 + 2),
    ],
)
def test_a_message_has_the_tokens_of_its_parts(message: dict[str, Any], tokens: int) -> None:
    assert prompt_tokens([message]) == REPLY + MESSAGE + tokens
    assert prompt_tokens([message] * 3) == REPLY + 3 * (MESSAGE + tokens)


def test_a_conversation_without_messages_has_the_tokens_of_its_reply() -> None:
    assert prompt_tokens([]) == REPLY
    assert call_tokens([]) == 0
    assert call_tokens([{"type": "function"}]) == 0
