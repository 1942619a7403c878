"""The structure that DESIGN promises: layers of imports, no circles, one home per library, a core without vendors."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structure import (
    PACKAGE,
    ROOT,
    Module,
    circles,
    edges,
    files_per_folder,
    function_lengths,
    lazy_imports,
    read_modules,
)

from mockserver.sandbox.stubs.faults import FAULTS

# From the bottom up; "" is the package itself, which knows its version. A module imports from lower layers and from
# its own package.
LAYERS = (
    {"", "lazy", "records"},  # "" is the package itself, which knows its version
    {"errors", "http", "text", "redaction", "json_bodies", "workers", "malloc", "percent"},
    {"settings", "openapi", "command_line"},
    {"fixtures", "stores"},
    {"sandbox"},
    {"api"},
    {"engine", "providers", "verify"},
    {"web", "client"},
    {"server"},
    {"contract"},  # its commands start servers, and its proxy is one of web's applications
    {"testing"},
    {"cli", "pytest_plugin"},
    {"__main__"},
)
LAYER = {package: number for number, packages in enumerate(LAYERS) for package in packages}
FORBIDDEN = {("openapi", "sandbox"), ("sandbox", "openapi"), ("providers", "engine")}
CLIENT_MAY_IMPORT = {*LAYERS[0], *LAYERS[1], "settings", "client"}
CLIENT_MODULES = {"verify.reports"}

HOMES = {
    # All but the first for the types of ASGI.
    "starlette": {"web", "contract.passing", "contract.proxy", "contract.callbacks.relay"},
    "uvicorn": {"server"},
    "jsonschema": {"openapi.schema"},
    "jsonschema_rs": {"openapi.schema", "openapi.regex"},  # the second for its regular expressions, linear in time
    "yaml": {"openapi.yaml_values", "settings.load"},
    "faker": {"openapi.generate"},
    "jsonpath_rfc9535": {"openapi.loading.overlay"},
    "aiohttp": {"contract.upstream"},
    "yarl": {"contract.upstream"},  # of aiohttp
    "redis": {"stores.redis"},
    "prometheus_client": {"web.metrics"},
    "sqlite3": {"stores.sqlite"},
    "minijinja": {"fixtures.templates", "providers.agilecloud.prompts", "web.inspector.render"},
}
CALL_HOMES: dict[str, str | None] = {  # None: nowhere
    "time.time": "sandbox.clock",
    "time.time_ns": "sandbox.clock",
    "uuid.uuid1": None,
    "uuid.uuid4": None,
    "os.urandom": None,
    "secrets.token_hex": "contract.callbacks.addresses",  # addresses that a live API may call; in no answer of ours
    "secrets.token_bytes": None,
    "secrets.token_urlsafe": None,
    "datetime.datetime.now": None,
    "datetime.datetime.utcnow": None,
    "datetime.datetime.today": None,
    "datetime.date.today": None,
}
SEEDED = {"random.Random"}
VENDOR = re.compile(r"agent[ _-]?first|agile[ _-]?cloud|openai(?!_base_url)", re.I)
VENDOR_PACKAGES = {"providers", "testing", "pytest_plugin"}
MAX_FILES, MAX_LINES, MAX_FUNCTION = 15, 400, 60
MAX_LAZY, MAX_NOQA = 59, 102
"""Today's numbers of imports in functions and of `noqa`; they only shrink, to 25 and 40."""

# What is not yet as it should be. The list only shrinks: an entry that is mended has to go.
EXCEPTIONS: frozenset[str] = frozenset({})

MODULES = read_modules()


def layer_violations(module: Module) -> list[str]:
    found = []
    for each in module.imports:
        top, _, rest = each.name.partition(".")
        other = rest.partition(".")[0] if rest.partition(".")[0] in LAYER else ""
        is_relative = each.name.startswith(".")
        if is_relative or (top == PACKAGE and not may_import(module.package, other, rest)):
            found.append(f"{module.name} imports {each.name}")
    return found


