"""What docs/limits.md says of the unknown parts of both APIs is what the server does."""

from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient, chats, jsonl, request_of
from builders import ask, bytes_of, make_engine, queue, value_of

LIMITS = " ".join((Path(__file__).parents[1].parent / "docs" / "limits.md").read_text(encoding="utf-8").split())


def says(sentence: str) -> None:
    assert sentence in LIMITS


@pytest.fixture
def desk() -> BatchClient:
    return BatchClient()


def test_a_body_that_is_not_json_is_422() -> None:
    says("rejected with 422 and the text `JSON was malformed`")
    response = ask(make_engine(), "POST", "/ai/batches", body=b"{", headers={"content-type": "application/json"})

    assert (response.status, bytes_of(response)) == (422, b"JSON was malformed")


def test_ids_and_archives_last_until_a_reset() -> None:
    says("until the server stops or the sandbox is reset")
    engine = make_engine()
    id_ = queue(engine, "One")
    sandbox = engine.sandboxes.open("test")
    sandbox.clock.advance(10 * 365 * 86_400)
    status = value_of(ask(engine, "GET", "/ai/batches", query={"id": id_}))

    assert ask(engine, "GET", status["url"].partition(":4024")[2], token=None).status == 200
    sandbox.reset()
    assert ask(engine, "GET", "/ai/batches", query={"id": id_}).status == 422


def test_cities_are_not_checked() -> None:
    says("Cities are not checked against any list")
    queue(make_engine(), "One", country="US", city="No such city")


def test_a_finished_batch_cannot_be_cancelled_and_one_may_be_cancelled_twice() -> None:
    says("Cancelling a batch that has completed, failed or expired is 409")
    desk = BatchClient()
    done = desk.run(chats(1))
    assert desk.ask("POST", f"/v1/batches/{done['id']}/cancel").status == 409

    slow = BatchClient(progression="time:100")
    id_ = slow.create(chats(1))["id"]
    assert [slow.ask("POST", f"/v1/batches/{id_}/cancel").status for _ in range(2)] == [200, 200]


def test_an_error_has_four_fields(desk: BatchClient) -> None:
    says("OpenAI's four fields (`message`, `type`, `param`, `code`)")

    assert desk.refusal("GET", "/v1/batches/none")[1].keys() == {"message", "type", "param", "code"}


def test_the_window_is_24_hours_and_no_other(desk: BatchClient) -> None:
    says("`completion_window` may be left out and is then `24h`; any other value is 400")
    body = {"input_file_id": desk.put(chats(1)), "endpoint": "/v1/chat/completions"}

    assert value_of(desk.ask("POST", "/v1/batches", json=body))["completion_window"] == "24h"
    assert desk.ask("POST", "/v1/batches", json={**body, "completion_window": "48h"}).status == 400


def test_a_batch_may_mix_models(desk: BatchClient) -> None:
    says("A batch may mix models, since nothing forbids it; its `model` is null then")
    batch = desk.run(jsonl(request_of("a"), request_of("b", model="gpt-4o")))

    assert (batch["status"], batch["request_counts"]["completed"], batch["model"]) == ("completed", 2, None)


def test_files_of_batches_have_names_a_purpose_and_a_media_type(desk: BatchClient) -> None:
    says("`<batch_id>_output.jsonl` and `<batch_id>_error.jsonl`, with the purpose `batch_output`")
    says("A file's content is sent as `application/octet-stream`")
    batch = desk.run(jsonl(request_of("a"), request_of("b", "[mock:fail]")))

    for kind in ("output", "error"):
        file = value_of(desk.ask("GET", f"/v1/files/{batch[f'{kind}_file_id']}"))
        assert (file["filename"], file["purpose"]) == (f"{batch['id']}_{kind}.jsonl", "batch_output")
        content = desk.ask("GET", f"/v1/files/{file['id']}/content")
        assert content.media_type == "application/octet-stream"


def test_drafts_can_be_named_archived_versions_cannot_and_a_template_is_one_message(desk: BatchClient) -> None:
    says("`prompt_version` may name a draft; an archived version is rejected with 409, or with 400 where")
    says("becomes one message of the user")
    desk.ask("POST", "/api/v1/prompts", json={"slug": "mine", "name": "Mine", "template": "First"})
    desk.ask("POST", "/api/v1/prompts/mine/versions", json={"template": "Second"})

    def status(version: int) -> int:
        body: dict[str, Any] = {"model": "gpt-4o-mini", "prompt_slug": "mine", "prompt_version": version}
        return desk.ask("POST", "/v1/chat/completions", json=body).status

    assert status(2) == 200
    desk.ask("POST", "/api/v1/prompts/mine/versions/2/publish")
    assert (status(1), status(2)) == (400, 200)
    assert desk.ask("POST", "/api/v1/prompts/mine/render", json={"version": 1}).status == 409
    rendered = value_of(desk.ask("POST", "/api/v1/prompts/mine/render", json={}))
    assert rendered["messages"] == [{"role": "user", "content": "Second"}]
