"""Secrets planted wherever a client can put one: they are in no admin answer, export, log, report or pytest output."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client, make_settings
from starlette.testclient import TestClient

from mockserver.client.report import fetch_report
from mockserver.redaction import account_key
from mockserver.server.process import ThreadedServer
from mockserver.testing.pool import LeasedSandbox
from mockserver.testing.unittest import journal_text

TOKEN = "sk-live-0T0ken5ecretValue"
COOKIE = "c00kie5ecretValue"
API_KEY = "k3y5ecretValue0123"
QUERY = "qu3ry5ecretValue"
PASSWORD = "p4ss5ecretValue"
MEMBER = "m3mber5ecretValue"
CONTENT = "c0ntentSecretValue"
SECRETS = (TOKEN, COOKIE, API_KEY, QUERY, PASSWORD, MEMBER)
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Cookie": f"sid={COOKIE}; theme=dark",
    "X-Api-Key": API_KEY,
    "Api-Key": API_KEY,
    "Proxy-Authorization": f"Basic {PASSWORD}",
    "X-Auth-Token": API_KEY,
}
ADMIN = [
    "/requests",
    "/requests/unmatched",
    "/accounts",
    "/usage",
    "/batches",
    "/files",
    "/callbacks",
    "/stubs",
    "/sandboxes",
    "/verdict",
    "/verdict?scope=server",
    "/coverage",
    "/conditions",
    "/clock",
    "/export",
    "/export?journal=true",
]


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client(log_level="info", callbacks="inbox") as client:
        client.headers = HEADERS
        yield client


def plant(client: Any) -> None:
    query = {"api_key": QUERY, "token": QUERY, "access_token": QUERY, "key": QUERY}
    callback = f"https://user:{PASSWORD}@example.com/done?token={QUERY}"
    body = {"prompts": ["one"], "callback": callback, "api_key": MEMBER}
    for _ in range(2):
        client.post("/ai/batches", json=body, params=query)
    client.post("/ai/batches", json={"prompts": [], "password": MEMBER, "accessToken": MEMBER}, params=query)
    client.get(f"/v1/models/{TOKEN}", params=query)
    client.get(f"/nowhere/{TOKEN}", params=query)
    client.get("/user", params={"a": f"Bearer {TOKEN}"})
    client.post("/v1/chat/completions", content=json.dumps({"apiKey": MEMBER, "model": TOKEN}))
    client.post(f"/ai?{TOKEN}")
    client.post("/v1/files", files={"file": ("in.jsonl", b"{}")}, data={"purpose": "batch"})
    client.post("/__admin/next", json={"operation": "getUser", "status": 500, "header": {"x-api-key": API_KEY}})
    client.put(f"/__admin/accounts/{TOKEN}", json={"credits": 5})


def found_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize("path", ADMIN)
def test_no_admin_answer_holds_a_secret(client: TestClient, path: str) -> None:
    plant(client)

    answer = client.get(f"/__admin{path}")

    assert answer.status_code == 200
    assert "export" in path or found_in(answer.text + str(answer.headers)) == []
    if "export" in path:  # the URL of a callback and the matchers of a stub are needed where it is imported
        document = answer.json()
        for name in ("callbacks", "rules"):
            document["sandbox"].pop(name)
        for batch in document["sandbox"]["collections"]["batches"].values():
            batch.pop("body")
        assert found_in(json.dumps(document)) == []


def test_no_log_line_holds_a_secret(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(lambda record: record.name.startswith(("mockserver", "uvicorn")))

    plant(client)

    assert "POST /ai/batches" in caplog.text
    assert found_in(caplog.text) == []


def test_accounts_are_shown_by_their_key_in_place_of_the_token(client: TestClient) -> None:
    plant(client)
    key = account_key(TOKEN)

    (account,) = client.get("/__admin/accounts").json()["accounts"]
    request = client.get("/__admin/requests").json()["requests"][0]["request"]

    assert (account["key"], account["credits"]) == (key, 5)
    assert request["headers"]["authorization"] == f"Bearer [redacted {key}]"
    assert request["headers"]["cookie"] == "[redacted]"
    assert "api_key=[redacted]" in request["query"]
    assert client.get(f"/__admin/accounts/{key}").json() == account


def test_a_sandbox_that_a_token_names_is_found_by_its_key(client: TestClient) -> None:
    plant(client)

    (row,) = client.get("/__admin/sandboxes").json()["sandboxes"]

    assert row["name"] == row["key"]
    assert client.get("/__admin/accounts", headers={"X-Mock-Sandbox": row["key"]}).json()["accounts"]
    assert client.delete(f"/__admin/sandboxes/{row['key']}").json()["deleted"] == row["key"]
    assert client.get("/__admin/sandboxes").json()["count"] == 0


def test_an_export_without_tokens_restores_every_account(client: TestClient) -> None:
    plant(client)
    document = client.get("/__admin/export?journal=true").json()

    with make_client() as other:
        other.headers = {"Authorization": f"Bearer {TOKEN}"}
        assert other.post("/__admin/import", json=document).status_code == 200
        id_ = client.get("/__admin/batches").json()["batches"][0]["id"]
        mine = [each.get("/ai/batches", params={"id": id_}).json() for each in (client, other)]
        accounts = [each.get("/__admin/accounts").json() for each in (client, other)]
        journals = [each.get("/__admin/requests?limit=5").json()["requests"] for each in (client, other)]

    assert mine[0] == mine[1]
    assert mine[0]["id"] == id_
    assert accounts[0] == accounts[1]
    for row in (*journals[0], *journals[1]):  # a body that held a credential has another size without it
        del row["request"]["bytes"], row["response"]["bytes"]
    assert journals[0] == journals[1]


def test_an_export_holds_the_content_of_files_and_prompts_as_docs_limits_says(client: TestClient) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"My key is {CONTENT}."}]}
    line = {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = client.post("/v1/files", files={"file": ("in.jsonl", json.dumps(line))}, data={"purpose": "batch"}).json()
    client.post("/ai/batches", json={"prompts": [f"The password is {CONTENT}"]})

    with make_client() as other:
        other.headers = {"Authorization": f"Bearer {TOKEN}"}
        assert other.post("/__admin/import", json=client.get("/__admin/export").json()).status_code == 200

        assert other.get(f"/v1/files/{file['id']}/content").json() == line


def test_pytest_output_and_reports_hold_no_secret() -> None:
    import httpx

    with ThreadedServer(make_settings()) as server, httpx.Client(base_url=server.url, headers=HEADERS) as api:
        api.headers["X-Mock-Sandbox"] = "test-mine"
        plant(api)
        from mockserver.client.client import Client

        with Client(server.url) as admin:
            lent = LeasedSandbox(admin, "test-mine")
            told = journal_text(lent.latest(50)) + repr(lent)
            told += json.dumps(lent.delete())
            plant(api)
            report = fetch_report(server.url, sandbox="all", admin_token="", timeout=10)

    texts = [report.written(form).decode() for form in ("text", "json", "junit", "cobertura")]
    assert "/ai/batches" in told
    assert found_in(told + "".join(texts)) == []
