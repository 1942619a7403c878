"""Limits that users meet now and then, each as the number it is: waits, attempts, seeds, names, documents, tokens."""

import math
from pathlib import Path
from typing import Any

import pytest
from builders import ask, make_engine, value_of

from mockserver.client.poll import poll
from mockserver.errors import SpecError
from mockserver.openapi.files import read_document
from mockserver.redaction import is_secret_name, redacted_text
from mockserver.sandbox.accounts import reserved_status
from mockserver.sandbox.callbacks import Attempt, Callback, Outbox, State


def test_polling_waits_5_ms_at_first_then_twice_as_long_up_to_100_ms() -> None:
    time, pauses = 0.0, list[float]()

    def pause(seconds: float) -> None:
        nonlocal time
        time += seconds
        pauses.append(seconds)

    count = sum(1 for _ in poll(0.5, now=lambda: time, pause=pause))

    assert pauses[:6] == [0.005, 0.01, 0.02, 0.04, 0.08, 0.1]
    assert max(pauses) == 0.1
    assert sum(pauses) == pytest.approx(0.5)
    assert count == len(pauses) + 1


@pytest.mark.parametrize(("timeout", "is_allowed"), [(0, True), (600, True), (600.1, False), (-0.1, False)])
def test_a_client_waits_ten_minutes_at_most(timeout: float, is_allowed: bool) -> None:
    if is_allowed:
        next(poll(timeout))
    else:
        with pytest.raises(ValueError, match="wanted 0 to 600 seconds"):
            next(poll(timeout))


def test_a_callback_keeps_its_latest_hundred_attempts() -> None:
    callback = Callback("a", 1, "agentfirst", "http://127.0.0.1/", "http://here")
    for n in range(103):
        callback = callback.tried(Attempt(n, 500, "no"), State.RETRYING)

    assert [each.at for each in callback.attempts] == list(range(3, 103))


def make_outbox(*dues: float) -> Outbox:
    outbox = Outbox()
    for n, due in enumerate(dues):
        outbox.note(f"{n}", provider="agentfirst", target="http://127.0.0.1/", base_url="http://here", due=due)
    return outbox


def test_a_callback_is_due_at_its_due_time_and_not_before() -> None:
    outbox = make_outbox(5, 3, 3, math.inf)

    assert outbox.next_due() == 3
    assert outbox.claim_due(2.999) == []
    assert [each.id for each in outbox.claim_due(3)] == ["1", "2"]
    assert outbox.next_due() == 5
    assert [each.id for each in outbox.claim_due(5)] == ["0"]
    assert outbox.next_due() == math.inf
    assert outbox.claim_due(math.inf) == []
    assert [each.id for each in outbox.every()] == ["1", "2", "0", "3"]


def test_a_due_time_that_moves_replaces_the_one_before() -> None:
    outbox = make_outbox(5)

    outbox.reschedule("0", 9)
    assert (outbox.next_due(), outbox.claim_due(8)) == (9, [])
    outbox.reschedule("0", 2)
    assert outbox.next_due() == 2
    assert [each.id for each in outbox.claim_due(2)] == ["0"]
    outbox.reschedule("0", 1)
    assert outbox.next_due() == math.inf


def test_numbers_continue_in_a_restored_outbox() -> None:
    first = make_outbox(1, 2, 3)
    first.claim_due(1)

    again = Outbox(first.every())
    again.note("new", provider="agentfirst", target="t", base_url="b", due=9)

    assert [(each.id, each.number) for each in again.every()] == [("0", 1), ("1", 2), ("2", 3), ("new", 4)]
    assert (list(again.claimed), list(again.pending)) == (["0"], ["1", "2", "new"])


@pytest.mark.parametrize(("length", "status"), [(200, 200), (201, 400)])
def test_a_seed_has_at_most_200_characters(length: int, status: int) -> None:
    answer = ask(make_engine(), "GET", "/user", headers={"prefer": f"dynamic=true, seed={'s' * length}"})

    assert answer.status == status


@pytest.mark.parametrize(
    ("code", "status"), [("199", 400), ("200", 200), ("401", 401), ("599", 400), ("600", 400), ("2000", 400)]
)
def test_a_preferred_code_is_one_that_is_documented(code: str, status: int) -> None:
    assert ask(make_engine(), "GET", "/user", headers={"prefer": f"code={code}"}).status == status


@pytest.mark.parametrize(("number", "status"), [(199, None), (200, 200), (599, 599), (600, None), (100, None)])
def test_a_token_asks_for_a_status_from_200_to_599(number: int, status: int | None) -> None:
    assert reserved_status(f"mock-status-{number}") == status
    assert reserved_status(f"mock-status-{number}-of-ann") == status


@pytest.mark.parametrize(
    ("token", "credits"),
    [
        ("mock-credits-0", 0),
        ("mock-credits-1", 1),
        ("mock-credits-999999999999999", 999_999_999_999_999),
        ("mock-credits-9999999999999999", 1_000_000_000),
        ("mock-no-credits", 0),
        ("anything", 1_000_000_000),
    ],
)
def test_an_account_begins_with_a_thousand_million_credits_or_what_its_token_says(token: str, credits: int) -> None:
    [user] = value_of(ask(make_engine(), "GET", "/user", token=token))

    assert user["credits"] == credits


@pytest.mark.parametrize(("levels", "is_read"), [(249, True), (250, True), (251, False), (5000, False)])
def test_a_yaml_document_has_at_most_250_levels(tmp_path: Path, levels: int, is_read: bool) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * levels + "]" * levels)

    if is_read:
        assert read_document(path, SpecError) is not None
    else:
        with pytest.raises(SpecError, match="nested too deeply"):
            read_document(path, SpecError)


@pytest.mark.parametrize("separator", [",", ",\n"])
@pytest.mark.parametrize("shift", range(0, 40, 3))
def test_credentials_in_a_long_text_are_found_at_any_position(separator: str, shift: int) -> None:
    members = separator.join('"name":"Ann","token":"s3cret-1234567890"' for _ in range(5000))
    text = f'{{"x":"{"x" * shift}"{separator}{members}}}'

    shown = redacted_text(text)

    assert "s3cret" not in shown
    assert shown == text.replace("s3cret-1234567890", "[redacted]")


@pytest.mark.parametrize(("length", "is_secret"), [(100, True), (101, False)])
def test_a_name_of_more_than_100_characters_carries_no_credential(length: int, is_secret: bool) -> None:
    assert is_secret_name("x-" * ((length - 6) // 2) + "x" * (length % 2) + "-token"[:6]) is is_secret


@pytest.mark.parametrize(
    ("progression", "statuses"),
    [
        ("polls:1", ["successful"]),
        ("polls:2", ["processing", "successful"]),
        ("polls:3", ["processing", "processing", "successful"]),
    ],
)
def test_a_batch_ends_at_the_poll_that_was_asked_for(progression: str, statuses: list[str]) -> None:
    engine = make_engine(progression=progression)
    queued = value_of(ask(engine, "POST", "/ai/batches", json={"prompts": ["a"]}))

    def status() -> Any:
        return value_of(ask(engine, "GET", "/ai/batches", query={"id": queued["id"]}))["status"]

    seen = [status() for _ in statuses]

    assert [each == "successful" for each in seen] == [each == "successful" for each in statuses]
