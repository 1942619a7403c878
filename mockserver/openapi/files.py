"""Reads YAML and JSON files as JSON values, and finds the line of a value."""

import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.errors import MockServerError, Problem
from mockserver.lazy import lazy_module, lazy_pattern

if TYPE_CHECKING:  # importing yaml takes 20 ms, and what comes with mockserver is read as JSON
    from mockserver.openapi import yaml_values
else:
    yaml_values = lazy_module("mockserver.openapi.yaml_values")

PACKAGE = Path(__file__).parents[1]
CONVERTED = PACKAGE / "_data" / "converted"
"""The YAML that comes with mockserver, as JSON: written when a wheel is built, in a checkout when it is first read."""
_FORMAT = b"2"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Tabs between values and lone surrogates, which JSON allows and YAML does not.
_YAML_UNLIKE_JSON = lazy_pattern(rb"\t|\\u[dD][89a-fA-F]")


def is_url(text: str) -> bool:
    """Whether a document is named by a URL."""
    return text.lower().startswith(("http://", "https://"))


def read_document(path: Path, error: type[MockServerError], notes: list[Problem] | None = None) -> Any:
    """The file's JSON value; raises `error` with file and line when it cannot be read.

    With `notes`, a key that stands twice and a number that does not fit into 64 bits are noted there instead.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as problem:  # a name that contains NUL is a ValueError
        raise error(str(getattr(problem, "strerror", None) or problem), str(path)) from problem
    if notes is not None:
        content = content.removeprefix(_BYTE_ORDER_MARK)
    if path.suffix == ".json":
        return _read_json(content, path, error)
    if not _is_bundled(path):
        if content[:1] == b"{":  # JSON under another name
            with suppress(MockServerError):
                return _read_json(content, path, MockServerError)
        return yaml_values.read_yaml(content, path, error, notes)
    converted = CONVERTED / converted_name(content)
    with suppress(OSError, orjson.JSONDecodeError):
        return orjson.loads(converted.read_bytes())
    value = yaml_values.read_yaml(content, path, error)
    with suppress(OSError):
        _write(converted, orjson.dumps(value))
    return value


def is_valid_by(path: Path, schema: Any) -> bool:
    """Whether a file is known to be valid by a schema: it is part of a wheel, or `note_valid` was told of it."""
    return path.is_relative_to(PACKAGE / "_data") or (_is_bundled(path) and _note(path, schema).is_file())


def note_valid(path: Path, schema: Any) -> None:
    """Remember that a file is valid by a schema, if it comes with mockserver."""
    if _is_bundled(path):
        with suppress(OSError):
            _write(_note(path, schema), b"")


def _note(path: Path, schema: Any) -> Path:
    return CONVERTED / converted_name(path.read_bytes() + orjson.dumps(schema)).replace(".json", ".valid")


def convert_document(path: Path) -> bytes:
    """A YAML file as JSON; raises MockServerError."""
    return orjson.dumps(yaml_values.read_yaml(path.read_bytes(), path, MockServerError))


def converted_name(content: bytes) -> str:
    """The name in CONVERTED of a YAML file with this content; an edited file gets another name."""
    return f"{blake2b(content, digest_size=16, key=_FORMAT).hexdigest()}.json"


def _is_bundled(path: Path) -> bool:
    """Whether the file comes with mockserver: inside the wheel, or at the top of a checkout."""
    for root in (PACKAGE / "_data", PACKAGE.parent):
        if path == root / "openapi.yaml" or path.is_relative_to(root / "fixtures"):
            return True
    return False


def find_line(path: Path, location: Sequence[str | int]) -> int | None:
    """The line (from 1) of the value at `location`, or of the nearest existing value around it."""
    return find_lines(path, [location])[0]


def find_lines(path: Path, locations: Sequence[Sequence[str | int]]) -> list[int | None]:
    """What `find_line` says of each of several locations; the file is read once."""
    try:
        content = path.read_bytes()
    except (OSError, ValueError):
        return [None] * len(locations)
    content = _YAML_UNLIKE_JSON.sub(_as_in_yaml, content) if path.suffix == ".json" else content
    return yaml_values.find_lines(content, locations)


def _as_in_yaml(found: re.Match[bytes]) -> bytes:
    return b" " if found[0] == b"\t" else b"\\u00"


def _read_json(content: bytes, path: Path, error: type[MockServerError]) -> Any:
    try:
        value = orjson.loads(content)
        orjson.dumps(value)  # rejects nesting that is too deep for recursion
    except orjson.JSONDecodeError as problem:
        raise error(f"not JSON: {problem.msg}", f"{path}:{problem.lineno}") from problem
    except TypeError as problem:
        raise error(f"cannot be used as JSON: {problem}", str(path)) from problem
    return value


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
