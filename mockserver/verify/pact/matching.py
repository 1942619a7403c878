"""The matching rules of a response's body: what a real answer must have in common with the recorded one.

Values that the sandbox makes up are compared by their type, values of an enumeration with the enumeration, and
constants, and the values that a provider state names (`exact`), by equality. Members that are null are left out: that
they may be null says nothing of their type. Of a list the first item stands for all. More members are always allowed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from mockserver.openapi.schema import Schema

MAX_TEXT = 200
"""The most characters of a text in an example."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_DEPTH = 100
"""The most levels of a body."""
_MAX_ALTERNATIVES = 8
"""The most levels of `allOf`, `anyOf` and `oneOf` within each other."""
Rules = dict[str, Any]
Nodes = Sequence[Mapping[str, Any]]
"""The schemas that describe one value: one, and its alternatives."""


def body_rules(value: Any, schema: Schema | None, exact: frozenset[str]) -> tuple[Any, Rules]:
    """An example of the body, and its matching rules by JSONPath. `exact` are names of members of the top level."""
    rules: Rules = {}
    walk = _Walk(schema, exact, rules)
    return walk.example(value, walk.start(), "$", ""), rules


def rule(*matchers: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of matching rules."""
    return {"combine": "AND", "matchers": list(matchers)}


def documented_values(schema: Schema | None, name: str) -> list[str]:
    """The texts that the document allows for a member of the top level; empty if it names none, or only one."""
    walk = _Walk(schema, frozenset(), {})
    values = [each for each in walk.values(walk.children(walk.start(), name)) if isinstance(each, str)]
    return values if len(values) > 1 else []


def shape_of(value: Any) -> Any:
    """What two bodies of one form have in common: names and types, without values."""
    if isinstance(value, dict):
        return {name: shape_of(each) for name, each in sorted(value.items())}
    if isinstance(value, list):
        shapes = {orjson.dumps(shape): shape for shape in map(shape_of, value)}
        return [shapes[each] for each in sorted(shapes)]
    return type(value).__name__


def is_deep(value: Any) -> bool:
    """Whether a JSON value is nested more deeply than a contract can hold."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


class _Walk:
    """Goes through a value and its schema side by side."""

    def __init__(self, schema: Schema | None, exact: frozenset[str], rules: Rules) -> None:
        self._schema = schema
        self._exact = exact
        self._rules = rules

    def start(self) -> Nodes:
        return [*self._alternatives(self._schema.definition)] if self._schema is not None else []

    def example(self, value: Any, nodes: Nodes, place: str, name: str) -> Any:
        if isinstance(value, dict):
            if not any(each is not None for each in value.values()):
                self._rules[place] = rule({"match": "type"})
            return {
                key: self.example(each, self.children(nodes, key), f"{place}{_step(key)}", key if place == "$" else "")
                for key, each in value.items()
                if each is not None
            }
        if isinstance(value, list):
            self._rules[place] = rule({"match": "type", "min": 1} if value else {"match": "type"})
            items = self.children(nodes, None)
            return [self.example(each, items, f"{place}[*]", "") for each in value[:1] if each is not None]
        self._rules[place] = rule(self._leaf(value, nodes, is_exact=name in self._exact))
        return value[:MAX_TEXT] if isinstance(value, str) else value

    def _leaf(self, value: Any, nodes: Nodes, *, is_exact: bool) -> dict[str, Any]:
        allowed = self.values(nodes)
        if is_exact or (len(allowed) == 1 and value in allowed):
            return {"match": "equality"}
        if isinstance(value, bool | str):
            texts = [each for each in allowed if isinstance(each, str)]
            if isinstance(value, str) and value in texts:
                return {"match": "regex", "regex": f"^({'|'.join(map(_escaped, texts))})$"}
            return {"match": "type"}
        is_whole = isinstance(value, int) and not any("number" in _types(each) for each in nodes)
        return {"match": "integer" if is_whole else "number"}

    def values(self, nodes: Nodes) -> list[Any]:
        """The values that the schemas allow; empty if one of those that could apply names none."""
        found: list[Any] = []
        for each in nodes:
            stated = each.get("enum", [each["const"]] if "const" in each else ())
            found += [value for value in stated if value is not None and value not in found]
        return found

    def children(self, nodes: Nodes, name: str | None) -> Nodes:
        """The schemas of a member, or of the items (None)."""
        found: list[Mapping[str, Any]] = []
        for each in nodes:
            child = each.get("items") if name is None else (each.get("properties") or {}).get(name)
            found += self._alternatives(child)
        return found

    def _alternatives(self, definition: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
        if self._schema is None or not isinstance(definition, Mapping) or depth > _MAX_ALTERNATIVES:
            return
        node = self._schema.resolved(dict(definition))
        yield node
        for keyword in ("allOf", "anyOf", "oneOf"):
            for each in node.get(keyword) or ():
                yield from self._alternatives(each, depth + 1)


def _step(name: str) -> str:
    return f".{name}" if _PLAIN.fullmatch(name) else "['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']"


def _escaped(text: str) -> str:
    """A text in a regular expression: `re.escape` escapes characters that other engines do not let be escaped."""
    return re.sub(r"[.^$*+?{}\[\]\\|()]", r"\\\g<0>", text)


def _types(definition: Mapping[str, Any]) -> Sequence[str]:
    stated = definition.get("type", ())
    return (stated,) if isinstance(stated, str) else stated
