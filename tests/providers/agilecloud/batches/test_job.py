"""A batch as a value: its status, counts and end at any instant, computed without a server."""

import math
from typing import Any

import pytest

from mockserver.providers.agilecloud.batches.job import BatchRecord, Status, window_seconds
from mockserver.providers.agilecloud.batches.results import NO_FILE, LineResults, rejected_file
from mockserver.providers.agilecloud.batches.run import EXPIRED
from mockserver.providers.agilecloud.usage import UsageTotal
from mockserver.sandbox.batches import Batch, ItemOutcome, Progression
from mockserver.sandbox.conditions import ItemPlan

START = 1_000_000.0
DAY = 86_400
FAILED = {"code": "x", "message": "y"}


def make_results(ends: bytes = b"\1\1\0\1", **changes: Any) -> LineResults:
    """`ends` has a byte for each item: 1 for one that succeeds."""
    used = {"m": UsageTotal(ends.count(1), 1, 1, 1)} if 1 in ends else {}
    return LineResults(len(ends), (), {}, ends, NO_FILE, NO_FILE, used)._replace(**changes)


def make_job(progression: str = "time", amount: float = 100, **changes: Any) -> BatchRecord:
    """A batch of four items, of which the third fails; validation takes a tenth of its time."""
    batch: dict[str, Any] = {"head": 0.1, "plan": None, "outcomes": {}, "reads": (), "size": 4}
    batch |= {name: changes.pop(name) for name in tuple(changes) if name in batch}
    made = Batch(
        id="batch_1",
        kind="batch",
        account="a",
        body=b"{}",
        texts_key="texts",
        created=START,
        progression=Progression(progression, amount),
        **batch,
    )
    fields = {
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-1",
        "input": None,
        "metadata": None,
        "output_expires_after": None,
        "is_openai": True,
        "results": make_results(),
        **changes,
    }
    return BatchRecord(batch=made, **fields)


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        ("24h", DAY),
        ("1s", 1),
        ("90m", 5400),
        ("2d", 2 * DAY),
        ("1w", 7 * DAY),
        ("999999999s", 999_999_999),
        ("9999999999s", DAY),
        ("0h", DAY),
        ("24", DAY),
        ("a day", DAY),
    ],
)
def test_a_completion_window_is_a_number_and_a_unit_else_a_day(window: str, seconds: float) -> None:
    assert window_seconds(window) == seconds


def statuses_of(job: BatchRecord, *offsets: float) -> list[str]:
    return [job.status(START + offset).value for offset in offsets]


@pytest.mark.parametrize(
    ("is_openai", "statuses"),
    [
        (True, ["validating", "validating", "in_progress", "in_progress", "finalizing", "finalizing", "completed"]),
        (False, ["validating", "validating", *["in_progress"] * 4, "completed"]),
    ],
)
def test_a_timed_batch_passes_its_statuses(is_openai: bool, statuses: list[str]) -> None:
    """Items end from 27.5 to 80 of 100 seconds."""
    job = make_job(is_openai=is_openai)

    assert statuses_of(job, 0, 9.9, 10, 79.9, 80, 99.9, 100) == statuses
    assert (job.items_start(), job.ended(), job.expires_at) == (START + 10, START + 100, START + DAY)


def test_counts_grow_as_items_end() -> None:
    job = make_job()

    def counts(offset: float) -> tuple[int, int, int]:
        found = job.counts(START + offset)
        return found["total"], found["completed"], found["failed"]

    assert [counts(offset) for offset in (9, 10, 27.5, 45, 62.4, 62.5, 80, 100)] == [
        (0, 0, 0),
        (4, 0, 0),
        (4, 1, 0),
        (4, 2, 0),
        (4, 2, 0),
        (4, 2, 1),
        (4, 3, 1),
        (4, 3, 1),
    ]


def test_an_item_that_is_late_counts_when_it_ends() -> None:
    """The first takes 40 seconds longer, the failing third one 5."""
    outcomes = {0: ItemOutcome(slowness=40.0), 2: ItemOutcome(failure=500, slowness=5.0)}
    job = make_job(outcomes=outcomes, results=make_results(outcomes=outcomes))

    found = [job.counts(START + offset) for offset in (27.5, 45, 62.5, 67.4, 67.5, 80)]

    assert [(each["completed"], each["failed"]) for each in found] == [(0, 0), (1, 0), (1, 0), (1, 0), (2, 1), (3, 1)]


def test_a_batch_without_results_is_validated_while_it_has_input() -> None:
    job = make_job(results=None, size=1, input=NO_FILE)

    assert statuses_of(job, 0, 50, 200) == ["validating"] * 3
    assert statuses_of(job._replace(input=None), 9.9, 10) == ["validating", "failed"]
    assert job.counts(START + 50) == {"total": 0, "completed": 0, "failed": 0}


def test_an_invalid_file_fails_its_batch_after_validation() -> None:
    job = make_job(results=rejected_file(FAILED), size=1)

    assert statuses_of(job, 9.9, 10) == ["validating", "failed"]
    assert job.counts(START + 50) == {"total": 0, "completed": 0, "failed": 0}


