"""Agent First beyond its case files: rules that hold for every value, and how refusals are worded."""

import tracemalloc
import zipfile
from io import BytesIO
from typing import Any

import pytest
from builders import ask, bytes_of, make_engine, queue, value_of, violations_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.errors import Violation
from mockserver.providers.agentfirst.errors import phrase
from mockserver.providers.agentfirst.operations import PRICE, api
from mockserver.providers.agentfirst.statuses import LIFECYCLE, Status

ENGINE = make_engine()
OUTCOMES = ["fine", "[mock:fail]", "[mock:slow=3s]", "[mock:fail=429][mock:slow=1500ms]"]


def status_of(engine: Engine, id_: str, token: str = "test") -> dict[str, Any]:
    shown: dict[str, Any] = value_of(ask(engine, "GET", "/ai/batches", query={"id": id_}, token=token))
    return shown


def lines_of(engine: Engine, id_: str) -> list[bytes]:
    path = status_of(engine, id_)["url"].partition(":4024")[2]
    return bytes_of(ask(engine, "GET", path, query={"format": "ndjson"}, token=None)).splitlines()


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=12),
    st.sampled_from(["immediate", "time:10", "time:0", "polls:1", "polls:4"]),
    st.lists(st.floats(0, 6), min_size=8, max_size=8),
)
def test_a_batch_status_never_goes_back_and_its_counters_add_up(
    prompts: list[str], how: str, steps: list[float]
) -> None:
    engine = make_engine(progression=how)
    id_ = queue(engine, *prompts)
    before: dict[str, Any] = {"status": "retrieving", "successful": 0, "failed": 0}
    clock = engine.sandboxes.open("test").clock

    for step in (*steps, 100):
        clock.advance(step)
        shown = status_of(engine, id_)
        assert LIFECYCLE.allows(Status(before["status"]), Status(shown["status"]))
        assert shown["successful"] >= before["successful"]
        assert shown["failed"] >= before["failed"]
        assert shown["successful"] + shown["failed"] <= shown["count"] == len(prompts)
        assert (shown["url"] is not None) == (shown["status"] == "successful")
        before = shown

    failures = sum("fail" in prompt for prompt in prompts)
    assert (before["failed"], before["successful"]) == (failures, len(prompts) - failures)
    assert before["status"] == ("failed" if failures == len(prompts) else "successful")
    sandbox = engine.sandboxes.open("test")
    account = engine.find_account(sandbox, "test")
    assert account is not None
    assert sandbox.accounts.balance(account, clock.now()) == 10**9 - PRICE * before["successful"]


def test_an_id_may_be_written_in_upper_case() -> None:
    engine = make_engine()
    id_ = queue(engine, "upper case")

    assert status_of(engine, id_.upper())["id"] == id_


@pytest.mark.parametrize("size", [0, 2047, 2048])
@pytest.mark.parametrize("character", ["a", "é", "🎸", "\u0301"])
def test_prompt_lengths_are_counted_in_code_points(size: int, character: str) -> None:
    response = ask(ENGINE, "POST", "/ai/batches", json={"prompts": [character * size]})

    assert (response.status == 202) is (size == 2047)


@settings(max_examples=60)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_body_gets_a_documented_answer(body: bytes) -> None:
    response = ask(ENGINE, "POST", "/ai/batches", body=body, headers={"content-type": "application/json"})

    assert response.status in {202, 422}
    assert response.media_type == ("application/json" if response.status == 202 else "text/plain")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["model", "device", "country", "subdivision", "city", "language", "display (planned)", "format", "expiration"]


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from([*FIELDS, "prompts", "callback"]), JSON))
def test_any_fields_get_a_documented_answer_in_one_line(fields: dict[str, Any]) -> None:
    response = ask(ENGINE, "POST", "/ai/batches", json={"prompts": ["hello"]} | fields)

    assert response.status in {202, 422}
    if response.status == 422:
        text = bytes_of(response).decode()
        assert "\n" not in text
        assert "{" not in text
        assert text[0].isupper()
        assert violations_of(response)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from([*FIELDS, "prompt", "mode", "id"]), st.text(max_size=20)))
def test_any_arguments_get_a_documented_answer(arguments: dict[str, str]) -> None:
    response = ask(ENGINE, "GET", "/ai", query=arguments)

    assert response.status in {200, 202, 422}


def test_every_possible_violation_has_a_message() -> None:
    assert phrase(Violation(("query", "x"), "maxItems", "", {"maxItems": 3})) == "X must number between 0 and 3"
    assert phrase(Violation(("query", "x"), "minItems", "", {"minItems": 2})) == "X must number at least 2"
    assert phrase(Violation(("query", "x"), "minimum", "", {"minimum": 2})) == "X must be at least 2"
    assert phrase(Violation(("query", "x"), "maximum", "", {"maximum": 2})) == "X must be at most 2"
    assert phrase(Violation(("query", "x"), "type", "", {"type": ["number", "boolean", "null"]})) == (
        "X must be a number or true or false"
    )
    assert phrase(Violation(("query", "x"), "unheard-of", "")) == "X must be valid"
    assert phrase(Violation(("query", "x"), "format", "", {"format": "ipv4"})) == "X must be valid"
    assert phrase(Violation(("query", "x"), "pattern", "", {"pattern": "a"})) == "X must be valid"
    assert phrase(Violation(("body",), "required", "", {"required": ["a", "b"]})) == "A and B must be provided"
    assert phrase(Violation(("body", "language (planned)"), "format", "", {"format": "language"})) == (
        "Language must be the name or two-letter ISO 639-1 code of a language"
    )


