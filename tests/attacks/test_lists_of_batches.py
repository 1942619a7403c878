"""What looks at all items of a large batch or of many batches: an event loop does little of it."""

import asyncio
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import pytest
from builders import ask, make_client, make_engine, queue, value_of

from mockserver.engine.engine import Engine
from mockserver.errors import NeedsThread
from mockserver.http import Response
from mockserver.sandbox.accounts import Accounts
from mockserver.sandbox.batches import BATCH_WEIGHT, BYTES_PER_ITEM, LOOP_WEIGHT

SIZE = 200
ENOUGH = LOOP_WEIGHT // (BATCH_WEIGHT + SIZE) + 1
"""Batches of SIZE prompts of which an event loop looks at no more."""


def make_busy_engine(batches: int) -> Engine:
    engine = make_engine(clock="frozen", progression="immediate")
    for _ in range(batches):
        queue(engine, *["[mock:fail] hello"] * SIZE)
    return engine


def charges_on_a_loop(engine: Engine) -> list[Any]:
    """The beginning of the ledger, made on an event loop; raises NeedsThread."""
    sandbox = engine.sandboxes.open("test")
    accounts: Accounts = sandbox.accounts

    async def made() -> list[Any]:
        return list(islice(accounts.ledger(accounts.every()[0], sandbox.clock.now()), 10))

    return asyncio.run(made())


def test_a_ledger_of_many_batches_is_made_in_a_thread() -> None:
    with pytest.raises(NeedsThread):
        charges_on_a_loop(make_busy_engine(ENOUGH))


def test_a_ledger_of_a_few_batches_is_made_on_the_event_loop() -> None:
    assert [each.entry for each in charges_on_a_loop(make_busy_engine(ENOUGH - 1))] == ["opened"]


def test_a_batch_of_many_megabytes_is_read_in_a_thread_for_its_status_and_its_archive() -> None:
    engine = make_engine(clock="frozen", progression="polls:2")
    body = b'{"prompts": ["hello"]' + b" " * (LOOP_WEIGHT * BYTES_PER_ITEM) + b"}"
    queued = ask(engine, "POST", "/ai/batches", body=body, headers={"content-type": "application/json"})
    id_ = value_of(queued)["id"]

    def ask_on_a_loop(path: str, **query: str) -> Response:
        async def asked() -> Response:
            return ask(engine, "GET", path, query=query)

        return asyncio.run(asked())

    with pytest.raises(NeedsThread):
        ask_on_a_loop("/ai/batches", id=id_)
    seen = [value_of(ask(engine, "GET", "/ai/batches", query={"id": id_})) for _ in range(2)]
    assert [each["status"] for each in seen] == ["archiving", "successful"]
    assert value_of(ask_on_a_loop("/ai/batches", id=id_)) == seen[1]
    with pytest.raises(NeedsThread):
        ask_on_a_loop(urlsplit(seen[1]["url"]).path)
    assert ask(engine, "GET", urlsplit(seen[1]["url"]).path).status == 200


@pytest.mark.parametrize("batches", [ENOUGH - 1, ENOUGH + 1])
def test_lists_and_ledgers_of_many_batches_are_complete(batches: int) -> None:
    with make_client(clock="frozen", progression="immediate") as client:
        prompts = ["[mock:fail] a", *["b"] * (SIZE - 1)]
        ids = [client.post("/ai/batches", json={"prompts": prompts}).json()["id"] for _ in range(batches)]

        listed = client.get("/__admin/batches", params={"limit": 1000}).json()["batches"]
        ledger = client.get("/__admin/accounts/test/ledger", params={"limit": 1000}).json()

        assert [each["id"] for each in listed] == ids
        assert {(each["status"], each["successful"], each["failed"]) for each in listed} == {
            ("successful", SIZE - 1, 1)
        }
        assert ledger["credits"] == 1_000_000_000 - batches * (SIZE - 1) * 5
        assert len(ledger["entries"]) == 1000
