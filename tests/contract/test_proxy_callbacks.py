"""Callbacks of a live API that come through the proxy: the inbox, the client's own URL, and what is not accepted."""

import gzip
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from proxies import RunningProxy, Servers
from receiver import Receiver, receiving, refusing_port
from upstreams import Connection, RawUpstream, raw_upstream
from waiting import eventually

from mockserver.contract.callbacks import addresses, relay
from mockserver.contract.callbacks.relay import parse_public_url
from mockserver.errors import SettingsError

TOKEN = {"Authorization": "Bearer t"}


def inbox(proxy: RunningProxy, *states: str) -> list[Any]:
    """The inbox once its callbacks have these states."""

    def look() -> list[Any] | None:
        found = httpx.get(f"{proxy.url}/__admin/callbacks", headers=TOKEN).raise_for_status().json()["callbacks"]
        return found if [each["state"] for each in found] == list(states) else None

    found = eventually(look)
    assert found is not None
    return found


# Agent First


@pytest.mark.parametrize("name", ["callback", "callback (planned)"])
def test_a_batchs_callback_comes_through_the_proxy(servers: Servers, name: str) -> None:
    proxy = servers.proxy(servers.live(progression="polls:2").url, callbacks_via="auto")
    receiver = servers.enter_context(receiving())
    body = {"prompts": ["a"], name: f"{receiver.url}/hook?secret=abc"}

    with httpx.Client(base_url=proxy.url, headers=TOKEN) as client:
        queued = client.post("/ai/batches", json=body).json()
        [pending] = inbox(proxy, "pending")
        while client.get("/ai/batches", params={"id": queued["id"]}).json()["status"] != "successful":
            pass
        told = receiver.wait()
        [delivered] = inbox(proxy, "delivered")
        journal = client.get("/__admin/requests", params={"operation": "queueBatch"}).text

    assert (pending["id"], pending["payload"]) == (queued["id"], None)
    assert (told.path, told.value["id"], told.value["status"]) == ("/hook?secret=abc", queued["id"], "successful")
    assert told.headers["x-mock-callback-id"] == queued["id"]  # as the API has sent it
    assert (delivered["id"], delivered["target"]) == (queued["id"], f"{receiver.url}/hook?secret=[redacted]")
    assert delivered["payload"]["status"] == "successful"
    assert [each["status"] for each in delivered["attempts"]] == [200]
    assert f"{receiver.url}/hook" in journal


def test_a_callback_that_comes_before_the_answer_is_listed_under_the_batchs_id(servers: Servers) -> None:
    live = servers.live(progression="immediate")
    proxy = servers.proxy(live.url, callbacks_via="auto", callbacks="inbox")

    query = {"prompt": "a", "mode": "async", "callback": "https://client.example/hook"}
    id_ = httpx.get(f"{proxy.url}/ai", params=query, headers=TOKEN).json()["id"]

    [kept] = inbox(proxy, "kept")
    assert (kept["id"], kept["target"], kept["payload"]["status"]) == (id_, query["callback"], "successful")
    sent = httpx.get(f"{live.url}/__admin/callbacks", headers=TOKEN).json()["callbacks"]
    assert [each["state"] for each in sent] == ["delivered"]


def test_without_the_option_requests_pass_as_they_are(servers: Servers) -> None:
    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 202 OK", b"Content-Type: text/plain", b"Content-Length: 0")

    upstream = servers.enter_context(raw_upstream(answer))
    body = b'{"prompts": ["a"],  "callback": "http://127.0.0.1:9/hook"}'
    for via in ("", "auto"):
        proxy = servers.proxy(upstream.url, callbacks_via=via)
        headers = TOKEN | {"Content-Type": "application/json"}
        httpx.post(f"{proxy.url}/ai/batches", content=body, headers=headers)
        queue = body.replace(b"http://127.0.0.1:9/hook", b"arn:aws:sqs:us-east-1:123456789012:done")
        httpx.post(f"{proxy.url}/ai/batches", content=queue, headers=headers)
        assert httpx.get(f"{proxy.url}/__callbacks/{'0' * 32}", headers=TOKEN).status_code == (404 if via else 202)

    passed = [each.body for each in upstream.requests]
    assert passed[:3] == [body, queue, b""]
    assert b"/__callbacks/" in passed[3]
    assert passed[3].startswith(b'{"prompts": ["a"],  "callback": "http://127.0.0.1:')
    assert passed[4] == queue


