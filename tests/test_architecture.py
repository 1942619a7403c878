"""The house keeps its own law: floors of imports, one home for each library, small files, data outside."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mockserver.sandbox.stubs.faults import FAULTS

HOUSE = Path(__file__).parents[1]
PACKAGE = "mockserver"

# From the ground up. A room may import from lower floors, and from itself. "" is the package, which knows its version.
FLOORS = (
    # "" is the package itself, which knows its version
    {
        "",
        "errors",
        "json_bodies",
        "log_format",
        "malloc",
        "messages",
        "redaction",
        "settings",
        "sources",
        "syntaxes",
        "text",
        "workers",
    },
    {"contract", "stores"},
    {"state"},
    {"provider"},
    {"outcomes"},
    {"engine", "providers", "review", "staging"},
    {"web", "listening", "loading", "checking"},
    {"kit", "protocol"},
    {"server", "client"},
    {"lending", "reporting"},
    {"testing"},
    {"cli", "pytest_plugin", "__main__"},
)
FLOOR = {room: n for n, rooms in enumerate(FLOORS) for room in rooms}
STRANGERS = {("contract", "state"), ("state", "contract")}
# Plain values may speak of each other; the main module opens the command line; what checks, and the app, also load.
NEIGHBOURS = {
    ("sources", "errors"),
    ("sources", "redaction"),
    ("sources", "text"),
    ("redaction", "text"),
    ("sources", "settings"),
    ("sources", "syntaxes"),
    ("syntaxes", "errors"),
    ("messages", "errors"),
    ("__main__", "cli"),
    ("checking", "loading"),
    ("web", "loading"),
}

HOMES = {
    "starlette": {"web"},
    "uvicorn": {"server", "protocol"},
    "jsonschema": {"contract.schema"},
    "jsonschema_rs": {"contract.schema", "contract.regex"},
    "yaml": {"contract", "sources"},
    "minijinja": {"providers.agilecloud_renderer"},
    "faker": {"contract.words", "contract.fabrication"},
}
# None is nobody.
CALL_HOMES: dict[str, str | None] = {
    "time.time": "state.clock",
    "time.time_ns": "state.clock",
    "uuid.uuid1": None,
    "uuid.uuid4": None,
    "os.urandom": None,
    "secrets.token_hex": None,
    "secrets.token_bytes": None,
    "secrets.token_urlsafe": None,
    "datetime.datetime.now": None,
    "datetime.datetime.utcnow": None,
    "datetime.datetime.today": None,
    "datetime.date.today": None,
}
SEEDED = {"random.Random"}

Check = Callable[[str, str], list[str]]


def room_of(module: str) -> str:
    """`web` for `web.app`, and for a module on the ground its own name."""
    return module.partition(".")[0]


def imports(source: str) -> Iterator[str]:
    """What is imported, anywhere in the source, as dotted names; a relative import begins with a dot."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            whole = "." * node.level + (node.module or "")
            yield from (f"{whole}.{each.name}" for each in node.names)


def climbing_imports(module: str, source: str) -> list[str]:
    room = room_of(module)
    broken = []
    for name in imports(source):
        top, _, rest = name.partition(".")
        other = room_of(rest) if room_of(rest) in FLOOR else ""
        if name.startswith(".") or (top == PACKAGE and not may_import(room, other)):
            broken.append(f"{module} imports {name}")
    return broken


def may_import(room: str, other: str) -> bool:
    if (room, other) in STRANGERS or room not in FLOOR:
        return False
    return room == other or FLOOR[other] < FLOOR[room] or other == "" or (room, other) in NEIGHBOURS


def homeless_libraries(module: str, source: str) -> list[str]:
    found = ((name, HOMES.get(name.partition(".")[0])) for name in imports(source))
    return [f"{module} imports {name}" for name, homes in found if homes and not {module, room_of(module)} & homes]


def homeless_calls(module: str, source: str) -> list[str]:
    """Uses of the wall clock and of chance outside their homes, by whatever name they were imported."""
    tree = ast.parse(source)
    names = dict(local_names(tree))
    broken = []
    for node in ast.walk(tree):
        name = dotted(node, names)
        if (name in CALL_HOMES and CALL_HOMES[name] != module) or (name.startswith("random.") and name not in SEEDED):
            broken.append(f"{module}:{getattr(node, 'lineno', 0)} uses {name}")
        elif isinstance(node, ast.Call) and dotted(node.func, names) in SEEDED and not node.args:
            broken.append(f"{module}:{node.lineno} calls {dotted(node.func, names)} without a seed")
    return broken


