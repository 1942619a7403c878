"""Validates a batch's input file line by line. One invalid line fails the whole batch."""

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mockserver.errors import Violation
from mockserver.http import StoredBytes
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches.plain_lines import OtherLine, PlainGroup, PlainReader
from mockserver.providers.agilecloud.context import EMBEDDINGS
from mockserver.providers.agilecloud.models import Model, Models, find_model
from mockserver.sandbox.blobs import MAX_LINE
from mockserver.sandbox.conditions import InputRejection
from mockserver.text import format_dotted
from mockserver.workers import checkpoint

MAX_LINES = 50_000
"""The most requests of a file; blank lines do not count."""
MAX_BLANK_LINES = 50_000
"""The most blank lines of a file, so that a file of line feeds takes no longer than one of requests."""
MAX_ERRORS = 100
MAX_INPUTS = 50_000
"""The most texts in all requests of a batch of embeddings."""
MAX_DEPTH = 200
"""The most levels of nesting of a line. Values of more than 254 levels cannot be encoded."""

Line = tuple[int, bytes, Mapping[str, Any]]
"""A line that is not plain: its number in the file (from 1), its bytes and its request."""

_REQUIRED = {"model": "Model parameter is required.", "messages": "Messages parameter is required."}


_REJECTIONS = {
    "duplicate_custom_id": "The custom_id of this line stands in the file more than once.",
    "empty_file": "The input file holds no request.",
    "invalid_json_line": "This line is not parseable as valid JSON.",
    "invalid_url": "The URL provided for this request does not match the batch endpoint.",
    "streaming_unsupported": "Chat Completions: Streaming is not supported in the Batch API.",
    "token_limit_exceeded": "Enqueued token limit reached. Please try again once some batches have been completed.",
    "too_many_requests": f"A batch holds at most {MAX_LINES} requests.",
}


def rejection_error(rejection: InputRejection) -> Mapping[str, Any]:
    """The error of a batch that the sandbox's conditions reject."""
    message = rejection.message or _REJECTIONS.get(rejection.code, "The input file was rejected.")
    return {"code": rejection.code, "message": message, "param": rejection.param, "line": rejection.line}


class LineError(Exception):
    """A line that fails the whole batch."""

    def __init__(self, code: str, message: str, param: str | None = None, *, is_last: bool = False) -> None:
        """`is_last` if the error concerns the whole file, so that no other line is validated."""
        super().__init__(message)
        self.code = code
        self.param = param
        self.is_last = is_last


