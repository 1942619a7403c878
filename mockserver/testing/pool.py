"""Who lends fresh sandboxes to tests, in this process or elsewhere, and how a test's environment leads to one."""

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
from mockserver.sandbox.sandbox import SandboxOptions
from mockserver.settings.parse import read_clock, read_progression
from mockserver.settings.table import Settings
from mockserver.web.admin.views import unexpected
from mockserver.web.app import create_app

CLOCK, PROGRESSION = "frozen", "polls:2"
"""How the world of a test begins: it moves when the test, or the client under test, moves it."""
ENV_SET: Mapping[str, str] = {
    "OPENAI_BASE_URL": "openai_base_url",
    "OPENAI_API_BASE": "openai_base_url",
    "OPENAI_API_KEY": "token",
    "AGILECLOUD_BASE_URL": "openai_base_url",
    "AGILECLOUD_API_KEY": "token",
    "AGILECLOUD_TOKEN": "token",
    "AGENT_FIRST_BASE_URL": "base_url",
    "AGENT_FIRST_TOKEN": "token",
    "AGENT_FIRST_API_KEY": "token",
    "AGENTFIRST_BASE_URL": "base_url",
    "AGENTFIRST_TOKEN": "token",
    "AGENTFIRST_API_KEY": "token",
}
"""The variables a test's program finds its sandbox by, and what of the sandbox each holds."""
ENV_REMOVED = (
    "OPENAI_ADMIN_KEY",
    "OPENAI_ORG_ID",
    "OPENAI_ORGANIZATION",
    "OPENAI_PROJECT",
    "OPENAI_PROJECT_ID",
    "OPENAI_WEBHOOK_SECRET",
    "OPENAI_CUSTOM_HEADERS",
    "OPENAI_API_TYPE",
    "OPENAI_API_VERSION",
    "AZURE_OPENAI_API_KEY",
    "AZURE_OPENAI_AD_TOKEN",
    "AZURE_OPENAI_ENDPOINT",
)
"""What would carry a real account into a test, or lead its requests elsewhere."""
RUN = "MOCKSERVER_RUN"
"""The variable that holds the mark of a run on a server that others use at the same time."""
MAX_OTHER_SANDBOXES = 1000
"""Of the sandboxes used last, how many are looked at when a test's own saw no request."""
LEASED_PREFIX = "test-"
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")


class LeasedSandbox(SandboxClient):
    """A sandbox that is one test's own."""

    __slots__ = {
        "allows_unexpected": "Whether the test passes whatever was asked.",
        "lent_at": "How often the server's sandboxes had been used when it was lent: one with more was used since.",
    }

    def __init__(self, client: Client, name: str, *, lent_at: int = 0) -> None:
        super().__init__(client, name)
        self.allows_unexpected = False
        self.lent_at = lent_at

    def allow_unexpected(self) -> None:
        """Let the test pass whatever was asked."""
        self.allows_unexpected = True

    def other_sandboxes_used(self) -> list[JsonObject]:
        """The sandboxes that were asked since this one was lent, and that no test was lent; the latest first."""
        rows = self.client.sandboxes(limit=MAX_OTHER_SANDBOXES)
        return [row for row in rows if row["used"] > self.lent_at and row["requests"] and not _is_leased(row)]


class SandboxPool(Protocol):
    """Whoever has sandboxes to lend."""

    url: str
    client: Client

    def acquire(self, name: str, *, clock: str = CLOCK, progression: str = PROGRESSION) -> LeasedSandbox:
        """A new sandbox, held; nothing is left of an earlier one of that name."""
        ...

    def release(self, sandbox: LeasedSandbox) -> list[JsonObject]:
        """Forget it; the requests that no client can have meant, in short."""
        ...


class LocalPool:
    """A server of this process. Its sandboxes are made and forgotten without a request."""

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
    """A server that somebody else runs. A sandbox costs one admin request to make and one to forget."""

    def __init__(self, url: str, admin_token: str | None = None, *, run: str | None = None) -> None:
        """`run` is a mark that keeps this run's sandboxes from those of others; None is what MOCKSERVER_RUN says."""
        self.client = Client(url, admin_token)
        self.url = self.client.url
        self.run = os.environ.get(RUN, "") if run is None else run

    def acquire(self, name: str, *, clock: str = CLOCK, progression: str = PROGRESSION) -> LeasedSandbox:
        """As any host; under the run's mark, with the ids that the sandbox would give without one."""
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
        door = AsgiTransport(self.app)
        super().__init__(engine, Client("http://127.0.0.1", settings.admin_token or None, door=door))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    def sandbox(self, name: str) -> SandboxClient:
        """The sandbox of that name; its admin calls go into the app, too."""
        return self.client.sandbox(name)


@contextmanager
def environment_for(sandbox: SandboxClient) -> Iterator[None]:
    """The environment leads to the sandbox, and holds no other key that we know of; afterwards it is as it was."""
    wanted: dict[str, str | None] = {name: getattr(sandbox, what) for name, what in ENV_SET.items()}
    wanted |= dict.fromkeys(ENV_REMOVED)
    host = urlsplit(sandbox.base_url).hostname or ""
    for name in ("NO_PROXY", "no_proxy"):
        wanted[name] = ",".join(filter(None, (os.environ.get(name), host)))
    before = {name: os.environ.get(name) for name in wanted}
    _set_variable(wanted)
    try:
        yield
    finally:
        _set_variable(before)


def sandbox_name(test: str, worker: str = "") -> str:
    """A name for a test's sandbox: the same on every run, unlike any other test's, and a token fit for a header."""
    mark = blake2b(f"{worker}\0{test}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    words = [_UNSAFE.sub("-", part).strip("-")[-100:] for part in (worker, test)]
    return LEASED_PREFIX + "-".join([*filter(None, words), mark])


def _is_leased(row: JsonObject) -> bool:
    """Whether a test holds it. One of a test that has ended is made again by a stale client, and held by nobody."""
    return bool(row["held"]) and str(row["name"]).startswith(LEASED_PREFIX)


def run_scoped_name(name: str, run: str) -> str:
    """The name in the run with that mark, where no run with another one has it; without a mark as it is."""
    if not run:
        return name
    mark = blake2b(f"{run}\0{name}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    word = _UNSAFE.sub("-", run).strip("-")[-40:]
    return (LEASED_PREFIX + "-".join(filter(None, ("run", word, mark, name))))[:MAX_NAME]


@lru_cache(maxsize=64)
def _sandbox_options(clock: str, progression: str) -> SandboxOptions:
    return SandboxOptions(ClockConfig(*read_clock(clock)), Progression(*read_progression(progression)))


def _set_variable(variables: Mapping[str, str | None]) -> None:
    """Set those with a value, remove the others."""
    for name, value in variables.items():
        if value is not None:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