def local_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname or each.name, each.name) for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """`datetime.datetime.now` for `datetime.now` after `from datetime import datetime`; empty for other things."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def long_files(module: str, source: str) -> list[str]:
    lines = len(source.splitlines())
    return [f"{module} has {lines} lines"] if lines >= 400 else []


def unexplained_modules(module: str, source: str) -> list[str]:
    """A docstring opens with a sentence, which may go over two lines; the rest is for people to judge."""
    opening = (ast.get_docstring(ast.parse(source)) or "").split("\n\n")[0]
    is_sentence = opening.endswith(".") and len(opening.splitlines()) <= 2
    return [] if is_sentence else [f"{module} opens with {opening!r}"]


def misplaced_paths(paths: list[str]) -> list[str]:
    """Folders in folders, and data or code where it does not belong; paths are relative to the house."""
    return [path for path in paths if is_misplaced(Path(path))]


def is_misplaced(path: Path) -> bool:
    if path.parts[0] == PACKAGE:
        return len(path.parts) > 3 or path.suffix in {".yaml", ".yml"}
    return path.parts[0] == "fixtures" and path.suffix == ".py"


def sources() -> dict[str, str]:
    """Source by module name, relative to the package: `web.app`, and "" for the package itself."""
    found = {}
    for path in sorted((HOUSE / PACKAGE).rglob("*.py")):
        parts = path.relative_to(HOUSE / PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path.read_text(encoding="utf-8")
    return found


SOURCES = sources()


def test_the_house_is_found() -> None:
    assert {"", "contract.schema", "web.app", "engine", "settings"} <= SOURCES.keys()
    assert {room_of(module) for module in SOURCES} <= FLOOR.keys(), "every room has its floor"


@pytest.mark.parametrize(
    "check", [climbing_imports, homeless_libraries, homeless_calls, long_files, unexplained_modules]
)
def test_the_house_keeps_the_law(check: Check) -> None:
    assert [broken for module, source in SOURCES.items() for broken in check(module, source)] == []


def test_everything_lies_where_it_belongs() -> None:
    paths = [path for top in (PACKAGE, "fixtures") for path in (HOUSE / top).rglob("*") if path.is_file()]

    assert misplaced_paths([str(path.relative_to(HOUSE)) for path in paths if "__pycache__" not in path.parts]) == []


def named_faults(module: str, source: str) -> list[str]:
    """A fault is known by the table: whoever names one's class would have to change with it."""
    tree = ast.parse(source)
    kinds = {f"{PACKAGE}.state.faults.{kind.__name__}" for kind in FAULTS.values()}
    names = dict(local_names(tree))
    found = {dotted(node, names) for node in ast.walk(tree)} | set(names.values())
    return [f"{module} names {each}" for each in sorted(found & kinds)]


def test_a_new_fault_touches_only_the_room_of_faults() -> None:
    assert len(FAULTS) >= 10
    assert [broken for module, source in SOURCES.items() for broken in named_faults(module, source)] == []


@pytest.mark.parametrize(
    "source",
    [
        "from mockserver.sandbox.stubs.faults import Latency",
        "from mockserver.sandbox.stubs.faults import Latency as Slow\nSlow(1)",
        "from mockserver.state import faults\nfaults.Latency(1)",
    ],
)
def test_a_fault_that_is_named_elsewhere_is_found(source: str) -> None:
    assert named_faults("engine", source) == ["engine names mockserver.sandbox.stubs.faults.Latency"]
    assert named_faults("engine", "from mockserver.sandbox.stubs.faults import Fault, read_fault") == []


