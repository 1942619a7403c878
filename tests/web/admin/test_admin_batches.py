"""Batches and files in the admin API: paged, without making progress, and cancelled as a client would."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client
from starlette.testclient import TestClient

PLACE = "/__admin/batches"


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client(progression="polls:2") as it:
        it.headers = {"Authorization": "Bearer test"}
        yield it


def queue(client: TestClient, count: int) -> str:
    answered = client.post("/ai/batches", json={"prompts": [f"question {n}" for n in range(count)]})
    return str(answered.json()["id"])


def read(client: TestClient, path: str, **query: Any) -> Any:
    answered = client.get(PLACE + path, params=query)
    assert answered.status_code == 200, answered.text
    return answered.json()


def test_a_page_has_fifty_items_unless_the_call_asks_for_more_or_fewer(client: TestClient) -> None:
    id_ = queue(client, 51)

    first = read(client, f"/{id_}")
    rest = read(client, f"/{id_}", after=first["next"])
    few = read(client, f"/{id_}", limit=2, after=3)

    assert [each["input"] for each in first["items"] + rest["items"]] == [f"question {n}" for n in range(51)]
    assert (len(first["items"]), first["next"], rest["next"]) == (50, 50, None)
    assert ([each["input"] for each in few["items"]], few["next"]) == (["question 3", "question 4"], 5)
    assert read(client, f"/{id_}", limit=51)["next"] is None
    assert client.get(f"{PLACE}/{id_}", params={"limit": 201}).status_code == 400


def test_the_latest_batches_come_in_pages_of_fifty_newest_first(client: TestClient) -> None:
    ids = []
    for n in range(51):
        assert client.post("/__admin/clock/advance", json={"seconds": 1}).status_code == 200
        ids.append(queue(client, n + 1))

    first = read(client, "/latest")
    rest = read(client, "/latest", after=first["next"])

    assert [each["id"] for each in first["batches"] + rest["batches"]] == ids[::-1]
    assert (len(first["batches"]), first["next"], rest["next"]) == (50, 50, None)


def test_looking_at_a_batch_is_no_poll(client: TestClient) -> None:
    id_ = queue(client, 1)
    seen = [read(client, f"/{id_}")["status"] for _ in range(5)]

    polled = [client.get("/ai/batches", params={"id": id_}).json() for _ in range(2)]

    assert len(set(seen)) == 1
    assert read(client, f"/{id_}")["status"] != seen[0], polled


def test_an_item_is_read_by_its_position(client: TestClient) -> None:
    id_ = queue(client, 3)

    assert read(client, f"/{id_}/items/2")["input"] == "question 2"
    for position in ("3", "-1", "x", "9" * 18):
        assert client.get(f"{PLACE}/{id_}/items/{position}").status_code == 404


def test_what_is_not_there_is_404_and_what_cannot_be_cancelled_409(client: TestClient) -> None:
    id_ = queue(client, 1)

    assert client.get(f"{PLACE}/none").status_code == 404
    assert client.get("/__admin/files/none/content").status_code == 404
    assert client.post(f"{PLACE}/{id_}/cancel").status_code == 409
    assert client.post(f"{PLACE}/none/cancel").status_code == 404


def test_a_batch_of_agilecloud_is_cancelled_once(client: TestClient) -> None:
    line = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", '
    line += b'"messages": [{"role": "user", "content": "hi"}]}}\n'
    file = client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", line)}).json()["id"]
    asked = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    id_ = client.post("/v1/batches", json=asked).json()["id"]

    cancelled = client.post(f"{PLACE}/{id_}/cancel")

    assert cancelled.status_code == 200
    assert client.get(f"/v1/batches/{id_}").json()["status"] in {"cancelling", "cancelled"}
    assert client.get(f"/__admin/files/{file}/content").content == line
