"""What the good lines of a batch are answered with, and in which order."""

import os
import subprocess
import sys
from typing import Any

import pytest
from batch_client import (
    CHAT,
    EMBEDDINGS,
    MODEL,
    BatchClient,
    chats,
    counts_of,
    embedding_of,
    jsonl,
    request_of,
)
from builders import value_of

from mockserver.engine.engine import Engine
from mockserver.providers.agilecloud.batches.results import WINDOW


@pytest.fixture(scope="module")
def engine() -> Engine:
    return BatchClient().engine


@pytest.fixture(scope="module")
def desk(engine: Engine) -> BatchClient:
    """Immediate, and shared: no test here looks at another's batches."""
    return BatchClient(engine)


def failure_of(desk: BatchClient, request: Any, endpoint: str = CHAT) -> tuple[int, dict[str, Any]]:
    """The status and the error of a request's line in the error file."""
    batch = desk.run(jsonl(request), endpoint)
    assert (batch["status"], batch["output_file_id"], batch["usage"]) == ("completed", None, None)
    assert counts_of(batch) == (1, 0, 1)
    [line] = desk.lines(batch["error_file_id"]).values()
    assert line["error"] is None
    assert list(line["response"]["body"]) == ["error"]
    assert set(line["response"]["body"]["error"]) == {"message", "type", "param", "code"}
    return line["response"]["status_code"], line["response"]["body"]["error"]


@pytest.mark.parametrize(
    ("changes", "status", "param", "code"),
    [
        ({"temperature": 3}, 400, "temperature", "decimal_above_max_value"),
        ({"messages": []}, 400, "messages", "empty_array"),
        ({"messages": [{"role": "king", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"model": "bge-large-en-v1.5"}, 400, "model", "invalid_value"),
        ({"prompt_slug": "nowhere"}, 404, "prompt_slug", "prompt_not_found"),
        ({"prompt_slug": 7}, 400, "prompt_slug", "invalid_type"),
        ({"prompt_slug": "translate", "prompt_version": 99}, 404, "prompt_version", "prompt_version_not_found"),
        ({"prompt_slug": "translate"}, 400, "variables.text", "missing_variable"),
        ({"tool_choice": {"type": "function", "function": {"name": "none"}}, "tools": []}, 400, None, None),
    ],
)
def test_a_refused_request_is_refused_as_a_live_one(
    desk: BatchClient, changes: Any, status: int, param: str | None, code: str | None
) -> None:
    request = request_of("bad", **changes)
    live = desk.refusal("POST", CHAT, json=request["body"])

    found = failure_of(desk, request)

    assert found == live
    assert found[0] == status
    assert (param, code) in {(found[1]["param"], found[1]["code"]), (None, None)}


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (request_of("bad", tempratur=1), "tempratur"),
        (request_of("bad", temperature=None), "temperature"),
        (embedding_of("bad", "text") | {"body": {"model": "bge-large-en-v1.5", "input": "?", "users": 1}}, "users"),
    ],
    ids=["unknown", "null", "embedding"],
)
def test_strict_mode_rejects_the_same_in_lines_as_live(request_: Any, param: str) -> None:
    strict, endpoint = BatchClient(strict=True), request_["url"]
    live = strict.refusal("POST", endpoint, json=request_["body"])

    found = failure_of(strict, request_, endpoint)

    assert found == live
    assert (found[0], found[1]["param"]) == (400, param)
    assert counts_of(BatchClient().run(jsonl(request_), endpoint)) == (1, 1, 0)


def test_the_responses_of_a_strict_batch_fit_the_document() -> None:
    strict = BatchClient(strict=True)

    batch = strict.run(jsonl(request_of("good"), request_of("typo", max_token=5), request_of("fine", n=2)))

    assert counts_of(batch) == (3, 2, 1)
    assert list(strict.lines(batch["error_file_id"])) == ["typo"]


@pytest.mark.parametrize(("marker", "status"), [("fail=429", 429), ("fail", 500), ("fail=200", 500), ("fail=999", 500)])
def test_a_marker_fails_its_line(desk: BatchClient, marker: str, status: int) -> None:
    family = "rate_limit_error" if status == 429 else "server_error"

    found = failure_of(desk, request_of("bad", f"Rivers [mock:{marker}]"))

    assert (found[0], found[1]["type"]) == (status, family)


