"""Finds the mistakes in an OpenAPI document, each with its location, before it is served."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from mockserver.lazy import lazy_pattern
from mockserver.openapi.operations import LOCATIONS, METHODS
from mockserver.openapi.regex import is_pattern, why_unusable
from mockserver.openapi.schema import keyword_errors

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
MAX_SHOWN = 100

Location = tuple[str | int, ...]
_STATUS = lazy_pattern(r"[1-5](?:\d\d|[Xx][Xx])|default")
_TOKEN = lazy_pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PRINTABLE = lazy_pattern(r"[!-~][ -~]*")
_NAMED = lazy_pattern(r"\{([^{}]+)\}")
_NAMES: Mapping[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}

# The fields that are read of each kind of object, with the kinds of their values. `map:` and `list:` are collections.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "document": {
        "info": "info",
        "paths": "map:path item",
        "components": "components",
        "security": "list:any mapping",
    },
    "info": {"title": "text"},
    "components": {
        "schemas": "map:schema",
        "responses": "map:response",
        "parameters": "map:parameter",
        "examples": "map:example",
        "requestBodies": "map:request body",
        "headers": "map:header",
        "securitySchemes": "map:security scheme",
    },
    "path item": {**dict.fromkeys(METHODS, "operation"), "parameters": "list:parameter"},
    "operation": {
        "operationId": "text",
        "summary": "text",
        "tags": "list:text",
        "parameters": "list:parameter",
        "requestBody": "request body",
        "responses": "map:response",
        "security": "list:any mapping",
    },
    "parameter": {"schema": "schema", "required": "boolean", "explode": "boolean", "content": "map:media type"},
    "request body": {"content": "map:media type", "required": "boolean"},
    "response": {"description": "text", "headers": "map:header", "content": "map:media type"},
    "header": {"schema": "schema"},
    "media type": {"schema": "schema", "examples": "map:example"},
    "example": {},
    "security scheme": {"type": "text", "scheme": "text"},
    "any mapping": {},
}
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMA_MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_SCHEMAS = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_IN_PLACE = frozenset(("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"))
"""Keywords whose schemas apply to the same value again. A cycle of these would never end."""
_OTHER_REFERENCES = frozenset(("$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"))


class Mistake(NamedTuple):
    """A mistake at a location in the document."""

    location: Location
    message: str


def find_mistakes(document: Any) -> Iterator[Mistake]:
    """All mistakes that prevent the document from being served.

    Only fields that this server reads are checked; others, such as `servers`, may contain anything.
    """
    if not isinstance(document, dict):
        yield Mistake((), f"the document is {_kind_of(document)}; wanted a mapping")
        return
    version = document.get("openapi")
    if not (isinstance(version, str) and version.startswith("3.")):
        yield Mistake(("openapi",), f"openapi is {_format_value(version)}; wanted a version 3.x document")
        return
    if "paths" not in document:
        yield Mistake((), "paths is missing; there is nothing to serve")
    yield from dict.fromkeys(_Search(document).mistakes())


def sound_part(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with only those operations that have no mistake, themselves or in what they reference."""
    paths = document.get("paths")
    sound: dict[str, Any] = {}
    keys = set[str]()
    for path, stated in paths.items() if isinstance(paths, dict) else ():
        item = stated if isinstance(stated, dict) else {}
        if "$ref" in item:
            found = _Search(document).followed(item["$ref"], ("paths", path), "path item")
            item = found if isinstance(found, dict) else {}
        shared = {"parameters": item["parameters"]} if "parameters" in item else {}
        for method in METHODS:
            if method not in item or not _is_sound(document, path, {method: item[method], **shared}):
                continue
            key = item[method].get("operationId") or f"{method} {path}"
            if key not in keys:
                keys.add(key)
                sound.setdefault(path, dict(shared))[method] = item[method]
    return {**document, "paths": sound}


def _is_sound(document: Mapping[str, Any], path: str, item: Mapping[str, Any]) -> bool:
    search = _Search(document, ("map:path item", {path: item}, ("paths",)))
    return next(search.mistakes(), None) is None


