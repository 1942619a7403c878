"""Runs a batch: validates each line of its input, answers it, and writes output and error files.

It is one pass over the input file, in bounded memory:

1. InputValidator yields the valid lines. One invalid line fails the batch; the rest is then only validated.

2. The outcome of a line is determined by markers and conditions, seeded by the batch's id and the line's index, so that
a batch that is processed again has the same result.

3. A line whose item ended before the batch did is answered: plain lines by FastPath, others by _answer_line, which
applies prompt templates and validates the body as a live request. A Refusal becomes a line of the error file.

4. _Lines writes the files. The real API does not keep the order of the input, so neighbours swap places (WINDOW).

The result depends on the batch and its input only, never on when or how often it is processed.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson

from mockserver.api.call import ApiContext, with_defaults
from mockserver.api.client_rules import RejectedItems
from mockserver.errors import Reason, Refusal
from mockserver.http import StoredBytes
from mockserver.openapi.generate.steps import MAX_BATCH_STEPS, MAX_STEPS, Budget
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches.fast_path import FastPath
from mockserver.providers.agilecloud.batches.input import InputValidator
from mockserver.providers.agilecloud.batches.plain_lines import PlainGroup
from mockserver.providers.agilecloud.batches.results import WINDOW, LineResults, OutputLines, Totals, rejected_file
from mockserver.providers.agilecloud.chat.completion import encode_completion, last_user_message
from mockserver.providers.agilecloud.chat.embeddings import count_numbers, embedding_pieces, embedding_usage
from mockserver.providers.agilecloud.chat.rules import RuleBroken, check_rules
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes
from mockserver.providers.agilecloud.context import (
    CHAT,
    EMBEDDINGS,
    LIVE,
    answer_key,
    canned_answer,
    is_bundled,
    require_model,
)
from mockserver.providers.agilecloud.errors import error_type, validation_error_json
from mockserver.providers.agilecloud.models import Model, ModelKind, Models
from mockserver.providers.agilecloud.pricing import Prices
from mockserver.providers.agilecloud.prompts.problems import TOO_MUCH
from mockserver.providers.agilecloud.prompts.select import (
    FindPrompt,
    SelectedVersion,
    apply_prompt,
    refusal,
    select_version,
)
from mockserver.providers.agilecloud.prompts.template import RenderLimits
from mockserver.providers.agilecloud.usage import EventRow
from mockserver.sandbox.batches import DEFAULT_FAILURE, PLAIN, ItemOutcome, apply_plan, read_outcome
from mockserver.sandbox.conditions import ItemPlan
from mockserver.sandbox.ids import seed_of, seeded_digest
from mockserver.workers import checkpoint

KINDS = {CHAT: ModelKind.CHAT, EMBEDDINGS: ModelKind.EMBEDDING}
"""The kind of model, by the batch's endpoint."""
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


class RunContext(NamedTuple):
    """Everything that the responses depend on."""

    batch_id: str
    endpoint: str
    created: int
    """The time in the responses, in Unix seconds."""
    models: Models
    prices: Prices
    world: ApiContext
    find_prompt: FindPrompt
    line_schema: Schema
    body_schema: Schema | None
    applies_markers: bool
    keeps_order: bool
    plan: ItemPlan | None = None
    leaves_blank: bool = False
    """Whether a template's variables without a value are left empty instead of rejected."""
    budget: Budget | None = None
    """The budget of all structured responses of the batch."""


def run_lines(
    blob: StoredBytes, context: RunContext, *, ended: Callable[[int], bool] | None = None, expires: bool = False
) -> LineResults:
    """Validates and answers every line of a batch input file.

    `ended(index)` is given when the batch stopped early: other lines are dropped, or written to the error file as
    `batch_expired` if `expires`. One invalid line fails the file: `errors` is set and no output kept.
    """
    run = _Run(context, ended, expires=expires)
    for each in run.inspection.requests(blob):
        if isinstance(each, PlainGroup):
            run.answer_group(each)
        else:
            run.answer_line(*each)
    return run.results()


