"""Testing without pytest: a server in a thread, an ASGI app, and a unittest case with a sandbox."""

import atexit
import sys
import unittest
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from mockserver.client.client import Client
from mockserver.client.transport import AdminError, JsonObject
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings
from mockserver.testing.pool import (
    CLOCK,
    PROGRESSION,
    LeasedSandbox,
    LocalPool,
    SandboxApp,
    SandboxPool,
    environment_for,
    sandbox_name,
)
from mockserver.text import format_dotted

MAX_EXCHANGES = 20
MAX_VIOLATIONS = 3
MAX_OTHER_SANDBOXES = 3


def frozen_settings(**changes: Any) -> Settings:
    """Settings for tests: a free port, a frozen clock, batches that progress with status requests."""
    return Settings(**{"port": 0, "clock": CLOCK, "progression": PROGRESSION, **changes})


def asgi_app(settings: Settings | None = None) -> SandboxApp:
    """The server without a socket: `httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=app.url)`."""
    return SandboxApp(settings or frozen_settings())


@contextmanager
def running_server(settings: Settings | None = None) -> Iterator[ThreadedServer]:
    """A server on a free port, running inside the block."""
    with ThreadedServer(settings or frozen_settings()) as server:
        yield server


@contextmanager
def running_pool(settings: Settings | None = None) -> Iterator[LocalPool]:
    """A server on a free port that leases sandboxes, running inside the block."""
    settings = settings or frozen_settings()
    with running_server(settings) as server, Client(server.url, settings.admin_token or None) as client:
        yield LocalPool(server.engine, client)


@contextmanager
def leased_sandbox(
    host: SandboxPool, name: str, *, clock: str = CLOCK, progression: str = PROGRESSION
) -> Iterator[LeasedSandbox]:
    """A fresh sandbox that the environment points at; raises UnexpectedRequests at its end, unless allowed."""
    sandbox = host.acquire(name, clock=clock, progression=progression)
    has_failed = True
    try:
        with environment_for(sandbox):
            yield sandbox
        has_failed = False
    finally:
        odd = host.release(sandbox)
        if odd and not (has_failed or sandbox.allows_unexpected):
            raise UnexpectedRequests(format_unexpected(odd))


class UnexpectedRequests(AssertionError):
    """The program under test sent requests that the documents do not allow."""


class SandboxTestCase(unittest.TestCase):
    """A `unittest` case whose tests each have a fresh `self.sandbox`; environment variables point at it.

    List it before `IsolatedAsyncioTestCase` among the bases. A failing test shows its requests.
    """

    sandbox: LeasedSandbox
    sandbox_host: SandboxPool | None = None
    """The pool; by default one server in this process, shared by all cases."""
    sandbox_clock = CLOCK
    sandbox_progression = PROGRESSION

    def setUp(self) -> None:
        super().setUp()
        host = self.sandbox_host or shared_pool()
        name = sandbox_name(self.id())
        self.sandbox = host.acquire(name, clock=self.sandbox_clock, progression=self.sandbox_progression)
        leading = ExitStack()
        leading.enter_context(environment_for(self.sandbox))
        self.addCleanup(self._give_back, host, leading)

    def _give_back(self, host: SandboxPool, leading: ExitStack) -> None:
        leading.close()
        has_failed = _has_failed(self)
        if has_failed:
            sys.stderr.write(f"\nrequests to the sandbox of {self.id()}:\n{format_journal(self.sandbox)}\n")
        odd = host.release(self.sandbox)
        if odd and not (has_failed or self.sandbox.allows_unexpected):
            raise UnexpectedRequests(format_unexpected(odd))


@cache
def shared_pool() -> LocalPool:
    """The server that all test cases of this process share; it stops with the process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(running_pool())


def journal_text(exchanges: list[JsonObject], *, dropped: int = 0) -> str:
    """Exchanges as text, one line each and one for each violation; newest last."""
    lines = [f"({dropped} earlier ones are not shown)"] if dropped else []
    for each in exchanges:
        asked, answered = each.get("request", each), each.get("response", each)
        why = f" {each['reason']}" if each["reason"] else ""
        source = f" [{answered['source']}]" if answered["source"] else ""
        path = asked["path"] + (f"?{asked['query']}" if asked.get("query") else "")
        lines.append(f"{each['number']:>4} {asked['method']} {path[:200]} -> {answered['status']}{why}{source}")
        told = each.get("detail", "")
        lines += [f"       {told}"] if told else []
        violations = each["violations"]
        lines += [f"       {format_dotted(one['location'])}: {one['message']}" for one in violations[:MAX_VIOLATIONS]]
        if len(violations) > MAX_VIOLATIONS:
            lines.append(f"       and {len(violations) - MAX_VIOLATIONS} more violations")
    return "\n".join(lines)


def format_journal(sandbox: LeasedSandbox, rows: int = MAX_EXCHANGES) -> str:
    """The latest requests of a sandbox as text, or which other sandboxes were used; or why they are not available."""
    try:
        latest = sandbox.latest(rows)
        if latest:
            return journal_text(latest, dropped=latest[0]["number"] - 1)
        return "\n".join(["no request came to this sandbox", *_other_sandboxes(sandbox)])
    except AdminError as error:
        return f"the journal cannot be read: {error}"


def format_unexpected(exchanges: list[JsonObject]) -> str:
    """The error message about unexpected requests."""
    return (
        "the program under test sent what the documented APIs do not know (allow_unexpected lets it pass):\n"
        + journal_text(exchanges)
    )


def _other_sandboxes(sandbox: LeasedSandbox) -> Iterator[str]:
    """Requests to sandboxes that belong to no test, e.g. of a client with another token."""
    asked = sandbox.other_sandboxes_used()
    if not asked:
        return
    yield "during this test requests came to sandboxes that no test was lent:"
    for row in asked[:MAX_OTHER_SANDBOXES]:
        yield f"  {row['name']!r}, {row['requests']} until now, the latest:"
        yield from (f"  {line}" for line in _latest_of(sandbox.client, row["name"]).splitlines())
    if len(asked) > MAX_OTHER_SANDBOXES:
        yield f"  and to {len(asked) - MAX_OTHER_SANDBOXES} more"
    yield "was the client built before the test, or with a token of its own?"


def _latest_of(client: Client, name: str) -> str:
    try:
        return journal_text(client.sandbox(name).latest(1))
    except ValueError:  # a name that this client cannot send
        return "     (not shown)"


def _has_failed(case: unittest.TestCase) -> bool:
    """Whether the result already has a failure; unittest records them, pytest does not."""
    result = getattr(getattr(case, "_outcome", None), "result", None)
    told = (*getattr(result, "failures", ()), *getattr(result, "errors", ()))
    return bool(getattr(result, "_excinfo", None)) or any(getattr(each, "test_case", each) is case for each, _ in told)
