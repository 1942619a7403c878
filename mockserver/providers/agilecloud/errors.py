"""AgileCloud's error format: OpenAI's, with OpenAI's messages where they are known."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mockserver.errors import NO_STORAGE, Reason, Refusal, Violation
from mockserver.http import UNDOCUMENTED_SOURCE, Request, Response
from mockserver.openapi.operations import JSON, is_json
from mockserver.openapi.responses import PROBLEM
from mockserver.openapi.router import MAX_NAME, RouteNotFound
from mockserver.text import format_location

TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
"""The type of an error by its status, where it differs from that of the status class."""
STATUS_CODES: Mapping[int, str] = {NO_STORAGE: "insufficient_storage"}
"""The default code of an error by its status."""
STATED_ERROR = "x-mock-error"
"""The key of a schema in the document that holds the error for its violation."""
CREDENTIAL = frozenset({Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.NO_CREDITS})
"""Reasons that concern the credential. The document has their messages; violations must not reach unauthenticated
clients.
"""

_INSTEAD = dict.fromkeys(("/v1/responses", "/v1/completions"), "POST /v1/chat/completions")
"""The nearest imitated operation to OpenAI's other operations, where their paths do not suggest it."""
_BEGINNING = re.compile(r"\^([A-Za-z0-9_-]+)")
_ARTICLES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)
"""The first that matches: in Python a boolean is an integer."""


def format_error(refusal: Refusal, reply: Response) -> Response:
    """The documented response with this request's error; without one, the error format alone."""
    if not is_json(reply.media_type) or not isinstance(reply.body, bytes) or refusal.reason in CREDENTIAL:
        return reply
    if not (refusal.detail or refusal.violations):
        return reply
    documented = None
    if reply.source != UNDOCUMENTED_SOURCE and reply.media_type != PROBLEM:
        stated = orjson.loads(reply.body)
        documented = stated.get("error") if isinstance(stated, dict) else None
        if not isinstance(documented, dict):  # a document that words its errors otherwise
            return reply
    error = validation_error_json(refusal, reply.status, documented)
    return reply._replace(media_type=JSON, body=orjson.dumps({"error": error}), source="handler")


def unknown_path(request: Request, refusal: Refusal, status: int) -> Response:
    """The response to an unknown path, in the format whose message the SDKs show."""
    message, code = refusal.detail, STATUS_CODES.get(status, "method_not_supported")
    if refusal.reason is Reason.NO_SUCH_PATH:
        message, code = (
            f"mockserver does not imitate {_requested_name(request)}. {_hint(request.path, refusal)}",
            "unknown_url",
        )
    error = {"message": message, "type": error_type(status), "param": None, "code": code}
    return Response(status, JSON, orjson.dumps({"error": error}))


def _requested_name(request: Request) -> str:
    return f"{request.method[:MAX_NAME]} {request.path[:MAX_NAME]}"


def _hint(path: str, refusal: Refusal) -> str:
    if isinstance(refusal, RouteNotFound) and refusal.advice:
        return refusal.advice
    near = refusal.near if isinstance(refusal, RouteNotFound) else None
    named = _INSTEAD.get("/".join(path.split("/", 3)[:3])) or (f"{near.method} {near.path}" if near else "")
    return f"The nearest operation is {named}." if named else "The command `mockserver operations` lists what it does."


