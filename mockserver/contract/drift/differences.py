"""Compares pairs of answers: what a live API answered, and what the sandbox answers to the same request.

Bodies are compared by their shapes: for each place (`data[].id`) the types that were seen there. A place is only
claimed to be missing on one side where its parent was seen there as an object; null and empty lists claim nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from mockserver.errors import Violation
from mockserver.http import Response
from mockserver.openapi.operations import Operation, bare_media_type, is_json
from mockserver.text import format_dotted

STATUS, ORDER, MEDIA, WORDING, UNDOCUMENTED = "status", "check-order", "media-type", "error-wording", "undocumented"
FIELD_ADDED, FIELD_REMOVED, TYPE_CHANGED, ENUM_GROWN = "field-added", "field-removed", "type-changed", "enum-grown"
HEADER_ADDED, HEADER_REMOVED, UNKNOWN = "header-added", "header-removed", "unknown"
MAX_VALUES = 20
"""The most new values of an enumeration that are listed."""
MAX_SHOWN = 300
_INCIDENTAL = frozenset(
    {
        "accept-ranges",
        "access-control-allow-origin",
        "age",
        "alt-svc",
        "cache-control",
        "connection",
        "content-encoding",
    }
    | {"content-length", "content-type", "date", "etag", "keep-alive", "last-modified", "server", "set-cookie", "via"}
    | {"strict-transport-security", "transfer-encoding", "vary", "x-content-type-options", "content-security-policy"}
    | {"nel", "report-to", "server-timing", "x-powered-by"}
)
"""Headers of servers and connections, which say nothing of an API."""
_VARYING = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\b(?=\w*\d)\w+\b|'[^']*'|\"[^\"]*\"")
"""Parts of an error's text that depend on the request: ids, numbers, quoted values."""
_WORDS_OF_ERRORS = frozenset({"message", "detail", "title", "code", "type", "param", "error"})


class Pair(NamedTuple):
    """The two answers to one request."""

    operation: Operation
    request: str
    """The request as text: method, target, and the origin of the plan."""
    live: Response
    sandbox: Response
    violations: tuple[Violation, ...] = ()
    """What the document does not allow in the live answer."""
    faults: int = 0
    """How many things are wrong with the request; with two or more, the statuses show the order of checks."""


@dataclass
class Difference:
    """One way in which the live API differs."""

    kind: str
    operation: str
    place: str
    """Where: `200 data[].id`, or the header's name."""
    live: str
    sandbox: str
    seen: int = 0
    """In how many answers it was seen."""
    of: int = 0
    """In how many answers it could have been seen."""
    example: str = ""
    """A request that shows it."""
    schema: Any = None
    """A schema of what was seen, for proposals."""

    @property
    def confidence(self) -> float:
        return self.seen / self.of if self.of else 0.0


@dataclass
class _Place:
    """What was seen at one place of bodies."""

    types: dict[str, int] = field(default_factory=dict)
    values: dict[str, None] = field(default_factory=dict)
    example: Any = None
    count: int = 0


@dataclass
class _Shapes:
    """What was seen in the bodies of one operation and status, on one side."""

    places: dict[str, _Place] = field(default_factory=dict)
    parents: dict[str, int] = field(default_factory=dict)
    """How many objects were seen at each place."""
    requests: list[str] = field(default_factory=list)

    def add(self, value: Any, place: str = "") -> None:
        if isinstance(value, dict):
            self.parents[place] = self.parents.get(place, 0) + 1
            for name, each in value.items():
                self._note(each, f"{place}.{name}".lstrip("."))
        elif isinstance(value, list):
            for each in value:
                self._note(each, f"{place}[]")

    def _note(self, value: Any, place: str) -> None:
        found = self.places.setdefault(place, _Place())
        kind = json_type(value)
        found.types[kind] = found.types.get(kind, 0) + 1
        found.count += 1
        if isinstance(value, str) and len(found.values) < MAX_VALUES and len(value) <= MAX_SHOWN:
            found.values[value] = None
        if found.example is None:
            found.example = value
        self.add(value, place)


