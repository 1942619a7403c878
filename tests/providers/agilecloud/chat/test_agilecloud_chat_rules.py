"""Rules for chats that OpenAI enforces: the same error live, streamed, in a batch's file, and under `--strict`."""

import re
from typing import Any

import pytest
from batch_client import CHAT, BatchClient, jsonl, request_of
from hypothesis import given
from hypothesis import strategies as st

from mockserver.engine import build as loading
from mockserver.engine.engine import Engine
from mockserver.errors import Refusal
from mockserver.providers.agilecloud import hooks as agilecloud
from mockserver.providers.agilecloud.batches.job import jobs_of
from mockserver.providers.agilecloud.chat.rules import RULES, check_rules
from mockserver.providers.agilecloud.models import Model, ModelKind

USER = {"role": "user", "content": "How high is the tide?"}
TIDE = {"type": "function", "function": {"name": "read_tide", "parameters": {"type": "object", "properties": {}}}}
GREP = {"type": "custom", "custom": {"name": "grep"}}
MODEL = Model("gpt-4o", "gpt-4o", ModelKind.CHAT)
EVERYTHING: dict[str, Any] = {
    "stream": False, "n": 1, "stop": None, "max_tokens": None, "max_completion_tokens": 50, "temperature": 1,
    "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {"50256": -100}, "logprobs": False,
    "top_logprobs": None, "response_format": {"type": "text"}, "tools": [TIDE, GREP], "tool_choice": "auto",
    "parallel_tool_calls": True, "seed": 7, "user": "ann", "metadata": {}, "store": False, "service_tier": "flex",
    "reasoning_effort": "low", "verbosity": "high", "modalities": ["text"], "audio": None, "prediction": None,
    "web_search_options": None, "prompt_cache_key": "k", "prompt_cache_retention": "24h", "safety_identifier": "s",
    "stream_options": None,
}  # fmt: skip


def call_of(*ids: str) -> dict[str, Any]:
    calls = [{"id": id_, "type": "function", "function": {"name": "read_tide", "arguments": "{}"}} for id_ in ids]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def answer_to(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "3.1 m"}


def strict_format(schema: Any, name: str = "tide") -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def strict_tool(parameters: Any, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "find", "parameters": parameters, "strict": True} | more}


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)
LOST = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
JSON_WORD = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
NO_TOOLS = "is only allowed when 'tools' are specified."
CLOSE = "'additionalProperties' is required to be supplied and to be false."
SHORT = "Expected an array with minimum length 1, but got an empty array instead."


def content(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(parts)}, USER]}


