"""Explains one request: why it was rejected, where its violations are, and its like as curl, stub and fixture."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any, NamedTuple

import orjson

from mockserver.errors import Reason
from mockserver.json_bodies import JsonError, parse_json

MAX_LINES = 5000
"""The most lines of a body that are marked; the rest is shown without marks."""
HIDDEN = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "expect"})
"""Headers that curl sets itself."""
SENTENCES: Mapping[str, str] = {
    Reason.UNAUTHENTICATED: "It has no credential, and the operation needs one.",
    Reason.FORBIDDEN: "Its credential is not good: revoked, or not among the accounts.",
    Reason.NO_CREDITS: "The account's balance is 0, and the operation costs credits.",
    Reason.INVALID: "The OpenAPI document does not allow it:",
    Reason.UNSUPPORTED_MEDIA_TYPE: "The operation does not take a body of this Content-Type.",
    Reason.UNSUPPORTED_CODING: "The operation does not take a body of this Content-Encoding.",
    Reason.NOT_ACCEPTABLE: "The operation has no response of a media type that the Accept header allows.",
    Reason.NOT_FOUND: "What it names does not exist in this sandbox, or belongs to another account.",
    Reason.CONFLICT: "What it names is in a state that does not allow this.",
    Reason.RATE_LIMITED: "The account is over its rate limit.",
    Reason.TOO_LARGE: "Its body is larger than the server accepts.",
    Reason.NO_SUCH_PATH: "No operation of the served documents has this path.",
    Reason.METHOD_NOT_ALLOWED: "The path exists, but not with this method.",
    Reason.TIMED_OUT: "The body did not arrive in time, or the answer would have taken too long.",
    Reason.UNAVAILABLE: "The server could not answer it.",
    Reason.FAILED: "A marker or a condition of the sandbox made it fail.",
}


class Line(NamedTuple):
    """One line of a body."""

    text: str
    messages: Sequence[str] = ()
    """The violations at this place."""


def why_rejected(exchange: Mapping[str, Any]) -> str:
    """One sentence; empty for a request that was not rejected."""
    sentence = SENTENCES.get(exchange["reason"], "")
    if exchange["reason"] == Reason.INVALID and exchange["violations"]:
        first, *others = exchange["violations"]
        more = f" (and {len(others)} more)" if others else ""
        return f"{sentence} {'/'.join(map(str, first['location']))}: {first['message']}{more}."
    if not sentence and exchange["response"]["source"] == "stub":
        return "A stub answered it." if exchange["response"]["status"] >= 400 else ""
    if not sentence and exchange["response"]["source"] == "fault":
        return "A fault answered it."
    return f"{sentence} {exchange['detail']}".strip()


def body_lines(body: str, violations: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The body, indented if it is JSON, with each violation at its line."""
    try:
        value = parse_json(body.encode("utf-8", "surrogatepass"))
    except JsonError:
        return [Line(each) for each in body.split("\n")]
    places: dict[tuple[Any, ...], list[str]] = {}
    for each in violations:
        if each["location"][:1] == ["body"]:
            places.setdefault(_existing(value, each["location"][1:]), []).append(each["message"])
    if not isinstance(value, dict | list):
        return [Line(body, places.get((), ()))]
    lines = []
    for number, line in enumerate(_lines(value, (), "", "", places)):
        if number >= MAX_LINES:
            return [Line(each) for each in orjson.dumps(value, option=orjson.OPT_INDENT_2).decode().split("\n")]
        lines.append(line)
    return lines


def _existing(value: Any, location: Sequence[Any]) -> tuple[Any, ...]:
    """The longest part of the location that exists: a missing field is marked at its object."""
    found: list[Any] = []
    for step in location:
        try:
            value = value[step]
        except (LookupError, TypeError):
            break
        found.append(step)
    return tuple(found)


def _lines(
    value: Any, place: tuple[Any, ...], indent: str, lead: str, places: Mapping[tuple[Any, ...], Sequence[str]]
) -> Iterator[Line]:
    messages = places.get(place, ())
    if not isinstance(value, dict | list) or not value:
        yield Line(f"{indent}{lead}{orjson.dumps(value).decode()}", messages)
        return
    start, end = "{}" if isinstance(value, dict) else "[]"
    yield Line(f"{indent}{lead}{start}", messages)
    entries = list(value.items() if isinstance(value, dict) else enumerate(value))
    for number, (key, each) in enumerate(entries):
        name = f"{orjson.dumps(key).decode()}: " if isinstance(value, dict) else ""
        inner = list(_lines(each, (*place, key), f"{indent}  ", name, places))
        comma = "," if number < len(entries) - 1 else ""
        yield from inner[:-1]
        yield inner[-1]._replace(text=inner[-1].text + comma)
    yield Line(f"{indent}{end}")


def as_curl(exchange: Mapping[str, Any], origin: str) -> str:
    """The request as a command for a shell. Credentials are left to the variable TOKEN."""
    request = exchange["request"]
    query = f"?{request['query']}" if request["query"] else ""
    parts = [f"curl -X {quote(request['method'])} {quote(origin + request['path'] + query)}"]
    for name, value in request["headers"].items():
        if name in HIDDEN:
            continue
        if "[redacted" in value:
            scheme = f"{value.partition(' ')[0]} " if " " in value else ""
            parts.append(f'-H {quote(f"{name}: {scheme}")}"$TOKEN"')
        else:
            parts.append(f"-H {quote(f'{name}: {value}')}")
    if request["body"]:
        parts.append(f"--data-raw {quote(request['body'])}")
    return " \\\n  ".join(parts)


def as_stub(exchange: Mapping[str, Any]) -> dict[str, Any]:
    """A stub that answers the next request to the same operation with the same response."""
    request, response = exchange["request"], exchange["response"]
    reply: dict[str, Any] = {"status": response["status"], **_content(response)}
    wanted = {"operation": exchange["operation"]} if exchange["operation"] else {}
    place = wanted or {"method": request["method"], "path": request["path"]}
    return {**place, "reply": reply, "undocumented": True}


def as_fixture(exchange: Mapping[str, Any]) -> str:
    """A fixture file with the response, in YAML; empty for a request to no operation."""
    if not exchange["operation"]:
        return ""
    response = exchange["response"]
    entry: dict[str, Any] = {"status": response["status"], **_content(response)}
    lines = [f"    {name}: {orjson.dumps(value).decode()}" for name, value in entry.items()]
    first, *others = lines
    return "\n".join(["responses:", f"  {exchange['operation']}:", f"  - {first.strip()}", *others, ""])


def _content(response: Mapping[str, Any]) -> dict[str, Any]:
    """The body as a stub or a fixture has it."""
    text = response["body"]
    if not text or response["status"] in {204, 205, 304}:
        return {}
    try:
        value = parse_json(text.encode("utf-8", "surrogatepass"))
    except JsonError:
        return {"text": text, "media_type": response["media_type"].partition(";")[0] or "text/plain"}
    return {"body": value, "media_type": response["media_type"].partition(";")[0] or "application/json"}


def is_whole(exchange: Mapping[str, Any]) -> bool:
    """Whether the response's body is shown whole, so that it can be given again."""
    response = exchange["response"]
    return response["bytes"] is not None and len(response["body"].encode("utf-8", "replace")) >= response["bytes"]
