"""AgileCloud's batches through the real SDK: uploaded, started, followed, downloaded, cancelled, listed."""

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
import requests
from batch_client import MODEL, OPENAI, chats, embedding_of, jsonl, request_of
from builders import make_settings
from openai import OpenAI
from openai.types import Batch

from mockserver.engine import build as loading
from mockserver.providers.agentfirst import operations as agentfirst
from mockserver.providers.agilecloud import hooks as agilecloud
from mockserver.server.process import ThreadedServer

CHAT: Any = "/v1/chat/completions"


@pytest.fixture(autouse=True)
def providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_providers", lambda: [agentfirst.api, agilecloud.api])


@pytest.fixture
def client() -> Iterator[OpenAI]:
    with ThreadedServer(make_settings(strict=True, progression="polls:4")) as server, client_of(server) as made:
        yield made


def client_of(server: ThreadedServer, key: str = "dai_sk_ann") -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


def start(client: OpenAI, content: bytes, endpoint: Any = CHAT, **fields: Any) -> Batch:
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **fields)


def finish(client: OpenAI, batch: Batch) -> Batch:
    """The batch at its end; it is asked for as often as the settings say."""
    for _ in range(4):
        batch = client.batches.retrieve(batch.id)
    return batch


def lines_of(client: OpenAI, file_id: str | None) -> dict[str, Any]:
    assert file_id is not None
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    return {line["custom_id"]: line for line in lines}


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_file_without_a_name_makes_a_batch(client: OpenAI, is_stream: bool) -> None:
    content = b"\xef\xbb\xbf" + chats(2).replace(b"\n", b"\r\n\r\n")
    file = client.files.create(file=io.BytesIO(content) if is_stream else content, purpose="batch")

    batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")

    # The server of these tests is strict, and says of the second line that it is blank.
    done = finish(client, batch)
    assert file.filename == "upload"
    assert done.errors is not None
    assert [(each.line, each.code) for each in done.errors.data or []] == [
        (2, "invalid_json_line"),
        (4, "invalid_json_line"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "purpose", "message"),
    [
        ("notes.txt", chats(1), "batch", "Invalid file format for Batch API. Must be .jsonl"),
        ("in.jsonl", "{é}".encode("latin-1"), "batch", "Invalid file for Batch API. Must be utf-8 encoded"),
        ("in.jsonl", b"", "batch", "Invalid file for Batch API. It is empty."),
    ],
)
def test_a_file_that_is_no_input_is_refused_at_upload(
    client: OpenAI, name: str, content: bytes, purpose: Any, message: str
) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.files.create(file=(name, content), purpose=purpose)

    assert raised.value.body["message"] == message  # type: ignore[index]  # the SDK calls it an object


def test_limit_0_lists_no_batches(client: OpenAI) -> None:
    start(client, chats(1))

    page = client.batches.list(limit=0)

    assert (page.data, page.has_more) == ([], True)
    with pytest.raises(openai.BadRequestError, match="Expected a value <= 100, but got 101 instead") as raised:
        client.batches.list(limit=101)
    assert raised.value.code == "integer_above_max_value"


@pytest.mark.parametrize(
    ("files", "data", "message", "param"),
    [
        ({"file": (None, "{}")}, {"purpose": "batch"}, "The part 'file' has no filename, so it is no file.", "file"),
        ({"file": ("", "{}")}, {"purpose": "batch"}, "The part 'file' has", "file"),
        ({"purpose": ("a", "batch")}, {}, "The part 'purpose' is a file; wanted text.", "purpose"),
        (
            {"file": ("in.jsonl", "{}")},
            {"purpose": "batch", "expires_after": "604800"},
            "Unknown parameter: 'expires_after'.",
            "expires_after",
        ),
    ],
)
def test_a_form_that_is_no_upload_says_which_part_is_wrong(
    client: OpenAI, files: Any, data: Any, message: str, param: str
) -> None:
    files = files if "file" in files else {"file": ("in.jsonl", "{}"), **files}
    url, headers = f"{client.base_url}files", {"Authorization": "Bearer a"}

    answer = requests.post(url, files=files, data=data, headers=headers, timeout=10)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["message"][: len(message)]) == (400, param, message)


@pytest.mark.parametrize("filename", ["東京.jsonl", "Zoë.jsonl"])
def test_file_names_of_all_clients_are_kept(client: OpenAI, filename: str) -> None:
    url, headers = f"{client.base_url}files", {"Authorization": "Bearer a"}

    answers = [
        post(url, files={"file": (filename, b"{}")}, data={"purpose": "batch"}, headers=headers, timeout=10)
        for post in (requests.post, httpx.post)
    ]

    assert [answer.json()["filename"] for answer in answers] == [filename] * 2


def test_a_batch_runs_from_upload_to_output(client: OpenAI) -> None:
    fresh = start(client, chats(6) + jsonl(request_of("bad", temperature=9)), metadata={"run": "7"})
    seen = [client.batches.retrieve(fresh.id) for _ in range(4)]
    done = seen[-1]

    assert (fresh.status, fresh.metadata, fresh.errors) == ("validating", {"run": "7"}, None)
    assert [each.status for each in seen] == ["validating", "in_progress", "in_progress", "completed"]
    assert [each.request_counts.completed for each in seen if each.request_counts] == [0, 2, 4, 6]
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.failed) == (7, 1)
    output, error = lines_of(client, done.output_file_id), lines_of(client, done.error_file_id)
    assert (sorted(output), list(error)) == ([f"r{n}" for n in range(6)], ["bad"])
    assert output["r0"]["response"]["body"]["choices"][0]["message"]["content"]
    assert done.usage is not None
    used = [line["response"]["body"]["usage"]["total_tokens"] for line in output.values()]
    assert done.usage.total_tokens == sum(used)


