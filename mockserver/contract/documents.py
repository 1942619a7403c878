"""Read YAML and JSON files as plain JSON values, and say on which line a value stands."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from mockserver.errors import MockServerError

if TYPE_CHECKING:
    import yaml

MAX_NODES = 2_000_000
_CACHE_FORMAT = b"1"


def read_document(path: Path, error: type[MockServerError]) -> Any:
    """The file's JSON value; raises `error` with file and line when it cannot be read.

    Parsing YAML is the slowest part of a start, so the parsed value is kept as JSON in the user's cache
    folder under a hash of the file's bytes. Without a writable cache folder everything works, only slower.
    """
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}") from problem
    if path.suffix == ".json":
        return _read_json(content, path, error)
    cached = _cache_path(content)
    with suppress(OSError, orjson.JSONDecodeError):
        return orjson.loads(cached.read_bytes())
    value = _read_yaml(content, path, error)
    with suppress(OSError):
        _keep(cached, orjson.dumps(value))
    return value


def find_line(path: Path, location: Sequence[str | int]) -> int | None:
    """The line (from 1) on which the value at `location` starts, or the nearest one around it that exists."""
    import yaml  # noqa: PLC0415  needed only for messages

    try:
        node = yaml.compose(path.read_bytes(), Loader=yaml.SafeLoader)
    except (OSError, yaml.YAMLError):
        return None
    line = None
    while node is not None:
        line = node.start_mark.line + 1
        if not location:
            break
        node, location = _child(node, location[0]), location[1:]
    return line


def _child(node: "yaml.Node", step: str | int) -> "yaml.Node | None":
    import yaml  # noqa: PLC0415  needed only for messages

    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    return None


def _read_json(content: bytes, path: Path, error: type[MockServerError]) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as problem:
        raise error(f"{path}:{problem.lineno}: not JSON: {problem.msg}") from problem


def _read_yaml(content: bytes, path: Path, error: type[MockServerError]) -> Any:
    import yaml  # noqa: PLC0415  costs 20 ms, and a cached document needs none of it

    try:
        value = yaml.load(content, Loader=_loader())  # noqa: S506  a SafeLoader underneath
        _check_size(value)
        orjson.dumps(value)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        raise error(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {problem.problem}") from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise error(f"{path}: not YAML: {' '.join(str(problem).split())}") from problem
    except (RecursionError, TypeError, ValueError) as problem:
        raise error(f"{path}: cannot be written as JSON: {problem}") from problem
    return value


def _loader() -> type["yaml.SafeLoader"]:
    """A safe loader that reads YAML as YAML 1.2 does: `no` is a word, dates are text, keys are text and stand once."""
    import yaml  # noqa: PLC0415  see _read_yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader where there is one
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
            self.flatten_mapping(node)
            mapping: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = key_node.value
                if not isinstance(key, str):
                    raise yaml.constructor.ConstructorError(
                        problem="a key must be text", problem_mark=key_node.start_mark
                    )
                if key in mapping:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                    )
                mapping[key] = self.construct_object(value_node, deep=deep)
            return mapping

    for tag, pattern, first in (
        ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
        ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
        ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
        (
            "float",
            r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$",
            list("-+0123456789."),
        ),
        ("merge", r"^(?:<<)$", ["<"]),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)
    return Loader


def _check_size(value: Any) -> None:
    """Refuse a document whose aliases unfold into millions of nodes, or that contains itself."""
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        if not isinstance(node, dict | list):
            return 1
        if id(node) in sizes:
            known = sizes[id(node)]
            if known < 0:
                raise ValueError("an alias contains itself")
            return known
        sizes[id(node)] = -1
        total = 1 + sum(size(child) for child in (node.values() if isinstance(node, dict) else node))
        sizes[id(node)] = total
        return total

    if size(value) > MAX_NODES:
        raise ValueError(f"its aliases unfold into more than {MAX_NODES:,} values")


def _cache_path(content: bytes) -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "mockserver" / f"{blake2b(content, digest_size=16, key=_CACHE_FORMAT).hexdigest()}.json"


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
