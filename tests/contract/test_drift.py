"""Drift: each planted difference between a live API and the sandbox is found, and nothing else."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from batch_client import chats
from builders import make_document
from document import DOCUMENT
from foreign import foreign_engine
from openai import OpenAI
from proxies import Servers

from mockserver.cli import main
from mockserver.contract.drift.differences import Difference
from mockserver.contract.drift.proposals import propose_overlay

FAST = ("--rate", "10000", "--max-requests", "1000", "--agentfirst-version", "2026-04")


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "drift")


def drift(capsys: pytest.CaptureFixture[str], target: str, *flags: str) -> tuple[int, Any]:
    code = main(["drift", target, *FAST, *flags, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def found_in(report: Any) -> set[tuple[str, str, str]]:
    return {(each["kind"], each["operation"], each["place"]) for each in report["differences"]}


def changed_spec(folder: Path, change: Callable[[Any], None]) -> str:
    """A copy of the bundled document with a change."""
    document = deepcopy(DOCUMENT)
    change(document)
    path = folder / "changed.json"
    path.write_text(json.dumps(document))
    return str(path)


ALL = ("--methods", "GET,POST,PATCH,DELETE", "--spend", "1000000")


def test_an_api_like_the_sandbox_has_no_differences(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    slow = "time:100000"  # no job ends while the other side is asked
    live = servers.live(clock="flowing", progression=slow)

    code, report = drift(capsys, live.url, *ALL, "--progression", slow)

    assert (code, report["differences"]) == (0, [])
    assert report["compared"] > 70


def test_the_field_set_of_another_version_is_found(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live(agentfirst_version="2026-07", clock="flowing")

    code, report = drift(capsys, live.url, "--only", "askModel", *ALL)

    found = found_in(report)
    assert code == 1
    assert {("field-added", "askModel", f"200 {name}") for name in ("query", "completion", "sources", "ads")} <= found
    assert {("field-removed", "askModel", f"200 {name}") for name in ("promptHtml", "completionHtml")} <= found
    assert {operation for kind, operation, _ in found if kind != "unknown"} == {"askModel"}
    assert {key for kind, key, _ in found if kind == "unknown"} == {"completion-fields", "unset-targeting"}
    assert all(each["confidence"] == 1 for each in report["differences"] if each["kind"] == "field-added")


def test_another_limit_is_found(servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def change(document: Any) -> None:
        body = document["paths"]["/ai/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        name = body["$ref"].rpartition("/")[2] if "$ref" in body else ""
        schema = document["components"]["schemas"][name] if name else body
        assert schema["properties"]["prompts"]["maxItems"] == 1000
        schema["properties"]["prompts"]["maxItems"] = 500

    live = servers.live(spec=(changed_spec(tmp_path, change),), clock="flowing")

    _, report = drift(capsys, live.url, "--only", "queueBatch", *ALL)

    assert found_in(report) == {("status", "queueBatch", "prompts at 1000")}
    [difference] = report["differences"]
    assert (difference["live"], difference["sandbox"]) == ("422", "202")


def test_an_error_with_another_text_is_found(
    servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def change(document: Any) -> None:
        response = document["components"]["responses"]["authenticationError"]
        response["content"]["text/plain"]["example"] = "Please send a token"

    live = servers.live(spec=(changed_spec(tmp_path, change),), clock="flowing")
    proposal = tmp_path / "overlay.json"

    _, report = drift(capsys, live.url, "--only", "getUser", "--propose", str(proposal))

    assert ("error-wording", "getUser", "401") in found_in(report)
    assert {each["live"] for each in report["differences"]} == {"Please send a token"}
    with_overlay = drift(capsys, live.url, "--only", "getUser", "--overlay", str(proposal))
    assert with_overlay[1]["differences"] == []


def test_a_recording_of_the_sandbox_has_no_differences(
    servers: Servers, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    proxy = servers.proxy(servers.live(progression="polls:3").url, record=tmp_path)
    with OpenAI(base_url=f"{proxy.url}/v1", api_key="dai_sk_x", max_retries=0) as client:
        file = client.files.create(file=("in.jsonl", chats(3)), purpose="batch")
        batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        while client.batches.retrieve(batch.id).status != "completed":
            pass
    httpx.get(f"{proxy.url}/user")
    proxy.stop()

    code, report = drift(capsys, str(tmp_path))

    assert (code, report["differences"], report["compared"]) == (0, [], 6)


def test_what_a_recording_has_otherwise_is_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    user = [{"email": "a@example.com", "credits": "many", "plan": "pro"}]
    entries = [
        {"request": {"operation": "getUser"}, "answers": [
            {"status": 200, "body": user, "headers": {"x-quota-left": "7"}, "times": 2}]},
        {"request": {"operation": "getUser", "credential": False}, "answers": [
            {"status": 403, "text": "No", "media_type": "text/plain"}]},
    ]  # fmt: skip
    (tmp_path / "recording.yaml").write_text(json.dumps({"recorded": entries}))

    _, report = drift(capsys, str(tmp_path))

    assert found_in(report) == {
        ("undocumented", "getUser", "200 body.0.credits"),
        ("header-added", "getUser", "200 x-quota-left"),
        ("type-changed", "getUser", "200 [].credits"),
        ("field-added", "getUser", "200 [].plan"),
        ("status", "getUser", "recorded"),
    }


@pytest.mark.parametrize("content", ["a: 1", "recorded: []"])
def test_a_folder_without_a_recording_is_an_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    (tmp_path / "a.yaml").write_text(content)

    assert main(["drift", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize(
    "scheme",
    [
        {"type": "apiKey", "in": "header", "name": "X-Key"},
        {"type": "apiKey", "in": "query", "name": "key"},
        {"type": "http", "scheme": "basic"},
        {"type": "http", "scheme": "bearer"},
    ],
)
def test_a_recording_is_compared_whatever_its_credential_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, scheme: Any
) -> None:
    job = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "note": {"type": "string"}}}
    answers = {"200": {"description": "ok", "content": {"application/json": {"schema": job}}}}
    paths = {path: {"get": {"operationId": key, "responses": answers}} for path, key in (("/a", "a"), ("/b", "b"))}
    document = {"openapi": "3.1.0", "info": {"title": "jobs", "version": "1"}, "paths": paths,
                "security": [{"k": []}], "components": {"securitySchemes": {"k": scheme}}}  # fmt: skip
    spec = tmp_path / "jobs.json"
    spec.write_text(json.dumps(document))
    recorded = [
        {"request": {"operation": "a"}, "answers": [{"status": 200, "body": {"n": "1", "note": "x"}}]},
        {"request": {"operation": "b", "credential": False},
         "answers": [{"status": 401, "body": {"message": "no key"}}]},
    ]  # fmt: skip
    folder = tmp_path / "recorded"
    folder.mkdir()
    (folder / "recording.yaml").write_text(yaml.safe_dump({"recorded": recorded}))

    _, report = drift(capsys, str(folder), "--spec", str(spec))

    assert ("type-changed", "a", "200 n") in found_in(report)
    assert "status" not in {each[0] for each in found_in(report)}  # as there would be without a credential


def test_a_member_that_another_operation_has_is_not_removed(tmp_path: Path) -> None:
    job = {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"type": "integer"}}}
    schema = {"schema": {"$ref": "#/components/schemas/J"}}
    answer = {"200": {"description": "ok", "content": {"application/json": schema}}}
    paths = {path: {"get": {"operationId": key, "responses": answer}} for path, key in (("/a", "a"), ("/b", "b"))}
    document = make_document(paths, components={"schemas": {"J": job}})
    found = [
        Difference("type-changed", "a", "200 n", "string", "integer", schema={"type": "string"}),
        Difference("field-removed", "b", "200 n", "", "integer"),
        Difference("field-removed", "b", "200 m", "", "integer"),
    ]

    overlay = propose_overlay(found, foreign_engine(document, tmp_path).services)

    assert [each["target"].rpartition("[")[2] for each in overlay["actions"]] == ["'n']", "'m']"]
    assert ["remove" in each for each in overlay["actions"]] == [False, True]
