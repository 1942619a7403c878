"""Chat completions: one object for one request, in the shape that the OpenAI SDK parses."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from mockserver.fixtures.files import Completion, PromptMatch
from mockserver.providers.agilecloud.chat.completion import chat_completion, encode_completion
from mockserver.providers.agilecloud.chat.text import generated_object
from mockserver.providers.agilecloud.chat.tokens import count_tokens
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes

KEY = b"0123456789abcdef"
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
CALLS = [{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "stop_rain", "arguments": "{broken"}]


def make_request(prompt: str = "Tell me about the Norwegian fjords", **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}], **fields}


def make_canned(**entry: Any) -> Completion:
    source = "fixture:agilecloud/completions.yaml#1"
    return Completion(source, PromptMatch(), entry, has_only_text=entry.keys() == {"text"})


def complete(request: dict[str, Any], canned: Completion | None = None, key: bytes = KEY) -> dict[str, Any]:
    return chat_completion(request, canned=canned, key=key, id="chatcmpl-1", created=1_772_323_200)


def only_choice(completion: dict[str, Any]) -> dict[str, Any]:
    (choice,) = completion["choices"]
    return dict(choice)


def test_a_completion_is_what_the_sdk_parses() -> None:
    made = complete(make_request())

    parsed = ChatCompletion.model_validate(made, strict=True)
    assert parsed.to_dict() == made
    assert (parsed.id, parsed.created, parsed.model) == ("chatcmpl-1", 1_772_323_200, "gpt-4o-mini")
    assert parsed.choices[0].finish_reason == "stop"
    assert "Norwegian fjords" in (parsed.choices[0].message.content or "")


def test_the_same_key_gives_the_same_bytes_and_another_key_another_text() -> None:
    assert complete(make_request()) == complete(make_request())
    assert (
        only_choice(complete(make_request()))["message"] != only_choice(complete(make_request(), key=b"k"))["message"]
    )


def test_the_fingerprint_depends_on_the_model_and_not_on_the_case_of_its_name() -> None:
    prints = [complete(make_request() | {"model": model})["system_fingerprint"] for model in ("gpt-4o", "GPT-4o", "o3")]

    assert prints[0] == prints[1] != prints[2]


@given(n=st.integers(1, 20), key=st.binary(min_size=1, max_size=20))
def test_every_choice_has_another_text(n: int, key: bytes) -> None:
    made = complete(make_request(n=n), key=key)

    assert [choice["index"] for choice in made["choices"]] == list(range(n))
    assert len({choice["message"]["content"] for choice in made["choices"]}) == n


@given(prompt=st.text(max_size=200), n=st.integers(1, 3), limit=st.none() | st.integers(1, 100))
def test_usage_adds_up(prompt: str, n: int, limit: int | None) -> None:
    made = complete(make_request(prompt, n=n, max_tokens=limit))

    said = sum(count_tokens(choice["message"]["content"]) for choice in made["choices"])
    usage = made["usage"]
    assert usage["completion_tokens"] == said
    assert usage["prompt_tokens"] + said == usage["total_tokens"]


def test_tools_count_as_prompt_tokens() -> None:
    assert (
        complete(make_request(tools=[TOOL]))["usage"]["prompt_tokens"]
        > complete(make_request())["usage"]["prompt_tokens"]
    )


@given(limit=st.integers(1, 200), name=st.sampled_from(["max_tokens", "max_completion_tokens"]))
def test_an_answer_ends_at_its_last_allowed_token(limit: int, name: str) -> None:
    whole = only_choice(complete(make_request()))["message"]["content"]

    made = complete(make_request() | {name: limit})

    choice = only_choice(made)
    assert whole.startswith(choice["message"]["content"])
    assert made["usage"]["completion_tokens"] == min(limit, count_tokens(whole))
    assert choice["finish_reason"] == ("length" if limit < count_tokens(whole) else "stop")


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("three", "one two "),
        (["four", "two"], "one "),
        (["", "nowhere"], "one two three four"),
        (None, "one two three four"),
        ("one", ""),
    ],
)
def test_an_answer_ends_before_the_first_stop_sequence(stop: Any, text: str) -> None:
    choice = only_choice(complete(make_request(stop=stop), make_canned(text="one two three four")))

    assert (choice["message"]["content"], choice["finish_reason"]) == (text, "stop")


def test_a_canned_text_is_sent_with_its_finish_reason() -> None:
    choice = only_choice(complete(make_request(), make_canned(text="I can", finish_reason="content_filter")))

    assert (choice["message"]["content"], choice["finish_reason"]) == ("I can", "content_filter")


def test_a_json_object_response_is_a_json_object() -> None:
    made = complete(make_request(response_format={"type": "json_object"}))

    value = orjson.loads(only_choice(made)["message"]["content"])
    assert value["topic"] == "Norwegian fjords"


def test_the_confidence_of_a_json_object_is_a_percentage_above_half() -> None:
    found = {generated_object(b"%d" % n, "rivers")["confidence"] for n in range(500)}

    assert (min(found), max(found)) == (50, 99)


def test_canned_calls_are_made_instead_of_an_answer() -> None:
    tools = [TOOL, {"type": "function", "function": {"name": "stop_rain"}}]

    made = complete(make_request(tools=tools), make_canned(tool_calls=CALLS, text="later"))

    choice = ChatCompletion.model_validate(made, strict=True).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls = [call for call in choice.message.tool_calls or [] if call.type == "function"]
    assert [call.function.arguments for call in calls] == ['{"city":"Oslo"}', "{broken"]
    assert len({call.id for call in calls}) == 2
    assert made["usage"]["completion_tokens"] == count_tokens('get_weather{"city":"Oslo"}') + count_tokens(
        "stop_rain{broken"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": "Rain?"}, {"role": "tool", "content": "18", "tool_call_id": "c"}]},
        {"tool_choice": "none"},
    ],
)
def test_canned_calls_are_not_made_twice_nor_when_unwanted(fields: dict[str, Any]) -> None:
    request = make_request(tools=[TOOL]) | fields

    choice = only_choice(complete(request, make_canned(tool_calls=CALLS, text="later")))

    assert (choice["message"]["content"], choice["finish_reason"]) == ("later", "stop")
    assert "tool_calls" not in choice["message"]


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["user", "system", "assistant"]),
            "content": st.text(max_size=80)
            | st.lists(
                st.one_of(
                    st.text(max_size=40).map(lambda text: {"type": "text", "text": text}),
                    st.just({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}),
                ),
                max_size=3,
            ),
        },
        optional={"name": st.text(max_size=8)},
    ),
    min_size=1,
    max_size=4,
)


@given(
    messages=MESSAGES,
    model=st.text(min_size=1, max_size=12),
    limit=st.none() | st.integers(1, 100),
    more=st.sampled_from([{}, {"temperature": 0.5, "seed": 7}, {"n": 2}, {"stop": "the"}]),
    key=st.binary(max_size=20),
)
def test_the_fast_encoder_writes_the_same_completion(
    messages: Any, model: str, limit: int | None, more: dict[str, Any], key: bytes
) -> None:
    request = {"model": model, "messages": messages, "max_tokens": limit, **more}
    long = chat_completion(request, canned=None, key=key, id="chatcmpl-a", created=5)

    body, *tokens = encode_completion(request, canned=None, key=lambda: key, id="chatcmpl-a", created=5)

    assert body == jsonl_bytes(long)
    assert tokens == [long["usage"]["prompt_tokens"], long["usage"]["completion_tokens"]]


def test_a_canned_completion_is_encoded_too() -> None:
    written, _, _ = encode_completion(
        make_request(), canned=make_canned(text="a\u2028b"), key=lambda: KEY, id="c", created=1
    )

    assert orjson.loads(written)["choices"][0]["message"]["content"] == "a\u2028b"
    assert len(written.decode().splitlines()) == 1
