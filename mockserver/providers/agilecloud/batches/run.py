"""A batch's input, line by line: what each request is answered with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.api.provider import ApiContext, RejectedItems, with_defaults
from mockserver.errors import Reason, Refusal
from mockserver.http import StoredBytes
from mockserver.openapi.budget import MAX_STEPS, Budget
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches.fast_path import FastPath
from mockserver.providers.agilecloud.batches.input import InputValidator
from mockserver.providers.agilecloud.chat.completion import encode_completion, last_user_message
from mockserver.providers.agilecloud.chat.embeddings import embeddings
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
from mockserver.providers.agilecloud.usage import EventWriter, UsageTotal
from mockserver.sandbox.batches import DEFAULT_FAILURE, PLAIN, ItemOutcome, apply_plan, read_outcome
from mockserver.sandbox.blobs import Blob, BlobWriter
from mockserver.sandbox.conditions import ItemPlan
from mockserver.sandbox.ids import seed_of, seeded_digest
from mockserver.workers import checkpoint

WINDOW = 64
WINDOW_BYTES = 1024 * 1024
"""Answers of so many neighbours, or so many bytes of them, change places; a file needs no more memory than that."""
KINDS = {CHAT: ModelKind.CHAT, EMBEDDINGS: ModelKind.EMBEDDING}
"""What the models of a batch are for, by its endpoint."""
NO_FILE = Blob.in_memory(b"")
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


class VersionUse(NamedTuple):
    """A version of a prompt that a version test chose for a request."""

    slug: str
    version: int
    trade: UsageTotal | None
    """What the request came to; None when it failed."""


class LineResults(NamedTuple):
    """An input file, worked through."""

    size: int
    errors: tuple[Mapping[str, Any], ...]
    """Why the batch fails; empty for a good file."""
    fates: Mapping[int, ItemOutcome]
    good: bytes
    """A byte for each item, in input order: 1 for one that succeeds."""
    output: Blob
    error: Blob
    trades: Mapping[str, UsageTotal]
    """By model, of what succeeded."""
    model: str | None = None
    """The model that all requests are for; None when they do not agree on one."""
    uses: tuple[VersionUse, ...] = ()
    refused: RejectedItems = RejectedItems()
    events: Mapping[str, StoredBytes] = {}
    """By model, what each request that succeeded used; see ModelEvents. Empty once they are on the account's bill."""

    def without_files(self) -> "LineResults":
        """What remains once its files and events have another holder."""
        return self._replace(output=NO_FILE, error=NO_FILE, uses=(), events={})


class RunContext(NamedTuple):
    """What lines are worked through with: everything their answers follow from."""

    batch_id: str
    endpoint: str
    created: int
    """What answers are dated, in Unix seconds."""
    models: Models
    prices: Prices
    world: ApiContext
    find_prompt: FindPrompt
    line_schema: Schema
    body_schema: Schema | None
    heeds_markers: bool
    keeps_order: bool
    plan: ItemPlan | None = None
    leaves_blank: bool = False
    """Whether a template's variables without a value are left empty, rather than refused."""
    budget: Budget | None = None
    """What all lines together may cost whose answers have a form of the client's."""


