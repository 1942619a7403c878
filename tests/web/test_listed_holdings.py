"""What the admin API lists of a sandbox's files and batches: pages, ages, and nothing that is over."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client
from starlette.testclient import TestClient

DAY = 86_400


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as running:
        yield running


def upload(client: TestClient, name: str, purpose: str = "batch", **fields: Any) -> str:
    answer = client.post("/v1/files", data={"purpose": purpose, **fields}, files={"file": (name, b"{}")})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def names(client: TestClient, **query: Any) -> list[str]:
    return [each["filename"] for each in client.get("/__admin/files", params=query).json()["files"]]


@pytest.mark.parametrize(("waited", "listed"), [(30 * DAY - 1, ["a.jsonl", "b.txt"]), (30 * DAY, ["b.txt"])])
def test_a_file_is_listed_until_it_expires(client: TestClient, waited: int, listed: list[str]) -> None:
    id_ = upload(client, "a.jsonl")
    upload(client, "b.txt", "user_data")

    client.post("/__admin/clock/advance", json={"seconds": waited})

    assert names(client) == listed
    assert client.get(f"/v1/files/{id_}").status_code == (200 if len(listed) == 2 else 404)


@pytest.mark.parametrize(("life", "status"), [(3599, 400), (3600, 200), (2_592_000, 200), (2_592_001, 400)])
def test_a_file_expires_after_an_hour_to_30_days(client: TestClient, life: int, status: int) -> None:
    fields = {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": str(life)}

    answer = client.post("/v1/files", data=fields, files={"file": ("a.jsonl", b"{}")})

    assert answer.status_code == status
    if status == 200:
        assert answer.json()["expires_at"] - answer.json()["created_at"] == life


def test_a_deleted_file_is_not_listed(client: TestClient) -> None:
    id_ = upload(client, "a.jsonl")
    upload(client, "b.jsonl")

    client.delete(f"/v1/files/{id_}")

    assert names(client) == ["b.jsonl"]


@pytest.mark.parametrize("kind", ["files", "batches"])
def test_a_listing_has_pages_that_follow_one_another(client: TestClient, kind: str) -> None:
    for n in range(5):
        upload(client, f"{n}.jsonl")
        client.post("/ai/batches", json={"prompts": [str(n)]})

    whole = client.get(f"/__admin/{kind}").json()
    seen: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = client.get(f"/__admin/{kind}", params={"limit": 2, "after": after}).json()
        assert len(page[kind]) <= 2
        seen += page[kind]
        after = page["next"]

    assert (len(whole[kind]), whole["next"]) == (5, None)
    assert seen == whole[kind]
    assert client.get(f"/__admin/{kind}", params={"limit": 5}).json()["next"] is None
    assert client.get(f"/__admin/{kind}", params={"limit": 4}).json()["next"] == 4


def test_a_batch_is_listed_with_its_provider_and_does_not_progress_by_that(client: TestClient) -> None:
    client.put("/__admin/progression", json="polls:3")
    id_ = client.post("/ai/batches", json={"prompts": ["a"]}).json()["id"]

    rows = [client.get("/__admin/batches").json()["batches"] for _ in range(9)]

    assert [(row["provider"], row["id"]) for row in rows[-1]] == [("agentfirst", id_)]
    assert rows[0] == rows[-1]
    assert client.get("/ai/batches", params={"id": id_}).json()["status"] != "successful"


def test_an_imported_sandbox_is_pinned(client: TestClient) -> None:
    headers = {"X-Mock-Sandbox": "mine"}
    client.post("/ai/batches", json={"prompts": ["a"]}, headers=headers)
    whole = client.get("/__admin/export", headers=headers).json()

    def held() -> bool:
        rows = client.get("/__admin/sandboxes").json()["sandboxes"]
        return next(bool(row["held"]) for row in rows if row["name"] == "mine")

    assert not held()
    assert client.post("/__admin/import", json=whole, headers=headers).status_code == 200
    assert held()
