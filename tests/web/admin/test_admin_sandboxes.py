"""Sandboxes in the admin API: listed, made, held, forgotten, carried elsewhere, and that a look at one makes none."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from builders import make_client, make_settings
from starlette.testclient import TestClient

from mockserver.redaction import account_key
from mockserver.sandbox.snapshot.export import Snapshots
from mockserver.server.process import ThreadedServer
from mockserver.web.admin import app as admin
from mockserver.web.admin import snapshots as admin_snapshots

UNIX = 1775952000.0


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


def listed(client: TestClient, **query: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/__admin/sandboxes", params=query).json()
    return found


def names(client: TestClient) -> list[str]:
    return [each["name"] for each in listed(client)["sandboxes"]]


def in_sandbox(name: str) -> dict[str, str]:
    return {"X-Mock-Sandbox": name}


def queue(client: TestClient, name: str, *prompts: str) -> str:
    return str(
        client.post("/ai/batches", json={"prompts": prompts or ["hello"]}, headers=in_sandbox(name)).json()["id"]
    )


def test_sandboxes_are_listed_with_their_content(client: TestClient) -> None:
    queue(client, "one")
    client.get("/user", headers=in_sandbox("one"))
    client.get("/user", headers=in_sandbox("two"))

    found = listed(client)

    assert (found["count"], found["limit"], found["evicted"], found["next"]) == (2, 10_000, 0, None)
    [two, one] = found["sandboxes"]
    assert (two["name"], one["name"], one["held"], len(one["key"])) == ("two", "one", False, 16)
    assert (one["batches"], one["jobs"], one["files"], one["requests"]) == (1, 0, 0, 2)
    assert two["used"] > one["used"]


def test_the_list_is_paged(client: TestClient) -> None:
    for n in range(5):
        client.get("/user", headers=in_sandbox(f"s{n}"))

    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        page = listed(client, limit=2, after=after)
        seen, after = [*seen, *(each["name"] for each in page["sandboxes"])], page["next"]

    assert seen == ["s4", "s3", "s2", "s1", "s0"]


@pytest.mark.parametrize(
    "path",
    ["/sandboxes", "/version", "/clock", "/accounts/test", "/accounts/test/ledger", "/requests", "/export", "/usage"],
)
def test_reading_creates_no_sandbox_and_no_account(client: TestClient, path: str) -> None:
    assert client.get(f"/__admin{path}").status_code == 200
    assert client.post("/__admin/requests/count", json={}).status_code == 200
    assert client.post("/__admin/reset").status_code == 200
    assert names(client) == []

    client.get("/__admin/accounts/nobody")
    assert client.get("/__admin/accounts").json() == {"accounts": []}


def test_a_sandbox_that_an_admin_call_sets_up_is_pinned_until_it_is_reset(client: TestClient) -> None:
    client.post("/__admin/clock/advance", json={"seconds": 1}, headers=in_sandbox("mine"))
    assert [(each["name"], each["held"]) for each in listed(client)["sandboxes"]] == [("mine", True)]

    client.post("/__admin/reset", headers=in_sandbox("mine"))
    assert [(each["name"], each["held"]) for each in listed(client)["sandboxes"]] == [("mine", False)]


def test_a_rejected_call_pins_nothing(client: TestClient) -> None:
    client.get("/user")

    assert client.put("/__admin/clock", json={"now": "2020-01-01"}).status_code == 422

    assert [each["held"] for each in listed(client)["sandboxes"]] == [False]


def test_a_sandbox_is_created_with_its_initial_state(client: TestClient) -> None:
    body = {
        "name": "team a/tests",
        "clock": {"now": "2020-01-01T00:00:00Z", "frozen": True, "scale": 60},
        "progression": {"progression": "polls", "polls": 2},
        "accounts": [{"token": "vip", "credits": 12, "email": "vip@example.com"}, {"token": "gone", "revoked": True}],
    }

    made = client.post("/__admin/sandboxes", json=body).json()

    assert (made["name"], made["created"], made["held"]) == ("team a/tests", True, True)
    there = made["header"]
    for _ in range(2):
        assert client.get("/__admin/clock", headers=there).json()["now"] == "2020-01-01T00:00:00.000000Z"
        assert client.get("/__admin/clock", headers=there).json()["scale"] == 60
        assert client.get("/__admin/progression", headers=there).json() == {"progression": "polls", "polls": 2}
        vip = client.get("/user", headers={**there, "Authorization": "Bearer vip"}).json()
        assert vip == [{"email": "vip@example.com", "credits": 12}]
        assert client.get("/user", headers={**there, "Authorization": "Bearer gone"}).status_code == 403
        client.post("/__admin/clock/advance", json={"days": 1}, headers=there)
        client.post("/__admin/reset", headers=there)
    assert listed(client)["sandboxes"][0]["held"]


def test_a_sandbox_may_produce_the_ids_of_another_name(client: TestClient) -> None:
    client.post("/__admin/sandboxes", json={"name": "other", "ids_of": "mine", "progression": "immediate"})

    shown = []
    for name in ("mine", "other"):
        id_ = queue(client, name)
        batch = client.get("/ai/batches", params={"id": id_}, headers=in_sandbox(name)).json()
        shown.append((id_, batch["url"]))
        assert client.get(batch["url"]).status_code == 200
        client.post("/__admin/reset", headers=in_sandbox(name))
        assert queue(client, name) == id_, "a reset changes no ids"

    (mine, mine_url), (other, other_url) = shown
    assert mine == other
    assert mine_url != other_url


def test_ids_of_survives_an_export(client: TestClient) -> None:
    client.post("/__admin/sandboxes", json={"name": "first", "ids_of": "mine"})
    document = client.get("/__admin/export", headers=in_sandbox("first")).json()

    client.post("/__admin/import", json=document, headers=in_sandbox("second"))

    assert queue(client, "second") == queue(client, "mine")


def test_without_a_name_each_sandbox_gets_a_generated_one(client: TestClient) -> None:
    made = [client.post("/__admin/sandboxes", json={}).json()["name"] for _ in range(3)]

    assert made == ["sandbox-1", "sandbox-2", "sandbox-3"]


def test_an_existing_sandbox_can_be_pinned_and_unpinned_but_not_created_again(client: TestClient) -> None:
    id_ = queue(client, "mine")

    held = client.post("/__admin/sandboxes", json={"name": "mine"}).json()
    other = client.post("/__admin/sandboxes", json={"name": "mine", "progression": {"progression": "immediate"}})
    let_go = client.post("/__admin/sandboxes", json={"name": "mine", "hold": False}).json()

    assert (held["created"], held["held"], held["batches"], let_go["held"]) == (False, True, 1, False)
    assert (other.status_code, "is there already" in other.json()["detail"]) == (409, True)
    assert client.get("/ai/batches", params={"id": id_}, headers=in_sandbox("mine")).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": " padded "},
        {"name": "ключ"},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {"clock": {"now": "soon"}},
        {"clock": {"now": -1}},
        {"clock": {"now": 1e300}},
        {"clock": {"scale": 0}},
        {"clock": {"speed": 1}},
        {"progression": {"progression": "warp"}},
        {"progression": "polls:0"},
        {"ids_of": ""},
        {"ids_of": "x" * 201},
        {"accounts": [{"credits": 1}]},
        {"accounts": [{"token": "a"}, {"token": "a"}]},
        {"accounts": [{"token": f"t{n}"} for n in range(1001)]},
        {"hold": "yes"},
        {"unheard": 1},
        [],
    ],
)
def test_an_invalid_initial_state_creates_no_sandbox(client: TestClient, body: Any) -> None:
    response = client.post("/__admin/sandboxes", json=body)

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert names(client) == []


@pytest.mark.parametrize("name", ["plain", "with/slash", "with/slash/", "with space", "ключ"])
def test_a_sandbox_is_deleted_by_its_name(client: TestClient, name: str) -> None:
    header: Any = {"X-Mock-Sandbox": name.encode().decode("latin-1")}
    raw = {"Authorization": "Bearer t", "X-Mock-Sandbox": header["X-Mock-Sandbox"].encode("latin-1")}
    client.get("/user", headers=raw)
    [known] = names(client)

    response = client.delete("/__admin/sandboxes/" + httpx.QueryParams({"n": known}).__str__()[2:].replace("+", "%20"))

    assert (response.json(), names(client)) == ({"deleted": known, "unexpected": []}, [])
    assert client.delete("/__admin/sandboxes/" + name).status_code == 404


def test_a_token_with_slashes_can_be_addressed(client: TestClient) -> None:
    client.put("/__admin/accounts/a/b%2Fc", json={"credits": 7})

    assert client.get("/__admin/accounts/a/b/c").json()["credits"] == 7
    assert client.get("/__admin/accounts/a/b/c/ledger").json()["credits"] == 7
    assert (
        client.get("/user", headers={"Authorization": "Bearer a/b/c", **in_sandbox("test")}).json()[0]["credits"] == 7
    )
    assert client.get("/__admin/accounts/").status_code == 404


def test_beyond_the_limit_idle_sandboxes_are_evicted_and_the_next_response_says_so_once() -> None:
    with make_client(max_sandboxes=2) as client:
        id_ = queue(client, "one")
        queue(client, "two")
        queue(client, "three")
        assert (listed(client)["count"], listed(client)["limit"], listed(client)["evicted"]) == (2, 2, 1)

        back, again = (client.get("/ai/batches", params={"id": id_}, headers=in_sandbox("one")) for _ in range(2))

        assert (back.status_code, back.headers["X-Mock-Sandbox-Evicted"]) == (422, "1")
        assert "X-Mock-Sandbox-Evicted" not in again.headers
        told = client.post("/__admin/clock/freeze", headers=in_sandbox("two"))
        assert told.headers["X-Mock-Sandbox-Evicted"] == "1"
        assert "X-Mock-Sandbox-Evicted" not in client.get("/user", headers=in_sandbox("two")).headers


def test_a_413_says_that_the_sandbox_was_evicted_too() -> None:
    with make_client(max_sandboxes=1, max_body=1000) as client:
        for name in ("one", "two"):
            client.get("/user", headers=in_sandbox(name))

        back = client.post("/ai/batches", content=b"x" * 1001, headers=in_sandbox("one"))

        assert (back.status_code, back.headers["X-Mock-Sandbox-Evicted"]) == (413, "1")


def test_without_debug_headers_no_response_mentions_the_eviction() -> None:
    with make_client(max_sandboxes=1, debug_headers=False) as client:
        for name in ("one", "two", "one"):
            assert "X-Mock-Sandbox-Evicted" not in client.get("/user", headers=in_sandbox(name)).headers


def test_evictions_are_logged_each_time_their_number_doubles(caplog: pytest.LogCaptureFixture) -> None:
    with make_client(max_sandboxes=1) as client:
        for n in range(10):
            client.get("/user", headers=in_sandbox(str(n)))

    assert [each.message.split()[0] for each in caplog.records if "forgotten" in each.message] == list("1248")


def test_if_all_are_pinned_another_name_is_rejected_and_nothing_is_lost() -> None:
    with make_client(max_sandboxes=2) as client:
        for name in ("one", "two"):
            client.post("/__admin/sandboxes", json={"name": name})
        id_ = queue(client, "one")
        document = client.get("/__admin/export", headers=in_sandbox("one")).json()

        refused = [
            client.get("/user", headers=in_sandbox("three")),
            client.post(
                "/ai/batches", content=b"x" * 9, headers={**in_sandbox("three"), "Content-Length": "999999999"}
            ),
            client.post("/__admin/sandboxes", json={"name": "three"}),
            client.post("/__admin/clock/freeze", headers=in_sandbox("three")),
            client.post("/__admin/import", json=document, headers=in_sandbox("three")),
        ]

        assert [each.status_code for each in refused] == [503] * 5
        assert all(each.headers["content-type"] == "application/problem+json" for each in refused)
        assert "all of them are held" in refused[0].json()["detail"]
        assert "--max-sandboxes" in refused[0].json()["detail"]
        assert client.get("/ai/batches", params={"id": id_}, headers=in_sandbox("one")).status_code == 200
        assert client.get("/__admin/clock", headers=in_sandbox("three")).status_code == 200
        client.delete("/__admin/sandboxes/two")
        assert client.get("/user", headers=in_sandbox("three")).status_code == 200


# Carried elsewhere.


def test_an_export_makes_another_server_answer_the_same(client: TestClient) -> None:
    there = in_sandbox("mine")
    id_ = queue(client, "mine", "one", "[mock:fail]")
    client.put("/__admin/progression", json={"progression": "polls", "polls": 4}, headers=there)
    client.post("/__admin/clock/advance", json={"days": 2}, headers=there)
    paths = [
        f"/ai/batches?id={id_}",
        "/user",
        "/__admin/clock",
        "/__admin/accounts/test/ledger",
        "/__admin/progression",
    ]

    exported = client.get("/__admin/export", params={"journal": "true"}, headers=there)

    with make_client() as other:
        said = other.post("/__admin/import", content=exported.content, headers=there).json()
        assert (said["name"], said["from"]) == ("mine", "mine")
        assert (said["restored"]["batches"], said["restored"]["exchanges"]) == (1, 1)
        before = [each.get("/__admin/requests", headers=there).content for each in (client, other)]
        assert before[0] == before[1]
        for path in paths:
            assert other.get(path, headers=there).content == client.get(path, headers=there).content
        assert queue(other, "mine", "one") == queue(client, "mine", "one")
        assert listed(other)["sandboxes"][0]["held"]


def test_an_export_rewritten_by_another_json_library_can_be_imported(client: TestClient) -> None:
    queue(client, "mine", "[mock:hang]", "два")
    document = json.dumps(client.get("/__admin/export", headers=in_sandbox("mine")).json(), indent=4)

    assert client.post("/__admin/import", content=document, headers=in_sandbox("copy")).status_code == 200
    assert (
        client.get("/user", headers=in_sandbox("copy")).json() == client.get("/user", headers=in_sandbox("mine")).json()
    )


def test_an_export_without_the_journal_has_its_count(client: TestClient) -> None:
    queue(client, "mine")
    document = client.get("/__admin/export", headers=in_sandbox("mine")).json()

    said = client.post("/__admin/import", json=document, headers=in_sandbox("copy")).json()

    assert said["restored"]["exchanges"] is None
    journal = client.get("/__admin/requests", headers=in_sandbox("copy")).json()
    assert journal == {"requests": [], "seen": 1, "dropped": 1}


def test_an_import_replaces_what_was_there(client: TestClient) -> None:
    empty = client.get("/__admin/export", headers=in_sandbox("new")).json()
    id_ = queue(client, "mine")

    client.post("/__admin/import", json=empty, headers=in_sandbox("mine"))

    assert client.get("/ai/batches", params={"id": id_}, headers=in_sandbox("mine")).status_code == 422


def test_a_refused_import_changes_nothing(client: TestClient) -> None:
    id_ = queue(client, "mine")
    document = client.get("/__admin/export", headers=in_sandbox("mine")).json()
    document["sandbox"]["collections"]["accounts"][account_key("test")]["email"] = 5

    for name in ("mine", "new"):
        refused = client.post("/__admin/import", json=document, headers=in_sandbox(name))
        assert refused.status_code == 422
        assert (
            f"sandbox.collections.accounts.{account_key('test')}.email: Expected `str`, got `int`"
            in refused.json()["detail"]
        )

    assert client.get("/ai/batches", params={"id": id_}, headers=in_sandbox("mine")).status_code == 200
    assert names(client) == ["mine"]


@pytest.mark.parametrize(("query", "status"), [("journal=yes", 400), ("journal=", 400), ("journal=false", 200)])
def test_an_export_takes_true_or_false(client: TestClient, query: str, status: int) -> None:
    assert client.get(f"/__admin/export?{query}").status_code == status


def test_an_import_may_be_as_large_as_an_export_and_no_larger(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "MAX_DOCUMENT", 3 * admin.MAX_BODY)
    queue(client, "mine", *("x" * 2000 for _ in range(999)))
    document = client.get("/__admin/export", headers=in_sandbox("mine")).content
    assert len(document) > 2 * admin.MAX_BODY

    assert client.post("/__admin/import", content=document, headers=in_sandbox("copy")).status_code == 200
    assert client.post("/__admin/import", content=document + b" " * admin.MAX_BODY).status_code == 413


def test_a_sandbox_that_is_too_large_is_not_exported(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(client, "mine")
    monkeypatch.setattr(admin_snapshots, "MAX_DOCUMENT", 500)

    response = client.get("/__admin/export", headers=in_sandbox("mine"))

    assert (response.status_code, "more than 500 bytes" in response.json()["detail"]) == (422, True)


def test_undeclared_values_are_not_exported(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(client, "mine")
    monkeypatch.setattr(admin_snapshots, "snapshots_of", lambda engine: Snapshots())
    client.get("/__admin/export", headers=in_sandbox("mine"))
    client.post("/api/v1/prompts", json={"slug": "greeting", "name": "g", "template": "Hi"}, headers=in_sandbox("mine"))

    response = client.get("/__admin/export", headers=in_sandbox("mine"))

    assert (response.status_code, "is none of the values" in response.json()["detail"]) == (422, True)


def test_stubs_and_callbacks_are_exported_and_invalid_rules_are_rejected(client: TestClient) -> None:
    there = in_sandbox("mine")
    client.post("/__admin/next", json={"operation": "getUser", "status": 403, "times": 2}, headers=there)
    assert client.get("/user", headers=there).status_code == 403
    body = {"prompts": ["one [mock:hang]"], "callback": "http://127.0.0.1:9/done"}
    assert client.post("/ai/batches", json=body, headers=there).status_code == 202
    document = client.get("/__admin/export", headers=there).json()

    assert client.post("/__admin/import", json=document, headers=in_sandbox("copy")).status_code == 200
    for path in ("/stubs", "/callbacks"):
        shown = [client.get(f"/__admin{path}", headers=in_sandbox(name)).content for name in ("mine", "copy")]
        assert shown[0] == shown[1]
    assert [client.get("/user", headers=in_sandbox("copy")).status_code for _ in range(2)] == [403, 200]

    document["sandbox"]["rules"][0]["definition"]["times"] = "often"
    refused = client.post("/__admin/import", json=document, headers=in_sandbox("other"))
    assert (refused.status_code, "sandbox.rules[0].definition" in refused.json()["detail"]) == (422, True)
    assert "other" not in names(client)


def test_a_sandbox_that_waits_for_a_callback_is_not_evicted() -> None:
    with make_client(max_sandboxes=1) as client:
        body = {"prompts": ["one [mock:hang]"], "callback": "http://127.0.0.1:9/done"}
        client.post("/ai/batches", json=body, headers=in_sandbox("mine"))

        assert client.get("/user", headers=in_sandbox("other")).status_code == 503
        assert listed(client)["sandboxes"][0]["held"]


# Beside others.


def test_an_admin_call_for_a_busy_sandbox_delays_no_other() -> None:
    with ThreadedServer(make_settings()) as server, httpx.Client(base_url=server.url) as client:
        client.get("/user", headers={"Authorization": "Bearer busy"})
        answered: list[int] = []

        def reset() -> None:
            answered.append(httpx.post(f"{server.url}/__admin/reset", headers=in_sandbox("busy")).status_code)

        thread, work_ends = threading.Thread(target=reset), threading.Event()
        server.engine.workers.submit("busy", partial(work_ends.wait, 30))
        thread.start()
        for _ in range(20):
            assert client.get("/__admin/version").status_code == 200
            assert client.get("/user", headers={"Authorization": "Bearer other"}).status_code == 200
        assert answered == []
        work_ends.set()
        thread.join()
        assert answered == [200]


def test_a_closed_api_leaves_the_other_open(tmp_path: Path) -> None:
    folder = tmp_path / "agentfirst"
    folder.mkdir()
    (folder / "accounts.yaml").write_bytes(orjson.dumps({"closed": True, "accounts": [{"token": "known"}]}))

    with make_client(fixtures=(str(tmp_path),)) as client:

        def statuses(token: str) -> list[int]:
            there = {"Authorization": f"Bearer {token}", **in_sandbox("world")}
            return [client.get(path, headers=there).status_code for path in ("/v1/models", "/user", "/v1/models")]

        assert statuses("known") == [200, 200, 200]
        assert statuses("stranger") == [200, 403, 200]
        client.put("/__admin/accounts/stranger", json={"credits": 3}, headers=in_sandbox("world"))
        assert statuses("stranger") == [200, 200, 200]


def test_a_file_at_the_top_closes_every_api(tmp_path: Path) -> None:
    (tmp_path / "accounts.yaml").write_bytes(orjson.dumps({"closed": True, "accounts": [{"token": "known"}]}))

    with make_client(fixtures=(str(tmp_path),)) as client:
        known, stranger = ({"Authorization": f"Bearer {token}", **in_sandbox("w")} for token in ("known", "stranger"))
        assert [client.get(path, headers=known).status_code for path in ("/user", "/v1/models")] == [200, 200]
        assert [client.get(path, headers=stranger).status_code for path in ("/user", "/v1/models")] == [403, 401]
        assert client.get("/__admin/accounts/stranger", headers=in_sandbox("w")).status_code == 404
        assert client.get("/__admin/accounts/known", headers=in_sandbox("w")).status_code == 200
