"""AgileCloud's batches: what is created, where it is, and what it leaves behind."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from mockserver.errors import Reason, Refusal, Violation
from mockserver.messages import Content, Response
from mockserver.provider import Call
from mockserver.providers.agilecloud_files import find_file, keep_file
from mockserver.providers.agilecloud_lines import CHAT, EMBEDDINGS, Desk, Worked, work
from mockserver.providers.agilecloud_prompt_calls import prompt_book
from mockserver.providers.agilecloud_resolving import resolve
from mockserver.providers.agilecloud_usage import meter_batch
from mockserver.providers.agilecloud_world import world_models, world_prices
from mockserver.state.batches import Batch, Lifecycle
from mockserver.state.clock import DAY
from mockserver.syntaxes import read_capacity

WINDOW = DAY
"""Seconds from a batch's creation to the end of its window; 24 hours are the only choice there is."""
VALIDATING_SHARE = 0.1
"""The part of a timed batch's life before its items."""
CANCELLING_SHARE = 0.1
"""The part of a timed batch's life that cancelling takes, where that is shown at all."""
OPENAI = "openai"


class Status(StrEnum):
    """Where a batch is. The profile `agilecloud` shows neither `finalizing`, `expired` nor `cancelling`."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


_RUNNING_ENDS = {Status.FAILED, Status.EXPIRED, Status.CANCELLING, Status.CANCELLED}
LIFECYCLE = Lifecycle(
    {
        Status.VALIDATING: {Status.IN_PROGRESS, Status.FINALIZING, Status.COMPLETED, *_RUNNING_ENDS},
        Status.IN_PROGRESS: {Status.FINALIZING, Status.COMPLETED, *_RUNNING_ENDS},
        Status.FINALIZING: {Status.COMPLETED, *_RUNNING_ENDS},
        Status.CANCELLING: {Status.CANCELLED},
        Status.COMPLETED: set(),
        Status.FAILED: set(),
        Status.EXPIRED: set(),
        Status.CANCELLED: set(),
    }
)


class Job(NamedTuple):
    """A batch as its account knows it. What it is at an instant follows from these values."""

    batch: Batch
    """Its timeline; its size and fates are true once `worked` is there."""
    endpoint: str
    input_file_id: str
    input: Content | None
    """None when the file could not be found."""
    metadata: Mapping[str, str] | None
    output_expires_after: int | None
    """Seconds after which its files are gone."""
    is_openai: bool
    """Whether it goes through all of OpenAI's statuses."""
    worked: Worked | None = None
    cancelled: float = math.inf
    """The sandbox time at which it was cancelled."""
    cancelled_reads: int = 0
    """The status reads until then."""
    output_file_id: str | None = None
    error_file_id: str | None = None
    is_collected: bool = False
    """Whether its files were made."""

    def status(self, now: float) -> Status:
        if self.cancelled <= now:
            return Status.CANCELLED if now >= self.cancelled_end() else Status.CANCELLING
        if now < self.batch.began():
            return Status.VALIDATING
        if self.worked is None or self.worked.errors:
            return Status.FAILED
        if min(self.batch.end(), self.deadline()) <= now:
            if self.batch.end() <= self.deadline():
                return Status.COMPLETED
            return Status.EXPIRED if self.is_openai else Status.FAILED
        return Status.FINALIZING if self.batch.items_end() <= now and self.is_openai else Status.IN_PROGRESS

    def deadline(self) -> float:
        """The end of its window, in Unix seconds."""
        return self.batch.created + WINDOW

    def cancelled_end(self) -> float:
        """When cancelling it is over; infinite while that is not in sight."""
        if not self.is_openai or self.batch.progression.kind == "immediate":
            return self.cancelled
        if self.batch.progression.kind == "time":
            return self.cancelled + self.batch.progression.amount * CANCELLING_SHARE
        return self.cancelled if len(self.batch.reads) > self.cancelled_reads else math.inf

    def stopped(self, now: float) -> float:
        """The instant after which nothing more came to an end."""
        return min(now, self.cancelled, self.deadline())


