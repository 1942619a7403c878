"""How AgileCloud words a refusal: OpenAI's envelope, with OpenAI's sentences where they are known."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mockserver.contract.operations import JSON, is_json
from mockserver.contract.routing import MAX_SHOWN, NoOperation
from mockserver.errors import NO_STORAGE, Reason, Refusal, Violation
from mockserver.messages import Request, Response

TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
"""The family of an error by its status, where it is not that of its class."""
CREDENTIAL = frozenset({Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.NO_CREDITS})
"""Refusals of who asks. The document has their texts; what the violations say is not for strangers."""

_INSTEAD = dict.fromkeys(("/v1/responses", "/v1/completions"), "POST /v1/chat/completions")
"""What comes nearest to calls of OpenAI's that are not imitated, where their paths do not tell."""
_NAMED = re.compile(r"""^["'](.*)["'] is a required property""", re.DOTALL)
_UNEXPECTED = re.compile(r"""\(["'](.*?)["'](?:,| was| were)""", re.DOTALL)
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
"""The first that fits: to Python a boolean is an integer."""


def worded(refusal: Refusal, reply: Response) -> Response:
    """The documented reply, saying what was wrong with this request."""
    if not is_json(reply.media_type) or not isinstance(reply.body, bytes) or refusal.reason in CREDENTIAL:
        return reply
    if not (refusal.detail or refusal.violations):
        return reply
    documented = orjson.loads(reply.body)["error"]
    return reply._replace(body=orjson.dumps({"error": described(refusal, reply.status, documented)}), source="handler")


def lost(request: Request, refusal: Refusal, status: int) -> Response:
    """The answer where no operation documents one, in the envelope that the SDKs show the message of."""
    message, code = refusal.detail, "insufficient_storage" if status == NO_STORAGE else "method_not_supported"
    if refusal.reason is Reason.NO_SUCH_PATH:
        message, code = f"mockserver does not imitate {_asked(request)}. {_hint(request.path, refusal)}", "unknown_url"
    error = {"message": message, "type": family(status), "param": None, "code": code}
    return Response(status, JSON, orjson.dumps({"error": error}))


def _asked(request: Request) -> str:
    return f"{request.method[:MAX_SHOWN]} {request.path[:MAX_SHOWN]}"


def _hint(path: str, refusal: Refusal) -> str:
    near = refusal.near if isinstance(refusal, NoOperation) else None
    named = _INSTEAD.get("/".join(path.split("/", 3)[:3])) or (f"{near.method} {near.path}" if near else "")
    return f"The nearest operation is {named}." if named else "The command `mockserver operations` lists what it does."


def described(refusal: Refusal, status: int, documented: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The error that a refusal is shown as. `documented` is the document's, for what the refusal leaves open."""
    if not refusal.violations:
        blank = {"type": family(status), "param": None, "code": None}
        return {**(documented or blank), "message": refusal.detail or str(refusal)}
    violation = refusal.violations[0]
    message, code = phrased(violation)
    return {
        "message": refusal.detail or message,
        "type": family(status),
        "param": param_of(violation),
        "code": code or None,
    }


def family(status: int) -> str:
    """The `type` of errors with a status."""
    return TYPES.get(status) or ("server_error" if status >= 500 else "invalid_request_error")


def param_of(violation: Violation) -> str | None:
    """The field or argument that is to blame, as OpenAI writes it: `metadata.tags`, `messages[0].role`."""
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in violation.location[1:])
    missing = _missing(violation) if violation.code in _NAMING else ""
    return f"{path}.{missing}".strip(".") or None if missing else path.lstrip(".") or None


def phrased(violation: Violation) -> tuple[str, str]:
    """A violation's message and code. What is no keyword of JSON Schema speaks for itself."""
    param = param_of(violation) or "body"
    if violation.code in _RULED:
        # What the slow judge did not look at comes without its rule.
        words = _RULED[violation.code] if violation.code in violation.rule else _invalid
        return words(violation, param), "invalid_type" if violation.code == "type" else "invalid_value"
    if violation.code in _PHRASES:
        words, code = _PHRASES[violation.code]
        return words(violation, param), code
    return violation.message, violation.code


