"""A browser, and a server with a sandbox, for the tests of the inspector."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from browser import open_page, running_browser
from inspected import Inspected, client_of
from store_servers import redis_server

from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings
from mockserver.web.inspector import live

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

START: dict[str, Any] = {
    "port": 0,
    "clock": "frozen@2026-04-12T00:00:00",
    "progression": "time:60",
    "callbacks": "inbox",
    "journal_size": 200_000,
}


@pytest.fixture(scope="module")
def short_pauses() -> Iterator[None]:
    """On a busy machine a rendering takes long, and the pause after it would be longer than tests wait for a page."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(live, "MOST_PAUSE", 5.0)
        yield


@pytest.fixture(scope="module")  # Playwright holds the event loop of its thread while it runs
def browser(short_pauses: None) -> "Iterator[Browser]":
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: "Browser", inspected: Inspected) -> "Iterator[Page]":
    """A page at desktop width. A console error, a violation of its policy or a foreign host fails the test."""
    with open_page(browser, inspected.url) as page:
        yield page


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedServer]:
    """A server whose clock stands."""
    with ThreadedServer(Settings(**START)) as server:
        yield server


@pytest.fixture
def inspected(server: ThreadedServer) -> Inspected:
    """The server without sandboxes, and a client of the sandbox `mine`."""
    return client_of(server)


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ThreadedServer, ThreadedServer]]:
    """Two servers with one store."""
    folder = tmp_path_factory.mktemp("store")
    store = redis_server().new_url() if request.param == "redis" else f"sqlite://{folder}/store.db"
    settings = Settings(**START, store=store)
    with ThreadedServer(settings) as one, ThreadedServer(settings) as other:
        yield one, other


@pytest.fixture
def replicas(servers: tuple[ThreadedServer, ThreadedServer]) -> tuple[Inspected, Inspected]:
    """A client of each of two servers, whose store has no sandboxes."""
    one, other = map(client_of, servers)
    return one, other