# What a request has beside its model and one message, and the message, param and code of its error.
REFUSED: list[tuple[dict[str, Any], str, str | None, str | None]] = [
    ({"messages": [USER, call_of("call_1")]}, UNANSWERED + "call_1", "messages", None),
    ({"messages": [USER, call_of("c1", "c2"), answer_to("c2"), USER]}, UNANSWERED + "c1", "messages[3].role", None),
    ({"messages": [call_of("c1", "c2"), USER]}, UNANSWERED + "c1, c2", "messages[1].role", None),
    ({"messages": [call_of("c1"), call_of("c1"), answer_to("c1")]}, UNANSWERED + "c1", "messages[1].role", None),
    ({"messages": [USER, answer_to("call_9")]}, f"{LOST} There is no call 'call_9'.", "messages[1].role", None),
    (
        {"messages": [call_of("c1"), answer_to("c1"), answer_to("c2")]},
        "Invalid parameter: 'tool_call_id' of 'c2' not found in 'tool_calls' of previous message.",
        "messages[2].tool_call_id", None,
    ),
    (
        {"messages": [call_of("c1"), answer_to("c1"), USER, answer_to("c1")]},
        f"{LOST} There is no call 'c1'.", "messages[3].role", None,
    ),
    ({"response_format": {"type": "json_object"}}, JSON_WORD, "messages", None),
    (
        {"max_tokens": 5, "max_completion_tokens": 5},
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
        "max_tokens", "invalid_parameter_combination",
    ),
    (
        {"top_logprobs": 2}, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        "top_logprobs", None,
    ),
    (
        {"top_logprobs": 0, "logprobs": False},
        "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.", "top_logprobs", None,
    ),
    (
        {"stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", None,
    ),
    ({"tools": []}, f"Invalid 'tools': empty array. {SHORT}", "tools", "empty_array"),
    ({"tool_choice": "auto"}, f"Invalid value for 'tool_choice': 'tool_choice' {NO_TOOLS}", "tool_choice", None),
    ({"tool_choice": "none"}, f"Invalid value for 'tool_choice': 'tool_choice' {NO_TOOLS}", "tool_choice", None),
    (
        {"parallel_tool_calls": False},
        f"Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' {NO_TOOLS}", "parallel_tool_calls", None,
    ),
    (
        {"function_call": "auto"},
        "Invalid value for 'function_call': 'function_call' is only allowed when 'functions' are specified.",
        "function_call", None,
    ),
    (
        {"tools": [TIDE], "tool_choice": {"type": "function", "function": {"name": "find_tide"}}},
        "Invalid value for 'tool_choice': no function named 'find_tide' was specified in the 'tools' parameter.",
        "tool_choice", None,
    ),
    (
        {"tools": [TIDE], "tool_choice": {"type": "custom", "custom": {"name": "read_tide"}}},
        "Invalid value for 'tool_choice': no custom tool named 'read_tide' was specified in the 'tools' parameter.",
        "tool_choice", None,
    ),
    (
        {"tools": [TIDE], "tool_choice": {"type": "allowed_tools", "allowed_tools": {
            "mode": "auto", "tools": [{"type": "function", "function": {"name": "ebb"}}]}}},
        "Invalid value for 'tool_choice': no function named 'ebb' was specified in the 'tools' parameter.",
        "tool_choice", None,
    ),
    (
        {"tools": [TIDE], "tool_choice": "sometimes"},
        "Invalid value: 'sometimes'. Supported values are: 'none', 'auto', and 'required'.",
        "tool_choice", "invalid_value",
    ),
    (
        {"tools": [TIDE], "tool_choice": {"type": "function"}}, "Missing required parameter: 'tool_choice.function'.",
        "tool_choice.function", "missing_required_parameter",
    ),
    (
        {"tools": [TIDE], "tool_choice": {"type": "function", "function": {}}},
        "Missing required parameter: 'tool_choice.function.name'.",
        "tool_choice.function.name", "missing_required_parameter",
    ),
    (
        {"tools": [{"type": "web_search"}]},
        "Invalid value: 'web_search'. Supported values are: 'function' and 'custom'.",
        "tools[0].type", "invalid_value",
    ),
    (
        {"tools": [TIDE, {"type": "function"}]}, "Missing required parameter: 'tools[1].function'.",
        "tools[1].function", "missing_required_parameter",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "read tide"}}]},
        "Invalid 'tools[0].function.name': string does not match pattern. Expected a string that matches the pattern "
        "'^[a-zA-Z0-9_-]+$'.", "tools[0].function.name", "invalid_value",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "f" * 65}}]},
        "Invalid 'tools[0].function.name': string too long. Expected a string with maximum length 64.",
        "tools[0].function.name", "string_above_max_length",
    ),
    (
        {"response_format": strict_format(OPEN)},
        f"Invalid schema for response_format 'tide': In context=(), {CLOSE}", "response_format", None,
    ),
    (
        {"tools": [TIDE, strict_tool(OPEN)]}, f"Invalid schema for function 'find': In context=(), {CLOSE}",
        "tools[1].function.parameters", "invalid_function_parameters",
    ),
    (
        {"tools": [strict_tool({"type": "array"}, strict=False)]},
        "Invalid schema for function 'find': schema must be a JSON Schema of 'type: \"object\"', "
        "got 'type: \"array\"'.",
        "tools[0].function.parameters", "invalid_function_parameters",
    ),
    (
        {"response_format": strict_format(CLOSED, "tide table")},
        "Invalid 'response_format.json_schema.name': string does not match pattern. Expected a string that matches the "
        "pattern '^[a-zA-Z0-9_-]+$'.", "response_format.json_schema.name", "invalid_value",
    ),
    (
        {"reasoning_effort": "extreme"},
        "Invalid value: 'extreme'. Supported values are: 'none', 'minimal', 'low', 'medium', 'high', and 'xhigh'.",
        "reasoning_effort", "invalid_value",
    ),
    (
        {"service_tier": "gold"},
        "Invalid value: 'gold'. Supported values are: 'auto', 'default', 'flex', 'scale', and 'priority'.",
        "service_tier", "invalid_value",
    ),
    (
        {"verbosity": "chatty"}, "Invalid value: 'chatty'. Supported values are: 'low', 'medium', and 'high'.",
        "verbosity", "invalid_value",
    ),
    (
        {"modalities": ["text", "video"]}, "Invalid value: 'video'. Supported values are: 'text' and 'audio'.",
        "modalities[1]", "invalid_value",
    ),
    (
        {"audio": {"voice": "alloy", "format": "ogg"}},
        "Invalid value: 'ogg'. Supported values are: 'wav', 'aac', 'mp3', 'flac', 'opus', and 'pcm16'.",
        "audio.format", "invalid_value",
    ),
    (
        {"messages": [{"role": "robot", "content": "?"}]},
        "Invalid value: 'robot'. Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', and "
        "'function'.", "messages[0].role", "invalid_value",
    ),
    (content(), f"Invalid 'messages[0].content': empty array. {SHORT}", "messages[0].content", "empty_array"),
    (
        {"messages": [USER, {"role": "assistant", "content": "So.", "tool_calls": []}]},
        f"Invalid 'messages[1].tool_calls': empty array. {SHORT}", "messages[1].tool_calls", "empty_array",
    ),
    (
        content({"type": "image_url", "image_url": "https://example.com/a.png"}),
        "Invalid type for 'messages[0].content[0].image_url': expected an object, but got a string instead.",
        "messages[0].content[0].image_url", "invalid_type",
    ),
    (
        content({"type": "image_url", "image_url": {"url": "a", "detail": "huge"}}),
        "Invalid value: 'huge'. Supported values are: 'auto', 'low', 'high', and 'original'.",
        "messages[0].content[0].image_url.detail", "invalid_value",
    ),
    (
        content({"type": "input_audio", "input_audio": {"data": "", "format": "ogg"}}),
        "Invalid value: 'ogg'. Supported values are: 'wav' and 'mp3'.",
        "messages[0].content[0].input_audio.format", "invalid_value",
    ),
    (
        content({"type": "video_url"}),
        "Invalid value: 'video_url'. Supported values are: 'text', 'image_url', 'input_audio', 'file', and 'refusal'.",
        "messages[0].content[0].type", "invalid_value",
    ),
    (
        content({"type": "text"}), "Missing required parameter: 'messages[0].content[0].text'.",
        "messages[0].content[0].text", "missing_required_parameter",
    ),
    (
        content({"type": "image_url", "image_url": {"url": "a"}}, role="system"),
        "Invalid value: 'image_url'. Supported values are: 'text'.", "messages[0].content[0].type", "invalid_value",
    ),
    (
        {"messages": [USER, {"role": "assistant", "content": None}]},
        "Invalid type for 'messages[1].content': expected a string or an array, but got null instead.",
        "messages[1].content", "invalid_type",
    ),
    (
        {"messages": [{**USER, "name": "Ann Lee"}]},
        "Invalid 'messages[0].name': string does not match pattern. Expected a string that matches the pattern "
        "'^[^\\s<|\\\\/>]+$'.", "messages[0].name", "invalid_value",
    ),
    ({"messages": []}, f"Invalid 'messages': empty array. {SHORT}", "messages", "empty_array"),
    (
        {"metadata": {str(n): "" for n in range(17)}},
        "Invalid 'metadata': object with too many properties. Expected an object with at most 16 properties.",
        "metadata", "object_above_max_properties",
    ),
    (
        {"metadata": {"run": 7}}, "Invalid type for 'metadata.run': expected a string, but got an integer instead.",
        "metadata.run", "invalid_type",
    ),
    (
        {"stop": list("abcde")}, "Invalid 'stop': array too long. Expected an array with maximum length 4.",
        "stop", "array_above_max_length",
    ),
]  # fmt: skip
REASONING: list[tuple[str, dict[str, Any], str, str, str]] = [
    *(
        (
            model, {"max_tokens": 5},
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens", "unsupported_parameter",
        )
        for model in ("o3", "O4-mini", "o1-2024-12-17", "gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.1", "gpt-5.4")
    ),
    (
        "o4-mini", {"temperature": 0.2},
        "Unsupported value: 'temperature' does not support 0.2 with this model. "
        "Only the default (1) value is supported.",
        "temperature", "unsupported_value",
    ),
    (
        "gpt-5-nano", {"top_p": 0.5},
        "Unsupported value: 'top_p' does not support 0.5 with this model. "
        "Only the default (1) value is supported.",
        "top_p", "unsupported_value",
    ),
    (
        "gpt-5.2", {"presence_penalty": 1, "reasoning_effort": "low"},
        "Unsupported value: 'presence_penalty' does not support 1 with this model. Only the default (0) value is "
        "supported.", "presence_penalty", "unsupported_value",
    ),
    (
        "o3", {"logprobs": True}, "Unsupported parameter: 'logprobs' is not supported with this model.",
        "logprobs", "unsupported_parameter",
    ),
    (
        "gpt-5", {"frequency_penalty": -0.5},
        "Unsupported value: 'frequency_penalty' does not support -0.5 with this model. "
        "Only the default (0) value is supported.", "frequency_penalty", "unsupported_value",
    ),
    (
        "gpt-5.4", {"logit_bias": {"5": 1}, "reasoning_effort": "xhigh"},
        "Unsupported parameter: 'logit_bias' is not supported with this model.", "logit_bias", "unsupported_parameter",
    ),
    (
        "gpt-5", {"stop": "."}, "Unsupported parameter: 'stop' is not supported with this model.",
        "stop", "unsupported_parameter",
    ),
]  # fmt: skip
BROKEN = [({"model": "gpt-4o-mini", **fields}, *error) for fields, *error in REFUSED]
BROKEN += [({"model": model, **fields}, *error) for model, fields, *error in REASONING]
ACCEPTED: list[dict[str, Any]] = [
    {"messages": [USER, call_of("c1", "c2"), answer_to("c2"), answer_to("c1")]},
    {"messages": [call_of("c1"), answer_to("c1"), USER, call_of("c1"), answer_to("c1"), answer_to("c1")]},
    {"messages": [USER, {"role": "assistant", "content": "High.", "tool_calls": None, "refusal": None, "audio": None}]},
    {"messages": [USER, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]},
    {"response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "Give JSON."}, USER]},
    {"response_format": {"type": "json_object"}, **content({"type": "text", "text": "as Json, please"})},
    {"response_format": strict_format(CLOSED)},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "tide", "schema": OPEN}}},
    {"tools": [strict_tool(CLOSED), TIDE, GREP], "tool_choice": {"type": "custom", "custom": {"name": "grep"}}},
    {"tools": [strict_tool(OPEN, strict=None)], "tool_choice": "required", "parallel_tool_calls": False},
    {"tools": [{"type": "function", "function": {"name": "f-" + "_" * 62}}]},
    {"logprobs": True, "top_logprobs": 20},
    {"logit_bias": {}, "metadata": {}, "user": "u"},
    {"model": "o3", "max_completion_tokens": 5, "temperature": 1, "top_p": 1.0, "presence_penalty": 0},
    {"model": "o3-mini", "stop": "."},
    {"model": "gpt-5.1", "temperature": 0.3, "logprobs": True},
    {"model": "gpt-5.4", "temperature": 0.3, "reasoning_effort": "none"},
    {"model": "gpt-5-chat-latest", "max_tokens": 5, "temperature": 0},
    content({"type": "image_url", "image_url": {"url": "data:image/png;base64,", "detail": "low"}}),
    content({"type": "file", "file": {"file_id": "file-1"}}),
]


