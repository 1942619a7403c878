"""AgileCloud's batches as the admin API reads them: facts, timeline and lines at an instant. Reading is no poll."""

import pytest
from batch_client import OPENAI, BatchClient, chats, jsonl, request_of

from mockserver.api.batch_reads import BatchError, BatchFacts, BatchItem
from mockserver.api.call import ApiContext
from mockserver.errors import Refusal
from mockserver.providers.agilecloud.batches.reads import BATCH_READS
from mockserver.providers.agilecloud.files import files_of
from mockserver.sandbox.batches import Progression

THREE = jsonl(request_of("a"), request_of("b", "[mock:fail=429]"), request_of("c"))


def context_of(desk: BatchClient) -> ApiContext:
    return next(each.world for each in desk.engine.services if each.provider and each.provider.name == "agilecloud")


def read(desk: BatchClient, id_: str) -> BatchFacts:
    facts = BATCH_READS.read(context_of(desk), desk.sandbox, id_, desk.sandbox.clock.now())
    assert facts is not None
    return facts


def items(desk: BatchClient, id_: str, start: int = 0) -> list[BatchItem]:
    return list(BATCH_READS.items(context_of(desk), desk.sandbox, id_, desk.sandbox.clock.now(), start))


def timeline(facts: BatchFacts) -> dict[str, float | None]:
    """The milestones in seconds after the batch's creation; None while unknown."""
    created = facts.timeline[0].at or 0.0
    return {each.name: None if each.at is None else each.at - created for each in facts.timeline}


def outcomes(desk: BatchClient, id_: str) -> list[tuple[str, float | None]]:
    """What became of each line, and when, in seconds after the batch's creation."""
    created = read(desk, id_).timeline[0].at or 0.0
    return [(each.outcome, None if each.at is None else each.at - created) for each in items(desk, id_)]


def test_the_latest_batches_come_first_with_their_creation_time() -> None:
    desk = BatchClient()
    first = desk.create(chats(1))["id"]
    desk.sandbox.clock.advance(5)
    second = desk.create(chats(1))["id"]

    assert list(BATCH_READS.latest(desk.sandbox)) == [(desk.now, second), (desk.now - 5, first)]


def test_a_batch_is_read_while_it_runs_and_at_its_end() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(THREE)["id"]

    new = read(desk, id_)
    desk.sandbox.clock.advance(69)
    running = read(desk, id_)
    desk.sandbox.clock.advance(31)
    ended = read(desk, id_)

    assert (new.id, new.kind, new.status, new.is_over, new.total) == (
        id_,
        "/v1/chat/completions",
        "validating",
        False,
        0,
    )
    assert new.progression == Progression("time", 100.0)
    assert list(new.files) == ["input"]
    assert new.can_be_cancelled
    assert timeline(new) == {"created": 0, "validated": 10, "last item": 100, "finished": 100, "expires": 86_400}
    assert (running.status, running.total, running.successful, running.failed) == ("in_progress", 3, 1, 0)
    assert (ended.status, ended.total, ended.successful, ended.failed) == ("completed", 3, 2, 1)
    assert (ended.is_over, ended.can_be_cancelled, ended.errors, ended.archive) == (True, False, (), "")
    assert list(ended.files) == ["input", "output", "error"]
    assert set(desk.lines(ended.files["output"])) == {"a", "c"}
    assert set(desk.lines(ended.files["error"])) == {"b"}


def test_lines_end_one_after_the_other_and_show_their_result_when_the_batch_has_ended() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(THREE)["id"]

    assert outcomes(desk, id_) == [("pending", None)] * 3
    desk.sandbox.clock.advance(70)
    assert outcomes(desk, id_) == [("successful", 40), ("failed", 70), ("pending", 100)]
    assert [each.output for each in items(desk, id_)] == ["", "", ""]
    desk.sandbox.clock.advance(30)
    assert outcomes(desk, id_) == [("successful", 40), ("failed", 70), ("successful", 100)]

    found = items(desk, id_)
    assert [(each.position, each.name) for each in found] == [(0, "a"), (1, "b"), (2, "c")]
    assert [each.input for each in found] == THREE.decode().splitlines()
    assert ['"status_code":200' in each.output for each in found] == [True, False, True]
    assert '"status_code":429' in found[1].output
    assert [each.page for each in found] == ["", "", ""]


def test_reading_starts_at_a_position_and_skips_blank_lines() -> None:
    desk = BatchClient()
    id_ = desk.create(jsonl(request_of("a")) + b"\n  \n" + jsonl(request_of("b"), request_of("c")))["id"]

    assert [(each.position, each.name) for each in items(desk, id_, 1)] == [(1, "b"), (2, "c")]
    assert items(desk, id_, 3) == []
    assert [each.name for each in items(desk, id_)] == ["a", "b", "c"]


def test_a_batch_that_is_unknown_has_no_facts_and_no_lines() -> None:
    desk = BatchClient()

    assert BATCH_READS.read(context_of(desk), desk.sandbox, "batch_0", 0.0) is None
    assert items(desk, "batch_0") == []
    assert BATCH_READS.cancel is not None
    assert BATCH_READS.cancel(context_of(desk), desk.sandbox, "batch_0", 0.0) is None


