"""What a module says of its functions' arguments, of its values' defaults, and of what it imports."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mockserver.lazy import lazy_module

STAND_IN = lazy_module("stand-in")


def functions_of(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The functions and methods that a module defines, by qualified name; without those of protocols."""
    for value in vars(module).values():
        if getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isclass(value) and not getattr(value, "_is_protocol", False):
            for each in vars(value).values():
                found = getattr(each, "__func__", each)
                if inspect.isfunction(found) and found.__module__ == module.__name__:
                    yield found.__qualname__, found
        elif inspect.isfunction(inspect.unwrap(value)) if callable(value) else False:
            yield value.__qualname__, inspect.unwrap(value)


def arguments_by_place_only(module: ModuleType) -> list[str]:
    """The arguments that a caller cannot name: `function(argument)`."""
    return [
        f"{name}({parameter.name})"
        for name, function in functions_of(module)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_ONLY
    ]


def defaults_of_functions(module: ModuleType) -> dict[str, Any]:
    """The defaults of arguments that are numbers, or flags that are on: `{"function(argument)": 5}`."""
    return {
        f"{name}({parameter.name})": parameter.default
        for name, function in functions_of(module)
        for parameter in inspect.signature(function).parameters.values()
        if isinstance(parameter.default, bool | int | float) and parameter.default is not False
    }


def defaults_of_fields(kind: Any) -> dict[str, Any]:
    """The defaults of a record's or a named tuple's fields that are numbers or truth values."""
    if hasattr(kind, "__struct_defaults__"):
        names, known = kind.__struct_fields__, kind.__struct_defaults__
        given = dict(zip(names[len(names) - len(known) :], known, strict=True))
    else:
        given = kind._field_defaults
    return {name: value for name, value in given.items() if isinstance(value, bool | int | float)}


def imports_at_start(module: ModuleType) -> list[str]:
    """The names that a module imports although it says that only type checkers need them, or that they can wait."""
    found = []
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            imports = [each for each in (*node.body, *node.orelse) if isinstance(each, ast.Import | ast.ImportFrom)]
            names = {(alias.asname or alias.name).partition(".")[0] for each in imports for alias in each.names}
            found += [
                name for name in sorted(names) if not isinstance(vars(module).get(name, STAND_IN), type(STAND_IN))
            ]
    return found


def cache_sizes(module: ModuleType) -> dict[str, int | None]:
    """How many results the module's cached functions keep; None is all of them."""
    return {
        name: value.cache_parameters()["maxsize"]
        for name, value in vars(module).items()
        if hasattr(value, "cache_parameters") and value.__module__ == module.__name__
    }


def dataclass_options(kind: Any) -> dict[str, bool]:
    """What the decorator of a dataclass says, where it is not the default."""
    options, usual = kind.__dataclass_params__, {"init": True, "repr": True, "eq": True, "frozen": False}
    return {name: getattr(options, name) for name, value in usual.items() if getattr(options, name) is not value}