@pytest.fixture(params=[False, True], ids=["", "strict"])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> BatchClient:
    monkeypatch.setattr(loading, "find_providers", lambda: [agilecloud.api])
    return BatchClient(progression="immediate", strict=request.param)


@pytest.mark.parametrize(
    ("fields", "message", "param", "code"), BROKEN, ids=[f"{n}-{each[2]}" for n, each in enumerate(BROKEN)]
)
def test_a_request_that_openai_refuses_is_refused_live_streamed_and_in_a_batch(
    desk: BatchClient, fields: dict[str, Any], message: str, param: str | None, code: str | None
) -> None:
    line = request_of("bad", USER["content"], **fields)

    live = desk.refusal("POST", CHAT, json=line["body"])
    batch = desk.run(jsonl(request_of("good"), line))

    assert live == (400, {"message": message, "type": "invalid_request_error", "param": param, "code": code})
    failed = desk.lines(batch["error_file_id"])["bad"]["response"]
    assert (failed["status_code"], failed["body"]["error"]) == live
    assert set(desk.lines(batch["output_file_id"])) == {"good"}
    if "stream_options" not in fields:
        assert desk.refusal("POST", CHAT, json={**line["body"], "stream": True}) == live


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_request_that_openai_accepts_is_answered_live_and_in_a_batch(
    desk: BatchClient, fields: dict[str, Any]
) -> None:
    if desk.engine.settings.strict:
        fields = {name: value for name, value in fields.items() if value is not None}
    line = request_of("good", USER["content"], **fields)

    assert desk.ask("POST", CHAT, json=line["body"]).status == 200
    assert set(desk.lines(desk.run(jsonl(line))["output_file_id"])) == {"good"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(loading, "find_providers", lambda: [agilecloud.api])
    return BatchClient().engine


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-5.1", "claude-4-sonnet", "qwen-2.5-3b"])
def test_every_optional_parameter_at_once_and_newer_ones_are_taken(engine: Engine, model: str) -> None:
    fields = EVERYTHING | {"newer": {"a": [1]}, "context_management": None}
    if model == "gpt-5.1":
        del fields["logit_bias"]

    assert BatchClient(engine).ask("POST", CHAT, json=request_of("r", **fields, model=model)["body"]).status == 200


def test_a_rejected_line_counts_as_a_finding_about_the_client(desk: BatchClient) -> None:
    desk.run(jsonl(request_of("bad", response_format={"type": "json_object"})))

    [job] = jobs_of(desk.sandbox).scan()
    assert job.results is not None
    assert job.results.refused.total == 1
    assert "word 'json'" in job.results.refused.examples[0]


def test_a_limit_in_the_body_overrides_a_prompts_limit_of_the_other_name(engine: Engine) -> None:
    asked = {"model": "gpt-4o", "prompt_slug": "summarize", "variables": {"text": "x"}, "max_completion_tokens": 2}

    response = BatchClient(engine).ask("POST", CHAT, json=asked)

    assert response.status == 200


def test_each_rule_of_the_table_is_broken_by_a_request_above() -> None:
    model = Model("m", "m", ModelKind.CHAT, unsupported=frozenset({"stop"}), has_refusals=True)

    assert {rule.field for rule in RULES} <= {field for each in BROKEN for field in (each[0] or {})}
    with pytest.raises(Refusal, match="'stop' is not supported"):
        check_rules({"model": "m", "messages": [USER], "stop": "."}, model)


MESSAGES = st.lists(
    st.sampled_from([USER, call_of("a"), call_of("a", "b"), answer_to("a"), answer_to("b"), answer_to("c")]), max_size=6
)


@given(messages=MESSAGES)
def test_messages_are_accepted_exactly_where_each_call_has_its_answers_right_after_it(messages: list[Any]) -> None:
    spelled = "".join({"user": "U", "tool": message.get("tool_call_id", "")}.get(
        message["role"], "[" + "".join(call["id"] for call in message.get("tool_calls", ())) + "]"
    ) for message in messages)  # fmt: skip
    # One call and its answers, or two and theirs in any order; an answer may be repeated.
    fits = re.fullmatch(r"(?:U|\[a\]a+|\[ab\](?=a*b)(?=b*a)[ab]+)*", spelled) is not None

    if fits:
        check_rules({"messages": messages, "model": "m"}, MODEL)
    else:
        with pytest.raises(Refusal, match="tool_calls"):
            check_rules({"messages": messages, "model": "m"}, MODEL)
