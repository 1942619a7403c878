"""Two replicas of one store behind a real nginx, with the configuration of deploy/ and the OpenAI SDK."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from nginx import running_nginx
from openai import OpenAI
from store_processes import StoreWorld, store_world
from waiting import eventually

LINE = {
    "custom_id": "r1", "method": "POST", "url": "/v1/chat/completions",
    "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river."}]},
}  # fmt: skip


@pytest.fixture(params=["sqlite", "redis"])
def world(request: pytest.FixtureRequest) -> Iterator[StoreWorld]:
    with store_world(request.param) as made:
        yield made


def completed(client: OpenAI) -> str:
    """The output of a batch, whichever replica answers each of the requests."""
    file = client.files.create(file=("in.jsonl", json.dumps(LINE).encode()), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    polls = 1
    while batch.status != "completed":
        batch = client.batches.retrieve(batch.id)
        polls += 1
    assert polls == 5  # one that creates it, and four status requests
    assert batch.output_file_id is not None
    return client.files.content(batch.output_file_id).text


def answers_of(url: str) -> int:
    """The requests that a replica has answered."""
    lines = httpx.get(f"{url}/metrics", trust_env=False).text.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("mockserver_requests_total{"))


def test_the_sdk_sees_one_world_whichever_replica_answers(world: StoreWorld, tmp_path: Path) -> None:
    flags = ("--progression", "polls:4", "--clock", "frozen@2026-04-12T00:00:00", "--drain", "1")
    one, two = world.start(*flags), world.start(*flags)

    with (
        running_nginx(tmp_path, [one.url, two.url]) as url,
        OpenAI(base_url=f"{url}/v1", api_key="team", max_retries=0) as client,
    ):
        output = completed(client)
        assert json.loads(output)["custom_id"] == "r1"
        assert min(answers_of(one.url), answers_of(two.url)) > 0
        chat = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": "Count."}], stream=True
        )
        assert sum(1 for _ in chat) > 2
        assert httpx.get(f"{url}/metrics", trust_env=False).status_code == 404

        one.process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx.get(f"{one.url}/ready", trust_env=False).status_code == 503, within=5)
        with client.with_options(max_retries=2) as retrying:  # as it does by default
            while one.process.poll() is None:
                assert len(retrying.batches.list().data) == 1
            for _ in range(4):
                assert len(retrying.batches.list().data) == 1
        assert one.process.returncode == 0
        one.kill()
