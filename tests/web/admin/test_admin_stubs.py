"""Stubs and faults by the admin API: installing, listing, taking back, and what stays untouched by them."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client, state_of
from starlette.testclient import TestClient

from mockserver.web.admin.routes import ROUTES

RESET = {"fault": {"type": "reset"}}
SLOW = {"fault": {"type": "latency", "seconds": 5}, "operation": "getUser"}


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


def stubs(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/__admin/stubs").json()["stubs"]
    return found


def test_the_next_request_gets_the_stub_and_the_one_after_does_not(client: TestClient) -> None:
    definition = {"operation": "getUser", "status": 500}

    installed = client.post("/__admin/next", json=definition).json()

    assert installed.pop("id")
    assert installed == {
        "origin": "next",
        "matched": 0,
        "claimed": 0,
        "left": 1,
        "until": None,
        "definition": definition,
    }
    first = client.get("/user")
    assert (first.status_code, first.text) == (500, "Unknown error occurred")
    assert first.headers["x-mock-source"] == "stub"
    assert client.get("/user").status_code == 200
    (exchange, _) = client.get("/__admin/requests").json()["requests"]
    assert exchange["response"]["source"] == "stub"


def test_stubs_are_listed_with_how_often_they_matched(client: TestClient) -> None:
    client.post("/__admin/next", json={"operation": "getUser", "status": 500, "times": 3, "after": 1})
    client.get("/user")
    client.get("/user")
    client.get("/v1/models")

    assert [(each["matched"], each["claimed"], each["left"]) for each in stubs(client)] == [(2, 1, 2)]


def test_a_stub_is_removed_after_its_time(client: TestClient) -> None:
    client.post("/__admin/next", json={"operation": "getUser", "status": 500, "for": 60, "times": None})
    assert stubs(client)[0]["until"] == "2026-04-12T00:01:00.000000Z"
    assert stubs(client)[0]["left"] is None

    client.post("/__admin/clock/advance", json={"seconds": 60})

    assert stubs(client) == []
    assert client.get("/user").status_code == 200


def test_the_latest_end_of_time_can_be_shown(client: TestClient) -> None:
    client.post("/__admin/next", json={"operation": "getUser", "status": 500, "until": 1e300})

    assert stubs(client)[0]["until"].startswith("9999-12-31")


def test_stubs_can_be_removed_one_by_one_or_all(client: TestClient) -> None:
    first, _, _ = (client.post("/__admin/next", json=SLOW).json()["id"] for _ in range(3))

    assert client.delete(f"/__admin/stubs/{first}").json() == {"removed": 1}
    assert client.delete(f"/__admin/stubs/{first}").status_code == 404
    assert client.delete("/__admin/stubs").json() == {"removed": 2}
    assert stubs(client) == []


def test_a_new_list_of_standing_faults_replaces_the_old_one_and_no_stub(client: TestClient) -> None:
    client.post("/__admin/next", json={"operation": "getUser", "status": 500})
    client.put("/__admin/faults", json={"faults": [SLOW, RESET]})

    shown = client.put("/__admin/faults", json={"faults": [SLOW]}).json()

    assert shown == client.get("/__admin/faults").json()
    assert [(each["definition"], each["left"], each["origin"]) for each in shown["faults"]] == [(SLOW, None, "fault")]
    assert [each["origin"] for each in stubs(client)] == ["next", "fault"]
    assert client.delete("/__admin/faults").json() == {"removed": 1}
    assert [each["origin"] for each in stubs(client)] == ["next"]


@pytest.mark.parametrize("part", ["", "/stubs"])
def test_a_reset_drops_them_all(client: TestClient, part: str) -> None:
    client.post("/__admin/next", json=SLOW)
    client.put("/__admin/faults", json={"faults": [SLOW]})

    client.post(f"/__admin/reset{part}")

    assert stubs(client) == []


def test_stubs_belong_to_one_sandbox(client: TestClient) -> None:
    client.post("/__admin/next", json={"operation": "getUser", "status": 500}, headers={"X-Mock-Sandbox": "other"})

    assert client.get("/user").status_code == 200
    assert client.get("/user", headers={"X-Mock-Sandbox": "other"}).status_code == 500


def test_a_refusal_says_what_the_document_does_not_allow(client: TestClient) -> None:
    problem = client.post("/__admin/next", json={"operation": "getUser", "reply": {"body": {"email": 1}}}).json()

    assert "say undocumented: true" in problem["detail"]
    assert problem["violations"][0]["location"][:2] == ["reply", "body"]


def test_more_rules_than_a_sandbox_holds_are_refused_together(client: TestClient) -> None:
    client.put("/__admin/faults", json={"faults": [SLOW] * 999})
    client.post("/__admin/next", json=SLOW)
    before = state_of(client)

    assert client.post("/__admin/next", json=SLOW).status_code == 422
    assert client.put("/__admin/faults", json={"faults": [SLOW] * 1000}).status_code == 422
    assert state_of(client) == before


def test_health_readiness_and_the_admin_api_are_immune(client: TestClient) -> None:
    every = [
        {"fault": {"type": "status", "status": 503}, "times": None},
        {"fault": {"type": "timeout"}, "times": None},
    ]
    client.put("/__admin/faults", json={"faults": every})
    for each in ({"status": 500}, {"reply": {"text": "x"}}):
        client.post("/__admin/next", json={**each, "undocumented": True, "times": None})
    before = stubs(client)

    for path in ("/health", "/ready", *(f"/__admin{verb.path}" for verb in ROUTES if "{" not in verb.path)):
        wish = {"Prefer": "code=503"}
        assert client.get(path, headers=wish, params={} if "admin" in path else {"__code": 503}).status_code in {
            200,
            405,
        }

    assert stubs(client) == before


def test_no_stub_can_match_health_or_the_admin_api(client: TestClient) -> None:
    for path in ("/health", "/ready", "/__admin/stubs", "/__admin/*"):
        response = client.post("/__admin/next", json={"path": path, "status": 500, "undocumented": True})

        assert response.status_code == 422
        assert "no operation" in response.json()["detail"]
