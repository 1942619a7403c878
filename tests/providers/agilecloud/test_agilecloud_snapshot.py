"""What no server would have left on AgileCloud's shelves is found, and what one did leave is not."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from batch_client import BatchClient, chats, request_of
from effort import effort_within
from forgeries import TOKEN, fill

from mockserver.api.call import ApiContext
from mockserver.providers.agilecloud.batches.job import BatchRecord, jobs_of
from mockserver.providers.agilecloud.batches.run import LineResults, VersionUse
from mockserver.providers.agilecloud.files import files_of
from mockserver.providers.agilecloud.prompts.prompt import AbTest, Prompt, PromptVersion, VersionStats, VersionStatus
from mockserver.providers.agilecloud.rate_limit import Bucket
from mockserver.providers.agilecloud.snapshot import snapshot_problems
from mockserver.providers.agilecloud.usage import UsageEntry, UsageTotal
from mockserver.sandbox.batches import ItemOutcome, Progression
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.conditions import InputRejection

LATE = 1e300
NAMES = ("jobs", "files", "prompts", "usage", "usage_starts", "usage_ends", "buckets", "asked")


@pytest.fixture(scope="module")
def desk() -> Iterator[BatchClient]:
    desk = BatchClient(token=TOKEN, rate_limit=60_000)
    fill(desk.engine)
    yield desk


def world_of(desk: BatchClient) -> ApiContext:
    return next(each.world for each in desk.engine.services if each.operation.key == "createBatch")


def shelves_of(desk: BatchClient) -> dict[str, dict[str, Any]]:
    return {name: dict(desk.sandbox.collection(f"agilecloud.{name}", object).items()) for name in NAMES}


def complaints(desk: BatchClient, **shelves: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = snapshot_problems(world_of(desk), {f"agilecloud.{name}": shelf for name, shelf in shelves.items()})
    return [(each.place.removeprefix("agilecloud."), each.complaint) for each in found]


def test_an_export_of_a_server_is_consistent(desk: BatchClient) -> None:
    shelves = shelves_of(desk)

    assert all(shelves[name] for name in ("jobs", "files", "prompts", "usage", "usage_ends", "buckets"))
    assert complaints(desk, **shelves) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": "file-x"}, "its id is another"),
        ({"purpose": "x"}, "File.purpose: 'x' is not one of"),
        ({"size": 3}, "its size is 3; its blob has 2 bytes"),
        ({"blob": Blob.in_memory(b"")}, "its size is 2; its blob has 0 bytes"),
        ({"created_at": -1}, "a time of it is before 1970, or past the year 9999"),
        ({"expires_at": 2**63}, "a time of it is before 1970, or past the year 9999"),
    ],
)
def test_an_import_with_an_inconsistent_file_is_rejected(
    desk: BatchClient, changes: dict[str, Any], complaint: str
) -> None:
    id_ = desk.put(b"{}")
    record = files_of(desk.sandbox).get(id_)
    assert record is not None
    files_of(desk.sandbox).delete(id_)

    assert complaints(desk, files={id_: record}) == []
    [found] = complaints(desk, files={id_: record._replace(**changes)})
    assert (found[0], found[1].startswith(complaint)) == (f"files.{id_}", True)


def test_a_deleted_file_keeps_its_size_in_an_import(desk: BatchClient) -> None:
    id_ = desk.put(b"{}")
    record = files_of(desk.sandbox).get(id_)
    assert record is not None
    files_of(desk.sandbox).delete(id_)

    assert complaints(desk, files={id_: record.gone()}) == []


def of_batch(**changes: Any) -> Callable[[BatchRecord], BatchRecord]:
    return lambda job: job._replace(batch=job.batch._replace(**changes))


def of_work(**changes: Any) -> Callable[[BatchRecord], BatchRecord]:
    def change(job: BatchRecord) -> BatchRecord:
        assert job.worked is not None
        return job._replace(worked=job.worked._replace(**changes))

    return change


def of_job(**changes: Any) -> Callable[[BatchRecord], BatchRecord]:
    return lambda job: job._replace(**changes)


ERROR = {"code": "x", "message": "x", "param": None, "line": None}
FAILED = LineResults(0, (ERROR,), {}, b"", Blob.in_memory(b""), Blob.in_memory(b""), {})
TIMELINE = "its timeline does not agree with itself"
CANCELLED = "it was cancelled before its beginning, or past the year 9999"
GOOD = "worked: good does not say 0 or 1 of each of 2 items"
TRADES = "worked: its trades are of more or fewer requests than have succeeded"
AMOUNT = "worked: a trade is of less than nothing, or of more than an account may use"
MODEL = "worked: it names a model that this server does not serve"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (of_batch(id="x"), "its id is another"),
        (of_batch(fates=None), TIMELINE),
        (of_batch(fates={2: ItemOutcome(500)}), TIMELINE),
        (of_batch(fates={0: ItemOutcome(slowness=-1.0)}), TIMELINE),
        (of_batch(created=-1.0), TIMELINE),
        (of_batch(progression=Progression("polls", 0)), TIMELINE),
        (of_batch(progression=Progression("warp")), TIMELINE),
        (of_batch(reads=(5.0,)), TIMELINE),
        (of_batch(progression=Progression("polls", 2), reads=(LATE,)), TIMELINE),
        (of_batch(price=-1), TIMELINE),
        (of_batch(size=3), "worked: its size is 2; that of its batch is 3"),
        (of_job(cancelled=-LATE), CANCELLED),
        (of_job(cancelled=LATE), CANCELLED),
        (of_job(cancel_seen=5.0), CANCELLED),
        (of_job(output_expires_after=2**63), f"its files expire after {2**63} seconds"),
        (of_job(output_file_id="x"), "it wrote the file x, which is not there"),
        (of_job(error_file_id="x"), "it wrote the file x, which is not there"),
        (of_job(worked=None), "it has a size, and no line was read yet"),
        (of_job(worked=FAILED._replace(size=2)), "worked: it has errors, and a size of 2"),
        (of_job(worked=FAILED._replace(errors=({**ERROR, "line": b"1"},))), "BatchError: it is no JSON"),
        (
            of_job(worked=FAILED._replace(errors=({**ERROR, "line": 0},))),
            "BatchError.line: 0 is less than the minimum of 1",
        ),
        (of_job(rejection=InputRejection("x", 0)), "BatchError.line: 0 is less than the minimum of 1"),
        (of_job(metadata={"x": "y" * 1000}), "Metadata.x: 'yyy"),
        (of_job(prompts={"x": 5}), "prompts.x: no prompt"),
        (of_job(prompts={"\n": Prompt("")}), "prompts.\n: its versions are not numbered from 1"),
        (of_work(good=b"\1"), GOOD),
        (of_work(good=b"\1\2"), GOOD),
        (of_work(fates={2: ItemOutcome(500)}), "worked: its fates are not those of its items"),
        (of_work(trades={}), TRADES),
        (of_work(trades={"gpt-4o-mini": UsageTotal(1, -1, 0, 0)}), AMOUNT),
        (of_work(trades={"gpt-4o-mini": UsageTotal(1, 0, 2**41, 0)}), AMOUNT),
        (of_work(uses=(VersionUse("greeting", 1, UsageTotal(cost=-1)),)), AMOUNT),
        (of_work(trades={"x": UsageTotal(1)}), MODEL),
        (of_work(model="x"), MODEL),
    ],
)
def test_an_import_with_an_inconsistent_batch_is_rejected(
    desk: BatchClient, change: Callable[[BatchRecord], BatchRecord], complaint: str
) -> None:
    job = worked_job(desk)
    changed = change(job)

    found = complaints(desk, jobs={job.batch.id: changed}, files=dict(files_of(desk.sandbox).items()))

    assert complaints(desk, jobs={job.batch.id: job}, files=dict(files_of(desk.sandbox).items())) == []
    assert any(place == f"jobs.{job.batch.id}" and said.startswith(complaint) for place, said in found), found
    assert len(found) <= 2


def worked_job(desk: BatchClient) -> BatchRecord:
    """A job of two lines, one of which has failed."""
    id_ = desk.run(b"\n".join((chats(1).strip(), request_line("[mock:fail]"))))["id"]
    job = jobs_of(desk.sandbox).get(id_)
    assert job is not None and job.worked is not None and (job.worked.size, job.worked.good) == (2, b"\1\0")
    return job


def request_line(text: str) -> bytes:
    return json.dumps(request_of("failing", text)).encode()


def test_an_import_of_a_failed_or_waiting_batch_needs_no_outputs(desk: BatchClient) -> None:
    job = worked_job(desk)
    alone = job._replace(batch=job.batch._replace(size=1, fates={}), output_file_id=None, error_file_id=None)

    for each in (
        alone._replace(worked=None),
        alone._replace(worked=FAILED),
        alone._replace(cancelled=math.inf)._replace(worked=FAILED),
    ):
        assert complaints(desk, jobs={job.batch.id: each}) == []


VERSION = PromptVersion(1, "Say {{ word }}", status=VersionStatus.PUBLISHED)
DRAFT = PromptVersion(2, messages=({"role": "user", "content": "Hello"},))
TEST = AbTest(1, 2, 0.5, 5.0, {1: VersionStats(3, 1, 20, 30)})
PROMPT = Prompt("greeting", "ann", versions=(VERSION, DRAFT), ab_test=TEST)
PUBLISHED, NUMBERED, CONTENT = (
    "more than one of its versions is published",
    "its versions are not numbered from 1",
    "a version has messages without role or content, or is no JSON",
)
DATED = "a time of it is before 1970, or past the year 9999"
TESTED = "its test is of versions that are not there, or its counts make no sense"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"slug": "x"}, "its account or slug is another"),
        ({"account": "bob"}, "its account or slug is another"),
        ({"versions": (), "ab_test": None}, NUMBERED),
        ({"versions": (DRAFT, VERSION)}, NUMBERED),
        ({"versions": (VERSION, DRAFT._replace(status=VersionStatus.PUBLISHED))}, PUBLISHED),
        ({"versions": (VERSION, DRAFT._replace(messages=({"role": "user"},)))}, CONTENT),
        ({"versions": (VERSION, DRAFT._replace(messages=({"role": 5, "content": "x"},)))}, CONTENT),
        ({"versions": (VERSION, DRAFT._replace(model_config={"stop": b"x"}))}, CONTENT),
        ({"versions": (VERSION, DRAFT._replace(published_at=-1.0))}, DATED),
        ({"archived_at": math.inf}, DATED),
        ({"ab_test": TEST._replace(version_b=3)}, TESTED),
        ({"ab_test": TEST._replace(version_a=0)}, TESTED),
        ({"ab_test": TEST._replace(split=2.0)}, TESTED),
        ({"ab_test": TEST._replace(started_at=LATE)}, TESTED),
        ({"ab_test": TEST._replace(uses={1: VersionStats(-1)})}, TESTED),
    ],
)  # fmt: skip
def test_an_import_with_an_inconsistent_prompt_is_rejected(
    desk: BatchClient, changes: dict[str, Any], complaint: str
) -> None:
    key = "ann\ngreeting"

    assert complaints(desk, prompts={key: PROMPT}) == []
    assert complaints(desk, prompts={key: PROMPT._replace(**changes)}) == [(f"prompts.{key}", complaint)]


ENTRY = UsageEntry(5.0, "createChatCompletion", "gpt-4o-mini", 10, 20)
AGE, LIMITS = (
    "an entry is from before 1970, or past the year 9999",
    f"an entry is of less than nothing, or all are of more than {2**40} tokens",
)


def usage_of(*entries: UsageEntry) -> dict[str, Any]:
    return {"usage": {f"ann\n{n}": each for n, each in enumerate(entries)}, "usage_ends": {"ann": len(entries)}}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"at": -math.inf}, AGE),
        ({"model": "x"}, "it names the model x, which this server does not serve"),
        ({"prompt_tokens": -1}, LIMITS),
        ({"completion_tokens": 2**40}, LIMITS),
        ({"cost": 2**63}, LIMITS),
        ({"requests": -1}, LIMITS),
    ],
)
def test_an_import_with_invalid_usage_is_rejected(desk: BatchClient, changes: dict[str, Any], complaint: str) -> None:
    assert complaints(desk) == complaints(desk, **usage_of()) == complaints(desk, **usage_of(ENTRY)) == []
    assert complaints(desk, **usage_of(ENTRY, ENTRY._replace(**changes))) == [("usage_ends.ann", complaint)]


@pytest.mark.parametrize(
    ("start", "end", "complaint"),
    [
        (0, 3, "an entry of it is not there"),
        (-1, 2, "wanted numbers from 0, and at most 10000 of them"),
        (3, 2, "wanted numbers from 0, and at most 10000 of them"),
        (0, 2**30, "wanted numbers from 0, and at most 10000 of them"),
    ],
)
def test_a_usage_whose_numbers_are_others(desk: BatchClient, start: int, end: int, complaint: str) -> None:
    numbers = {"usage_starts": {"ann": start}, "usage_ends": {"ann": end}}

    assert complaints(desk, **{**usage_of(ENTRY, ENTRY), **numbers}) == [("usage_ends.ann", complaint)]


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": math.inf},
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

    assert complaints(desk, buckets={"ann": bucket, "bob": Bucket(0, 0.0, 0.0, 0.0, 3, 100)}) == []
    assert len(complaints(desk, buckets={"ann": bucket._replace(**changes)})) == 1


def test_large_imports_are_checked_quickly(desk: BatchClient) -> None:
    usage = usage_of(*[ENTRY] * 2000)

    with effort_within(30_000):
        assert complaints(desk, **usage) == []
