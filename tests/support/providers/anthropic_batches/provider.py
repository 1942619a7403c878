"""Anthropic's Message Batches: create, retrieve, list, cancel, results."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from anthropic_batches.batch import COLLECTION, MessageBatch, batch_json, result_json
from anthropic_batches.settings import MessageBatchSettings
from mockserver.api.call import Call
from mockserver.api.client_rules import BatchState, ClientRules
from mockserver.api.provider import Provider
from mockserver.errors import Reason, Refusal
from mockserver.http import Request, Response
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.ids import canonical
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import provider_settings

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
}


def error_response(status: int, message: str) -> Response:
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": message}
    return Response(status, "application/json", orjson.dumps({"type": "error", "error": error}), source="handler")


def format_error(refusal: Refusal, reply: Response) -> Response:
    """The documented reply in the vendor's envelope."""
    violation = refusal.violations[0] if refusal.violations else None
    where = ".".join(map(str, violation.location[1:])) if violation else ""
    message = refusal.detail or (f"{where}: {violation.message}" if violation else str(refusal))
    return error_response(reply.status, message)._replace(headers=reply.headers)


def unknown_path(request: Request, refusal: Refusal, status: int) -> Response:
    return error_response(status, f"{request.method} {request.path}: {refusal}")


def batch_state(sandbox: Sandbox, id_: str, now: float) -> BatchState | None:
    record = sandbox.collection(COLLECTION, MessageBatch).get(id_)
    if record is None:
        return None
    return BatchState(record.batch.progression, record.ended_at() <= now, record.batch.tally(now).failed)


def batch_rows(sandbox: Sandbox, now: float) -> Iterator[dict[str, Any]]:
    for record in sandbox.collection(COLLECTION, MessageBatch).scan():
        yield {**batch_json(record, now, ""), "account": record.batch.account}


api = Provider(
    "anthropic_batches",
    tag="Message Batches",
    document=Path(__file__).parent / "openapi.yaml",
    fixture_sections={"message_openings": {"type": "array", "items": {"type": "object", "required": ["text"]}}},
    prefixes=("/v1/messages",),
    format_error=format_error,
    unknown_path_response=unknown_path,
    statuses={Reason.FORBIDDEN: (401,), Reason.INVALID: (400,)},
    collections=lambda: {COLLECTION: MessageBatch},
    dated=(COLLECTION,),
    listings={"batches": batch_rows},
    client_rules=(
        ClientRules(
            create="createMessageBatch",
            status=("retrieveMessageBatch",),
            id=("path", "message_batch_id"),
            ends=frozenset({"ended"}),
            unfinished_ends=frozenset(),
            batch_state=batch_state,
            download="messageBatchResults",
        ),
    ),
)


@api.handles("createMessageBatch")
def create(call: Call) -> Response:
    requests = call.body["requests"]
    conditions = call.sandbox.conditions
    batch = Batch(
        id=f"msgbatch_{call.sandbox.ids.next(call.operation.key, call.canonical).hex()}",
        kind="message_batch",
        account=call.account.key,
        size=len(requests),
        body=canonical(
            {
                "prompts": [_prompt(each["params"]) for each in requests],
                "ids": [each["custom_id"] for each in requests],
                "models": [each["params"]["model"] for each in requests],
            }
        ),
        texts_key="prompts",
        created=call.now,
        progression=call.sandbox.progression,
        archives=False,
        applies_markers=call.world.settings.magic,
        plan=conditions.items,
    )
    return _put(call, MessageBatch(batch))


@api.handles("retrieveMessageBatch")
def retrieve(call: Call) -> Response:
    record = _find(call)
    return _put(call, record._replace(batch=record.batch.read_at(call.now)))


@api.handles("listMessageBatches")
def list_batches(call: Call) -> Response:
    mine = list(call.sandbox.collection(COLLECTION, MessageBatch).scan())
    mine = [each for each in mine if each.batch.account == call.account.key][::-1]
    limit = int(call.arguments.get("limit", 20))
    shown = [batch_json(each, call.now, call.request.base_url) for each in mine[:limit]]
    ids = [each["id"] for each in shown]
    return call.reply(
        {
            "data": shown,
            "has_more": len(mine) > limit,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
        }
    )


@api.handles("cancelMessageBatch")
def cancel(call: Call) -> Response:
    record = _find(call)
    if record.ended_at() <= call.now and record.cancelled is None:
        raise Refusal(Reason.INVALID, "The batch has ended and cannot be canceled.")
    return _put(call, record if record.cancelled is not None else record._replace(cancelled=call.now))


@api.handles("messageBatchResults")
def results(call: Call) -> Response:
    record = _find(call)
    if record.ended_at() > call.now:
        raise Refusal(Reason.NOT_FOUND, "The batch has not ended, so it has no results yet.")
    own = call.sandbox.conditions.applied_to(provider_settings(MessageBatchSettings, call.world.settings))
    opening = next((each["text"] for each in call.world.fixtures.section("message_openings")), "You said")
    lines = []
    for index, prompt in enumerate(record.batch.texts()):
        canned = call.world.fixtures.completion(prompt, record.batch.request()["models"][index], None)
        text = canned.entry["text"] if canned else f"{opening}: {prompt}"
        lines.append(orjson.dumps(result_json(record, index, text, own.message_stop_reason)) + b"\n")
    return Response(200, "application/x-jsonl", b"".join(lines), source="handler")


def _find(call: Call) -> MessageBatch:
    record = call.sandbox.collection(COLLECTION, MessageBatch).get(call.arguments["message_batch_id"])
    if record is None or record.batch.account != call.account.key:
        raise Refusal(Reason.NOT_FOUND, "No such message batch.")
    return record


def _put(call: Call, record: MessageBatch) -> Response:
    call.sandbox.collection(COLLECTION, MessageBatch).put(record.batch.id, record)
    return call.reply(batch_json(record, call.now, call.request.base_url))


def _prompt(params: dict[str, Any]) -> str:
    content = params["messages"][-1]["content"]
    return content if isinstance(content, str) else " ".join(each.get("text", "") for each in content)