def run_lines(
    blob: StoredBytes, desk: RunContext, *, ended: Callable[[int], bool] | None = None, expires: bool = False
) -> LineResults:
    """Check every line and answer it.

    `ended` says which items came to an end before the batch did; of the others nothing is kept, or, where the batch
    `expires`, that they came too late.
    """
    fates: dict[int, ItemOutcome] = {}
    sums: dict[str, list[int]] = {}
    uses: list[VersionUse] = []
    refused = RejectedItems()
    good = bytearray()
    seed = seed_of(desk.batch_id.encode())
    order = None if desk.keeps_order else sorted(range(WINDOW), key=lambda n: seeded_digest(seed, b"%d" % n))
    output, error = _Lines(order), _Lines(order)
    # Where lines meet different ends, each is looked at in full.
    is_even = desk.endpoint == CHAT and ended is None and desk.plan is None and is_bundled(desk.world, CHAT)
    events = EventWriter()
    plain = FastPath(desk.world, desk.models, desk.prices, desk.created, events) if is_even else None
    accepts, strict = plain.accepts if plain else None, desk.world.settings.strict
    inspection = InputValidator(desk.endpoint, desk.models, desk.line_schema, accepts, strict=strict)
    models = inspection.named
    for index, (number, line, request, is_plain) in enumerate(inspection.requests(blob)):
        identity = seeded_digest(seed, b"%d" % index).hex()
        # A plain line has one bracket, that of its messages; a second one is found sooner than a marker.
        has_room = not is_plain or line.find(b"[", line.find(b"[") + 1) > 0
        is_marked = desk.heeds_markers and has_room and b"[mock:" in line
        if is_plain and plain and not is_marked and (short := plain.answered(request, identity)):
            good.append(1)
            output.add(short)
            continue
        fate = read_outcome(line.decode()) if is_marked else PLAIN
        if fate != PLAIN:
            fates[index] = fate
        if desk.plan is not None:
            fate = apply_plan(fate, desk.plan, index, desk.batch_id)
            if fate.slowness:
                fates[index] = fate
        if ended is not None and not ended(index):
            good.append(0)
            if expires:
                error.add(_late_line(identity, request))
            continue
        answer, model, trade, chosen, broken = _answer_line(request, fate, identity, desk)
        if broken:
            refused = refused.with_item(f"line {number}", broken)
        good.append(trade is not None)
        if chosen is not None and chosen.is_tested:
            uses.append(VersionUse(chosen.prompt.slug, chosen.version.number, UsageTotal(*trade) if trade else None))
        (error if trade is None else output).add(answer)
        if model is not None and trade is not None:
            models.add(model.id)
            _add(sums, model, trade)
            events.of_model(model.name).note(request["custom_id"], *trade[1:])
    if inspection.errors:
        return rejected_file(*inspection.errors)
    for model, trade in plain.trades() if plain else ():
        _add(sums, model, trade)
    trades = {model: UsageTotal(*counts) for model, counts in sums.items()}
    return LineResults(
        len(good),
        (),
        fates,
        bytes(good),
        output.finish(),
        error.finish(),
        trades,
        models.pop() if len(models) == 1 else None,
        tuple(uses),
        refused,
        events.finish(),
    )


def rejected_file(*errors: Mapping[str, Any]) -> LineResults:
    """What comes of a file for which its batch fails."""
    return LineResults(0, errors, {}, b"", NO_FILE, NO_FILE, {})


def _add(sums: dict[str, list[int]], model: Model, trade: Sequence[int]) -> None:
    counts = sums.setdefault(model.name, [0, 0, 0, 0])
    for at, count in enumerate(trade):
        counts[at] += count


class _Lines:
    """A file that is written: neighbours change places, as where requests are worked on side by side."""

    def __init__(self, order: Sequence[int] | None) -> None:
        """`order` says which of WINDOW neighbours comes first, which next; without it each keeps its place."""
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
    """A request's body that the document refuses."""


_STATUSES = {Reason.NOT_FOUND: 404, Reason.CONFLICT: 409}


class _Answer(NamedTuple):
    """The line for the output or error file, and what stands behind it."""

    line: bytes
    model: Model | None = None
    """The one that answered; None where the request failed."""
    trade: tuple[int, int, int, int] | None = None
    """What a success came to, as in a Trade."""
    chosen: SelectedVersion | None = None
    """The prompt version it got."""
    broken: str = ""
    """How the request broke the document."""


def _answer_line(request: Mapping[str, Any], fate: ItemOutcome, identity: str, desk: RunContext) -> _Answer:
    """What becomes of a line."""
    checkpoint()
    if fate.failure is not None:
        status = fate.failure if 400 <= fate.failure <= 599 else DEFAULT_FAILURE
        return _Answer(_failed_line(identity, request, status, _with_marker(status)))
    chosen = None
    try:
        _find_validator(request["body"], desk)
        if desk.endpoint == CHAT:
            chosen = select_version(request["body"], desk.find_prompt, identity.encode())
        body, model, prompt, said = _body(request["body"], chosen, identity, desk)
    except Refusal as refusal:
        status = refusal.status or _STATUSES.get(refusal.reason, 400)
        error = validation_error_json(refusal, status)
        broken = str(error["message"]) if isinstance(refusal, (_Broken, RuleBroken)) else ""
        return _Answer(_failed_line(identity, request, status, {"error": error}), chosen=chosen, broken=broken)
    cost = desk.prices.cost(model, prompt, said, batch=True)
    head = f'{{"id":"batch_req_{identity[:24]}","custom_id":'.encode()
    middle = f',"response":{{"status_code":200,"request_id":"req_{identity[8:]}","body":'.encode()
    parts = (head, jsonl_bytes(request["custom_id"]), middle, body, b'},"error":null}\n')
    return _Answer(b"".join(parts), model, (1, prompt, said, cost), chosen)


