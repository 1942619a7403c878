"""Log probabilities: one entry for each token, whose texts together are the answer."""

import tracemalloc
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from mockserver.errors import Refusal
from mockserver.fixtures.files import Completion, PromptMatch
from mockserver.providers.agilecloud.chat.completion import chat_completion, streamed_logprobs
from mockserver.providers.agilecloud.chat.logprobs import MAX_ENTRIES
from mockserver.providers.agilecloud.chat.tokens import count_tokens, split_tokens
from mockserver.providers.agilecloud.chat.wire import stream_events

TEXTS = st.text(max_size=60) | st.text(alphabet="aé€😀 ", max_size=40)


def asked(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Which rivers?"}]
    return {"model": "gpt-4o", "messages": messages, "logprobs": True, **fields}


def complete(text: str | None = None, key: bytes = b"k", **fields: Any) -> dict[str, Any]:
    request = asked(**fields)
    canned = None if text is None else Completion("fixture:a#1", PromptMatch(), {"text": text})
    made = chat_completion(request, canned=canned, key=key, id="chatcmpl-1", created=1)
    ChatCompletion.model_validate(made, strict=True)
    return made


@given(text=TEXTS)
def test_the_tokens_of_a_text_are_as_many_as_are_counted_and_together_the_text(text: str) -> None:
    tokens = list(split_tokens(text))

    assert "".join(tokens) == text
    assert len(tokens) == count_tokens(text)
    assert all(tokens)


@given(text=TEXTS, top=st.none() | st.integers(0, 20), key=st.binary(min_size=1, max_size=8))
def test_each_token_has_an_entry_and_as_many_alternatives_as_are_asked_for(
    text: str, top: int | None, key: bytes
) -> None:
    made = complete(text, key, top_logprobs=top)

    logprobs = made["choices"][0]["logprobs"]
    assert logprobs["refusal"] is None
    assert "".join(each["token"] for each in logprobs["content"]) == text
    assert len(logprobs["content"]) == made["usage"]["completion_tokens"]
    for entry in logprobs["content"]:
        likely = entry["top_logprobs"]
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert len(likely) == (top or 0)
        assert likely[:1] == ([{name: entry[name] for name in ("token", "logprob", "bytes")}] if top else [])
        assert len({each["token"] for each in likely}) == len(likely)
        assert [each["logprob"] for each in likely] == sorted((each["logprob"] for each in likely), reverse=True)
        assert sum(2.718281828 ** each["logprob"] for each in likely) <= 1
        assert all(bytes(each["bytes"]).decode() == each["token"] for each in likely)


def test_the_same_key_gives_the_same_numbers_and_another_key_or_choice_others() -> None:
    first, again, other = complete("one two"), complete("one two"), complete("one two", b"other")
    two = complete("one two", n=2)["choices"]

    assert first == again
    assert first["choices"][0]["logprobs"] != other["choices"][0]["logprobs"]
    assert two[0]["logprobs"] != two[1]["logprobs"]


@pytest.mark.parametrize("fields", [{"logprobs": False}, {"logprobs": None}])
def test_logprobs_are_null_unless_requested(fields: dict[str, Any]) -> None:
    assert complete(**fields)["choices"][0]["logprobs"] is None


def test_a_tool_call_has_no_logprobs() -> None:
    tool = {"type": "function", "function": {"name": "look"}}

    assert complete(tools=[tool], tool_choice="required")["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("fields", [{"max_tokens": 3}, {"stop": "two"}])
def test_logprobs_end_where_the_text_is_cut(fields: dict[str, Any]) -> None:
    choice = complete("one two three four", **fields)["choices"][0]

    assert "".join(each["token"] for each in choice["logprobs"]["content"]) == choice["message"]["content"]


@given(text=TEXTS, n=st.integers(1, 2))
def test_each_chunk_of_a_stream_has_the_logprobs_of_its_tokens(text: str, n: int) -> None:
    made = complete(text, n=n, top_logprobs=2)

    events = [orjson.loads(event[6:]) for event in list(stream_events(made, include_usage=False))[:-1]]

    for event in events:
        ChatCompletionChunk.model_validate(event, strict=True)
        [choice] = event["choices"]
        if choice["delta"].get("content"):
            assert "".join(each["token"] for each in choice["logprobs"]["content"]) == choice["delta"]["content"]
        else:
            assert choice["logprobs"] is None
    for choice in made["choices"]:
        own = [each["choices"][0] for each in events if each["choices"][0]["index"] == choice["index"]]
        told = [entry for each in own if each["logprobs"] for entry in each["logprobs"]["content"]]
        assert told == choice["logprobs"]["content"]


@pytest.mark.parametrize("fields", [{}, {"top_logprobs": 3}, {"n": 3, "max_tokens": 7}, {"logprobs": False}])
def test_logprobs_that_are_made_as_they_are_sent_are_those_of_the_whole_completion(fields: dict[str, Any]) -> None:
    request = asked(**fields)

    def made(*, has_logprobs: bool) -> Mapping[str, Any]:
        return chat_completion(request, canned=None, key=b"k", id="a", created=1, has_logprobs=has_logprobs)

    sent = stream_events(made(has_logprobs=False), include_usage=True, logprobs=streamed_logprobs(request, b"k"))

    assert list(sent) == list(stream_events(made(has_logprobs=True), include_usage=True))


def test_a_stream_that_is_not_read_keeps_none_of_the_logprobs() -> None:
    request = asked(n=128, top_logprobs=20)
    next(stream_events(complete(), include_usage=False))  # what is made once
    tracemalloc.start()
    try:
        completion = chat_completion(request, canned=None, key=b"k", id="a", created=1, has_logprobs=False)
        stream = stream_events(completion, include_usage=False, logprobs=streamed_logprobs(request, b"k"))
        for _ in range(3):
            next(stream)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 512 * 1024
    assert most < 1024 * 1024


def test_a_response_with_too_many_logprobs_is_rejected() -> None:
    with pytest.raises(Refusal, match=f"no more than {MAX_ENTRIES} are told") as refused:
        complete("x" * 50_000, n=2, top_logprobs=20)

    assert refused.value.violations[0].location == ("body", "logprobs")
    assert complete("x" * 4 * (MAX_ENTRIES // 21), top_logprobs=20)