def may_import(package: str, other: str, rest: str) -> bool:
    """Whether a module of `package` may import `rest`, a dotted name in the package `other`."""
    if package not in LAYER or (package, other) in FORBIDDEN:
        return False
    if package == "client" and other not in CLIENT_MAY_IMPORT:
        return ".".join(rest.split(".")[:2]) in CLIENT_MODULES
    return package == other or LAYER[other] < LAYER[package] or LAYER[other] == LAYER[package] == 0


def provider_violations(module: Module) -> list[str]:
    """Imports of one provider by another, or by the core: providers are found by their entry points."""
    own = ".".join(module.name.split(".")[:2]) if module.package == "providers" else ""
    names = (each.name.removeprefix(f"{PACKAGE}.") for each in module.imports if each.name.startswith(f"{PACKAGE}."))
    foreign = (name for name in names if name.startswith("providers.") and not f"{name}.".startswith(f"{own or '-'}."))
    return [f"{module.name} imports {name}" for name in foreign]


def homeless_libraries(module: Module) -> list[str]:
    found = ((each.name, HOMES.get(each.name.partition(".")[0])) for each in module.imports)
    return [
        f"{module.name} imports {name}"
        for name, homes in found
        if homes and not any(f"{module.name}.".startswith(f"{home}.") for home in homes)
    ]


def homeless_calls(module: Module) -> list[str]:
    """Uses of the wall clock and of chance outside their homes, by any name they were imported as."""
    names = dict(local_names(module.tree))
    found = []
    for node in ast.walk(module.tree):
        name = dotted(node, names)
        if (name in CALL_HOMES and CALL_HOMES[name] != module.name) or (
            name.startswith("random.") and name not in SEEDED
        ):
            found.append(f"{module.name}:{getattr(node, 'lineno', 0)} uses {name}")
        elif isinstance(node, ast.Call) and dotted(node.func, names) in SEEDED and not node.args:
            found.append(f"{module.name}:{node.lineno} calls {dotted(node.func, names)} without a seed")
    return found


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


def vendor_names(module: Module) -> list[str]:
    """Vendors named in the core's code; docstrings and comments may give them as examples, and help texts too."""
    if module.package in VENDOR_PACKAGES:
        return []
    docstrings = {
        id(node.value) for node in ast.walk(module.tree) if isinstance(node, ast.Expr) and is_text(node.value)
    }
    found = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant):
            words = [node.value] if is_text(node) and id(node) not in docstrings and module.package != "cli" else []
        else:
            words = [getattr(node, field, None) for field in ("id", "attr", "arg", "name", "asname", "module")]
        found += [word for word in words if isinstance(word, str) and VENDOR.search(word)]
    return [f"names vendors: {module.path}"] if found else []


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def long_files(module: Module) -> list[str]:
    lines = len(module.source.splitlines())
    return [f"{module.name} has {lines} lines"] if lines > MAX_LINES else []


def unexplained_modules(module: Module) -> list[str]:
    """Modules whose docstring does not open with a sentence of one or two lines."""
    opening = (ast.get_docstring(module.tree) or "").split("\n\n")[0]
    is_sentence = opening.endswith(".") and len(opening.splitlines()) <= 2
    return [] if is_sentence else [f"{module.name} opens with {opening!r}"]


def fault_names(module: Module) -> list[str]:
    """Faults named outside their module: a new one must not need a change elsewhere."""
    kinds = {f"{PACKAGE}.sandbox.stubs.faults.{kind.__name__}" for kind in FAULTS.values()}
    names = dict(local_names(module.tree))
    found = {dotted(node, names) for node in ast.walk(module.tree)} | set(names.values())
    return [f"{module.name} names {each}" for each in sorted(found & kinds)]


Check = Callable[[Module], list[str]]
CHECKS: tuple[Check, ...] = (
    layer_violations,
    provider_violations,
    homeless_libraries,
    homeless_calls,
    vendor_names,
    long_files,
    unexplained_modules,
    fault_names,
)


