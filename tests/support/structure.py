"""The structure of mockserver/, read from its syntax trees: modules, imports, circles, sizes.

`python tests/support/structure.py` prints the figures that tests/test_architecture.py holds.
"""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = "mockserver"


class Import(NamedTuple):
    """One name that a module imports."""

    line: int
    name: str
    """Dotted: `mockserver.errors.Refusal`, `yaml`."""
    is_lazy: bool
    """Whether it stands inside a function."""


class Module:
    """One Python file of the package."""

    def __init__(self, name: str, path: str, source: str) -> None:
        """`name` is dotted and relative to the package (`web.app`), `path` relative to the checkout."""
        self.name = name
        self.path = path
        self.source = source

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self.tree))

    @property
    def package(self) -> str:
        """The top-level package or module: `web` of `web.admin.app`, `errors` of `errors`."""
        return self.name.partition(".")[0]

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (each for each in ast.walk(self.tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))

    def noqa_lines(self) -> list[int]:
        """The lines on which a lint rule is switched off."""
        tokens = tokenize.generate_tokens(io.StringIO(self.source).readline)
        return [
            each.start[0] for each in tokens if each.type == tokenize.COMMENT and re.search(r"\bnoqa\b", each.string)
        ]


def read_modules(root: Path = ROOT) -> dict[str, Module]:
    """Every module of the package by name; a package's `__init__` has the package's own."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root / PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        found[name] = Module(name, path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    return found


def _imports(tree: ast.AST, *, is_lazy: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, each.name, is_lazy) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (Import(node.lineno, f"{base}.{each.name}", is_lazy) for each in node.names)
        yield from _imports(node, is_lazy=is_lazy or is_function)


def target(modules: Iterable[str], name: str) -> str | None:
    """The module of ours that an imported name leads to; None for other libraries."""
    top, _, rest = name.partition(".")
    if top != PACKAGE:
        return None
    while rest and rest not in modules:
        rest = rest.rpartition(".")[0]
    return rest


def edges(modules: dict[str, Module]) -> dict[tuple[str, str], int]:
    """Which module imports which, function imports included, with the line of the first such import."""
    found: dict[tuple[str, str], int] = {}
    for module in modules.values():
        for each in module.imports:
            other = target(modules, each.name)
            if other is not None and other != module.name:
                found.setdefault((module.name, other), each.line)
    return found


def circles(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or not."""
    graph: dict[str, set[str]] = {}
    for one, other in pairs:
        graph.setdefault(one, set()).add(other)
        graph.setdefault(other, set())
    reach = {node: _reachable(graph, node) for node in graph}
    groups = {tuple(sorted({node, *(each for each in reach[node] if node in reach[each])})) for node in graph}
    return sorted([*group] for group in groups if len(group) > 1)


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        for other in graph[todo.pop()] - found:
            found.add(other)
            todo.append(other)
    return found


def files_per_folder(modules: dict[str, Module]) -> Counter[str]:
    """How many Python files each folder has beside its `__init__`."""
    paths = (each.path for each in modules.values() if not each.path.endswith("/__init__.py"))
    return Counter(str(PurePosixPath(path).parent) for path in paths)


def lazy_imports(modules: dict[str, Module]) -> list[str]:
    """Imports inside functions, one place for each statement."""
    return sorted({f"{each.path}:{one.line}" for each in modules.values() for one in each.imports if one.is_lazy})


def function_lengths(modules: dict[str, Module]) -> list[tuple[int, str]]:
    """Lines of each function with its place, the longest first."""
    found = (
        ((each.end_lineno or each.lineno) - each.lineno + 1, f"{module.path}:{each.lineno} {each.name}")
        for module in modules.values()
        for each in module.functions()
    )
    return sorted(found, reverse=True)


def main() -> None:
    modules = read_modules()
    pairs = edges(modules)
    print(f"modules: {len(modules)}, lines: {sum(len(each.source.splitlines()) for each in modules.values())}")
    print("files per folder:", ", ".join(f"{name} {count}" for name, count in files_per_folder(modules).most_common()))
    print(f"import edges: {len(pairs)}, circles: {len(circles(pairs))}")
    print(f"imports in functions: {len(lazy_imports(modules))}")
    print(f"noqa: {sum(len(each.noqa_lines()) for each in modules.values())}")
    print("longest function: {} lines, {}".format(*function_lengths(modules)[0]))


if __name__ == "__main__":
    main()