class _Search:
    """A walk through one document. Visits each object once for each kind that it must have."""

    def __init__(self, document: Mapping[str, Any], start: tuple[str, Any, Location] | None = None) -> None:
        """`start` is the part to check: its kind, value and location; without it the whole document."""
        self._document = document
        self._seen: set[tuple[str, Location]] = set()
        self._judged: set[int] = set()
        self._waiting: list[tuple[str, Any, Location]] = [start or ("document", document, ())]
        self._keys: dict[str, Location] = {}

    def mistakes(self) -> Iterator[Mistake]:
        while self._waiting:
            kind, node, location = self._waiting.pop()
            if (kind, location) not in self._seen:
                self._seen.add((kind, location))
                yield from self._schema(node, location) if kind == "schema" else self._object(kind, node, location)

    def _object(self, kind: str, node: Any, location: Location) -> Iterator[Mistake]:
        shape, _, inner = kind.partition(":")
        if kind in {"text", "boolean"}:
            if not isinstance(node, str if kind == "text" else bool):
                yield _unlike(location, node, "text" if kind == "text" else "true or false")
        elif shape == "list" and inner:
            if not isinstance(node, list):
                yield _unlike(location, node, "a list")
            else:
                self._waiting += [(inner, each, (*location, n)) for n, each in reversed([*enumerate(node)])]
        elif not isinstance(node, dict):
            yield _unlike(location, node, "a mapping")
        elif shape == "map" and inner:
            yield from self._map(inner, node, location)
        elif "$ref" in node and kind not in {"any mapping", "document", "info", "components", "operation"}:
            yield from self._reference(kind, node["$ref"], location)
        else:
            if kind in _RULES:
                yield from _RULES[kind](self, node, location)
            fields = _FIELDS[kind]
            found = [(fields[name], node[name], (*location, name)) for name in node if name in fields]
            self._waiting += reversed(found)

    def _map(self, inner: str, node: Mapping[str, Any], location: Location) -> Iterator[Mistake]:
        is_library = location[:1] == ("components",) and len(location) == 2
        names = None if is_library else _MAP_NAMES.get((location[-1], inner))
        for name, each in reversed([*node.items()]):
            if inner in {"response", "path item"} and name.startswith("x-"):
                continue  # an extension
            if names and not names[0].fullmatch(name):
                yield Mistake((*location, name), f"the key is {name[:MAX_SHOWN]!r}; wanted {names[1]}")
            self._waiting.append((inner, each, (*location, name)))

    def _reference(self, kind: str, reference: Any, location: Location) -> Iterator[Mistake]:
        found = self._target(reference, location, kind)
        if isinstance(found, Mistake):
            yield found
        else:
            self._waiting.append((kind, *found))

    def followed(self, reference: Any, location: Location, kind: str) -> Any:
        """The target of a reference at a location; None if there is none."""
        found = self._target(reference, location, kind)
        return None if isinstance(found, Mistake) else found[0]

    def _target(self, reference: Any, location: Location, kind: str) -> tuple[Any, Location] | Mistake:
        """The target of a chain of references, and its location."""
        place, passed = (*location, "$ref"), set[str]()
        while True:
            wrong = self._unfollowed(reference, passed)
            if wrong:
                return Mistake(place, wrong)
            passed.add(reference)
            node, there = _followed(reference, self._document) or (None, ())
            if kind == "schema" and there[0] not in {"components", "paths"}:
                return Mistake(place, f"$ref is {_format_value(reference)}; wanted a schema in components or paths")
            if kind == "schema" or not (isinstance(node, dict) and "$ref" in node):
                return node, there
            reference = node["$ref"]

    def _unfollowed(self, reference: Any, passed: set[str]) -> str:
        """Why a reference cannot be resolved after those already followed; empty if it can."""
        if not isinstance(reference, str):
            return f"is {_kind_of(reference)}; wanted text"
        if not reference.startswith("#/"):
            return f"$ref is {_format_value(reference)}; only references inside the document (#/…) are followed"
        if reference in passed:
            return f"$ref is {_format_value(reference)}; it goes round in circles"
        has_end = _followed(reference, self._document) is not None
        return "" if has_end else f"$ref is {_format_value(reference)}; the document has no such thing"

    def path_item(self, node: Mapping[str, Any], location: Location) -> Iterator[Mistake]:
        """Checks a path, which is the last step of the location unless the item is referenced."""
        path = location[-1]
        if len(location) == 2 and location[0] == "paths" and isinstance(path, str):
            if not path.startswith("/"):
                yield Mistake(location, "a path starts with '/'")
            names = _NAMED.findall(path)
            if len(names) > len(set(names)):
                yield Mistake(location, "a name in braces stands twice")
            for method in METHODS:
                if isinstance(node.get(method), dict):
                    yield from self._operation_id(node[method], (*location, method))

    def _operation_id(self, node: Mapping[str, Any], location: Location) -> Iterator[Mistake]:
        key = node.get("operationId")
        if isinstance(key, str) and key and self._keys.setdefault(key, location) != location:
            yield Mistake((*location, "operationId"), f"the operationId {_format_value(key)} stands twice")

    def parameter(self, node: Mapping[str, Any], location: Location) -> Iterator[Mistake]:
        """Checks a parameter's name and location."""
        if not (isinstance(node.get("name"), str) and node.get("in") in LOCATIONS):
            came = f"name {_format_value(node.get('name'))}, in {_format_value(node.get('in'))}"
            wanted = f"a name, and in one of {', '.join(LOCATIONS)}"
            yield Mistake(location, f"a parameter has {came}; wanted {wanted}")

    def _schema(self, node: Any, location: Location) -> Iterator[Mistake]:
        if not isinstance(node, dict | bool):
            yield _unlike(location, node, "a schema: a mapping, true or false")
            return
        if id(node) not in self._judged:  # part of a schema that was checked as a whole
            yield from _broken_keywords(node, location)
        for keyword, each, there in _children(node, location):
            if isinstance(each, dict):
                self._judged.add(id(each))
                self._waiting.append(("schema", each, there))
            if keyword == "patternProperties" and not is_pattern(str(there[-1])):
                yield Mistake(there, f"the pattern {why_unusable(str(there[-1]))}")
        if isinstance(node, dict):
            yield from self._rules(node, location)

    def _rules(self, node: Mapping[str, Any], location: Location) -> Iterator[Mistake]:
        """Checks that patterns are usable, and that references lead to schemas and form no cycles."""
        if isinstance(node.get("pattern"), str) and not is_pattern(node["pattern"]):
            yield Mistake((*location, "pattern"), f"the pattern {why_unusable(node['pattern'])}")
        if "$ref" not in node or not _OTHER_REFERENCES.isdisjoint(node):
            return
        found = self._target(node["$ref"], location, "schema")
        if isinstance(found, Mistake):
            yield found
        elif self._leads_back(location):
            yield Mistake((*location, "$ref"), f"$ref is {_format_value(node['$ref'])}; it goes round in circles")
        else:
            self._waiting.append(("schema", *found))

    def _leads_back(self, start: Location) -> bool:
        """Whether the schema there applies to the same value again by itself."""
        found = _followed("#/" + "/".join(_escaped(step) for step in start), self._document)
        waiting, passed = [found] if found else [], set[Location]()
        while waiting:
            node, location = waiting.pop()
            if not isinstance(node, dict):
                continue
            if isinstance(node.get("$ref"), str) and (target := _followed(node["$ref"], self._document)):
                if target[1] == start:
                    return True
                if target[1] not in passed:
                    passed.add(target[1])
                    waiting.append(target)
            for keyword, each, there in _children(node, location):
                if keyword in _IN_PLACE and there not in passed:
                    if there == start and location != start:
                        return True
                    passed.add(there)
                    waiting.append((each, there))
        return False


