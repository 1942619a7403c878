"""Modules that are imported when they are first used, so that start-up does not wait for them.

Where an import costs time and only some requests need it, or where it is an optional extra, a module says

    if TYPE_CHECKING:
        import yaml
    else:
        yaml = lazy_module("yaml")

The type checker, the linter and the architecture test see the import; the interpreter imports on the first access.

Regular expressions are compiled at their first use, too: a start needs few of them.
"""

import re
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, AnyStr, ParamSpec, TypeVar, cast

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


class _LazyPattern:
    def __init__(self, text: str | bytes, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)
        if not name.startswith("_"):
            setattr(self, name, found)  # the next access is as fast as that of the pattern
        return found


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """A stand-in for the regular expression, which is compiled when it is first used."""
    return cast("re.Pattern[AnyStr]", _LazyPattern(text, flags))
