"""Finds the entry points of installed distributions of one group.

importlib.metadata does the same, but takes ten milliseconds to import, at every start.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

_FOLDERS = (".dist-info", ".egg-info")
_NAME = re.compile(r"[-_.]+")


class EntryPoint(NamedTuple):
    """A name, and the object that it stands for."""

    name: str
    module: str
    attribute: str

    def load(self) -> Any:
        """The object."""
        found: Any = import_module(self.module)
        for name in filter(None, self.attribute.split(".")):
            found = getattr(found, name)
        return found


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """The entry points of the distributions on `sys.path`; of one that is there twice, those of the first."""
    return _entry_points(group, tuple(sys.path))


@lru_cache(maxsize=4)
def _entry_points(group: str, paths: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    found: dict[str, Path] = {}
    for path in paths:
        with suppress(OSError):  # a path that is no folder
            folders = (each for each in Path(path).iterdir() if each.name.endswith(_FOLDERS))
            for folder in sorted(folders, key=attrgetter("name")):  # comparing names is much faster than paths
                found.setdefault(_distribution(folder.stem), folder)
    return tuple(each for folder in found.values() for each in _read(folder / "entry_points.txt", group))


def _distribution(stem: str) -> str:
    """The name of the distribution of a folder, as names are compared."""
    return _NAME.sub("-", stem.partition("-")[0]).lower()


def _read(file: Path, group: str) -> Iterator[EntryPoint]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            module, _, attribute = value.partition("[")[0].partition(":")
            yield EntryPoint(name.strip(), module.strip(), attribute.strip())