def test_every_package_has_a_layer() -> None:
    assert {"", "openapi.schema", "web.app", "engine.engine", "settings.table"} <= MODULES.keys()
    assert {module.package for module in MODULES.values()} <= LAYER.keys()


@pytest.mark.parametrize("check", CHECKS)
def test_the_source_has_the_documented_structure(check: Check) -> None:
    assert [problem for module in MODULES.values() for problem in check(module) if problem not in EXCEPTIONS] == []


def test_there_are_no_import_cycles() -> None:
    assert [each for each in map(", ".join, circles(edges(MODULES))) if each not in EXCEPTIONS] == []


def test_every_listed_exception_is_still_needed() -> None:
    found = {problem for module in MODULES.values() for check in CHECKS for problem in check(module)}
    found |= {*map(", ".join, circles(edges(MODULES))), *long_functions()}

    assert sorted(EXCEPTIONS - found) == []


def long_functions() -> list[str]:
    return [re.sub(r":\d+", "", place) for lines, place in function_lengths(MODULES) if lines > MAX_FUNCTION]


def test_folders_and_functions_stay_small() -> None:
    assert {folder: count for folder, count in files_per_folder(MODULES).items() if count > MAX_FILES} == {}
    assert [each for each in long_functions() if each not in EXCEPTIONS] == []


def test_lazy_imports_and_waivers_are_few() -> None:
    assert len(lazy_imports(MODULES)) <= MAX_LAZY
    waivers = [f"{module.path}:{line}" for module in MODULES.values() for line in module.noqa_lines()]
    assert len(waivers) <= MAX_NOQA, waivers


def test_data_and_code_lie_apart() -> None:
    code = [path for path in (ROOT / PACKAGE).rglob("*") if path.suffix in {".yaml", ".yml"}]
    data = list((ROOT / "fixtures").rglob("*.py"))

    assert [str(path.relative_to(ROOT)) for path in (*code, *data) if "_data" not in path.parts] == []


# The checks can fail: each of these must be found.


def module_of(name: str, source: str) -> Module:
    return Module(name, f"mockserver/{name.replace('.', '/')}.py", source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("openapi.document", "from mockserver.sandbox.clock import Clock"),
        ("openapi.document", "from mockserver import engine"),
        ("openapi.document", "import mockserver.api.provider"),
        ("openapi.document", "def late():\n    from mockserver.web.app import build_app"),
        (
            "openapi.document",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import mockserver.engine.engine",
        ),
        ("openapi.document", "from . import schema"),
        ("sandbox.clock", "from mockserver.openapi.document import OpenApiDocument"),
        ("sandbox.clock", "from mockserver.api.provider import Call"),
        ("errors", "from mockserver.settings import Settings"),
        ("engine.engine", "from mockserver.web.app import build_app"),
        ("providers.agentfirst.pages", "from mockserver.engine.engine import Engine"),
        ("web.app", "from mockserver.server.process import serve"),
        ("client.client", "from mockserver.sandbox.callbacks import Callback"),
        ("client.client", "from mockserver.verify.verdict import CHECKS"),
        ("attic", "from mockserver.errors import Refusal"),
    ],
)
def test_an_import_from_a_higher_layer_is_found(name: str, source: str) -> None:
    assert len(layer_violations(module_of(name, source))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("openapi.document", "from mockserver.openapi.schema import Schema\nfrom mockserver.errors import SpecError"),
        ("engine.build", "from mockserver.engine.engine import Engine\nfrom mockserver.stores import Store"),
        ("server.process", "from mockserver.web.app import build_app"),
        ("client.report", "from mockserver.verify.reports import junit"),
        ("web.admin.routes", "from mockserver import __version__"),
        ("openapi.document", "import re\nfrom mockserver_like import engine"),
    ],
)
def test_an_import_from_a_lower_layer_is_allowed(name: str, source: str) -> None:
    assert layer_violations(module_of(name, source)) == []


