"""Record once, replay without the upstream: the real OpenAI SDK, jobs as timelines, redaction, modes."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from builders import make_settings
from openai import OpenAI
from proxies import Servers

from mockserver.server.process import ThreadedServer

KEY = "dai_sk_live_51Hq8xKJ2eZvKYlo2C"
LINES = [
    {
        "custom_id": f"r{n}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"Name river {n}."}]},
    }
    for n in range(3)
]
INPUT = "\n".join(map(json.dumps, LINES)).encode()


def run_batch(url: str, key: str = KEY) -> list[Any]:
    """A client's batch loop; returns what it saw, without ids."""
    with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        file = client.files.create(file=("in.jsonl", INPUT), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        seen: list[Any] = [(file.purpose, file.bytes, batch.status)]
        for _ in range(20):
            batch = client.batches.retrieve(batch.id)
            seen.append(batch.status)
            if batch.status == "completed":
                break
        assert batch.output_file_id and batch.input_file_id == file.id
        lines = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
        answers = {each["custom_id"]: each["response"]["body"]["choices"][0]["message"]["content"] for each in lines}
        assert all(each["response"]["body"]["model"] == "gpt-4o-mini" for each in lines)
        return [*seen, dict(sorted(answers.items())), batch.request_counts and batch.request_counts.completed]


def recorded_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_openai_sdk_sees_the_same_on_the_replay_as_when_it_was_recorded(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live(progression="polls:4", agilecloud_profile="openai")
    proxy = servers.proxy(upstream.url, record=tmp_path)
    recorded = run_batch(proxy.url)
    proxy.stop()
    upstream.stop()

    with ThreadedServer(make_settings(fixtures=(str(tmp_path),), progression="polls:4")) as replay:
        assert run_batch(replay.url, "another-key") == recorded
        assert recorded[1:5] == ["validating", "in_progress", "finalizing", "completed"]
        assert run_batch(replay.url, "somebody-else") == recorded  # each token has its own sandbox


@pytest.mark.parametrize(("progression", "polls"), [("immediate", 1), ("polls:1", 1), ("polls:2", 2), ("polls:7", 7)])
def test_a_recorded_batch_progresses_as_the_sandbox_does(
    servers: Servers, tmp_path: Path, progression: str, polls: int
) -> None:
    proxy = servers.proxy(servers.live(progression="polls:4").url, record=tmp_path)
    recorded = run_batch(proxy.url)
    proxy.stop()

    with ThreadedServer(make_settings(fixtures=(str(tmp_path),), progression=progression)) as replay:
        seen = run_batch(replay.url)

    assert len(seen) == polls + 3
    assert seen[-2:] == recorded[-2:]


def test_a_recorded_batch_progresses_with_the_clock(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live(progression="time:100")
    proxy = servers.proxy(upstream.url, record=tmp_path)
    with httpx.Client(base_url=proxy.url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        id_ = client.post("/ai/batches", json={"prompts": ["one", "two", "three"]}).json()["id"]
        for _ in range(6):
            client.get("/ai/batches", params={"id": id_})
            httpx.post(
                f"{upstream.url}/__admin/clock/advance", json={"seconds": 20}, headers=client.headers
            ).raise_for_status()
        client.get("/ai/batches", params={"id": id_})
    proxy.stop()

    with ThreadedServer(make_settings(fixtures=(str(tmp_path),), progression="time:60")) as replay:
        client = httpx.Client(base_url=replay.url, headers={"Authorization": "Bearer t"})
        id_ = client.post("/ai/batches", json={"prompts": ["one", "two", "three"]}).json()["id"]
        first = client.get("/ai/batches", params={"id": id_}).json()
        client.post("/__admin/clock/advance", json={"seconds": 61}).raise_for_status()
        last = client.get("/ai/batches", params={"id": id_}).json()
        client.close()

    assert (first["id"], first["status"], first["successful"]) == (id_, "retrieving", 0)
    assert (last["status"], last["successful"]) == ("successful", 3)


def test_a_recording_is_readable_and_holds_the_job_as_a_timeline(servers: Servers, tmp_path: Path) -> None:
    proxy = servers.proxy(servers.live(progression="polls:3").url, record=tmp_path)
    run_batch(proxy.url)
    proxy.stop()

    text = (tmp_path / "recording.yaml").read_text()
    entries = yaml.safe_load(text)["recorded"]

    assert [each["request"]["operation"] for each in entries] == [
        "createFile", "createBatch", "retrieveBatch", "downloadFile"
    ]  # fmt: skip
    upload, created, read, _ = entries
    assert upload["request"]["body"]["file"]["filename"] == "in.jsonl"
    assert created["answers"][0]["begins"] == [read["job"]] == [created["answers"][0]["body"]["id"]]
    assert read["since"] == "createBatch"
    assert [each["body"]["status"] for each in read["timeline"]] == ["validating", "in_progress", "completed"]
    times = [each["after"] for each in read["timeline"]]
    assert times == sorted(times)
    assert created["request"]["body"]["input_file_id"] == upload["answers"][0]["body"]["id"]
    assert text.startswith("# Recorded by `mockserver proxy`")
    assert not (tmp_path / "recording.jsonl").exists()


def test_ids_are_replaced_and_the_same_run_has_the_same_ids(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live(progression="polls:2")
    texts = []
    for n, seed in enumerate(("a", "b")):
        upstream = servers.live(progression="polls:2", seed=seed)
        proxy = servers.proxy(upstream.url, record=tmp_path / str(n))
        with OpenAI(base_url=f"{proxy.url}/v1", api_key=KEY) as client:
            id_ = client.files.create(file=("in.jsonl", INPUT), purpose="batch").id
            client.files.retrieve(id_)
        proxy.stop()
        text = (tmp_path / str(n) / "recording.yaml").read_text()
        assert id_ not in text
        texts.append(re.findall(r"file-[0-9a-zA-Z]+", text))

    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 1
