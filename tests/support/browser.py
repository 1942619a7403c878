"""A real browser for the tests of the inspector: Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from node_sdk import NODE, install_sdk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = NODE / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa")
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 740}


def require_chromium() -> str:
    """The path of Chromium. Without one the test is skipped, and fails in CI."""
    if CHROMIUM is None:
        reason = "Chromium is not here: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return CHROMIUM


@contextmanager
def running_browser() -> Iterator["Browser"]:
    """Chromium without a window."""
    from playwright.sync_api import expect, sync_playwright

    path = require_chromium()
    expect.set_options(timeout=20_000)  # milliseconds: a machine that is busy with other tests is slow
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: "Browser", url: str) -> Iterator["Page"]:
    """A page at desktop width. A console error, a violation of its policy or another host is a failure."""
    context = browser.new_context(viewport=DESKTOP, accept_downloads=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(30_000)
    watch = Watch(page, url)
    try:
        yield page
    finally:
        context.close()
    assert watch.problems == []


class Watch:
    """What goes wrong in a page: console errors (violations of its policy are among them), exceptions, other hosts.

    A response of 4xx is no problem by itself: some tests want one. A file that is missing is.
    """

    def __init__(self, page: "Page", url: str) -> None:
        self.problems: list[str] = []
        page.on("console", self._note_console)
        page.on("response", lambda each: self.problems.append(each.url) if each.status in {404, 500} else None)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.on("request", lambda each: None if each.url.startswith((url, "data:")) else self.problems.append(each.url))

    def _note_console(self, message: "ConsoleMessage") -> None:
        is_status = message.text.startswith("Failed to load resource: the server responded with a status of 4")
        if message.type in {"error", "warning"} and not is_status:
            self.problems.append(message.text)


CONTRAST = "color-contrast"
"""The rule of axe-core that takes longest."""


def serious_findings(page: "Page", *rules: str, without: str = "") -> list[str]:
    """What axe-core finds in the page, of serious and critical impact: by these rules, else by WCAG 2.1 A and AA.

    One rule may be left out.
    Frames are left out: they hold answers of the imitated APIs, and no script of axe's runs in them.
    """
    install_sdk()
    if not page.evaluate("() => 'axe' in window"):
        # `evaluate` runs in the page without being bound by its Content-Security-Policy, unlike a script tag.
        page.evaluate(AXE.read_text(encoding="utf-8"))
    wanted = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": WCAG}
    left_out = {without: {"enabled": False}} if without else {}
    found = page.evaluate(
        "(given) => axe.run({...given, resultTypes: ['violations'], iframes: false})",
        {"runOnly": wanted, "rules": left_out},
    )
    return [
        f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes'][:3]]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]
