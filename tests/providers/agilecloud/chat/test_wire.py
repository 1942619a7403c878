"""Completions in pieces: put together again, they are what was cut up."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from mockserver.fixtures.files import Completion, PromptMatch
from mockserver.providers.agilecloud.chat.completion import chat_completion
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes, stream_events

TEXTS = st.text() | st.text(alphabet="ab \n\u2028\x85é")


def make_completion(*, n: int = 1, **entry: Any) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(3)]
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Tea?"}], "n": n, "tools": tools}
    canned = Completion("fixture:a#1", PromptMatch(), entry) if entry else None
    return chat_completion(request, canned=canned, key=b"k", id="chatcmpl-1", created=1)


def read(completion: Mapping[str, Any], *, include_usage: bool = False) -> list[ChatCompletionChunk]:
    events = list(stream_events(completion, include_usage=include_usage))
    assert events[-1] == b"data: [DONE]\n\n"
    for event in events:
        assert event.startswith(b"data: ")
        assert event.endswith(b"\n\n")
        assert len(event.decode().splitlines()) == 2
    return [ChatCompletionChunk.model_validate(orjson.loads(event[6:]), strict=True) for event in events[:-1]]


@given(text=TEXTS, n=st.integers(1, 3))
def test_the_pieces_together_are_the_text(text: str, n: int) -> None:
    completion = make_completion(text=text, n=n)

    deltas = [chunk.choices[0] for chunk in read(completion)]

    for index in range(n):
        own = [choice for choice in deltas if choice.index == index]
        assert "".join(choice.delta.content or "" for choice in own) == text
        assert own[0].delta.role == "assistant"
        assert [choice.finish_reason for choice in own] == [None] * (len(own) - 1) + ["stop"]


def test_a_generated_text_is_streamed_in_pieces_of_a_few_words() -> None:
    completion = make_completion()

    pieces = [chunk.choices[0].delta.content for chunk in read(completion)][1:-1]

    assert len(pieces) > 5
    assert all(piece and len(piece.split()) <= 3 for piece in pieces)


@given(arguments=TEXTS, count=st.integers(1, 3))
def test_the_pieces_of_a_call_together_are_its_arguments(arguments: str, count: int) -> None:
    completion = make_completion(tool_calls=[{"name": f"f{n}", "arguments": arguments} for n in range(count)])

    seen: dict[int, list[Any]] = {}
    read_chunks = read(completion)
    for chunk in read_chunks:
        for call in chunk.choices[0].delta.tool_calls or ():
            seen.setdefault(call.index, []).append(call)

    assert list(seen) == list(range(count))
    for index, calls in seen.items():
        assert calls[0].id == completion["choices"][0]["message"]["tool_calls"][index]["id"]
        assert calls[0].function.name == f"f{index}"
        assert [call.id for call in calls[1:]] == [None] * (len(calls) - 1)
        assert "".join(call.function.arguments for call in calls) == arguments
    assert read_chunks[0].choices[0].delta.content is None
    assert read_chunks[-1].choices[0].finish_reason == "tool_calls"


def test_usage_comes_last_and_only_when_asked_for() -> None:
    completion = make_completion()

    asked, unasked = read(completion, include_usage=True), read(completion)

    assert asked[-1].choices == []
    assert asked[-1].usage is not None
    assert asked[-1].usage.to_dict() == completion["usage"]
    assert all(chunk.usage is None for chunk in asked[:-1])
    assert all("usage" not in chunk.to_dict() for chunk in unasked)
    assert len(asked) == len(unasked) + 1


def test_all_pieces_belong_to_one_completion() -> None:
    completion = make_completion(n=2)

    for chunk in read(completion, include_usage=True):
        assert (chunk.id, chunk.created, chunk.model) == ("chatcmpl-1", 1, "gpt-4o")
        assert chunk.system_fingerprint == completion["system_fingerprint"]


@given(text=TEXTS)
def test_a_jsonl_line_is_one_line_with_the_same_value(text: str) -> None:
    line = jsonl_bytes({text: [text]})

    assert orjson.loads(line) == {text: [text]}
    assert len(line.decode().splitlines()) == 1


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_unicode_line_separators_are_escaped(end: str) -> None:
    assert jsonl_bytes(f"é{end}") == f'"é\\u{ord(end):04x}"'.encode()
