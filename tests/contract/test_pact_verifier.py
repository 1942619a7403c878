"""Pact's own verifier accepts our contracts against a server that follows them, and rejects one that does not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from batch_client import chats
from builders import make_settings
from openai import OpenAI
from pact_verifier import verify_pact
from upstreams import answers, raw_upstream

from mockserver.client import Client
from mockserver.server.process import ThreadedServer

TOKEN = "real-token-1"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Vendor:
    """A server that is not the one that wrote the contract: it has other ids and words. Brings about states."""

    def __init__(self, url: str) -> None:
        self.url = url

    def bring_about(self, state: str, parameters: Mapping[str, str]) -> Mapping[str, str]:
        name, _, origin = state.partition(" comes from ")
        wanted = parameters.get("status", "")
        if state == "the credential is valid":
            return {"token": TOKEN}
        if origin.startswith("POST /ai/batches"):
            id_ = self.ask("POST", "/ai/batches", json={"prompts": ["Another"]})["id"]
            return {name: self.polled(f"/ai/batches?id={id_}", id_, wanted)}
        if origin.startswith("POST /v1/files"):
            return {name: self.upload()}
        if origin.startswith("POST /v1/batches"):
            id_ = self.batch()
            return {name: self.polled(f"/v1/batches/{id_}", id_, wanted)}
        if "/v1/batches/{batch_id}" in origin:
            id_ = self.batch()
            self.polled(f"/v1/batches/{id_}", id_, "completed")
            return {name: self.ask("GET", f"/v1/batches/{id_}")["output_file_id"]}
        return {}

    def ask(self, method: str, path: str, **given: Any) -> Any:
        return httpx.request(method, self.url + path, headers=HEADERS, **given).json()

    def upload(self) -> str:
        files = {"file": ("in.jsonl", chats(1))}
        return str(self.ask("POST", "/v1/files", files=files, data={"purpose": "batch"})["id"])

    def batch(self) -> str:
        body = {"input_file_id": self.upload(), "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return str(self.ask("POST", "/v1/batches", json=body)["id"])

    def polled(self, path: str, id_: str, status: str) -> str:
        """The id, after polls until the next one shows that status."""
        order = {"validating": 0, "retrieving": 0, "in_progress": 1, "archiving": 1, "completed": 2, "successful": 2}
        for _ in range(order.get(status, 0)):
            self.ask("GET", path)
        return id_


@pytest.fixture(scope="module")
def pacts() -> list[dict[str, Any]]:
    """The contracts of a client of both APIs."""
    with ThreadedServer(make_settings(progression="polls:3")) as server, Client(server.url) as client:
        sandbox = client.sandbox("mine")
        with OpenAI(base_url=f"{server.url}/v1", api_key="mine", max_retries=0) as openai:
            file = openai.files.create(file=("in.jsonl", chats(2)), purpose="batch")
            batch = openai.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            while batch.status != "completed":
                batch = openai.batches.retrieve(batch.id)
            openai.files.content(str(batch.output_file_id))
            openai.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "Hello"}])
            openai.models.list()
        url, headers = server.url, {"Authorization": "Bearer mine"}
        id_ = httpx.post(f"{url}/ai/batches", json={"prompts": ["One", "Two"]}, headers=headers).json()["id"]
        while httpx.get(f"{url}/ai/batches", params={"id": id_}, headers=headers).json()["status"] != "successful":
            pass
        for one in (headers, {"X-Mock-Sandbox": "mine"}):
            httpx.get(f"{url}/user", headers=one)
        return sandbox.contracts("app")


def test_a_server_with_other_words_and_ids_is_accepted(pacts: list[dict[str, Any]], tmp_path: Path) -> None:
    with ThreadedServer(make_settings(progression="polls:3", seed="vendor")) as server:
        found = [verify_pact(each, server.url, Vendor(server.url).bring_about, tmp_path) for each in pacts]

    assert [set(each.values()) for each in found] == [{""}, {""}]
    assert [len(each) for each in found] == [len(each["interactions"]) for each in pacts]
    assert "GET /v1/batches/{batch_id} answers 200 with status completed" in found[0]
    assert "GET /v1/files/{file_id}/content answers 200" in found[0]


def test_a_server_without_a_field_that_the_client_was_given_is_rejected(
    pacts: list[dict[str, Any]], tmp_path: Path
) -> None:
    pact = next(each for each in pacts if each["provider"]["name"] == "Agent First")
    asked = [each for each in pact["interactions"] if each["description"] == "GET /user answers 200"]
    body = b'[{"email": "a@example.com", "balance": 7}]'
    head = (b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body))

    with raw_upstream(answers(*head, body=body)) as server:
        found = verify_pact({**pact, "interactions": asked}, server.url, Vendor(server.url).bring_about, tmp_path)

    assert "credits" in found["GET /user answers 200"]
