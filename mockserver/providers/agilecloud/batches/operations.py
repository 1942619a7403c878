"""AgileCloud's batch operations: create, retrieve, list, cancel; and the files of a finished batch."""

import math
from collections.abc import Iterator
from functools import cache, partial
from itertools import islice
from typing import Any

from mockserver.api.call import ApiContext, Call
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Request, Response, StoredBytes
from mockserver.openapi.generate.steps import MAX_BATCH_STEPS, Budget
from mockserver.providers.agilecloud import files
from mockserver.providers.agilecloud.batches.input import rejection_error
from mockserver.providers.agilecloud.batches.job import DEFAULT_WINDOW, LIFECYCLE, BatchRecord, Status, jobs_of
from mockserver.providers.agilecloud.batches.results import LineResults, rejected_file
from mockserver.providers.agilecloud.batches.run import RunContext, run_lines
from mockserver.providers.agilecloud.context import (
    context_models,
    context_prices,
    leaves_blank,
    live_schema,
    own_settings,
)
from mockserver.providers.agilecloud.files import BATCH_FILE_LIFE, FileRecord, find_file, keep_file
from mockserver.providers.agilecloud.prompts.operations import prompt_book
from mockserver.providers.agilecloud.prompts.repository import find_prompt, prompts_of
from mockserver.providers.agilecloud.usage import UsageTotal, meter_batch
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.blobs import no_room
from mockserver.sandbox.conditions import InputRejection
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.parse import read_capacity
from mockserver.stores.collection import latest_of

VALIDATING_SHARE = 0.1
"""The share of a timed batch's duration before its items."""
OPENAI = "openai"
FOREIGN_PURPOSE = "invalid_file_purpose"
"""The code of the error for a file of another purpose."""
DEFAULT_PAGE = 20
"""The default page size of the list."""


def create_batch(call: Call) -> Response:
    body = call.body
    found = find_file(call, body["input_file_id"])
    conditions = call.sandbox.conditions
    is_openai = own_settings(call).agilecloud_profile == OPENAI
    identity = call.sandbox.ids.next(call.operation.key, call.canonical)
    expiry = body.get("output_expires_after") or {}
    job = BatchRecord(
        batch=_timeline(f"batch_{identity.hex()}", call, is_openai=is_openai),
        endpoint=body["endpoint"],
        input_file_id=body["input_file_id"],
        input=found.blob if found and found.purpose == "batch" else None,
        metadata=body.get("metadata"),
        output_expires_after=expiry.get("seconds"),
        is_openai=is_openai,
        rejection=_purpose_rejection(found) if found and found.purpose != "batch" else conditions.input,
        window=body.get("completion_window") or DEFAULT_WINDOW,
    )
    jobs_of(call.sandbox).put(job.batch.id, job)
    return call.reply(batch_json(job, -math.inf))  # nothing has happened yet, not even under `immediate`


def retrieve_batch(call: Call) -> Response:
    # Apply elapsed time first: a final status is not changed by a status request.
    job = _advance(call, _advance(call, _find(call)).read_at(call.now))
    return call.reply(batch_json(job, call.now))


def list_batches(call: Call) -> Response:
    conditions, account = call.sandbox.conditions, call.account.key
    mine = (
        job
        for job in latest_of(jobs_of(call.sandbox))
        if job.batch.account == account and not conditions.forgets(job.batch.created, call.now)
    )
    after, limit = call.arguments.get("after"), int(call.arguments.get("limit", DEFAULT_PAGE))
    limit = min(limit, conditions.page_size or limit)
    if after is not None and not any(job.batch.id == after for job in mine):
        raise _unknown(after, ("query", "after"))
    found = list(islice(mine, limit + 1))
    page = [batch_json(_advance(call, job), call.now) for job in found[:limit]]
    return call.reply(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(found) > limit,
        }
    )


def list_files(call: Call) -> Response:
    """The files, including those of batches that have ended since the last request."""
    for job in jobs_of(call.sandbox).scan():
        if job.batch.account == call.account.key and not job.is_collected:
            _advance(call, job)
    return files.list_files(call)


def cancel_batch(call: Call) -> Response:
    job = _advance(call, _find(call))
    status = job.status(call.now)
    if status in {Status.CANCELLING, Status.CANCELLED}:
        return call.reply(batch_json(job, call.now))
    if LIFECYCLE.is_final(status):
        raise Refusal(Reason.CONFLICT, f"Cannot cancel a batch with status '{status}'.")
    return call.reply(batch_json(_advance(call, job._replace(cancelled=call.now)), call.now))


def observe(context: ApiContext, sandbox: Sandbox, id_: str, now: float) -> BatchRecord | None:
    """The batch after everything that is due by now, without a poll; None for an unknown id."""
    job = jobs_of(sandbox).get(id_)
    return None if job is None else _advance(_observing(context, sandbox, job, now), job)


