"""The pytest plugin: `sandbox` is a fresh world for one test, `mockserver` the server that all tests share.

Fixtures:

- `sandbox`: a sandbox of the test's own (a `mockserver.lending.Lent`), its clock frozen, its batches ageing by being
  looked at. While the test runs, `OPENAI_BASE_URL`, `OPENAI_API_KEY`, `AGENT_FIRST_BASE_URL`, `AGENT_FIRST_TOKEN`,
  `AGILECLOUD_BASE_URL`, `AGILECLOUD_API_KEY` and their kin lead there, and other keys of real accounts are gone from
  the environment (`mockserver.lending.OURS` and `REMOVED` are the lists). The token names the sandbox: no header is
  needed. A `unittest.TestCase` that uses the fixture has it as `self.sandbox`.
- `make_sandbox`: a function that makes more of them, to which the environment does not lead.
- `mockserver`: the server (`.url`, `.client`), in a thread of this process, or the one of `--mockserver-url`.
- `mockserver_app`: a server without a socket, as an ASGI app, for `httpx.ASGITransport`.
- `mockserver_settings`: override it to start the server with other settings.

A test that sends what the documented APIs do not know (no such operation, or refused by the schema) fails at its end,
unless it is marked `mockserver(allow_unexpected=True)` or calls `sandbox.allow_unexpected()`. A test that fails shows
the latest requests of its sandboxes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mockserver.lending import Host, Lent, SandboxApp
    from mockserver.settings import Settings

# Every run of pytest imports this module wherever mockserver is installed: what fixtures need, they import.

MARKER = "mockserver(allow_unexpected=False, clock='frozen', progression='polls:2', scenario=None)"
INI = (
    ("mockserver_url", "A server that runs already, instead of one in this process.", ""),
    ("mockserver_admin_token", "That server's admin token.", ""),
    ("mockserver_config", "A config file (YAML) for the server in this process.", ""),
    ("mockserver_clock", "How the clock of a test's sandbox begins (default: frozen).", "frozen"),
    ("mockserver_progression", "What its batches age by (default: polls:2).", "polls:2"),
    ("mockserver_journal", "How many requests a failing test shows (default: 20).", "20"),
)

_lent = pytest.StashKey["list[Lent]"]()
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mockserver", "a sandbox for batch LLM APIs")
    group.addoption("--mockserver-url", metavar="URL", help="use the server that runs there (its admin API, too)")
    group.addoption("--mockserver-admin-token", metavar="TOKEN", help="that server's admin token")
    group.addoption(
        "--mockserver-run", metavar="MARK", help="what keeps this run's sandboxes from those of others on that server"
    )
    for name, help_, default in INI:
        parser.addini(name, help_, default=default)
    parser.addini(
        "mockserver_allow_unexpected", "Whether requests may be of a kind the APIs do not know.", "bool", default=False
    )


def pytest_configure(config: pytest.Config) -> None:
    rows = str(config.getini("mockserver_journal"))
    if not (rows.isascii() and rows.isdigit()):
        raise pytest.UsageError(f"mockserver_journal is {rows!r}; wanted a whole number")
    config.addinivalue_line("markers", f"{MARKER}: how the test's `sandbox` begins, and what it forgives.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and report.when != "teardown":
        item.stash[_failed] = True
        for sandbox in item.stash.get(_lent, ()):
            report.sections.append((f"requests to sandbox {sandbox.name}", _told(item.config, sandbox)))
    return report


@pytest.fixture(scope="session")
def mockserver_settings(request: pytest.FixtureRequest) -> Settings:
    """The settings of the server in this process; override it to change them."""
    from mockserver.sources import read_settings

    config = request.config
    flags = {name: str(config.getini(f"mockserver_{name}")) for name in ("clock", "progression")}
    path = config.getini("mockserver_config")
    given = {"config": str(config.rootpath / path)} if path else {}
    return read_settings({**given, **flags, "port": "0"}, {})[0]


@pytest.fixture(scope="session")
def mockserver(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The server that all tests of this process share."""
    from mockserver.testing import RemoteHost, hosting

    url, token = (_option(request.config, name) for name in ("url", "admin_token"))
    if url:
        remote = RemoteHost(url, token or None, run=request.config.getoption("mockserver_run"))
        yield remote
        remote.client.close()
    else:
        with hosting(request.getfixturevalue("mockserver_settings")) as host:
            yield host