def test_without_magic_markers_are_ordinary_text() -> None:
    desk = BatchClient(magic=False)

    assert counts_of(desk.run(jsonl(request_of("a", "[mock:fail]")))) == (1, 1, 0)


@pytest.mark.parametrize(
    "endpoint",
    ["/v1/responses", "/v1/completions", "/v1/moderations", "/v1/images/generations", "/v1/videos", "", "/v1/batches"],
)
def test_a_batch_for_an_endpoint_that_is_not_served_is_refused_at_creation(desk: BatchClient, endpoint: str) -> None:
    body = {"input_file_id": desk.put(chats(1)), "endpoint": endpoint, "completion_window": "24h"}

    status, error = desk.refusal("POST", "/v1/batches", json=body)

    assert (status, error["param"], error["code"]) == (400, "endpoint", "invalid_value")
    served = "Supported values are: '/v1/chat/completions' and '/v1/embeddings'."
    assert error["message"] == f"Invalid value: '{endpoint}'. {served}"


@pytest.mark.parametrize(
    "asked",
    [
        {"prompt_slug": 5},
        {"prompt_slug": ["translate"]},
        {"prompt_slug": {}},
        {"prompt_slug": True},
        {"prompt_slug": "translate", "prompt_version": "one"},
        {"prompt_slug": "translate", "prompt_version": 1.5},
        {"prompt_slug": "translate", "prompt_version": 0},
        {"prompt_slug": "translate", "variables": ["text"]},
        {"prompt_slug": "translate", "variables": "text"},
    ],
)
def test_an_ill_typed_prompt_fails_its_line_as_it_fails_a_live_call(desk: BatchClient, asked: dict[str, Any]) -> None:
    body = {"model": MODEL, **asked}
    line = {**request_of("bad"), "body": body}

    batch = desk.run(jsonl(request_of("good"), line))

    assert counts_of(batch) == (2, 1, 1)
    found = desk.lines(batch["error_file_id"])["bad"]["response"]
    assert (found["status_code"], found["body"]["error"]) == desk.refusal("POST", CHAT, json=body)
    assert found["body"]["error"]["param"] == list(asked)[-1]


def prompted(custom_id: str, slug: str) -> dict[str, Any]:
    return {**request_of(custom_id), "body": {"prompt_slug": slug, "variables": {"word": "ebb"}}}


def test_a_line_that_names_no_model_gets_that_of_its_prompt(desk: BatchClient) -> None:
    prompt = {"slug": "with-model", "template": "Say {{ word }}.", "model": "gpt-4o"}
    assert desk.ask("POST", "/api/v1/prompts", json=prompt).status == 201

    batch = desk.run(jsonl(prompted("a", "with-model")))

    [line] = desk.lines(batch["output_file_id"]).values()
    assert (batch["model"], line["response"]["body"]["model"]) == ("gpt-4o", "gpt-4o")
    live = desk.ask("POST", CHAT, json=prompted("a", "with-model")["body"])
    assert value_of(live)["choices"] == line["response"]["body"]["choices"]


def test_a_line_without_any_model_fails_with_the_live_error(desk: BatchClient) -> None:
    prompt = {"slug": "without-model", "template": "Say {{ word }}."}
    assert desk.ask("POST", "/api/v1/prompts", json=prompt).status == 201
    line = prompted("a", "without-model")

    status, error = failure_of(desk, line)

    assert (status, error["param"]) == (400, "model")
    assert (status, error) == desk.refusal("POST", CHAT, json=line["body"])


@pytest.mark.parametrize(("given", "model"), [("text", MODEL), ([], "bge-large-en-v1.5"), (None, "bge-large-en-v1.5")])
def test_a_line_with_an_invalid_embedding_request_fails(desk: BatchClient, given: Any, model: str) -> None:
    assert failure_of(desk, embedding_of("a", given, model), EMBEDDINGS)[0] == 400


def test_a_prompt_version_may_not_add_invalid_parameters(desk: BatchClient) -> None:
    prompt = {"slug": "greedy", "template": "Say {{ word }}.", "model_config": {"n": 1000}}
    assert desk.ask("POST", "/api/v1/prompts", json=prompt).status == 201

    status, error = failure_of(desk, request_of("a", prompt_slug="greedy", variables={"word": "ebb"}))

    assert (status, error["param"]) == (400, "n")


