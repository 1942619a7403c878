"""AgileCloud's live operations: chat completions, embeddings, and models.

The text of a completion depends on the server's seed, the model and the messages, so a repeated request gets the same
text with another id, streamed or not. Ids depend on the sandbox.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mockserver.api.call import Call
from mockserver.api.provider import RequestPrompt
from mockserver.errors import Reason, Refusal
from mockserver.fixtures.files import Completion
from mockserver.http import DeliveryFault, DeliveryFaultKind, Request, Response
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.document import JSON
from mockserver.providers.agilecloud.chat.completion import (
    chat_completion,
    encode_completion,
    last_user_message,
    streamed_logprobs,
)
from mockserver.providers.agilecloud.chat.embeddings import (
    count_numbers,
    embedding_pieces,
    embedding_usage,
    embeddings,
)
from mockserver.providers.agilecloud.chat.rules import check_rules
from mockserver.providers.agilecloud.chat.wire import stream_events
from mockserver.providers.agilecloud.context import (
    answer_key,
    canned_answer,
    context_models,
    known_model,
    leaves_blank,
    require_model,
)
from mockserver.providers.agilecloud.models import ModelKind, model_list, model_object
from mockserver.providers.agilecloud.prompts.operations import prompt_book
from mockserver.providers.agilecloud.prompts.select import SelectedVersion, apply_prompt, select_version
from mockserver.providers.agilecloud.usage import record_usage
from mockserver.sandbox.batches import DEFAULT_FAILURE, ItemOutcome, read_outcome

MARKER_SECONDS = 600.0
"""The longest delay of a live request, in seconds; beyond it there is no response."""
EVENT_STREAM = "text/event-stream"
WHOLE_NUMBERS = 65_536
"""The most numbers of an embedding response that are sent whole; more are made and sent piece by piece."""
_UNBUFFERED = (("Cache-Control", "no-cache"),)


def create_chat_completion(call: Call) -> Response:
    if call.request.body.find(b"[mock:") >= 0 and call.world.settings.magic:  # `in` takes ten times as long
        return _apply_marker(call, read_outcome(call.request.body.decode()))
    return _completion_response(call)


def _apply_marker(call: Call, outcome: ItemOutcome) -> Response:
    """The effect of markers on a live request. The result is determined at once; only the gateway waits."""
    if outcome.failure is not None:
        status = (
            outcome.failure if outcome.failure >= 400 and call.operation.response(outcome.failure) else DEFAULT_FAILURE
        )
        raise Refusal(Reason.FAILED, f"A marker in the request asks for the status {status}.", status=status)
    if outcome.slowness > MARKER_SECONDS:
        return _completion_response(call)._replace(disturbance=DeliveryFault(DeliveryFaultKind.TIMEOUT, MARKER_SECONDS))
    clock = call.sandbox.clock
    return _completion_response(call)._replace(
        delay=0.0 if clock.is_frozen else min(outcome.slowness / clock.scale, MARKER_SECONDS)
    )


def _completion_response(call: Call) -> Response:
    identity = call.sandbox.ids.next(call.operation.key, call.canonical)
    chosen = select_version(call.body, prompt_book(call).find, identity) if "prompt_slug" in call.body else None
    if chosen is None:
        return _complete(call, call.body, identity)[0]
    try:
        response, tokens = _complete(call, _apply_prompt(call, chosen), identity)
    except Refusal:
        _count(call, chosen, failed=True)
        raise
    _count(call, chosen, tokens)
    return response


def create_embedding(call: Call) -> Response:
    model = require_model(call.world, call.body["model"], ModelKind.EMBEDDING)
    is_large, seed = count_numbers(call.body, model) > WHOLE_NUMBERS, call.world.settings.seed
    id_ = f"embd-{call.sandbox.ids.next(call.operation.key, call.canonical).hex()}"
    record_usage(call, model, id_, embedding_usage(call.body)["prompt_tokens"])
    if is_large:
        return Response(200, JSON, embedding_pieces(call.body, model=model, seed=seed), source="handler")
    return call.reply(embeddings(call.body, model=model, seed=seed))


def list_models(call: Call) -> Response:
    return call.reply(model_list(context_models(call.world)))


def retrieve_model(call: Call) -> Response:
    return call.reply(model_object(known_model(call.world, call.arguments["model"], ("path", "model"))))


def prompts(operation: str, request: Request) -> Iterator[RequestPrompt]:
    """The last user message of a chat. Lines of a batch are in its file, not in a request."""
    if operation != "createChatCompletion":
        return
    try:
        asked = parse_json(request.body)
        model, text = asked["model"], last_user_message(asked["messages"])
    except (JsonError, LookupError, TypeError, AttributeError):
        return  # answered by a stub, which accepts any request, or a prompt template without messages
    if isinstance(model, str):
        yield RequestPrompt(text, model)


def _apply_prompt(call: Call, chosen: SelectedVersion) -> Mapping[str, Any]:
    """The request with the prompt's messages and settings, validated again."""
    request = apply_prompt(call.body, chosen, blank=leaves_blank(call))
    schema = call.operation.body[JSON].schema if call.operation.body else None
    violations = schema.violations(request, ("body",)) if schema else []
    if violations:
        raise Refusal(Reason.INVALID, violations=violations)
    return request


def _count(call: Call, chosen: SelectedVersion, tokens: Sequence[int] = (0, 0), *, failed: bool = False) -> None:
    """Report the result to the version test of the prompt."""
    if chosen.is_tested:
        prompt_book(call).count(
            chosen.prompt.slug,
            chosen.version.number,
            failed=failed,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
        )


def _complete(call: Call, request: Mapping[str, Any], identity: bytes) -> tuple[Response, Sequence[int]]:
    """The response to a request with messages, and its prompt and completion tokens."""
    world = call.world
    model = require_model(world, request["model"], ModelKind.CHAT)
    check_rules(request, model)
    messages = request["messages"]
    prompt = last_user_message(messages)
    canned = canned_answer(world, prompt, model)
    source, id_ = canned.source if canned is not None else "handler", f"chatcmpl-{identity.hex()}"
    key = partial(answer_key, world, model, messages)
    if request.get("stream"):
        response, (asked, said) = _stream_response(request, canned, key(), id_, int(call.now))
    else:
        body, asked, said = encode_completion(
            request, canned=canned, key=key, id=id_, created=int(call.now), prompt=prompt
        )
        response = Response(200, JSON, body, (), source)
    record_usage(call, model, id_, asked, said)
    return response, (asked, said)


def _stream_response(
    request: Mapping[str, Any], canned: Completion | None, key: bytes, id_: str, created: int
) -> tuple[Response, tuple[int, int]]:
    completion = chat_completion(request, canned=canned, key=key, id=id_, created=created, has_logprobs=False)
    wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))
    events = stream_events(completion, include_usage=wants_usage, logprobs=streamed_logprobs(request, key))
    usage = completion["usage"]
    tokens = usage["prompt_tokens"], usage["completion_tokens"]
    return Response(200, EVENT_STREAM, events, _UNBUFFERED, canned.source if canned else "handler"), tokens