@pytest.fixture(scope="session")
def mockserver_app(mockserver_settings: Settings) -> Iterator[SandboxApp]:
    """A server without a socket, as an ASGI app; `mockserver_app.sandbox(name)` turns its knobs."""
    from mockserver.testing import asgi_app

    app = asgi_app(mockserver_settings)
    yield app
    app.client.close()


@pytest.fixture
def make_sandbox(request: pytest.FixtureRequest, mockserver: Host) -> Iterator[Callable[..., Lent]]:
    """`make_sandbox()` is another sandbox of this test: it takes `clock` and `progression`."""
    from mockserver.testing import told_unexpected

    item: pytest.Item = request.node
    made = item.stash.setdefault(_lent, [])
    mark = _marked(item)
    item.stash[_failed] = False  # a test that is run again begins anew

    def make(*, clock: str | None = None, progression: str | None = None) -> Lent:
        it = request.config
        sandbox = mockserver.lend(
            _name(item, len(made)),
            clock=clock or mark.get("clock") or str(it.getini("mockserver_clock")),
            progression=progression or mark.get("progression") or str(it.getini("mockserver_progression")),
        )
        made.append(sandbox)
        if mark.get("scenario"):
            sandbox.scenario(mark["scenario"])
        return sandbox

    yield make
    odd = [each for sandbox in made for each in _taken_back(mockserver, sandbox)]
    made.clear()
    allowed = mark.get("allow_unexpected", request.config.getini("mockserver_allow_unexpected"))
    if odd and not (allowed or item.stash.get(_failed, False)):
        pytest.fail(told_unexpected(odd), pytrace=False)


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, make_sandbox: Callable[..., Lent]) -> Iterator[Lent]:
    """A fresh sandbox, which the environment leads to."""
    from mockserver.lending import pointed_at

    fresh = make_sandbox()
    case = request.instance
    if case is not None and _is_unittest(case):
        case.sandbox = fresh
    with pointed_at(fresh):
        yield fresh


def _taken_back(host: Host, sandbox: Lent) -> list[dict[str, Any]]:
    odd = host.take_back(sandbox)
    return [] if sandbox.allows_unexpected else odd


def _told(config: pytest.Config, sandbox: Lent) -> str:
    from mockserver.testing import told_journal

    return told_journal(sandbox, int(config.getini("mockserver_journal")))


def _name(item: pytest.Item, number: int) -> str:
    from mockserver.lending import sandbox_name

    more = f"#{number + 1}" if number else ""
    return sandbox_name(item.nodeid + more, os.environ.get("PYTEST_XDIST_WORKER", ""))


def _marked(item: pytest.Item) -> dict[str, Any]:
    """What the test's marker says, the nearest one counting; raises UsageError for what it cannot say."""
    known = {"allow_unexpected", "clock", "progression", "scenario"}
    said: dict[str, Any] = {}
    for mark in item.iter_markers("mockserver"):
        if mark.args or mark.kwargs.keys() - known:
            raise pytest.UsageError(f"{item.nodeid}: the marker mockserver takes {MARKER}, by name")
        said = {**mark.kwargs, **said}
    return said


def _option(config: pytest.Config, name: str) -> str:
    """The flag, else the ini option."""
    return config.getoption(f"mockserver_{name}") or str(config.getini(f"mockserver_{name}"))


def _is_unittest(case: object) -> bool:
    import unittest

    return isinstance(case, unittest.TestCase)