# Another document


def write_document(folder: Path) -> str:
    schema = {"type": "object", "required": ["state"], "properties": {"state": {"enum": ["done", "failed"]}}}
    sent = {"post": {"requestBody": {"content": {"application/json": {"schema": schema}}}, "responses": {}}}
    job = {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "ok"}
    form: Any = {"content": {"application/json": {}, "application/x-www-form-urlencoded": {}}}
    start = {"requestBody": form, "responses": {"201": job},
             "callbacks": {"done": {"{$request.body#/webhook}": sent}}}  # fmt: skip
    paths = {"/jobs": {"post": start, "get": {"responses": {"200": job}}}}
    path = folder / "jobs.json"
    path.write_text(json.dumps({"openapi": "3.0.3", "info": {"title": "jobs", "version": "1"}, "paths": paths}))
    return str(path)


class Jobs:
    """An API with jobs. It echoes the body of a request, as it came and as other encoders write it."""

    def __init__(self, servers: Servers) -> None:
        self.upstream: RawUpstream = servers.enter_context(raw_upstream(self._answer))
        self.url = self.upstream.url

    @property
    def address(self) -> str:
        """The callback's URL in the latest job."""
        jobs = [each.body for each in self.upstream.requests if each.head.startswith(b"POST")]
        return str(json.loads(jobs[-1])["webhook"])

    def call(self, state: str, **more: Any) -> httpx.Response:
        """Call back."""
        return httpx.post(self.address, json={"state": state}, headers={"X-Signature": "v1=5"}, **more)

    def _answer(self, connection: Connection) -> None:
        request = json.loads(connection.body or b"{}")
        url = request.get("webhook", "")
        said = {"id": "job_1", "webhook": url, "link": f"https://a.example/?to={httpx.QueryParams(u=url)}"}
        body = json.dumps(said | {"slashes": "SLASHES"}).replace("SLASHES", url.replace("/", "\\/")).encode()
        coding = (b"Content-Encoding: gzip",) if b"gzip" in connection.head and b"POST" in connection.head else ()
        body = gzip.compress(body) if coding else body
        connection.send(b"HTTP/1.1 201 Created", b"Content-Type: application/json", b"Location: " + url.encode(),
                        b"Content-Length: %d" % len(body), *coding, body=body)  # fmt: skip


@pytest.fixture
def jobs(servers: Servers) -> Jobs:
    return Jobs(servers)


def start_job(proxy: RunningProxy, receiver: Receiver | str, **headers: str) -> httpx.Response:
    url = receiver if isinstance(receiver, str) else f"{receiver.url}/hook"
    return httpx.post(f"{proxy.url}/jobs", json={"webhook": url, "n": 1}, headers=TOKEN | headers)


