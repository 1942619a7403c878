"""YAML as plain JSON values: the subset that YAML 1.2 and JSON share, within bounds of depth and size."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import orjson
import yaml

from mockserver.errors import WARNING, MockServerError, Problem

MAX_NODES = 2_000_000
MAX_DEPTH = 250
MAX_DIGITS = 300
"""The most digits of an integer that is rounded."""
_TAG = "tag:yaml.org,2002:"


def read_yaml(content: bytes, path: Path, error: type[MockServerError], notes: list[Problem] | None = None) -> Any:
    """The document's JSON value; raises `error` with file and line.

    With `notes`, a key that stands twice (its last value counts) and a number that does not fit into 64 bits (it is
    rounded) are noted there instead.
    """
    try:
        loader, node = _compose(content)
        loader.notes = None if notes is None else []
        value = None if node is None else loader.construct_document(node)
        _check_size(value)
        orjson.dumps(value)
        if notes is not None:
            notes += [Problem(f"{path}:{line}", message, WARNING) for line, message in loader.notes or ()]
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


def _compose(content: bytes) -> "tuple[_Loader, yaml.Node | None]":
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
    notes: list[tuple[int, str]] | None = None
    """Lines and messages of what is read all the same; None if it is an error."""

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
            else:
                if key.value in own:
                    self.note(_problem(f"the key {key.value!r} stands twice", key))
                own[key.value] = value
        if not merged:
            return own
        whole = {**merged, **own}
        # The merge is done once: later merges of this mapping use its result.
        node.value = [(yaml.ScalarNode(f"{_TAG}str", name), each) for name, each in whole.items()]
        return whole

    def note(self, problem: yaml.MarkedYAMLError) -> None:
        """Notes a problem; raises it where notes are not taken."""
        if self.notes is None:
            raise problem
        self.notes.append((problem.problem_mark.line + 1 if problem.problem_mark else 1, str(problem.problem)))

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
    def construct(loader: _Loader, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        try:
            if pattern.match(text):
                return read(text)
        except ValueError as problem:
            if loader.notes is not None and name == "int" and len(text) < MAX_DIGITS:
                loader.note(_problem(str(problem), node))
                return float(text)
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


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # the C dumper where there is one
    """Writes JSON values so that YAML 1.1 and 1.2 read the same: what either takes for no text is quoted."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, ()),
            *_Loader.yaml_implicit_resolvers.get(first, ()),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  yaml's signature
        """Equal values are written twice: an edit of one must not change the other."""
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar(f"{_TAG}str", text, style="|" if "\n" in text.rstrip("\n") else None)


_Dumper.add_representer(str, _represent_text)


def format_yaml(value: Any) -> str:
    """A JSON value as YAML, for people: in the order of its members, with texts of several lines as blocks."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))
