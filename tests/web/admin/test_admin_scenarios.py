"""The admin verbs for scenarios and conditions: what they show, what they change, and what they refuse."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import make_client, make_settings, state_of
from starlette.testclient import TestClient

from mockserver.engine.build import build_engine

NAMES = list(build_engine(make_settings()).scenarios.by_name)


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


def settled(client: TestClient) -> Any:
    """The state, without what is another by design: when and how often."""
    return state_of(client)[:-2] + client.get("/__admin/stubs").json()["stubs"]


def test_every_scenario_is_listed_with_a_sentence(client: TestClient) -> None:
    listed = client.get("/__admin/scenarios").json()["scenarios"]

    assert [each["name"] for each in listed] == NAMES
    assert all(each["description"].endswith(".") for each in listed)
    assert listed[NAMES.index("ids-vanish")] == {
        "name": "ids-vanish",
        "description": "Batches, conversations and files are unknown an hour after they were made.",
        "source": "scenarios/ids-vanish.yaml",
        "sets": ["conditions"],
    }


def test_one_scenario_is_shown_with_what_it_sets(client: TestClient) -> None:
    shown = client.get("/__admin/scenarios/ids-vanish").json()

    assert shown["scenario"]["conditions"] == {"retention": 3600}
    assert shown["sets"] == ["conditions"]


def test_a_users_own_scenario_is_listed_and_works(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "teapot.yaml").write_text(
        "description: Users are teapots, once.\nstubs: [{operation: getUser, undocumented: true, status: 418}]\n"
    )

    with make_client(fixtures=(str(tmp_path),)) as client:
        assert "teapot" in [each["name"] for each in client.get("/__admin/scenarios").json()["scenarios"]]
        client.post("/__admin/scenarios/teapot")

        assert [client.get("/user").status_code for _ in range(2)] == [418, 200]


def test_a_scenario_is_applied_to_the_calling_sandbox_only(client: TestClient) -> None:
    answer = client.post("/__admin/scenarios/ids-vanish", headers={"X-Mock-Sandbox": "another"})

    assert answer.json() == {"applied": "ids-vanish", "sets": ["conditions"], "reset": False}
    assert answer.headers["x-mock-sandbox"] == "another"
    assert client.get("/__admin/conditions").json() == {"conditions": {}}


def test_earlier_batches_keep_their_progression(client: TestClient) -> None:
    before = client.post("/ai/batches", json={"prompts": ["hello"]}).json()["id"]
    client.post("/__admin/scenarios/all-failed")
    after = client.post("/ai/batches", json={"prompts": ["hello"]}).json()["id"]

    def last(id_: str) -> str:
        return str([client.get("/ai/batches", params={"id": id_}).json()["status"] for _ in range(3)][-1])

    assert (last(before), last(after)) == ("successful", "failed")


def test_with_reset_the_sandbox_is_new_first(client: TestClient) -> None:
    id_ = client.post("/ai/batches", json={"prompts": ["hello"]}).json()["id"]
    client.post("/__admin/scenarios/rate-limited")

    answer = client.post("/__admin/scenarios/all-failed?reset=true")

    assert answer.json()["reset"] is True
    assert client.get("/__admin/stubs").json() == {"stubs": []}
    assert client.get("/ai/batches", params={"id": id_}).status_code == 422


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_can_be_applied_twice_and_after_every_other(client: TestClient, name: str) -> None:
    client.get("/user")
    client.post(f"/__admin/scenarios/{name}")
    once = settled(client)
    client.post(f"/__admin/scenarios/{name}")

    assert settled(client) == once
    for other in NAMES:
        assert client.post(f"/__admin/scenarios/{other}").status_code == 200


def test_conditions_can_be_set_read_and_removed(client: TestClient) -> None:
    body = {"items": {"fail": {"every": 2}, "status": 503}, "page_size": 3}

    assert client.put("/__admin/conditions", json=body).json() == {"conditions": body}
    assert client.put("/__admin/conditions", json={"retention": 5}).json() == {"conditions": {"retention": 5}}
    assert client.delete("/__admin/conditions").json() == {"conditions": {}}
    assert client.get("/__admin/conditions").json() == {"conditions": {}}


def test_agent_first_waits_for_capacity_until_an_instant(client: TestClient) -> None:
    client.put("/__admin/conditions", json={"capacity": "2026-04-12T01:00:00Z"})
    id_ = client.post("/ai/batches", json={"prompts": ["hello"]}).json()["id"]

    def status() -> str:
        return str(client.get("/ai/batches", params={"id": id_}).json()["status"])

    assert status() == "retrieving"
    client.post("/__admin/clock/advance", json={"hours": 1})
    assert status() == "successful"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "told"),
    [
        ("POST", "/scenarios/nothing", None, 404, "There is no scenario 'nothing'; there are all-failed,"),
        ("GET", "/scenarios/" + "x" * 300, None, 404, "There is no scenario"),
        ("POST", "/scenarios/flaky?reset=yes", None, 400, "reset is 'yes'; wanted true or false"),
        ("POST", "/scenarios/flaky", {"reset": True}, 400, "takes no body"),
        ("PUT", "/scenarios/flaky", {}, 405, "does not answer PUT"),
        ("PUT", "/conditions", {"capacity": "full"}, 422, "'full' came; wanted 'free', 'busy' or an ISO 8601 instant"),
        ("PUT", "/conditions", {"items": {}}, 422, "not what this call takes"),
        ("PUT", "/conditions", {"retention": -1}, 422, "not what this call takes"),
        ("PUT", "/conditions", {"items": {"fail": {"indexes": list(range(1001))}}}, 422, "not what this call takes"),
        ("PUT", "/conditions", {"items": {"fail": {"indexes": [50_000]}}}, 422, "not what this call takes"),
        ("PUT", "/conditions", {"page_size": 10_001}, 422, "not what this call takes"),
        ("PUT", "/conditions", {"input": {"code": "x" * 101}}, 422, "not what this call takes"),
        ("PUT", "/conditions", [], 422, "not what this call takes"),
    ],
)
def test_an_invalid_scenario_call_is_explained_and_changes_nothing(  # noqa: PLR0917  a row of the table
    client: TestClient, method: str, path: str, body: Any, status: int, told: str
) -> None:
    client.put("/__admin/conditions", json={"retention": 77})
    before = state_of(client)

    response = client.request(method, f"/__admin{path}", **({} if body is None else {"json": body}))

    assert response.status_code == status
    assert told in response.json()["detail"]
    assert state_of(client) == before
