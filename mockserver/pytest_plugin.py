"""The pytest plugin: `sandbox` is a fresh world for one test, `mockserver` the server that all tests share.

Fixtures:

- `sandbox`: a sandbox for one test (a `mockserver.testing.LeasedSandbox`). Its clock is frozen; a batch progresses each
  time its status is read. While the test runs, the environment variables that SDKs and clients read
  (as the providers declare them) lead to it, and other keys of real accounts are removed. The token
  names the sandbox: no header is needed. A `unittest.TestCase` that uses the fixture has it as `self.sandbox`.
- `make_sandbox`: a function that makes more of them, to which the environment does not lead.
- `mockserver`: the server (`.url`, `.client`), in a thread of this process, or the one of `--mockserver-url`.
- `mockserver_app`: a server without a socket, as an ASGI app, for `httpx.ASGITransport`.
- `mockserver_settings`: override it, with `scope="session"`, to start the server with other settings.

A test that sends what the documented APIs do not know (no such operation, or refused by the schema) fails at its end,
unless it is marked `mockserver(allow_unexpected=True)` or calls `sandbox.allow_unexpected()`. With the ini option
`mockserver_fail_on`, or the mark's `fail_on`, so does one whose verdict has findings. A test that fails shows the
latest requests of its sandboxes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

# Every run of pytest imports this module wherever mockserver is installed, so it imports little.
from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    import dataclasses
    import json
    import pathlib
    import re
    import unittest

    from mockserver import text
    from mockserver.client import report
    from mockserver.settings import load, table
    from mockserver.settings.table import Settings
    from mockserver.testing import contracts, pool
    from mockserver.testing import unittest as testing
    from mockserver.testing.pool import LeasedSandbox, SandboxApp, SandboxPool
else:
    dataclasses = lazy_module("dataclasses")
    json = lazy_module("json")
    pathlib = lazy_module("pathlib")
    re = lazy_module("re")
    unittest = lazy_module("unittest")
    text = lazy_module("mockserver.text")
    report = lazy_module("mockserver.client.report")
    table = lazy_module("mockserver.settings.table")
    load = lazy_module("mockserver.settings.load")
    contracts = lazy_module("mockserver.testing.contracts")
    pool = lazy_module("mockserver.testing.pool")
    testing = lazy_module("mockserver.testing.unittest")

MARKER = "mockserver(allow_unexpected=False, clock='frozen', progression='polls:2', scenario=None, fail_on='')"
INI = (
    ("mockserver_url", "A server that runs already, instead of one in this process.", ""),
    ("mockserver_admin_token", "That server's admin token.", ""),
    ("mockserver_config", "A config file (YAML) for the server in this process.", ""),
    ("mockserver_clock", "The initial clock of a test's sandbox (default: frozen).", "frozen"),
    ("mockserver_progression", "What makes its batches progress (default: polls:2).", "polls:2"),
    ("mockserver_journal", "How many requests a failing test shows (default: 20).", "20"),
    ("mockserver_fail_on", "Findings of this severity or worse fail a test: error, warning (default: off).", ""),
    ("mockserver_pact", "A folder for Pact files of what passing tests have sent (default: none are written).", ""),
    ("mockserver_consumer", "The name of the program under test in Pact files (default: the folder's name).", ""),
)
FLAGS = (
    ("--mockserver-url", "URL", "a server that runs already, instead of one in this process"),
    ("--mockserver-admin-token", "TOKEN", "that server's admin token"),
    ("--mockserver-pact", "FOLDER", "write Pact files of what passing tests have sent to this folder"),
    ("--mockserver-run", "ID", "a run ID, which keeps this run's sandboxes apart from those of others on that server"),
)
FAIL_ON = ("", "error", "warning")

_contracts = pytest.StashKey["contracts.ContractCollector"]()
_written = pytest.StashKey["list[str]"]()
_leased = pytest.StashKey["list[LeasedSandbox]"]()
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mockserver", "a sandbox for batch LLM APIs")
    for name, metavar, help_ in FLAGS:
        group.addoption(name, metavar=metavar, help=help_)
    for name, help_, default in INI:
        parser.addini(name, help_, default=default)
    parser.addini(
        "mockserver_allow_unexpected", "Allow requests that the documents do not define.", "bool", default=False
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> Generator[None]:
    """Rejects an unknown flag with our prefix, with the nearest name. pytest's own error has none."""
    yield  # conftest files may declare flags with the same prefix
    if any(each.startswith("--mock") for each in args):
        known = [name for name, _, _ in FLAGS]
        for each in parser.parse_known_and_unknown_args(args)[1]:
            flag = each.partition("=")[0]
            if flag.startswith("--mock") and (near := text.nearest(flag, known, by_beginning=False)):
                raise pytest.UsageError(f"unknown flag {flag}; did you mean {near}?")