def test_a_failed_batch_shows_its_errors_and_drops_its_lines() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(jsonl(request_of("a"), {"custom_id": "b"}))["id"]
    desk.sandbox.clock.advance(10)

    facts = read(desk, id_)

    assert (facts.status, facts.is_over, facts.can_be_cancelled) == ("failed", True, False)
    assert facts.errors == (BatchError(2, "missing_required_parameter", "Missing required parameter: 'method'."),)
    assert outcomes(desk, id_) == [("dropped", None), ("dropped", None)]
    assert [each.output for each in items(desk, id_)] == ["", ""]


def test_a_line_that_is_no_object_has_no_name() -> None:
    desk = BatchClient()
    id_ = desk.create(b'[1]\n{bad\n{"custom_id": 5}\n{"a": 1}\n' + b'{"custom_id": "' + b"x" * 201 + b'"}\n')["id"]

    assert [each.name for each in items(desk, id_)] == ["", "", "5", "", "x" * 200]


def test_a_long_line_is_shown_up_to_its_first_65536_characters() -> None:
    desk = BatchClient()
    line = '{"custom_id": "a", "x": "' + "ü" * 70_000 + '"}'
    id_ = desk.create(line.encode())["id"]

    assert items(desk, id_)[0].input == line[:65_536]


def test_lines_that_had_not_ended_are_dropped_when_the_batch_is_cancelled() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(THREE)["id"]
    desk.sandbox.clock.advance(40)
    assert BATCH_READS.cancel is not None

    BATCH_READS.cancel(context_of(desk), desk.sandbox, id_, desk.sandbox.clock.now())

    facts = read(desk, id_)
    assert (facts.status, facts.is_over, facts.can_be_cancelled) == ("cancelled", True, False)
    assert timeline(facts) == {"created": 0, "validated": 10, "cancelled": 40, "finished": 40, "expires": 86_400}
    assert outcomes(desk, id_) == [("successful", 40), ("dropped", 70), ("dropped", 100)]
    assert [bool(each.output) for each in items(desk, id_)] == [True, False, False]
    assert desk.read(id_)["status"] == "cancelled"


def test_a_batch_that_is_cancelling_cannot_be_cancelled_again() -> None:
    desk = BatchClient(progression="time:100", **OPENAI)
    id_ = desk.create(THREE)["id"]
    desk.sandbox.clock.advance(40)
    assert BATCH_READS.cancel is not None

    BATCH_READS.cancel(context_of(desk), desk.sandbox, id_, desk.sandbox.clock.now())

    facts = read(desk, id_)
    assert (facts.status, facts.is_over, facts.can_be_cancelled) == ("cancelling", False, False)
    assert (timeline(facts)["cancelled"], timeline(facts)["finished"]) == (40, 50)


def test_a_batch_that_has_ended_cannot_be_cancelled() -> None:
    desk = BatchClient()
    id_ = desk.create(THREE)["id"]
    assert BATCH_READS.cancel is not None

    with pytest.raises(Refusal, match=r"^Cannot cancel a batch with status 'completed'\.$"):
        BATCH_READS.cancel(context_of(desk), desk.sandbox, id_, desk.sandbox.clock.now())


def test_a_hanging_line_has_no_end_and_expires() -> None:
    desk = BatchClient(progression="time:100")
    id_ = desk.create(jsonl(request_of("a"), request_of("b", "[mock:hang]")))["id"]
    desk.sandbox.clock.advance(100)

    facts = read(desk, id_)
    assert timeline(facts) == {
        "created": 0,
        "validated": 10,
        "last item": None,
        "finished": 86_400,
        "expires": 86_400,
    }
    assert outcomes(desk, id_)[1] == ("pending", None)
    desk.sandbox.clock.advance(86_400)
    assert outcomes(desk, id_)[1] == ("dropped", None)
    assert read(desk, id_).failed == 1


def test_a_read_is_no_poll() -> None:
    desk = BatchClient(progression="polls:2")
    id_ = desk.create(THREE)["id"]

    seen = [read(desk, id_).status for _ in range(5)]

    assert seen == ["validating"] * 5
    assert timeline(read(desk, id_)) == {
        "created": 0,
        "validated": 86_400,
        "last item": None,
        "finished": 86_400,
        "expires": 86_400,
    }


def test_the_lines_of_a_deleted_input_file_are_not_shown_after_the_end() -> None:
    desk = BatchClient()
    id_ = desk.run(THREE)["id"]
    [file] = [each for each in files_of(desk.sandbox).scan() if each.filename == "in.jsonl"]
    assert len(items(desk, id_)) == 3

    files_of(desk.sandbox).put(file.id, file._replace(deleted=True))

    assert items(desk, id_) == []


@pytest.mark.parametrize(
    ("expires_at", "deleted", "is_there"),
    [(None, False, True), (None, True, False), (1000, False, False), (1001, False, True)],
)
def test_a_file_is_read_until_it_is_deleted_or_expires(expires_at: int | None, deleted: bool, is_there: bool) -> None:
    desk = BatchClient()
    id_ = desk.put(b"content")
    file = files_of(desk.sandbox).get(id_)
    assert file is not None
    files_of(desk.sandbox).put(id_, file._replace(expires_at=expires_at, deleted=deleted))
    assert BATCH_READS.file is not None

    found = BATCH_READS.file(desk.sandbox, id_, 1000.0)

    assert (found is not None) is is_there
    assert found is None or (found.name, b"".join(found.content.chunks())) == ("in.jsonl", b"content")
    assert BATCH_READS.file(desk.sandbox, "file-none", 0.0) is None
