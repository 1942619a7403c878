"""Recorded exchanges become answers in their order, and the states of jobs with their times."""

from typing import Any

import pytest

from mockserver.contract.recording.episodes import Episode, entries_of

JOB = "job-1"
CREATE = {"operation": "createJob", "method": "POST", "path": "/jobs"}
READ = {"operation": "readJob", "method": "GET", "path": "/jobs/job-1"}
CANCEL = {"operation": "cancelJob", "method": "POST", "path": "/jobs/job-1/cancel"}
LIST = {"operation": "listJobs", "method": "GET", "path": "/jobs"}


def answer(state: str, status: int = 200, **more: Any) -> dict[str, Any]:
    return {"status": status, "media_type": "application/json", "body": {"id": JOB, "state": state}, **more}


def created(at: float = 0.0, status: int = 201) -> Episode:
    return Episode(CREATE, False, answer("new", status), at, [], [JOB])


def read(state: str, at: float, status: int = 200, **more: Any) -> Episode:
    return Episode(READ, True, answer(state, status, **more), at, [JOB], [JOB])


def cancelled(at: float, status: int = 200) -> Episode:
    return Episode(CANCEL, False, answer("cancelling", status), at, [JOB], [JOB])


def states_of(entry: dict[str, Any]) -> list[tuple[float, int, str]]:
    return [(each["after"], each["status"], each["body"]["state"]) for each in entry["timeline"]]


def test_the_reads_of_a_job_become_its_states_with_their_times() -> None:
    first, second = entries_of(
        [created(1.0), read("runs", 2.5), read("runs", 3.0), read("done", 4.25164), read("done", 9.0)]
    )

    assert first == {"request": CREATE, "answers": [{"begins": [JOB], **answer("new", 201)}]}
    assert states_of(second) == [(1.5, 200, "runs"), (3.252, 200, "done")]
    assert (second["request"], second["job"], second["since"]) == (READ, JOB, "createJob")


def test_a_job_without_a_recorded_beginning_begins_with_its_first_read() -> None:
    told = Episode(LIST, True, answer("runs"), 1.0, [], [JOB])
    failed = created(0.5, 500)

    entries = entries_of([failed, read("runs", 2.0), read("done", 5.0)])

    assert states_of(entries[1]) == [(0.0, 200, "runs"), (3.0, 200, "done")]
    assert "since" not in entries[1]
    assert "begins" not in entries[0]["answers"][0]
    assert states_of(entries_of([told, read("runs", 2.0), read("done", 5.0)])[1]) == [
        (1.0, 200, "runs"),
        (4.0, 200, "done"),
    ]


def test_a_state_is_not_before_its_job_began() -> None:
    _, entry = entries_of([created(5.0), read("runs", 4.0), read("done", 6.0)])

    assert states_of(entry) == [(0.0, 200, "runs"), (1.0, 200, "done")]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_answer_that_says_nothing_of_the_job_is_left_out(status: int) -> None:
    _, between = entries_of([created(), read("runs", 1.0), read("", 2.0, status), read("done", 3.0)])
    _, first = entries_of([created(), read("", 1.0, status), read("runs", 2.0), read("done", 3.0)])

    assert states_of(between) == [(1.0, 200, "runs"), (3.0, 200, "done")]
    assert states_of(first) == [(2.0, 200, "runs"), (3.0, 200, "done")]


@pytest.mark.parametrize("status", [404, 428, 430, 499])
def test_another_error_is_a_state_of_the_job(status: int) -> None:
    _, entry = entries_of([created(), read("runs", 1.0), read("gone", 2.0, status)])

    assert states_of(entry) == [(1.0, 200, "runs"), (2.0, status, "gone")]


def test_a_job_that_only_differs_in_transient_answers_has_plain_answers() -> None:
    _, entry = entries_of([created(), read("runs", 1.0), read("", 2.0, 503), read("runs", 3.0)])

    assert [each["status"] for each in entry["answers"]] == [200, 503, 200]


def test_a_cancellation_begins_the_timeline_again_and_a_refused_one_does_not() -> None:
    reads = [read("runs", 1.0), read("done", 2.0)]

    entries = entries_of([created(), *reads, cancelled(10.0), read("cancelling", 10.5), read("cancelled", 12.0)])
    refused = entries_of([created(), *reads, cancelled(10.0, 400), read("done", 10.5)])

    assert [each.get("since") for each in entries] == [None, "createJob", None, "cancelJob"]
    assert states_of(entries[3]) == [(0.5, 200, "cancelling"), (2.0, 200, "cancelled")]
    assert entries[2]["answers"][0]["begins"] == [JOB]
    assert [each.get("since") for each in refused] == [None, "createJob", None]
    assert states_of(refused[1]) == [(1.0, 200, "runs"), (2.0, 200, "done")]


