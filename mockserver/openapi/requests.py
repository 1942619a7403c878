"""Parses and validates arguments and body of a request, and validates responses."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Request, Response, Upload
from mockserver.json_bodies import NESTING_MARGIN, JsonError, parse_json
from mockserver.lazy import lazy_module, lazy_pattern
from mockserver.openapi.document import Content, Operation, Parameter
from mockserver.openapi.operations import bare_media_type, is_json
from mockserver.openapi.references import resolved
from mockserver.openapi.wire.typed import NOTHING, parse_scalar
from mockserver.percent import parse_qsl, unquote, unquote_plus
from mockserver.records import Record

if TYPE_CHECKING:  # only documents other than the bundled one need these
    from mockserver.openapi.wire import arguments as styled
    from mockserver.openapi.wire import bodies
else:
    styled = lazy_module("mockserver.openapi.wire.arguments")
    bodies = lazy_module("mockserver.openapi.wire.bodies")

MAX_ARGUMENTS = 1000
MAX_DEPTH = 230
"""The most levels of nesting in a body."""
NOT_COPIED = 16 * 1024
"""Bytes from which a canonical form is a view."""
EVENT_STREAM = "text/event-stream"
MAX_SHOWN_CODING = 100
_PLAIN_ARGUMENT = lazy_pattern(r"[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~-]*", re.ASCII)
"""One argument without encoded characters."""
FORM = "multipart/form-data"
UNSUPPORTED = 415
"""Where this is documented, a body that is not documented is refused."""


class JsonBody(Record, frozen=True, gc=False):
    """A valid JSON body, parsed."""

    value: Any
    canonical: bytes | memoryview
    """See ParsedInput."""


class ParsedInput(Record, frozen=True, gc=False):
    """The parsed input of a request: arguments by name, the body, and all violations of the document."""

    arguments: Mapping[str, Any]
    body: Any
    canonical: bytes | memoryview
    """The JSON body with sorted keys and no white space; empty for any other body."""
    violations: list[Violation]


def parse_input(
    operation: Operation,
    request: Request,
    path_arguments: Mapping[str, str],
    *,
    strict: bool,
    body: JsonBody | None = None,
) -> ParsedInput:
    """Parses and validates arguments and body. `strict` rejects undocumented arguments.

    `body` is what `parse_valid_json` returned for the request, if it was called.
    """
    violations: list[Violation] = []
    arguments: dict[str, Any] = {}
    if operation.parameters or (strict and request.query):
        arguments = _read_arguments(operation, request, path_arguments, violations, strict=strict)
    if operation.body is None:
        if operation.is_foreign and request.body and UNSUPPORTED in operation.statuses:
            raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, f"{operation.key} takes no body.")
        return ParsedInput(arguments, None, b"", violations)
    if body is not None:
        return ParsedInput(arguments, body.value, body.canonical, violations)
    value, canonical = _read_body(operation, request, violations)
    return ParsedInput(arguments, value, canonical, violations)


def early_contents(operation: Operation) -> Mapping[str, Content]:
    """The contents of JSON bodies for `parse_valid_json`, by media type as the bundled document states it."""
    if operation.is_foreign:
        return {}
    return {media_type: content for media_type, content in (operation.body or {}).items() if content.is_json}


def parse_valid_json(content: Content, request: Request) -> JsonBody | None:
    """The JSON body of a request with this content; None unless it is valid, which `parse_input` judges."""
    if "content-encoding" in request.headers:
        return None
    try:
        value, canonical = _parse_json(content, request.body)
    except (JsonError, orjson.JSONEncodeError):
        return None
    if content.schema is not None and not content.schema.fast_accepts(value):
        return None
    return JsonBody(value, canonical)


def check_reply(operation: Operation, response: Response) -> list[Violation]:
    """All violations of the document in a response; empty if the document allows it."""
    documented = operation.response(response.status)
    if documented is None:
        return [
            Violation(("status",), "undocumented", f"{operation.key} does not document the status {response.status}")
        ]
    media_type = bare_media_type(response.media_type)
    if not documented.content and not response.body:
        return []
    content = find_content(documented.content, media_type)
    if content is None:
        return [
            Violation(
                ("header", "Content-Type"),
                "undocumented",
                f"{operation.key} does not document {media_type!r} for {response.status}",
            )
        ]
    if content.schema is None or not isinstance(response.body, bytes) or _is_opaque(content):
        return []
    try:
        value = orjson.loads(response.body) if is_json(media_type) else response.body.decode(errors="replace")
    except orjson.JSONDecodeError as problem:
        return [Violation(("body",), "syntax", f"not JSON: {problem}")]
    return content.schema.violations(value, ("body",))


def _is_opaque(content: Content) -> bool:
    """Whether no schema applies to the body: bytes, or a stream of events."""
    definition = content.schema.definition if content.schema else {}
    is_binary = isinstance(definition, dict) and definition.get("format") == "binary"
    return is_binary or bare_media_type(content.media_type) == EVENT_STREAM


def find_content(contents: Mapping[str, Content], media_type: str) -> Content | None:
    """The documented content for a media type: exact, then with parameters, then `text/*`, then `*/*`."""
    return (
        contents.get(media_type)
        or next((content for stated, content in contents.items() if bare_media_type(stated) == media_type), None)
        or contents.get(f"{media_type.partition('/')[0]}/*")
        or contents.get("*/*")
    )


def _read_arguments(
    operation: Operation,
    request: Request,
    path_arguments: Mapping[str, str],
    violations: list[Violation],
    *,
    strict: bool,
) -> dict[str, Any]:
    given = _read_query(request.query, violations)
    arguments: dict[str, Any] = {}
    for parameter in operation.parameters:
        where = (parameter.location, parameter.name)
        if operation.is_foreign:
            value = styled.read_styled(parameter, request, path_arguments, given, violations)
        else:
            value = _read_argument(parameter, request, path_arguments, given, violations)
        if value is not NOTHING:
            if parameter.is_encoded and isinstance(value, str):
                value = decoded(value)
            arguments[parameter.name] = value
            if not parameter.schema.fast_accepts(value):
                violations += parameter.schema.violations(value, where)
        elif parameter.required:
            violations.append(
                Violation(where, "required", f"{parameter.name!r} is a required {parameter.location} parameter")
            )
    if strict:
        known = {parameter.name for parameter in operation.parameters if parameter.location == "query"}
        if operation.is_foreign:
            known |= styled.known_arguments(operation, given)
        violations += [
            Violation(("query", name), "unknown", f"{name!r} is not a parameter of {operation.key}")
            for name in given
            if name not in known
        ]
    return arguments


def _read_query(query: str, violations: list[Violation]) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    if query:
        name, _, value = query.partition("=")
        if _PLAIN_ARGUMENT.fullmatch(query):  # as most are; `parse_qsl` takes five times as long
            return {name: [value]}
        try:
            pairs = parse_qsl(query, errors="strict", max_num_fields=MAX_ARGUMENTS)
        except ValueError as problem:  # or a UnicodeDecodeError, which is one
            violations.append(Violation(("query",), "syntax", f"the query cannot be read: {problem}"))
            return given
        for name, value in pairs:
            given.setdefault(name, []).append(value)
    return given


def _read_argument(
    parameter: Parameter,
    request: Request,
    path: Mapping[str, str],
    query: Mapping[str, list[str]],
    violations: list[Violation],
) -> Any:
    if parameter.location == "query":
        texts = query.get(parameter.name, [])
    elif parameter.location == "path":
        texts = [path[parameter.name]] if parameter.name in path else []
    elif parameter.location == "header":
        texts = [request.headers[parameter.name]] if parameter.name in request.headers else []
    else:
        texts = [value for name, value in _cookies(request) if name == parameter.name]
    if not texts:
        return NOTHING
    if "array" in parameter.types:
        repeated = parameter.explode and parameter.location in {"query", "cookie"}
        parts = texts if repeated else [part for text in texts for part in text.split(",")]
        return [parse_scalar(part, _stated_types(parameter.definition.get("items", {}))) for part in parts]
    if len(texts) > 1:
        message = f"{parameter.name!r} stands {len(texts)} times in the {parameter.location}"
        violations.append(Violation((parameter.location, parameter.name), "duplicate", message))
    return parse_scalar(texts[-1], parameter.types)


def decoded(text: str) -> str:
    """The decoded form of a form- or URL-encoded text; a text that is not encoded, or not as UTF-8, is unchanged.

    A `+` is a space only in a text without other spaces: a text with `%20` or a space uses `+` literally.
    """
    if "%" not in text and "+" not in text:
        return text
    try:
        return unquote(text, errors="strict") if " " in text or "%20" in text else unquote_plus(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _stated_types(definition: Any) -> frozenset[str]:
    stated = definition.get("type", ()) if isinstance(definition, dict) else ()
    return frozenset([stated] if isinstance(stated, str) else stated)


def _cookies(request: Request) -> Iterator[tuple[str, str]]:
    for part in request.headers.get("cookie", "").split(";"):
        name, found, value = part.strip().partition("=")
        if found:
            yield name, value


def takes_form(operation: Operation, headers: Mapping[str, str]) -> bool:
    """Whether the body of a request with these headers is parsed as a form."""
    if bare_media_type(headers.get("content-type", "")) != FORM or not operation.body:
        return False
    content = find_content(operation.body, FORM)
    return content is not None and bare_media_type(content.media_type) == FORM


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether the body has a content coding, such as gzip."""
    coding = headers.get("content-encoding")
    return coding is not None and any(part.strip().lower() not in {"", "identity"} for part in coding.split(","))


