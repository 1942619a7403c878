"""How tokens are counted for AgileCloud: one documented rule, cheap enough for every line of a batch."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BYTES = 4
"""A token is four bytes of UTF-8; the last one counts when it is begun.

Real tokenizers come close to it: English has about four letters to a token, Chinese one character (of three bytes).
"""
MESSAGE = 4
"""What a message costs beside its content: its role, and where it begins and ends."""
REPLY = 3
"""What it costs to open the reply."""
ATTACHMENT = 85
"""What a part of a message costs that is no text: an image in low detail, whatever it shows."""


def count_tokens(text: str) -> int:
    """The tokens of a text."""
    return -(-(len(text) if text.isascii() else len(text.encode())) // BYTES)


def first_tokens(text: str, limit: int) -> str:
    """The text when it has no more tokens than the limit, else its beginning of exactly that many, in whole characters.

    No more than three bytes are lost to a character that does not fit, so the last token is always begun.
    """
    if count_tokens(text) <= limit:
        return text
    return text.encode()[: limit * BYTES].decode(errors="ignore")


def split_tokens(text: str) -> Iterator[str]:
    """The tokens of a text, as many as are counted; a character belongs to the token in which its last byte lies."""
    if text.isascii():
        yield from (text[at : at + BYTES] for at in range(0, len(text), BYTES))
        return
    # No character is longer than a token, so that each token has the end of one.
    begin = end = 0
    limit = BYTES
    for at, character in enumerate(text):
        end += len(character.encode())
        if end > limit:
            yield text[begin:at]
            begin, limit = at, limit + BYTES
    if begin < len(text):
        yield text[begin:]


def prompt_tokens(messages: Sequence[Mapping[str, Any]]) -> int:
    """The tokens of a conversation so far."""
    tokens = REPLY
    for message in messages:
        content = message.get("content")
        tokens += MESSAGE + (count_tokens(content) if isinstance(content, str) else _part_tokens(content or ()))
        if len(message) > 2:
            tokens += count_tokens(message.get("name") or "") + call_tokens(message.get("tool_calls") or ())
    return tokens


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """The `usage` of a chat completion. Nothing is cached, spoken, thought or predicted here."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def call_tokens(calls: Sequence[Mapping[str, Any]]) -> int:
    """The tokens of tool calls: the names and the arguments."""
    called = [call.get("function") or call.get("custom") or {} for call in calls]
    return sum(count_tokens(f"{each.get('name', '')}{each.get('arguments', each.get('input', ''))}") for each in called)


def _part_tokens(parts: Sequence[Mapping[str, Any]]) -> int:
    texts = (part.get("text") for part in parts)
    return sum(ATTACHMENT if text is None else count_tokens(text) for text in texts)
