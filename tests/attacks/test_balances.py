"""Many batches that are to be charged for at once: an event loop counts a few of them, a thread the rest."""

import asyncio

import pytest
from builders import ask, make_engine, queue, value_of

from mockserver.engine.engine import Engine
from mockserver.errors import NeedsThread
from mockserver.sandbox.accounts import DEFAULT_CREDITS
from mockserver.sandbox.batches import BATCH_WEIGHT, LOOP_WEIGHT
from mockserver.sandbox.clock import LATEST
from mockserver.web.admin.views import iso_instant

SIZE, PRICE = 200, 5
ENOUGH = LOOP_WEIGHT // (BATCH_WEIGHT + SIZE) + 1
"""Batches of SIZE prompts of which an event loop counts no more."""


def make_busy_engine(batches: int) -> Engine:
    """An engine whose sandbox `test` has batches that have just ended."""
    engine = make_engine(clock="frozen", progression="time:2")
    for _ in range(batches):
        queue(engine, *["[mock:slow=1s] hello"] * SIZE)
    engine.sandboxes.open("test").clock.advance(3600)
    return engine


async def ask_on_a_loop(engine: Engine) -> int:
    """The balance, asked for on an event loop; raises NeedsThread."""
    return int(value_of(ask(engine, "GET", "/user"))[0]["credits"])


def test_a_balance_after_many_batches_is_computed_in_a_thread() -> None:
    engine = make_busy_engine(ENOUGH + 3)

    with pytest.raises(NeedsThread):
        asyncio.run(ask_on_a_loop(engine))

    assert value_of(ask(engine, "GET", "/user"))[0]["credits"] == DEFAULT_CREDITS - (ENOUGH + 3) * SIZE * PRICE


def test_a_balance_after_a_few_batches_is_computed_on_the_event_loop() -> None:
    engine = make_busy_engine(ENOUGH - 1)

    credits = asyncio.run(ask_on_a_loop(engine))

    assert credits == DEFAULT_CREDITS - (ENOUGH - 1) * SIZE * PRICE


def test_an_instant_after_the_year_9999_is_shown_as_its_end() -> None:
    assert iso_instant(LATEST + 5) == iso_instant(LATEST) == "9999-12-31T23:59:59.000000Z"