def pytest_configure(config: pytest.Config) -> None:
    rows = str(config.getini("mockserver_journal"))
    if not (rows.isascii() and rows.isdigit()):
        raise pytest.UsageError(f"mockserver_journal is {rows!r}; wanted a whole number")
    fail_on = str(config.getini("mockserver_fail_on"))
    if fail_on not in FAIL_ON:
        raise pytest.UsageError(f"mockserver_fail_on is {fail_on!r}; wanted error, warning, or nothing")
    _check_options(config)
    config.addinivalue_line("markers", f"{MARKER}: the initial state of the test's `sandbox`, and what fails the test.")


def _check_options(config: pytest.Config) -> None:
    """Warns about unknown ini options with our prefix, with the nearest name. pytest's own warning has none."""
    known = [name for name, _, _ in INI] + ["mockserver_allow_unexpected"]
    for name in _stated_options(config):
        if name not in known and not _is_known(config, name):
            warning = pytest.PytestConfigWarning(f"unknown ini option {name}{text.did_you_mean(name, known)}")
            config.issue_config_time_warning(warning, stacklevel=2)


def _stated_options(config: pytest.Config) -> list[str]:
    """The ini options with our prefix: those of the file, and those of `-o`."""
    stated = [each.partition("=")[0].strip() for each in config.getoption("override_ini", None) or ()]
    if config.inipath is not None:
        content = config.inipath.read_text(encoding="utf-8", errors="replace")
        if "mockserver_" in content:
            stated += re.findall(r"(?m)^[ \t]*[\"']?(mockserver_\w+)[\"']?[ \t]*[=:]", content)
    return [name for name in dict.fromkeys(stated) if name.startswith("mockserver_")]


def _is_known(config: pytest.Config, name: str) -> bool:
    """Whether a plugin has declared the ini option."""
    try:
        config.getini(name)
    except (KeyError, ValueError):
        return False
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when != "teardown":
        item.stash[_failed] = True
        for sandbox in item.stash.get(_leased, ()):
            report.sections.append((f"requests to sandbox {sandbox.name}", _format_failure(item.config, sandbox)))
    return report


def _collector(config: pytest.Config) -> contracts.ContractCollector | None:
    """What collects the contracts of this process; None if no Pact files are wanted."""
    if not _option(config, "pact"):
        return None
    if _contracts not in config.stash:
        consumer = str(config.getini("mockserver_consumer")) or config.rootpath.name or "client"
        config.stash[_contracts] = contracts.ContractCollector(consumer)
    return config.stash[_contracts]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes the contracts of a worker of pytest-xdist."""
    collector = _collector(node.config)
    content = getattr(node, "workeroutput", {}).get("mockserver_contracts")
    if collector is not None and content:
        collector.add(json.loads(content))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the Pact files; a worker of pytest-xdist gives its contracts to the process that does."""
    config = session.config
    if _contracts not in config.stash:
        return
    collector = config.stash[_contracts]
    if hasattr(config, "workeroutput"):
        config.workeroutput["mockserver_contracts"] = json.dumps(collector.pacts)
        return
    folder = config.rootpath / pathlib.Path(_option(config, "pact"))
    try:
        written = collector.write(folder)
    except OSError as error:
        raise pytest.UsageError(f"--mockserver-pact is {str(folder)!r}, which cannot be written: {error}") from error
    config.stash[_written] = [str(each) for each in written]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for each in config.stash.get(_written, ()):
        terminalreporter.write_line(f"contract: {each}")


@pytest.fixture(scope="session")
def mockserver_settings(request: pytest.FixtureRequest) -> Settings:
    """The settings of the server in this process; override it, with `scope="session"`, to change them.

    They come from the ini options, else from variables (`MOCKSERVER_STRICT`, …), else from the file
    `mockserver_config`. Host and port are not read: the server always takes a free port.
    """
    config = request.config
    flags = {name: str(config.getini(f"mockserver_{name}")) for name in ("clock", "progression")}
    path = config.getini("mockserver_config")
    given = {"config": str(config.rootpath / path)} if path else {}
    names = [table.variable_of(name) for name, row in table.ROWS.items() if row.metadata["group"] != table.LISTENING]
    environ = {name: os.environ[name] for name in names if name in os.environ}
    return load.read_settings({**given, **flags, "port": "0"}, environ)[0]


@pytest.fixture(scope="session")
def mockserver(request: pytest.FixtureRequest) -> Iterator[SandboxPool]:
    """The server that all tests of this process share; one in this process takes a free port."""
    url, token = (_option(request.config, name) for name in ("url", "admin_token"))
    if url:
        remote = pool.RemotePool(url, token or None, run=request.config.getoption("mockserver_run"))
        yield remote
        remote.client.close()
    else:
        settings = request.getfixturevalue("mockserver_settings")
        with testing.running_pool(dataclasses.replace(settings, port=0, port_file="")) as host:
            yield host


