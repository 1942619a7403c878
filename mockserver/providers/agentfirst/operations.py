"""Agent First's operations: batches of prompts, single conversations, and the account."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from mockserver.api.call import ApiContext, Call
from mockserver.api.provider import Provider
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Response
from mockserver.lazy import lazy_function, lazy_module
from mockserver.openapi.document import OpenApiDocument
from mockserver.openapi.schema import Schema
from mockserver.providers.agentfirst.answer_versions import COMPUTED, READ
from mockserver.providers.agentfirst.client_rules import CLIENT_RULES, prompts
from mockserver.providers.agentfirst.completions import (
    DEFAULT_MODEL,
    answer_source,
    completion_for,
    editions,
    questions,
    questions_in_slices,
    read_versions,
    targeting_of,
)
from mockserver.providers.agentfirst.errors import check_question, check_targeting, format_error, needs_credits
from mockserver.providers.agentfirst.settings import AgentFirstSettings
from mockserver.providers.agentfirst.statuses import RequestKind, Status, status_of
from mockserver.records import Bounds
from mockserver.sandbox.batches import IMMEDIATE, Batch, LoopBudget, Progression
from mockserver.sandbox.callbacks import Callback
from mockserver.sandbox.conditions import NORMAL
from mockserver.sandbox.ids import canonical
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.parse import read_capacity
from mockserver.settings.table import Settings, provider_settings

if TYPE_CHECKING:
    from mockserver.providers.agentfirst import archive, batch_reads, read_back, unknowns
else:
    batch_reads = lazy_module("mockserver.providers.agentfirst.batch_reads")
    read_back = lazy_module("mockserver.providers.agentfirst.read_back")
    archive = lazy_module("mockserver.providers.agentfirst.archive")
    unknowns = lazy_module("mockserver.providers.agentfirst.unknowns")

PRICE = 5
"""Credits for a successful prompt (API pricing page: AI 5 credits)."""
CREATE_RETRIES = 180.0
"""Seconds after which a live call times out ("up to 3 minutes")."""


def adapt(document: dict[str, Any], settings: Settings) -> None:
    """Patch the bundled document for the settings: `--empty-prompts` removes the minimum length of a prompt."""
    if not provider_settings(AgentFirstSettings, settings).empty_prompts:
        return
    spec = OpenApiDocument(document, "")
    queue, ask = spec.by_key.get("queueBatch"), spec.by_key.get("askModel")
    for content in (queue.body or {}).values() if queue else ():
        if content.schema is not None:
            fields = content.schema.resolved(content.schema.definition).get("properties", {})
            _lift(fields.get("prompts"), "items", content.schema)
    for parameter in document["paths"][ask.path]["get"].get("parameters", ()) if ask else ():
        if parameter.get("name") == "prompt":
            _lift(parameter, "schema", Schema({}, document))


def _lift(holder: Any, key: str, schema: Schema) -> None:
    """Remove the minimum length from the schema under a key."""
    if isinstance(holder, dict) and key in holder:
        holder[key] = {name: each for name, each in schema.resolved(holder[key]).items() if name != "minLength"}


def callback_payload(batch: Batch, callback: Callback, sandbox: Sandbox) -> dict[str, Any]:
    """The payload of a callback (our assumption): the status response when the batch is done, reduced for a
    conversation.

    A completion itself could exceed the size of a queue's message.
    """
    if batch.kind == RequestKind.CONVERSATION:
        return {"id": batch.id, "status": status_of(batch, callback.due)}
    status = _status(batch, callback.due)
    if status["status"] is Status.SUCCESSFUL:
        status["url"] = _archive_url(batch, sandbox, callback.base_url)
    return status


def _batch_rows(sandbox: Sandbox, now: float) -> Iterator[dict[str, Any]]:
    """The rows of a list of all batches; raises NeedsThread on an event loop when there are many."""
    budget = LoopBudget()
    budget.expect(len(sandbox.batches))
    for each in sandbox.batches.scan():
        budget.spend(each.weight)
        batch = each.with_outcomes()
        tally = batch.tally(now)
        yield {
            "id": batch.id,
            "kind": batch.kind,
            "account": batch.account,
            "status": status_of(batch, now, tally),
            "count": batch.size,
            "successful": tally.successful,
            "failed": tally.failed,
        }


api = Provider(
    "agentfirst",
    tag="Agent First",
    format_error=format_error,
    charges=needs_credits,
    patch_document=adapt,
    callback_payload=callback_payload,
    callback_urls={
        "queueBatch": ("$request.body#/callback", "$request.body#/callback (planned)"),
        "askModel": ("$request.query.callback",),
    },
    collections=lambda: {COMPUTED: tuple[float, ...], READ: Annotated[int, Bounds(ge=0)]},
    read_back=lazy_function(lambda: read_back.read_back),
    defaults={
        "queueBatch": {"model": DEFAULT_MODEL, "format": "json", "expiration": 1},
        "askModel": {"model": DEFAULT_MODEL, "format": "json", "expiration": 1, "mode": "sync"},
        "getArchive": {"format": "zip"},
    },
    exclusive_parameters={"askModel": "id"},
    listings={"batches": _batch_rows},
    find_batch_reads=lambda: batch_reads.BATCH_READS,
    client_rules=CLIENT_RULES,
    unknowns=lambda: unknowns.UNKNOWNS,
    prompts=prompts,
)
api.checks("queueBatch")(check_targeting)
api.checks("askModel")(check_question)


@api.handles("queueBatch")
def queue_batch(call: Call) -> Response:
    batch = _add_batch(call, _new_batch(call))
    target = call.body.get("callback") or call.body.get("callback (planned)")  # the document has both names
    if target:
        _note_callback(call, batch, target)
    return call.reply({"id": batch.id, "count": batch.size})


@api.handles("getBatchStatus")
def get_batch_status(call: Call) -> Response:
    batch = _read_batch(call, RequestKind.BATCH)
    status = _status(batch, call.now)
    if status["status"] is Status.SUCCESSFUL:
        status["url"] = _archive_url(batch, call.sandbox, call.request.base_url)
    return call.reply(status)


@api.handles("getCompletion")
def get_completion(call: Call) -> Response:
    # The July documents answer 200 here while the completion is not ready, and 202 on GET /ai?id=.
    version = provider_settings(AgentFirstSettings, call.world.settings).agentfirst_version
    return _poll_conversation(call, pending=200 if version == "2026-07" else 202)


@api.handles("askModel")
def ask_model(call: Call) -> Response:
    if "id" in call.arguments:
        return _poll_conversation(call, pending=202)
    if call.arguments.get("mode") == "async":
        batch = _add_batch(call, _new_conversation(call, call.sandbox.progression))
        if "callback" in call.arguments:
            _note_callback(call, batch, call.arguments["callback"])
        return call.reply({"id": batch.id}, 202)
    return _answer_now(call)


@api.handles("getUser")
def get_user(call: Call) -> Response:
    balance = call.sandbox.accounts.balance(call.account, call.now)
    return call.reply([{"email": call.account.email, "credits": balance}])


@api.handles("getArchive")
def get_archive(call: Call) -> Response:
    batch = call.sandbox.batches.get(call.arguments["id"].lower())
    is_here = call.arguments["sandbox"] == call.sandbox.key
    if (
        batch is None
        or not is_here
        or batch.kind != RequestKind.BATCH
        or status_of(batch, call.now) is not Status.SUCCESSFUL
    ):
        raise Refusal(Reason.NOT_FOUND)
    if call.sandbox.conditions.forgets(batch.created, call.now):
        raise Refusal(Reason.NOT_FOUND)
    LoopBudget().spend(batch.weight)
    batch = batch.with_outcomes()
    asked = questions_in_slices(batch, editions(batch, call.sandbox))
    if call.arguments.get("format") == "ndjson":
        return Response(
            200, "application/x-ndjson", archive.ndjson_archive(batch, asked, _world(call)), source="handler"
        )
    name = ("Content-Disposition", f'attachment; filename="{batch.id}.zip"')
    return Response(200, "application/zip", archive.zip_archive(batch, asked, _world(call)), (name,), "handler")


def _add_batch(call: Call, batch: Batch) -> Batch:
    call.sandbox.accounts.add_batch(batch)
    return batch


def _note_callback(call: Call, batch: Batch, target: str) -> None:
    call.sandbox.open_outbox().note(
        batch.id, provider=api.name, target=target, base_url=call.request.base_url, due=batch.end()
    )


def _status(batch: Batch, now: float) -> dict[str, Any]:
    tally = batch.tally(now)
    return {
        "id": batch.id,
        "status": status_of(batch, now, tally),
        "count": batch.size,
        "successful": tally.successful,
        "failed": tally.failed,
        "url": None,
    }


def _archive_url(batch: Batch, sandbox: Sandbox, base_url: str) -> str:
    return f"{base_url}/ai/archives/{sandbox.key}/{batch.id}"


def _new_batch(call: Call) -> Batch:
    # Targeting may have been encoded. Copied, since orjson's output occupies at least 4 kB.
    body = bytes(memoryview(call.canonical)) if targeting_of(call.body) else call.request.body
    kept = call.sandbox.bodies.keep(body)  # before the id: a full disk changes nothing
    batch = Batch(
        id=call.sandbox.next_id(call.operation.key, call.canonical),
        kind=RequestKind.BATCH,
        account=call.account.key,
        size=len(call.body["prompts"]),
        body=kept,
        texts_key="prompts",
        created=call.now,
        progression=call.sandbox.progression,
        price=PRICE,
        applies_markers=call.world.settings.magic,
    )
    conditions = call.sandbox.conditions
    if conditions is NORMAL:
        return batch
    return batch._replace(plan=conditions.items, not_before=max(read_capacity(conditions.capacity or "free"), 0.0))


def _new_conversation(call: Call, progression: Progression) -> Batch:
    asked = canonical(call.arguments)
    return Batch(
        id=call.sandbox.next_id(call.operation.key, asked),
        kind=RequestKind.CONVERSATION,
        account=call.account.key,
        size=1,
        body=bytes(memoryview(asked)),  # Copied, since orjson's output occupies at least 4 kB.
        texts_key="prompt",
        created=call.now,
        progression=progression,
        archives=False,
        price=PRICE,
        applies_markers=call.world.settings.magic,
    )


def _read_batch(call: Call, kind: RequestKind) -> Batch:
    """The account's batch after this status read; raises Refusal for an id unknown, another's or of another kind.

    Raises NeedsThread on an event loop when the texts of the batch have megabytes and were not looked at.
    """
    id_ = call.arguments["id"].lower()
    batch = call.sandbox.batches.get(id_)
    if (
        batch is None
        or batch.kind != kind
        or batch.account != call.account.key
        or call.sandbox.conditions.forgets(batch.created, call.now)
    ):
        violation = Violation(("query", "id"), "unknown", f"no {kind} of this account has the id {id_}")
        raise Refusal(Reason.NOT_FOUND, f"Id must be that of a queued {kind}", violations=[violation])
    if batch.outcomes is None:
        LoopBudget().spend(batch.weight)  # before the read counts
    batch = batch.read_at(call.now).with_outcomes()
    call.sandbox.accounts.update_batch(batch)
    if call.sandbox.outbox is not None:
        call.sandbox.outbox.reschedule(id_, batch.end())
    return batch


def _poll_conversation(call: Call, *, pending: int) -> Response:
    """A queued conversation's completion, or its status. `failed` means that the client should repeat the call."""
    read_versions(call.sandbox, call.now)
    batch = _read_batch(call, RequestKind.CONVERSATION)
    status = status_of(batch, call.now)
    if status is not Status.SUCCESSFUL:
        return call.reply({"status": status}, pending)
    return _completed(call, batch)


