"""The API under /__admin: what each verb does, what is refused, and that a refused call changes nothing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import make_client, state_of
from starlette.testclient import TestClient

from mockserver import __version__
from mockserver.redaction import account_key
from mockserver.web.admin.routes import ROUTES

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "admin.md").read_text(encoding="utf-8")
NOW = "2026-04-12T00:00:00.000000Z"
UNIX = 1775952000.0
PARTS = ("clock", "progression", "conditions", "state", "journal", "stubs")
"""What can be reset, in the order of `state_of`."""


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


def queue(client: TestClient, *prompts: str) -> str:
    return str(client.post("/ai/batches", json={"prompts": prompts or ["hello"]}).json()["id"])


def test_the_reference_lists_exactly_the_routes() -> None:
    listed = re.findall(r"(?m)^## (GET|PUT|POST|DELETE) /__admin(/\S*)$", REFERENCE)

    assert sorted(listed) == sorted((verb.method, verb.path) for verb in ROUTES)


# What each verb does.


def test_version(client: TestClient) -> None:
    assert client.get("/__admin/version").json() == {"name": "mockserver", "version": __version__}


def test_the_document_in_force_is_shown(client: TestClient) -> None:
    document = client.get("/__admin/openapi.json").json()

    assert "/ai/batches" in document["paths"]
    with make_client(strict=True) as strict:
        assert strict.get("/__admin/openapi.json").json() != document


def test_health_and_readiness_need_no_token() -> None:
    with make_client(host="0.0.0.0") as client:
        del client.headers["Authorization"]
        assert client.get("/health").json() == {"status": "ok"}
        assert client.get("/ready").json() == {"status": "ready"}
        assert client.get("/ready").headers["content-type"] == "application/json"


def test_reset_makes_the_sandbox_new(client: TestClient) -> None:
    fresh, first = state_of(client), queue(client)
    client.put("/__admin/progression", json={"progression": "polls", "polls": 3})
    client.put("/__admin/accounts/test", json={"credits": 1})

    assert client.post("/__admin/reset").json() == {
        "reset": ["journal", "state", "stubs", "clock", "progression", "conditions"]
    }

    assert state_of(client) == fresh
    assert client.get("/ai/batches", params={"id": first}).status_code == 422
    assert queue(client) == first


@pytest.mark.parametrize("part", sorted(PARTS))
def test_reset_of_a_part_leaves_the_others(client: TestClient, part: str) -> None:
    fresh = dict(zip(PARTS, state_of(client), strict=True))
    client.get("/user")
    client.put("/__admin/clock", json={"scale": 60, "frozen": True})
    client.put("/__admin/progression", json={"progression": "polls", "polls": 3})
    client.put("/__admin/conditions", json={"retention": 60})
    client.post("/__admin/next", json={"operation": "getUser", "status": 500})
    before = dict(zip(PARTS, state_of(client), strict=True))

    response = client.post(f"/__admin/reset/{part}")

    after = dict(zip(PARTS, state_of(client), strict=True))
    assert response.json() == {"reset": [part]}
    assert {name for name in after if after[name] == fresh[name]} == {part}
    assert {name for name in after if after[name] == before[name]} == after.keys() - {part}


def test_the_clock_cannot_be_reset_while_there_are_batches(client: TestClient) -> None:
    queue(client)
    before = state_of(client)

    assert client.post("/__admin/reset/clock").status_code == 422
    assert state_of(client) == before


def test_a_sandbox_is_reset_without_touching_another(client: TestClient) -> None:
    id_ = queue(client)

    client.post("/__admin/reset", headers={"X-Mock-Sandbox": "another"})

    assert client.get("/ai/batches", params={"id": id_}).status_code == 200


def test_requests_lists_requests_and_responses(client: TestClient) -> None:
    client.post("/ai/batches?a=1", json={"prompts": []}, headers={"X-Name": "me"})

    shown = client.get("/__admin/requests").json()

    assert (shown["seen"], shown["dropped"]) == (1, 0)
    (exchange,) = shown["requests"]
    assert (exchange["number"], exchange["at"], exchange["operation"]) == (1, NOW, "queueBatch")
    assert exchange["reason"] == "invalid"
    assert [each["code"] for each in exchange["violations"]] == ["minItems"]
    asked, answered = exchange["request"], exchange["response"]
    assert (asked["method"], asked["path"], asked["query"]) == ("POST", "/ai/batches", "a=1")
    assert (asked["body"], asked["bytes"], asked["headers"]["x-name"]) == ('{"prompts":[]}', 14, "me")
    assert (answered["status"], answered["body"]) == (422, "Prompts must number between 1 and 1000")


def test_requests_are_paged_and_filtered(client: TestClient) -> None:
    for path in ("/user", "/nowhere", "/ai/devices", "/user"):
        client.get(path)

    def numbers(**query: Any) -> list[int]:
        return [each["number"] for each in client.get("/__admin/requests", params=query).json()["requests"]]

    assert numbers() == [1, 2, 3, 4]
    assert numbers(limit=2) == [1, 2]
    assert numbers(limit=2, after=2) == [3, 4]
    assert numbers(limit=0) == []
    assert numbers(operation="getUser") == [1, 4]
    assert numbers(operation="getUser", after=1) == [4]
    assert numbers(status=404) == numbers(status="4xx") == [2]
    assert numbers(reason="no-such-path", path="/nowhere", method="GET") == [2]
    assert numbers(source="example") == [3]


def test_requests_can_be_counted_found_and_deleted(client: TestClient) -> None:
    for path in ("/user", "/nowhere", "/user"):
        client.get(path)

    assert client.post("/__admin/requests/count").json() == {"count": 3, "dropped": 0}
    assert client.post("/__admin/requests/count", json={"status": 404}).json() == {"count": 1, "dropped": 0}
    found = client.post("/__admin/requests/find", json={"operation": "getUser"}).json()
    assert [each["number"] for each in found["requests"]] == [1, 3]
    assert client.delete("/__admin/requests").json() == {"forgotten": 3}
    assert client.get("/__admin/requests").json() == {"requests": [], "seen": 0, "dropped": 0}


def test_exchanges_dropped_by_the_journal_are_counted() -> None:
    with make_client(journal_size=2) as client:
        for _ in range(5):
            client.get("/user")

        shown = client.get("/__admin/requests").json()

        assert ([each["number"] for each in shown["requests"]], shown["seen"], shown["dropped"]) == ([4, 5], 5, 3)


def test_the_clock_is_read_set_advanced_and_scaled(client: TestClient) -> None:
    standing = {"now": NOW, "unix": UNIX, "frozen": True, "scale": 1.0}
    assert client.get("/__admin/clock").json() == standing

    shown = client.put("/__admin/clock", json={"now": "2026-04-13T02:00:00+02:00", "scale": 60}).json()
    assert shown == {"now": "2026-04-13T00:00:00.000000Z", "unix": UNIX + 86_400, "frozen": True, "scale": 60}
    assert client.put("/__admin/clock", json={"now": UNIX + 86_401.5}).json()["unix"] == UNIX + 86_401.5

    shown = client.post("/__admin/clock/advance", json={"seconds": 0.5, "minutes": 1, "hours": 1, "days": 1}).json()
    assert shown["unix"] == UNIX + 86_402 + 60 + 3600 + 86_400

    assert client.post("/__admin/clock/scale", json={"scale": 3600}).json()["scale"] == 3600
    resumed = client.post("/__admin/clock/resume").json()
    assert resumed["frozen"] is False
    frozen = client.post("/__admin/clock/freeze").json()
    assert frozen["frozen"] is True
    assert frozen["unix"] >= resumed["unix"]
    assert client.get("/__admin/clock").json() == frozen


@pytest.mark.parametrize(("size", "shown"), [(100, 100), (101, 100), (5_000, 100)])
def test_at_most_100_characters_of_a_wrong_instant_are_shown(client: TestClient, size: int, shown: int) -> None:
    refused = client.put("/__admin/clock", json={"now": "x" * size})

    assert refused.status_code == 422
    assert f"now is '{'x' * shown}'; wanted an ISO 8601 instant or Unix seconds." in refused.text


@pytest.mark.parametrize(
    "progression",
    [
        {"progression": "immediate"},
        {"progression": "time", "seconds": 2.5},
        {"progression": "time", "seconds": 0},
        {"progression": "polls", "polls": 3},
    ],
)
def test_a_progression_can_be_set_and_read(client: TestClient, progression: dict[str, Any]) -> None:
    assert client.put("/__admin/progression", json=progression).json() == progression
    assert client.get("/__admin/progression").json() == progression


@pytest.mark.parametrize(
    ("text", "progression"),
    [
        ("immediate", {"progression": "immediate"}),
        ("time:2.5", {"progression": "time", "seconds": 2.5}),
        ("polls:3", {"progression": "polls", "polls": 3}),
    ],
)
def test_a_progression_may_be_written_like_the_setting(
    client: TestClient, text: str, progression: dict[str, Any]
) -> None:
    assert client.put("/__admin/progression", json=text).json() == progression

    client.post("/__admin/sandboxes", json={"name": "mine", "progression": text})
    assert client.get("/__admin/progression", headers={"X-Mock-Sandbox": "mine"}).json() == progression


def test_a_progression_applies_to_later_batches(client: TestClient) -> None:
    before = queue(client)
    client.put("/__admin/progression", json={"progression": "time", "seconds": 5})
    after = queue(client)

    statuses = [client.get("/ai/batches", params={"id": id_}).json()["status"] for id_ in (before, after)]

    assert statuses == ["successful", "retrieving"]


def test_accounts_are_read_and_set(client: TestClient) -> None:
    queue(client, "one", "two")

    (met,) = client.get("/__admin/accounts").json()["accounts"]
    assert (met["key"], met["credits"], met["revoked"]) == (account_key("test"), 1_000_000_000 - 10, False)
    change = {"credits": -1, "email": "a@example.com", "revoked": True}
    wanted = {"key": met["key"], **change}
    assert client.put("/__admin/accounts/test", json=change).json() == wanted
    assert client.get("/__admin/accounts/test").json() == client.get(f"/__admin/accounts/{met['key']}").json() == wanted
    assert client.get("/user").status_code == 403
    client.put("/__admin/accounts/test", json={"revoked": False})
    assert client.get("/user").json() == [{"email": "a@example.com", "credits": -1}]
    assert client.get("/ai", params={"prompt": "three"}).status_code == 402


def test_an_account_can_be_set_before_its_first_use(client: TestClient) -> None:
    client.put("/__admin/accounts/test", json={"credits": 12})

    assert client.get("/user").json()[0]["credits"] == 12


def test_the_ledger_lists_every_charge_and_is_paged(client: TestClient) -> None:
    client.put("/__admin/accounts/test", json={"credits": 100})
    id_ = queue(client, "one", "[mock:fail]", "three")

    whole = client.get("/__admin/accounts/test/ledger").json()

    assert [(each["entry"], each["credits"]) for each in whole["entries"]] == [
        ("opened", 1_000_000_000),
        ("set", 100 - 1_000_000_000),
        ("item", -5),
        ("item", -5),
    ]
    assert [(each["batch"], each["item"]) for each in whole["entries"][2:]] == [(id_, 0), (id_, 2)]
    assert (whole["credits"], whole["next"]) == (90, None)
    pages: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = client.get("/__admin/accounts/test/ledger", params={"limit": 3, "after": after}).json()
        pages, after = [*pages, *page["entries"]], page["next"]
    assert pages == whole["entries"]