def test_callbacks_that_any_document_describes_are_validated_and_passed_on(
    servers: Servers, jobs: Jobs, tmp_path: Path
) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    receiver = servers.enter_context(receiving(503, 201, 204))
    start_job(proxy, receiver)

    answers = [jobs.call("over").status_code, jobs.call("over").status_code, jobs.call("done").status_code]

    told = [receiver.wait() for _ in range(3)]
    assert answers == [503, 201, 204]  # the receiver's own
    assert [each.value["state"] for each in told] == ["over", "over", "done"]
    assert told[0].headers["x-signature"] == "v1=5"
    assert json.loads(told[0].headers["x-mock-violations"])[0]["location"] == ["callback", "body", "state"]
    assert "x-mock-violations" not in told[2].headers
    first, second = inbox(proxy, "delivered", "delivered")
    assert (first["id"], [each["status"] for each in first["attempts"]]) == ("job_1", [503, 201])
    assert (second["id"], second["payload"]) == ("job_1-2", {"state": "done"})
    assert [each["location"] for each in first["violations"]] == [["callback", "body", "state"]]
    assert second["violations"] == []


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_the_client_and_the_recording_see_the_clients_own_url(
    servers: Servers, jobs: Jobs, tmp_path: Path, coding: str
) -> None:
    folder = tmp_path / "recorded"
    proxy = servers.proxy(
        jobs.url, callbacks_via="https://tunnel.example/x", spec=(write_document(tmp_path),), record=folder
    )
    own = "http://127.0.0.1:9/hook?a=1&b=2"

    answer = start_job(proxy, own, **{"Accept-Encoding": coding})
    journal = httpx.get(f"{proxy.url}/__admin/requests", headers=TOKEN).text
    proxy.stop()

    assert jobs.address.startswith("https://tunnel.example/x/__callbacks/")
    assert answer.json() == {
        "id": "job_1", "webhook": own, "link": f"https://a.example/?to={httpx.QueryParams(u=own)}", "slashes": own
    }  # fmt: skip
    assert answer.headers["location"] == own
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"__callbacks" not in written
    assert b"tunnel.example" not in written
    assert b"http://127.0.0.1:9/hook" in written
    assert "__callbacks" not in journal


def test_a_forms_url_is_replaced(servers: Servers, jobs: Jobs, tmp_path: Path) -> None:
    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 201 Created", b"Content-Type: application/json", b"Content-Length: 2", body=b"{}")

    upstream = servers.enter_context(raw_upstream(answer))
    proxy = servers.proxy(upstream.url, callbacks_via="https://tunnel.example", spec=(write_document(tmp_path),))

    httpx.post(f"{proxy.url}/jobs", data={"a": "ä b", "webhook": "http://127.0.0.1:9/hook"}, headers=TOKEN)

    [request] = upstream.requests
    assert request.body.startswith(b"a=%C3%A4+b&webhook=https%3A%2F%2Ftunnel.example%2F__callbacks%2F")
    assert (b"content-length", b"%d" % len(request.body)) in request.headers


def test_a_body_that_comes_in_chunks_is_read_before_it_is_passed_on(
    servers: Servers, jobs: Jobs, tmp_path: Path
) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    text = "x" * 3_000_000
    content = json.dumps({"text": text, "webhook": "http://127.0.0.1:9/hook"}).encode()
    parts = (content[n : n + 100_000] for n in range(0, len(content), 100_000))

    answer = httpx.post(
        f"{proxy.url}/jobs", content=parts, headers=TOKEN | {"Content-Type": "application/json"}, timeout=30
    )

    assert answer.json()["webhook"] == "http://127.0.0.1:9/hook"
    [request] = jobs.upstream.requests
    assert json.loads(request.body)["text"] == text
    assert "/__callbacks/" in jobs.address


# What is not passed on


def test_an_address_that_the_proxy_has_not_issued_is_not_found(servers: Servers, jobs: Jobs, tmp_path: Path) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    receiver = servers.enter_context(receiving())
    start_job(proxy, receiver)

    others = [f"{jobs.address}/more", f"{jobs.address}/../x", f"{jobs.address}0", f"{proxy.url}/__callbacks/",
              f"{proxy.url}/__callbacks/{receiver.url}"]  # fmt: skip

    assert [httpx.post(each, json={}).status_code for each in others] == [404] * len(others)
    assert receiver.is_left_alone()
    inbox(proxy, "pending")


def test_a_host_that_is_not_allowed_is_not_called(servers: Servers, jobs: Jobs, tmp_path: Path) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    start_job(proxy, "https://client.example/hook")

    answer = jobs.call("done")

    [refused] = inbox(proxy, "refused")
    assert answer.status_code == 403
    assert "--callback-allow" in answer.json()["detail"]
    assert "client.example is not loopback" in refused["attempts"][0]["error"]


def test_a_receiver_that_cannot_be_reached_is_a_bad_gateway(servers: Servers, jobs: Jobs, tmp_path: Path) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    with refusing_port() as port:
        start_job(proxy, f"http://127.0.0.1:{port}/hook")

        assert jobs.call("done").status_code == 502
    [failed] = inbox(proxy, "failed")
    assert failed["attempts"][0]["status"] is None