def cancel_observed(context: ApiContext, sandbox: Sandbox, id_: str, now: float) -> None:
    """Cancel a known batch; raises Refusal if it is over."""
    job = jobs_of(sandbox).get(id_)
    if job is not None:
        cancel_batch(_observing(context, sandbox, job, now))


def _observing(context: ApiContext, sandbox: Sandbox, job: BatchRecord, now: float) -> Call:
    """The call by which the batch's own account would cancel it."""
    operation = context.operation("cancelBatch")
    assert operation is not None, "there is no batch without its operations"
    account = sandbox.accounts.with_key(job.batch.account)
    request = Request(operation.method, operation.path)
    return Call(operation, request, sandbox, now, account, {"batch_id": job.batch.id}, None, context)


def batch_rows(sandbox: Sandbox, now: float) -> Iterator[dict[str, Any]]:
    """Every account's batches. A batch that is due, but was not read since, is still validating."""
    for job in jobs_of(sandbox).scan():
        is_due = job.results is None and job.input is not None and now >= job.items_start()
        status = {"status": Status.VALIDATING} if is_due else {}
        yield {**batch_json(job, -math.inf if is_due else now), **status, "account": job.batch.account}


def batch_json(job: BatchRecord, now: float) -> dict[str, Any]:
    """The batch object."""
    status = job.status(now)
    failed = status is Status.FAILED
    results = job.results if job.results and not job.results.errors and status is not Status.VALIDATING else None
    began = job.items_start() if results else math.inf
    return {
        "id": job.batch.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "model": results.model if results else None,
        "errors": _errors(job) if failed else None,
        "input_file_id": job.input_file_id,
        "completion_window": job.window,
        "status": status,
        "output_file_id": job.output_file_id,
        "error_file_id": job.error_file_id,
        "created_at": int(job.batch.created),
        "in_progress_at": _past(began, job.stopped(now)),
        "expires_at": int(job.expires_at),
        "finalizing_at": _past(job.batch.items_end(), job.stopped(now)) if job.is_openai and results else None,
        "completed_at": _past(job.ended(), now) if status is Status.COMPLETED else None,
        "failed_at": int(job.ended() if results else job.items_start()) if failed else None,
        "expired_at": _past(job.ended(), now) if status is Status.EXPIRED else None,
        "cancelling_at": _past(job.cancelled, now),
        "cancelled_at": _past(job.ended(), now) if status is Status.CANCELLED else None,
        "request_counts": job.counts(now),
        "usage": _usage(results) if job.is_collected and results and results.usage else None,
        "metadata": job.metadata,
    }


def _timeline(id_: str, call: Call, *, is_openai: bool) -> Batch:
    conditions = call.sandbox.conditions
    return Batch(
        id=id_,
        kind="agilecloud",
        account=call.account.key,
        size=1,
        body=b"",
        texts_key="",
        created=call.now,
        progression=call.sandbox.progression,
        archives=is_openai,
        head=VALIDATING_SHARE,
        not_before=max(read_capacity(conditions.capacity or own_settings(call).capacity), 0.0),
        plan=conditions.items,
        outcomes={},
    )


def _find(call: Call) -> BatchRecord:
    id_ = call.arguments["batch_id"]
    job = jobs_of(call.sandbox).get(id_)
    if (
        job is None
        or job.batch.account != call.account.key
        or call.sandbox.conditions.forgets(job.batch.created, call.now)
    ):
        raise _unknown(id_, ("path", "batch_id"))
    return job


def _unknown(id_: str, location: tuple[str, str]) -> Refusal:
    violation = Violation(location, "", f"no batch of this account has the id {id_[:100]!r}")
    return Refusal(Reason.NOT_FOUND, f"No batch found with id '{id_[:100]}'.", violations=[violation])


def _advance(call: Call, job: BatchRecord) -> BatchRecord:
    """The stored batch after everything that is due by now."""
    if job.results is None and job.input is not None and job.items_start() <= min(call.now, job.cancelled):
        if not call.sandbox.claim_work(job.batch.id):
            return job
        job = _run_batch(call, job, job.input)
    if job.results and not job.is_collected and LIFECYCLE.is_final(job.status(call.now)):
        job = _store_results(call, job, job.results)
    jobs_of(call.sandbox).put(job.batch.id, job)
    return job


def _run_batch(call: Call, job: BatchRecord, blob: StoredBytes) -> BatchRecord:
    if job.rejection is not None:
        return job._replace(results=rejected_file(rejection_error(job.rejection)))
    job = job._replace(prompts=dict(prompts_of(call.sandbox).items()))
    given = (blob, job.prompts, job.endpoint, job.batch.plan, job.items_start())
    results = call.sandbox.computed_once(job.batch.id, given, lambda: _work(blob, _run_context(call, job)))
    return job._replace(results=results, batch=job.batch._replace(size=max(results.size, 1), outcomes=results.outcomes))


