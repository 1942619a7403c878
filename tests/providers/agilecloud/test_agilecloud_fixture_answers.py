"""What a request asks for comes before what a fixture says: live, streamed, and in batches."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_client import CHAT, BatchClient, jsonl, request_of
from builders import bytes_of, value_of
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types

from mockserver.engine import build as loading
from mockserver.providers.agilecloud import hooks as agilecloud

WEATHER = "What is the weather in Paris?"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PLACE = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
SEA = {
    "type": "object",
    "properties": {"sea": {"type": "string"}, "depth": {"type": "number"}},
    "required": ["sea", "depth"],
    "additionalProperties": False,
}
Ask = Callable[..., dict[str, Any]]


def tool(name: str, parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name} | ({"parameters": parameters} if parameters else {})}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": [named(name) for name in names]}}


def json_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


@pytest.fixture(autouse=True)
def providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_providers", lambda: [agilecloud.api])


def live(desk: BatchClient, body: dict[str, Any]) -> dict[str, Any]:
    response = desk.ask("POST", CHAT, json=body)
    assert response.status == 200, response
    return dict(value_of(response)["choices"][-1])


def streamed(desk: BatchClient, body: dict[str, Any]) -> dict[str, Any]:
    """The choice that the pieces of the last answer make when they are put together."""
    response = desk.ask("POST", CHAT, json={**body, "stream": True})
    assert response.status == 200, response
    events = bytes_of(response).split(b"\n\n")[:-2]
    pieces = [json.loads(event[6:])["choices"][0] for event in events]
    pieces = [piece for piece in pieces if piece["index"] == pieces[-1]["index"]]
    said = [piece["delta"].get("content") for piece in pieces]
    calls: dict[int, dict[str, Any]] = {}
    for part in (part for piece in pieces for part in piece["delta"].get("tool_calls", ())):
        if "id" in part:
            calls[part["index"]] = {name: part[name] for name in ("id", "type", part["type"])}
        else:
            call = calls[part["index"]]
            for field, text in part[call["type"]].items():
                call[call["type"]][field] += text
    content = None if said[0] is None else "".join(each or "" for each in said)
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
    if calls:
        message["tool_calls"] = list(calls.values())
    index, finish = pieces[-1]["index"], pieces[-1]["finish_reason"]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def batched(desk: BatchClient, body: dict[str, Any]) -> dict[str, Any]:
    batch = desk.run(jsonl({"custom_id": "r", "method": "POST", "url": CHAT, "body": body}))
    [line] = desk.lines(batch["output_file_id"]).values()
    return dict(line["response"]["body"]["choices"][-1])


@pytest.fixture
def ask() -> Ask:
    """Asks in all three ways, which have to agree, and gives the last choice."""

    def asked(text: str, desk: BatchClient | None = None, **fields: Any) -> dict[str, Any]:
        desk = desk or BatchClient(progression="immediate", strict=True)
        body = request_of("r", text, **fields)["body"]
        choice = live(desk, body)
        assert choice == streamed(desk, body) == batched(desk, body)
        return choice

    return asked


def arguments_of(choice: dict[str, Any]) -> list[tuple[str, Any]]:
    assert choice["message"]["content"] is None
    calls = [call["function"] for call in choice["message"]["tool_calls"]]
    return [(call["name"], json.loads(call["arguments"])) for call in calls]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"tools": [tool("get_weather", PLACE)], "tool_choice": "none"},
        {"tools": [tool("find_weather", PLACE)]},
        {"tools": [tool("get_weather"), tool("other")], "tool_choice": allowed("auto", "other")},
        {"tools": [{"type": "custom", "custom": {"name": "get_weather"}}]},
    ],
)
def test_no_tool_is_called_that_was_not_sent_or_may_not_be_called(ask: Ask, fields: dict[str, Any]) -> None:
    choice = ask(WEATHER, **fields)

    assert choice["message"]["content"] == "It is 18 degrees and cloudy in Paris, with a light wind from the west."
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("tool_choice", ["auto", "required", allowed("required", "get_weather"), None])
def test_a_canned_call_is_made_of_a_tool_that_was_sent(ask: Ask, tool_choice: Any) -> None:
    fields = {} if tool_choice is None else {"tool_choice": tool_choice}

    choice = ask(WEATHER, tools=[tool("other"), tool("get_weather", PLACE)], **fields)

    assert arguments_of(choice) == [("get_weather", {"location": "Paris", "unit": "celsius"})]
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("text", [WEATHER, "hi", "Name a river in Spain."])
@pytest.mark.parametrize(
    ("tool_choice", "name", "finish"),
    [
        (named("find_city"), "find_city", "stop"),
        (named("get_weather"), "get_weather", "stop"),
        (allowed("required", "find_city"), "find_city", "tool_calls"),
    ],
)
def test_a_forced_call_is_of_that_tool_and_fits_its_own_schema(
    ask: Ask, text: str, tool_choice: Any, name: str, finish: str
) -> None:
    tools = [tool("get_weather", CITY), tool("find_city", CITY)]

    choice = ask(text, tools=tools, tool_choice=tool_choice)

    [(called, arguments)] = arguments_of(choice)
    assert (called, choice["finish_reason"]) == (name, finish)
    Draft202012Validator(CITY).validate(arguments)


@pytest.mark.parametrize("tool_choice", ["required", {"type": "custom", "custom": {"name": "grep"}}])
def test_a_custom_tool_that_has_to_be_called_gets_a_text(ask: Ask, tool_choice: Any) -> None:
    choice = ask("hi", tools=[{"type": "custom", "custom": {"name": "grep"}}], tool_choice=tool_choice)

    [call] = choice["message"]["tool_calls"]
    assert (call["type"], call["custom"]["name"], bool(call["custom"]["input"])) == ("custom", "grep", True)


@pytest.mark.parametrize("text", ["hi", WEATHER, "Translate to Spanish...", "Trigger the content filter.", "Seas?"])
@pytest.mark.parametrize("n", [1, 2])
def test_an_answer_has_the_form_that_is_asked_for_where_a_fixture_matches(ask: Ask, text: str, n: int) -> None:
    choice = ask(text, response_format=json_format(SEA), n=n)

    Draft202012Validator(SEA).validate(json.loads(choice["message"]["content"]))
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("text", ["hi", WEATHER, "Translate to Spanish..."])
def test_a_json_object_is_one_where_a_fixture_matches(ask: Ask, text: str) -> None:
    messages = [{"role": "system", "content": "Answer in JSON."}, {"role": "user", "content": text}]

    choice = ask(text, messages=messages, response_format={"type": "json_object"})

    assert isinstance(json.loads(choice["message"]["content"]), dict)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("hi", {}),
        (WEATHER, {}),
        ("Trigger the content filter.", {}),
        ("hi", {"response_format": json_format(SEA)}),
        ("Name a river in Spain.", {}),
        (WEATHER, {"tools": [tool("get_weather", PLACE)]}),
        ("hi", {"tools": [tool("find_city", CITY)], "tool_choice": "required"}),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_no_response_exceeds_max_tokens(ask: Ask, text: str, fields: dict[str, Any], name: str, limit: int) -> None:
    desk = BatchClient(progression="immediate")

    choice = ask(text, desk, **fields, **{name: limit})

    assert choice["finish_reason"] == "length"
    body = value_of(desk.ask("POST", CHAT, json=request_of("r", text, **fields, **{name: limit})["body"]))
    assert body["usage"]["completion_tokens"] <= limit


def test_a_canned_text_ends_before_a_stop_sequence(ask: Ask) -> None:
    choice = ask("hi", stop=["help", "How"])

    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello! ", "stop")


def test_log_probabilities_are_the_same_live_and_in_a_batch() -> None:
    desk = BatchClient(progression="immediate")
    body = request_of("r", "hi", logprobs=True, top_logprobs=2)["body"]

    choice = live(desk, body)

    assert choice == batched(desk, body)
    assert "".join(each["token"] for each in choice["logprobs"]["content"]) == "Hello! How can I help you today?"
    assert {len(each["top_logprobs"]) for each in choice["logprobs"]["content"]} == {2}


@pytest.fixture
def own(tmp_path: Path) -> BatchClient:
    """A desk with fixtures of the user's own."""
    calls = [{"name": "get_weather", "arguments": {"town": "Oslo"}}, {"name": "stop_rain", "arguments": "{broken"}]
    entries = [
        {"match": {"contains": "weather"}, "tool_calls": calls, "text": "Rain."},
        {"match": {"prompt": "hi"}, "text": "not JSON"},
        {"match": {"prompt": "call"}, "tool_calls": calls},
    ]
    (tmp_path / "own.json").write_text(json.dumps({"completions": entries}))
    return BatchClient(progression="immediate", fixtures=(str(tmp_path),))


