"""Models as a client meets them: listed ones, snapshots, fine-tuned ones, and any at all with `--any-model`."""

from contextlib import nullcontext
from typing import Any

import orjson
import pytest
from batch_client import CHAT, EMBEDDINGS, BatchClient, embedding_of, jsonl, request_of
from builders import ask, make_engine, value_of

from mockserver.api.call import ApiContext
from mockserver.engine import build as loading
from mockserver.engine.engine import Engine
from mockserver.providers.agilecloud import hooks as agilecloud
from mockserver.providers.agilecloud.usage import report
from mockserver.redaction import account_key
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.web.admin.snapshots import read_import, snapshots_of

SNAPSHOT, TUNED = "gpt-4o-2024-08-06", "ft:gpt-4o-mini-2024-07-18:acme::B1c2"


@pytest.fixture(autouse=True)
def providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_providers", lambda: [agilecloud.api])


def used(desk: BatchClient) -> Any:
    return report(world_of(desk), desk.sandbox)["accounts"][account_key("ann")]


def world_of(desk: BatchClient) -> ApiContext:
    [service] = [each for each in desk.engine.services if each.operation.key == "createBatch"]
    return service.world


@pytest.mark.parametrize("model", [SNAPSHOT, TUNED, "gpt-5.4", "gpt-3.5-turbo"])
def test_a_snapshot_is_answered_under_its_name_live_and_in_a_batch(model: str) -> None:
    desk = BatchClient(progression="immediate", strict=True)
    line = request_of("r", model=model)

    live = value_of(desk.ask("POST", CHAT, json=line["body"]))
    batch = desk.run(jsonl(line))
    [answer] = desk.lines(batch["output_file_id"]).values()

    assert live["model"] == answer["response"]["body"]["model"] == batch["model"] == model
    assert answer["response"]["body"]["choices"] == live["choices"]
    assert value_of(desk.ask("GET", f"/v1/models/{model}"))["id"] == model
    costs = used(desk)
    assert costs["live"]["cost"] == 2 * costs["batch"]["cost"] > 0


@pytest.mark.parametrize(("any_model", "model"), [(False, SNAPSHOT), (False, TUNED), (True, "my/llama")])
def test_a_batch_for_an_unlisted_model_can_be_imported(any_model: bool, model: str) -> None:
    desk = BatchClient(progression="immediate", any_model=any_model)
    desk.run(jsonl(request_of("r", model=model)))
    snapshots = snapshots_of(desk.engine)
    document = orjson.loads(b"".join(snapshots.encode(snapshots.snapshot_of(desk.sandbox))))
    elsewhere = BatchClient(seed="other").engine

    assert read_import(desk.engine, document)
    with pytest.raises(SnapshotError, match="which this server does not serve") if any_model else nullcontext():
        read_import(elsewhere, document)


@pytest.mark.parametrize("path", [CHAT, EMBEDDINGS, "/v1/models/nobodys-model-1"])
def test_without_the_setting_an_unknown_model_is_404(path: str) -> None:
    desk, model = BatchClient(), "nobodys-model-1"
    body = {CHAT: request_of("r", model=model)["body"], EMBEDDINGS: embedding_of("r", "ebb", model)["body"]}

    given = {"json": body[path]} if path in body else {}

    status, error = desk.refusal("POST" if given else "GET", path, **given)

    assert (status, error["code"]) == (404, "model_not_found")


def test_with_the_setting_any_model_chats_and_embeds_live_and_in_batches() -> None:
    desk = BatchClient(any_model=True, progression="immediate", strict=True)
    chat, vector = request_of("r", model="my/llama:7b"), embedding_of("r", ["ebb", "flood"], "my/vectors")

    assert value_of(desk.ask("POST", CHAT, json=chat["body"]))["model"] == "my/llama:7b"
    assert len(value_of(desk.ask("POST", EMBEDDINGS, json=vector["body"]))["data"][0]["embedding"]) == 1536
    for line, endpoint in ((chat, CHAT), (vector, EMBEDDINGS)):
        [answer] = desk.lines(desk.run(jsonl(line), endpoint)["output_file_id"]).values()
        assert answer["response"]["status_code"] == 200
    costs = used(desk)
    assert (costs["live"]["requests"], costs["batch"]["requests"]) == (2, 2)
    assert costs["live"]["cost"] == costs["batch"]["cost_at_live_price"] > costs["batch"]["cost"] > 0


@pytest.fixture
def engine() -> Engine:
    return make_engine(any_model=True)


def test_with_the_setting_listed_models_are_unchanged(engine: Engine) -> None:
    asked = request_of("r", model="bge-large-en-v1.5")["body"]

    response = ask(engine, "POST", CHAT, json=asked)

    assert (response.status, value_of(response)["error"]["param"]) == (400, "model")


def test_many_fine_tuned_models_in_one_batch_are_all_answered() -> None:
    desk = BatchClient(progression="immediate")
    lines = [request_of(f"r{n}", model=f"ft:gpt-4o:acme::m{n}") for n in range(400)]

    batch = desk.run(jsonl(*lines))

    answers = desk.lines(batch["output_file_id"])
    assert {answers[f"r{n}"]["response"]["body"]["model"] for n in range(400)} == {
        f"ft:gpt-4o:acme::m{n}" for n in range(400)
    }
    assert batch["request_counts"]["completed"] == 400
    assert used(desk)["batch"]["requests"] == 400
