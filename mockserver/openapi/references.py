"""What references within a document lead to."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

MAX_REFERENCES = 32
"""How long a chain of references may be."""


def referred(reference: str, document: Mapping[str, Any]) -> Any:
    """What a reference within the document (`#/components/…`) points at; raises LookupError or ValueError."""
    place: Any = document
    for part in reference.split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        place = place[int(name)] if isinstance(place, list) else place[name]
    return place


def resolved(definition: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The definition with what its references inside the document lead to; its own keywords win."""
    beside: dict[str, Any] = {}
    for _ in range(MAX_REFERENCES):
        if not (isinstance(definition, dict) and isinstance(definition.get("$ref"), str)):
            break
        beside = {**{name: each for name, each in definition.items() if name != "$ref"}, **beside}
        try:
            definition = referred(definition["$ref"], document)
        except (LookupError, ValueError, TypeError):
            return beside
    return {**definition, **beside} if isinstance(definition, dict) else beside
