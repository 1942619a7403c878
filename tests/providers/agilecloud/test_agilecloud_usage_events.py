"""Meter events: one for each request that was answered, bounded, in pages, and carried by exports."""

from typing import Any

import pytest
from batch_client import BatchClient, chats, embedding_of, jsonl, request_of
from builders import ask, bytes_of, make_client, make_engine, value_of

from mockserver.engine.engine import Engine
from mockserver.providers.agilecloud import usage as agilecloud_usage
from mockserver.providers.agilecloud.usage import report, usage_entries
from mockserver.redaction import account_key

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Name a river in Spain."}]}


@pytest.fixture
def desk() -> BatchClient:
    return BatchClient()


def report_of(engine: Engine, name: str = "ann", *page: int) -> dict[str, Any]:
    world = next(each.world for each in engine.services if each.operation.key == "createBatch")
    return report(world, engine.sandboxes.open(name), *page)


def ids(found: dict[str, Any]) -> list[str]:
    return [event["identifier"] for event in found["events"]]


def test_each_line_of_a_batch_that_was_answered_has_an_event_with_its_custom_id(desk: BatchClient) -> None:
    requests = [
        request_of("plain"),
        request_of('odd " \u2028 id', n=2),
        request_of("failed", "[mock:fail]"),
        request_of("other", model="qwen-2.5-3b"),
        request_of("last"),
    ]
    batch = desk.run(jsonl(*requests))

    found = report_of(desk.engine)

    events = {event["identifier"]: event for event in found["events"]}
    lines = desk.lines(batch["output_file_id"])
    assert events.keys() == lines.keys() == {"plain", 'odd " \u2028 id', "other", "last"}
    for custom_id, line in lines.items():
        used, payload = line["response"]["body"]["usage"], events[custom_id]["payload"]
        tokens = str(used["prompt_tokens"]), str(used["completion_tokens"])
        assert (payload["input_tokens"], payload["output_tokens"]) == tokens
        assert payload["batch_id"] == batch["id"]
    assert (
        sum(int(each["payload"]["value"]) for each in found["events"])
        == found["accounts"][account_key("ann")]["batch"]["cost"]
    )
    assert [id_ for id_ in ids(found) if id_ != "other"] == ["plain", 'odd " \u2028 id', "last"]


def test_embeddings_are_metered_line_by_line_too(desk: BatchClient) -> None:
    lines = jsonl(embedding_of("a", "ebb"), embedding_of("b", "flow and ebb"))
    batch = desk.create(lines, "/v1/embeddings")
    desk.read(batch["id"])

    assert ids(report_of(desk.engine)) == ["a", "b"]


def test_a_batch_that_was_cancelled_has_events_for_what_was_answered() -> None:
    desk = BatchClient(progression="time:100")
    batch = desk.create(chats(10))
    desk.sandbox.clock.advance(50)
    cancelled = value_of(desk.ask("POST", f"/v1/batches/{batch['id']}/cancel"))

    found = report_of(desk.engine)
    assert 0 < len(found["events"]) == cancelled["request_counts"]["completed"] < 10
    assert set(ids(found)) == set(desk.lines(cancelled["output_file_id"]))


def test_deleting_a_file_keeps_its_usage_events(desk: BatchClient) -> None:
    batch = desk.run(chats(3))
    desk.ask("DELETE", f"/v1/files/{batch['output_file_id']}")

    assert ids(report_of(desk.engine)) == ["r0", "r1", "r2"]


def test_events_come_in_pages(desk: BatchClient) -> None:
    desk.run(chats(7))
    for _ in range(2):
        desk.ask("POST", "/v1/chat/completions", json=CHAT)
    desk.run(jsonl(request_of("x"), request_of("y")))
    whole = report_of(desk.engine)

    after: int | None = 0
    seen: list[Any] = []
    while after is not None:
        page = report_of(desk.engine, "ann", after, 3)
        assert len(page["events"]) <= 3
        assert page["accounts"] == whole["accounts"]
        seen += page["events"]
        after = page["next"]

    assert seen == whole["events"]
    assert len(seen) == 11
    assert report_of(desk.engine, "ann", 11, 3)["events"] == []
    assert report_of(desk.engine, "ann", 8, 3)["next"] is None


def test_the_admin_api_pages_them() -> None:
    with make_client() as client:
        for _ in range(3):
            assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        first = client.get("/__admin/usage", params={"limit": 2}).json()["agilecloud"]
        rest = client.get("/__admin/usage", params={"limit": 2, "after": first["next"]}).json()["agilecloud"]

        assert (len(first["events"]), first["next"], len(rest["events"]), rest["next"]) == (2, 2, 1, None)
        assert client.get("/__admin/usage", params={"limit": 1001}).status_code == 400
        assert client.get("/__admin/usage", params={"page": 1}).status_code == 400


