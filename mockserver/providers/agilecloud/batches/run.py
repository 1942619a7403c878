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

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from mockserver.api.call import ApiContext, with_defaults
from mockserver.api.client_rules import RejectedItems
from mockserver.errors import Reason, Refusal
from mockserver.http import StoredBytes
from mockserver.openapi.generate.steps import MAX_BATCH_STEPS, MAX_STEPS, Budget
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches.fast_path import FastPath
from mockserver.providers.agilecloud.batches.input import InputValidator
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
from mockserver.providers.agilecloud.usage import EventWriter, UsageTotal
from mockserver.records import Record
from mockserver.sandbox.batches import DEFAULT_FAILURE, PLAIN, ItemOutcome, Outcomes, apply_plan, read_outcome
from mockserver.sandbox.blobs import Blob, BlobWriter
from mockserver.sandbox.conditions import ItemPlan
from mockserver.sandbox.ids import seed_of, seeded_digest
from mockserver.workers import checkpoint

WINDOW = 64
WINDOW_BYTES = 1024 * 1024
"""The lines within which the order is changed, and the bytes that these may have: the memory that writing needs."""
KINDS = {CHAT: ModelKind.CHAT, EMBEDDINGS: ModelKind.EMBEDDING}
"""The kind of model, by the batch's endpoint."""
NO_FILE = Blob.in_memory(b"")
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


class VersionUse(Record, frozen=True, gc=False):
    """A version of a prompt that a version test selected for a request."""

    slug: str
    version: int
    used: UsageTotal | None
    """The request's usage; None if it failed."""


class LineResults(Record, frozen=True, gc=False):
    """The result of an input file."""

    size: int
    errors: tuple[Mapping[str, Any], ...]
    """Why the batch fails; empty for a valid file."""
    outcomes: Outcomes
    succeeded: bytes
    """A byte for each item, in input order: 1 for one that succeeds."""
    output: Blob
    error: Blob
    usage: Mapping[str, UsageTotal]
    """By model, the usage of successful requests."""
    model: str | None = None
    """The model of all requests; None if they differ."""
    uses: tuple[VersionUse, ...] = ()
    refused: RejectedItems = RejectedItems()
    events: Mapping[str, StoredBytes] = {}
    """By model, the usage of each successful request; see ModelEvents. Empty once the account's usage has them."""

    def __post_init__(self) -> None:
        if self.errors and self.size:
            raise ValueError(f"it has errors, and a size of {self.size}")
        if len(self.succeeded) != self.size or self.succeeded.translate(None, b"\0\1"):
            raise ValueError(f"succeeded does not say 0 or 1 of each of {self.size} items")
        if self.outcomes and max(self.outcomes) >= self.size:
            raise ValueError("its outcomes are not those of its items")
        if sum(each.requests for each in self.usage.values()) != self.succeeded.count(1):
            raise ValueError("its usage is of more or fewer requests than have succeeded")

    def without_files(self) -> "LineResults":
        """The result without files and events, which others keep."""
        return self._replace(output=NO_FILE, error=NO_FILE, uses=(), events={})


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
    outcomes: dict[int, ItemOutcome] = {}
    refused = RejectedItems()
    succeeded = bytearray()
    seed = seed_of(context.batch_id.encode())
    order = None if context.keeps_order else sorted(range(WINDOW), key=lambda n: seeded_digest(seed, b"%d" % n))
    output, error = _Lines(order), _Lines(order)
    # If lines have different outcomes, the fast path does not apply.
    is_even = context.endpoint == CHAT and ended is None and context.plan is None and is_bundled(context.world, CHAT)
    events = EventWriter()
    plain = FastPath(context.world, context.models, context.prices, context.created, events) if is_even else None
    accepts, strict = plain.accepts if plain else None, context.world.settings.strict
    inspection = InputValidator(context.endpoint, context.models, context.line_schema, accepts, strict=strict)
    totals = _Totals(inspection.named, events)
    for index, (number, line, request, is_plain) in enumerate(inspection.requests(blob)):
        identity = seeded_digest(seed, b"%d" % index).hex()
        # A plain line has one bracket, that of its messages; searching a second one is faster than searching a marker.
        has_room = not is_plain or line.find(b"[", line.find(b"[") + 1) > 0
        is_marked = context.applies_markers and has_room and b"[mock:" in line
        if is_plain and plain and not is_marked and (short := plain.answered(request, identity)):
            succeeded.append(1)
            output.add(short)
            continue
        outcome = _item_outcome(line if is_marked else None, index, context, outcomes)
        if ended is not None and not ended(index):
            succeeded.append(0)
            if expires:
                error.add(_late_line(identity, request))
            continue
        answer = _answer_line(request, outcome, identity, context)
        if answer.broken:
            refused = refused.with_item(f"line {number}", answer.broken)
        succeeded.append(answer.used is not None)
        (error if answer.used is None else output).add(answer.line)
        totals.add(request["custom_id"], answer)
    if inspection.errors:
        return rejected_file(*inspection.errors)
    for model, used in plain.usage() if plain else ():
        totals.add_usage(model, used.counts)
    return LineResults(
        len(succeeded),
        (),
        outcomes,
        bytes(succeeded),
        output.finish(),
        error.finish(),
        totals.usage(),
        totals.only_model(),
        tuple(totals.uses),
        refused,
        events.finish(),
    )


