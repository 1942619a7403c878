"""YAML as plain JSON values: the subset that YAML 1.2 and JSON share, within bounds of depth and size."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
import yaml

from mockserver.errors import MockServerError

MAX_NODES = 2_000_000
MAX_DEPTH = 250
_TAG = "tag:yaml.org,2002:"


def read_yaml(content: bytes, path: Path, error: type[MockServerError]) -> Any:
    """The document's JSON value; raises `error` with file and line."""
    try:
        loader, node = _compose(content)
        value = None if node is None else loader.construct_document(node)
        _check_size(value)
        orjson.dumps(value)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        raise error(f"not YAML: {problem.problem}", f"{path}:{mark.line + 1 if mark else 1}") from problem
    except yaml.reader.ReaderError as problem:
        line = content.count(b"\n", 0, problem.position) + 1
        raise error(f"not YAML: {problem.reason}", f"{path}:{line}") from problem
    except (RecursionError, TypeError, ValueError) as problem:
        raise error(f"cannot be written as JSON: {problem}", str(path)) from problem
    return value


def find_lines(content: bytes, locations: Sequence[Sequence[str | int]]) -> list[int | None]:
    """For each location the line (from 1) on which its value starts, or the nearest one around it that exists."""
    try:
        node = _compose(content)[1]
    except (ValueError, yaml.YAMLError):
        return [None] * len(locations)
    return [_line_of(node, location) for location in locations]


def _line_of(node: yaml.Node | None, location: Sequence[str | int]) -> int | None:
    line = None
    while node is not None:
        line = node.start_mark.line + 1
        if not location:
            break
        node, location = _child(node, location[0]), location[1:]
    return line


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    return None


def _compose(content: bytes) -> tuple[yaml.SafeLoader, yaml.Node | None]:
    """A loader with the document's nodes. The depth is checked first: libyaml's composer would end the process for
    deep nesting."""
    depth = 0
    for event in yaml.parse(content, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)  # type: ignore[arg-type]  # the C loader's mark does as well
    loader = _Loader(content)
    return loader, loader.get_single_node()


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C loader where there is one
    """Reads YAML as YAML 1.2 does: `no` and dates are text, keys are text and unique."""

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
            raise _problem("wanted a mapping", node)
        return {key: self.construct_object(each, deep=deep) for key, each in self.entries(node).items()}

    def entries(self, node: yaml.MappingNode) -> dict[str, yaml.Node]:
        """The mapping's own keys, and those merged in with `<<`: its own win, then those merged first."""
        own: dict[str, yaml.Node] = {}
        merged: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged = {**self.merged_entries(value), **merged}
            elif not isinstance(key, yaml.ScalarNode):
                raise _problem("a key must be text", key)
            elif key.value in own:
                raise _problem(f"the key {key.value!r} stands twice", key)
            else:
                own[key.value] = value
        if not merged:
            return own
        whole = {**merged, **own}
        # The merge is done once: later merges of this mapping use its result.
        node.value = [(yaml.ScalarNode(f"{_TAG}str", name), each) for name, each in whole.items()]
        return whole

    def merged_entries(self, node: yaml.Node) -> dict[str, yaml.Node]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, yaml.Node] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise _problem("only a mapping, or a list of them, can be merged with '<<'", part)
            entries = self.entries(part)
            self.merged += len(entries)
            if self.merged > MAX_NODES:
                raise _problem(f"more than {MAX_NODES:,} values are merged", node)
            found = {**entries, **found}
        return found


def _problem(text: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(problem=text, problem_mark=node.start_mark)


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


def _add_scalar(name: str, pattern: re.Pattern[str], first: list[str], read: Callable[[str], Any]) -> None:
    def construct(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        try:
            if pattern.match(text):
                return read(text)
        except ValueError as problem:
            raise _problem(str(problem)[:200], node) from problem
        raise _problem(f"{text!r} is no {name}", node)

    _Loader.add_implicit_resolver(f"{_TAG}{name}", pattern, first)
    _Loader.add_constructor(f"{_TAG}{name}", construct)


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


_SCALARS: Mapping[str, tuple[re.Pattern[str], list[str], Callable[[str], Any]]] = {
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
"""What a plain scalar means: the pattern it has, the letters it begins with, how it is read. All else is text."""

for _name, _row in _SCALARS.items():
    _add_scalar(_name, *_row)
_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"<<\Z"), ["<"])
