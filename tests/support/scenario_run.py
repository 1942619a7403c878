"""A server on a socket with a sandbox that a scenario has set up, and its clients."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from batch_client import CHAT, chats
from builders import make_settings
from openai import OpenAI
from openai.types import Batch

from mockserver.server.process import ThreadedServer

TOKEN = "dai_sk_ann"


class ScenarioRun:
    """One server, one sandbox, one token; a client of each API, and one of the admin API."""

    def __init__(self, server: ThreadedServer, api: httpx.Client) -> None:
        self.server = server
        self.api = api
        """Speaks plain HTTP, as curl would."""

    def sdk(self, **options: Any) -> OpenAI:
        return OpenAI(base_url=f"{self.server.url}/v1", api_key=TOKEN, **options)

    def admin(self, method: str, path: str, **given: Any) -> Any:
        answer = self.api.request(method, f"/__admin{path}", **given)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def apply(self, name: str, **query: Any) -> None:
        self.admin("POST", f"/scenarios/{name}", params=query)

    def advance(self, **span: float) -> None:
        self.admin("POST", "/clock/advance", json=span)

    def queue(self, count: int = 6) -> str:
        """The id of a new batch of Agent First."""
        answer = self.api.post("/ai/batches", json={"prompts": [f"Question {n} about rivers" for n in range(count)]})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def status(self, id_: str) -> httpx.Response:
        return self.api.get("/ai/batches", params={"id": id_})

    def finish(self, id_: str, looks: int = 3) -> Any:
        """Agent First's batch as the last of some looks sees it."""
        seen = [self.status(id_).json() for _ in range(looks)]
        return seen[-1]


@contextmanager
def scenario_run(name: str, **settings: Any) -> Iterator[ScenarioRun]:
    """The scenario, applied through the admin API; time stands still unless the scenario or the test moves it."""
    with (
        ThreadedServer(make_settings(**settings)) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}) as api,
    ):
        made = ScenarioRun(server, api)
        made.apply(name)
        yield made


def start(client: OpenAI, count: int = 6) -> Batch:
    """A new batch of AgileCloud."""
    file = client.files.create(file=("in.jsonl", chats(count)), purpose="batch")
    endpoint: Any = CHAT
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")


def seen(client: OpenAI, batch: Batch, looks: int = 3) -> Batch:
    """AgileCloud's batch as the last of some looks sees it."""
    return [client.batches.retrieve(batch.id) for _ in range(looks)][-1]


def lines_of(client: OpenAI, file_id: str | None) -> dict[str, Any]:
    """A file's lines by their custom ids; none of no file."""
    if file_id is None:
        return {}
    lines = [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
    return {line["custom_id"]: line for line in lines}


def counts_of(batch: Batch) -> tuple[int, int, int]:
    assert batch.request_counts is not None
    return batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed


def named_after(file: Path) -> set[str]:
    """The scenarios that a file's tests are named after: `test_partial_failures__...` meets `partial-failures`."""
    found = re.findall(r"^def test_(\w+?)__\w+", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {each.replace("_", "-") for each in found}
