"""A batch's input, line by line: what is wrong with it, and what each request is answered with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import xxhash

from mockserver.contract.schema import Schema
from mockserver.errors import Reason, Refusal, Violation
from mockserver.messages import Content
from mockserver.provider import World
from mockserver.providers.agilecloud_answers import last_user_message, written_completion
from mockserver.providers.agilecloud_embeddings import embeddings
from mockserver.providers.agilecloud_models import Model, Models, find_model
from mockserver.providers.agilecloud_pricing import Prices
from mockserver.providers.agilecloud_refusals import described, family
from mockserver.providers.agilecloud_streams import line_bytes
from mockserver.providers.agilecloud_usage import Trade
from mockserver.providers.agilecloud_world import answer_key, canned_answer
from mockserver.state.batches import PLAIN, Fate, read_fate
from mockserver.stores.blobs import Blob, BlobWriter

MAX_LINES = 50_000
MAX_ERRORS = 100
WINDOW = 64
"""Answers of so many neighbours change places; a file needs no more memory than that."""
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}

Resolve = Callable[[Mapping[str, Any], bytes], Mapping[str, Any]]


class Worked(NamedTuple):
    """An input file, worked through."""

    size: int
    errors: tuple[Mapping[str, Any], ...]
    """Why the batch fails; empty for a good file."""
    fates: Mapping[int, Fate]
    good: bytes
    """A byte for each item, in input order: 1 for one that succeeds."""
    output: Blob
    error: Blob
    trades: Mapping[str, Trade]
    """By model, of what succeeded."""


class LineError(Exception):
    """A line for which the whole batch fails."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class Desk(NamedTuple):
    """What lines are worked through with: everything their answers follow from."""

    batch_id: str
    endpoint: str
    created: int
    """What answers are dated, in Unix seconds."""
    models: Models
    prices: Prices
    world: World
    resolve: Resolve
    """Turns a request that names a prompt into one with messages; raises Refusal."""
    line_schema: Schema
    body_schema: Schema | None
    heeds_markers: bool
    keeps_order: bool


def work(blob: Content, desk: Desk, *, ended: Callable[[int], bool] | None = None, expires: bool = False) -> Worked:
    """Check every line and answer it.

    `ended` says which items came to an end before the batch did; of the others nothing is kept, or, where the batch
    `expires`, that they came too late.
    """
    errors: list[dict[str, Any]] = []
    fates: dict[int, Fate] = {}
    sums: dict[str, list[int]] = {}
    seen: set[str] = set()
    good = bytearray()
    batch = desk.batch_id.encode()
    output, error = _Lines(keeps_order=desk.keeps_order), _Lines(keeps_order=desk.keeps_order)
    for number, line in enumerate(blob.lines(), 1):
        if number > MAX_LINES:
            errors.append(_shown(LineError("too_many_requests", f"A batch holds at most {MAX_LINES} requests."), None))
            break
        try:
            request, model = _checked(line, desk, seen)
        except LineError as problem:
            errors.append(_shown(problem, number))
            if len(errors) >= MAX_ERRORS:
                break
            continue
        if errors:
            continue
        index = len(good)
        fate = read_fate(line.decode()) if desk.heeds_markers and b"[mock:" in line else PLAIN
        if fate is not PLAIN and fate != PLAIN:
            fates[index] = fate
        identity = xxhash.xxh3_128_hexdigest(b"%b/%d" % (batch, index))
        if ended is not None and not ended(index):
            good.append(0)
            if expires:
                error.add(_late_line(identity, request))
            continue
        answer, trade = _answered(request, model, fate, identity, desk)
        good.append(trade is not None)
        if trade is None:
            error.add(answer)
        else:
            output.add(answer)
            _add(sums.setdefault(model.name, [0, 0, 0, 0]), trade)
    if not good and not errors:
        errors.append(_shown(LineError("empty_file", "The input file holds no request."), None))
    trades = {model: Trade(*counts) for model, counts in sums.items()}
    return Worked(len(good), tuple(errors), fates, bytes(good), output.finish(), error.finish(), trades)


def _add(sums: list[int], trade: tuple[int, int, int, int]) -> None:
    sums[0] += trade[0]
    sums[1] += trade[1]
    sums[2] += trade[2]
    sums[3] += trade[3]


class _Lines:
    """A file that is written: neighbours change places, as where requests are worked on side by side."""

    def __init__(self, *, keeps_order: bool) -> None:
        self._writer = BlobWriter()
        self._window: list[bytes] = []
        self._keeps_order = keeps_order

    def add(self, line: bytes) -> None:
        self._window.append(line)
        if len(self._window) >= WINDOW:
            self._write()

    def finish(self) -> Blob:
        self._write()
        return self._writer.finish()

    def _write(self) -> None:
        if not self._keeps_order:
            self._window.sort()  # by the ids they begin with, which follow from the seed and no order
        self._writer.write(b"".join(self._window))
        self._window.clear()


