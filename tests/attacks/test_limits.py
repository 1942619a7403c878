"""Limits: what a hostile request, document or setting cannot take hold of. Each of these once took it."""

import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import ask, make_client, make_engine, queue, write_json
from effort import effort_within

from mockserver.http import Request, Response
from mockserver.openapi.document import OpenApiDocument
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.requests import parse_input
from mockserver.openapi.schema import Schema
from mockserver.redaction import account_key
from mockserver.sandbox.accounts import AccountSpec, reserved_status
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.journal import MAX_BYTES, Journal

SOME_ACCOUNT = account_key("some-token")


def test_a_very_long_run_of_digits_is_rejected_at_once() -> None:
    parameter = {"name": "n", "in": "query", "schema": {"type": "number"}}
    document = {"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [parameter]}}}}
    operation = OpenApiDocument(document, "doc.yaml").operations[0]
    request = Request("GET", "/a", f"n={'1' * 400_000}x")

    with effort_within(500_000):
        parse_input(operation, request, {}, strict=False)


def test_long_tokens_with_the_same_beginning_have_separate_sandboxes() -> None:
    engine, beginning = make_engine(), "eyJhbGciOiJSUzI1NiJ9." + "x" * 300
    queue(engine, "hello", token=beginning + "a")

    names = [f"{beginning}{end}" for end in "ab"]
    one, other = (engine.open_sandbox(Request("GET", "/", headers={"x-mock-sandbox": name}), None) for name in names)

    assert one is not other
    assert (one.journal.seen, other.journal.seen) == (1, 0)
    assert all(len(sandbox.name) <= 200 for sandbox in (one, other))


@pytest.mark.parametrize(
    "request_", [Request("GET", "/", headers={"x": "h" * MAX_BYTES}), Request("GET", "/", "q" * MAX_BYTES)]
)
def test_the_journal_counts_every_byte_of_a_request(request_: Request) -> None:
    journal = Journal(10)

    journal.record(0.0, "getIt", request_, Response(200, body=b"a"), "", ())

    assert (journal.seen, journal.dropped) == (1, 1)


def test_a_page_of_the_ledger_does_not_sort_what_is_not_due(make_thousands: Callable[..., Any]) -> None:
    account, sandbox = make_thousands(2000, progression=Progression("time", 1e9))

    with effort_within(200_000):  # far fewer than the 2,000,000 prompts that wait
        assert [charge.entry for charge in islice(sandbox.accounts.ledger(account, 0.0), 100)] == ["opened"]


def test_a_balance_reads_the_markers_of_a_batch_once(make_thousands: Callable[..., Any]) -> None:
    account, sandbox = make_thousands(1, text="[mock:hang]")

    sandbox.accounts.balance(account, 1.0)

    assert all(batch.outcomes is not None for batch in sandbox.batches.scan())


@pytest.fixture
def make_thousands() -> Callable[..., Any]:
    """An account that owes for many batches of 1,000 prompts each."""
    from mockserver.sandbox.batches import IMMEDIATE, Batch

    def make(count: int, *, text: str = "hello", progression: Progression = IMMEDIATE) -> Any:
        body = b'{"prompts":[' + b",".join([f'"{text}"'.encode()] * 1000) + b"]}"
        sandbox = make_engine().sandboxes.open("test")
        account = sandbox.accounts.open(AccountSpec(SOME_ACCOUNT, "a@example.com"), 0.0)
        for n in range(count):
            batch = Batch(f"{n}", "batch", SOME_ACCOUNT, 1000, body, "prompts", 0.0, progression, price=5)
            sandbox.accounts.add_batch(batch)
        return account, sandbox

    return make


@pytest.mark.parametrize("scale", [1e-9, 5e-324])
def test_a_slow_clock_does_not_hold_a_live_answer_for_longer_than_the_vendor_would(scale: float) -> None:
    engine = make_engine(clock="flowing")
    engine.sandboxes.open("test").clock.scale_by(scale)

    response = ask(engine, "GET", "/ai", query={"prompt": "hello [mock:slow=3s]"})

    assert response.status == 200
    assert response.delay == 180


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(((((a*)*)*)*)*)*$", "minLength": 1},
        {"type": "string", "pattern": r"^(.+)+(.+)+\d{30}$", "minLength": 1},
        {"type": "string", "pattern": r"^([\u0000-\U0010ffff]{9})+!?#$"},
        {"type": "string", "minLength": 10**12},
        {"type": "array", "minItems": 10**12},
        {"type": "array", "minItems": 10**12, "uniqueItems": True},
        {"type": "object", "minProperties": 10**12},
    ],
)
def test_generated_values_are_bounded_whatever_the_document_asks_for(schema: dict[str, Any]) -> None:
    with effort_within(20_000_000):
        generate_value(schema, root={}, key=b"key")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": 2.0, "maxItems": 3.0},
        {"type": "object", "minProperties": 2.0},
        {"type": "string", "minLength": 2.0, "maxLength": 3.0},
        {"type": "integer", "minimum": 1e300},
    ],
)
def test_numbers_in_unusual_notation_in_a_document_are_numbers(schema: dict[str, Any]) -> None:
    value = generate_value(schema, root={}, key=b"key")

    assert Schema(schema, {}).accepts(orjson.loads(orjson.dumps(value)))


@pytest.mark.parametrize("entry", [{"body": [1, "Pixel 7"]}, {"text": "down", "status": 500}, {"body": {"a": 1}}])
def test_a_canned_answer_that_lists_no_devices_does_not_break_the_queue(tmp_path: Path, entry: dict[str, Any]) -> None:
    write_json(tmp_path / "a.json", {"responses": {"listDevices": [entry]}})
    engine = make_engine(fixtures=(str(tmp_path),))

    response = ask(engine, "POST", "/ai/batches", json={"prompts": ["hello"], "device": "Pixel 7"})

    assert response.status == 202


def test_an_informational_status_cannot_be_requested() -> None:
    assert reserved_status("mock-status-101") is None
    assert reserved_status("mock-status-204") == 204


def test_a_generated_array_stays_short_even_if_more_items_are_allowed() -> None:
    schema = {"type": "array", "maxItems": 10**6, "items": {"type": "integer"}}

    assert 1 <= len(generate_value(schema, root={}, key=b"key")) <= 3


@pytest.mark.parametrize(("host", "shown"), [('x"/><script>', "127.0.0.1:4024"), ("my_mock:80", "my_mock:80")])
def test_a_host_is_repeated_in_a_url_when_it_can_be_one(host: str, shown: str) -> None:
    with make_client() as client:
        client.headers["Host"] = host
        id_ = client.post("/ai/batches", json={"prompts": ["hello"]}).json()["id"]

        url = client.get("/ai/batches", params={"id": id_}).json()["url"]

    assert url.startswith(f"http://{shown}/ai/archives/")


def test_a_stored_conversation_uses_little_more_memory_than_its_prompt() -> None:
    engine = make_engine(journal_size=0)
    tracemalloc.start()
    try:
        for n in range(200):
            ask(engine, "GET", "/ai", query={"prompt": f"hello {n}", "mode": "async"})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held / 200 < 3000
