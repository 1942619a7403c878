"""Counts the ways through the combined parts of a schema, since a validator may follow each of them for each value.

A schema of 25 levels with 8 equal references each takes 8 kB, and has 8**25 ways. The number of ways is computed from
those of its parts, each of which is visited once.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from mockserver.openapi.references import resolve_ref, walk

MAX_WAYS = 100_000
"""The most ways through a schema. Published documents have up to 23,000; a validator follows about 150 in a
microsecond."""
MAX_STEPS = 100_000_000
"""The most ways through a schema, times the values of what it validates: about half a second."""
FEW_WAYS = 1_000
"""Ways of a schema whose values are not counted."""
_CEILING = 10**12
_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("not", "if", "then", "else")
_OF_MEMBERS = ("additionalProperties", "unevaluatedProperties")
_OF_ITEMS = ("items", "contains", "unevaluatedItems")


class WayCounter:
    """Counts the ways through schemas of one document.

    A reference that leads back to a schema that contains it counts as one: the validator keeps what it found for it.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._known: dict[str, int] = {}

    def ways(self, definition: Any) -> int:
        """The ways through a definition; more than MAX_WAYS if it is nested too deeply to count them."""
        try:
            self._count_references(definition)
            return self._ways(definition)
        except RecursionError:
            return _CEILING

    def first_excess(self, definition: Any) -> str:
        """The first reference of a definition with too many ways whose target has too many, too; empty without one."""
        return next((each for each in _references(definition) if self._known.get(each, 0) > MAX_WAYS), "")

    def _count_references(self, definition: Any) -> None:
        """Counts the targets of all references, the innermost first, without recursion."""
        waiting, entered = list(_references(definition)), set[str]()
        while waiting:
            reference = waiting[-1]
            if reference in self._known:
                waiting.pop()
                continue
            target = self._target(reference)
            if reference in entered:
                self._known[reference] = self._ways(target)
            else:
                entered.add(reference)
                waiting += [each for each in _references(target) if each not in self._known and each not in entered]

    def _target(self, reference: str) -> Any:
        try:
            return resolve_ref(reference, self._document) if reference.startswith("#/") else None
        except (LookupError, ValueError, TypeError):
            return None

    def _ways(self, node: Any) -> int:
        """The most ways that lead to one value, the node's own or one inside of it."""
        if not isinstance(node, dict):
            return 1
        reference = node.get("$ref")
        here = 1 + (self._known.get(reference, 1) if isinstance(reference, str) else 0)
        here += sum(self._sum(node.get(word)) for word in _LISTS)
        here += sum(self._ways(node[word]) for word in _IN_PLACE if word in node) + self._sum(
            node.get("dependentSchemas")
        )
        members = self._most(node.get("properties")) + self._sum(node.get("patternProperties"))
        members += sum(self._ways(node[word]) for word in _OF_MEMBERS if word in node)
        items = self._most(node.get("prefixItems")) + sum(self._ways(node[word]) for word in _OF_ITEMS if word in node)
        return min(here + max(members, items), _CEILING)

    def _sum(self, parts: Any) -> int:
        return sum(map(self._ways, _parts(parts)))

    def _most(self, parts: Any) -> int:
        return max(map(self._ways, _parts(parts)), default=0)


class BoundedValidator:
    """A validator of a schema with many ways, which rejects what has too many values for it."""

    def __init__(self, validator: Any, ways: int) -> None:
        self.validate = validator.validate
        self._is_valid = validator.is_valid
        self._most = MAX_STEPS // ways

    def is_valid(self, value: Any) -> bool:
        """Whether the value is valid, and not too large."""
        return not self.is_too_large(value) and self._is_valid(value)

    def is_too_large(self, value: Any) -> bool:
        """Whether validating the value would take too long."""
        return next(islice(walk(value), self._most, None), self) is not self


def _parts(parts: Any) -> Iterable[Any]:
    """The schemas of a keyword that has a list or a mapping of them."""
    return parts if isinstance(parts, list) else parts.values() if isinstance(parts, dict) else ()


def _references(node: Any) -> Iterator[str]:
    """The different references in a value."""
    found = (each.get("$ref") for each in walk(node) if isinstance(each, dict))
    return iter(dict.fromkeys(each for each in found if isinstance(each, str)))