def test_live_events_are_bounded_and_the_sums_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agilecloud_usage, "MAX_ENTRIES", 10)
    engine = make_engine()
    for n in range(35):
        ask(engine, "POST", "/v1/chat/completions", json={**CHAT, "temperature": n / 100}, token="ann")
        ask(engine, "POST", "/v1/embeddings", json={"model": "bge-large-en-v1.5", "input": f"{n}"}, token="ann")
        assert len(usage_entries(engine.sandboxes.open("ann"), account_key("ann"))) <= 10

    found = report_of(engine)
    live = found["accounts"][account_key("ann")]["live"]
    assert live["requests"] == 70
    assert len(found["events"]) + found["dropped"] == 70
    assert 0 < len(found["events"]) <= 10
    monkeypatch.undo()
    other = make_engine()
    for n in range(35):
        ask(other, "POST", "/v1/chat/completions", json={**CHAT, "temperature": n / 100}, token="ann")
        ask(other, "POST", "/v1/embeddings", json={"model": "bge-large-en-v1.5", "input": f"{n}"}, token="ann")
    whole = report_of(other)
    assert (whole["accounts"][account_key("ann")]["live"], whole["dropped"]) == (live, 0)
    assert whole["events"][-len(found["events"]) :] == found["events"]


def test_the_sum_of_older_requests_has_the_time_of_the_latest_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agilecloud_usage, "MAX_ENTRIES", 6)
    engine = make_engine()
    box = engine.sandboxes.open("ann")
    start = box.clock.now()
    for _ in range(7):
        box.clock.advance(1)
        ask(engine, "POST", "/v1/chat/completions", json=CHAT, token="ann")

    entries = usage_entries(box, account_key("ann"))

    assert [(each.requests, each.at - start) for each in entries] == [(3, 3), (1, 4), (1, 5), (1, 6), (1, 7)]
    assert [bool(each.id) for each in entries] == [False, True, True, True, True]
    assert entries[0].prompt_tokens == 3 * entries[1].prompt_tokens


def test_events_of_batches_are_bounded_and_the_sums_stay(monkeypatch: pytest.MonkeyPatch, desk: BatchClient) -> None:
    monkeypatch.setattr(agilecloud_usage, "MAX_EVENTS", 5)
    for n in range(3):
        desk.run(jsonl(*(request_of(f"{n}-{k}") for k in range(2))))

    found = report_of(desk.engine)
    assert ids(found) == ["1-0", "1-1", "2-0", "2-1"]
    assert (found["dropped"], found["accounts"][account_key("ann")]["batch"]["requests"]) == (2, 6)


def test_a_long_custom_id_is_cut(desk: BatchClient) -> None:
    desk.run(jsonl(request_of("a" * 2000), request_of("b" * 2000, n=2)))

    assert ids(report_of(desk.engine)) == ["a" * 512, "b" * 512]


def test_an_export_carries_events_and_an_import_refuses_those_that_do_not_add_up() -> None:
    with make_client() as client:
        file = client.post("/v1/files", data={"purpose": "batch"}, files={"file": ("in.jsonl", chats(3))}).json()
        asked = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = client.post("/v1/batches", json=asked).json()
        client.get(f"/v1/batches/{batch['id']}")
        client.post("/v1/chat/completions", json=CHAT)
        before = client.get("/__admin/usage").json()
        document = client.get("/__admin/export").json()
        assert client.post("/__admin/import", json=document).status_code == 200
        assert client.get("/__admin/usage").json() == before
        assert len(before["agilecloud"]["events"]) == 4

        entry = document["sandbox"]["collections"]["agilecloud.usage"][f"{account_key('test')}\n0"]
        for name in ("requests", "prompt_tokens", "completion_tokens", "cost"):
            entry[name] += 1
            refused = client.post("/__admin/import", json=document)
            assert refused.status_code == 422
            assert "the events of an entry are not those of its sums" in refused.text
            entry[name] -= 1
        entry["events"] = None
        assert client.post("/__admin/import", json=document).status_code == 200
        after = client.get("/__admin/usage").json()["agilecloud"]
        assert (after["accounts"], after["dropped"]) == (before["agilecloud"]["accounts"], 3)


def test_ids_of_live_events_do_not_depend_on_other_requests() -> None:
    alone, busy = make_engine(), make_engine()
    for n in range(3):
        ask(
            busy,
            "POST",
            "/v1/chat/completions",
            json={**CHAT, "seed": n},
            token="bob",
            headers={"x-mock-sandbox": "ann"},
        )
    answers = [ask(each, "POST", "/v1/chat/completions", json=CHAT, token="ann") for each in (alone, busy)]

    assert bytes_of(answers[0]) == bytes_of(answers[1])
    assert ids(report_of(alone))[0] in ids(report_of(busy))
    assert ids(report_of(alone))[0] == value_of(answers[0])["id"]
