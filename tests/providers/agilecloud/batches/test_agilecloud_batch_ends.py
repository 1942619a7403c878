"""AgileCloud's batches that are cancelled, come too late, or wait for room."""

import pytest
from batch_client import DAY, OPENAI, BatchClient, chats, counts_of, jsonl, request_of, times_of

from mockserver.providers.agilecloud.usage import usage_entries
from mockserver.redaction import account_key

SLOW = jsonl(request_of("fast"), request_of("slow", "[mock:slow=1h]"), request_of("never", "[mock:hang]"))


@pytest.fixture(scope="module")
def desk() -> BatchClient:
    """Immediate, and shared: no test here looks at another's batches."""
    return BatchClient()


# Cancelling, and the end of the window.


def test_cancelling_keeps_what_is_finished() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(jsonl(*(request_of(f"r{n}", "[mock:fail]" * (n == 1)) for n in range(9))))["id"]
    desk.sandbox.clock.advance(40)

    batch = desk.cancel(id_)
    desk.sandbox.clock.advance(1000)

    assert desk.read(id_) == desk.cancel(id_) == batch
    assert batch["status"] == "cancelled"
    assert counts_of(batch) == (9, 2, 1)
    assert set(desk.lines(batch["output_file_id"])) == {"r0", "r2"}
    assert set(desk.lines(batch["error_file_id"])) == {"r1"}
    assert times_of(batch) == {"in_progress": 10, "cancelling": 40, "cancelled": 40}
    assert sum(entry.requests for entry in usage_entries(desk.sandbox, account_key("ann"))) == 2


def test_polling_a_cancelled_batch_does_not_advance_it() -> None:
    desk = BatchClient(progression="polls:6")
    id_ = desk.create(chats(10))["id"]
    for _ in range(3):
        desk.read(id_)

    batch = desk.cancel(id_)

    assert [desk.read(id_) for _ in range(5)] == [batch] * 5
    assert counts_of(batch) == (10, len(desk.lines(batch["output_file_id"])), 0)


def test_a_batch_cancelled_while_validating_has_done_nothing() -> None:
    desk = BatchClient(progression="time:100")

    batch = desk.cancel(desk.create(b"{bad")["id"])

    assert (batch["status"], counts_of(batch), batch["errors"]) == ("cancelled", (0, 0, 0), None)
    assert times_of(batch) == {"cancelling": 0, "cancelled": 0}


@pytest.mark.parametrize(("progression", "polls"), [("time:100", 0), ("polls:3", 2), ("polls:3", 3), ("polls:1", 1)])
def test_openais_batches_are_cancelling_for_a_while(progression: str, polls: int) -> None:
    desk = BatchClient(progression=progression, **OPENAI)
    id_ = desk.create(SLOW)["id"]
    desk.sandbox.clock.advance(20)
    for _ in range(polls):
        desk.read(id_)

    first, again = desk.cancel(id_), desk.cancel(id_)
    desk.sandbox.clock.advance(10)
    last = desk.read(id_)

    assert first["status"] == again["status"] == "cancelling"
    assert (first["output_file_id"], first["cancelled_at"]) == (None, None)
    assert last["status"] == "cancelled"
    assert last["cancelled_at"] - last["cancelling_at"] == 10
    assert desk.read(id_) == last


@pytest.mark.parametrize(("content", "status"), [(chats(1), "completed"), (b"{bad", "failed")])
def test_a_finished_batch_cannot_be_cancelled(desk: BatchClient, content: bytes, status: str) -> None:
    id_ = desk.create(content)["id"]

    refused, error = desk.refusal("POST", f"/v1/batches/{id_}/cancel")

    assert refused == 409
    message = f"Cannot cancel a batch with status '{status}'."
    assert error == {"message": message, "type": "invalid_request_error", "param": None, "code": None}


