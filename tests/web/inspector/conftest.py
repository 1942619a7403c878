"""A browser, and a server with a sandbox, for the tests of the inspector."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from browser import DESKTOP, Watch, running_browser
from inspected import Inspected

from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")  # Playwright holds the event loop of its thread while it runs
def browser() -> "Iterator[Browser]":
    with running_browser() as browser:
        yield browser


@pytest.fixture
def page(browser: "Browser", inspected: Inspected) -> "Iterator[Page]":
    """A page at desktop width. A console error, a violation of its policy or a foreign host fails the test."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(30_000)
    watch = Watch(page, inspected.url)
    yield page
    context.close()
    assert watch.problems == []


@pytest.fixture
def inspected() -> Iterator[Inspected]:
    """A server whose clock stands, with a client and its sandbox `mine`."""
    settings = Settings(
        port=0, clock="frozen@2026-04-12T00:00:00", progression="time:60", callbacks="inbox", journal_size=200_000
    )
    with ThreadedServer(settings) as server:
        yield Inspected(server.url, engine=server.engine)