def test_a_provider_that_is_imported_from_elsewhere_is_found() -> None:
    source = "from mockserver.providers.agilecloud.models import Model"

    assert [
        len(provider_violations(module_of(name, source)))
        for name in ("engine.engine", "providers.agentfirst.pages", "providers.agilecloud.files")
    ] == [1, 1, 0]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("engine.engine", "from starlette.requests import Request"),
        ("web.app", "import uvicorn"),
        ("openapi.document", "import jsonschema_rs"),
        ("fixtures.files", "from jsonschema.validators import extend"),
        ("api.provider", "def late():\n    import yaml"),
        ("openapi.responses", "from faker import Faker"),
    ],
)
def test_a_library_imported_outside_its_home_is_found(name: str, source: str) -> None:
    assert len(homeless_libraries(module_of(name, source))) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("engine.engine", "import time\ntime.time()"),
        ("engine.engine", "import time\nwall = time.time"),
        ("engine.engine", "from time import time as now\nnow()"),
        ("sandbox.clock", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
        ("sandbox.clock", "import datetime\ndatetime.datetime.now()"),
        ("sandbox.ids", "import uuid\nuuid.uuid4()"),
        ("sandbox.ids", "from uuid import uuid4\nuuid4()"),
        ("openapi.generate.words", "import random\nrandom.choice([1])"),
        ("openapi.generate.words", "from random import Random\nRandom()"),
        ("openapi.generate.words", "import random\nrandom.SystemRandom()"),
    ],
)
def test_unseeded_randomness_and_the_wall_clock_are_found(name: str, source: str) -> None:
    assert len(homeless_calls(module_of(name, source))) == 1


def test_the_wall_clock_in_its_home_and_seeded_generators_are_allowed() -> None:
    assert homeless_calls(module_of("sandbox.clock", "import time\ntime.time()")) == []
    assert homeless_calls(module_of("openapi.generate.words", "from random import Random\nRandom(7).random()")) == []


@pytest.mark.parametrize(
    "source", ["KIND = 'agentfirst'", "import agilecloud_like", "settings.openai_profile", "def ask_agent_first(): ..."]
)
def test_a_vendor_in_the_core_is_found(source: str) -> None:
    assert vendor_names(module_of("engine.engine", source)) != [] or "import" in source
    assert vendor_names(module_of("providers.agentfirst.pages", source)) == []


def test_a_vendor_may_be_an_example_in_a_docstring() -> None:
    assert vendor_names(module_of("engine.engine", '"""Such as OpenAI\'s."""\nurl = sandbox.openai_base_url')) == []


@pytest.mark.parametrize(
    "source",
    [
        "from mockserver.sandbox.stubs.faults import Latency",
        "from mockserver.sandbox.stubs.faults import Latency as Slow\nSlow(1)",
        "from mockserver.sandbox.stubs import faults\nfaults.Latency(1)",
    ],
)
def test_a_fault_class_named_in_another_module_is_found(source: str) -> None:
    assert len(FAULTS) >= 10
    assert fault_names(module_of("engine.engine", source)) == [
        "engine.engine names mockserver.sandbox.stubs.faults.Latency"
    ]


def test_an_import_cycle_through_a_function_is_found() -> None:
    one = module_of("web.app", "def late():\n    import mockserver.web.index")
    other = module_of("web.index", "import mockserver.web.app")

    assert circles(edges({each.name: each for each in (one, other)})) == [["web.app", "web.index"]]


def test_a_module_that_does_not_open_with_a_sentence_is_found() -> None:
    sources = ["", "import os", '"""No end"""', '"""A\nB\nC."""', '"""One sentence.\n\nMore.\n"""']

    assert [len(unexplained_modules(module_of("engine.engine", source))) for source in sources] == [1, 1, 1, 1, 0]


def test_a_long_file_is_found() -> None:
    assert long_files(module_of("engine.engine", "\n" * 401)) == ["engine.engine has 401 lines"]
    assert long_files(module_of("engine.engine", "\n" * 400)) == []


def test_the_figures_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from structure import main

    main()

    assert "circles: " in capsys.readouterr().out
    assert Path(ROOT / "tests/support/structure.py").is_file()
