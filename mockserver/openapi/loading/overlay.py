"""Applies OpenAPI Overlays (version 1.0): files that change a document by JSONPath."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mockserver.errors import SpecError
from mockserver.lazy import lazy_module
from mockserver.openapi.files import find_line, read_document

if TYPE_CHECKING:
    import jsonpath_rfc9535
else:
    jsonpath_rfc9535 = lazy_module("jsonpath_rfc9535")  # the extra `overlay`

VERSION = "1.0.0"


def apply_overlay(document: dict[str, Any], path: Path) -> list[str]:
    """Change the document as the file says; returns the targets that match nothing in it.

    Raises SpecError, with file and line, for what is no overlay, and if the library is missing.
    """
    overlay = read_document(path, SpecError)
    if not isinstance(overlay, Mapping) or not str(overlay.get("overlay", "")).startswith("1."):
        raise SpecError("it is no OpenAPI Overlay; wanted 'overlay: 1.0.0' and 'actions'", str(path))
    actions = overlay.get("actions")
    if not isinstance(actions, list):
        raise SpecError(f"actions is {type(actions).__name__}; wanted a list", str(path))
    unmatched = []
    for n, action in enumerate(actions):
        place = f"{path}:{find_line(path, ('actions', n)) or 1}"
        if not isinstance(action, Mapping) or not isinstance(action.get("target"), str):
            raise SpecError(f"actions[{n}] has no target; wanted a JSONPath", place)
        if "update" not in action and action.get("remove") is not True:
            raise SpecError(f"actions[{n}] has neither an update nor 'remove: true'", place)
        if not _apply_action(document, action, place):
            unmatched.append(action["target"])
    return unmatched


def _apply_action(document: dict[str, Any], action: Mapping[str, Any], place: str) -> bool:
    """Apply one action; returns whether its target matches anything."""
    try:
        found = jsonpath_rfc9535.find(action["target"], document)
    except ImportError:
        raise SpecError("overlays need the extra `overlay`: pip install 'batch-mockserver[overlay]'", place) from None
    except jsonpath_rfc9535.JSONPathError as error:
        raise SpecError(f"the target {action['target']!r} is no JSONPath: {error}", place) from error
    places = [tuple(each.location) for each in found]
    for location in sorted(places, key=_removal_order, reverse=True):
        if action.get("remove") is True:
            _remove(document, location, place)
        else:
            _update(document, location, action["update"], place)
    return bool(places)


def _removal_order(location: Sequence[str | int]) -> tuple[tuple[int, str], ...]:
    """Items of a list are removed from its end, so that the others keep their places."""
    return tuple((step, "") if isinstance(step, int) else (0, step) for step in location)


def _remove(document: Any, location: tuple[str | int, ...], place: str) -> None:
    if not location:
        raise SpecError("the whole document cannot be removed", place)
    parent = _value_at(document, location[:-1])
    del parent[location[-1]]


def _update(document: Any, location: tuple[str | int, ...], update: Any, place: str) -> None:
    value = _value_at(document, location)
    if isinstance(value, list):
        value.append(deepcopy(update))
    elif isinstance(value, dict) and isinstance(update, Mapping):
        _merge(value, update)
    else:
        raise SpecError(f"the target is {type(value).__name__}; an update changes objects and lists", place)


def _merge(target: dict[str, Any], update: Mapping[str, Any]) -> None:
    for name, value in update.items():
        known = target.get(name)
        if isinstance(known, dict) and isinstance(value, Mapping):
            _merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            known.extend(deepcopy(value))
        else:
            target[name] = deepcopy(value)


def _value_at(document: Any, location: Sequence[str | int]) -> Any:
    for step in location:
        document = document[step]
    return document