def _find_validator(body: Mapping[str, Any], desk: RunContext) -> None:
    """Raises Refusal for a body that the document refuses a live request."""
    if desk.body_schema is None:
        raise Refusal(Reason.NOT_FOUND, f"mockserver does not imitate {desk.endpoint}.")
    violations = desk.body_schema.violations(body, ("body",))
    if violations:
        raise _Broken(Reason.INVALID, violations=violations)


def _body(
    asked: Mapping[str, Any], chosen: SelectedVersion | None, identity: str, desk: RunContext
) -> tuple[bytes, Model, int, int]:
    """The answer in JSON, the model that gives it, and the tokens of prompt and completion."""
    defaults = desk.world.changed_defaults(LIVE[desk.endpoint])
    if defaults:
        asked = with_defaults(asked, defaults)
    if desk.endpoint == EMBEDDINGS:
        model = require_model(desk.world, asked["model"], ModelKind.EMBEDDING)
        shown = embeddings(asked, model=model, seed=desk.world.settings.seed)
        return jsonl_bytes(shown), model, shown["usage"]["prompt_tokens"], 0
    request = asked
    if chosen is not None:
        request = _with_prompt(asked, chosen, desk)
        _find_validator(request, desk)  # with what the prompt's version adds
    model = require_model(desk.world, request["model"], ModelKind.CHAT)
    check_rules(request, model)
    messages = request["messages"]
    prompt = last_user_message(messages)
    canned = canned_answer(desk.world, prompt, model)

    def key() -> bytes:
        return answer_key(desk.world, model, messages)

    id_, budget = f"chatcmpl-{identity}", Budget(MAX_STEPS, shared=desk.budget)
    answer = encode_completion(
        request, canned=canned, key=key, id=id_, created=desk.created, prompt=prompt, budget=budget
    )
    return answer[0], model, answer[1], answer[2]


def _with_prompt(asked: Mapping[str, Any], chosen: SelectedVersion, desk: RunContext) -> Mapping[str, Any]:
    """The request with the prompt's messages; raises Refusal. A template that does too much costs as much as an answer
    may, so that a batch of them ends."""
    if desk.budget is not None and desk.budget.left < MAX_STEPS:
        raise refusal(Reason.INVALID, ("body", "variables"), "invalid_template", f"{TOO_MUCH} So did earlier lines.")
    try:
        return apply_prompt(asked, chosen, blank=desk.leaves_blank)
    except Refusal as refused:
        if desk.budget is not None and TOO_MUCH in str(refused):
            desk.budget.spend(MAX_STEPS)
        raise


def _failed_line(identity: str, request: Mapping[str, Any], status: int, body: Mapping[str, Any]) -> bytes:
    response = {"status_code": status, "request_id": f"req_{identity[8:]}", "body": body}
    return _line(identity, request, response, None)


def _late_line(identity: str, request: Mapping[str, Any]) -> bytes:
    return _line(identity, request, None, EXPIRED)


def _line(identity: str, request: Mapping[str, Any], response: Any, error: Any) -> bytes:
    shown = {
        "id": f"batch_req_{identity[:24]}",
        "custom_id": request["custom_id"],
        "response": response,
        "error": error,
    }
    return jsonl_bytes(shown) + b"\n"


def _with_marker(status: int) -> dict[str, Any]:
    message = f"A marker in the request, or the sandbox's conditions, ask for the status {status}."
    return {"error": {"message": message, "type": error_type(status), "param": None, "code": None}}