class _Run:
    """One pass over an input file."""

    def __init__(self, context: RunContext, ended: Callable[[int], bool] | None, *, expires: bool) -> None:
        self._context = context
        self._ended = ended
        self._expires = expires
        self._seed = seed_of(context.batch_id.encode())
        windows = range(WINDOW)
        order = None if context.keeps_order else sorted(windows, key=lambda n: seeded_digest(self._seed, b"%d" % n))
        self._output, self._error = OutputLines(order), OutputLines(order)
        # If lines have different outcomes, the fast path does not apply.
        is_even = context.endpoint == CHAT and ended is None and context.plan is None
        self._plain = self._fast_path() if is_even and is_bundled(context.world, CHAT) else None
        reader, strict = self._plain.reader if self._plain else None, context.world.settings.strict
        self.inspection = InputValidator(context.endpoint, context.models, context.line_schema, reader, strict=strict)
        self._totals = Totals(self.inspection.named)
        self._outcomes: dict[int, ItemOutcome] = {}
        self._refused = RejectedItems()
        self._succeeded = bytearray()

    def _fast_path(self) -> FastPath:
        world, models, prices = self._context.world, self._context.models, self._context.prices
        created, applies_markers = self._context.created, self._context.applies_markers
        return FastPath(world, models, prices, created=created, seed=self._seed, applies_markers=applies_markers)

    def answer_group(self, group: PlainGroup) -> None:
        """Answer lines of which most have plain answers."""
        assert self._plain is not None, "it has read them"
        for each in self._plain.answers(group, len(self._succeeded)):
            if isinstance(each, int):
                self.answer_line(group.numbers[each], group.lines[each], orjson.loads(group.lines[each]))
            else:
                self._output.extend(each.lines)
                self._succeeded += b"\1" * len(each.lines)
                self._totals.add_rows(each.model, each.rows)

    def answer_line(self, number: int, line: bytes, request: Mapping[str, Any]) -> None:
        """Answer a line by the general path."""
        context, index = self._context, len(self._succeeded)
        identity = seeded_digest(self._seed, b"%d" % index).hex()
        is_marked = context.applies_markers and b"[mock:" in line
        outcome = _item_outcome(line if is_marked else None, index, context, self._outcomes)
        if self._ended is not None and not self._ended(index):
            self._succeeded.append(0)
            if self._expires:
                self._error.extend([_late_line(identity, request).decode()])
            return
        answer = _answer_line(request, outcome, identity, context)
        if answer.broken:
            self._refused = self._refused.with_item(f"line {number}", answer.broken)
        self._succeeded.append(answer.used is not None)
        (self._error if answer.used is None else self._output).extend([answer.line.decode()])
        if answer.chosen is not None:
            self._totals.add_use(answer.chosen, answer.used)
        if answer.model is not None and answer.used is not None:
            self._totals.add_rows(answer.model, [answer.used])

    def results(self) -> LineResults:
        """The result, after all lines."""
        if self.inspection.errors:
            return rejected_file(*self.inspection.errors)
        totals = self._totals
        return LineResults(
            len(self._succeeded),
            (),
            self._outcomes,
            bytes(self._succeeded),
            self._output.finish(),
            self._error.finish(),
            totals.usage(),
            totals.only_model(),
            tuple(totals.uses),
            self._refused,
            totals.events.finish(),
        )


def _item_outcome(
    marked: bytes | None, index: int, context: RunContext, outcomes: dict[int, ItemOutcome]
) -> ItemOutcome:
    """The outcome that markers in the line and the batch's plan ask for; noted in `outcomes` where it is unusual."""
    outcome = PLAIN if marked is None else read_outcome(marked.decode())
    if outcome != PLAIN:
        outcomes[index] = outcome
    if context.plan is not None:
        outcome = apply_plan(outcome, context.plan, index, context.batch_id)
        if outcome.slowness:
            outcomes[index] = outcome
    return outcome


class _Broken(Refusal):
    """An invalid body of a request."""


_STATUSES = {Reason.NOT_FOUND: 404, Reason.CONFLICT: 409}


class _Answer(NamedTuple):
    """A line of the output or error file, and its details."""

    line: bytes
    model: Model | None = None
    """The model that answered; None if the request failed."""
    used: EventRow | None = None
    """The usage of a success."""
    chosen: SelectedVersion | None = None
    """The selected prompt version."""
    broken: str = ""
    """The first violation of the request."""


