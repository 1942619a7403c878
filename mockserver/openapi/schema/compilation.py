"""Compiles the schemas of a document for the fast validator, and keeps those that were compiled last."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from mockserver.errors import SpecError
from mockserver.lazy import lazy_module
from mockserver.openapi.references import resolve_ref, walk
from mockserver.openapi.regex import is_pattern, linear_options, why_unusable
from mockserver.openapi.schema.alternatives import FEW_WAYS, MAX_WAYS, BoundedValidator, WayCounter
from mockserver.openapi.schema.formats import FORMATS

if TYPE_CHECKING:
    import jsonschema_rs
else:
    jsonschema_rs = lazy_module("jsonschema_rs")

_DOCUMENT = "urn:mockserver:document"
_FRAGMENT = "/~!$&'()*+,;=:@?%"
"""Characters that a reference may contain as they are."""
_DATA = frozenset({"const", "enum", "default", "example", "examples"})
UNEVALUATED = frozenset({"unevaluatedProperties", "patternProperties"})
"""Keywords that jsonschema cannot evaluate together, since it would match names with Python's `re`."""
MAX_COMPILED = 300
"""The most validators of one document that are kept."""
MAX_REACHABLE = 150_000
"""The most values in the kept schemas and in what they refer to. A validator takes about 400 bytes for each."""
_log = logging.getLogger("mockserver")


class Compilable(Protocol):
    """A schema that is compiled when it is needed."""

    definition: Mapping[str, Any]

    def whole(self) -> dict[str, Any]:
        """The definition with the targets of its references."""

    def forget(self) -> None:
        """Frees the compiled validator."""


class SchemaLibrary:
    """The schemas of one document. Their targets are read once, and the validators of the latest are kept."""

    def __init__(self, document: Mapping[str, Any], *, is_lenient: bool = False) -> None:
        """With `is_lenient`, a schema that cannot be compiled accepts everything, and is logged."""
        self._document = document
        self._is_lenient = is_lenient
        self._compiled: deque[tuple[Compilable, int]] = deque()
        self._size = 0
        self._lock = Lock()
        self._counter = WayCounter(document)

    @cached_property
    def registry(self) -> Any:
        """The document as the target of references; None if it is no usable one."""
        try:
            return jsonschema_rs.Registry([(_DOCUMENT, dict(self._document))], draft=jsonschema_rs.Draft202012)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            return None

    @cached_property
    def may_leave_unevaluated(self) -> bool:
        """Whether the document has the keywords that jsonschema cannot evaluate together."""
        return names_all(self._document, UNEVALUATED)

    def compile(self, schema: Compilable, formats: dict[str, Callable[[str], bool]]) -> Any:
        """The validator of a schema; those that were compiled longest ago are freed."""
        try:
            ways = self._usable_ways(schema.definition)
            if self.registry is None:
                validator = compile_schema(schema.whole(), formats)
            else:
                validator = compile_schema(_absolute(schema.definition), formats, registry=self.registry)
            if ways > FEW_WAYS:
                validator = BoundedValidator(validator, ways)
        except SpecError as problem:
            if not self._is_lenient:
                raise
            _log.warning("a schema is not enforced: %s", problem)
            validator = jsonschema_rs.Draft202012Validator({})
        self._keep(schema)
        return validator

    def _keep(self, schema: Compilable) -> None:
        """Adds to the compiled schemas, and frees those that are too many or too large together, the oldest first."""
        size = _reachable(schema.definition, self._document)
        with self._lock:
            self._compiled.append((schema, size))
            self._size += size
            while len(self._compiled) > MAX_COMPILED or (self._size > MAX_REACHABLE and len(self._compiled) > 1):
                oldest, freed = self._compiled.popleft()
                self._size -= freed
                oldest.forget()

    def check(self, definition: Mapping[str, Any]) -> None:
        """Raises SpecError if a definition of the document is not a usable schema."""
        self._usable_ways(definition)
        compile_schema(_absolute(definition), FORMATS, registry=self.registry)

    def _usable_ways(self, definition: Mapping[str, Any]) -> int:
        """The ways through a schema; raises SpecError if they would take a validator too long."""
        ways = self._counter.ways(definition)
        if ways > MAX_WAYS:
            inner = self._counter.first_excess(definition)
            where = f"; see {inner[:200]}" if inner else ""
            said = f"its combined parts lead through more than {MAX_WAYS:,} alternatives{where}"
            raise SpecError(f"not a usable JSON Schema: {said}")
        return ways


def _reachable(definition: Any, document: Mapping[str, Any]) -> int:
    """How many values a schema has, with the targets of its references."""
    count, waiting, references = 0, [definition], set[str]()
    while waiting:
        node = waiting.pop()
        count += 1
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            reference = node.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/") and reference not in references:
                references.add(reference)
                with suppress(LookupError, ValueError, TypeError):
                    waiting.append(resolve_ref(reference, document))
    return count


def names_all(node: Any, words: frozenset[str]) -> bool:
    """Whether each of the words is a key somewhere in a value."""
    missing = set(words)
    for part in walk(node):
        if isinstance(part, dict):
            missing -= part.keys()
            if not missing:
                return True
    return False


def _absolute(node: Any) -> Any:
    """A copy of a definition whose references name the document that a registry has."""
    if isinstance(node, list):
        return [_absolute(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: each if key in _DATA else _absolute(each) for key, each in node.items()}
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        made["$ref"] = f"{_DOCUMENT}#{quote(reference[1:], safe=_FRAGMENT)}"
    return made


def compile_schema(
    definition: dict[str, Any],
    formats: dict[str, Callable[[str], bool]],
    pattern_bytes: int | None = None,
    registry: Any = None,
) -> Any:
    options = linear_options(pattern_bytes)
    more = {"registry": registry} if registry is not None else {}
    try:
        return jsonschema_rs.Draft202012Validator(
            definition, validate_formats=True, formats=formats, offline=True, pattern_options=options, **more
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as problem:
        why = _pattern_problem(definition) or " ".join(str(problem).split())
        raise SpecError(f"not a usable JSON Schema: {shorten(why)}") from problem


def _pattern_problem(node: Any) -> str:
    """Why a pattern of a definition is invalid; empty if none is. The validator only says which one."""
    for part in walk(node):
        if isinstance(part, dict):
            named = part.get("patternProperties")
            for text in (part.get("pattern"), *(named if isinstance(named, dict) else ())):
                if isinstance(text, str) and not is_pattern(text):
                    return why_unusable(text)
    return ""


def shorten(message: str, limit: int = 300) -> str:
    return message if len(message) <= limit else f"{message[: limit // 2]} … {message[-limit // 3 :]}"
