"""AgileCloud's batches as the admin API reads them."""

from collections.abc import Iterator
from typing import Any

import orjson

from mockserver.api.batch_reads import BatchError, BatchFacts, BatchItem, BatchReads, Milestone, StoredFile, known
from mockserver.api.call import ApiContext
from mockserver.http import StoredBytes
from mockserver.providers.agilecloud.batches.job import LIFECYCLE, BatchRecord, Status, jobs_of
from mockserver.providers.agilecloud.batches.operations import batch_json, cancel_observed, observe
from mockserver.providers.agilecloud.files import files_of
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import latest_of
from mockserver.workers import checkpoint

MAX_TEXT = 65_536
"""The most characters of a line that are shown."""


def latest(sandbox: Sandbox) -> Iterator[tuple[float, str]]:
    return ((each.batch.created, each.batch.id) for each in latest_of(jobs_of(sandbox)))


def read(context: ApiContext, sandbox: Sandbox, id_: str, now: float) -> BatchFacts | None:
    job = observe(context, sandbox, id_, now)
    if job is None:
        return None
    shown, status = batch_json(job, now), job.status(now)
    counts, files = shown["request_counts"], ("input_file_id", "output_file_id", "error_file_id")
    return BatchFacts(
        id=id_,
        kind=job.endpoint,
        account=job.batch.account,
        status=status,
        is_over=LIFECYCLE.is_final(status),
        progression=job.batch.progression,
        total=counts["total"],
        successful=counts["completed"],
        failed=counts["failed"],
        timeline=_timeline(job),
        files={name.partition("_")[0]: shown[name] for name in files if shown[name]},
        errors=tuple(
            BatchError(each.get("line"), each["code"], each["message"])
            for each in (shown["errors"] or {"data": ()})["data"]
        ),
        can_be_cancelled=not LIFECYCLE.is_final(status) and status is not Status.CANCELLING,
    )


def _timeline(job: BatchRecord) -> tuple[Milestone, ...]:
    created, started, ended = job.batch.created, job.items_start(), job.ended()
    return (
        Milestone("created", created),
        Milestone("validated", known(started)),
        *((Milestone("last item", known(job.batch.items_end())),) if job.cancelled > ended else ()),
        *((Milestone("cancelled", job.cancelled),) if known(job.cancelled) is not None else ()),
        Milestone("finished", known(ended)),
        Milestone("expires", job.expires_at),
    )


def items(context: ApiContext, sandbox: Sandbox, id_: str, now: float, start: int) -> Iterator[BatchItem]:
    """The lines of the input, with those of the output and error files once the batch has ended."""
    job = observe(context, sandbox, id_, now)
    lines = _input(sandbox, job) if job is not None else None
    if job is None or lines is None:
        return
    results = _Results(sandbox, job)
    for index, line in enumerate(each for group in lines.line_groups() for each in group if each.strip()):
        if index < start:
            checkpoint()
            continue
        name = _custom_id(line)
        item = BatchItem(index, name, _text(line), *_outcome(job, index, now))
        yield item._replace(output=results.find(name)) if job.is_collected else item


def _outcome(job: BatchRecord, index: int, now: float) -> tuple[str, float | None]:
    results = job.results
    if results is None or results.errors or index >= results.size:
        return ("dropped" if LIFECYCLE.is_final(job.status(now)) else "pending"), None
    due = job.batch.due(index)
    if due <= job.stopped(now) or (job.is_collected and job.status(now) is Status.COMPLETED):
        return ("successful" if results.succeeded[index] else "failed"), known(due)
    return ("dropped" if job.is_collected else "pending"), known(due)


def _input(sandbox: Sandbox, job: BatchRecord) -> StoredBytes | None:
    if job.input is not None:
        return job.input
    found = files_of(sandbox).get(job.input_file_id)
    return None if found is None or found.deleted else found.blob


class _Results:
    """Finds lines of the output and error files by custom_id. Reads the files once, as far as needed."""

    def __init__(self, sandbox: Sandbox, job: BatchRecord) -> None:
        ids = (job.output_file_id, job.error_file_id)
        files = (files_of(sandbox).get(each) for each in ids if each)
        self._lines = (line for file in files if file for group in file.blob.line_groups() for line in group if line)
        self._read: dict[str, str] = {}

    def find(self, name: str) -> str:
        """The result; empty if there is none."""
        while name not in self._read and (line := next(self._lines, None)) is not None:
            checkpoint()
            self._read.setdefault(_custom_id(line), _text(line))
        return self._read.get(name, "")


def _custom_id(line: bytes) -> str:
    try:
        value: Any = orjson.loads(line)
        return str(value.get("custom_id", ""))[:200] if isinstance(value, dict) else ""
    except orjson.JSONDecodeError:
        return ""


def _text(line: bytes) -> str:
    return line[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]


def file(sandbox: Sandbox, id_: str, now: float) -> StoredFile | None:
    found = files_of(sandbox).get(id_)
    if found is None or found.deleted or (found.expires_at is not None and found.expires_at <= now):
        return None
    return StoredFile(found.filename, found.blob)


BATCH_READS: BatchReads = BatchReads(latest, read, items, cancel_observed, file)