class InputValidator:
    """One pass over an input file."""

    def __init__(
        self,
        endpoint: str,
        models: Models,
        schema: Schema,
        reader: PlainReader | None = None,
        *,
        strict: bool = False,
    ) -> None:
        """`reader` reads plain lines, which are valid, and for this endpoint.

        `strict` rejects blank lines, which are otherwise skipped.
        """
        self.errors: list[Mapping[str, Any]] = []
        """Why the batch fails; complete at the end of the pass."""
        self.named: set[str] = set()
        """The ids of the models that the lines name."""
        self._endpoint = endpoint
        self._models = models
        self._schema = schema
        self._reader = reader
        self._strict = strict
        self._count = self._blank = 0
        self._seen: set[str] = set()
        self._inputs = 0
        self._is_over = False

    def requests(self, blob: StoredBytes) -> Iterator[PlainGroup | Line]:
        """The valid lines in order, plain ones in groups; none after the first invalid one."""
        before = 0
        for lines in blob.line_groups():
            checkpoint()
            if not before and lines[0].startswith(BOM_UTF8) and len(lines[0]) <= MAX_LINE:
                lines[0] = lines[0].removeprefix(BOM_UTF8)
            numbers: Sequence[int] = range(before + 1, before + 1 + len(lines))
            before += len(lines)
            if self._strict or all(map(bytes.strip, lines)):
                yield from self._check_lines(lines, numbers)
            else:
                yield from self._check_lines(*self._without_blank(lines, numbers))
            if self._is_over:
                return
        if not self._count and not self.errors:
            self._fail(LineError("empty_file", "The input file holds no request.", is_last=True), 0)

    def _without_blank(self, lines: Sequence[bytes], numbers: Sequence[int]) -> tuple[list[bytes], list[int]]:
        """The lines that are not blank, with their numbers."""
        kept = [(number, line) for number, line in zip(numbers, lines, strict=True) if line.strip()]
        self._blank += len(lines) - len(kept)
        if self._blank > MAX_BLANK_LINES:
            message = f"The input file has more than {MAX_BLANK_LINES} blank lines."
            self._fail(LineError("too_many_blank_lines", message, is_last=True), 0)
            return [], []
        return [line for _, line in kept], [number for number, _ in kept]

    def _check_lines(self, lines: Sequence[bytes], numbers: Sequence[int]) -> Iterator[PlainGroup | Line]:
        read: Iterable[PlainGroup | OtherLine] = zip(numbers, lines, strict=True)
        if self._reader is not None:
            read = self._reader.read(lines, numbers)
        for each in read:
            if isinstance(each, PlainGroup):
                yield from self._check_group(each)
            elif (request := self._check_line(*each)) is not None:
                yield *each, request
            if self._is_over:
                return

    def _check_group(self, group: PlainGroup) -> Iterator[PlainGroup]:
        """The group if its ids and models are valid; checking all together takes half the time."""
        ids = {request.custom_id for request in group.requests}
        models = list(map(self._found, {request.body.model for request in group.requests}))
        is_valid = len(ids) == len(group.lines) and self._seen.isdisjoint(ids) and None not in models
        if is_valid and not self.errors and self._count + len(ids) <= MAX_LINES:
            self._seen |= ids
            self.named.update(model.id for model in models if model is not None)
            self._count += len(ids)
            yield group
            return
        for at, (number, request) in enumerate(zip(group.numbers, group.requests, strict=True)):
            try:
                self._count_line()
                self._enter(request.custom_id, request.body.model)
            except LineError as problem:
                self._fail(problem, number)
            if self._is_over:
                return
            if not self.errors:
                yield group.part(at, at + 1)

    def _check_line(self, number: int, line: bytes) -> Mapping[str, Any] | None:
        """The request of a line that is not plain; None if there are errors."""
        checkpoint()
        try:
            self._count_line()
            request: Mapping[str, Any] = _parse_line(line)
            self._judge(line, request)
            body = request["body"]
            self._enter(request["custom_id"], body.get("model"))
            if self._endpoint == EMBEDDINGS:
                self._count_inputs(body)
        except LineError as problem:
            self._fail(problem, number)
        return None if self.errors else request

    def _count_line(self) -> None:
        self._count += 1
        if self._count > MAX_LINES:
            raise LineError("too_many_requests", f"A batch holds at most {MAX_LINES} requests.", is_last=True)

    def _fail(self, problem: LineError, number: int) -> None:
        """Add an error; some of them, and too many, end the pass."""
        self.errors.append(_format_name(problem, number))
        self._is_over = problem.is_last or len(self.errors) >= MAX_ERRORS

    def _judge(self, line: bytes, request: Any) -> None:
        """Whether the line is a request for this endpoint; raises LineError."""
        if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _depth(request) > MAX_DEPTH:
            raise _too_deep()
        if not self._schema.accepts(request):
            raise _broken(self._schema.violations(request)[0])
        if request["url"] != self._endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            raise LineError("invalid_url", message, "url")

    def _found(self, name: str) -> Model | None:
        return find_model(self._models, name)

    def _enter(self, custom_id: str, name: str | None) -> None:
        """Register the request; raises LineError if its id is a duplicate, or its model unknown.

        Without a name, the model of the prompt counts; see `apply_prompt`.
        """
        if custom_id in self._seen:
            message = f"The custom_id '{custom_id[:200]}' stands in the file more than once."
            raise LineError("duplicate_custom_id", message, "custom_id")
        self._seen.add(custom_id)
        if name is not None:
            model = self._found(name)
            if model is None:
                message = f"The provided model '{name[:200]}' is not supported by the Batch API."
                raise LineError("model_not_found", message, "body.model")
            self.named.add(model.id)

    def _count_inputs(self, body: Mapping[str, Any]) -> None:
        """Count the texts to be embedded, of a body that is not validated yet."""
        given = body.get("input")
        self._inputs += len(given) if isinstance(given, list) and given and isinstance(given[0], (str, list)) else 1
        if self._inputs > MAX_INPUTS:
            message = f"A batch of embeddings holds at most {MAX_INPUTS} inputs in all its requests."
            raise LineError("too_many_inputs", message, is_last=True)


def _parse_line(line: bytes) -> Any:
    if len(line) > MAX_LINE:
        raise LineError("line_too_long", f"This line is longer than {MAX_LINE} bytes, the most a line may have.")
    try:
        return parse_json(line)
    except JsonError as problem:
        code, reason = problem.code, str(problem)
    # Outside, because the original holds a copy of the line. It is in no variable of this frame, to which it refers:
    # both would stay until garbage collection, with the line.
    raise _json_error(line, code, reason)


def _json_error(line: bytes, code: str, reason: str) -> LineError:
    if code != "syntax":
        return LineError("invalid_json_line", f"This line is too large: {reason}.")
    if "depth" in reason:
        return _too_deep()
    if not line.strip():
        return LineError("invalid_json_line", "This line is blank, which --strict refuses.")
    return LineError("invalid_json_line", "This line is not parseable as valid JSON.")


def _too_deep() -> LineError:
    return LineError("invalid_json_line", f"This line is nested more than {MAX_DEPTH} levels deep.")


def _depth(value: Any) -> int:
    """The depth of the value, up to one level more than allowed."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        depth += 1
    return depth


def _broken(violation: Violation) -> LineError:
    """The first violation of a line, as OpenAI phrases it."""
    path = format_dotted(violation.location)
    if violation.code == "required":
        [name] = violation.names or [""]
        if violation.location == ("body",) and name in _REQUIRED:
            return LineError("invalid_request", _REQUIRED[name], f"body.{name}")
        return LineError("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    if path == "body.stream":
        message = "Chat Completions: Streaming is not supported in the Batch API."
        return LineError("streaming_unsupported", message, path)
    return LineError("invalid_request", f"Invalid value for '{path or 'line'}': {violation.message}", path or None)


def _format_name(problem: LineError, number: int) -> Mapping[str, Any]:
    line = None if problem.is_last else number
    return {"code": problem.code, "message": str(problem), "param": problem.param, "line": line}
