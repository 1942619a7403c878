"""Agent First's validation rules beyond JSON Schema, and its error messages.

Only a few 422 texts of the vendor are known; the other messages are invented in the same style.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mockserver.api.call import Call
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Request, Response
from mockserver.lazy import lazy_module
from mockserver.openapi.document import JSON, Operation
from mockserver.openapi.requests import MAX_ARGUMENTS
from mockserver.percent import parse_qsl
from mockserver.providers.agentfirst.settings import AgentFirstSettings
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings, provider_settings

if TYPE_CHECKING:
    import pycountry
else:
    pycountry = lazy_module("pycountry")

_PLACES = ("subdivision", "city")
_CHECKED = frozenset({"country", "device", *_PLACES})


def check_targeting(call: Call) -> Iterator[Violation]:
    """Rules across fields: places require their country, a subdivision must belong to it, a device must be listed."""
    where, given = ("body", call.body) if isinstance(call.body, dict) else ("query", call.arguments)
    if _CHECKED.isdisjoint(given):  # as in most requests
        return
    country = given.get("country")
    for name in _PLACES:
        if given.get(name) and not country and "country" not in call.broken:
            yield Violation((where, name), "prerequisite", f"{name} needs a country", {"needs": "country"})
    subdivision = given.get("subdivision")
    if country and subdivision and not _is_subdivision(country.upper(), subdivision.upper()):
        yield Violation(
            (where, "subdivision"),
            "subdivision",
            f"{subdivision!r} is no first-level subdivision of {country.upper()} in ISO 3166-2",
        )
    device = given.get("device")
    if device is not None:
        devices = _devices(call)
        if devices is not None and device.lower() not in devices:
            yield Violation((where, "device"), "device", f"{device[:100]!r} is not a name that GET /ai/devices lists")


def check_question(call: Call) -> Iterator[Violation]:
    """`GET /ai` needs a prompt or an id; a callback requires an asynchronous call."""
    given = call.arguments.keys() | call.broken
    if "id" in given:
        return
    if "prompt" not in given:
        yield Violation(("query", "prompt"), "required", "prompt or id is required")
    if "callback" in call.arguments and call.arguments.get("mode") != "async":
        yield Violation(("query", "callback"), "prerequisite", "callback needs mode=async", {"needs": "mode async"})
    yield from check_targeting(call)


def needs_credits(operation: Operation, request: Request, sandbox: Sandbox, settings: Settings) -> bool:
    """Whether a balance of 0 rejects the request: a call that costs credits, or, if so configured, any with a
    documented 402.

    Of the reads, only `GET /ai/completions` documents a 402 from July 2026 on; earlier documents are unclear.
    """
    if operation.key == "queueBatch":
        return True
    own = sandbox.conditions.applied_to(provider_settings(AgentFirstSettings, settings))
    if own.credit_check == "documented":
        return True
    if operation.key == "getCompletion":
        return own.agentfirst_version == "2026-07"
    return operation.key == "askModel" and not _fetches(request.query)


def _fetches(query: str) -> bool:
    """Whether `GET /ai` polls a queued conversation (`id`) instead of sending a prompt."""
    with suppress(ValueError):  # more arguments than are parsed: the request is rejected later
        return any(name == "id" for name, _ in parse_qsl(query, max_num_fields=MAX_ARGUMENTS))
    return False


def format_error(refusal: Refusal, reply: Response) -> Response:
    """The documented response; if it is plain text, with the message of the rejection or of its first violation.

    A rejected content coding is plain text, too; the document defines no response to it.
    """
    if reply.status == 415 and refusal.detail:
        return reply._replace(media_type="text/plain", body=refusal.detail.encode(), source="handler")
    if reply.media_type != "text/plain":
        return reply
    is_phrased = refusal.violations and refusal.reason in {Reason.INVALID, Reason.UNSUPPORTED_MEDIA_TYPE}
    text = refusal.detail or (phrase(refusal.violations[0]) if is_phrased else "")
    return reply._replace(body=text.encode(), source="handler") if text else reply


def phrase(violation: Violation) -> str:
    """A violation's message in the vendor's style: one line of plain text."""
    name = violation.name.partition(" (")[0].capitalize()
    if violation.code in _PHRASES:
        return _PHRASES[violation.code](name, violation.rule)
    try:
        return _TEXTS[violation.code].format_map({**violation.rule, "name": name})
    except KeyError:  # for an unknown code or rule
        return f"{name} must be valid"


def _counts(name: str, rule: Mapping[str, Any]) -> str:
    least, most = rule.get("minItems", 0), rule.get("maxItems")
    return (
        f"{name} must number between {least} and {most}" if most is not None else f"{name} must number at least {least}"
    )


def _range(name: str, rule: Mapping[str, Any]) -> str:
    least, most = rule.get("minimum"), rule.get("maximum")
    if least is None or most is None:
        return f"{name} must be at {'most' if least is None else 'least'} {most if least is None else least}"
    return f"{name} must be between {least} and {most}"


def _type(name: str, rule: Mapping[str, Any]) -> str:
    wanted = rule.get("type", "valid")
    names = [wanted] if isinstance(wanted, str) else [each for each in wanted if each != "null"]
    return f"{name} must be {_join_names([_TYPES.get(each, each) for each in names])}"


def _join_names(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


def _enum(name: str, rule: Mapping[str, Any]) -> str:
    return f"{name} must be {_join_names([str(each) for each in rule['enum'] if each is not None])}"


def _format(name: str, rule: Mapping[str, Any]) -> str:
    return f"{name} must be {_FORMATS.get(rule['format'], 'valid')}"


def _required(name: str, rule: Mapping[str, Any]) -> str:
    # The name of a missing property is only in the rule; the violation's location is the object.
    names = [str(each).capitalize() for each in rule.get("required", ())] if name == "Body" else [name]
    return f"{' and '.join(names)} must be provided"


def _pattern(name: str, _rule: Mapping[str, Any]) -> str:
    return f"{name} must be {_PATTERNS.get(name, 'valid')}"


def _syntax(name: str, _rule: Mapping[str, Any]) -> str:
    return "JSON was malformed" if name == "Body" else "Query was malformed"


_TYPES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a JSON object",
}
_FORMATS = {
    "uuid": "a UUID",
    "iso-3166-1-alpha-2": "a two-letter ISO 3166-1 code",
    "language": "the name or two-letter ISO 639-1 code of a language",
}
_PATTERNS = {
    "Callback": "an HTTP or HTTPS URL or an SQS ARN",
    "Subdivision": "the second part of an ISO 3166-2 code",
}
_TEXTS: Mapping[str, str] = {
    "maxLength": "Character counts must be no more than {maxLength}",
    "minLength": "Character counts must be no less than {minLength}",
    "media-type": "Content type must be {wanted}",
    "duplicate": "{name} must be provided only once",
    "unknown": "{name} is not a known parameter",
    "additionalProperties": "Parameters must be known",
    "prerequisite": "{name} must be accompanied by {needs}",
    "subdivision": "{name} must be in the country",
    "device": "{name} must be one of those listed",
    "depth": "JSON was malformed",
    "max_values": "JSON must hold at most {most} values",
}
_PHRASES: Mapping[str, Callable[[str, Mapping[str, Any]], str]] = {
    "minItems": _counts,
    "maxItems": _counts,
    "minimum": _range,
    "maximum": _range,
    "enum": _enum,
    "type": _type,
    "format": _format,
    "pattern": _pattern,
    "required": _required,
    "syntax": _syntax,
}


@lru_cache(maxsize=1024)
def _is_subdivision(country: str, part: str) -> bool:
    found = pycountry.subdivisions.get(code=f"{country}-{part}")
    return found is not None and found.parent_code is None


@lru_cache(maxsize=8)
def _lower_names(devices: tuple[str, ...]) -> frozenset[str]:
    return frozenset(device.lower() for device in devices)


def _devices(call: Call) -> frozenset[str] | None:
    """The documented devices, in lower case; a fixture that replaces them counts. None where no list is served."""
    operation = call.world.operation("listDevices")
    if operation is None:
        return None
    canned = call.world.fixtures.response("listDevices", {}, None)
    names = canned.entry.get("body") if canned else None
    if not isinstance(names, list):  # a canned response of another form, perhaps an error
        names = _example(operation)
    return _lower_names(tuple(name for name in names if isinstance(name, str))) if isinstance(names, list) else None


def _example(operation: Operation) -> Any:
    """The first example of what the operation answers; None where the document has none."""
    documented = operation.response(operation.success)
    content = documented.content.get(JSON) if documented else None
    return next(iter(content.examples.values()), None) if content else None