@pytest.mark.parametrize(("is_openai", "status"), [(True, "expired"), (False, "failed")])
def test_what_does_not_end_within_its_window_expires_and_what_was_not_reached_has_failed(
    is_openai: bool, status: str
) -> None:
    job = make_job(window="60s", is_openai=is_openai)

    assert statuses_of(job, 59.9, 60) == ["in_progress", status]
    assert (job.deadline(), job.ended(), job.stopped(START + 500)) == (START + 60,) * 3
    assert job.stopped(START + 5) == START + 5
    assert job.counts(START + 60) == {"total": 4, "completed": 3, "failed": 1}


def test_a_batch_that_takes_exactly_its_window_is_completed() -> None:
    assert statuses_of(make_job(window="100s"), 100) == ["completed"]
    assert statuses_of(make_job(window="99s"), 99) == ["expired"]


def test_validation_ends_with_the_window_at_the_latest() -> None:
    assert make_job(window="5s").items_start() == START + 5
    assert make_job(window="15s").items_start() == START + 10


def test_the_conditions_may_let_a_batch_expire_with_its_last_poll() -> None:
    plan = ItemPlan(expires=True)
    reads = (START + 1, START + 2, START + 3)

    assert make_job("polls", 3, plan=plan, reads=reads).deadline() == START + 3
    assert make_job("polls", 3, plan=plan, reads=reads[:2]).deadline() == START + DAY
    assert make_job("polls", 3, plan=plan._replace(expires=False), reads=reads).deadline() == START + DAY
    assert make_job("polls", 3, reads=reads).deadline() == START + DAY


@pytest.mark.parametrize(
    ("progression", "amount", "is_openai", "seconds"),
    [
        ("time", 100, True, 10),
        ("time", 6000, True, 600),
        ("time", 6001, True, 600),
        ("time", 100, False, 0),
        ("immediate", 0, True, 0),
        ("polls", 3, True, math.inf),
        ("polls", 3, False, 0),
    ],
)
def test_cancelling_takes_a_tenth_of_the_time_and_ten_minutes_at_most(
    progression: str, amount: float, is_openai: bool, seconds: float
) -> None:
    job = make_job(progression, amount, is_openai=is_openai, cancelled=START + 5)

    assert job.cancelled_end() == job.ended() == START + 5 + seconds
    assert job.stopped(START + 50) == START + 5
    assert statuses_of(job, 5) == ["cancelling" if seconds else "cancelled"]


def test_a_cancelled_batch_ends_with_the_poll_that_sees_it() -> None:
    job = make_job("polls", 3, cancelled=START + 5)

    assert statuses_of(job, 5, 50) == ["cancelling", "cancelling"]
    seen = job.read_at(START + 7)
    assert (seen.cancel_seen, statuses_of(seen, 6, 7)) == (START + 7, ["cancelling", "cancelled"])
    assert seen.read_at(START + 9) == seen
    assert job.read_at(START + 4).batch.reads == (START + 4,)


def test_only_polls_of_a_batch_that_is_not_final_make_it_progress() -> None:
    timed = make_job()
    assert timed.read_at(START + 50) is timed

    job = make_job("polls", 2)
    for offset in (1, 2):
        job = job.read_at(START + offset)
    assert (job.batch.reads, job.status(START + 2)) == ((START + 1, START + 2), Status.COMPLETED)
    assert job.read_at(START + 3) is job
    expired = make_job("polls", 5, window="1s")
    assert expired.read_at(START + 2) is expired


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"results": None, "size": 2}, "it has a size, and no line was read yet"),
        ({"results": make_results(b"\1")}, "results: its size is 1; that of its batch is 4"),
        ({"cancelled": START - 1}, "it was cancelled before its beginning, or seen to be before it was"),
        ({"cancelled": START + 5, "cancel_seen": START + 4}, "it was cancelled before its beginning, or seen to be"),
    ],
)
def test_a_batch_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_job(**changes)


def test_a_batch_may_be_cancelled_and_seen_at_its_very_beginning() -> None:
    assert statuses_of(make_job("polls", 1, cancelled=START, cancel_seen=START), 0) == ["cancelled"]
    assert make_job(results=make_results(b""), size=1).batch.size == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"errors": (FAILED,)}, "it has errors, and a size of 4"),
        ({"succeeded": b"\1\1\0"}, "succeeded does not say 0 or 1 of each of 4 items"),
        ({"succeeded": b"\1\1\1\2"}, "succeeded does not say 0 or 1 of each of 4 items"),
        ({"outcomes": {4: ItemOutcome()}}, "its outcomes are not those of its items"),
        ({"usage": {}}, "its usage is of more or fewer requests than have succeeded"),
    ],
)
def test_results_that_contradict_themselves_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_results(**changes)


def test_results_without_their_files_keep_their_counts() -> None:
    results = make_results(outcomes={3: ItemOutcome()})

    assert results.without_files() == results
    assert EXPIRED["code"] == "batch_expired"
