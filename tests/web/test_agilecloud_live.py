"""AgileCloud's live calls as the openai SDK makes them, over a socket."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from builders import ask, make_engine, make_settings, value_of
from openai import OpenAI

from mockserver.engine import build as loading
from mockserver.engine.engine import Engine
from mockserver.providers.agentfirst import operations as agentfirst
from mockserver.providers.agilecloud import hooks as agilecloud
from mockserver.providers.agilecloud import rate_limit as agilecloud_limits
from mockserver.providers.agilecloud.rate_limit import REQUESTS, TOKENS
from mockserver.providers.agilecloud.usage import UsageEntry, report, usage_entries
from mockserver.redaction import account_key
from mockserver.server.process import ThreadedServer

MODEL = "gpt-4o-mini"
RIVER: list[Any] = [{"role": "user", "content": "Name a river in Spain."}]
WEATHER: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: Any = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
SCHEMA = {
    "type": "object",
    "properties": {"sea": {"type": "string"}},
    "required": ["sea"],
    "additionalProperties": False,
}


@pytest.fixture(autouse=True)
def providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_providers", lambda: [agentfirst.api, agilecloud.api])


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer(make_settings(strict=True)) as running:
        yield running


@pytest.fixture
def client(server: ThreadedServer) -> Iterator[OpenAI]:
    with client_of(server) as made:
        yield made


def client_of(server: ThreadedServer, key: str = "dai_sk_ann", *, max_retries: int = 0) -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=max_retries)


def test_a_chat_is_answered_and_counted(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=RIVER)

    assert answer.id.startswith("chatcmpl-")
    assert (answer.model, answer.choices[0].finish_reason) == (MODEL, "stop")
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_repeated_chat_gets_the_same_words_under_another_id(client: OpenAI) -> None:
    first, second = (client.chat.completions.create(model=MODEL, messages=RIVER) for _ in range(2))

    assert first.id != second.id
    assert first.choices == second.choices


def test_a_canned_completion_answers_its_message(client: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "ping"}]
    raw = client.chat.completions.with_raw_response.create(model="QWEN-2.5-3b", messages=messages)

    assert raw.parse().choices[0].message.content == "Hello! How can I help you today?"
    assert raw.headers["x-mock-source"].startswith("fixture:agilecloud/completions.yaml#")


def test_a_stream_has_the_text_of_the_plain_response(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=RIVER)

    pieces = list(
        client.chat.completions.create(model=MODEL, messages=RIVER, stream=True, stream_options={"include_usage": True})
    )

    assert len(pieces) > 3
    said = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert said == whole.choices[0].message.content
    assert pieces[-1].usage == whole.usage
    assert {piece.usage for piece in pieces[:-1]} == {None}


def test_a_stream_ends_as_openais_does(server: ThreadedServer, client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model=MODEL, messages=RIVER, stream=True) as response:
        body = response.read()

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-request-id"]
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    assert b'"usage"' not in body


def test_several_answers_differ(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=RIVER, n=3)

    assert len({choice.message.content for choice in answer.choices}) == 3


def test_an_answer_ends_before_a_stop(client: OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=RIVER).choices[0].message.content or ""
    word = whole.split()[2]

    cut = client.chat.completions.create(model=MODEL, messages=RIVER, stop=[word]).choices[0]

    assert cut.message.content == whole[: whole.index(word)]


def test_max_tokens_limits_the_response(client: OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=RIVER, max_tokens=2)

    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


def test_an_answer_fits_the_schema_that_is_asked_for(client: OpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "mouth", "strict": True, "schema": SCHEMA}}

    answer = client.chat.completions.create(model=MODEL, messages=RIVER, response_format=form)

    value = json.loads(answer.choices[0].message.content or "")
    assert list(value) == ["sea"]
    assert isinstance(value["sea"], str)


def test_a_tool_is_called_and_its_result_is_used(client: OpenAI) -> None:
    asked = client.chat.completions.create(model=MODEL, messages=WEATHER, tools=[TOOL])
    message = asked.choices[0].message
    assert message.tool_calls is not None
    call = message.tool_calls[0]
    assert call.type == "function"
    result = {"role": "tool", "tool_call_id": call.id, "content": "18"}
    follow: Any = [*WEATHER, message.model_dump(exclude_none=True), result]

    told = client.chat.completions.create(model=MODEL, messages=follow, tools=[TOOL])

    assert asked.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["location"] == "Paris"
    assert told.choices[0].message.content == ("It is 18 degrees and cloudy in Paris, with a light wind from the west.")


def test_a_prompt_template_stands_in_for_messages(client: OpenAI) -> None:
    template = {"prompt_slug": "translate", "variables": {"text": "ping"}}
    # The SDK knows no call without messages; with a template they do not count.
    answer = client.chat.completions.create(model=MODEL, messages=RIVER, extra_body=template)

    assert answer.choices[0].message.content == "Hello! How can I help you today?"


def test_embeddings_are_the_same_in_both_encodings(client: OpenAI) -> None:
    floats = client.embeddings.create(
        model="text-embedding-3-small", input=["ebb", "flood"], encoding_format="float", dimensions=8
    )
    raw = client.embeddings.with_raw_response.create(
        model="text-embedding-3-small", input=["ebb", "flood"], encoding_format="base64", dimensions=8
    )

    texts = [each["embedding"] for each in json.loads(raw.content)["data"]]
    vectors = [list(struct.unpack("<8f", base64.b64decode(text))) for text in texts]
    assert vectors == [pytest.approx(each.embedding) for each in floats.data]
    assert vectors[0] != vectors[1]
    assert sum(number * number for number in vectors[0]) == pytest.approx(1)


def test_embeddings_are_as_long_as_the_model_makes_them(client: OpenAI) -> None:
    answer = client.embeddings.create(model="bge-large-en-v1.5", input="The tide comes twice a day.")

    assert len(answer.data[0].embedding) == 1024
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 7


def test_models_are_listed_under_each_name_and_found_in_any_case(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]

    assert {"qwen2.5-3b-instruct", "qwen-2.5-3b", MODEL} <= set(names)
    assert client.models.retrieve("GPT-4o-Mini").owned_by == "openai"


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"temperature": 3}, openai.BadRequestError, "decimal_above_max_value"),
        ({"model": "bge-large-en-v1.5"}, openai.BadRequestError, "invalid_value"),
        ({"model": "gpt-0"}, openai.NotFoundError, "model_not_found"),
        ({"extra_body": {"prompt_slug": "nowhere"}}, openai.NotFoundError, "prompt_not_found"),
        ({"extra_body": {"prompt_slug": "translate"}}, openai.BadRequestError, "missing_variable"),
    ],
)
def test_a_refused_chat_raises_the_class_of_its_status(
    client: OpenAI, changes: Any, error: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(error) as raised:
        client.chat.completions.create(**{"model": MODEL, "messages": RIVER, **changes})

    assert raised.value.code == code
    assert raised.value.type == "invalid_request_error"


def test_an_unknown_model_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Model 'gpt-0' not found\.") as raised:
        client.models.retrieve("gpt-0")

    assert raised.value.param == "model"


def test_a_call_that_is_not_imitated_says_so_through_the_sdk(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="gpt-4o-mini", input="Hi")

    assert "mockserver does not imitate POST /v1/responses. The nearest operation is POST /v1/chat" in str(caught.value)
    assert caught.value.code == "unknown_url"
    assert caught.value.request_id


def test_a_revoked_key_is_401(server: ThreadedServer) -> None:
    with client_of(server, "mock-revoked") as client, pytest.raises(openai.AuthenticationError) as raised:
        client.models.list()

    assert raised.value.code == "invalid_api_key"
    assert raised.value.response.headers["www-authenticate"] == "Bearer"


def test_a_request_keeps_its_id(client: OpenAI) -> None:
    given = {"X-Request-ID": "build 7/<a>_b.c-" + "9" * 200}

    raw = client.models.with_raw_response.list(extra_headers=given)

    assert raw.headers.get_list("x-request-id") == ["build7a_b.c-" + "9" * 116]


def test_a_request_without_an_id_gets_one(client: OpenAI) -> None:
    answered = client.models.with_raw_response.list().headers.get_list("x-request-id")
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-0")
    refused = raised.value.response.headers.get_list("x-request-id")

    assert len(answered) == len(refused) == 1
    assert len(answered[0]) == len(refused[0]) == 32
    assert answered != refused


def test_the_rate_limit_answers_429_with_retry_after() -> None:
    with ThreadedServer(make_settings(rate_limit=60)) as server, client_of(server) as client:
        left = [client.models.with_raw_response.list().headers for _ in range(6)]
        with pytest.raises(openai.RateLimitError) as raised:
            client.models.list()
        with client_of(server, "dai_sk_bob") as other:
            assert other.models.list().data

    stated = raised.value.response.headers
    assert [headers["x-ratelimit-remaining-requests"] for headers in left] == ["5", "4", "3", "2", "1", "0"]
    assert {headers["x-ratelimit-limit-requests"] for headers in left} == {"60"}
    assert raised.value.code == "rate_limit_exceeded"
    assert stated.get_list("retry-after") == ["1"]
    assert stated.get_list("x-ratelimit-limit-requests") == ["60"]
    assert stated.get_list("x-ratelimit-remaining-requests") == ["0"]


def test_the_sdk_waits_for_retry_after_and_retries() -> None:
    settings = make_settings(rate_limit=60, clock="2026-04-12T00:00:00")
    with ThreadedServer(settings) as server, client_of(server, max_retries=2) as client:
        server.engine.sandboxes.open("dai_sk_ann").clock.scale_by(1000)
        for _ in range(8):
            assert client.models.list().data


# Below the socket: what the sandbox remembers.


@pytest.fixture
def engine() -> Engine:
    return make_engine(rate_limit=60)


def test_a_bucket_fills_with_sandbox_time(engine: Engine) -> None:
    statuses = [ask(engine, "GET", "/v1/models").status for _ in range(7)]
    engine.sandboxes.open("test").clock.advance(2)
    later = [ask(engine, "GET", "/v1/models").status for _ in range(3)]

    assert statuses == [200] * 6 + [429]
    assert later == [200, 200, 429]


def test_a_reset_fills_the_bucket(engine: Engine) -> None:
    for _ in range(7):
        ask(engine, "GET", "/v1/models")
    engine.sandboxes.open("test").reset()

    assert ask(engine, "GET", "/v1/models").status == 200


def limits_of(response: Any) -> dict[str, int]:
    """What the response says of limits; each header once."""
    found = [(name.removeprefix("X-RateLimit-"), int(value)) for name, value in response.headers if "RateLimit" in name]
    assert len(found) == len(dict(found))
    return dict(found)


def limits(asked: int, spent: int = 0, limit: int = REQUESTS) -> dict[str, int]:
    return {
        "Limit-Requests": limit,
        "Remaining-Requests": limit - asked,
        "Limit-Tokens": TOKENS,
        "Remaining-Tokens": TOKENS - spent,
    }


def test_every_response_has_the_remaining_limits() -> None:
    engine = make_engine()
    body = {"model": "qwen-2.5-3b", "messages": RIVER}

    first = ask(engine, "POST", "/v1/chat/completions", json=body)
    usage = value_of(first)["usage"]["total_tokens"]
    refused = ask(engine, "POST", "/v1/chat/completions", json={})
    other = ask(engine, "GET", "/v1/models", token="other")
    embedded = ask(engine, "POST", "/v1/embeddings", json={"model": "text-embedding-3-small", "input": "ebb"})
    unknown = ask(engine, "GET", "/v1/nowhere")
    stranger = ask(engine, "GET", "/v1/models", token="mock-revoked")
    nobody = ask(engine, "GET", "/v1/models", token=None)

    assert usage > 0
    assert (limits_of(first), limits_of(refused)) == (limits(1, usage), limits(2, usage))
    spent = usage + value_of(embedded)["usage"]["total_tokens"]
    assert (limits_of(embedded), limits_of(unknown)) == (limits(3, spent), limits(3, spent))
    assert limits_of(other) == limits(1)
    assert (limits_of(stranger), limits_of(nobody)) == (limits(0), limits(0))


def test_usage_counts_towards_the_limit_for_a_minute_of_sandbox_time() -> None:
    engine = make_engine()

    def left(after: float) -> int:
        engine.sandboxes.open("test").clock.advance(after)
        return limits_of(ask(engine, "GET", "/v1/models"))["Remaining-Requests"]

    assert [left(after) for after in (0, 30, 29.9, 0.1, 0, 3600)] == [REQUESTS - n for n in (1, 2, 3, 1, 2, 1)]


def test_limits_that_are_not_enforced_end_at_0_remaining(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agilecloud_limits, "REQUESTS", 2)
    engine = make_engine()

    responses = [ask(engine, "GET", "/v1/models") for _ in range(4)]

    assert [response.status for response in responses] == [200] * 4
    assert [limits_of(response)["Remaining-Requests"] for response in responses] == [1, 0, 0, 0]


@pytest.mark.parametrize("token", ["test", "mock-status-429"])
def test_a_429_has_the_accounts_limits_and_not_the_examples(engine: Engine, token: str) -> None:
    responses = [ask(engine, "GET", "/v1/models", token=token) for _ in range(7)]

    assert responses[-1].status == 429
    assert limits_of(responses[-1]) == {**limits(60, limit=60), "Remaining-Requests": 0}
    assert [value for name, value in responses[-1].headers if name == "Retry-After"] == ["1"]


def test_agent_first_has_no_rate_limit(engine: Engine) -> None:
    responses = [ask(engine, "GET", "/user") for _ in range(8)]

    assert {response.status for response in responses} == {200}
    assert {name for response in responses for name, _ in response.headers} == set()


def test_answered_requests_are_metered_at_the_live_price(engine: Engine) -> None:
    body = {"model": "qwen-2.5-3b", "messages": RIVER}
    used = value_of(ask(engine, "POST", "/v1/chat/completions", json=body))["usage"]
    ask(engine, "POST", "/v1/chat/completions", json={**body, "stream": True})
    ask(engine, "POST", "/v1/chat/completions", json={**body, "model": "gpt-0"})
    ask(engine, "POST", "/v1/embeddings", json={"model": "bge-large-en-v1.5", "input": "ebb"})

    sandbox = engine.sandboxes.open("test")
    tokens = used["prompt_tokens"], used["completion_tokens"]
    chat = UsageEntry(sandbox.clock.now(), "createChatCompletion", "qwen2.5-3b-instruct", *tokens)
    assert [each._replace(id="") for each in usage_entries(sandbox, account_key("test"))] == [
        chat,
        chat,
        UsageEntry(sandbox.clock.now(), "createEmbedding", "bge-large-en-v1.5", 1, 0),
    ]
    cost = 1000 * tokens[0] + 2000 * tokens[1]
    world = next(each.world for each in engine.services if each.operation.key == "createChatCompletion")
    assert [each["payload"]["value"] for each in report(world, sandbox)["events"]] == [str(cost), str(cost), "100"]


def test_a_version_test_counts_the_outcomes_of_its_requests(engine: Engine) -> None:
    prompt = {"slug": "tides", "template": "Say {{ word }}.", "model_config": {"n": 1}}
    ask(engine, "POST", "/api/v1/prompts", json=prompt)
    ask(engine, "POST", "/api/v1/prompts/tides/versions", json={**prompt, "model_config": {"n": 1000}})
    ask(engine, "POST", "/api/v1/prompts/tides/ab-test", json={"version_a": 1, "version_b": 2})
    body = {"model": MODEL, "prompt_slug": "tides", "variables": {"word": "ebb"}}
    with_limit = engine.sandboxes.open("test").clock
    statuses = []
    for _ in range(20):
        with_limit.advance(60)
        statuses.append(ask(engine, "POST", "/v1/chat/completions", json=body).status)

    variants = value_of(ask(engine, "GET", "/api/v1/prompts/tides/ab-results"))["variants"]

    assert [each["requests"] for each in variants] == [statuses.count(200), statuses.count(400)]
    assert [each["failed"] for each in variants] == [0, statuses.count(400)]
    assert 0 < statuses.count(400) < 20
    assert variants[0]["completion_tokens"] > 0


@pytest.mark.parametrize(("marker", "status"), [("fail", 500), ("fail=429", 429), ("fail=418", 500)])
def test_a_marker_fails_a_live_chat(engine: Engine, marker: str, status: int) -> None:
    response = ask(engine, "POST", "/v1/chat/completions", json=asked_with(marker))

    assert response.status == status
    assert value_of(response)["error"]["message"] == f"A marker in the request asks for the status {status}."


def test_a_marker_delays_a_live_chat_by_the_sandbox_clock() -> None:
    engine, delays = make_engine(clock="flowing"), []
    clock = engine.sandboxes.open("test").clock
    for scale, frozen in ((1, False), (60, False), (60, True)):
        clock.scale_by(scale)
        if frozen:
            clock.freeze()
        delays.append(ask(engine, "POST", "/v1/chat/completions", json=asked_with("slow=30s")).delay)

    assert delays == [30, 0.5, 0]


def test_a_marker_keeps_a_live_chat_from_ever_being_answered(engine: Engine) -> None:
    disturbance = ask(engine, "POST", "/v1/chat/completions", json=asked_with("hang")).disturbance

    assert disturbance is not None
    assert disturbance.kind == "timeout"


def test_without_magic_a_marker_is_only_a_text() -> None:
    assert ask(make_engine(magic=False), "POST", "/v1/chat/completions", json=asked_with("fail")).status == 200


def asked_with(marker: str) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"Say it. [mock:{marker}]"}]}
