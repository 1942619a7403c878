"""Finds the entry points of installed distributions of one group.

importlib.metadata does the same, but takes ten milliseconds to import, at every start.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from mockserver.lazy import lazy_pattern

_FOLDERS = (".dist-info", ".egg-info")
_NAME = lazy_pattern(r"[-_.]+")
READ_BYTES = 16 * 1024


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
    # Names and not paths: an environment may have hundreds of distributions, and each Path takes longer than its file.
    found: dict[str, str] = {}
    for path in paths:
        with suppress(OSError):  # a path that is no folder
            names = os.listdir(path or os.curdir)  # noqa: PTH208  see above
            for name in sorted(each for each in names if each.endswith(_FOLDERS)):
                found.setdefault(_distribution(name.rpartition(".")[0]), f"{path or os.curdir}/{name}/entry_points.txt")
    return tuple(each for file in found.values() for each in _read(file, group))


def _distribution(stem: str) -> str:
    """The name of the distribution of a folder, as names are compared."""
    return _NAME.sub("-", stem.partition("-")[0]).lower()


def _read(path: str, group: str) -> Iterator[EntryPoint]:
    try:
        content = _content(path)
        text = content.decode() if group.encode() in content else ""
    except (OSError, UnicodeDecodeError):
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            module, _, attribute = value.partition("[")[0].partition(":")
            yield EntryPoint(name.strip(), module.strip(), attribute.strip())


def _content(path: str) -> bytes:
    """The bytes of a file; raises OSError. A file object would take three times as long."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(descriptor, READ_BYTES), b""))
    finally:
        os.close(descriptor)
