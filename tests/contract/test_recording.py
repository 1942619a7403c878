"""What a recording holds and what it never holds: modes, redaction, cancelled jobs, archives, what was not recorded."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from batch_client import chats
from builders import make_settings
from hypothesis import example, given
from hypothesis import strategies as st
from openai import OpenAI
from proxies import RunningProxy, Servers
from upstreams import Connection, answers, raw_upstream
from waiting import eventually

from mockserver.contract.recording import redact
from mockserver.contract.recording.folder import finish_recording
from mockserver.contract.recording.recorder import GROUP_BYTES, open_recorder
from mockserver.contract.recording.redact import Redactor
from mockserver.contract.upstream import parse_upstream
from mockserver.errors import SettingsError
from mockserver.server.process import ThreadedServer

TOKEN = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
SECRETS = (
    TOKEN,
    "c00kie-0123456789",
    "ada.lovelace@example.org",
    "hunter2-hunter2",
    "Analytical Engines",
    "q-s3cret-9876",
)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def entries_in(folder: Path) -> list[Any]:
    return list(yaml.safe_load((folder / "recording.yaml").read_text())["recorded"])


def replayed(folder: Path, **settings: Any) -> ThreadedServer:
    return ThreadedServer(make_settings(fixtures=(str(folder),), **settings))


def bytes_in(folder: Path) -> bytes:
    """All bytes in a folder, those in archives unpacked, too."""
    whole = b""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole += path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    whole += b"".join(map(archive.read, archive.namelist()))
    return whole


# Redaction


def echo(connection: Connection) -> None:
    """Answers with all that came, and more secrets, in JSON, JSON lines, text, a ZIP archive or bytes."""
    kind = connection.head.split(b" ")[1].partition(b"?")[0]
    said = {
        "echo": connection.head.decode("latin-1"), "email": "ada.lovelace@example.org", "password": "hunter2-hunter2",
        "owner": {"company": "Analytical Engines"}, "token": TOKEN, "text": f"call {TOKEN} or ada.lovelace@example.org",
    }  # fmt: skip
    text = json.dumps(said).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0001.json", text)
        archive.writestr("0002.txt", text)
    bodies = {
        b"/json": (b"application/json", text),
        b"/jsonl": (b"application/jsonl", text + b"\n" + text + b"\n"),
        b"/text": (b"text/plain", b"x" * 40_000 + text),
        b"/zip": (b"application/zip", packed.getvalue()),
        b"/bytes": (b"application/octet-stream", b"\xff\x00" + TOKEN.encode() + b"\xfe"),
    }
    media_type, body = bodies[kind]
    connection.send(
        b"HTTP/1.1 200 OK", b"Content-Type: " + media_type, b"Content-Length: %d" % len(body),
        b"Set-Cookie: session=c00kie-0123456789", b"X-Session-Token: c00kie-0123456789",
        b"X-Contact: ada.lovelace@example.org", body=body,
    )  # fmt: skip


def test_secrets_never_reach_the_disk_the_journal_the_contract_or_the_log(
    servers: Servers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = tmp_path / "api.json"
    paths = {f"/{kind}": {"post": {"responses": {"200": {"description": "ok"}}}} for kind in
             ("json", "jsonl", "text", "zip", "bytes")}  # fmt: skip
    spec.write_text(json.dumps({"openapi": "3.1.0", "info": {"title": "a", "version": "1"}, "paths": paths}))
    upstream = servers.enter_context(raw_upstream(echo))
    folder = tmp_path / "recorded"
    proxy = servers.proxy(
        upstream.url, record=folder, redact=("company", "Nickname"), spec=(str(spec),), log_level="info"
    )

    for path in paths:
        body = {"password": "hunter2-hunter2", "nickname": "Analytical Engines", "to": "ada.lovelace@example.org"}
        answer = httpx.post(
            f"{proxy.url}{path}", params={"api_key": "q-s3cret-9876", "x": "1"}, json=body,
            headers=HEADERS | {"Cookie": "session=c00kie-0123456789", "X-Api-Key": "q-s3cret-9876"},
        )  # fmt: skip
        assert answer.status_code == 200
        assert TOKEN.encode() in answer.content or path == "/zip"  # the client gets everything
    journal = httpx.get(f"{proxy.url}/__admin/requests", headers=HEADERS).text
    [pact] = httpx.get(f"{proxy.url}/__admin/pact", headers=HEADERS).json()["pacts"]
    during = bytes_in(folder)
    proxy.stop()

    for secret in SECRETS:
        assert secret.encode() not in during
        assert secret.encode() not in bytes_in(folder)
        assert secret not in caplog.text
    assert len(entries_in(folder)) == 5
    for secret in (TOKEN, "c00kie-0123456789", "hunter2-hunter2", "q-s3cret-9876"):
        assert secret not in journal
        assert secret not in json.dumps(pact)
    assert len(pact["interactions"]) == 5
    assert "ada.lovelace@example.org" not in json.dumps(pact)


def test_what_was_redacted_in_a_request_matches_any_text(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.enter_context(
        raw_upstream(answers(b"HTTP/1.1 201 Created", b"Content-Type: application/json", b"Content-Length: 9",
                             body=b'{"ok":17}'))
    )  # fmt: skip
    spec = tmp_path / "api.json"
    post = {"post": {"operationId": "add", "responses": {"201": {"description": "ok"}}}}
    spec.write_text(json.dumps({"openapi": "3.1.0", "info": {"title": "a", "version": "1"}, "paths": {"/a": post}}))
    folder = tmp_path / "recorded"
    proxy = servers.proxy(upstream.url, record=folder, redact=("company",), spec=(str(spec),))
    body = {"to": "Ada <ada@example.org>, Bob <bob@example.org>", "company": "Engines", "password": "a", "n": 1}
    httpx.post(f"{proxy.url}/a", json=body)
    proxy.stop()

    with replayed(folder, spec=(str(spec),)) as server:
        other = {**body, "to": "Ada <x@y.example>, Bob <z@y.example>", "company": "Others", "password": "b"}
        assert httpx.post(f"{server.url}/a", json=other).json() == {"ok": 17}
        assert httpx.post(f"{server.url}/a", json={**other, "n": 2}).status_code == 404
        assert httpx.post(f"{server.url}/a", json={**other, "n": True}).status_code == 404
        assert httpx.post(f"{server.url}/a", json={**other, "to": "Eve <e@y.example>"}).status_code == 404


def test_an_id_within_a_text_of_the_request_that_is_answered_with_it_is_replaced_in_both(
    servers: Servers, tmp_path: Path
) -> None:
    body = b'{"id":"run_k3j5h6g7f8d9s0a1"}'
    length = b"Content-Length: %d" % len(body)
    upstream = servers.enter_context(
        raw_upstream(answers(b"HTTP/1.1 200 OK", b"Content-Type: application/json", length, body=body))
    )
    proxy = servers.proxy(upstream.url, record=tmp_path)
    httpx.post(f"{proxy.url}/ai/batches", json={"prompts": ["Continue run_k3j5h6g7f8d9s0a1, please"], "n": 10**12})
    proxy.stop()

    [entry] = entries_in(tmp_path)
    alias = entry["answers"][0]["body"]["id"]
    assert b"k3j5h6g7f8d9s0a1" not in bytes_in(tmp_path)
    assert entry["request"]["body"] == {"prompts": [f"Continue {alias}, please"], "n": 10**12}


def test_an_exchange_with_a_large_body_is_on_the_disk_while_the_proxy_runs(servers: Servers, tmp_path: Path) -> None:
    body = json.dumps({"a": "b" * 2 * GROUP_BYTES}).encode()
    length = b"Content-Length: %d" % len(body)
    upstream = servers.enter_context(
        raw_upstream(answers(b"HTTP/1.1 200 OK", b"Content-Type: application/json", length, body=body))
    )
    proxy = servers.proxy(upstream.url, record=tmp_path)

    assert httpx.get(f"{proxy.url}/user", headers=HEADERS).content == body

    lines = tmp_path / "recording.jsonl"
    assert eventually(lambda: lines.read_bytes().count(b"\n")) == 1
    assert (tmp_path / "bodies" / "0001.json").stat().st_size > 2 * GROUP_BYTES


@given(st.text(st.sampled_from("abAB12@=\"':/ -_.\\\n") | st.characters(), max_size=40))
@example("basic dXNlcjpwYXNzd29yZA==")
@example("https://ada:lovelace@example.org")
@example('{"password":"hunter2"}')
@example("xs3cret-9876")
def test_a_text_that_is_passed_over_has_nothing_to_redact(text: str) -> None:
    redactor = Redactor(["company"])
    redactor.learn(["s3cret-9876"])

    plain = redactor.text(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redact, "may_hold_credentials", lambda _: True)
        patch.setattr(redact, "LEAST_SECRET", 0)
        assert plain == redactor.text(text)


# Jobs


def test_a_cancelled_job_has_a_timeline_before_and_after_the_cancellation(servers: Servers, tmp_path: Path) -> None:
    def run(url: str) -> list[str]:
        with OpenAI(base_url=f"{url}/v1", api_key="dai_sk_x", max_retries=0) as client:
            file = client.files.create(file=("in.jsonl", chats(9)), purpose="batch")
            batch = client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            seen = [client.batches.retrieve(batch.id).status, client.batches.retrieve(batch.id).status]
            seen.append(client.batches.cancel(batch.id).status)
            return [*seen, client.batches.retrieve(batch.id).status]

    proxy = servers.proxy(servers.live(progression="polls:9").url, record=tmp_path)
    recorded = run(proxy.url)
    proxy.stop()

    reads = [each for each in entries_in(tmp_path) if each["request"]["operation"] == "retrieveBatch"]
    with replayed(tmp_path, progression="polls:2") as server:
        again = run(server.url)
    assert [each.get("since") for each in reads] == ["createBatch", "cancelBatch"]
    assert recorded[2:] == again[2:] == ["cancelled", "cancelled"]


def test_transient_errors_are_no_state_of_a_job(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live(progression="polls:3")
    proxy = servers.proxy(upstream.url, record=tmp_path)
    with httpx.Client(base_url=proxy.url, headers=HEADERS) as client:
        id_ = client.post("/ai/batches", json={"prompts": ["a", "b"]}).json()["id"]
        client.get("/ai/batches", params={"id": id_})
        httpx.post(f"{upstream.url}/__admin/next", json={"operation": "getBatchStatus", "reply": {"status": 500}},
                   headers=HEADERS).raise_for_status()  # fmt: skip
        seen = [client.get("/ai/batches", params={"id": id_}).status_code for _ in range(3)]
    proxy.stop()

    [read] = [each for each in entries_in(tmp_path) if each["request"]["operation"] == "getBatchStatus"]
    assert 500 in seen
    assert [each["status"] for each in read["timeline"]] == [200] * len(read["timeline"])


def test_an_archive_is_recorded_through_the_proxy_and_replayed(servers: Servers, tmp_path: Path) -> None:
    def run(url: str) -> list[Any]:
        with httpx.Client(headers=HEADERS) as client:
            id_ = client.post(f"{url}/ai/batches", json={"prompts": ["a", "b"]}).json()["id"]
            status: Any = {}
            while status.get("status") != "successful":
                status = client.get(f"{url}/ai/batches", params={"id": id_}).json()
            assert status["url"].startswith(url)
            with zipfile.ZipFile(io.BytesIO(client.get(status["url"]).content)) as archive:
                return [archive.namelist(), sorted(json.loads(archive.read("0001.json")))]

    upstream = servers.live(progression="polls:3")
    proxy = servers.proxy(upstream.url, record=tmp_path)
    recorded = run(proxy.url)
    proxy.stop()
    upstream.stop()

    assert list((tmp_path / "bodies").glob("*.zip"))
    assert upstream.url.encode() not in bytes_in(tmp_path).replace(b"from " + upstream.url.encode(), b"")
    with replayed(tmp_path) as server:
        assert run(server.url) == recorded


# Modes


def ask(proxy: RunningProxy | ThreadedServer, prompt: str) -> httpx.Response:
    return httpx.get(f"{proxy.url}/ai", params={"prompt": prompt}, headers=HEADERS)


def test_new_episodes_replays_what_is_recorded_and_records_the_rest(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live()
    first = servers.proxy(upstream.url, record=tmp_path, mode="new_episodes")
    one = ask(first, "one")
    first.stop()
    second = servers.proxy(upstream.url, record=tmp_path, mode="new_episodes")
    again, two = ask(second, "one"), ask(second, "two")
    second.stop()

    assert [each.headers["x-mock-source"] for each in (one, again, two)] == [
        "upstream", "fixture:recording.yaml#1", "upstream"
    ]  # fmt: skip
    assert again.json() == one.json()
    assert [each["request"]["query"]["prompt"] for each in entries_in(tmp_path)] == ["one", "two"]
    with replayed(tmp_path) as server:
        assert ask(server, "two").json() == two.json()


def test_new_episodes_replays_uploads_and_passes_on_others(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live()
    sources = []
    for contents in ((b"a\n",), (b"a\n", b"b\n")):
        proxy = servers.proxy(upstream.url, record=tmp_path, mode="new_episodes")
        for content in contents:
            answer = httpx.post(f"{proxy.url}/v1/files", files={"file": ("a.jsonl", content)},
                                data={"purpose": "batch"}, headers=HEADERS)  # fmt: skip
            assert answer.json()["bytes"] == 2
            sources.append(answer.headers["x-mock-source"])
        proxy.stop()

    assert sources == ["upstream", "fixture:recording.yaml#1", "upstream"]


def test_all_replaces_a_recording_and_its_bodies(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live(page_weight="realistic")
    for prompt in ("one", "two"):
        proxy = servers.proxy(upstream.url, record=tmp_path, mode="all")
        ask(proxy, prompt)
        proxy.stop()

    [entry] = entries_in(tmp_path)
    assert entry["request"]["query"]["prompt"] == "two"
    assert len(list((tmp_path / "bodies").iterdir())) == 1


def test_once_records_only_where_there_is_no_recording(servers: Servers, tmp_path: Path) -> None:
    proxy = servers.proxy(servers.live().url, record=tmp_path, mode="once")
    ask(proxy, "one")
    proxy.stop()

    assert open_recorder(tmp_path, "once", parse_upstream("http://127.0.0.1:9"), ()) is None
    assert open_recorder(tmp_path, "none", parse_upstream("http://127.0.0.1:9"), ()) is None


def test_none_needs_a_recording(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"recording\.yaml does not exist"):
        open_recorder(tmp_path, "none", parse_upstream("http://127.0.0.1:9"), ())


def test_a_recording_of_a_killed_proxy_is_finished_by_the_next(servers: Servers, tmp_path: Path) -> None:
    proxy = servers.proxy(servers.live().url, record=tmp_path / "a")
    ask(proxy, "one")
    ask(proxy, "two")
    lines = tmp_path / "a" / "recording.jsonl"
    whole = b""
    while whole.count(b"\n") < 2:
        whole = lines.read_bytes()
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "recording.jsonl").write_bytes(whole + whole[:40])  # cut off in the middle of the third

    finish_recording(killed, "http://127.0.0.1:9")

    assert [each["request"]["query"]["prompt"] for each in entries_in(killed)] == ["one", "two"]
    assert not (killed / "recording.jsonl").exists()


# What was not recorded


def test_what_was_not_recorded_is_a_404_that_names_the_nearest(servers: Servers, tmp_path: Path) -> None:
    proxy = servers.proxy(servers.live().url, record=tmp_path)
    httpx.post(f"{proxy.url}/ai/batches", json={"prompts": ["one"], "model": "gemini"}, headers=HEADERS)
    proxy.stop()

    with replayed(tmp_path) as server:
        answer = httpx.post(f"{server.url}/ai/batches", json={"prompts": ["two"], "model": "gemini"}, headers=HEADERS)
        other = httpx.get(f"{server.url}/user", headers=HEADERS)
        rows = httpx.get(f"{server.url}/__admin/requests", headers=HEADERS).json()["requests"]

    assert (answer.status_code, answer.json()["title"]) == (404, "Not Recorded")
    assert answer.json()["nearest"] == "fixture:recording.yaml#1"
    assert answer.json()["difference"] == ['- body.prompts[0]: "one"', '+ body.prompts[0]: "two"']
    assert other.json()["nearest"] == ""
    assert [each["reason"] for each in rows] == ["no-such-path"] * 2


def test_with_answer_the_sandbox_answers_what_was_not_recorded(servers: Servers, tmp_path: Path) -> None:
    proxy = servers.proxy(servers.live().url, record=tmp_path)
    ask(proxy, "one")
    proxy.stop()

    with replayed(tmp_path, unrecorded="answer") as server:
        sources = [ask(server, prompt).headers["x-mock-source"] for prompt in ("one", "two")]

    assert sources == ["fixture:recording.yaml#1", "generated"]


def test_answers_come_in_their_order_and_the_last_is_repeated(servers: Servers, tmp_path: Path) -> None:
    upstream = servers.live()
    proxy = servers.proxy(upstream.url, record=tmp_path)
    for credits in (7, 7, 3):
        account = f"{upstream.url}/__admin/accounts/{TOKEN}"
        httpx.put(account, json={"credits": credits}, headers=HEADERS).raise_for_status()
        httpx.get(f"{proxy.url}/user", headers=HEADERS)
    proxy.stop()

    with replayed(tmp_path) as server:
        seen = [httpx.get(f"{server.url}/user", headers=HEADERS).json()[0]["credits"] for _ in range(4)]
    assert seen == [7, 7, 3, 3]
