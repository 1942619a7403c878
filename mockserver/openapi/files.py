"""Read YAML and JSON files as plain JSON values, and say on which line a value stands."""

import math
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from mockserver.errors import MockServerError

if TYPE_CHECKING:
    import yaml

MAX_NODES = 2_000_000
MAX_DEPTH = 250
_CACHE_FORMAT = b"2"
_TAG = "tag:yaml.org,2002:"
# A tab between values and half a surrogate pair, which JSON may have and YAML may not.
_YAML_UNLIKE_JSON = re.compile(rb"\t|\\u[dD][89a-fA-F]")


def read_document(path: Path, error: type[MockServerError]) -> Any:
    """The file's JSON value; raises `error` with file and line when it cannot be read.

    Parsing YAML is the slowest part of a start, so the parsed value is kept as JSON in the user's cache
    folder under a hash of the file's bytes. Without a writable cache folder everything works, only slower.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as problem:  # a name with a NUL in it is a ValueError
        raise error(f"{path}: {getattr(problem, 'strerror', None) or problem}") from problem
    if path.suffix == ".json":
        return _read_json(content, path, error)
    cached = _cache_path(content)
    with suppress(OSError, orjson.JSONDecodeError):
        return orjson.loads(cached.read_bytes())
    value = _read_yaml(content, path, error)
    with suppress(OSError):
        _write_cache(cached, orjson.dumps(value))
    return value


def find_line(path: Path, location: Sequence[str | int]) -> int | None:
    """The line (from 1) on which the value at `location` starts, or the nearest one around it that exists."""
    return find_lines(path, [location])[0]


def find_lines(path: Path, locations: Sequence[Sequence[str | int]]) -> list[int | None]:
    """What `find_line` says of each of several locations; the file is read once."""
    import yaml  # noqa: PLC0415  needed only for messages

    try:
        content = path.read_bytes()
        node = _compose(_YAML_UNLIKE_JSON.sub(_as_in_yaml, content) if path.suffix == ".json" else content)[1]
    except (OSError, ValueError, yaml.YAMLError):
        return [None] * len(locations)
    return [_line_of(node, location) for location in locations]


def _line_of(node: "yaml.Node | None", location: Sequence[str | int]) -> int | None:
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


def _as_in_yaml(found: re.Match[bytes]) -> bytes:
    return b" " if found[0] == b"\t" else b"\\u00"


def _read_json(content: bytes, path: Path, error: type[MockServerError]) -> Any:
    try:
        value = orjson.loads(content)
        orjson.dumps(value)  # refuses what is nested too deeply to be walked
    except orjson.JSONDecodeError as problem:
        raise error(f"{path}:{problem.lineno}: not JSON: {problem.msg}") from problem
    except TypeError as problem:
        raise error(f"{path}: cannot be used as JSON: {problem}") from problem
    return value


def _read_yaml(content: bytes, path: Path, error: type[MockServerError]) -> Any:
    import yaml  # noqa: PLC0415  costs 20 ms, and a cached document needs none of it

    try:
        loader, node = _compose(content)
        value = None if node is None else loader.construct_document(node)
        _check_size(value)
        orjson.dumps(value)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        raise error(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {problem.problem}") from problem
    except yaml.reader.ReaderError as problem:
        line = content.count(b"\n", 0, problem.position) + 1
        raise error(f"{path}:{line}: not YAML: {problem.reason}") from problem
    except (RecursionError, TypeError, ValueError) as problem:
        raise error(f"{path}: cannot be written as JSON: {problem}") from problem
    return value


def _compose(content: bytes) -> "tuple[yaml.SafeLoader, yaml.Node | None]":
    """A loader with the document's nodes. The depth is looked at first: libyaml's composer ends the process when it
    is nested too deeply."""
    import yaml  # noqa: PLC0415  see _read_yaml

    kind = _loader()
    depth = 0
    for event in yaml.parse(content, Loader=kind):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)  # type: ignore[arg-type]  # the C loader's mark does as well
    loader = kind(content)
    return loader, loader.get_single_node()


def _read_int(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**64:
        raise ValueError(f"{text} does not fit into 64 bits")
    return value


def _read_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text} is too large")
    return value


@cache
def _scalars() -> Mapping[str, tuple[re.Pattern[str], list[str], Callable[[str], Any]]]:
    """What a plain scalar means: the pattern it has, the letters it begins with, how it is read. All else is text."""
    return {
        "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""], lambda _: None),
        "bool": (
            re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"),
            list("tTfF"),
            lambda text: text.lower() == "true",
        ),
        "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), list("-+0123456789"), _read_int),
        "float": (
            re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?\Z"),
            list("-+0123456789."),
            _read_float,
        ),
    }


@cache
def _loader() -> type["yaml.SafeLoader"]:
    """A safe loader that reads YAML as YAML 1.2 does: `no` is a word, dates are text, keys are text and stand once."""
    import yaml  # noqa: PLC0415  see _read_yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader where there is one
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}
        yaml_constructors: ClassVar[dict[str | None, Any]] = {
            None: yaml.SafeLoader.construct_undefined,
            f"{_TAG}str": yaml.SafeLoader.construct_yaml_str,
            f"{_TAG}merge": yaml.SafeLoader.construct_yaml_str,  # as a value it is text
            f"{_TAG}seq": yaml.SafeLoader.construct_yaml_seq,
            f"{_TAG}map": yaml.SafeLoader.construct_yaml_map,
        }
        merged = 0

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
            if not isinstance(node, yaml.MappingNode):
                raise refused("wanted a mapping", node)
            return {key: self.construct_object(each, deep=deep) for key, each in self.entries(node).items()}

        def entries(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
            """The mapping's own keys, and those merged in with `<<`: its own win, then those merged first."""
            own: dict[str, yaml.Node] = {}
            merged: dict[str, yaml.Node] = {}
            for key, value in node.value:
                if key.tag == f"{_TAG}merge":
                    merged = {**self.merged_entries(value), **merged}
                elif not isinstance(key, yaml.ScalarNode):
                    raise refused("a key must be text", key)
                elif key.value in own:
                    raise refused(f"the key {key.value!r} stands twice", key)
                else:
                    own[key.value] = value
            if not merged:
                return own
            whole = {**merged, **own}
            # Once is enough: what is merged from here later is merged from what came of it.
            node.value = [(yaml.ScalarNode(f"{_TAG}str", name), each) for name, each in whole.items()]
            return whole

        def merged_entries(self, node: yaml.Node) -> dict[str, yaml.Node]:
            parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
            found: dict[str, yaml.Node] = {}
            for part in parts:
                if not isinstance(part, yaml.MappingNode):
                    raise refused("only a mapping, or a list of them, can be merged with '<<'", part)
                entries = self.entries(part)
                self.merged += len(entries)
                if self.merged > MAX_NODES:
                    raise refused(f"more than {MAX_NODES:,} values are merged", node)
                found = {**entries, **found}
            return found

    def refused(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
        return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)

    def add_scalar(name: str, pattern: re.Pattern[str], first: list[str], read: Callable[[str], Any]) -> None:
        def construct(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
            text = loader.construct_scalar(node)
            try:
                if pattern.match(text):
                    return read(text)
            except ValueError as problem:
                raise refused(str(problem)[:200], node) from problem
            raise refused(f"{text!r} is no {name}", node)

        Loader.add_implicit_resolver(f"{_TAG}{name}", pattern, first)
        Loader.add_constructor(f"{_TAG}{name}", construct)

    for name, row in _scalars().items():
        add_scalar(name, *row)
    Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<\Z"), ["<"])
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
    """Where the content's value is kept. Without a home the place cannot be made, which is the same as no cache."""
    stated = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(stated) if Path(stated).is_absolute() else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111  never raises
    name = f"{blake2b(content, digest_size=16, key=_CACHE_FORMAT).hexdigest()}.json"
    return home / "mockserver" / name if home.is_absolute() else Path(os.devnull) / name


def _write_cache(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
