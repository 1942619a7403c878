"""Agent First's batches as the admin API reads them: facts, timeline and prompts at an instant."""

import json
from typing import Any

import pytest
from builders import ask, make_engine, queue, value_of

from mockserver.api.batch_reads import BatchFacts, BatchItem, Milestone
from mockserver.api.call import ApiContext
from mockserver.api.client_rules import BatchState
from mockserver.engine.engine import Engine
from mockserver.http import Request
from mockserver.providers.agentfirst.batch_reads import BATCH_READS
from mockserver.providers.agentfirst.client_rules import CLIENT_RULES, batch_state, prompts
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.conditions import read_conditions
from mockserver.sandbox.sandbox import Sandbox

THREE = ("one", "two [mock:fail=429]", "three")


def open_box(**settings: Any) -> tuple[Engine, Sandbox]:
    engine = make_engine(**settings)
    return engine, engine.sandboxes.open("test")


def context_of(engine: Engine) -> ApiContext:
    return next(each.world for each in engine.services if each.provider and each.provider.name == "agentfirst")


def read(engine: Engine, box: Sandbox, id_: str) -> BatchFacts:
    facts = BATCH_READS.read(context_of(engine), box, id_, box.clock.now())
    assert facts is not None
    return facts


def items(engine: Engine, box: Sandbox, id_: str, start: int = 0) -> list[BatchItem]:
    return list(BATCH_READS.items(context_of(engine), box, id_, box.clock.now(), start))


def test_the_latest_batches_come_first_with_their_creation_time() -> None:
    engine, box = open_box()
    first = queue(engine, "one")
    box.clock.advance(5)
    second = queue(engine, "two")

    now = box.clock.now()
    assert list(BATCH_READS.latest(box)) == [(now, second), (now - 5, first)]


def test_a_batch_is_read_while_it_runs_and_at_its_end() -> None:
    engine, box = open_box(progression="time:100")
    id_ = queue(engine, *THREE)
    created = box.clock.now()

    new = read(engine, box, id_)
    box.clock.advance(80)
    archiving = read(engine, box, id_)
    box.clock.advance(20)
    ended = read(engine, box, id_)

    ends = [Milestone("last item", created + 80), Milestone("finished", created + 100)]
    assert new == BatchFacts(
        id_,
        "batch",
        new.account,
        "retrieving",
        False,
        Progression("time", 100.0),
        3,
        0,
        0,
        (Milestone("created", created), *ends),
    )
    assert (archiving.status, archiving.is_over, archiving.archive) == ("archiving", False, "")
    assert ended == new._replace(
        status="successful", is_over=True, successful=2, failed=1, archive=f"/ai/archives/{box.key}/{id_}"
    )


def test_a_conversation_has_no_archive() -> None:
    engine, box = open_box()
    id_ = value_of(ask(engine, "GET", "/ai", query={"prompt": "one", "mode": "async"}))["id"]

    facts = read(engine, box, id_)

    assert (facts.kind, facts.status, facts.archive, facts.total) == ("conversation", "successful", "", 1)


def test_a_batch_of_failures_has_failed_and_has_no_archive() -> None:
    engine, box = open_box()

    facts = read(engine, box, queue(engine, "[mock:fail]"))

    assert (facts.status, facts.is_over, facts.failed, facts.archive) == ("failed", True, 1, "")


def test_the_end_of_a_polled_batch_is_unknown() -> None:
    engine, box = open_box(progression="polls:3")
    id_ = queue(engine, "one")

    facts = read(engine, box, id_)

    assert [(each.name, each.at is None) for each in facts.timeline] == [
        ("created", False),
        ("last item", True),
        ("finished", True),
    ]
    assert items(engine, box, id_) == [BatchItem(0, "", "one", "pending")]


def test_prompts_end_one_after_the_other_with_their_answers() -> None:
    engine, box = open_box(progression="time:100")
    id_ = queue(engine, *THREE)
    created = box.clock.now()
    box.clock.advance(60)

    one, two, three = items(engine, box, id_)

    assert [each.position for each in (one, two, three)] == [0, 1, 2]
    assert [each.input for each in (one, two, three)] == list(THREE)
    assert [each.outcome for each in (one, two, three)] == ["successful", "failed", "pending"]
    assert [round((each.at or 0) - created, 1) for each in (one, two, three)] == [26.7, 53.3, 80.0]
    assert json.loads(one.output)["prompt"] == "one"
    assert one.page == json.loads(one.output)["html"]
    assert (two.output, two.page) == ('{"status":429}', "")
    assert (three.output, three.page) == ("", "")