def create_batch(call: Call) -> Response:
    body = call.body
    found = find_file(call, body["input_file_id"])
    is_openai = call.world.settings.agilecloud_profile == OPENAI
    identity = call.sandbox.ids.next(call.operation.key, call.canonical)
    expiry = body.get("output_expires_after") or {}
    job = Job(
        batch=_timeline(f"batch_{identity.hex()}", call, is_openai=is_openai),
        endpoint=body["endpoint"],
        input_file_id=body["input_file_id"],
        input=found.blob if found and found.purpose == "batch" else None,
        metadata=body.get("metadata"),
        output_expires_after=expiry.get("seconds"),
        is_openai=is_openai,
    )
    call.sandbox.jobs[job.batch.id] = job
    return call.reply(shown(job, -math.inf))  # nothing has happened yet, not even under `immediate`


def retrieve_batch(call: Call) -> Response:
    job = _find(call)
    job = _advanced(call, job._replace(batch=job.batch.read_at(call.now)))
    return call.reply(shown(job, call.now))


def list_batches(call: Call) -> Response:
    mine = [job for job in call.sandbox.jobs.values() if job.batch.account == call.asker.token][::-1]
    after, limit = call.arguments.get("after"), int(call.arguments.get("limit") or 20)
    start = 0
    if after is not None:
        places = [n for n, job in enumerate(mine) if job.batch.id == after]
        if not places:
            raise _unknown(after, ("query", "after"))
        start = places[0] + 1
    page = [shown(_advanced(call, job), call.now) for job in mine[start : start + limit]]
    return call.reply(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": start + limit < len(mine),
        }
    )


def cancel_batch(call: Call) -> Response:
    job = _advanced(call, _find(call))
    status = job.status(call.now)
    if status in {Status.CANCELLING, Status.CANCELLED}:
        return call.reply(shown(job, call.now))
    if LIFECYCLE.is_final(status):
        raise Refusal(Reason.CONFLICT, f"Cannot cancel a batch with status '{status}'.")
    job = job._replace(cancelled=call.now, cancelled_reads=len(job.batch.reads))
    return call.reply(shown(_advanced(call, job), call.now))


def shown(job: Job, now: float) -> dict[str, Any]:
    """The batch object."""
    status = job.status(now)
    worked = job.worked if status is not Status.VALIDATING else None
    failed = status is Status.FAILED
    is_bad = bool(failed and (worked is None or worked.errors))
    began = job.batch.began() if worked and not is_bad else math.inf
    return {
        "id": job.batch.id,
        "object": "batch",
        "endpoint": job.endpoint,
        "model": _only_model(worked) if began <= now else None,
        "errors": _errors(job, worked) if failed else None,
        "input_file_id": job.input_file_id,
        "completion_window": "24h",
        "status": status,
        "output_file_id": job.output_file_id,
        "error_file_id": job.error_file_id,
        "created_at": int(job.batch.created),
        "in_progress_at": _past(min(began, math.inf), job.stopped(now)),
        "expires_at": int(job.deadline()),
        "finalizing_at": _past(job.batch.items_end(), job.stopped(now)) if job.is_openai and began <= now else None,
        "completed_at": _past(job.batch.end(), now) if status is Status.COMPLETED else None,
        "failed_at": int(job.batch.began() if is_bad else job.deadline()) if failed else None,
        "expired_at": int(job.deadline()) if status is Status.EXPIRED else None,
        "cancelling_at": _past(job.cancelled, now),
        "cancelled_at": _past(job.cancelled_end(), now) if status is Status.CANCELLED else None,
        "request_counts": _counts(job, worked, now),
        "usage": _usage(worked) if job.is_collected and worked and worked.trades else None,
        "metadata": job.metadata,
    }


def _timeline(id_: str, call: Call, *, is_openai: bool) -> Batch:
    settings = call.world.settings
    return Batch(
        id=id_,
        kind="agilecloud",
        account=call.asker.token,
        size=1,
        body=b"",
        texts_key="",
        created=call.now,
        progression=call.sandbox.progression,
        archives=is_openai,
        head=VALIDATING_SHARE,
        held=read_capacity(settings.capacity),
        fates={},
    )


def _find(call: Call) -> Job:
    id_ = call.arguments["batch_id"]
    job: Job | None = call.sandbox.jobs.get(id_)
    if job is None or job.batch.account != call.asker.token:
        raise _unknown(id_, ("path", "batch_id"))
    return job


def _unknown(id_: str, location: tuple[str, str]) -> Refusal:
    violation = Violation(location, "", f"no batch of this account has the id {id_[:100]!r}")
    return Refusal(Reason.NOT_FOUND, f"No batch found with id '{id_[:100]}'.", violations=[violation])


