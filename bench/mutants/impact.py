"""Order the test files by how likely each is to notice a change of a module: read from imports and names."""

import ast
import math
import re
import tomllib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PACKAGE = "mockserver"


class Impact:
    """The import graph of a checkout."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = dict(_module_files(root))
        self._modules = {path: name for name, path in self._files.items()}
        plugins = _entry_points(root)
        self._imports = {name: self._imported(path, plugins) for name, path in self._files.items()}
        self.tests = sorted((root / "tests").rglob("test_*.py"))
        self._weights = _weights({path: _words(path, self._case_files(path)) for path in self._modules})
        self._reached = {test: self._distances(self._modules[test]) for test in self.tests}

    def _case_files(self, path: Path) -> list[Path]:
        """The cases of a test file that reads them from YAML files: `tests/cases/` for `test_cases.py`."""
        return sorted((self._root / "tests" / path.stem.removeprefix("test_")).glob("*.yaml"))

    def ordered_tests(self, path: Path) -> list[Path]:
        """The test files that reach the module: first those that import it and speak of the same things."""
        module = self._modules[path]
        found = []
        for test in self.tests:
            distance = self._reached[test].get(module)
            if distance is not None:
                likeness = self._likeness(path, test) * (2 if distance == 1 else 1) + _shared_name(path, test)
                found.append((-likeness, str(test), test))
        return [test for _, _, test in sorted(found)]

    def _likeness(self, one: Path, other: Path) -> float:
        """From 0 to 1: the cosine of how often both files use each word, rare words weighing more."""
        first, second = self._weights[one], self._weights[other]
        return sum(weight * second[word] for word, weight in first.items() if word in second)

    def _distances(self, start: str) -> Mapping[str, int]:
        found, queue = {start: 0}, deque([start])
        while queue:
            name = queue.popleft()
            for other in self._imports[name]:
                if other not in found:
                    found[other] = found[name] + 1
                    queue.append(other)
        return found

    def _imported(self, path: Path, plugins: list[str]) -> list[str]:
        """Known modules that the file imports, names in a text (imports that are put off), or starts as a command."""
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        names = [*_imported_names(nodes), *sorted(text for text in texts if text in self._files)]
        if f"{PACKAGE}.settings.entry_points.entry_points" in names:
            names += plugins
        if PACKAGE in texts:
            names.append(f"{PACKAGE}.__main__")
        return list(dict.fromkeys(known for name in names for known in self._known(name)))

    def _known(self, name: str) -> Iterator[str]:
        """The module `a.b` for `a.b` and for `a.b.function`."""
        parts = name.split(".")
        for size in (len(parts), len(parts) - 1):
            if (known := ".".join(parts[:size])) in self._files:
                yield known
                return


def _module_files(root: Path) -> Iterator[tuple[str, Path]]:
    for base in (root / PACKAGE, root / "tests"):
        for path in sorted(base.rglob("*.py")):
            if base.name == PACKAGE:
                yield (
                    ".".join(part for part in path.relative_to(root).with_suffix("").parts if part != "__init__"),
                    path,
                )
            else:  # pytest puts the folder of each test file on the path, so a helper is known by its name
                yield path.stem if not path.stem.startswith("test_") else str(path.relative_to(root)), path


def _imported_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _entry_points(root: Path) -> list[str]:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project.get("entry-points", {}).values()
    return [target.partition(":")[0] for group in groups for target in group.values()]


def _words(path: Path, case_files: Iterable[Path]) -> Counter[str]:
    """How often the file uses each word, in its name and its cases, too; without plural endings."""
    texts = [file.read_text(encoding="utf-8") for file in (path, *case_files)]
    text = " ".join([path.stem, path.stem, *texts]).lower()
    return Counter(word.removesuffix("s") for word in re.findall(r"[a-z]{3,}", text))


def _weights(words: Mapping[Path, Mapping[str, int]]) -> Mapping[Path, Mapping[str, float]]:
    """By file the weights of its words: rare ones weigh more. The sum of the squares of a file's weights is 1."""
    spread = Counter(word for counts in words.values() for word in counts)
    rarity = {word: math.log(len(words) / count) for word, count in spread.items()}
    found = {}
    for path, counts in words.items():
        weights = {word: (1 + math.log(count)) * rarity[word] for word, count in counts.items()}
        length = math.hypot(*weights.values()) or 1
        found[path] = {word: weight / length for word, weight in weights.items()}
    return found


def _shared_name(module: Path, test: Path) -> float:
    """The part, from 0 to 1, of the words in the module's name that the test file's name has."""
    words = set(module.stem.split("_"))
    return len(words & set(test.stem.split("_"))) / len(words)
