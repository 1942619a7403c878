"""The login of the inspector, in a real browser."""

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from browser import open_page
from inspected import Inspected
from playwright.sync_api import Browser, Page, expect

from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

TOKEN = "sesame-4711"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Inspected]:
    """A server with an admin token."""
    with ThreadedServer(Settings(port=0, admin_token=TOKEN)) as server:
        yield Inspected(server.url, engine=server.engine)


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Admin token").fill(token)
    page.get_by_role("button", name="Log in").click()


def test_the_admin_token_opens_the_pages_until_the_logout(browser: Browser, guarded: Inspected) -> None:
    guarded.queue()
    with open_page(browser, guarded.url) as page:
        page.goto(guarded.ui("/requests"))
        log_in(page, "wrong")
        expect(page.get_by_role("alert")).to_have_text("This is not the admin token.")

        log_in(page, TOKEN)
        expect(page.get_by_role("heading", name="Sandboxes")).to_be_visible()
        page.get_by_role("link", name="mine", exact=True).click()
        expect(page.locator("tr[data-row]")).to_have_count(1)
        guarded.ask("GET", "/user")
        expect(page.locator("tr[data-row]")).to_have_count(2)

        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], TOKEN in cookie["value"]) == (True, "Strict", False)
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Admin token")).to_be_visible()
        assert page.context.cookies() == []


def test_a_form_on_another_site_changes_nothing(page: Page, inspected: Inspected) -> None:
    inspected.queue()
    action = f"{inspected.url}/__admin/ui/sandboxes/reset"
    form = (
        f'<form method="post" action="{action}"><input name="sandbox" value="mine"><button>Win a prize</button></form>'
    )
    page.set_content(form)

    page.get_by_role("button", name="Win a prize").click()

    expect(page.get_by_role("heading", name="Not possible")).to_be_visible()
    assert inspected.admin("GET", "/requests")["seen"] == 1
