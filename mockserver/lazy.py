"""Modules that are imported when they are first used, so that start-up does not wait for them.

Where an import costs time and only some requests need it, or where it is an optional extra, a module says

    if TYPE_CHECKING:
        import yaml
    else:
        yaml = lazy_module("yaml")

The type checker, the linter and the architecture test see the import; the interpreter imports on the first access.
"""

from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def lazy_module(name: str) -> ModuleType:
    """A stand-in for the module of that full name. Each access reads the real module, so tests can patch it."""
    return _LazyModule(name)
