"""The callbacks' inbox in the admin API: what falls due is told once, in words that a status read would have."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client
from starlette.testclient import TestClient

TARGET = "http://127.0.0.1:9/told"


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client(callbacks="inbox", progression="time:60") as it:
        yield it


def queue(client: TestClient, *prompts: str, name: str = "callback", target: str | None = TARGET) -> str:
    asked = client.post("/ai/batches", json={"prompts": prompts or ["hello"], name: target})
    assert asked.status_code == 202, asked.text
    return str(asked.json()["id"])


def inbox(client: TestClient, **query: Any) -> list[Any]:
    answer = client.get("/__admin/callbacks", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["callbacks"])


def states(client: TestClient) -> dict[str, str]:
    return {each["id"]: each["state"] for each in inbox(client)}


def advance(client: TestClient, seconds: float) -> None:
    assert client.post("/__admin/clock/advance", json={"seconds": seconds}).status_code == 200


@pytest.mark.parametrize("name", ["callback", "callback (planned)"])
def test_a_callback_is_sent_at_the_end_of_its_batch_with_its_status(client: TestClient, name: str) -> None:
    id_ = queue(client, "one", "[mock:fail] two", name=name)
    (pending,) = inbox(client)
    assert (pending["id"], pending["target"], pending["state"]) == (id_, TARGET, "pending")
    assert (pending["due"], pending["payload"]) == ("2026-04-12T00:01:00.000000Z", None)
    advance(client, 59)
    assert states(client) == {id_: "pending"}

    advance(client, 1)

    (kept,) = inbox(client)
    assert kept == pending | {"state": "kept", "payload": client.get("/ai/batches", params={"id": id_}).json()}
    assert (kept["payload"]["status"], kept["payload"]["successful"], kept["payload"]["failed"]) == ("successful", 1, 1)
    assert kept["payload"]["url"].startswith("http://127.0.0.1:4024/ai/archives/")


def test_a_failed_batch_is_called_back_too(client: TestClient) -> None:
    queue(client, "[mock:fail]")

    advance(client, 60)

    (kept,) = inbox(client)
    assert (kept["payload"]["status"], kept["payload"]["url"]) == ("failed", None)


@pytest.mark.parametrize("target", [None, ""])
def test_without_a_callback_there_is_nothing_in_the_inbox(client: TestClient, target: str | None) -> None:
    client.post("/ai/batches", json={"prompts": ["hello"], "callback": target})

    assert client.get("/__admin/callbacks").json() == {"callbacks": [], "next": None, "pending": 0, "dropped": 0}


def test_an_immediate_batch_is_called_back_at_once(client: TestClient) -> None:
    client.put("/__admin/progression", json={"progression": "immediate"})

    id_ = queue(client)

    assert states(client) == {id_: "kept"}


def test_a_batch_that_progresses_by_polls_is_called_back_after_the_last_poll(client: TestClient) -> None:
    client.put("/__admin/progression", json={"progression": "polls", "polls": 2})
    id_ = queue(client)

    client.get("/ai/batches", params={"id": id_})
    (pending,) = inbox(client)
    assert (pending["state"], pending["due"]) == ("pending", None)
    told = client.get("/ai/batches", params={"id": id_}).json()

    (kept,) = inbox(client)
    assert (kept["state"], kept["payload"]) == ("kept", told)


def test_a_callback_is_no_request_and_no_poll(client: TestClient) -> None:
    client.put("/__admin/progression", json={"progression": "polls", "polls": 3})
    id_ = queue(client)

    for _ in range(5):
        inbox(client)

    assert client.get("/__admin/requests").json()["seen"] == 1
    assert client.get("/ai/batches", params={"id": id_}).json()["status"] == "retrieving"


def test_a_batch_that_never_ends_is_never_called_back(client: TestClient) -> None:
    queue(client, "[mock:hang]")

    advance(client, 10**9)

    (pending,) = inbox(client)
    assert (pending["state"], pending["due"]) == ("pending", None)


def test_the_callback_of_a_conversation_has_id_and_status(client: TestClient) -> None:
    asked = client.get("/ai", params={"prompt": "hello", "mode": "async", "callback": TARGET})

    advance(client, 60)

    (kept,) = inbox(client)
    assert kept["payload"] == {"id": asked.json()["id"], "status": "successful"}


def test_callbacks_are_listed_in_due_order_and_pending_ones_last(client: TestClient) -> None:
    slow = queue(client, "[mock:slow=90s]")
    last = queue(client, "[mock:slow=900s]")
    first, second = queue(client), queue(client)

    advance(client, 200)

    assert [each["id"] for each in inbox(client)] == [first, second, slow, last]
    assert [each["number"] for each in inbox(client)] == [3, 4, 1, 2]
    assert [each["id"] for each in inbox(client, state="pending")] == [last]


def test_the_inbox_is_paged(client: TestClient) -> None:
    queued = [queue(client) for _ in range(3)]

    first = client.get("/__admin/callbacks", params={"limit": 2}).json()
    rest = client.get("/__admin/callbacks", params={"limit": 2, "after": first["next"]}).json()

    assert [each["id"] for each in first["callbacks"] + rest["callbacks"]] == queued
    assert (first["next"], rest["next"], rest["pending"]) == (2, None, 3)


def test_deleted_callbacks_are_never_sent(client: TestClient) -> None:
    queue(client)

    assert client.delete("/__admin/callbacks").json() == {"forgotten": 1}

    advance(client, 60)
    assert inbox(client) == []
    assert client.delete("/__admin/callbacks").json() == {"forgotten": 0}


@pytest.mark.parametrize("path", ["/__admin/reset", "/__admin/reset/state"])
def test_a_reset_removes_callbacks(client: TestClient, path: str) -> None:
    queue(client)

    client.post(path)

    advance(client, 60)
    assert inbox(client) == []


def test_callbacks_stay_in_their_sandbox(client: TestClient) -> None:
    queue(client)

    assert client.get("/__admin/callbacks", headers={"X-Mock-Sandbox": "another"}).json()["callbacks"] == []


def test_a_finished_callback_can_be_redelivered(client: TestClient) -> None:
    id_ = queue(client)
    assert client.post(f"/__admin/callbacks/{id_}/redeliver").status_code == 409, "it is pending"
    assert client.post("/__admin/callbacks/nobody/redeliver").status_code == 404
    advance(client, 60)
    (kept,) = inbox(client)

    assert client.post(f"/__admin/callbacks/{id_}/redeliver").json() == kept

    assert inbox(client) == [kept]


@pytest.mark.parametrize(
    ("query", "said"), [("state=lost", "pending, sending"), ("limit=1001", "1000"), ("colour=red", "colour")]
)
def test_an_invalid_query_for_callbacks_is_rejected(client: TestClient, query: str, said: str) -> None:
    answer = client.get(f"/__admin/callbacks?{query}")

    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_a_callback_of_a_batch_that_is_gone_is_refused() -> None:
    from builders import ask, make_engine, make_settings
    from builders import queue as queue_at

    from mockserver.web.callbacks.dispatcher import CallbackDispatcher

    engine = make_engine()
    sandbox = engine.sandboxes.open("test")
    sandbox.progression = sandbox.progression._replace(kind="time", amount=60)
    id_ = queue_at(engine, "hello", callback=TARGET)
    sandbox.batches.delete(id_)
    engine.dispatcher = CallbackDispatcher(engine, make_settings())

    sandbox.clock.advance(60)
    ask(engine, "GET", "/ai/devices")

    assert sandbox.outbox is not None
    (refused,) = sandbox.outbox.every()
    assert (refused.state, refused.attempts[0].error) == ("refused", "the batch is gone")