def test_with_fail_a_callback_that_the_document_forbids_is_not_passed_on(
    servers: Servers, jobs: Jobs, tmp_path: Path
) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),), fails=True)
    receiver = servers.enter_context(receiving())
    start_job(proxy, receiver)

    answers = [jobs.call("over").status_code, jobs.call("done").status_code]

    assert answers == [422, 200]
    assert receiver.wait().value == {"state": "done"}
    assert receiver.is_left_alone()
    inbox(proxy, "refused", "delivered")


def test_a_large_callback_and_too_many_are_not_passed_on(
    servers: Servers, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),), callbacks="inbox")
    start_job(proxy, "http://127.0.0.1:9/hook")
    monkeypatch.setattr(relay, "MAX_CALLS", 2)

    statuses = [
        httpx.post(jobs.address, content=b"x" * 300_000).status_code,
        *(jobs.call("done").status_code for _ in "12"),
    ]

    assert statuses == [413, 204, 429]


def test_a_call_that_comes_from_the_proxy_itself_is_a_loop(servers: Servers, jobs: Jobs, tmp_path: Path) -> None:
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    start_job(proxy, "http://127.0.0.1:9/hook")
    first = jobs.address
    via = dict(jobs.upstream.requests[0].headers)[b"via"].decode()

    assert httpx.post(first, json={}, headers={"Via": via}).status_code == 508


def test_the_oldest_address_is_dropped_for_a_new_one(
    servers: Servers, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "MAX_ADDRESSES", 1)
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),), callbacks="inbox")
    start_job(proxy, "http://127.0.0.1:9/hook")
    first = jobs.address
    start_job(proxy, "http://127.0.0.1:9/hook")

    assert httpx.post(first, json={"state": "done"}).status_code == 404
    assert jobs.call("done").status_code == 204
    inbox(proxy, "kept")


def test_calls_at_the_same_time_are_bounded(
    servers: Servers, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_UNDER_WAY", 1)
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    entered, leave = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        entered.set()
        leave.wait(20)
        connection.send(b"HTTP/1.1 200 OK", b"Content-Length: 0")

    slow = servers.enter_context(raw_upstream(hold))
    start_job(proxy, f"{slow.url}/hook")
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(jobs.call("done", timeout=30).status_code))
    first.start()
    assert entered.wait(20)

    busy = jobs.call("done")
    leave.set()
    first.join(20)

    assert (busy.status_code, busy.headers["retry-after"], statuses) == (503, "1", [200])


@pytest.mark.parametrize(
    "text", ["", "proxy.example", "ftp://a.example", "http://a.example?x=1", "http://u:p@a.example"]
)
def test_a_public_url_that_cannot_be_used_is_an_error(text: str) -> None:
    with pytest.raises(SettingsError, match="--callbacks-via is"):
        parse_public_url(text)


def test_public_urls() -> None:
    assert parse_public_url("https://a.example/x/") == "https://a.example/x"
    assert parse_public_url("auto") == "auto"


def test_a_receiver_that_does_not_answer_leaves_room_for_calls_to_others(
    servers: Servers, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_TO_RECEIVER", 1)
    proxy = servers.proxy(jobs.url, callbacks_via="auto", spec=(write_document(tmp_path),))
    entered, leave = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        entered.set()
        leave.wait(20)
        connection.send(b"HTTP/1.1 200 OK", b"Content-Length: 0")

    def answer(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK", b"Content-Length: 0")

    slow, quick = (servers.enter_context(raw_upstream(each)) for each in (hold, answer))
    start_job(proxy, f"{slow.url}/hook")
    first = threading.Thread(target=lambda: jobs.call("done", timeout=30))
    first.start()
    assert entered.wait(20)

    again = jobs.call("done")
    start_job(proxy, f"{quick.url}/hook")
    other = jobs.call("done")
    leave.set()
    first.join(20)

    assert (again.status_code, other.status_code) == (503, 200)