def _checked(line: bytes, desk: Desk, seen: set[str]) -> tuple[dict[str, Any], Model]:
    """The line's request and its model; raises LineError."""
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise LineError("invalid_json_line", "This line is not parseable as valid JSON.") from None
    if not desk.line_schema.accepts(request):
        raise _broken(desk.line_schema.violations(request)[0])
    if request["url"] != desk.endpoint:
        message = "The URL provided for this request does not match the batch endpoint."
        raise LineError("invalid_url", message, "url")
    name = request["body"]["model"]
    model = find_model(desk.models, name)
    if model is None:
        message = f"The provided model '{name[:200]}' is not supported by the Batch API."
        raise LineError("model_not_found", message, "body.model")
    custom_id = request["custom_id"]
    if custom_id in seen:
        message = f"The custom_id '{custom_id[:200]}' stands in the file more than once."
        raise LineError("duplicate_custom_id", message, "custom_id")
    seen.add(custom_id)
    return request, model


_STATUSES = {Reason.NOT_FOUND: 404, Reason.CONFLICT: 409}
_REQUIRED = {"model": "Model parameter is required.", "messages": "Messages parameter is required."}


def _broken(violation: Violation) -> LineError:
    """The first way a line breaks the document, in the words that are known."""
    path = ".".join(str(step) for step in violation.location)
    if violation.code == "required":
        name = next(iter(part for part in violation.message.split("'")[1::2]), "")
        if violation.location == ("body",) and name in _REQUIRED:
            return LineError("invalid_request", _REQUIRED[name], f"body.{name}")
        return LineError("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    if path == "body.stream":
        message = "Chat Completions: Streaming is not supported in the Batch API."
        return LineError("streaming_unsupported", message, path)
    return LineError("invalid_request", f"Invalid value for '{path or 'line'}': {violation.message}", path or None)


def _shown(problem: LineError, line: int | None) -> dict[str, Any]:
    return {"code": problem.code, "message": str(problem), "param": problem.param, "line": line}


def _answered(
    request: Mapping[str, Any], model: Model, fate: Fate, identity: str, desk: Desk
) -> tuple[bytes, tuple[int, int, int, int] | None]:
    """The line for the output or error file, and what a success came to, as a Trade has it."""
    try:
        if fate.failure is not None:
            return _failed_line(identity, request, fate.failure, _marked(fate.failure)), None
        body, prompt, said = _body(request["body"], model, identity, desk)
    except Refusal as refusal:
        status = refusal.status or _STATUSES.get(refusal.reason, 400)
        return _failed_line(identity, request, status, {"error": described(refusal, status)}), None
    cost = desk.prices.cost(model, prompt, said, batch=True)
    parts = (
        b'{"id":"batch_req_',
        identity[:24].encode(),
        b'","custom_id":',
        line_bytes(request["custom_id"]),
        b',"response":{"status_code":200,"request_id":"req_',
        identity[8:].encode(),
        b'","body":',
        body,
        b'},"error":null}\n',
    )
    return b"".join(parts), (1, prompt, said, cost)


def _body(asked: Mapping[str, Any], model: Model, identity: str, desk: Desk) -> tuple[bytes, int, int]:
    """The answer in JSON, and the tokens of prompt and completion."""
    if desk.body_schema is None:
        raise Refusal(Reason.NOT_FOUND, f"mockserver does not imitate {desk.endpoint}.")
    violations = desk.body_schema.violations(asked, ("body",))
    if violations:
        raise Refusal(Reason.INVALID, violations=violations)
    if desk.endpoint == EMBEDDINGS:
        shown = embeddings(asked, model=model, seed=desk.world.settings.seed)
        return line_bytes(shown), shown["usage"]["prompt_tokens"], 0
    request = desk.resolve(asked, identity.encode()) if "prompt_slug" in asked else asked
    messages = request["messages"]
    canned = canned_answer(desk.world, last_user_message(messages), model)
    key = _key(desk, model, messages)
    return written_completion(request, canned=canned, key=key, id=f"chatcmpl-{identity}", created=desk.created)


def _key(desk: Desk, model: Model, messages: Sequence[Mapping[str, Any]]) -> bytes:
    try:
        return answer_key(desk.world, model, messages)
    except orjson.JSONEncodeError:  # what can be read may be too deep to be written
        violation = Violation(("body", "messages"), "depth", "is nested too deeply")
        raise Refusal(Reason.INVALID, violations=[violation]) from None


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
    return line_bytes(shown) + b"\n"


def _marked(status: int) -> dict[str, Any]:
    message = f"A marker in the request asks for the status {status}."
    return {"error": {"message": message, "type": family(status), "param": None, "code": None}}
