"""Lists of prompt templates and of their versions, which have no pages: an event loop makes short ones only."""

import asyncio

import pytest
from builders import ask, make_engine, value_of

from mockserver.engine.engine import Engine
from mockserver.errors import NeedsThread
from mockserver.http import Response
from mockserver.sandbox.batches import BATCH_WEIGHT, LOOP_WEIGHT

ENOUGH = LOOP_WEIGHT // BATCH_WEIGHT
PROMPTS = "/api/v1/prompts"


def ask_on_a_loop(engine: Engine, path: str) -> Response:
    """The response that an event loop makes; raises NeedsThread."""

    async def asked() -> Response:
        return ask(engine, "GET", path)

    return asyncio.run(asked())


def test_many_prompts_are_listed_in_a_thread() -> None:
    engine = make_engine()
    few = value_of(ask_on_a_loop(engine, PROMPTS))["count"]

    for n in range(ENOUGH + 1 - few):
        assert ask(engine, "POST", PROMPTS, json={"slug": f"p{n}", "template": "hello"}).status < 300

    with pytest.raises(NeedsThread):
        ask_on_a_loop(engine, PROMPTS)
    assert value_of(ask(engine, "GET", PROMPTS))["count"] == ENOUGH + 1


def test_a_few_versions_with_long_templates_are_listed_in_a_thread() -> None:
    engine = make_engine()
    ask(engine, "POST", PROMPTS, json={"slug": "long", "template": "x"})
    versions = f"{PROMPTS}/long/versions"
    assert ask_on_a_loop(engine, versions).status == 200

    for _ in range(21):
        assert ask(engine, "POST", versions, json={"template": "x" * 990_000}).status < 300

    with pytest.raises(NeedsThread):
        ask_on_a_loop(engine, versions)
    assert value_of(ask(engine, "GET", versions))["count"] == 22