def rejected_file(*errors: Mapping[str, Any]) -> LineResults:
    """The result of a file whose batch fails."""
    return LineResults(0, errors, {}, b"", NO_FILE, NO_FILE, {})


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


class _Lines:
    """Writes a file in which neighbours swap places, as if requests were processed in parallel."""

    def __init__(self, order: Sequence[int] | None) -> None:
        """`order` is a permutation of WINDOW neighbours; without it the order is kept."""
        self._writer = BlobWriter()
        self._window: list[bytes] = []
        self._waiting = 0
        self._order = order

    def add(self, line: bytes) -> None:
        self._window.append(line)
        self._waiting += len(line)
        if len(self._window) >= WINDOW or self._waiting >= WINDOW_BYTES:
            self._write()

    def finish(self) -> Blob:
        self._write()
        return self._writer.finish()

    def _write(self) -> None:
        lines, self._window = self._window, []
        if self._order is not None:
            lines = [lines[at] for at in self._order if at < len(lines)]
        self._writer.write(*lines)
        self._waiting = 0


class _Broken(Refusal):
    """An invalid body of a request."""


_STATUSES = {Reason.NOT_FOUND: 404, Reason.CONFLICT: 409}


class _Answer(NamedTuple):
    """A line of the output or error file, and its details."""

    line: bytes
    model: Model | None = None
    """The model that answered; None if the request failed."""
    used: tuple[int, int, int, int] | None = None
    """The usage of a success, as in UsageTotal."""
    chosen: SelectedVersion | None = None
    """The selected prompt version."""
    broken: str = ""
    """The first violation of the request."""


class _Totals:
    """What the lines of a batch used: tokens and cost by model, and the prompt versions."""

    def __init__(self, models: set[str], events: EventWriter) -> None:
        """`models` are the ids of those that lines were answered by so far."""
        self.uses: list[VersionUse] = []
        self._models = models
        self._events = events
        self._sums: dict[str, list[int]] = {}

    def add(self, custom_id: str, answer: _Answer) -> None:
        chosen, used, model = answer.chosen, answer.used, answer.model
        if chosen is not None and chosen.is_tested:
            total = UsageTotal(*used) if used else None
            self.uses.append(VersionUse(chosen.prompt.slug, chosen.version.number, total))
        if model is not None and used is not None:
            self._models.add(model.id)
            self.add_usage(model, used)
            self._events.of_model(model.name).note(custom_id, *used[1:])

    def add_usage(self, model: Model, used: Sequence[int]) -> None:
        counts = self._sums.setdefault(model.name, [0, 0, 0, 0])
        for at, count in enumerate(used):
            counts[at] += count

    def usage(self) -> dict[str, UsageTotal]:
        """The totals by the model's name."""
        return {model: UsageTotal(*counts) for model, counts in self._sums.items()}

    def only_model(self) -> str | None:
        """The id of the model that answered all lines; None when there are several, or none."""
        return next(iter(self._models)) if len(self._models) == 1 else None


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
    return _Answer(b"".join(parts), model, (1, prompt, said, cost), chosen)


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
