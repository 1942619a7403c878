"""Many batches before a question in an old sandbox: an event loop reads a few for its version, a thread the rest."""

import asyncio
from typing import Any

import pytest
from builders import ask, make_engine, queue, value_of

from mockserver.engine.engine import Engine
from mockserver.errors import NeedsThread
from mockserver.http import Response
from mockserver.sandbox.batches import BATCH_WEIGHT, LOOP_WEIGHT
from mockserver.sandbox.clock import DAY

SIZE = 200
ENOUGH = LOOP_WEIGHT // (BATCH_WEIGHT + SIZE) + 1
"""Batches of SIZE prompts of which an event loop reads no more."""
QUERY = {"prompt": "hello"}


def make_old_engine(batches: int) -> Engine:
    """An engine whose sandbox `test` has batches, and is older than a day."""
    engine = make_engine(clock="frozen", progression="time:2")
    for n in range(batches):
        queue(engine, *(f"{n} {each}" for each in range(SIZE)))
    engine.sandboxes.open("test").clock.advance(2 * DAY)
    return engine


def ask_on_a_loop(engine: Engine, query: dict[str, Any]) -> Response:
    """The response to GET /ai that an event loop makes; raises NeedsThread."""

    async def asked() -> Response:
        return ask(engine, "GET", "/ai", query=query)

    return asyncio.run(asked())


def batches_of(engine: Engine) -> list[tuple[str, int]]:
    return [(each.id, len(each.reads)) for each in engine.sandboxes.open("test").batches.scan()]


def test_a_question_after_many_batches_is_answered_in_a_thread_as_if_it_was_asked_once() -> None:
    engine, other = make_old_engine(ENOUGH + 3), make_old_engine(ENOUGH + 3)
    before = batches_of(engine)

    with pytest.raises(NeedsThread):
        ask_on_a_loop(engine, QUERY)

    assert batches_of(engine) == before
    assert ask(engine, "GET", "/ai", query=QUERY) == ask(other, "GET", "/ai", query=QUERY)
    assert batches_of(engine) == batches_of(other)
    assert len(batches_of(engine)) == len(before) + 1


def test_a_question_after_a_few_batches_is_answered_on_the_event_loop() -> None:
    engine = make_old_engine(ENOUGH - 1)

    assert ask_on_a_loop(engine, QUERY).status == 200


def test_a_poll_of_a_conversation_that_needs_a_thread_does_not_count() -> None:
    engine = make_old_engine(0)
    engine.sandboxes.open("test").progression = engine.sandboxes.open("test").progression._replace(
        kind="polls", amount=2
    )
    id_ = value_of(ask(engine, "GET", "/ai", query={**QUERY, "mode": "async"}))["id"]
    for n in range(ENOUGH + 3):
        queue(engine, *(f"{n} {each}" for each in range(SIZE)))

    with pytest.raises(NeedsThread):
        ask_on_a_loop(engine, {"id": id_})

    assert dict(batches_of(engine))[id_] == 0
    assert [ask(engine, "GET", "/ai", query={"id": id_}).status for _ in range(2)] == [202, 200]
