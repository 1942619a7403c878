"""AgileCloud's batches as they age: statuses, counts, files and bills."""

from typing import Any

import pytest
from batch_client import (
    DAY,
    EMBEDDINGS,
    MODEL,
    OPENAI,
    BatchClient,
    chats,
    counts_of,
    embedding_of,
    jsonl,
    request_of,
    times_of,
)
from builders import value_of

from mockserver.providers.agilecloud.batches.job import jobs_of
from mockserver.providers.agilecloud.usage import UsageEntry, report, usage_entries
from mockserver.redaction import account_key


@pytest.fixture(scope="module")
def desk() -> BatchClient:
    """Immediate, and shared: no test here looks at another's batches."""
    return BatchClient()


def test_a_timed_batch_of_agilecloud_shows_three_statuses_on_its_way() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(chats(9))["id"]
    seen = []
    for _ in range(11):
        batch = desk.read(id_)
        seen.append((batch["status"], *counts_of(batch)))
        desk.sandbox.clock.advance(10)

    assert seen[0] == ("validating", 0, 0, 0)
    assert seen[1:10] == [("in_progress", 9, n, 0) for n in range(9)]
    assert seen[10] == ("completed", 9, 9, 0)
    assert times_of(batch) == {"in_progress": 10, "completed": 100}


def test_openais_batches_are_finalized_before_they_are_completed() -> None:
    desk = BatchClient(progression="polls:4", **OPENAI)
    id_ = desk.create(chats(4))["id"]

    batches = [desk.read(id_) for _ in range(5)]

    assert [each["status"] for each in batches] == [
        "validating", "in_progress", "finalizing", "completed", "completed",
    ]  # fmt: skip
    assert [counts_of(each)[1] for each in batches] == [0, 2, 4, 4, 4]
    assert batches[-1] == batches[-2]


def test_files_and_usage_are_dated_by_the_end_of_the_batch() -> None:
    desk = BatchClient(progression="time:100")
    created = desk.now
    id_ = desk.create(chats(2), output_expires_after={"anchor": "created_at", "seconds": 7200})["id"]
    desk.sandbox.clock.advance(3600)

    batch = desk.read(id_)

    file = value_of(desk.ask("GET", f"/v1/files/{batch['output_file_id']}"))
    assert (file["created_at"], file["expires_at"]) == (created + 100, created + 7300)
    assert file["purpose"] == "batch_output"
    assert file["filename"] == f"{id_}_output.jsonl"
    assert [entry.at for entry in usage_entries(desk.sandbox, account_key("ann"))] == [created + 100]
    desk.sandbox.clock.advance(3700)
    assert desk.ask("GET", f"/v1/files/{batch['output_file_id']}/content").status == 404


def test_files_are_gone_after_thirty_days_unless_said_otherwise(desk: BatchClient) -> None:
    batch = desk.run(jsonl(request_of("a"), request_of("b", "[mock:fail]")))

    for name in ("output_file_id", "error_file_id"):
        assert value_of(desk.ask("GET", f"/v1/files/{batch[name]}"))["expires_at"] == desk.now + 30 * DAY


def test_a_batch_record_keeps_no_file_content(desk: BatchClient) -> None:
    good, bad = desk.run(chats(3)), desk.run(b"{bad\n")

    for batch in (good, bad):
        job = jobs_of(desk.sandbox).get(batch["id"])
        assert job is not None and job.results is not None
        assert (job.input, job.results.output.size, job.results.error.size) == (None, 0, 0)


def test_usage_is_what_the_lines_add_up_to_and_is_billed_by_model() -> None:
    desk = BatchClient()
    requests = [
        request_of("a"),
        request_of("b", n=2),
        request_of("c", model="qwen-2.5-3b"),
        request_of("d", "[mock:fail]"),
    ]

    batch = desk.run(jsonl(*requests))
    desk.read(batch["id"])

    used = [line["response"]["body"]["usage"] for line in desk.lines(batch["output_file_id"]).values()]
    prompt, said = (sum(each[name] for each in used) for name in ("prompt_tokens", "completion_tokens"))
    assert batch["usage"] == {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + said,
    }
    entries: list[UsageEntry] = usage_entries(desk.sandbox, account_key("ann"))
    assert sum(entry.requests for entry in entries) == 3
    assert (sum(entry.prompt_tokens for entry in entries), sum(entry.completion_tokens for entry in entries)) == (
        prompt,
        said,
    )
    assert len({entry.model for entry in entries}) == len(entries)
    assert all(entry.is_batch and entry.operation == "createBatch" for entry in entries)