@pytest.fixture(scope="session")
def mockserver_app(mockserver_settings: Settings) -> Iterator[SandboxApp]:
    """A server without a socket, as an ASGI app; `mockserver_app.sandbox(name)` controls its sandboxes."""
    app = testing.asgi_app(mockserver_settings)
    yield app
    app.client.close()


@pytest.fixture
def make_sandbox(request: pytest.FixtureRequest, mockserver: SandboxPool) -> Iterator[Callable[..., LeasedSandbox]]:
    """`make_sandbox()` creates another sandbox for this test; it takes `clock` and `progression`."""
    item: pytest.Item = request.node
    made = item.stash.setdefault(_leased, [])
    mark = _marker(item)
    item.stash[_failed] = False  # a test that is repeated starts again

    def make(*, clock: str | None = None, progression: str | None = None) -> LeasedSandbox:
        it = request.config
        sandbox = mockserver.acquire(
            _name(item, len(made)),
            clock=clock or mark.get("clock") or str(it.getini("mockserver_clock")),
            progression=progression or mark.get("progression") or str(it.getini("mockserver_progression")),
        )
        made.append(sandbox)
        if mark.get("scenario"):
            sandbox.scenario(mark["scenario"])
            if stated := progression or mark.get("progression"):
                sandbox.progression = stated  # the test's own arguments override the scenario
        return sandbox

    yield make
    has_failed = item.stash.get(_failed, False)
    if (collector := _collector(request.config)) is not None and not has_failed:
        for sandbox in made:
            collector.collect(sandbox)
    fail_on = "" if has_failed else mark.get("fail_on", request.config.getini("mockserver_fail_on"))
    verdicts = [_check_findings(sandbox, fail_on) for sandbox in made if fail_on]
    odd = [each for sandbox in made for each in _release(mockserver, sandbox)]
    made.clear()
    allowed = mark.get("allow_unexpected", request.config.getini("mockserver_allow_unexpected"))
    told = [testing.format_unexpected(odd)] if odd and not (allowed or has_failed) else []
    told += filter(None, verdicts)
    if told:
        pytest.fail("\n".join(told), pytrace=False)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, make_sandbox: Callable[..., LeasedSandbox]) -> Iterator[LeasedSandbox]:
    """A fresh sandbox that the environment points at."""
    fresh = make_sandbox()
    case = request.instance
    if case is not None and _is_unittest(case):
        case.sandbox = fresh
    with pool.environment_for(fresh):
        yield fresh


def _release(host: SandboxPool, sandbox: LeasedSandbox) -> list[dict[str, Any]]:
    odd = host.release(sandbox)
    return [] if sandbox.allows_unexpected else odd


def _check_findings(sandbox: LeasedSandbox, fail_on: str) -> str:
    """The findings of this severity or worse as text; empty if there is none. Costs one admin call."""
    return report.format_findings(sandbox.verdict(), fail_on)


def _format_failure(config: pytest.Config, sandbox: LeasedSandbox) -> str:
    return testing.format_journal(sandbox, int(config.getini("mockserver_journal")))


def _name(item: pytest.Item, number: int) -> str:
    more = f"#{number + 1}" if number else ""
    return pool.sandbox_name(item.nodeid + more, os.environ.get("PYTEST_XDIST_WORKER", ""))


def _marker(item: pytest.Item) -> dict[str, Any]:
    """The arguments of the test's nearest marker; raises UsageError for unknown ones."""
    known = {"allow_unexpected", "clock", "progression", "scenario", "fail_on"}
    said: dict[str, Any] = {}
    for mark in item.iter_markers("mockserver"):
        if mark.args or mark.kwargs.keys() - known:
            meant = "".join(text.did_you_mean(name, known) for name in list(mark.kwargs.keys() - known)[:1])
            raise pytest.UsageError(f"{item.nodeid}: the marker mockserver takes {MARKER}, by name{meant}")
        said = {**mark.kwargs, **said}
    if said.get("fail_on", "") not in FAIL_ON:
        raise pytest.UsageError(f"{item.nodeid}: fail_on is {said['fail_on']!r}; wanted 'error', 'warning', or ''")
    return said


def _option(config: pytest.Config, name: str) -> str:
    """The flag, else the ini option."""
    return config.getoption(f"mockserver_{name}") or str(config.getini(f"mockserver_{name}"))


def _is_unittest(case: object) -> bool:
    return "unittest" in sys.modules and isinstance(case, unittest.TestCase)