def _answer_now(call: Call) -> Response:
    """A live conversation. The result is determined at once; only the gateway waits."""
    read_versions(call.sandbox, call.now)
    draft = _new_conversation(call, IMMEDIATE).with_outcomes()
    outcome = draft.outcome(0)
    if outcome.slowness > CREATE_RETRIES:
        raise Refusal(Reason.TIMED_OUT)
    delay = 0.0 if call.sandbox.clock.is_frozen else min(outcome.slowness / call.sandbox.clock.scale, CREATE_RETRIES)
    if outcome.failure is not None:
        status = outcome.failure if outcome.failure >= 400 and call.operation.response(outcome.failure) else 500
        raise Refusal(Reason.FAILED, status=status)
    return _completed(call, _add_batch(call, draft))._replace(delay=delay)


def _world(call: Call) -> ApiContext:
    """The call's context, with the page weight of the sandbox's conditions."""
    settings = call.sandbox.conditions.applied_to(call.world.settings)
    return call.world if settings is call.world.settings else call.world._replace(settings=settings)


def _completed(call: Call, batch: Batch) -> Response:
    question = questions(batch, call.sandbox)[0]
    completion = completion_for(question, _world(call))
    source = answer_source(question, call.world)
    if batch.request().get("format") == "rendered":
        return Response(200, "text/html; charset=utf-8", completion["html"].encode(), source=source)
    return call.reply(completion, 200)._replace(source=source)
