"""What no server would have kept in AgileCloud's collections is not imported, and what one did keep is."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
import pytest
from batch_client import BatchClient, chats, request_of
from effort import effort_within
from forgeries import TOKEN, fill

from mockserver.providers.agilecloud.batches.job import BatchRecord, jobs_of
from mockserver.providers.agilecloud.batches.results import LineResults, VersionUse
from mockserver.providers.agilecloud.files import files_of
from mockserver.providers.agilecloud.prompts.prompt import AbTest, Prompt, PromptVersion, VersionStats, VersionStatus
from mockserver.providers.agilecloud.rate_limit import Bucket
from mockserver.providers.agilecloud.usage import UsageEntry, UsageTotal
from mockserver.sandbox.batches import ItemOutcome, Progression
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.conditions import InputRejection
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.web.admin.snapshots import read_import, snapshots_of

LATE = 1e300
NAMES = ("jobs", "files", "prompts", "usage", "usage_starts", "usage_ends", "buckets", "asked")


@pytest.fixture(scope="module")
def desk() -> Iterator[BatchClient]:
    desk = BatchClient(token=TOKEN, rate_limit=60_000)
    fill(desk.engine)
    yield desk


def shelves_of(desk: BatchClient) -> dict[str, dict[str, Any]]:
    return {name: dict(desk.sandbox.collection(f"agilecloud.{name}", object).items()) for name in NAMES}


def complaint_about(desk: BatchClient, **shelves: Mapping[str, Any]) -> str:
    """Why an export with these collections is refused; empty if it is imported."""
    snapshots = snapshots_of(desk.engine)
    taken = snapshots.snapshot_of(desk.sandbox)
    kept = {f"agilecloud.{name}": rows for name, rows in shelves.items()}
    kept["accounts"] = taken.collections["accounts"]
    document = orjson.loads(b"".join(snapshots.encode(taken._replace(collections=kept))))
    try:
        read_import(desk.engine, document)
    except SnapshotError as error:
        return str(error).removeprefix("sandbox.collections.agilecloud.")
    return ""


def complaint_about_changed(desk: BatchClient, name: str, key: str, change: Callable[[], Any], **shelves: Any) -> str:
    """Why the changed value is refused, already when it is made, or when it is imported."""
    try:
        changed = change()
    except ValueError as error:
        return f"{name}.{key}: {error}"
    return complaint_about(desk, **{name: {key: changed}, **shelves})


def test_an_export_of_a_server_is_consistent(desk: BatchClient) -> None:
    shelves = shelves_of(desk)

    assert all(shelves[name] for name in ("jobs", "files", "prompts", "usage", "usage_ends", "buckets"))
    assert complaint_about(desk, **shelves) == ""


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": "file-x"}, "its id is another"),
        ({"purpose": "x"}, "File.purpose: 'x' is not one of"),
        ({"size": 3}, "its size is 3; its blob has 2 bytes"),
        ({"blob": Blob.in_memory(b"")}, "its size is 2; its blob has 0 bytes"),
        ({"created_at": -1}, "Expected `int` >= 0"),
        ({"expires_at": 2**63}, "Expected `int` <= "),
        ({"expires_at": 2**62}, "Expected `int` <= "),
    ],
)
def test_an_import_with_an_inconsistent_file_is_rejected(
    desk: BatchClient, changes: dict[str, Any], complaint: str
) -> None:
    id_ = desk.put(b"{}")
    record = files_of(desk.sandbox).get(id_)
    assert record is not None
    files_of(desk.sandbox).delete(id_)

    found = complaint_about_changed(desk, "files", id_, lambda: record._replace(**changes))
    assert complaint_about(desk, files={id_: record}) == ""
    assert found.startswith(f"files.{id_}") and complaint in found, found


def test_a_deleted_file_keeps_its_size_in_an_import(desk: BatchClient) -> None:
    id_ = desk.put(b"{}")
    record = files_of(desk.sandbox).get(id_)
    assert record is not None
    files_of(desk.sandbox).delete(id_)

    assert complaint_about(desk, files={id_: record.gone()}) == ""


def of_batch(**changes: Any) -> Callable[[BatchRecord], BatchRecord]:
    return lambda job: job._replace(batch=job.batch._replace(**changes))


def of_work(**changes: Any) -> Callable[[BatchRecord], BatchRecord]:
    def change(job: BatchRecord) -> BatchRecord:
        assert job.results is not None
        return job._replace(results=job.results._replace(**changes))

    return change


def of_job(**changes: Any) -> Callable[[BatchRecord], BatchRecord]:
    return lambda job: job._replace(**changes)


ERROR = {"code": "x", "message": "x", "param": None, "line": None}
FAILED = LineResults(0, (ERROR,), {}, b"", Blob.in_memory(b""), Blob.in_memory(b""), {})
CANCELLED = "it was cancelled before its beginning"
GOOD = "succeeded does not say 0 or 1 of each of 2 items"
TRADES = "its usage is of more or fewer requests than have succeeded"
MODEL = "which this server does not serve"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (of_batch(id="x"), "its id is another"),
        (of_batch(account="0" * 32), "its account is not there"),
        (of_batch(outcomes={2: ItemOutcome(500)}), "it has an outcome for item 2, and 2 items"),
        (of_batch(outcomes={0: ItemOutcome(slowness=-1.0)}), "-1.0 is no number from 0"),
        (of_batch(created=-1.0), "Expected `float` >= 0"),
        (of_batch(progression=Progression("polls", 1), reads=(5.0,)), "its reads do not rise"),
        (of_batch(reads=(LATE,)), "its reads do not rise, or are more"),
        (of_batch(progression=Progression("polls", 2), reads=(LATE,)), "Expected `float` <= "),
        (of_batch(price=-1), "Expected `int` >= 0"),
        (of_batch(size=3), "results: its size is 2; that of its batch is 3"),
        (of_job(cancelled=-LATE), CANCELLED),
        (of_job(cancel_seen=5.0), CANCELLED),
        (of_job(output_expires_after=2**62), "Expected `int` <= "),
        (of_job(output_file_id="x"), "it wrote the file x, which is not there"),
        (of_job(error_file_id="x"), "it wrote the file x, which is not there"),
        (of_job(results=None), "it has a size, and no line was read yet"),
        (of_work(errors=(ERROR,)), "it has errors, and a size of 2"),
        (of_job(rejection=InputRejection("x", 0)), "BatchError.line: 0 is less than the minimum of 1"),
        (of_job(metadata={"x": "y" * 1000}), "Batch.metadata.x: 'yyy"),
        (of_job(prompts={"x": 5}), "Expected `object`, got `int`"),
        (of_job(prompts={"\n": Prompt("")}), "it cannot be read back"),
        (of_work(succeeded=b"\1"), GOOD),
        (of_work(succeeded=b"\1\2"), GOOD),
        (of_work(outcomes={0: ItemOutcome(500), 2: ItemOutcome(500)}), "its outcomes are not those of its items"),
        (of_work(usage={}), TRADES),
        (of_work(usage={"gpt-4o-mini": UsageTotal(1, -1, 0, 0)}), "Expected `int` >= 0"),
        (of_work(usage={"gpt-4o-mini": UsageTotal(1, 0, 2**41, 0)}), "Expected `int` <= "),
        (of_work(uses=(VersionUse("greeting", 1, UsageTotal(cost=-1)),)), "Expected `int` >= 0"),
        (of_work(usage={"x": UsageTotal(1)}), MODEL),
        (of_work(model="x"), MODEL),
    ],
)
def test_an_import_with_an_inconsistent_batch_is_rejected(
    desk: BatchClient, change: Callable[[BatchRecord], BatchRecord], complaint: str
) -> None:
    job = worked_job(desk)
    files = dict(files_of(desk.sandbox).items())

    found = complaint_about_changed(desk, "jobs", job.batch.id, lambda: change(job), files=files)

    assert complaint_about(desk, jobs={job.batch.id: job}, files=files) == ""
    assert found.startswith(f"jobs.{job.batch.id}") and complaint in found, found


@pytest.mark.parametrize("error", [{**ERROR, "line": 0}, {"message": "x"}])
def test_an_import_of_a_batch_that_failed_for_no_documented_error_is_rejected(desk: BatchClient, error: Any) -> None:
    job = worked_job(desk)
    alone = {"batch": job.batch._replace(size=1, outcomes={}), "output_file_id": None, "error_file_id": None}
    failed = job._replace(**alone, results=FAILED._replace(errors=(error,)))

    found = complaint_about(desk, jobs={job.batch.id: failed})

    assert found.startswith(f"jobs.{job.batch.id}: it cannot be read back: Batch.errors.data.0"), found


def worked_job(desk: BatchClient) -> BatchRecord:
    """A job of two lines, one of which has failed."""
    id_ = desk.run(b"\n".join((chats(1).strip(), request_line("[mock:fail]"))))["id"]
    job = jobs_of(desk.sandbox).get(id_)
    assert job is not None and job.results is not None and (job.results.size, job.results.succeeded) == (2, b"\1\0")
    return job


def request_line(text: str) -> bytes:
    return json.dumps(request_of("failing", text)).encode()


def test_an_import_of_a_failed_or_waiting_batch_needs_no_outputs(desk: BatchClient) -> None:
    job = worked_job(desk)
    alone = {"batch": job.batch._replace(size=1, outcomes={}), "output_file_id": None, "error_file_id": None}

    for changes in ({"results": None}, {"results": FAILED}, {"cancelled": math.inf, "results": FAILED}):
        assert complaint_about(desk, jobs={job.batch.id: job._replace(**alone, **changes)}) == ""


VERSION = PromptVersion(1, "Say {{ word }}", status=VersionStatus.PUBLISHED)
DRAFT = PromptVersion(2, messages=({"role": "user", "content": "Hello"},))
TEST = AbTest(1, 2, 0.5, 5.0, {1: VersionStats(3, 1, 20, 30)})
PROMPT = Prompt("greeting", "ann", versions=(VERSION, DRAFT), ab_test=TEST)
PUBLISHED, NUMBERED = "more than one of its versions is published", "its versions are not numbered from 1"
UNREADABLE = "it cannot be read back"
TESTED = "its test is of versions that are not there"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"slug": "x"}, "its account or slug is another"),
        ({"account": "bob"}, "its account or slug is another"),
        ({"versions": (), "ab_test": None}, UNREADABLE),
        ({"versions": (DRAFT, VERSION)}, NUMBERED),
        ({"versions": (VERSION, DRAFT._replace(status=VersionStatus.PUBLISHED))}, PUBLISHED),
        ({"versions": (VERSION, DRAFT._replace(messages=({"role": "user"},)))}, UNREADABLE),
        ({"versions": (VERSION, DRAFT._replace(messages=({"role": 5, "content": "x"},)))}, UNREADABLE),
        ({"versions": (VERSION, DRAFT._replace(published_at=-1.0))}, "Expected `float` >= 0"),
        ({"archived_at": LATE}, "Expected `float` <= "),
        ({"ab_test": TEST._replace(version_b=3)}, TESTED),
        ({"ab_test": TEST._replace(version_a=0)}, TESTED),
        ({"ab_test": TEST._replace(split=2.0)}, "Expected `float` <= 1"),
        ({"ab_test": TEST._replace(started_at=LATE)}, "Expected `float` <= "),
        ({"ab_test": TEST._replace(uses={1: VersionStats(-1)})}, "Expected `int` >= 0"),
    ],
)  # fmt: skip
def test_an_import_with_an_inconsistent_prompt_is_rejected(
    desk: BatchClient, changes: dict[str, Any], complaint: str
) -> None:
    key = "ann\ngreeting"

    found = complaint_about_changed(desk, "prompts", key, lambda: PROMPT._replace(**changes))
    assert complaint_about(desk, prompts={key: PROMPT}) == ""
    assert found.startswith(f"prompts.{key}") and complaint in found, found


ENTRY = UsageEntry(5.0, "createChatCompletion", "gpt-4o-mini", 10, 20)


def usage_of(*entries: UsageEntry) -> dict[str, Any]:
    return {"usage": {f"ann\n{n}": each for n, each in enumerate(entries)}, "usage_ends": {"ann": len(entries)}}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"at": -1.0}, "Expected `float` >= 0"),
        ({"model": "x"}, "it names the model x, which this server does not serve"),
        ({"prompt_tokens": -1}, "Expected `int` >= 0"),
        ({"completion_tokens": 2**40 + 1}, "Expected `int` <= "),
        ({"cost": 2**62 + 1}, "Expected `int` <= "),
        ({"requests": -1}, "Expected `int` >= 0"),
    ],
)
def test_an_import_with_invalid_usage_is_rejected(desk: BatchClient, changes: dict[str, Any], complaint: str) -> None:
    found = complaint_about(desk, **usage_of(ENTRY, ENTRY._replace(**changes)))
    assert [complaint_about(desk, **each) for each in ({}, usage_of(), usage_of(ENTRY))] == ["", "", ""]
    assert found.startswith(("usage.ann", "usage_ends.ann")) and complaint in found, found


@pytest.mark.parametrize(
    ("start", "end", "complaint"),
    [
        (0, 3, "an entry of it is not there"),
        (-1, 2, "Expected `int` >= 0"),
        (3, 2, "an entry of it is not there"),
        (0, 2**30, "an entry of it is not there"),
    ],
)
def test_a_usage_whose_numbers_are_others(desk: BatchClient, start: int, end: int, complaint: str) -> None:
    numbers = {"usage_starts": {"ann": start}, "usage_ends": {"ann": end}}

    with effort_within(5_000_000):
        found = complaint_about(desk, **{**usage_of(ENTRY, ENTRY), **numbers})
    assert found.startswith("usage_") and complaint in found, found


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": LATE},
        {"tokens": -1.0},
        {"at": LATE},
        {"limit": -1},
        {"since": LATE},
        {"asked": -1},
        {"spent": 2**60},
    ],
)
def test_an_import_with_an_invalid_rate_limit_is_rejected(desk: BatchClient, changes: dict[str, Any]) -> None:
    bucket = Bucket(60, 5.0, 0.0)

    assert complaint_about(desk, buckets={"ann": bucket, "bob": Bucket(0, 0.0, 0.0, 0.0, 3, 100)}) == ""
    assert complaint_about(desk, buckets={"ann": bucket._replace(**changes)}).startswith("buckets.ann.")


def test_large_imports_are_checked_quickly(desk: BatchClient) -> None:
    usage = usage_of(*[ENTRY] * 2000)
    complaint_about(desk)

    with effort_within(600_000):
        assert complaint_about(desk, **usage) == ""