def test_a_line_is_answered_as_a_live_request_is(desk: BatchClient) -> None:
    requests = [
        request_of("plain"),
        request_of("alias", model="QWEN-2.5-3b"),
        request_of("canned", "ping"),
        request_of("many", n=3),
        request_of("short", max_tokens=2),
        request_of("template", prompt_slug="translate", variables={"text": "ping"}),
        request_of("parts", messages=[{"role": "user", "content": [{"type": "text", "text": "Rivers"}]}]),
    ]
    live = {each["custom_id"]: value_of(desk.ask("POST", CHAT, json=each["body"])) for each in requests}

    batch = desk.run(jsonl(*requests))

    lines = desk.lines(batch["output_file_id"])
    bodies = {custom_id: line["response"]["body"] for custom_id, line in lines.items()}
    for body in (*bodies.values(), *live.values()):
        del body["id"]
    assert bodies == live
    assert batch["error_file_id"] is None
    assert {line["response"]["status_code"] for line in lines.values()} == {200}
    assert {line["error"] for line in lines.values()} == {None}


def test_embeddings_are_those_of_live_requests(desk: BatchClient) -> None:
    requests = [embedding_of("one", "ebb"), embedding_of("two", ["ebb", "flood"]), embedding_of("tokens", [1, 2])]
    live = {each["custom_id"]: value_of(desk.ask("POST", EMBEDDINGS, json=each["body"])) for each in requests}

    batch = desk.run(jsonl(*requests), EMBEDDINGS)

    lines = desk.lines(batch["output_file_id"])
    assert {custom_id: line["response"]["body"] for custom_id, line in lines.items()} == live
    assert batch["usage"]["input_tokens"] == sum(each["usage"]["prompt_tokens"] for each in live.values())
    assert batch["usage"]["output_tokens"] == 0


def test_line_separators_inside_a_line_are_escaped(desk: BatchClient) -> None:
    ends = "a\u2028b\u2029c\u0085d\x1ce\x0bf\x0cg"

    batch = desk.run(
        jsonl(request_of(f"good{ends}", ends, model=MODEL), request_of(f"bad{ends}", f"{ends}[mock:fail]"))
    )

    assert list(desk.lines(batch["output_file_id"])) == [f"good{ends}"]
    assert list(desk.lines(batch["error_file_id"])) == [f"bad{ends}"]


def test_output_lines_are_reordered_equally_on_every_run() -> None:
    orders = []
    for _ in range(2):
        desk = BatchClient()
        batch = desk.run(chats(3 * WINDOW))
        orders.append(list(desk.lines(batch["output_file_id"])))
    ids = [f"r{n}" for n in range(3 * WINDOW)]

    assert orders[0] == orders[1]
    assert orders[0] != ids
    assert sorted(orders[0]) == sorted(ids)
    assert set(orders[0][:WINDOW]) == set(ids[:WINDOW])


def test_fresh_processes_write_the_same_bytes() -> None:
    program = """
import hashlib
from batch_client import BatchClient, chats, jsonl, request_of
desk = BatchClient()
batch = desk.run(chats(100) + jsonl(*(request_of(f"bad{n}", "[mock:fail]") for n in range(70))))
written = desk.content(batch["output_file_id"]) + desk.content(batch["error_file_id"])
print(batch["id"], batch["output_file_id"], batch["error_file_id"], hashlib.sha256(written).hexdigest())
"""
    said = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", program]
        said.append(subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout)

    assert said[0] == said[1]
    assert said[0].startswith(b"batch_")


def test_keep_order_keeps_the_order_of_lines() -> None:
    desk = BatchClient(keep_order=True)

    batch = desk.run(chats(100))

    assert list(desk.lines(batch["output_file_id"])) == [f"r{n}" for n in range(100)]


def test_large_responses_are_not_buffered_for_reordering(desk: BatchClient) -> None:
    batch = desk.run(jsonl(*(embedding_of(f"r{n}", ["ebb"] * 100) for n in range(3))), EMBEDDINGS)

    assert list(desk.lines(batch["output_file_id"])) == ["r0", "r1", "r2"]