def test_calls_of_user_fixtures_are_sent_unchanged(ask: Ask, own: BatchClient) -> None:
    choice = ask(WEATHER, own, tools=[tool("get_weather", CITY), tool("stop_rain")])

    said = [call["function"]["arguments"] for call in choice["message"]["tool_calls"]]
    assert said == ['{"town":"Oslo"}', "{broken"]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"tools": [tool("stop_rain"), tool("other")]}, ["stop_rain"]),
        ({"tools": [tool("get_weather"), tool("stop_rain")], "parallel_tool_calls": False}, ["get_weather"]),
        ({"tools": [tool("get_weather"), tool("stop_rain")], "tool_choice": named("stop_rain")}, ["stop_rain"]),
        ({"tools": [tool("get_weather"), tool("other")], "tool_choice": named("other")}, ["other"]),
    ],
)
def test_calls_of_user_fixtures_are_sent_only_if_the_request_allows_them(
    ask: Ask, own: BatchClient, fields: dict[str, Any], names: list[str]
) -> None:
    choice = ask(WEATHER, own, **fields)

    assert [call["function"]["name"] for call in choice["message"]["tool_calls"]] == names


@pytest.mark.parametrize(("text", "said"), [(WEATHER, "Rain."), ("call", None)])
def test_calls_of_user_fixtures_are_not_sent_without_tools(
    ask: Ask, own: BatchClient, text: str, said: str | None
) -> None:
    choice = ask(text, own)

    assert "tool_calls" not in choice["message"]
    assert choice["message"]["content"] == said or (said is None and choice["message"]["content"])


def test_texts_of_user_fixtures_are_sent_unchanged(ask: Ask, own: BatchClient) -> None:
    assert ask("hi", own, response_format=json_format(SEA))["message"]["content"] == "not JSON"