def test_a_later_read_that_tells_of_the_job_does_not_begin_it_again() -> None:
    listed = Episode(LIST, True, answer("runs"), 5.0, [], [JOB])

    entries = entries_of([created(), read("runs", 1.0), listed, read("done", 6.0)])

    assert states_of(entries[1]) == [(1.0, 200, "runs"), (6.0, 200, "done")]
    assert "begins" not in entries[2]["answers"][0]


def test_equal_answers_one_after_another_are_counted() -> None:
    same = [Episode(LIST, True, answer("x", headers={"x-request-id": str(n)}), float(n), [], []) for n in range(3)]
    other = Episode(LIST, True, answer("y"), 3.0, [], [])

    (entry,) = entries_of([*same, other, same[0]])

    counted = [(each["body"]["state"], each.get("times", 1)) for each in entry["answers"]]
    assert counted == [("x", 3), ("y", 1), ("x", 1)]


@pytest.mark.parametrize("name", ["status", "media_type", "body", "text", "file"])
def test_answers_that_differ_in_one_part_are_two(name: str) -> None:
    changed = {**answer("x"), name: 202 if name == "status" else "another"}

    (entry,) = entries_of([Episode(LIST, True, each, 0.0, [], []) for each in (answer("x"), changed)])

    assert len(entry["answers"]) == 2


def test_a_state_has_no_seconds_of_its_own_and_an_answer_keeps_them() -> None:
    first, second = entries_of([created(), read("runs", 1.0, seconds=0.4), read("done", 2.0, seconds=0.2)])
    (plain,) = entries_of([Episode(LIST, True, answer("x", seconds=0.4), 0.0, [], [])])

    assert all("seconds" not in each for each in second["timeline"])
    assert plain["answers"][0]["seconds"] == 0.4
    assert first["answers"][0]["begins"] == [JOB]


def test_two_creations_with_one_body_begin_two_jobs() -> None:
    second = Episode(CREATE, False, {**answer("new", 201), "body": {"id": "job-2"}}, 1.0, [], ["job-2"])
    other = {**READ, "path": "/jobs/job-2"}
    reads = [
        Episode(other, True, {**answer(state), "body": {"id": "job-2", "state": state}}, at, ["job-2"], ["job-2"])
        for state, at in (("runs", 2.0), ("done", 3.0))
    ]

    entries = entries_of([created(), second, read("runs", 1.5), read("done", 2.5), *reads])

    assert [each["begins"] for each in entries[0]["answers"]] == [[JOB], ["job-2"]]
    assert [states_of(each) for each in entries[1:]] == [
        [(1.5, 200, "runs"), (2.5, 200, "done")],
        [(1.0, 200, "runs"), (2.0, 200, "done")],
    ]


@pytest.mark.parametrize(("status", "begins"), [(200, [JOB]), (399, [JOB]), (400, None)])
def test_a_job_begins_with_an_answer_below_400(status: int, begins: list[str] | None) -> None:
    first, _ = entries_of([created(1.0, status), read("runs", 2.0), read("done", 3.0)])

    assert first["answers"][0].get("begins") == begins


def test_a_read_of_another_job_in_between_leaves_both_timelines() -> None:
    other = Episode({**LIST, "path": "/other"}, True, answer("x"), 0.5, [], ["job-2"])

    entries = entries_of([created(1.0), other, read("runs", 2.0), read("done", 3.0)])

    assert [each["request"]["path"] for each in entries] == ["/jobs", "/other", "/jobs/job-1"]
    assert "begins" not in entries[1]["answers"][0]


def test_the_jobs_that_one_answer_begins_are_named_in_their_order() -> None:
    both = Episode(CREATE, False, answer("new", 201), 0.0, [], ["job-2", JOB])
    second = {**READ, "path": "/jobs/job-2"}
    reads = [Episode(second, True, answer(state), at, ["job-2"], []) for state, at in (("runs", 1.0), ("done", 2.0))]

    entries = entries_of([both, read("runs", 1.0), read("done", 2.0), *reads])

    assert entries[0]["answers"][0]["begins"] == [JOB, "job-2"]
    assert [each["job"] for each in entries[1:]] == [JOB, "job-2"]


def test_a_repeated_answer_after_one_that_begins_a_job_is_another() -> None:
    plain = Episode(CREATE, False, {**answer("new", 201)}, 4.0, [], [])

    entries = entries_of([created(), plain, plain, plain, read("runs", 1.0), read("done", 2.0)])

    assert [(each.get("begins"), each.get("times")) for each in entries[0]["answers"]] == [([JOB], None), (None, 3)]
