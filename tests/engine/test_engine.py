"""One request, start to finish: violations, answers without code, strict replies, and what never changes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import (
    ask,
    bytes_of,
    make_document,
    make_engine,
    make_operation,
    make_request,
    queue,
    value_of,
    violations_of,
    write_json,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.errors import Violation
from mockserver.http import Response
from mockserver.openapi.responses import violation_json, violations_text
from mockserver.openapi.router import allowed_methods

STEPS = st.text(max_size=40) | st.integers(0, 10**6)
VIOLATIONS = st.builds(
    lambda location, code, message: Violation(tuple(location), code, message),
    st.lists(STEPS, max_size=4),
    st.text(max_size=20),
    st.text(max_size=2000),
)


@given(st.lists(VIOLATIONS, max_size=40))
def test_violations_are_valid_json_in_ascii_of_bounded_length_cut_between_items(violations: list[Violation]) -> None:
    text = violations_text(violations)

    assert len(text) <= 4096
    assert text.isascii()
    assert text.isprintable()
    kept = json.loads(text)
    whole = [json.loads(json.dumps(violation_json(each))) for each in violations]
    assert kept == whole[: len(kept)]


def test_the_violations_header_holds_as_many_as_fit() -> None:
    one = Violation(("body",), "type", "x" * 100)
    length = len(json.dumps(violation_json(one), separators=(",", ":")))

    kept = json.loads(violations_text([one] * 100))

    assert len(kept) == (4096 - 1) // (length + 1)


def test_a_long_name_leaves_room_for_its_violation() -> None:
    response = ask(make_engine(strict=True), "GET", "/ai/devices", query={"x" * 6000: "1"})

    assert [each["code"] for each in violations_of(response)] == ["unknown"]


def test_a_thousand_bad_prompts_make_a_header_that_can_be_read() -> None:
    response = ask(make_engine(), "POST", "/ai/batches", json={"prompts": [1] * 1000, "model": "x"})

    assert response.status == 422
    assert len(violations_of(response)) > 10


def test_an_undocumented_response_is_an_error_in_strict_mode_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for strict, status in ((False, 200), (True, 500)):
        engine = make_engine(strict=strict)
        (service,) = (each for each in engine.services if each.operation.key == "getUser")
        broken = service._replace(handler=lambda call: call.reply([{"email": "nobody", "credits": "much"}]))
        monkeypatch.setitem(engine._by_operation, service.operation, broken)

        response = ask(engine, "GET", "/user")

        assert response.status == status
    assert value_of(response)["title"] == "Undocumented Reply"
    assert "getUser may not be answered like this" in value_of(response)["detail"]


@pytest.mark.parametrize("version", ["2026-04", "2026-07"])
@pytest.mark.parametrize("weight", ["light", "realistic"])
def test_responses_fit_the_document(version: str, weight: str) -> None:
    engine = make_engine(strict=True, agentfirst_version=version, page_weight=weight)
    id_ = queue(engine, "hello", "[mock:fail]")

    for path, query in (
        ("/ai/batches", {"id": id_}),
        ("/ai", {"prompt": "hello", "model": "perplexity", "country": "us", "device": "Pixel 7"}),
        ("/ai", {"prompt": "hello", "format": "rendered"}),
        ("/ai/devices", {}),
        ("/user", {}),
    ):
        assert ask(engine, "GET", path, query=query).status == 200


# Another document beside ours.


@pytest.fixture
def other(tmp_path: Path) -> Engine:
    """An engine with a document of four operations: a fixture, an example, a schema, and nothing to say."""
    person = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    paths: dict[str, Any] = {
        "/canned": {"get": make_operation("canned", example={"says": "example"})},
        "/example": {"get": make_operation("example", example={"says": "example"})},
        "/schema": {
            "get": make_operation("schema", schema=person),
            "post": {
                **make_operation("create", status="201", schema=person),
                "requestBody": {"required": True, "content": {"application/json": {"schema": person}}},
            },
        },
        "/nothing/{id}": {
            "delete": {
                "operationId": "nothing",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}],
                "responses": {"204": {"description": "Gone."}},
            }
        },
    }
    folder = tmp_path / "fixtures"
    write_json(folder / "all.json", {"responses": {"canned": [{"body": {"says": "fixture"}, "status": 200}]}})
    spec = write_json(tmp_path / "other.json", make_document(paths))
    return make_engine(spec=(str(spec),), fixtures=(str(folder),))


def test_an_operation_without_code_is_answered_by_fixture_example_and_schema(other: Engine) -> None:
    canned, example, schema = (ask(other, "GET", path) for path in ("/canned", "/example", "/schema"))

    assert (value_of(canned), canned.source) == ({"says": "fixture"}, "fixture:all.json#1")
    assert (value_of(example), example.source) == ({"says": "example"}, "example")
    assert (list(value_of(schema)), schema.source) == (["name"], "generated")


def test_an_operation_that_documents_no_security_needs_no_token(other: Engine) -> None:
    assert ask(other, "GET", "/example", token=None).status == 200


def test_repeated_reads_are_equal_and_repeated_creates_differ(other: Engine) -> None:
    read = [bytes_of(ask(other, "GET", "/schema")) for _ in range(2)]
    created = [ask(other, "POST", "/schema", json={"name": "Ada"}) for _ in range(2)]

    assert read[0] == read[1]
    assert [each.status for each in created] == [201, 201]
    assert bytes_of(created[0]) != bytes_of(created[1])


def test_a_body_nested_too_deeply_for_any_answer_is_refused(other: Engine) -> None:
    body = b'{"name": "Ada", "deep": ' + b"[" * 300 + b"]" * 300 + b"}"

    response = ask(other, "POST", "/schema", body=body, headers={"content-type": "application/json"})

    assert response.status == 422


def test_a_success_without_content_has_no_body(other: Engine) -> None:
    response = ask(other, "DELETE", "/nothing/7")

    assert (response.status, response.media_type, response.body) == (204, "", b"")


def test_an_undocumented_rejection_says_why(other: Engine) -> None:
    response = ask(other, "POST", "/schema", json={"name": 1})

    assert (response.status, response.media_type) == (422, "application/problem+json")
    assert value_of(response)["detail"] == "1 is not of type 'string'"
    assert [each["code"] for each in violations_of(response)] == ["type"]


def test_a_path_argument_is_converted_before_validation(other: Engine) -> None:
    assert ask(other, "DELETE", "/nothing/seven").status == 422


# What never changes.

ASKED: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/ai/batches", {"json": {"prompts": ["one", "two"]}}),
    ("POST", "/ai/batches", {"json": {"prompts": ["three"], "model": "gemini", "format": "rendered"}}),
    ("POST", "/ai/batches", {"json": {"prompts": ["three"], "expiration": 0}}),
    ("GET", "/ai", {"query": {"prompt": "four", "mode": "async"}}),
    ("GET", "/ai", {"query": {"prompt": "five", "country": "no", "expiration": "0"}}),
    ("GET", "/ai", {"query": {"prompt": "six"}}),
    ("GET", "/user", {}),
    ("GET", "/ai/devices", {}),
    ("GET", "/nowhere", {}),
    ("POST", "/ai/batches", {"json": {"prompts": []}}),
]

PROGRAM = """
import sys
from builders import ask, bytes_of, make_engine

