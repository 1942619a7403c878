"""Tables for the verdict and for near misses: how clients use Agent First, and the prompts of its requests."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from mockserver.api.client_rules import BatchState, ClientRules
from mockserver.api.provider import RequestPrompt
from mockserver.http import Request
from mockserver.json_bodies import JsonError, parse_json
from mockserver.providers.agentfirst.completions import DEFAULT_MODEL, targeting_of
from mockserver.sandbox.callbacks import State
from mockserver.sandbox.sandbox import Sandbox


def batch_state(sandbox: Sandbox, id_: str, now: float) -> BatchState | None:
    """The state of a batch or a conversation."""
    found = sandbox.batches.get(id_.lower())
    if found is None:
        return None
    batch = found.with_outcomes()
    callback = sandbox.outbox.find(batch.id) if sandbox.outbox is not None else None
    was_told = callback is not None and callback.state in {State.DELIVERED, State.KEPT}
    return BatchState(batch.progression, batch.end() <= now, batch.tally(now).failed, was_told)


CLIENT_RULES = (
    ClientRules(
        create="queueBatch",
        status=("getBatchStatus",),
        id=("query", "id"),
        ends=frozenset({"successful", "failed"}),
        unfinished_ends=frozenset({"failed"}),
        batch_state=batch_state,
        failed=("failed",),
        download="getArchive",
    ),
    ClientRules(
        create="askModel",
        status=("getCompletion", "askModel"),
        id=("query", "id"),
        ends=frozenset({"failed"}),
        unfinished_ends=frozenset({"failed"}),
        batch_state=batch_state,
        patience={403: 2},  # a captcha may have been returned before the completion
    ),
)


def prompts(operation: str, request: Request) -> Iterator[RequestPrompt]:
    """The prompts of a batch, or the one of a conversation."""
    if operation == "queueBatch":
        try:
            asked = parse_json(request.body)
        except JsonError:
            return
        if isinstance(asked, dict) and isinstance(asked.get("prompts"), list):
            yield from (_prompt(text, asked) for text in asked["prompts"] if isinstance(text, str))
    elif operation == "askModel":
        given = dict(parse_qsl(request.query))
        if "prompt" in given and "id" not in given:
            yield _prompt(given["prompt"], given)


def _prompt(text: str, asked: Mapping[str, Any]) -> RequestPrompt:
    """A prompt of an unvalidated request, since stubs answer any request."""
    model, country = asked.get("model"), targeting_of(asked).get("country")
    return RequestPrompt(
        text,
        model if isinstance(model, str) and model else DEFAULT_MODEL,
        country if isinstance(country, str) else None,
    )