def _answer_line(request: Mapping[str, Any], outcome: ItemOutcome, identity: str, context: RunContext) -> _Answer:
    """The response to a line."""
    checkpoint()
    if outcome.failure is not None:
        status = outcome.failure if 400 <= outcome.failure <= 599 else DEFAULT_FAILURE
        return _Answer(_failed_line(identity, request, status, _with_marker(status)))
    chosen = None
    try:
        _check_body(request["body"], context)
        if context.endpoint == CHAT:
            chosen = select_version(request["body"], context.find_prompt, identity.encode())
        body, model, prompt, said = _body(request["body"], chosen, identity, context)
    except Refusal as refusal:
        status = refusal.status or _STATUSES.get(refusal.reason, 400)
        error = validation_error_json(refusal, status)
        broken = str(error["message"]) if isinstance(refusal, (_Broken, RuleBroken)) else ""
        return _Answer(_failed_line(identity, request, status, {"error": error}), chosen=chosen, broken=broken)
    cost = context.prices.cost(model, prompt, said, batch=True)
    head = f'{{"id":"batch_req_{identity[:24]}","custom_id":'.encode()
    middle = f',"response":{{"status_code":200,"request_id":"req_{identity[8:]}","body":'.encode()
    parts = (head, jsonl_bytes(request["custom_id"]), middle, body, b'},"error":null}\n')
    return _Answer(b"".join(parts), model, (request["custom_id"], prompt, said, cost), chosen)


def _check_body(body: Mapping[str, Any], context: RunContext) -> None:
    """Raises Refusal for a body that is invalid as a live request."""
    if context.body_schema is None:
        raise Refusal(Reason.NOT_FOUND, f"mockserver does not imitate {context.endpoint}.")
    violations = context.body_schema.violations(body, ("body",))
    if violations:
        raise _Broken(Reason.INVALID, violations=violations)


def _body(
    asked: Mapping[str, Any], chosen: SelectedVersion | None, identity: str, context: RunContext
) -> tuple[bytes, Model, int, int]:
    """The response in JSON, its model, and the tokens of prompt and completion."""
    defaults = context.world.changed_defaults(LIVE[context.endpoint])
    if defaults:
        asked = with_defaults(asked, defaults)
    if context.endpoint == EMBEDDINGS:
        model = require_model(context.world, asked["model"], ModelKind.EMBEDDING)
        count_numbers(asked, model)
        pieces = embedding_pieces(asked, model=model, seed=context.world.settings.seed)
        return b"".join(pieces), model, embedding_usage(asked)["prompt_tokens"], 0
    request = asked
    if chosen is not None:
        request = _with_prompt(asked, chosen, context)
        _check_body(request, context)  # with the settings of the prompt's version
    model = require_model(context.world, request["model"], ModelKind.CHAT)
    check_rules(request, model)
    messages = request["messages"]
    prompt = last_user_message(messages)
    canned = canned_answer(context.world, prompt, model)

    def key() -> bytes:
        return answer_key(context.world, model, messages)

    id_, budget = f"chatcmpl-{identity}", Budget(MAX_STEPS, shared=context.budget)
    answer = encode_completion(
        request, canned=canned, key=key, id=id_, created=context.created, prompt=prompt, budget=budget
    )
    return answer[0], model, answer[1], answer[2]


def _with_prompt(asked: Mapping[str, Any], chosen: SelectedVersion, context: RunContext) -> Mapping[str, Any]:
    """The request with the prompt's messages; raises Refusal. A costly template costs as much as a structured response,
    which bounds a batch of them.
    """
    budget = context.budget or Budget(MAX_BATCH_STEPS)
    if budget.left < MAX_STEPS:
        raise refusal(Reason.INVALID, ("body", "variables"), "invalid_template", f"{TOO_MUCH} So did earlier lines.")
    limits = RenderLimits(is_batch=True, when_costly=partial(budget.spend, MAX_STEPS))
    return apply_prompt(asked, chosen, blank=context.leaves_blank, limits=limits)


def _failed_line(identity: str, request: Mapping[str, Any], status: int, body: Mapping[str, Any]) -> bytes:
    response = {"status_code": status, "request_id": f"req_{identity[8:]}", "body": body}
    return _line(identity, request, response, None)


def _late_line(identity: str, request: Mapping[str, Any]) -> bytes:
    return _line(identity, request, None, EXPIRED)


def _line(identity: str, request: Mapping[str, Any], response: Any, error: Any) -> bytes:
    named = {"id": f"batch_req_{identity[:24]}", "custom_id": request["custom_id"]}
    return jsonl_bytes({**named, "response": response, "error": error}) + b"\n"


def _with_marker(status: int) -> dict[str, Any]:
    message = f"A marker in the request, or the sandbox's conditions, ask for the status {status}."
    return {"error": {"message": message, "type": error_type(status), "param": None, "code": None}}