@pytest.mark.parametrize("progression", ["immediate", "time:100", "polls:3"])
@pytest.mark.parametrize(("profile", "status"), [("openai", "expired"), ("agilecloud", "failed")])
def test_lines_that_do_not_finish_within_the_window_expire(progression: str, profile: str, status: str) -> None:
    desk = BatchClient(progression=progression, agilecloud_profile=profile)
    id_ = desk.create(SLOW)["id"]
    for _ in range(4):
        desk.sandbox.clock.advance(2000)
        assert desk.read(id_)["status"] in {"validating", "in_progress"}
    desk.sandbox.clock.advance(DAY)

    batch = desk.read(id_)

    assert batch["status"] == status
    assert counts_of(batch) == (3, 2, 1)
    assert set(desk.lines(batch["output_file_id"])) == {"fast", "slow"}
    [line] = desk.lines(batch["error_file_id"]).values()
    assert (line["custom_id"], line["response"]) == ("never", None)
    message = "This request could not be executed before the completion window expired."
    assert line["error"] == {"code": "batch_expired", "message": message}
    assert batch[f"{status}_at"] == batch["expires_at"] == batch["created_at"] + DAY
    assert desk.read(id_) == batch


@pytest.mark.parametrize("seconds", [DAY, DAY + 100])
def test_polling_an_expired_batch_does_not_complete_it(seconds: int) -> None:
    desk = BatchClient(progression="polls:3", **OPENAI)
    id_ = desk.create(chats(3))["id"]
    desk.sandbox.clock.advance(seconds)

    batches = [desk.read(id_) for _ in range(5)]

    assert [each["status"] for each in batches] == ["expired"] * 5
    assert counts_of(batches[0]) == (3, 0, 3)
    assert times_of(batches[0]) == {"in_progress": DAY, "expired": DAY}


def test_a_batch_that_takes_the_whole_window_is_completed() -> None:
    desk = BatchClient(progression=f"time:{DAY}", **OPENAI)
    id_ = desk.create(chats(3))["id"]
    desk.sandbox.clock.advance(DAY)

    assert desk.read(id_)["status"] == "completed"


# Low priority.


@pytest.mark.parametrize("progression", ["immediate", "time:100", "polls:4"])
def test_busy_batches_wait_until_their_window_closes(progression: str) -> None:
    desk = BatchClient(progression=progression, capacity="busy", **OPENAI)
    id_ = desk.create(chats(3))["id"]
    seen = set()
    for _ in range(10):
        desk.sandbox.clock.advance(8000)
        batch = desk.read(id_)
        seen.add((batch["status"], counts_of(batch)))
    live = desk.ask("POST", "/v1/chat/completions", json=request_of("live")["body"])
    desk.sandbox.clock.advance(8000)
    batch = desk.read(id_)

    assert seen <= {("validating", (0, 0, 0)), ("in_progress", (3, 0, 0))}
    assert ("in_progress", (3, 0, 0)) in seen
    assert live.status == 200
    assert (batch["status"], counts_of(batch), batch["output_file_id"]) == ("expired", (3, 0, 3), None)
    assert set(desk.lines(batch["error_file_id"])) == {"r0", "r1", "r2"}


@pytest.mark.parametrize(("progression", "end"), [("immediate", 3600), ("time:100", 3690), ("polls:3", 3700)])
def test_batches_continue_when_capacity_is_free_again(progression: str, end: int) -> None:
    desk = BatchClient(progression=progression, capacity="2026-04-12T01:00:00")
    id_ = desk.create(chats(3))["id"]
    desk.sandbox.clock.advance(3599)
    waiting = [desk.read(id_) for _ in range(2)][-1]
    desk.sandbox.clock.advance(101)

    batch = desk.read(id_)

    assert (waiting["status"], counts_of(waiting)) == ("in_progress", (3, 0, 0))
    assert (batch["status"], counts_of(batch)) == ("completed", (3, 3, 0))
    assert times_of(batch)["completed"] == end
