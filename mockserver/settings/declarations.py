"""What a provider declares apart from its code: settings, addresses, variables for test kits.

Flags and variables are read before an engine is built, and a client has no engine at all. So this part of a provider
is `DECLARATION` in the module `settings` of its package (that of its entry point). The module must not import the
provider's handlers, and neither must the package's `__init__`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

from mockserver.settings.entry_points import EntryPoint, entry_points

PROVIDER_GROUP = "mockserver.providers"
DECLARATION = "DECLARATION"
CREDENTIAL = "token"
"""In place of a base URL's name: the variable has the sandbox's token."""
LISTENING, SERVING, BEHAVING, LIMITING = "listening", "what is served", "how it behaves", "limits and logging"
GROUPS = (LISTENING, SERVING, BEHAVING, LIMITING)


def setting(
    default: Any,
    help: str,
    *,
    group: str,
    metavar: str = "TEXT",
    choices: tuple[str, ...] = (),
    minimum: int = 1,
    maximum: int = 2**53,
    separator: str = os.pathsep,
    syntax: Callable[[str, str], object] | None = None,
    condition: str | bool = "",
) -> Any:
    """One row of the table: a default, a help text, the section of `--help`, and the valid values.

    `separator` separates the values of a repeatable setting in its variable. `syntax` reads a text (and the
    place it comes from), and raises SettingsError. A row with a `condition` (a sentence, or True for
    the help text) can be changed for one sandbox, too: it is a bool, or has choices.
    """
    condition = help if condition is True else condition
    facts = {"help": help, "group": group, "metavar": metavar, "choices": choices, "range": (minimum, maximum)}
    return field(default=default, metadata={**facts, "separator": separator, "syntax": syntax, "condition": condition})


def client_variables(base_url: str, *prefixes: str) -> dict[str, str]:
    """The variables `<prefix>_BASE_URL`, `_TOKEN` and `_API_KEY`, of each prefix that clients use."""
    names = {"BASE_URL": base_url, "TOKEN": CREDENTIAL, "API_KEY": CREDENTIAL}
    return {f"{prefix}_{name}": value for prefix in prefixes for name, value in names.items()}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Declaration:
    """What the core and the test kit know of a provider without importing its code."""

    settings: type | None = None
    """A frozen dataclass of rows, each made by `setting`. The rows become part of Settings."""
    base_paths: Mapping[str, str] = field(default_factory=dict)
    """Where its API begins, by the name of the base URL: `{"openai_base_url": "/v1"}`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that SDKs read, and the base URL that each holds, or CREDENTIAL."""
    removed_variables: tuple[str, ...] = ()
    """Variables that would carry a real account into a test, or lead its requests elsewhere."""
    index: tuple[tuple[str, str, str], ...] = ()
    """Lines of the page at the root: name, path, sentence."""


@cache
def declarations() -> Mapping[str, Declaration]:
    """The declarations of all installed providers, by the name of the entry point."""
    return {entry.name: found for entry in entry_points(PROVIDER_GROUP) for found in _declarations_of(entry)}


def _declarations_of(entry: EntryPoint) -> Iterator[Declaration]:
    name = _settings_module(entry.module)
    if name:
        found = getattr(import_module(name), DECLARATION, None)
        if isinstance(found, Declaration):
            yield found


def _settings_module(module: str) -> str:
    """The module `settings` of the package that holds a module; empty when there is none. Nothing is imported."""
    name, *steps = module.split(".")
    package, places, spec = "", None, find_spec(name)
    while spec is not None and spec.submodule_search_locations is not None:
        package, places = name, spec.submodule_search_locations
        if not steps:
            break
        name = f"{name}.{steps.pop(0)}"
        spec = PathFinder.find_spec(name, places)
    found = f"{package}.settings"
    return found if package and PathFinder.find_spec(found, places) else ""
