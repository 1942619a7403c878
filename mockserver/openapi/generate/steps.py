"""Limits the cost of a response in counted steps, so that the result does not depend on the machine.

A step is about a microsecond of work: a keyword read, a few characters made, a value compared.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mockserver.openapi.references import resolve_ref, walk
from mockserver.openapi.regex import pattern_size, pattern_weight

MAX_STEPS = 500_000
"""The most steps of one response, including all of its choices and attempts."""
MAX_BATCH_STEPS = 20_000_000
"""The most steps of a batch, in addition to FREE_STEPS of each line."""
FREE_STEPS = 2_000
"""The free steps of a batch line; ordinary schemas take a few hundred."""
MAX_BYTES = 200_000
"""The most bytes of a schema in a request, as JSON."""
MAX_NODES = 20_000
"""The most JSON values in such a schema."""
VISIT = 8
"""Steps of counting for each pair of a schema and a value."""
MAX_PATTERNS = 32
MAX_PATTERN_BYTES = 2 * 1024 * 1024
"""The most bytes of all compiled patterns of a schema in a request."""

_IN_PLACE = ("not", "if", "then", "else")
_LISTS = ("allOf", "anyOf", "oneOf")
_OF_MEMBERS = ("additionalProperties", "unevaluatedProperties")
_OF_ITEMS = ("items", "contains", "unevaluatedItems")
_UNSUPPORTED = ("$dynamicRef", "$recursiveRef")


class TooCostly(ValueError):
    """The response would take more steps than allowed."""


class Budget:
    """The remaining steps of a response."""

    def __init__(self, steps: int = MAX_STEPS, shared: "Budget | None" = None) -> None:
        """Steps beyond FREE_STEPS are also taken from `shared`."""
        self._most = steps
        self._shared = shared
        self.spent = 0

    @property
    def left(self) -> int:
        return self._most - self.spent

    def spend(self, steps: int) -> None:
        """Count steps; raises TooCostly if too few are left."""
        self.spent += steps
        if self.spent > self._most:
            raise TooCostly("an answer would take too much work; make the schema smaller or its patterns simpler")
        if self._shared is not None and self.spent > FREE_STEPS:
            self._shared.spend(min(steps, self.spent - FREE_STEPS))


def check_size(definition: Mapping[str, Any], largest: Mapping[str, int]) -> None:
    """Raises ValueError for a schema that is too large; `largest` are bounds of keywords such as minItems.

    A few bytes can request gigabytes. PatternError is a ValueError, too.
    """
    patterns = set[str]()
    for count, node in enumerate(walk(definition), 1):
        if count > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES} parts")
        if isinstance(node, dict):
            _check_keywords(node, largest)
            patterns |= {text for text in _patterns_of(node) if isinstance(text, str)}
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"it has {len(patterns)} patterns; at most {MAX_PATTERNS} are supported")
    if sum(map(pattern_size, patterns)) > MAX_PATTERN_BYTES:
        raise ValueError(f"its patterns compile to more than {MAX_PATTERN_BYTES} bytes")


def largest_pattern(definition: Any) -> int:
    """The size in bytes of the largest compiled pattern of a checked schema; 0 without patterns."""
    patterns = (text for node in walk(definition) if isinstance(node, dict) for text in _patterns_of(node))
    return max((pattern_size(text) for text in patterns if isinstance(text, str)), default=0)


def validation_steps(root: Mapping[str, Any], value: Any, most: int) -> int:
    """The steps a validator takes for the value; it follows every path of `$ref` and `allOf`, even repeated ones.

    Raises TooCostly if it is more than `most`, and ValueError for references that cannot be resolved.
    """
    return _Walk(root, most).steps(root, value)


class _Walk:
    """Counts steps; examines each pair of a schema and a value once, however often a validator would."""

    def __init__(self, root: Mapping[str, Any], most: int) -> None:
        self._root = root
        self._most = most
        self._visits = 0
        self._known: dict[tuple[int, int], int] = {}

    def steps(self, schema: Any, value: Any) -> int:
        if not isinstance(schema, Mapping):
            return 1
        key = id(schema), id(value)
        known = self._known.get(key)
        if known is not None:
            if known < 0:
                raise ValueError("it refers to itself without end")
            return known
        self._known[key] = -1
        self._visits += VISIT
        self._check(self._visits)
        self._check_supported(schema)
        total = 1 + len(schema) + _own_steps(schema, value)
        total += sum(self.steps(part, value) for part in self._parts(schema))
        if isinstance(value, Mapping):
            total += self._member_steps(schema, value)
        elif isinstance(value, list):
            total += self._item_steps(schema, value)
        if "unevaluatedProperties" in schema or "unevaluatedItems" in schema:
            total *= 2  # unevaluated keywords examine the value again
        self._check(total)
        self._known[key] = total
        return total

    def _check(self, steps: int) -> None:
        if steps > self._most:
            raise TooCostly("validating an answer would take too much work; make the schema smaller or less branched")

    def _check_supported(self, schema: Mapping[str, Any]) -> None:
        reference = schema.get("$ref", "#")
        if not (isinstance(reference, str) and (reference == "#" or reference.startswith("#/"))):
            raise ValueError(f"$ref is {str(reference)[:100]!r}; only references inside the schema (#/…) are followed")
        for word in _UNSUPPORTED:
            if word in schema:
                raise ValueError(f"{word} is not supported")
        if "$id" in schema and schema is not self._root:
            raise ValueError("$id inside a schema is not supported")

    def _parts(self, schema: Mapping[str, Any]) -> Iterable[Any]:
        """The schemas that apply to the same value."""
        if "$ref" in schema:
            yield resolve_ref(schema["$ref"], self._root)
        for word in _LISTS:
            yield from schema.get(word, ())
        for word in _IN_PLACE:
            if word in schema:
                yield schema[word]
        yield from schema.get("dependentSchemas", {}).values()

    def _member_steps(self, schema: Mapping[str, Any], value: Mapping[str, Any]) -> int:
        named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        weights = sum(map(pattern_weight, patterns))
        every = [*patterns.values(), *(schema[word] for word in _OF_MEMBERS if word in schema)]
        total = len(named)
        for name, member in value.items():
            total += 1 + weights * (1 + len(name)) + sum(self.steps(part, member) for part in every)
            if name in named:
                total += self.steps(named[name], member)
            if "propertyNames" in schema:
                total += self.steps(schema["propertyNames"], name)
        return total

    def _item_steps(self, schema: Mapping[str, Any], value: list[Any]) -> int:
        every = [schema[word] for word in _OF_ITEMS if word in schema]
        total = len(value) + sum(map(self.steps, schema.get("prefixItems", ()), value))
        return total + sum(self.steps(part, item) for part in every for item in value)


def _own_steps(schema: Mapping[str, Any], value: Any) -> int:
    total = len(schema.get("enum", ())) + len(schema.get("required", ()))
    total += sum(1 + len(names) for names in schema.get("dependentRequired", {}).values())
    if isinstance(value, str):
        total += len(value) // 8
        if "pattern" in schema:
            total += pattern_weight(schema["pattern"]) * (1 + len(value))
    return total


def _check_keywords(node: Mapping[str, Any], largest: Mapping[str, int]) -> None:
    for word, most in largest.items():
        asked = node.get(word)
        if isinstance(asked, int | float) and asked > most:
            raise ValueError(f"{word} is {asked}; no more than {most} is made up here")


def _patterns_of(node: Mapping[str, Any]) -> Iterable[Any]:
    named = node.get("patternProperties")
    return (node.get("pattern"), *(named if isinstance(named, Mapping) else ()))