# The law can be broken: each of these must be found.


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("contract.spec", "from mockserver.sandbox.clock import Clock"),
        ("contract.spec", "from mockserver import engine"),
        ("contract.spec", "import mockserver.api.provider"),
        ("contract.spec", "from mockserver.stores import Store"),
        ("contract.spec", "def late():\n    from mockserver.web.app import create_app"),
        (
            "contract.spec",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mockserver.engine.engine import Engine",
        ),
        ("contract.spec", "from . import schema"),
        ("contract.spec", "from ..engine import Engine"),
        ("state.clock", "from mockserver.openapi.document import Spec"),
        ("state.clock", "from mockserver.api.provider import Call"),
        ("errors", "from mockserver.settings.table import Settings"),
        ("settings", "from mockserver.openapi.files import read_document"),
        ("engine", "from mockserver.providers.agentfirst.operations import api"),
        ("providers.agentfirst", "from mockserver.engine.engine import Engine"),
        ("loading", "from mockserver.web.app import create_app"),
        ("web.app", "from mockserver.server.process import serve"),
        ("client", "from mockserver.server.process import serve"),
        ("attic", "from mockserver.errors import Refusal"),
    ],
)
def test_an_import_that_climbs_is_found(module: str, source: str) -> None:
    assert len(climbing_imports(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("contract.spec", "from mockserver.openapi.schema import Schema\nfrom mockserver.errors import SpecError"),
        ("sources", "from mockserver.errors import SettingsError"),
        ("loading", "from mockserver.engine.engine import Engine\nfrom mockserver.stores import open_store"),
        ("server", "from mockserver.engine.build import load_engine\nfrom mockserver.web.app import create_app"),
        ("web.verbs", "from mockserver import __version__"),
        ("contract.spec", "import re\nfrom mockserver_like import engine"),
    ],
)
def test_an_import_that_goes_down_or_stays_is_lawful(module: str, source: str) -> None:
    assert climbing_imports(module, source) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine", "from starlette.requests import Request"),
        ("web.app", "import uvicorn"),
        ("contract.spec", "import jsonschema_rs"),
        ("contract.fixtures", "from jsonschema.validators import extend"),
        ("provider", "def late():\n    import yaml"),
        ("web.app", "import yaml.nodes"),
        ("contract.replies", "from faker import Faker"),
    ],
)
def test_a_library_away_from_home_is_found(module: str, source: str) -> None:
    assert len(homeless_libraries(module, source)) == 1


def test_a_library_at_home_is_lawful() -> None:
    homes = {"web.app": "starlette", "server": "uvicorn", "contract.schema": "jsonschema_rs", "sources": "yaml"}

    assert [homeless_libraries(module, f"import {library}") for module, library in homes.items()] == [[]] * 4


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine", "import time\ntime.time()"),
        ("engine", "import time\nwall = time.time"),
        ("engine", "from time import time as now\nnow()"),
        ("state.clock", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
        ("state.clock", "import datetime\ndatetime.datetime.now()"),
        ("state.clock", "from datetime import date\ndate.today()"),
        ("state.ids", "import uuid\nuuid.uuid4()"),
        ("state.ids", "from uuid import uuid4\nuuid4()"),
        ("state.ids", "import os\nos.urandom(4)"),
        ("contract.words", "import random\nrandom.choice([1])"),
        ("contract.words", "from random import choice\nchoice([1])"),
        ("contract.words", "from random import Random\nRandom()"),
        ("contract.words", "import random as dice\ndice.random()"),
        ("contract.words", "import random\nrandom.SystemRandom()"),
    ],
)
def test_chance_and_the_wall_clock_are_found(module: str, source: str) -> None:
    assert len(homeless_calls(module, source)) == 1


def test_the_clock_at_home_a_seeded_generator_and_other_names_are_lawful() -> None:
    assert homeless_calls("state.clock", "import time\ntime.time()") == []
    assert homeless_calls("contract.words", "from random import Random\nRandom(7).random()") == []
    assert homeless_calls("engine", "import time\ntime.monotonic()\nclock.now()\nself.random.choice()") == []


def test_a_long_file_is_found() -> None:
    assert long_files("engine", "\n" * 400) == ["engine has 400 lines"]
    assert long_files("engine", "\n" * 399) == []


@pytest.mark.parametrize("source", ["", "import os", '"""No end"""', '"""A\nB\nC."""'])
def test_a_module_that_does_not_open_with_one_sentence_is_found(source: str) -> None:
    assert len(unexplained_modules("engine", source)) == 1


def test_a_module_may_say_more_after_its_sentence() -> None:
    assert unexplained_modules("engine", '"""One request, start\nto finish.\n\nMore. And more.\n"""') == []


def test_what_lies_in_the_wrong_place_is_found() -> None:
    wrong = ["mockserver/a.yaml", "mockserver/web/a.yml", "mockserver/web/deep/a.py", "fixtures/agentfirst/a.py"]

    assert misplaced_paths([*wrong, "mockserver/web/app.py", "fixtures/agentfirst/a.yaml", "fixtures/b.json"]) == wrong
