"""Matchers: which requests a rule applies to."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

from mockserver.http import Request, Upload
from mockserver.json_bodies import JsonError, count_values, parse_json
from mockserver.percent import parse_qsl
from mockserver.sandbox.ids import canonical

ANY = "*"
"""As a value: any; as a segment of a path: any one segment."""
MAX_NAMED = 50
"""The most headers, arguments and body locations of one matcher."""
_NOTHING = object()

_NAMED = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": MAX_NAMED,
    "propertyNames": {"minLength": 1, "maxLength": 200},
    "additionalProperties": {"type": "string", "maxLength": 8192},
}
_SOMETHING = {"type": ["object", "array", "string", "number", "boolean"]}

MATCHER_PROPERTIES: Mapping[str, Any] = {
    "operation": {"type": "string", "minLength": 1, "maxLength": 200},
    "method": {"type": "string", "pattern": "^[A-Za-z]{1,20}$"},
    "path": {"type": "string", "pattern": "^/", "maxLength": 2048},
    "query": _NAMED,
    "header": _NAMED,
    "body": _SOMETHING,
    "body_at": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": MAX_NAMED,
        "propertyNames": {"pattern": "^(/([^/~]|~[01])*)*$", "maxLength": 500},
        "additionalProperties": {},
    },
}
"""JSON Schemas of a definition's matcher properties."""


class Matcher(NamedTuple):
    """Conditions that a request must meet; None matches everything."""

    operation: str = ""
    """An operation's key."""
    method: str = ""
    path: str = ""
    """In which `*` and `{anything}` match any one segment."""
    query: Mapping[str, str] = {}
    """Of a repeated argument one value must match; `*` is any value."""
    header: Mapping[str, str] = {}
    """Names in lower case; `*` is any value."""
    body: Any = None
    """JSON that the body must contain: objects may have more members, arrays must have the same length. For a form, its
    fields; a file in it is `{"filename", "media_type"}`.
    """
    body_at: Mapping[str, Any] = {}
    """The same for locations in the body, by JSON Pointer (RFC 6901)."""

    def fits(self, asked: "RequestView") -> bool:
        """Whether the request matches."""
        request = asked.request
        return (
            (not self.operation or self.operation == asked.operation)
            and (not self.method or self.method == request.method)
            and (not self.path or path_fits(self.path, request.path))
            and all(_is(wanted, request.headers.get(name)) for name, wanted in self.header.items())
            and all(
                name in asked.arguments and (wanted == ANY or wanted in asked.arguments[name])
                for name, wanted in self.query.items()
            )
            and (self.body is None or json_contains(asked.body, self.body))
            and all(json_contains(value_at(asked.body, place), wanted) for place, wanted in self.body_at.items())
        )

    @property
    def steps(self) -> int:
        """The most values and names that one comparison with a body looks at."""
        bodies = [*self.body_at.values()] if self.body is None else [self.body, *self.body_at.values()]
        return sum(place.count("/") for place in self.body_at) + sum(count_values(canonical(each)) for each in bodies)

    def may_mean(self, operation: str, method: str, path: str) -> bool:
        """Whether a request to an operation with this key, method and templated path can match."""
        asked = "GET" if self.method == "HEAD" else self.method
        return (
            self.operation in {"", operation}
            and asked in {"", method}
            and (not self.path or _paths_meet(self.path, path))
        )


class RequestView:
    """A request with lazily parsed parts."""

    def __init__(self, operation: str, request: Request) -> None:
        """`operation` is the key of the request's operation; empty without one."""
        self.operation = operation
        self.request = request

    @cached_property
    def arguments(self) -> Mapping[str, set[str]]:
        """The values of each query argument, as strings."""
        given: dict[str, set[str]] = {}
        for name, value in parse_qsl(self.request.query):
            given.setdefault(name, set()).add(value)
        return given

    @cached_property
    def body(self) -> Any:
        """JSON as Python values, a form as an object; for any other body a value that equals nothing."""
        if self.request.form is not None:
            return {name: _field(value) for name, value in self.request.form.items()}
        try:
            return parse_json(self.request.body)
        except JsonError:
            return _NOTHING


def read_matcher(definition: Mapping[str, Any]) -> Matcher:
    """The matcher of a definition that fits MATCHER_PROPERTIES."""
    found = {name: definition[name] for name in MATCHER_PROPERTIES if name in definition}
    if "method" in found:
        found["method"] = found["method"].upper()
    if "header" in found:
        found["header"] = {name.lower(): value for name, value in found["header"].items()}
    return Matcher(**found)


def path_fits(pattern: str, path: str) -> bool:
    """Whether a path matches the pattern, segment by segment."""
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        one == other or (_is_open(one) and other != "") for one, other in zip(wanted, given, strict=True)
    )


def json_contains(value: Any, wanted: Any) -> bool:
    """Whether a JSON value contains the wanted one: objects may have more members, arrays must have the same length."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            name in value and json_contains(value[name], member) for name, member in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and len(value) == len(wanted) and all(map(json_contains, value, wanted))
    if isinstance(wanted, bool) or isinstance(value, bool):  # in Python, True == 1
        return value is wanted
    return bool(value == wanted)


def value_at(value: Any, pointer: str) -> Any:
    """The value at a JSON Pointer (RFC 6901); without one, a value that equals nothing."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name, _NOTHING)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
            value = value[int(name)] if len(name) < 10 and int(name) < len(value) else _NOTHING
        else:
            return _NOTHING
    return value


def _field(value: str | Upload) -> Any:
    return value if isinstance(value, str) else {"filename": value.filename, "media_type": value.media_type}


def _is(wanted: str, given: str | None) -> bool:
    return given is not None and wanted in {ANY, given}


def _is_open(segment: str) -> bool:
    return segment == ANY or (segment.startswith("{") and segment.endswith("}"))


def _paths_meet(pattern: str, template: str) -> bool:
    """Whether some path matches both. A template's segment with a parameter matches anything."""
    wanted, stated = pattern.split("/"), template.split("/")
    return len(wanted) == len(stated) and all(
        one == other or _is_open(one) or "{" in other for one, other in zip(wanted, stated, strict=True)
    )