def _read_body(operation: Operation, request: Request, violations: list[Violation]) -> tuple[Any, bytes | memoryview]:
    if "content-encoding" in request.headers and is_encoded(request.headers):
        raise _encoded(request.headers["content-encoding"])
    contents = operation.body or {}
    media_type = request.headers.get("content-type", "")
    content = contents.get(media_type) or find_content(contents, bare_media_type(media_type))
    if content is None:
        if not request.body and not operation.body_required and not media_type:
            return None, b""
        wanted = " or ".join(contents)
        came = bare_media_type(media_type)[:100] or "missing"
        violation = Violation(
            ("header", "Content-Type"), "media-type", f"Content-Type is {came}; wanted {wanted}", {"wanted": wanted}
        )
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, violations=[*violations, violation])
    if not content.is_json:
        return _read_other(operation, content, request, violations), b""
    if not request.body and not operation.body_required:
        return None, b""
    return _read_json(content, request, violations)


def _read_other(operation: Operation, content: Content, request: Request, violations: list[Violation]) -> Any:
    """The value of a body that is not JSON: a form's fields, or for other documents also XML; else its bytes."""
    media_type = bare_media_type(content.media_type)
    if media_type == FORM:
        return _read_form(content, request, violations, is_foreign=operation.is_foreign)
    if not operation.is_foreign or (not request.body and not operation.body_required):
        return request.body
    if media_type == bodies.URLENCODED:
        return bodies.read_urlencoded(content, request, violations)
    if bodies.is_xml_body(content):
        return bodies.read_xml(content, request, violations)
    return request.body