def validation_error_json(refusal: Refusal, status: int, documented: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The error object of a rejection. `documented` is the document's error, whose values are defaults."""
    if not refusal.violations:
        blank = {"type": error_type(status), "param": None, "code": STATUS_CODES.get(status)}
        return {**(documented or blank), "message": refusal.detail or str(refusal)}
    violation = refusal.violations[0]
    stated = violation.rule.get(STATED_ERROR)
    if stated:
        # The document has the error itself.
        return {
            "message": stated["message"],
            "type": error_type(status),
            "param": stated["param"],
            "code": stated["code"],
        }
    message, code = message_and_code(violation)
    return {
        "message": refusal.detail or message,
        "type": error_type(status),
        "param": param_of(violation),
        "code": code or None,
    }


def error_type(status: int) -> str:
    """The `type` of errors with that status."""
    return TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")


def param_of(violation: Violation) -> str | None:
    """The field or argument at fault, as OpenAI writes it: `metadata.tags`, `messages[0].role`."""
    # The location of a missing or unknown property is its object; an argument's location ends with its name.
    return format_location((*violation.location[1:], *violation.names[:1])) or None


def message_and_code(violation: Violation) -> tuple[str, str]:
    """A violation's message and code. Codes that are no keywords of JSON Schema come with their message."""
    param = param_of(violation) or "body"
    if violation.code in _BY_RULE:
        # Violations that only the fast validator found have no rule.
        has_rule = violation.code in violation.rule
        words = _BY_RULE[violation.code] if has_rule else _invalid
        if violation.code in _BOUNDS and has_rule:
            return words(violation, param), _range_code(violation)
        return words(violation, param), _code(violation)
    if violation.code in _PHRASES:
        words, code = _PHRASES[violation.code]
        return words(violation, param), code
    return violation.message, violation.code


def _required(_violation: Violation, param: str) -> str:
    return f"Missing required parameter: '{param}'."


def _unknown(_violation: Violation, param: str) -> str:
    return f"Unknown parameter: '{param}'."


def _enum(violation: Violation, _param: str) -> str:
    rule = violation.rule
    values = [_quote(each) for each in rule.get("enum", [rule.get("const")]) if each is not None]
    return f"Invalid value: {_quote(violation.value)}. Supported values are: {_join_names(values, 'and')}."


def _type(violation: Violation, param: str) -> str:
    stated = violation.rule.get("type", ())
    wanted = [_ARTICLES[each] for each in ([stated] if isinstance(stated, str) else stated) if each != "null"]
    came = next((name for kind, name in _KINDS if isinstance(violation.value, kind)), "null")
    return f"Invalid type for '{param}': expected {_join_names(wanted, 'or')}, but got {_ARTICLES[came]} instead."


def _code(violation: Violation) -> str:
    """OpenAI's code for a violated JSON Schema keyword."""
    if violation.code == "minItems" and violation.rule.get("minItems") == 1:
        return "empty_array"
    return _CODES.get(violation.code, "invalid_value")


def _range(violation: Violation, param: str) -> str:
    kind, side = _bound(violation)
    sign, limit = ("<=", violation.rule["maximum"]) if side == "maximum" else (">=", violation.rule["minimum"])
    which = f"{kind} {'above' if side == 'maximum' else 'below'} {side} value"
    return f"Invalid '{param}': {which}. Expected a value {sign} {limit}, but got {_number(violation.value)} instead."


def _range_code(violation: Violation) -> str:
    """OpenAI's code for a number out of bounds, such as `integer_above_max_value`."""
    kind, side = _bound(violation)
    return f"{kind}_above_max_value" if side == "maximum" else f"{kind}_below_min_value"


def _bound(violation: Violation) -> tuple[str, str]:
    """`integer` or `decimal`, and the violated bound: `minimum` or `maximum`."""
    stated = violation.rule.get("type", ())
    is_whole = "integer" in ([stated] if isinstance(stated, str) else stated)
    return "integer" if is_whole else "decimal", violation.code


def _number(value: Any) -> str:
    """A number in JSON, without `.0`."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else str(value)


def _size(violation: Violation, param: str) -> str:
    wrong, wanted = _SIZES[violation.code]
    if _code(violation) == "empty_array":
        wrong, wanted = "empty array", f"{wanted}, but got an empty array instead"
    return f"Invalid '{param}': {wrong}. Expected {wanted.format(violation.rule[violation.code])}."


def _pattern(violation: Violation, param: str) -> str:
    pattern = violation.rule.get("pattern", "")
    beginning = _BEGINNING.fullmatch(pattern)
    if beginning:
        return f"Invalid '{param}': {_quote(violation.value)}. Expected an ID that begins with '{beginning[1]}'."
    wanted = f"a string that matches the pattern '{pattern}'"
    return f"Invalid '{param}': string does not match pattern. Expected {wanted}."


def _invalid(_violation: Violation, param: str) -> str:
    return f"Invalid value for '{param}'."


def _duplicate(_violation: Violation, param: str) -> str:
    return f"Duplicate parameter: '{param}'."


def _syntax(violation: Violation, _param: str) -> str:
    return f"The {violation.location[0]} could not be parsed{' as JSON' if violation.location[0] == 'body' else ''}."


def _media_type(violation: Violation, _param: str) -> str:
    return f"Unsupported content type. Send the request with '{violation.rule.get('wanted', '')}'."


def _join_names(words: list[str], word: str) -> str:
    """`'a'`, `'a' or 'b'`, `'a', 'b', and 'c'`: OpenAI writes the comma before the last of three."""
    if len(words) < 3:
        return f" {word} ".join(words)
    return f"{', '.join(words[:-1])}, {word} {words[-1]}"


def _quote(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else orjson.dumps(value).decode()


_SIZES: Mapping[str, tuple[str, str]] = {
    "minLength": ("string too short", "a string with minimum length {}"),
    "maxLength": ("string too long", "a string with maximum length {}"),
    "minItems": ("array too short", "an array with minimum length {}"),
    "maxItems": ("array too long", "an array with maximum length {}"),
    "minProperties": ("object with too few properties", "an object with at least {} properties"),
    "maxProperties": ("object with too many properties", "an object with at most {} properties"),
}
_BY_RULE: Mapping[str, Callable[[Violation, str], str]] = {
    **dict.fromkeys(_SIZES, _size),
    **dict.fromkeys(("format", "anyOf", "oneOf", "allOf", "not", "dependentRequired", "propertyNames"), _invalid),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "contains"), _invalid),
    "enum": _enum,
    "const": _enum,
    "type": _type,
    "minimum": _range,
    "maximum": _range,
    "pattern": _pattern,
}
_BOUNDS = frozenset({"minimum", "maximum"})
_CODES: Mapping[str, str] = {
    "type": "invalid_type",
    "minLength": "string_below_min_length",
    "maxLength": "string_above_max_length",
    "minItems": "array_below_min_length",
    "maxItems": "array_above_max_length",
    "maxProperties": "object_above_max_properties",
}
_PHRASES: Mapping[str, tuple[Callable[[Violation, str], str], str]] = {
    "required": (_required, "missing_required_parameter"),
    "additionalProperties": (_unknown, "unknown_parameter"),
    "unevaluatedProperties": (_unknown, "unknown_parameter"),
    "unknown": (_unknown, "unknown_parameter"),
    "duplicate": (_duplicate, "duplicate_parameter"),
    "syntax": (_syntax, "invalid_json"),
    "media-type": (_media_type, "unsupported_content_type"),
}