def _missing(violation: Violation) -> str:
    """The name that a keyword for whole objects speaks of; the violation stands where the object does."""
    found = (_NAMED if violation.code == "required" else _UNEXPECTED).search(violation.message)
    # An argument's location ends with its own name already.
    return found[1] if found and violation.location[0] == "body" else ""


def _required(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    return f"Missing required parameter: '{param}'."


def _unknown(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    return f"Unknown parameter: '{param}'."


def _enum(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    rule = violation.rule
    values = [_quoted(each) for each in rule.get("enum", [rule.get("const")]) if each is not None]
    return f"Invalid value: {_quoted(violation.value)}. Supported values are: {_listed(values, 'and')}."


def _type(violation: Violation, param: str) -> str:
    stated = violation.rule.get("type", ())
    wanted = [_ARTICLES[each] for each in ([stated] if isinstance(stated, str) else stated) if each != "null"]
    came = next((name for kind, name in _KINDS if isinstance(violation.value, kind)), "null")
    return f"Invalid type for '{param}': expected {_listed(wanted, 'or')}, but got {_ARTICLES[came]} instead."


def _range(violation: Violation, param: str) -> str:
    least, most = violation.rule.get("minimum"), violation.rule.get("maximum")
    if least is None or most is None:
        bound = f"of at {'most' if least is None else 'least'} {most if least is None else least}"
    else:
        bound = f"from {least} to {most}"
    return f"Invalid '{param}': expected a value {bound}, but got {violation.value} instead."


def _size(violation: Violation, param: str) -> str:
    wrong, wanted = _SIZES[violation.code]
    return f"Invalid '{param}': {wrong}. Expected {wanted.format(violation.rule[violation.code])}."


def _pattern(violation: Violation, param: str) -> str:
    pattern = violation.rule.get("pattern", "")
    beginning = _BEGINNING.fullmatch(pattern)
    wanted = f"an ID that begins with '{beginning[1]}'" if beginning else f"a string that matches '{pattern}'"
    return f"Invalid '{param}': {_quoted(violation.value)}. Expected {wanted}."


def _invalid(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    return f"Invalid value for '{param}'."


def _duplicate(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    return f"Duplicate parameter: '{param}'."


def _syntax(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    return f"The {violation.location[0]} could not be parsed{' as JSON' if violation.location[0] == 'body' else ''}."


def _media_type(violation: Violation, param: str) -> str:  # noqa: ARG001  as its neighbours
    return f"Unsupported content type. Send the request with '{violation.rule.get('wanted', '')}'."


def _listed(words: list[str], word: str) -> str:
    """`'a'`, `'a' or 'b'`, `'a', 'b', and 'c'`: OpenAI writes the comma before the last of three."""
    if len(words) < 3:
        return f" {word} ".join(words)
    return f"{', '.join(words[:-1])}, {word} {words[-1]}"


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else orjson.dumps(value).decode()


_SIZES: Mapping[str, tuple[str, str]] = {
    "minLength": ("string too short", "a string with minimum length {}"),
    "maxLength": ("string too long", "a string with maximum length {}"),
    "minItems": ("array too short", "an array with minimum length {}"),
    "maxItems": ("array too long", "an array with maximum length {}"),
    "minProperties": ("object with too few properties", "an object with at least {} properties"),
    "maxProperties": ("object with too many properties", "an object with at most {} properties"),
}
_RULED: Mapping[str, Callable[[Violation, str], str]] = {
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
_NAMING = frozenset({"required", "additionalProperties", "unevaluatedProperties"})
_PHRASES: Mapping[str, tuple[Callable[[Violation, str], str], str]] = {
    "required": (_required, "missing_required_parameter"),
    "additionalProperties": (_unknown, "unknown_parameter"),
    "unevaluatedProperties": (_unknown, "unknown_parameter"),
    "unknown": (_unknown, "unknown_parameter"),
    "duplicate": (_duplicate, "duplicate_parameter"),
    "syntax": (_syntax, "invalid_json"),
    "media-type": (_media_type, "unsupported_content_type"),
}