def _encoded(coding: str) -> Refusal:
    shown = coding.strip()[:MAX_SHOWN_CODING]
    message = f"Content-Encoding '{shown}' is not supported; send the body as it is (identity)."
    violation = Violation(("header", "Content-Encoding"), "unsupported_content_encoding", message)
    accepted = (("Accept-Encoding", "identity"),)
    return Refusal(Reason.UNSUPPORTED_CODING, message, violations=[violation], headers=accepted)


def _read_json(content: Content, request: Request, violations: list[Violation]) -> tuple[Any, bytes | memoryview]:
    try:
        value, canonical = _parse_json(content, request.body)
    except JsonError as problem:
        violations.append(Violation(("body",), problem.code, str(problem), problem.rule))
        return None, b""
    except orjson.JSONEncodeError:  # parsed JSON may be nested too deeply to be encoded
        violations.append(Violation(("body",), "depth", "is nested too deeply"))
        return None, b""
    if content.schema is not None and not content.schema.fast_accepts(value):
        violations += content.schema.violations(value, ("body",))
    return value, canonical


def _parse_json(content: Content, text: bytes) -> tuple[Any, bytes | memoryview]:
    """The value and its canonical form; raises JsonError, and JSONEncodeError for a value nested too deeply."""
    value = parse_json(text)
    if isinstance(value, dict) and not content.encoded.isdisjoint(value):
        value |= {name: decoded(value[name]) for name in content.encoded if isinstance(value.get(name), str)}
    return value, _canonical_body(value, len(text))


def _canonical_body(value: Any, size: int) -> bytes | memoryview:
    """The canonical form of a JSON value from a text of that size, not copied if it is large; raises JSONEncodeError if
    no response could contain it.
    """
    if size < 2 * MAX_DEPTH:  # each level has an opening and a closing character
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    for _ in range(NESTING_MARGIN):  # measuring the depth of a large body would cost as much as encoding it
        value = [value]
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return (text if len(text) < NOT_COPIED else memoryview(text))[NESTING_MARGIN:-NESTING_MARGIN]


def _read_form(
    content: Content, request: Request, violations: list[Violation], *, is_foreign: bool
) -> dict[str, Any] | None:
    """The form's fields, converted to the types of the schema's properties; files are unchanged."""
    if request.form is None:
        problem = request.form_problem or "it is not multipart/form-data"
        violations.append(Violation(("body",), "invalid_multipart", f"The form could not be read: {problem}."))
        return None
    if is_foreign:
        found: dict[str, Any] = bodies.read_parts(content, request.form_parts or [*request.form.items()], violations)
        return found
    if content.schema is None:
        return dict(request.form)
    document = content.schema.document
    properties = resolved(content.schema.definition, document).get("properties", {})
    needs = content.schema.needs
    needed = needs.resolved(needs.definition).get("properties", {}) if needs else {}
    form, judged = {}, {}
    for name, value in request.form.items():
        definition = resolved(properties.get(name, {}), document) or needed.get(name, {})
        form[name] = value if isinstance(value, Upload) else parse_scalar(value, _stated_types(definition))
        judged[name] = value.filename if isinstance(value, Upload) else form[name]
        violations += [*_misplaced(name, value, definition)] or [*_misplaced(name, value, needed.get(name, {}))]
    violations += content.schema.violations(judged, ("body",))
    return form


def _misplaced(name: str, value: str | Upload, definition: Mapping[str, Any]) -> Iterator[Violation]:
    """A file instead of a text, or the reverse; a property without a type accepts both."""
    wants_file = definition.get("format") == "binary" or "contentMediaType" in definition
    where = ("body", name)
    if not definition:
        return
    if wants_file and not isinstance(value, Upload):
        yield Violation(where, "missing_filename", f"The part {name!r} has no filename, so it is no file.", definition)
    elif wants_file and isinstance(value, Upload) and not value.filename:
        yield Violation(where, "missing_filename", f"The part {name!r} has an empty filename.", definition)
    elif isinstance(value, Upload) and not wants_file:
        yield Violation(where, "unexpected_file", f"The part {name!r} is a file; wanted text.", definition)