def _followed(reference: str, document: Mapping[str, Any]) -> tuple[Any, Location] | None:
    """The target of a reference inside the document, and its location; None if there is none."""
    node: Any = document
    location: list[str | int] = []
    for escaped in reference.removeprefix("#/").split("/"):
        step = unquote(escaped).replace("~1", "/").replace("~0", "~")
        if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            location.append(int(step))
            node = node[int(step)]
        elif isinstance(node, dict) and step in node:
            location.append(step)
            node = node[step]
        else:
            return None
    return node, tuple(location)


def _escaped(step: str | int) -> str:
    return str(step).replace("%", "%25").replace("~", "~0").replace("/", "~1")


def _children(node: Any, location: Location) -> Iterator[tuple[str, Any, Location]]:
    """The direct subschemas of a schema, each with its keyword."""
    if not isinstance(node, dict):
        return
    for keyword, value in node.items():
        if keyword in _SCHEMAS:
            yield keyword, value, (*location, keyword)
        elif keyword in _SCHEMA_LISTS and isinstance(value, list):
            yield from ((keyword, each, (*location, keyword, n)) for n, each in enumerate(value))
        elif keyword in _SCHEMA_MAPS and isinstance(value, dict):
            yield from ((keyword, each, (*location, keyword, name)) for name, each in value.items())


def _broken_keywords(node: Any, location: Location) -> Iterator[Mistake]:
    """Keywords of a schema and its subschemas with values that JSON Schema does not allow."""
    told = set[Location]()
    for inside, value, message in keyword_errors(node):
        there = (*location, *inside)
        if there in told:
            continue
        told.add(there)
        keyword = there[-1] if there else ""
        if keyword == "type":
            yield Mistake(there, f"type is {_format_value(value)}; wanted one of {', '.join(TYPES)}, or a list of them")
        else:
            yield Mistake(there, f"{keyword} cannot be {_format_value(value)}: {message[: 2 * MAX_SHOWN]}")


def _unlike(location: Location, node: Any, wanted: str) -> Mistake:
    return Mistake(location, f"is {_kind_of(node)}; wanted {wanted}")


def _kind_of(node: Any) -> str:
    return _NAMES.get(type(node), type(node).__name__)


def _format_value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


_RULES: Mapping[str, Callable[[_Search, Mapping[str, Any], Location], Iterator[Mistake]]] = {
    "path item": _Search.path_item,
    "parameter": _Search.parameter,
}
_MAP_NAMES: Mapping[tuple[str | int, str], tuple[re.Pattern[str], str]] = {
    ("responses", "response"): (_STATUS, "a status (200, 4XX) or default"),
    ("headers", "header"): (_TOKEN, "the name of a header"),
    ("content", "media type"): (_PRINTABLE, "a media type"),
}