def _advanced(call: Call, job: Job) -> Job:
    """The batch with everything done that its age asks for, kept so."""
    now = call.now
    if job.worked is None and job.batch.began() <= min(now, job.cancelled):
        worked = work(job.input, _desk(call, job)) if job.input is not None else None
        if worked is not None:
            job = job._replace(worked=worked, batch=job.batch._replace(size=max(worked.size, 1), fates=worked.fates))
    if not job.is_collected and job.worked and LIFECYCLE.is_final(job.status(now)) and not job.worked.errors:
        job = _collected(call, job, job.worked)
    call.sandbox.jobs[job.batch.id] = job
    return job


def _collected(call: Call, job: Job, worked: Worked) -> Job:
    """The batch with its output and error files. One that was stopped keeps what had come to an end."""
    status = job.status(call.now)
    if status is not Status.COMPLETED and job.input is not None:
        stopped = job.stopped(call.now)
        expires = status is not Status.CANCELLED
        worked = work(job.input, _desk(call, job), ended=lambda index: job.batch.due(index) <= stopped, expires=expires)
    ids = [_kept(call, job, blob, kind) for kind, blob in (("output", worked.output), ("error", worked.error))]
    meter_batch(call, job.batch.account, worked.trades)
    return job._replace(worked=worked, output_file_id=ids[0], error_file_id=ids[1], is_collected=True)


def _kept(call: Call, job: Job, blob: Content, kind: str) -> str | None:
    if not blob.size:
        return None
    expiry = None if job.output_expires_after is None else int(call.now) + job.output_expires_after
    name = f"{job.batch.id}_{kind}.jsonl"
    return keep_file(
        call, filename=name, purpose="batch_output", blob=blob, expires_at=expiry, account=job.batch.account
    ).id


def _desk(call: Call, job: Job) -> Desk:
    spec, settings = call.world.spec, call.world.settings
    bodies = {CHAT: "ChatCompletionRequest", EMBEDDINGS: "EmbeddingRequest"}
    name = bodies.get(job.endpoint)
    book = prompt_book(call)
    return Desk(
        batch_id=job.batch.id,
        endpoint=job.endpoint,
        created=int(job.batch.began()),
        models=world_models(call.world),
        prices=world_prices(call.world),
        world=call.world,
        resolve=lambda body, key: resolve(body, book.find, key),
        line_schema=spec.component("BatchRequestLine"),
        body_schema=spec.component(name) if name else None,
        heeds_markers=settings.magic,
        keeps_order=settings.keep_order,
    )


def _past(instant: float, now: float) -> int | None:
    return int(instant) if instant <= now else None


def _only_model(worked: Worked | None) -> str | None:
    return next(iter(worked.trades)) if worked and len(worked.trades) == 1 else None


def _errors(job: Job, worked: Worked | None) -> dict[str, Any]:
    data: list[dict[str, Any]]
    if worked is None:
        message = f"Cannot find file {job.input_file_id}, or organization mockserver does not have access to it."
        data = [{"code": "invalid_request", "message": message, "param": "file_id", "line": None}]
    else:
        late = {"code": "batch_expired", "message": "The completion window closed.", "param": None, "line": None}
        data = [dict(each) for each in worked.errors] or [late]
    return {"object": "list", "data": data}


def _counts(job: Job, worked: Worked | None, now: float) -> dict[str, int]:
    if worked is None or worked.errors or job.batch.began() > now:
        return {"total": 0, "completed": 0, "failed": 0}
    if job.is_collected:
        completed = worked.good.count(1)
        late = job.status(now) in {Status.EXPIRED, Status.FAILED}
        ended = worked.size if late or job.status(now) is Status.COMPLETED else sum(job.batch.tally(job.stopped(now)))
        return {"total": worked.size, "completed": completed, "failed": ended - completed}
    ended = sum(job.batch.tally(job.stopped(now)))
    if not worked.fates:
        completed = worked.good.count(1, 0, ended)
    else:
        stopped = job.stopped(now)
        completed = sum(good and job.batch.due(index) <= stopped for index, good in enumerate(worked.good))
    return {"total": worked.size, "completed": completed, "failed": ended - completed}


def _usage(worked: Worked) -> dict[str, Any]:
    prompt = sum(trade.prompt_tokens for trade in worked.trades.values())
    said = sum(trade.completion_tokens for trade in worked.trades.values())
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": prompt + said,
    }
