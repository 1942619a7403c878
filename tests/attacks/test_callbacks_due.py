"""Many callbacks that are due at once: an event loop claims a few, the lane of the sandbox more, in order and once."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import ask, make_client, make_engine, make_settings, queue
from receiver import PATIENCE, join_deliveries, receiving

from mockserver.engine.engine import Engine
from mockserver.sandbox.batches import BATCH_WEIGHT, LOOP_WEIGHT
from mockserver.sandbox.callbacks import Callback, Outbox
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.retry import retried
from mockserver.web.callbacks.dispatcher import CallbackDispatcher

SIZE = 200
ENOUGH = LOOP_WEIGHT // (BATCH_WEIGHT + SIZE) + 1
"""Callbacks of batches with SIZE prompts of which an event loop claims no more."""


def make_dispatching_engine(**settings: Any) -> Engine:
    engine = make_engine(clock="frozen", progression="time:2", **settings)
    engine.dispatcher = CallbackDispatcher(engine, make_settings(**settings))
    return engine


def make_due_engine(batches: int) -> tuple[Engine, list[str]]:
    """An engine whose sandbox `test` has callbacks that have just become due, and their ids in due order."""
    engine = make_dispatching_engine(callbacks="inbox")
    ids = [queue(engine, *["hello"] * SIZE, callback="http://127.0.0.1:1/") for _ in range(batches)]
    engine.sandboxes.open("test").clock.advance(3600)
    return engine, ids


def settle_on_a_loop(engine: Engine, then: Callable[[Outbox], Any]) -> Any:
    """What is true after an event loop has settled the sandbox, within the same transaction."""
    sandbox = engine.sandboxes.open("test")

    async def settle() -> Any:
        with sandbox.transaction:
            engine.settle(sandbox)
            return then(sandbox.open_outbox())

    return asyncio.run(settle())


def wait_for_lane(engine: Engine) -> None:
    engine.workers.submit("test", lambda: None).result(PATIENCE)


def test_many_due_callbacks_are_claimed_in_the_lane_of_their_sandbox_in_due_order() -> None:
    engine, ids = make_due_engine(ENOUGH + 3)

    assert settle_on_a_loop(engine, lambda outbox: outbox.counts()) == (len(ids), 0)

    wait_for_lane(engine)
    claimed = engine.sandboxes.open("test").open_outbox().claimed
    assert list(claimed) == ids
    assert {(str(each.state), orjson.loads(each.payload)["successful"]) for each in claimed.values()} == {
        ("kept", SIZE)
    }


def test_many_due_callbacks_of_a_shared_store_are_sent_once_and_in_order(tmp_path: Path) -> None:
    engines = [make_dispatching_engine(store=f"sqlite://{tmp_path}/shared.db") for _ in range(2)]
    with receiving() as receiver:
        ids = [queue(engines[0], *["hello"] * SIZE, callback=receiver.url) for _ in range(ENOUGH + 3)]
        engines[0].sandboxes.open("test").clock.advance(3600)

        for engine in engines:
            retried(partial(settle_on_a_loop, engine, lambda _: None))  # the other engine's lane changes the sandbox

        assert [receiver.wait().value["id"] for _ in ids] == ids
        join_deliveries()
        for engine in engines:
            wait_for_lane(engine)
        assert receiver.is_left_alone()
        assert {str(each.state) for each in retried(partial(stored_callbacks, engines[1]))} == {"delivered"}
    for engine in engines:
        engine.sandboxes.close()


def stored_callbacks(engine: Engine) -> list[Callback]:
    sandbox = engine.sandboxes.open("test")
    with sandbox.transaction:
        return sandbox.open_outbox().every()


def test_a_few_due_callbacks_are_claimed_on_the_event_loop() -> None:
    engine, ids = make_due_engine(ENOUGH - 1)

    assert settle_on_a_loop(engine, lambda outbox: list(outbox.claimed)) == ids
    assert engine.workers.lanes == {}


def test_callbacks_that_are_not_due_yet_do_not_count() -> None:
    engine, ids = make_due_engine(1)
    for _ in range(ENOUGH + 3):
        queue(engine, *["hello"] * SIZE, callback="http://127.0.0.1:1/")

    assert settle_on_a_loop(engine, lambda outbox: list(outbox.claimed)) == ids


def test_the_next_request_after_an_advance_finds_all_callbacks_claimed() -> None:
    with make_client(clock="frozen", progression="time:60", callbacks="inbox") as client:
        body = {"prompts": ["hello"] * SIZE, "callback": "http://127.0.0.1:1/"}
        headers = {"Authorization": "Bearer test"}
        ids = [client.post("/ai/batches", json=body, headers=headers).json()["id"] for _ in range(ENOUGH + 3)]

        client.post("/__admin/clock/advance", json={"hours": 1}, headers=headers).raise_for_status()

        listed = client.get("/__admin/callbacks", params={"limit": 1000}, headers=headers).json()["callbacks"]
        assert sorted((each["id"], each["state"]) for each in listed) == sorted((id_, "kept") for id_ in ids)


@pytest.mark.parametrize("most", [1, 5, 100])
def test_no_more_due_callbacks_are_looked_for_than_asked(most: int) -> None:
    outbox = Outbox(Callback(str(n), n, "", "", "", due=(n * 7) % 50) for n in range(50))

    found = outbox.find_due(9, most)

    assert len(found) == min(most, 10)
    assert set(found) <= {str(n) for n in range(50) if (n * 7) % 50 <= 9}


def test_a_due_callback_without_its_batch_is_refused_on_an_event_loop() -> None:
    engine, ids = make_due_engine(2)
    sandbox: Sandbox = engine.sandboxes.open("test")
    sandbox.batches.delete(ids[0])

    states = settle_on_a_loop(engine, lambda outbox: [str(each.state) for each in outbox.every()])

    assert states == ["refused", "kept"]
    assert ask(engine, "GET", "/user").status == 200
