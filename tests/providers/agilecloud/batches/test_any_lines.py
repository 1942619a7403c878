"""Whatever stands in a file: its batch ends, and tells what a live request would be told."""

import json
from typing import Any

import pytest
from batch_client import (
    CHAT,
    EMBEDDINGS,
    BatchClient,
    counts_of,
    embedding_of,
    jsonl,
    request_of,
)
from builders import ask, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine

STEADY = settings(derandomize=True, max_examples=150)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return BatchClient().engine


@pytest.fixture(scope="module")
def desk(engine: Engine) -> BatchClient:
    """Immediate, and shared: no test here looks at another's batches."""
    return BatchClient(engine)


PLAIN_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [
    "messages", "temperature", "n", "stop", "max_tokens", "tools", "tool_choice", "response_format", "stream",
    "prompt_slug", "prompt_version", "variables", "logit_bias", "metadata", "user", "input", "dimensions", "model",
]  # fmt: skip
TEXTS = st.sampled_from(["[mock:fail]", "[mock:fail=429]", "ping", "Rivers \u2028", "", "[mock:slow=1ms]"])


@st.composite
def near_lines(draw: st.DrawFn) -> bytes:
    """Lines that are nearly right, some of them broken in one place."""
    embeds = draw(st.booleans())
    lines = []
    for n in range(draw(st.integers(0, 6))):
        request = embedding_of(f"r{n}", draw(TEXTS)) if embeds else request_of(f"r{n}", draw(TEXTS))
        request["body"] |= draw(st.dictionaries(st.sampled_from(FIELDS), PLAIN_JSON, max_size=2) | st.just({}))
        request |= draw(st.dictionaries(st.sampled_from(["custom_id", "url"]), PLAIN_JSON, max_size=1) | st.just({}))
        lines.append(json.dumps(request).encode())
    return b"\n".join(lines)


@STEADY
@given(st.binary(max_size=300) | near_lines(), st.sampled_from([CHAT, EMBEDDINGS]))
def test_any_file_gives_a_final_status(engine: Engine, content: bytes, endpoint: str) -> None:
    desk = BatchClient(engine)

    batch = desk.create(content, endpoint)
    desk.sandbox.clock.advance(60)
    batch = desk.read(batch["id"])

    total, completed, failed = counts_of(batch)
    assert batch["status"] in {"completed", "failed"}
    assert total == completed + failed
    assert (batch["status"] == "failed") == (batch["errors"] is not None) == (total == 0)
    output, error = desk.lines(batch["output_file_id"]), desk.lines(batch["error_file_id"])
    assert (len(output), len(error)) == (completed, failed)
    if total:
        assert {*output, *error} == {json.loads(line)["custom_id"] for line in content.split(b"\n") if line.strip()}


@STEADY
@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), PLAIN_JSON, max_size=2), min_size=1, max_size=5))
def test_a_batch_refuses_what_a_live_request_is_refused(engine: Engine, changes: list[dict[str, Any]]) -> None:
    desk = BatchClient(engine)
    requests = [request_of(f"r{n}", **each) for n, each in enumerate(changes)]

    batch = desk.run(jsonl(*requests))

    if batch["status"] == "completed":
        bodies = [json.dumps(each["body"]).encode() for each in requests]
        as_json = {"content-type": "application/json"}
        live = [ask(engine, "POST", CHAT, body=body, headers=as_json, token="live").status for body in bodies]
        lines = desk.lines(batch["output_file_id"]) | desk.lines(batch["error_file_id"])
        assert [lines[each["custom_id"]]["response"]["status_code"] for each in requests] == live


SAID = (
    st.text(max_size=80)
    | st.text("abc \"\\'/<>\u2028\x7f\té[", max_size=80)
    | st.sampled_from(["ping", "Weather in Paris"])
)
MESSAGES = st.lists(
    st.builds(
        lambda role, said: {"role": role, "content": said}, st.sampled_from(["system", "user", "assistant"]), SAID
    ),
    min_size=1,
    max_size=3,
)


@STEADY
@given(
    conversations=st.lists(MESSAGES, min_size=1, max_size=4),
    model=st.sampled_from(["gpt-4o-mini", "GPT-4o-Mini", "QWEN-2.5-3b"]),
    limit=st.sampled_from([None, 3, 500]),
)
def test_a_line_gets_the_response_of_a_live_request(
    engine: Engine, conversations: list[list[dict[str, str]]], model: str, limit: int | None
) -> None:
    desk = BatchClient(engine)
    requests = [
        request_of(f"r{n}", messages=messages, model=model, max_tokens=limit)
        for n, messages in enumerate(conversations)
    ]
    live = {each["custom_id"]: value_of(desk.ask("POST", CHAT, json=each["body"])) for each in requests}

    lines = desk.lines(desk.run(jsonl(*requests))["output_file_id"])

    bodies = {custom_id: line["response"]["body"] for custom_id, line in lines.items()}
    for body in (*bodies.values(), *live.values()):
        del body["id"]
    assert bodies == live
