"""Takes the mistakes out of a document, so that the rest of it can be served."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from mockserver.openapi.mistakes import Location, Mistake, find_mistakes, sound_part
from mockserver.openapi.operations import METHODS

MAX_MISTAKES = 1_000
"""The most mistakes that are mended at once, and reported of one document."""
MAX_ROUNDS = 12
"""How often the document is searched again, since what is mended may show the next mistake."""
_UNIQUE = frozenset({"required", "enum", "type"})
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def repair(document: dict[str, Any]) -> tuple[dict[str, Any], list[Mistake]]:
    """The document without the parts that have mistakes, and these mistakes. It is changed in place."""
    found: dict[Location, Mistake] = {}
    if not isinstance(document.get("paths"), dict):
        document["paths"] = {}
    for mistake in _give_keys(document):
        found[mistake.location] = mistake
    for mistake in _without_twins(document):
        found[mistake.location] = mistake
    for _ in range(MAX_ROUNDS):
        mistakes = list(islice(find_mistakes(document), MAX_MISTAKES))
        if not mistakes:
            return document, list(found.values())
        for mistake in mistakes:
            found.setdefault(mistake.location, mistake)
        for mistake in reversed(mistakes):  # backwards, so that positions in lists stay right
            _mend(document, mistake.location)
    return sound_part(document), list(found.values())


def _give_keys(document: dict[str, Any]) -> Iterator[Mistake]:
    """Takes away each operationId that an earlier operation has."""
    keys = set[str]()
    for path, method, operation in _operations(document):
        key = operation.get("operationId")
        if not isinstance(key, str) or not key:
            continue
        if key in keys:
            del operation["operationId"]
            said = f"the operationId {key[:100]!r} stands twice; this operation is called {method.upper()} {path}"
            yield Mistake(("paths", path, method, "operationId"), said)
        keys.add(key)


def _without_twins(document: dict[str, Any]) -> Iterator[Mistake]:
    """Removes each operation whose path differs from an earlier one's by names of parameters only."""
    taken: dict[tuple[str, str], str] = {}
    for path, method, _ in list(_operations(document)):
        shape = _shape(path)
        other = taken.setdefault((method, shape), path)
        if other != path:
            del document["paths"][path][method]
            yield Mistake(("paths", path, method), f"is described twice: {other} takes all of its paths")


def _shape(path: str) -> str:
    text, depth = [], 0
    for each in path:
        depth += (each == "{") - (each == "}")
        if not depth or each == "{":
            text.append(each)
    return "".join(text)


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        if isinstance(item, dict) and not str(path).startswith("x-"):
            for method in METHODS:
                if isinstance(item.get(method), dict):
                    yield path, method, item[method]


def _mend(document: dict[str, Any], location: Sequence[str | int]) -> None:
    """Changes or removes the value at a location; nothing if it is gone already."""
    holder: Any = None
    node: Any = document
    for step in location:
        holder = node
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return
    if holder is None:
        return
    step = location[-1]
    if step in _BOUNDS and isinstance(node, bool) and isinstance(holder, dict):
        del holder[step]
        if node and _BOUNDS[str(step)] in holder:
            holder[step] = holder.pop(_BOUNDS[str(step)])
    elif step in _UNIQUE and isinstance(node, list) and (better := _different(node)) and len(better) < len(node):
        holder[step] = better
    elif step == "items" and isinstance(node, list) and "prefixItems" not in holder:
        holder["prefixItems"] = holder.pop(step)  # as in earlier drafts of JSON Schema
    else:
        del holder[step]


def _different(values: list[Any]) -> list[Any]:
    return [each for n, each in enumerate(values) if each not in values[:n]]
