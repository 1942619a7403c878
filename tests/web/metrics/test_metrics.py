"""GET /metrics: figures for Prometheus, without a trace in what is measured."""

import importlib.util
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from builders import make_client, make_settings
from prometheus_client.parser import text_string_to_metric_families
from receiver import receiving
from starlette.testclient import TestClient
from store_processes import StoreWorld, queue, store_world
from waiting import eventually

from mockserver.server.process import ThreadedServer

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
TOKEN = {"Authorization": "Bearer test"}


def samples(text: str) -> Samples:
    """The values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(client: Any) -> Samples:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


def value(found: Samples, name: str, **labels: str) -> float:
    """The sum over all series that have these labels."""
    return sum(each for (own, given), each in found.items() if own == name and labels.items() <= dict(given).items())


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as client:
        client.headers = TOKEN
        yield client


def test_requests_are_counted_by_operation_status_and_reason(client: TestClient) -> None:
    client.get("/user")
    scraped(client)
    client.get("/user")
    client.post("/ai/batches", json={"prompts": []})
    client.get("/nowhere")

    found = scraped(client)

    counted = "mockserver_requests_total"
    assert value(found, counted, operation="getUser", status="200", reason="") == 2
    assert value(found, counted, operation="queueBatch", status="422", reason="invalid") == 1
    assert value(found, counted, operation="", status="404", reason="no-such-path") == 1
    assert value(found, counted) == 4
    assert value(found, "mockserver_request_seconds_count", operation="getUser") == 1
    assert value(found, "mockserver_request_seconds_bucket", operation="getUser", le="+Inf") == 1
    assert value(found, "mockserver_request_seconds_sum", operation="getUser") > 0


def test_sandboxes_batches_and_journals_are_measured(client: TestClient) -> None:
    client.post("/ai/batches", json={"prompts": ["one"]})
    client.post("/ai/batches", json={"prompts": ["two"]}, headers={"X-Mock-Sandbox": "other"})

    found = scraped(client)

    assert value(found, "mockserver_sandboxes") == 2
    assert value(found, "mockserver_stored_values", collection="batches") == 2
    assert value(found, "mockserver_stored_values", collection="journal") == 2
    assert value(found, "mockserver_stored_bytes") > 0
    assert value(found, "process_resident_memory_bytes") > 0


def test_journal_drops_and_evictions_are_counted() -> None:
    with make_client(journal_size=2, max_sandboxes=2) as client:
        for name in ("one", "two", "three", "three", "three"):
            client.get("/user", headers={**TOKEN, "X-Mock-Sandbox": name})

        found = scraped(client)

    assert value(found, "mockserver_sandboxes") == 2
    assert value(found, "mockserver_evictions_total") == 1
    assert value(found, "mockserver_journal_dropped") == 1


def test_attempts_to_deliver_a_callback_are_counted_by_result() -> None:
    attempts = "mockserver_callback_attempts_total"
    with (
        receiving() as receiver,
        ThreadedServer(make_settings()) as server,
        httpx.Client(base_url=server.url, headers=TOKEN, trust_env=False) as client,
    ):
        queued = {"prompts": ["one"], "callback": receiver.url}
        assert client.post("/ai/batches", json=queued).status_code == 202
        receiver.wait()

        eventually(lambda: value(scraped(client), attempts, result="delivered") == 1)


def test_a_scrape_is_in_no_journal_and_no_fault_applies_to_it(client: TestClient) -> None:
    stub = {"status": 503, "times": 5}
    client.post("/__admin/next", json=stub)
    before = client.get("/__admin/requests").json()

    assert client.get("/metrics").status_code == 200
    assert client.get("/__admin/requests").json() == before


def test_the_admin_token_is_needed_where_the_admin_api_needs_it() -> None:
    with make_client(admin_token="s3cret") as client:
        refused = client.get("/metrics")
        answered = client.get("/metrics", headers={"X-Mock-Admin-Token": "s3cret"})

    assert (refused.status_code, answered.status_code) == (401, 200)
    with make_client(host="0.0.0.0") as client:
        assert client.get("/metrics").status_code == 403


def test_without_the_extra_the_answer_names_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "mockserver.web.metrics.app.find_spec", lambda name: None if name == "prometheus_client" else find(name)
    )

    answer = client.get("/metrics")

    assert answer.status_code == 501
    assert "batch-mockserver[metrics]" in answer.json()["detail"]


def test_only_get_is_answered(client: TestClient) -> None:
    answer = client.post("/metrics")

    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert client.head("/metrics").status_code == 200


def test_nothing_is_observed_before_the_first_scrape(client: TestClient) -> None:
    client.get("/user")

    assert client.app.engine.observer is None  # type: ignore[attr-defined]


@pytest.fixture(params=["sqlite", "redis"])
def world(request: pytest.FixtureRequest) -> Iterator[StoreWorld]:
    with store_world(request.param) as made:
        yield made


def test_replicas_name_themselves_and_measure_their_store(world: StoreWorld) -> None:
    one, two = world.start("--replica", "one"), world.start("--replica", "two")
    for server in (one, two):
        scraped(server.api)
    for server in (one, two, one):
        queue(server, "a prompt")

    first, second = scraped(one.api), scraped(two.api)

    assert value(first, "mockserver_requests_total", replica="one", operation="queueBatch") == 2
    assert value(second, "mockserver_requests_total", replica="two", operation="queueBatch") == 1
    for found in (first, second):
        assert value(found, "mockserver_sandboxes") == 1
        assert value(found, "mockserver_stored_values", collection="batches") == 3
        assert value(found, "mockserver_stored_values", collection="journal") == 3
        assert value(found, "mockserver_stored_bytes") > 0
        assert value(found, "mockserver_store_round_trips_total") > 0
    assert value(first, "mockserver_store_conflicts_total") >= 1  # the other had changed what this one knew


def test_each_of_several_workers_labels_its_own_figures(world: StoreWorld) -> None:
    server = world.start("--workers", "2")
    queue(server, "a prompt")

    found = scraped(server.api)

    workers = {label for _, labels in found for name, label in labels if name == "worker"}
    assert len(workers) == 1
    assert value(found, "mockserver_stored_values", collection="batches") == 1
    assert not any(name.startswith("process_") for name, _ in found)