def find_differences(pairs: Sequence[Pair]) -> list[Difference]:
    """All differences, each once, in the order of operations."""
    found: dict[tuple[str, str, str, str], Difference] = {}
    totals: dict[tuple[str, str], int] = {}
    for pair in pairs:
        for total in ((pair.operation.key, ""), (pair.operation.key, str(pair.live.status))):
            totals[total] = totals.get(total, 0) + 1
        for each in _pair_differences(pair):
            known = found.setdefault((each.kind, each.operation, each.place, each.live), each)
            known.seen += 1
            known.example = known.example or pair.request
    for each in found.values():
        each.of = totals.get((each.operation, each.place.partition(" ")[0]), totals[each.operation, ""])
    return [*found.values(), *_shape_differences(pairs)]


def _pair_differences(pair: Pair) -> Iterator[Difference]:
    operation, live, sandbox = pair.operation.key, pair.live, pair.sandbox
    for each in pair.violations:
        place = f"{live.status} {format_dotted(each.location[1:])}"
        yield Difference(UNDOCUMENTED, operation, place, each.message, "", example=pair.request)
    if live.status != sandbox.status:
        kind = ORDER if pair.faults > 1 else STATUS
        yield Difference(kind, operation, _situation(pair), str(live.status), str(sandbox.status), example=pair.request)
        return
    status = str(live.status)
    if live.body and sandbox.body and bare_media_type(live.media_type) != bare_media_type(sandbox.media_type):
        yield Difference(MEDIA, operation, status, live.media_type, sandbox.media_type, example=pair.request)
    elif live.status >= 400:
        yield from _wording(pair)
    ours, theirs = _api_headers(sandbox), _api_headers(live)
    for name in theirs - ours:
        yield Difference(HEADER_ADDED, operation, f"{status} {name}", name, "", example=pair.request)
    for name in ours - theirs:
        yield Difference(HEADER_REMOVED, operation, f"{status} {name}", "", name, example=pair.request)


def _situation(pair: Pair) -> str:
    return pair.request.partition("(")[2].rstrip(")") or "request"


def _api_headers(response: Response) -> set[str]:
    return {
        name.lower()
        for name, _ in response.headers
        if name.lower() not in _INCIDENTAL and not name.lower().startswith("x-mock-")
    }


def _wording(pair: Pair) -> Iterator[Difference]:
    """Texts of an error that differ. Where the document has none, the sandbox has made them up."""
    if "generated" in {pair.sandbox.source, dict(pair.sandbox.headers).get("x-mock-source")}:
        return
    live, ours = _texts(pair.live), _texts(pair.sandbox)
    for place in live.keys() & ours.keys():
        if _plain(live[place]) != _plain(ours[place]):
            where = f"{pair.live.status} {place}".strip()
            yield Difference(WORDING, pair.operation.key, where, live[place], ours[place], example=pair.request)


def _texts(response: Response) -> dict[str, str]:
    """The texts of an error by their places; of one that is no JSON its whole body."""
    if not isinstance(response.body, bytes):
        return {}
    value = json_value(response)
    if value is None:
        return {"": response.body[:MAX_SHOWN].decode("utf-8", "replace").strip()}
    return dict(_leaves(value, ""))


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{place}.{name}".lstrip("."))
    elif isinstance(value, str) and place.rpartition(".")[2] in _WORDS_OF_ERRORS:
        yield place, value[:MAX_SHOWN]


def _plain(text: str) -> str:
    return _VARYING.sub("…", text)


def _shape_differences(pairs: Sequence[Pair]) -> Iterator[Difference]:
    shapes: dict[tuple[str, int], tuple[_Shapes, _Shapes]] = {}
    operations: dict[str, Operation] = {}
    for pair in pairs:
        if pair.live.status != pair.sandbox.status:
            continue
        values = json_value(pair.live), json_value(pair.sandbox)
        operations[pair.operation.key] = pair.operation
        sides = shapes.setdefault((pair.operation.key, pair.live.status), (_Shapes(), _Shapes()))
        for side, value in zip(sides, values, strict=True):
            if value is not None:
                side.add(value)
                side.requests.append(pair.request)
    for (key, status), (live, ours) in shapes.items():
        yield from _compare_shapes(operations[key], status, live, ours)