def test_every_handler_and_check_belongs_to_an_operation_of_the_tag() -> None:
    keys = {service.operation.key for service in ENGINE.services if service.operation.tag == api.tag}

    assert api.handlers.keys() | api.checkers.keys() | api.exclusive_parameters.keys() <= keys


# Time and the cache.


def test_without_the_cache_every_prompt_gets_a_new_completion() -> None:
    engine = make_engine()
    batches = [queue(engine, "zebras", "zebras", expiration=0) for _ in range(2)]

    answers = [line for id_ in batches for line in lines_of(engine, id_)]

    assert len(set(answers)) == 4
    assert [line for id_ in batches for line in lines_of(engine, id_)] == answers


def test_with_the_cache_the_same_prompt_has_the_same_completion_within_a_day() -> None:
    engine = make_engine()
    clock = engine.sandboxes.open("test").clock
    first = queue(engine, "zebras", "zebras")
    clock.advance(86_399)
    same = queue(engine, "zebras")
    clock.advance(1)
    anew = queue(engine, "zebras")

    answers = [lines_of(engine, id_) for id_ in (first, same, anew)]

    assert answers[0] == answers[1] * 2
    assert answers[2] != answers[1]
    assert [lines_of(engine, id_) for id_ in (first, same, anew)] == answers


def test_another_model_or_targeting_gets_another_completion() -> None:
    engine = make_engine()
    asked = [{}, {"model": "gemini"}, {"country": "no"}, {"language": "de"}]

    answers = [value_of(ask(engine, "GET", "/ai", query={"prompt": "zebras"} | each)) for each in asked]

    assert len({each["completionHtml"].partition("said")[2] for each in answers}) == 4


def test_a_slow_live_response_is_delayed_according_to_the_sandbox_clock() -> None:
    slow = {"prompt": "[mock:slow=30s]"}
    flowing, frozen, scaled = make_engine(clock="flowing"), make_engine(), make_engine(clock="flowing")
    scaled.sandboxes.open("test").clock.scale_by(3600)

    delays = [ask(engine, "GET", "/ai", query=slow).delay for engine in (flowing, frozen, scaled)]

    assert delays == [30, 0, 30 / 3600]


def test_an_archive_always_has_the_same_bytes() -> None:
    engine = make_engine(page_weight="realistic")
    id_ = queue(engine, "one", "two [mock:fail]", "three", format="rendered")
    path = status_of(engine, id_)["url"].partition(":4024")[2]

    first = bytes_of(ask(engine, "GET", path))
    engine.sandboxes.open("test").clock.advance(400 * 86_400)

    assert bytes_of(ask(engine, "GET", path)) == first
    assert zipfile.ZipFile(BytesIO(first)).namelist() == ["0001.html", "0002.json", "0003.html"]


@pytest.mark.parametrize("fields", [{}, {"expiration": 0}, {"format": "rendered"}])
def test_an_archive_of_many_prompts_has_the_answer_to_each_in_order(fields: dict[str, Any]) -> None:
    engine = make_engine()
    prompts = [f"{n} stones" for n in range(120)]

    lines = lines_of(engine, queue(engine, *prompts, **fields))

    assert len(lines) == len(prompts)
    assert [prompt.encode() in line for prompt, line in zip(prompts, lines, strict=True)] == [True] * len(prompts)


@pytest.mark.parametrize("query", [{}, {"format": "ndjson"}])
def test_an_archive_that_is_not_read_keeps_few_of_its_prompts(query: dict[str, str]) -> None:
    engine = make_engine()
    id_ = queue(engine, *(f"{n} {'x' * 2_000}" for n in range(1_000)))
    path = status_of(engine, id_)["url"].partition(":4024")[2]
    next(iter(ask(engine, "GET", path, query=query, token=None).body))  # what is made once
    tracemalloc.start()
    try:
        pieces = iter(ask(engine, "GET", path, query=query, token=None).body)
        next(pieces)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 768 * 1024


def test_an_archive_is_found_with_the_key_of_its_sandbox_only() -> None:
    engine = make_engine()
    id_ = queue(engine, "hello", token="a")
    other = queue(engine, "hello", token="b")
    key = status_of(engine, other, token="b")["url"].split("/")[-2]

    assert ask(engine, "GET", f"/ai/archives/{key}/{other}", token=None).status == 200
    assert ask(engine, "GET", f"/ai/archives/{key}/{id_}", token="a").status == 404


def test_an_archive_id_may_be_written_in_upper_case() -> None:
    engine = make_engine()
    id_ = queue(engine, "hello")
    key = status_of(engine, id_)["url"].split("/")[-2]

    assert ask(engine, "GET", f"/ai/archives/{key}/{id_.upper()}").status == 200


def test_of_a_thousand_prompts_the_names_stay_in_order() -> None:
    engine = make_engine()
    id_ = queue(engine, *(f"prompt {n}" for n in range(1000)))
    path = status_of(engine, id_)["url"].partition(":4024")[2]

    names = zipfile.ZipFile(BytesIO(bytes_of(ask(engine, "GET", path)))).namelist()

    assert names == sorted(names)
    assert (names[0], names[-1]) == ("0001.json", "1000.json")
