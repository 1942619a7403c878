"""A message batch: what it is at an instant, and what its requests are answered with."""

from typing import Any, NamedTuple

from mockserver.sandbox.batches import Batch
from mockserver.sandbox.clock import format_instant

COLLECTION = "anthropic_batches.batches"
LIFE = 24 * 3600
"""Seconds until a batch expires."""


class MessageBatch(NamedTuple):
    """A batch of the core, which says when its items end, and when it was cancelled."""

    batch: Batch
    cancelled: float | None = None

    def ended_at(self) -> float:
        """Infinite while the end is not in sight."""
        return self.batch.end() if self.cancelled is None else min(self.cancelled, self.batch.end())


def is_done(record: MessageBatch, index: int) -> bool:
    """Whether the request was answered before the batch ended."""
    return record.batch.due(index) <= record.ended_at()


def batch_json(record: MessageBatch, now: float, base_url: str) -> dict[str, Any]:
    """The `message_batch` object."""
    batch, end = record.batch, record.ended_at()
    has_ended = end <= now
    tally = batch.tally(min(now, end))
    left = batch.size - tally.successful - tally.failed
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if has_ended else "in_progress",
        "request_counts": {
            "processing": 0 if has_ended else left,
            "succeeded": tally.successful,
            "errored": tally.failed,
            "canceled": left if has_ended else 0,
            "expired": 0,
        },
        "created_at": format_instant(batch.created),
        "expires_at": format_instant(batch.created + LIFE),
        "ended_at": format_instant(end) if has_ended else None,
        "cancel_initiated_at": None if record.cancelled is None else format_instant(record.cancelled),
        "archived_at": None,
        "results_url": f"{base_url}/v1/messages/batches/{batch.id}/results" if has_ended else None,
    }


def result_json(record: MessageBatch, index: int, text: str, stop_reason: str) -> dict[str, Any]:
    """One line of the results."""
    request = record.batch.request()
    return {"custom_id": request["ids"][index], "result": _outcome(record, index, text, stop_reason)}


def _outcome(record: MessageBatch, index: int, text: str, stop_reason: str) -> dict[str, Any]:
    if not is_done(record, index):
        return {"type": "canceled"}
    if record.batch.outcome(index).failure is not None:
        error = {"type": "api_error", "message": "The request failed."}
        return {"type": "errored", "error": {"type": "error", "error": error}}
    message = {
        "id": f"msg_{record.batch.id.removeprefix('msgbatch_')}{index}",
        "type": "message",
        "role": "assistant",
        "model": record.batch.request()["models"][index],
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": len(record.batch.texts()[index].split()), "output_tokens": len(text.split())},
    }
    return {"type": "succeeded", "message": message}