def test_an_answer_of_a_batch_is_a_completion_to_the_sdk(client: OpenAI) -> None:
    done = finish(client, start(client, chats(1)))
    live = client.chat.completions.create(
        model=MODEL, messages=request_of("x", "Question 0 about rivers")["body"]["messages"]
    )

    body = lines_of(client, done.output_file_id)["r0"]["response"]["body"]
    completion = openai.types.chat.ChatCompletion.model_validate(body)

    assert completion.choices == live.choices
    assert completion.usage == live.usage


def test_embeddings_are_made_in_batches_too(client: OpenAI) -> None:
    done = finish(client, start(client, jsonl(embedding_of("a", ["ebb", "flood"])), "/v1/embeddings"))

    body = lines_of(client, done.output_file_id)["a"]["response"]["body"]

    assert [len(each["embedding"]) for each in body["data"]] == [1024, 1024]


def test_an_invalid_line_fails_the_batch_after_its_creation(client: OpenAI) -> None:
    fresh = start(client, jsonl(request_of("a"), request_of("a", stream=True)) + b"{bad")
    failed = finish(client, fresh)

    assert fresh.errors is None
    assert (failed.status, failed.output_file_id, failed.error_file_id) == ("failed", None, None)
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [(each.line, each.code, each.param) for each in failed.errors.data] == [
        (2, "streaming_unsupported", "body.stream"),
        (3, "invalid_json_line", None),
    ]


def test_a_batch_of_failures_is_completed_without_an_output(client: OpenAI) -> None:
    done = finish(client, start(client, jsonl(request_of("a", "[mock:fail=429]"))))

    assert (done.status, done.output_file_id, done.usage) == ("completed", None, None)
    assert lines_of(client, done.error_file_id)["a"]["response"]["status_code"] == 429


def test_openais_batches_are_cancelled_in_two_steps() -> None:
    settings = make_settings(strict=True, progression="polls:4", **OPENAI)
    with ThreadedServer(settings) as server, client_of(server) as client:
        batch = start(client, chats(4))
        for _ in range(2):
            client.batches.retrieve(batch.id)

        statuses = [client.batches.cancel(batch.id).status, client.batches.retrieve(batch.id).status]
        cancelled = client.batches.cancel(batch.id)

        assert statuses == ["cancelling", "cancelled"]
        assert cancelled.request_counts is not None
        assert cancelled.request_counts.completed == len(lines_of(client, cancelled.output_file_id)) == 2


def test_agileclouds_batches_are_cancelled_at_once(client: OpenAI) -> None:
    batch = client.batches.cancel(start(client, chats(4)).id)

    assert (batch.status, batch.output_file_id) == ("cancelled", None)
    assert client.batches.retrieve(batch.id) == batch


def test_lists_end_with_any_page_size(client: OpenAI) -> None:
    ids = [start(client, chats(1)).id for _ in range(5)]

    assert [each.id for each in client.batches.list(limit=2)] == ids[::-1]
    assert [each.id for each in client.batches.list(limit=1, after=ids[2])] == ids[1::-1]


def test_accounts_do_not_see_each_others_batches(client: OpenAI) -> None:
    batch = start(client, chats(1))
    # One world, two accounts: the sandbox is named beside the key.
    headers = {"X-Mock-Sandbox": "shared"}
    file = client.files.create(file=("in.jsonl", chats(1)), purpose="batch", extra_headers=headers)
    shared = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", extra_headers=headers)
    other = client.with_options(api_key="dai_sk_bob")

    assert client.batches.retrieve(shared.id, extra_headers=headers).id == shared.id
    for id_, more in ((batch.id, {}), (shared.id, headers)):
        with pytest.raises(openai.NotFoundError, match="No batch found"):
            other.batches.retrieve(id_, extra_headers=more)
        with pytest.raises(openai.NotFoundError, match="No batch found"):
            other.batches.cancel(id_, extra_headers=more)
    assert list(other.batches.list(extra_headers=headers)) == []
    stolen = other.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", extra_headers=headers)
    for _ in range(2):
        stolen = other.batches.retrieve(stolen.id, extra_headers=headers)
    assert stolen.status == "failed"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"input_file_id": "wrong-id"}, "input_file_id"),
        ({"endpoint": "/v1/nothing"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"tags": ["a"]}}, "metadata.tags"),
    ],
)
def test_an_invalid_batch_is_a_bad_request(client: OpenAI, changes: Any, param: str) -> None:
    good = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}

    with pytest.raises(openai.BadRequestError) as raised:
        client.batches.create(**{**good, **changes})

    assert raised.value.param == param


def test_cancelling_a_completed_batch_is_a_conflict(client: OpenAI) -> None:
    done = finish(client, start(client, chats(1)))

    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'completed'"):
        client.batches.cancel(done.id)


def test_outputs_expire_as_requested() -> None:
    with ThreadedServer(make_settings(strict=True)) as server, client_of(server) as client:
        expiry: Any = {"anchor": "created_at", "seconds": 3600}
        batch = client.batches.retrieve(start(client, chats(1), output_expires_after=expiry).id)
        assert batch.output_file_id is not None
        file = client.files.retrieve(batch.output_file_id)

        server.engine.sandboxes.open("dai_sk_ann").clock.advance(3600)

        assert file.expires_at == file.created_at + 3600
        with pytest.raises(openai.NotFoundError):
            client.files.content(batch.output_file_id)
