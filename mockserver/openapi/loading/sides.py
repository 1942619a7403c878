"""A document as requests see it, or responses: read-only properties are not required of a request, nor write-only
ones of a response.

Only what changes is copied. Most documents have no such properties, and stay as they are.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mockserver.openapi.references import resolved, walk

MAX_DEPTH = 10
"""How deep parts of parts are looked into."""
_DATA = frozenset({"example", "examples", "default", "enum", "const"})


class Side(NamedTuple):
    """The document of one direction."""

    document: Mapping[str, Any]
    copies: Mapping[int, Any]
    """The changed nodes by the ids of the originals, which must stay alive."""

    def of(self, node: Any) -> Any:
        """The node as this side has it."""
        return self.copies.get(id(node), node)


def side_of(document: Mapping[str, Any], word: str) -> Side | None:
    """The document in which properties with the word are not required; None if that changes nothing."""
    if not _has(document, word):
        return None
    copies: dict[int, Any] = {}
    found = _Pruning(document, word, copies).copy(document)
    return Side(found, copies) if found is not document else None


def _has(document: Any, word: str) -> bool:
    return any(isinstance(node, dict) and node.get(word) is True for node in walk(document))


class _Pruning:
    def __init__(self, document: Mapping[str, Any], word: str, copies: dict[int, Any]) -> None:
        self._document = document
        self._word = word
        self._copies = copies

    def copy(self, node: Any) -> Any:
        """The node without such requirements: itself if it has none."""
        if not isinstance(node, dict | list):
            return node
        if id(node) in self._copies:
            return self._copies[id(node)]
        if isinstance(node, list):
            items = [self.copy(each) for each in node]
            made: Any = node if all(one is other for one, other in zip(items, node, strict=True)) else items
        else:
            made = self._object(node)
        if made is not node:
            self._copies[id(node)] = made
        return made

    def _object(self, node: dict[str, Any]) -> dict[str, Any]:
        values = {key: each if key in _DATA else self.copy(each) for key, each in node.items()}
        required = node.get("required")
        if isinstance(required, list) and not self._hidden(node).isdisjoint(map(str, required)):
            hidden = self._hidden(node)
            values["required"] = [name for name in required if name not in hidden]
            return values
        return node if all(values[key] is each for key, each in node.items()) else values

    def _hidden(self, node: Mapping[str, Any], depth: int = 0) -> set[str]:
        """The names of properties with the word, in the schema and in the parts of its allOf."""
        properties = node.get("properties")
        found = set[str]()
        for name, each in properties.items() if isinstance(properties, dict) else ():
            if isinstance(each, dict) and resolved(each, self._document).get(self._word) is True:
                found.add(name)
        parts = node.get("allOf")
        for part in parts if isinstance(parts, list) and depth < MAX_DEPTH else ():
            found |= self._hidden(resolved(part, self._document), depth + 1)
        return found