def test_a_prompt_that_ends_now_has_ended() -> None:
    engine, box = open_box(progression="time:100")
    id_ = queue(engine, "one")
    box.clock.advance(80)

    assert [each.outcome for each in items(engine, box, id_)] == ["successful"]


def test_reading_starts_at_a_position() -> None:
    engine, box = open_box()
    id_ = queue(engine, *THREE)

    assert [each.position for each in items(engine, box, id_, 1)] == [1, 2]
    assert items(engine, box, id_, 3) == []


def test_an_unknown_batch_has_no_facts_and_no_prompts() -> None:
    engine, box = open_box()

    assert BATCH_READS.read(context_of(engine), box, "none", 0.0) is None
    assert items(engine, box, "none") == []
    assert (BATCH_READS.cancel, BATCH_READS.file) == (None, None)


def test_the_weight_of_pages_is_that_of_the_sandbox() -> None:
    engine, box = open_box()
    id_ = queue(engine, "one")
    light = len(items(engine, box, id_)[0].page)

    box.conditions = read_conditions({"page_weight": "realistic"})

    assert light < 20_000
    assert len(items(engine, box, id_)[0].page) > 200_000


def test_the_state_of_a_batch_says_whether_it_is_over_and_what_has_failed() -> None:
    engine, box = open_box(progression="time:100")
    id_ = queue(engine, *THREE)
    now = box.clock.now()

    assert batch_state(box, "none", now) is None
    assert batch_state(box, id_, now) == BatchState(Progression("time", 100.0), False, 0)
    assert batch_state(box, id_.upper(), now + 99.9) == BatchState(Progression("time", 100.0), False, 1)
    assert batch_state(box, id_, now + 100) == BatchState(Progression("time", 100.0), True, 1)


@pytest.mark.parametrize(
    ("operation", "request_", "found"),
    [
        ("queueBatch", Request("POST", "/ai/batches", body=b'{"prompts": ["a", 5, "b"]}'), ["a", "b"]),
        ("queueBatch", Request("POST", "/ai/batches", body=b'{"prompts": "a"}'), []),
        ("queueBatch", Request("POST", "/ai/batches", body=b"[1]"), []),
        ("queueBatch", Request("POST", "/ai/batches", body=b"{"), []),
        ("askModel", Request("GET", "/ai", "prompt=a+b&model=gemini"), ["a b"]),
        ("askModel", Request("GET", "/ai", "prompt=a&id=5"), []),
        ("askModel", Request("GET", "/ai", "id=5"), []),
        ("getUser", Request("GET", "/user", "prompt=a"), []),
    ],
)
def test_the_prompts_of_a_request_are_found(operation: str, request_: Request, found: list[str]) -> None:
    assert [each.text for each in prompts(operation, request_)] == found


@pytest.mark.parametrize(
    ("body", "model", "country"),
    [
        (b'{"prompts": ["a"]}', "chatgpt", None),
        (b'{"prompts": ["a"], "model": "", "country": 5}', "chatgpt", None),
        (b'{"prompts": ["a"], "model": 5, "country": "de"}', "chatgpt", "de"),
        (b'{"prompts": ["a"], "model": "gemini"}', "gemini", None),
    ],
)
def test_a_prompt_has_its_model_and_country(body: bytes, model: str, country: str | None) -> None:
    [found] = prompts("queueBatch", Request("POST", "/ai/batches", body=body))

    assert found == ("a", model, country)


def test_the_rules_of_clients_name_the_documented_operations() -> None:
    batches, conversations = CLIENT_RULES

    assert (batches.create, batches.status, batches.id) == ("queueBatch", ("getBatchStatus",), ("query", "id"))
    assert (sorted(batches.ends), sorted(batches.unfinished_ends)) == (["failed", "successful"], ["failed"])
    assert (batches.failed, batches.download, batches.patience) == (("failed",), "getArchive", {})
    assert (conversations.create, conversations.status) == ("askModel", ("getCompletion", "askModel"))
    assert (list(conversations.ends), list(conversations.unfinished_ends)) == (["failed"], ["failed"])
    assert conversations.patience == {403: 2}
    assert [each.poll_seconds for each in CLIENT_RULES] == [1.0, 1.0]