def test_a_batch_costs_half_of_what_live_requests_do() -> None:
    desk = BatchClient()
    requests = [embedding_of(f"r{n}", "ebb and flood") for n in range(4)]
    for each in requests:
        desk.ask("POST", EMBEDDINGS, json=each["body"])

    desk.run(jsonl(*requests), EMBEDDINGS)

    world = next(each.world for each in desk.engine.services if each.operation.key == "createBatch")
    told = report(world, desk.sandbox)["accounts"][account_key("ann")]
    assert told["batch"]["cost"] * 2 == told["batch"]["cost_at_live_price"] == told["live"]["cost"] > 0


@pytest.mark.parametrize(
    ("requests", "model"),
    [
        ([request_of("a"), request_of("b", "[mock:fail]")], MODEL),
        ([request_of("a", "[mock:fail]")], MODEL),
        ([request_of("a"), request_of("b", model="qwen-2.5-3b")], None),
    ],
)
def test_a_batch_names_the_model_its_requests_agree_on(desk: BatchClient, requests: Any, model: str | None) -> None:
    assert desk.run(jsonl(*requests))["model"] == model


def test_fresh_processes_write_the_same_bytes() -> None:
    contents = []
    for _ in range(2):
        desk = BatchClient()
        batch = desk.run(jsonl(*(request_of(f"r{n}", f"{n}" + "[mock:fail]" * (n % 2)) for n in range(50))))
        contents.append((batch, desk.content(batch["output_file_id"]), desk.content(batch["error_file_id"])))

    assert contents[0] == contents[1]


def test_a_line_uses_the_prompt_version_of_the_time_it_is_processed() -> None:
    desk = BatchClient(progression="time:100")
    assert desk.ask("POST", "/api/v1/prompts", json={"slug": "tides", "template": "Say {{ word }}."}).status == 201
    id_ = desk.create(jsonl(*(request_of(f"r{n}", prompt_slug="tides", variables={"word": "ebb"}) for n in range(3))))[
        "id"
    ]
    desk.sandbox.clock.advance(50)
    before = desk.read(id_)
    assert desk.ask("DELETE", "/api/v1/prompts/tides").status == 204

    batch = desk.cancel(id_)

    assert counts_of(before) == counts_of(batch) == (3, 1, 0)


def test_a_version_test_splits_the_lines_and_counts_their_outcomes() -> None:
    desk = BatchClient(progression="time:100")
    prompt = {"slug": "tides", "template": "Say {{ word }}.", "model_config": {"n": 1}}
    desk.ask("POST", "/api/v1/prompts", json=prompt)
    desk.ask("POST", "/api/v1/prompts/tides/versions", json={**prompt, "model_config": {"n": 1000}})
    desk.ask("POST", "/api/v1/prompts/tides/ab-test", json={"version_a": 1, "version_b": 2})
    lines = [request_of(f"r{n}", prompt_slug="tides", variables={"word": "ebb"}) for n in range(40)]
    id_ = desk.create(jsonl(*lines))["id"]
    desk.sandbox.clock.advance(90)
    desk.read(id_)

    def variants() -> Any:
        return value_of(desk.ask("GET", "/api/v1/prompts/tides/ab-results"))["variants"]

    before = variants()
    desk.sandbox.clock.advance(10)
    batch = desk.read(id_)
    first, second = variants()

    _, completed, failed = counts_of(batch)
    assert [each["requests"] for each in before] == [0, 0]
    assert 0 < failed < 40
    assert (first["requests"], first["failed"]) == (completed, 0)
    assert (second["requests"], second["failed"]) == (failed, failed)
    assert first["prompt_tokens"] == batch["usage"]["input_tokens"]
    assert first["completion_tokens"] == batch["usage"]["output_tokens"]


def test_the_files_of_a_batch_are_listed_before_the_batch_is_read() -> None:
    desk = BatchClient(progression="time:100")
    desk.create(chats(2))
    desk.sandbox.clock.advance(50)
    early = [each["purpose"] for each in value_of(desk.ask("GET", "/v1/files"))["data"]]

    desk.sandbox.clock.advance(50)

    assert early == ["batch"]
    assert [each["purpose"] for each in value_of(desk.ask("GET", "/v1/files"))["data"]] == ["batch_output", "batch"]
