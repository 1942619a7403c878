"""Modules that are imported when they are first used, so that start-up does not wait for them.

Where an import costs time and only some requests need it, or where it is an optional extra, a module says

    if TYPE_CHECKING:
        import yaml
    else:
        yaml = lazy_module("yaml")

The type checker, the linter and the architecture test see the import; the interpreter imports on the first access.
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class _LazyModule(ModuleType):
    _module: ModuleType | None = None
    """The real one, once it was needed. It is kept: pytest's pytester takes modules out of sys.modules."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # pytest, inspect and doctest ask every object for such names
            raise AttributeError(name)
        if self._module is None:
            self._module = import_module(self.__name__)
        return getattr(self._module, name)


def lazy_module(name: str) -> ModuleType:
    """A stand-in for the module of that full name. Each access reads the real module, so tests can patch it."""
    return _LazyModule(name)


def lazy_function(find: Callable[[], Callable[P, R]]) -> Callable[P, R]:
    """The function that `find` returns at the first call: `lazy_function(lambda: pages.show)`."""
    found: Callable[P, R] | None = None

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal found
        if found is None:
            found = find()
        return found(*args, **kwargs)

    return call