ASKED = eval(sys.argv[2])

engine = make_engine(seed=sys.argv[1])
for method, path, given in ASKED * 2:
    response = ask(engine, method, path, token="mock-credits-1000000", **given)
    sys.stdout.buffer.write(repr((response.status, response.headers, bytes_of(response))).encode())
"""


def told(seed: str, hash_seed: str) -> bytes:
    """What a fresh process answers."""
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root / "tests/support"), str(root)])
    environ = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, seed, repr(ASKED)], env=environ, capture_output=True, check=True
    )
    return done.stdout


def test_two_processes_give_the_same_bytes_and_another_seed_others() -> None:
    first = told("one", "1")

    assert len(first) > 10_000
    assert told("one", "2") == first
    assert told("two", "1") != first


@settings(max_examples=25)
@given(st.permutations(range(len(ASKED) - 4)))
def test_the_order_of_other_requests_does_not_matter(order: list[int]) -> None:
    def answers(numbers: list[int]) -> dict[int, Response]:
        engine = make_engine()
        return {n: ask(engine, ASKED[n][0], ASKED[n][1], **ASKED[n][2]) for n in numbers}

    assert answers(order) == answers(sorted(order))


def test_another_seed_gives_other_ids_and_texts() -> None:
    first, second = make_engine(seed="one"), make_engine(seed="two")

    assert queue(first, "zebras") != queue(second, "zebras")
    texts = [bytes_of(ask(each, "GET", "/ai", query={"prompt": "zebras"})) for each in (first, second)]
    assert texts[0] != texts[1]


def test_another_sandbox_gives_other_ids_but_a_new_server_the_same() -> None:
    engine = make_engine()

    assert queue(engine, "zebras", token="a") != queue(engine, "zebras", token="b")
    assert queue(make_engine(), "zebras", token="a") == queue(make_engine(), "zebras", token="a")


def test_a_rejected_request_does_not_change_the_ids_of_others() -> None:
    engine = make_engine()
    for _ in range(3):
        ask(engine, "POST", "/ai/batches", json={"prompts": ["zebras"], "model": "x"})
        ask(engine, "POST", "/ai/batches", json={"prompts": ["lions"]})

    assert queue(engine, "zebras") == queue(make_engine(), "zebras")


def test_every_request_is_in_the_journal_once() -> None:
    engine = make_engine()
    for method, path, parts in ASKED:
        ask(engine, method, path, **parts)

    noted = list(engine.sandboxes.open("test").journal.find(lambda _: True))

    assert [each.number for each in noted] == list(range(1, len(ASKED) + 1))
    assert [each.request for each in noted] == [make_request(method, path, **parts) for method, path, parts in ASKED]
    assert [each.reason for each in noted][-2:] == ["no-such-path", "invalid"]


def test_every_documented_path_answers_head_as_get_and_405_with_allow() -> None:
    engine = make_engine()
    operations = [service.operation for service in engine.services]
    paths = {re.sub(r"\{[^}]+\}", "x", each.path): set[str]() for each in operations}
    for each in operations:
        paths[re.sub(r"\{[^}]+\}", "x", each.path)].add(each.method)

    for path, methods in paths.items():
        if "GET" in methods:
            got, headed = (ask(engine, method, path) for method in ("GET", "HEAD"))
            assert (headed.status, headed.media_type) == (got.status, got.media_type), path
        allowed = allowed_methods(methods)
        told, refused = (ask(engine, method, path) for method in ("OPTIONS", "TRACE"))
        assert (told.status, dict(told.headers)["Allow"]) == (204, allowed), path
        assert (refused.status, dict(refused.headers)["Allow"]) == (405, allowed), path
