"""Pools that lease fresh sandboxes to tests, and the environment variables that point at one."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Protocol
from urllib.parse import urlsplit

from mockserver.client.client import Client, SandboxClient
from mockserver.client.controls import sandbox_body
from mockserver.client.transport import AdminError, AsgiTransport, JsonObject
from mockserver.engine.engine import Engine
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.clock import ClockConfig
from mockserver.sandbox.manager import MAX_NAME
from mockserver.sandbox.record import SandboxOptions
from mockserver.settings.declarations import CREDENTIAL, declarations
from mockserver.settings.parse import read_clock, read_progression
from mockserver.settings.table import Settings
from mockserver.web.admin.views import unexpected
from mockserver.web.app import create_app

CLOCK, PROGRESSION = "frozen", "polls:2"
"""The initial clock and progression of a test's sandbox."""
RUN = "MOCKSERVER_RUN"
"""The environment variable with the run ID, for a server that several runs share."""
MAX_OTHER_SANDBOXES = 1000
"""How many recently used sandboxes are checked if a test's own received no request."""
LEASED_PREFIX = "test-"
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")


class LeasedSandbox(SandboxClient):
    """A sandbox leased to one test."""

    __slots__ = {
        "allows_unexpected": "Whether the test passes even with unexpected requests.",
        "lent_at": "How often the server's sandboxes had been used when it was lent: one with more was used since.",
    }

    def __init__(self, client: Client, name: str, *, lent_at: int = 0) -> None:
        super().__init__(client, name)
        self.allows_unexpected = False
        self.lent_at = lent_at

    def allow_unexpected(self) -> None:
        """Let the test pass even if it sends unexpected requests."""
        self.allows_unexpected = True

    def other_sandboxes_used(self) -> list[JsonObject]:
        """Sandboxes used since this one was leased that belong to no test; the latest first."""
        rows = self.client.sandboxes(limit=MAX_OTHER_SANDBOXES)
        return [row for row in rows if row["used"] > self.lent_at and row["requests"] and not _is_leased(row)]


class SandboxPool(Protocol):
    """Leases sandboxes to tests."""

    url: str
    client: Client

    def acquire(self, name: str, *, clock: str = CLOCK, progression: str = PROGRESSION) -> LeasedSandbox:
        """A new, pinned sandbox; an earlier one of that name is deleted."""
        ...

    def release(self, sandbox: LeasedSandbox) -> list[JsonObject]:
        """Delete it; returns a summary of its unexpected requests."""
        ...


class LocalPool:
    """A pool in this process. Its sandboxes are created and deleted without HTTP."""

    def __init__(self, engine: Engine, client: Client) -> None:
        self.engine = engine
        self.client = client
        self.url = client.url

    def acquire(self, name: str, *, clock: str = CLOCK, progression: str = PROGRESSION) -> LeasedSandbox:
        book = self.engine.sandboxes
        if book.named(name) is not None:
            book.delete(name)
        made = book.open(name, _sandbox_options(clock, progression))
        made.is_held = True
        return LeasedSandbox(self.client, name, lent_at=made.used)

    def release(self, sandbox: LeasedSandbox) -> list[JsonObject]:
        left = self.engine.sandboxes.delete(sandbox.name)
        if left is None:
            return []
        with left.transaction:
            return unexpected(left)


