"""Checks of a live API: what is planned, what the budget allows, and what is reported."""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import httpx
import pytest
from proxies import Servers
from upstreams import Connection, answers, raw_upstream

from mockserver.cli import main

TOKEN = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
FAST = ("--rate", "10000", "--max-requests", "500")


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", TOKEN)


def verify(capsys: pytest.CaptureFixture[str], url: str, *flags: str) -> tuple[int, str, str]:
    code = main(["verify", url, *FAST, *flags])
    out, err = capsys.readouterr()
    return code, out, err


def verify_json(capsys: pytest.CaptureFixture[str], url: str, *flags: str) -> tuple[int, Any]:
    code, out, _ = verify(capsys, url, *flags, "--format", "json")
    return code, json.loads(out)


def requests_at(url: str) -> list[Any]:
    """What came to a sandbox that stands in for the live API, of all credentials."""
    found = []
    for name in (TOKEN, "default"):
        rows = httpx.get(
            f"{url}/__admin/requests", headers={"Authorization": f"Bearer {name}"}, params={"limit": "1000"}
        )
        found += rows.json()["requests"]
    return found


def test_an_api_that_follows_its_document_passes(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()

    code, report = verify_json(capsys, live.url)

    assert (code, report["violations"], report["failures"], report["spent"]) == (0, [], [], {})
    met = {each["key"]: each["responses"] for each in report["coverage"]["coverage"]}
    assert met["getUser"]["200"] and met["getUser"]["401"] and met["getBatchStatus"]["422"]
    assert met["retrieveBatch"]["404"] and met["listModels"]["200"]
    assert met["createBatch"]["200"] == 0


def test_nothing_is_sent_that_changes_something_or_costs(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()
    verify(capsys, live.url)

    sent = requests_at(live.url)
    assert {each["request"]["method"] for each in sent} <= {"GET", "HEAD"}
    assert {each["response"]["status"] for each in sent if each["operation"] == "askModel"} <= {401, 422, 202}
    ledger = httpx.get(f"{live.url}/__admin/accounts/{TOKEN}/ledger").json()
    assert not [each for each in json.dumps(ledger).split() if each == '"charge"']


def test_what_costs_is_sent_within_what_may_be_spent(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()
    flags = ("--only", "queueBatch", "--only", "askModel", "--methods", "GET,POST")

    spent = [verify_json(capsys, live.url, *flags, "--spend", amount)[1]["spent"] for amount in ("4", "5", "1000")]

    assert spent[0] == {}
    assert spent[1] == {"credits": 5.0}
    assert spent[2]["credits"] > 5


def test_the_plan_names_prices_and_sends_nothing(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    upstream = servers.enter_context(raw_upstream(answers(b"HTTP/1.1 200 OK", b"Content-Length: 0")))

    code, out, _ = verify(capsys, upstream.url, "--plan", "--only", "Agent First")

    assert code == 0
    assert "5 credits" in out and "no: --spend" in out and "no: --methods" in out
    assert upstream.requests == []


def test_the_plan_needs_no_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)  # as if it were not installed
    monkeypatch.setattr("mockserver.contract.upstream.aiohttp._module", None)

    code, out, _ = verify(capsys, "https://api.example", "--plan", "--only", "getUser")
    failed, _, err = verify(capsys, "https://api.example", "--only", "getUser")

    assert (code, "/user" in out) == (0, True)
    assert (failed, "the extra `proxy`" in err) == (2, True)


def test_answers_that_the_document_does_not_allow_are_reported_with_the_request(
    servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    body = b'[{"email": "a@b.example", "credits": "many"}]'
    head = (b"HTTP/1.1 200 OK", b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    upstream = servers.enter_context(raw_upstream(answers(*head, body=body)))

    code, out, _ = verify(capsys, upstream.url, "--only", "getUser")
    junit = tmp_path / "report.xml"
    verify(capsys, upstream.url, "--only", "getUser", "--format", "junit", "--output", str(junit))

    assert code == 1
    assert "response.body.0.credits: 'many' is not of type 'integer'" in out
    assert f'curl -i {upstream.url}/user -H "Authorization: Bearer $API_TOKEN"' in out
    assert TOKEN not in out and TOKEN not in junit.read_text()
    suites = ET.parse(junit).getroot()
    assert [each.get("failures") for each in suites] == ["3", "0", "0"]  # the third for an unknown
    assert dict(upstream.requests[0].headers)[b"authorization"] == f"Bearer {TOKEN}".encode()


def echo_the_credential(connection: Connection) -> None:
    """An answer that repeats the credential in every place that a report shows."""
    body = json.dumps({TOKEN: TOKEN, "error": {"message": f"call {TOKEN}", "code": TOKEN}, "data": [{"id": TOKEN}]})
    connection.send(
        b"HTTP/1.1 %d Odd" % (401 if b"user" in connection.head else 200), b"Content-Type: application/json",
        b"X-Odd: " + TOKEN.encode(), b"Content-Length: %d" % len(body), body=body.encode(),
    )  # fmt: skip


@pytest.mark.parametrize("form", ["text", "json", "junit"])
@pytest.mark.parametrize("command", ["verify", "drift"])
def test_a_credential_that_an_answer_repeats_is_in_no_report(
    servers: Servers, tmp_path: Path, capfd: pytest.CaptureFixture[str], command: str, form: str
) -> None:
    upstream = servers.enter_context(raw_upstream(echo_the_credential))
    flags = [*FAST, "--output", str(tmp_path / "report"), "--format", "json" if command == "drift" else form]
    flags += ["--propose", str(tmp_path / "overlay")] if command == "drift" else []

    code = main([command, upstream.url, *flags])

    out, err = capfd.readouterr()
    written = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert code == 1 and len(written) > 1000
    assert TOKEN.encode() not in written and TOKEN not in out + err


def test_the_budget_of_requests_is_kept(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()

    _, report = verify_json(capsys, live.url, "--max-requests", "3")

    assert report["requests"] == 3
    assert len(requests_at(live.url)) == 3
    assert {each["why"] for each in report["skipped"]} >= {"the budget of --max-requests is used up"}


def test_an_api_that_does_not_answer_is_exit_code_4(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    def close(connection: Connection) -> None:
        connection.wire.close()

    upstream = servers.enter_context(raw_upstream(close))

    code, report = verify_json(capsys, upstream.url)

    assert (code, report["requests"], len(report["failures"])) == (4, 0, 3)


def test_an_api_that_asks_to_wait_for_long_ends_the_run(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    upstream = servers.enter_context(
        raw_upstream(answers(b"HTTP/1.1 429 Too Many", b"Retry-After: 3600", b"Content-Length: 0"))
    )

    _, report = verify_json(capsys, upstream.url)

    assert len(upstream.requests) == 1
    assert "3600 seconds" in report["failures"][0]


def test_only_what_the_run_created_is_changed(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()
    theirs = httpx.post(f"{live.url}/api/v1/prompts", json={"slug": "theirs", "name": "a", "template": "b"},
                        headers={"Authorization": f"Bearer {TOKEN}"})  # fmt: skip
    assert theirs.status_code < 300

    _, report = verify_json(capsys, live.url, "--methods", "GET,POST,PATCH,DELETE", "--spend", "1000")

    left = httpx.get(f"{live.url}/api/v1/prompts/theirs", headers={"Authorization": f"Bearer {TOKEN}"})
    assert left.status_code == 200 and left.json()["name"] == "a"
    assert "it would change something that this run has not created" in {each["why"] for each in report["skipped"]}


def test_recorded_requests_are_repeated(servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    live = servers.live()
    proxy = servers.proxy(live.url, record=tmp_path)
    httpx.get(f"{proxy.url}/v1/models/gpt-4o-mini", headers={"Authorization": f"Bearer {TOKEN}"})
    proxy.stop()

    verify(capsys, live.url, "--fixtures", str(tmp_path), "--only", "retrieveModel")

    assert "/v1/models/gpt-4o-mini" in {each["request"]["path"] for each in requests_at(live.url)[1:]}


def test_generated_requests_find_what_examples_do_not(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()

    _, report = verify_json(capsys, live.url, "--generate", "20", "--only", "listBatches", "--only", "listFiles")

    assert report["violations"] == []
    assert len(requests_at(live.url)) > 6


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--only", "getUsr"), "did you mean getUser"),
        (("--rate", "0"), "must be positive"),
        (("--spend", "-1"), "must not be negative"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], said: str
) -> None:
    code, _, err = verify(capsys, "http://127.0.0.1:9", *flags)

    assert (code, said in err) == (2, True)