def _compare_shapes(operation: Operation, status: int, live: _Shapes, ours: _Shapes) -> Iterator[Difference]:
    example = live.requests[0] if live.requests else ""
    for place, found in live.places.items():
        parent = _parent(place)
        if place in ours.places:
            types, known = _claims(found), _claims(ours.places[place])
            if types and known and not types <= known | _wider(known):
                new = " or ".join(sorted(types - known))
                yield Difference(TYPE_CHANGED, operation.key, f"{status} {place}", new, " or ".join(sorted(known)),
                                 sum(found.types[each] for each in types - known), found.count, example,
                                 _schema_of(found.example))  # fmt: skip
        elif not place.endswith("[]") and ours.parents.get(parent):
            yield Difference(FIELD_ADDED, operation.key, f"{status} {place}", " or ".join(sorted(found.types)), "",
                             found.count, live.parents.get(parent, found.count), example,
                             _schema_of(found.example))  # fmt: skip
        yield from _enum_difference(operation, status, place, found, example)
    for place, found in ours.places.items():
        parent = _parent(place)
        if place not in live.places and not place.endswith("[]") and live.parents.get(parent):
            count = live.parents[parent]
            known_types = " or ".join(sorted(found.types))
            yield Difference(FIELD_REMOVED, operation.key, f"{status} {place}", "", known_types, count, count, example)


def _enum_difference(
    operation: Operation, status: int, place: str, found: _Place, example: str
) -> Iterator[Difference]:
    allowed = documented_enum(operation, status, place)
    if allowed is None:
        return
    new = [value for value in found.values if value not in allowed]
    if new:
        yield Difference(ENUM_GROWN, operation.key, f"{status} {place}", ", ".join(new),
                         ", ".join(map(str, allowed)), len(new), len(found.values), example, new)  # fmt: skip


def documented_enum(operation: Operation, status: int, place: str) -> list[Any] | None:
    """The documented values at a place of a response's body; None if any are allowed."""
    node = documented_node(operation, status, place)
    if node is None:
        return None
    values: Any = node.get("enum", [node["const"]] if "const" in node else None)
    return list(values) if isinstance(values, list) else None


def documented_node(operation: Operation, status: int, place: str) -> Mapping[str, Any] | None:
    """The schema of a place of a JSON response; None if it cannot be found by properties and items alone."""
    response = operation.response(status)
    content = next((each for each in (response.content if response else {}).values() if each.is_json), None)
    if content is None or content.schema is None:
        return None
    node: Any = content.schema.resolved(content.schema.definition)
    for step in re.findall(r"\[\]|[^.\[\]]+", place):
        child = node.get("items") if step == "[]" else node.get("properties", {}).get(step)
        if not isinstance(child, dict):
            return None
        node = content.schema.resolved(child)
    return node if isinstance(node, dict) else None


def json_value(response: Response) -> Any:
    """The JSON of a body; None if it is none."""
    if not isinstance(response.body, bytes) or not is_json(response.media_type):
        return None
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None


def json_type(value: Any) -> str:
    """The JSON type of a value."""
    if isinstance(value, bool):
        return "boolean"
    names = ((dict, "object"), (list, "array"), (str, "string"), (int, "integer"), (float, "number"))
    return next((name for kind, name in names if isinstance(value, kind)), "null")


def _claims(found: _Place) -> set[str]:
    return set(found.types) - {"null"}


def _wider(known: Iterable[str]) -> set[str]:
    return {"integer"} if "number" in known else set()


def _parent(place: str) -> str:
    """The place of the object that has a member: `data[]` for `data[].id`."""
    return place.rpartition(".")[0]


def _schema_of(value: Any) -> dict[str, Any]:
    """A schema of a value that was seen: its types, without values."""
    kind = json_type(value)
    if isinstance(value, dict):
        return {"type": kind, "properties": {name: _schema_of(each) for name, each in value.items()}}
    if isinstance(value, list):
        return {"type": kind, "items": _schema_of(value[0])} if value else {"type": kind}
    return {} if value is None else {"type": kind}