def _work(blob: StoredBytes, context: RunContext, **stopped: Any) -> LineResults:
    """The result of `run_lines`; raises Refusal, and then changes nothing, if its files cannot be written."""
    try:
        return run_lines(blob, context, **stopped)
    except OSError as problem:
        raise no_room(problem) from None


def _has_ended(batch: Batch, stopped: float, index: int) -> bool:
    return batch.due(index) <= stopped


def _store_results(call: Call, job: BatchRecord, results: LineResults) -> BatchRecord:
    """The batch with its output and error files. A stopped batch keeps the items that had ended."""
    status = job.status(call.now)
    if status is not Status.COMPLETED and job.input is not None and not results.errors:
        stopped = job.stopped(call.now)
        expires = status is not Status.CANCELLED
        ended = partial(_has_ended, job.batch, stopped)
        again = _work(job.input, _run_context(call, job), ended=ended, expires=expires)
        # Invalid lines failed validation, whether they were reached or not.
        results = again._replace(refused=results.refused)
    if not results.errors:
        # Files and usage have the time at which it ended, not that of this request.
        at = call._replace(now=job.ended())
        output, error = (
            _with_results(at, job, blob, kind) for blob, kind in ((results.output, "output"), (results.error, "error"))
        )
        job = job._replace(output_file_id=output, error_file_id=error)
        meter_batch(at, job.batch.account, job.batch.id, results.usage, results.events)
        _count_uses(call, results)
    return job._replace(results=results.without_files(), input=None, prompts={}, is_collected=True)


def _count_uses(call: Call, results: LineResults) -> None:
    """Report results to the version tests of the prompts."""
    book = prompt_book(call)
    for use in results.uses:
        used = use.used or UsageTotal()
        tokens = {"prompt_tokens": used.prompt_tokens, "completion_tokens": used.completion_tokens}
        book.count(use.slug, use.version, failed=use.used is None, **tokens)


def _with_results(call: Call, job: BatchRecord, blob: StoredBytes, kind: str) -> str | None:
    if not blob.size:
        return None
    life = BATCH_FILE_LIFE if job.output_expires_after is None else job.output_expires_after
    return keep_file(
        call,
        filename=f"{job.batch.id}_{kind}.jsonl",
        purpose="batch_output",
        blob=blob,
        expires_at=int(call.now) + life,
        account=job.batch.account,
    ).id


def _run_context(call: Call, job: BatchRecord) -> RunContext:
    settings = call.world.settings
    canned, born = call.world.fixtures.section("prompts"), call.sandbox.clock.born
    find = partial(find_prompt, job.prompts.get, job.batch.account, canned, born)
    return RunContext(
        batch_id=job.batch.id,
        endpoint=job.endpoint,
        created=int(job.items_start()),
        models=context_models(call.world),
        prices=context_prices(call.world),
        world=call.world,
        find_prompt=cache(find),
        line_schema=call.world.component("BatchRequestLine"),
        body_schema=live_schema(call.world, job.endpoint),
        applies_markers=settings.magic,
        keeps_order=own_settings(call).keep_order,
        plan=job.batch.plan,
        leaves_blank=leaves_blank(call),
        budget=Budget(MAX_BATCH_STEPS),
    )


def _purpose_rejection(found: FileRecord) -> InputRejection:
    message = f"Invalid file purpose: '{found.purpose}'. The file {found.id} must have the purpose 'batch'."
    return InputRejection(FOREIGN_PURPOSE, param="file_id", message=message)


def _past(instant: float, now: float) -> int | None:
    return int(instant) if instant <= now else None


def _errors(job: BatchRecord) -> dict[str, Any]:
    data: list[dict[str, Any]]
    if job.results is None and job.rejection is not None and job.rejection.code == FOREIGN_PURPOSE:
        data = [dict(rejection_error(job.rejection))]
    elif job.results is None:
        message = f"Cannot find file {job.input_file_id}, or organization mockserver does not have access to it."
        data = [{"code": "invalid_request", "message": message, "param": "file_id", "line": None}]
    else:
        late = {"code": "batch_expired", "message": "The completion window closed.", "param": None, "line": None}
        data = [dict(each) for each in job.results.errors] or [late]
    return {"object": "list", "data": data}


def _usage(results: LineResults) -> dict[str, Any]:
    prompt = sum(used.prompt_tokens for used in results.usage.values())
    said = sum(used.completion_tokens for used in results.usage.values())
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + said,
    }
