"""Structured output, tools and log probabilities as the openai SDK asks for them, over a socket, in strict mode."""

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from builders import make_settings
from openai import OpenAI
from pydantic import BaseModel, Field

from mockserver.engine import build as loading
from mockserver.providers.agilecloud import hooks as agilecloud
from mockserver.server.process import ThreadedServer

MODEL = "gpt-4o-2024-08-06"
HI: list[Any] = [{"role": "user", "content": "hi"}]
WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]


class Step(BaseModel):
    explanation: str
    certainty: Literal["low", "high"]


class Plan(BaseModel):
    steps: list[Step]
    title: str | None


class FindWeather(BaseModel):
    """Looks up the weather of a place."""

    place: str
    days: list[int] = Field(description="From today.")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAI]:
    monkeypatch.setattr(loading, "find_providers", lambda: [agilecloud.api])
    with (
        ThreadedServer(make_settings(strict=True, progression="immediate")) as server,
        OpenAI(base_url=f"{server.url}/v1", api_key="dai_sk_ann", max_retries=0) as made,
    ):
        yield made


@pytest.mark.parametrize("messages", [HI, WEATHER])
def test_a_parsed_answer_is_the_clients_own_model(client: OpenAI, messages: list[Any]) -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Plan)

    plan = answer.choices[0].message.parsed
    assert isinstance(plan, Plan)
    assert all(step.certainty in {"low", "high"} for step in plan.steps)
    assert answer.model == MODEL


def test_a_streamed_answer_is_the_clients_own_model_too(client: OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=HI, response_format=Plan) as stream:
        answer = stream.get_final_completion()

    assert isinstance(answer.choices[0].message.parsed, Plan)


@pytest.mark.parametrize("tool_choice", ["required", {"type": "function", "function": {"name": "FindWeather"}}])
def test_a_tool_made_of_a_model_is_called_with_arguments_that_it_parses(client: OpenAI, tool_choice: Any) -> None:
    tools: Any = [openai.pydantic_function_tool(FindWeather)]

    answer = client.chat.completions.parse(model=MODEL, messages=WEATHER, tools=tools, tool_choice=tool_choice)
    with client.chat.completions.stream(model=MODEL, messages=WEATHER, tools=tools, tool_choice=tool_choice) as stream:
        streamed = stream.get_final_completion()

    for each in (answer, streamed):
        [call] = each.choices[0].message.tool_calls or []
        assert isinstance(call.function.parsed_arguments, FindWeather)


def test_log_probabilities_are_those_of_the_answers_tokens_whole_and_in_pieces(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HI, logprobs=True, top_logprobs=3).choices[0]
    pieces = client.chat.completions.create(model=MODEL, messages=HI, logprobs=True, top_logprobs=3, stream=True)

    told = [each for piece in pieces if piece.choices[0].logprobs for each in piece.choices[0].logprobs.content or ()]
    assert whole.logprobs is not None
    assert whole.logprobs.content == told
    assert whole.logprobs.refusal is None
    assert "".join(each.token for each in told) == whole.message.content
    assert all(each.top_logprobs[0].token == each.token and len(each.top_logprobs) == 3 for each in told)


def test_a_refused_request_has_openais_error(client: OpenAI) -> None:
    open_schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": open_schema}}

    with pytest.raises(openai.BadRequestError) as strict:
        client.chat.completions.create(model=MODEL, messages=HI, response_format=form)
    with pytest.raises(openai.BadRequestError) as limit:
        client.chat.completions.create(model="o3", messages=HI, max_tokens=5)

    assert (strict.value.param, strict.value.code, strict.value.type) == (
        "response_format", None, "invalid_request_error",
    )  # fmt: skip
    assert (limit.value.param, limit.value.code) == ("max_tokens", "unsupported_parameter")
    assert "max_completion_tokens" in limit.value.message


def test_a_batch_file_with_a_schema_gets_an_answer_that_fits(client: OpenAI) -> None:
    form = openai.lib._parsing._completions.type_to_response_format_param(Plan)
    body = {"model": MODEL, "messages": HI, "response_format": form, "logprobs": True}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")

    ended = client.batches.retrieve(batch.id)

    assert ended.status == "completed"
    answer = json.loads(client.files.content(ended.output_file_id or "").text)["response"]["body"]["choices"][0]
    assert Plan.model_validate_json(answer["message"]["content"])
    assert "".join(each["token"] for each in answer["logprobs"]["content"]) == answer["message"]["content"]