class RemotePool:
    """A pool on a running server. A sandbox costs one admin request to create and one to delete."""

    def __init__(self, url: str, admin_token: str | None = None, *, run: str | None = None) -> None:
        """`run` is a run ID that separates this run's sandboxes from others; None reads MOCKSERVER_RUN."""
        self.client = Client(url, admin_token)
        self.url = self.client.url
        self.run = os.environ.get(RUN, "") if run is None else run

    def acquire(self, name: str, *, clock: str = CLOCK, progression: str = PROGRESSION) -> LeasedSandbox:
        """As in any pool. Names contain the run ID; ids are those of the name without it."""
        marked = run_scoped_name(name, self.run)
        ids_of = name if self.run else None
        beginning = sandbox_body(name=marked, clock=clock, progression=progression, ids_of=ids_of) | {"hold": True}
        try:
            made = self.client.ask("POST /sandboxes", beginning)
        except AdminError as error:
            if error.status != 409:  # left behind by a run that was killed
                raise
            self.client.sandbox(marked).delete()
            made = self.client.ask("POST /sandboxes", beginning)
        return LeasedSandbox(self.client, marked, lent_at=made["used"])

    def release(self, sandbox: LeasedSandbox) -> list[JsonObject]:
        try:
            return list(sandbox.delete()["unexpected"])
        except AdminError as error:
            if error.status == 404:  # the test has deleted it
                return []
            raise


class SandboxApp(LocalPool):
    """The whole server, admin API included, as an ASGI app: for `httpx.ASGITransport`, or to be mounted.

    `app` is the Starlette application, which takes middleware and works with Starlette's TestClient.
    """

    def __init__(self, settings: Settings) -> None:
        self.app = create_app(settings)
        engine = self.app.engine
        transport = AsgiTransport(self.app)
        super().__init__(engine, Client("http://127.0.0.1", settings.admin_token or None, transport=transport))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def sandbox(self, name: str) -> SandboxClient:
        """The sandbox of that name; its admin calls are sent to the app."""
        return self.client.sandbox(name)


@contextmanager
def environment_for(sandbox: SandboxClient) -> Iterator[None]:
    """Points the environment at the sandbox and removes known keys of real accounts; restores it afterwards."""
    values = {**sandbox.base_urls, CREDENTIAL: sandbox.token}
    wanted: dict[str, str | None] = {name: values[what] for name, what in variables_set().items()}
    wanted |= dict.fromkeys(variables_removed())
    host = urlsplit(sandbox.base_url).hostname or ""
    for name in ("NO_PROXY", "no_proxy"):
        wanted[name] = ",".join(filter(None, (os.environ.get(name), host)))
    before = {name: os.environ.get(name) for name in wanted}
    _set_variable(wanted)
    try:
        yield
    finally:
        _set_variable(before)


def variables_set() -> Mapping[str, str]:
    """The variables a test's program finds its sandbox by, and what each holds: a base URL's name, or `token`."""
    return {name: what for each in declarations().values() for name, what in each.variables.items()}


def variables_removed() -> tuple[str, ...]:
    """The variables that would carry a real account into a test, or lead its requests elsewhere."""
    return tuple(name for each in declarations().values() for name in each.removed_variables)


def sandbox_name(test: str, worker: str = "") -> str:
    """A name for a test's sandbox: the same on every run, unique, and valid as a token in a header."""
    mark = blake2b(f"{worker}\0{test}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    words = [_UNSAFE.sub("-", part).strip("-")[-100:] for part in (worker, test)]
    return LEASED_PREFIX + "-".join([*filter(None, words), mark])


def _is_leased(row: JsonObject) -> bool:
    """Whether it belongs to a running test. A client of an earlier test may recreate that test's sandbox, which then is
    not pinned.
    """
    return bool(row["held"]) and str(row["name"]).startswith(LEASED_PREFIX)


def run_scoped_name(name: str, run: str) -> str:
    """The name with the run ID; without one the name itself."""
    if not run:
        return name
    mark = blake2b(f"{run}\0{name}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    word = _UNSAFE.sub("-", run).strip("-")[-40:]
    return (LEASED_PREFIX + "-".join(filter(None, ("run", word, mark, name))))[:MAX_NAME]


@lru_cache(maxsize=64)
def _sandbox_options(clock: str, progression: str) -> SandboxOptions:
    return SandboxOptions(ClockConfig(*read_clock(clock)), Progression(*read_progression(progression)))


def _set_variable(variables: Mapping[str, str | None]) -> None:
    """Sets variables that have a value, removes the others."""
    for name, value in variables.items():
        if value is not None:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
