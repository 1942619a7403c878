"""With a store that replicas share, a page shows the whole world, whichever replica serves it."""

import pytest

pytest.importorskip("playwright")

from browser import open_page
from inspected import Inspected
from playwright.sync_api import Browser, expect

Replicas = tuple[Inspected, Inspected]


def test_an_open_page_shows_what_another_replica_did(browser: Browser, replicas: Replicas) -> None:
    one, other = replicas
    one.queue("hello", "again")
    with open_page(browser, other.url) as page:
        rows = page.locator("tr[data-row]")
        page.goto(other.ui("/requests"))
        expect(rows).to_have_count(1)
        one.ask("GET", "/user")
        expect(rows).to_have_count(2)
        rows.first.get_by_role("link").click()
        expect(page.locator("h1")).to_contain_text("GET /user")

        page.goto(other.ui("/batches"))
        expect(page.locator("progress")).to_have_attribute("value", "0")
        one.admin("POST", "/clock/advance", json={"minutes": 1})
        expect(page.locator("progress")).to_have_attribute("value", "2")
        one.create_job("one")
        expect(rows).to_have_count(2)

        page.goto(other.ui("/next"))
        one.admin("POST", "/next", json={"operation": "getUser", "status": 500})
        expect(rows).to_have_count(1)
        page.get_by_role("button", name="Remove stub 1").click()
        expect(page.get_by_text("Nothing is installed")).to_be_visible()
        assert one.admin("GET", "/stubs")["stubs"] == []


def test_lists_and_coverage_are_those_of_all_replicas(browser: Browser, replicas: Replicas) -> None:
    one, other = replicas
    one.queue()
    other.ask("GET", "/user", headers={"X-Mock-Sandbox": "theirs"})
    for replica in replicas:
        with open_page(browser, replica.url) as page:
            page.goto(f"{replica.url}/__admin/")
            expect(page.locator("tr[data-row]")).to_have_count(2)
            page.goto(f"{replica.url}/__admin/?text=THEIR")
            expect(page.locator("tr[data-row]")).to_have_count(1)
            page.goto(replica.ui("/coverage"))
            page.get_by_role("link", name="The whole server").click()
            expect(page.get_by_role("row", name="queueBatch")).to_contain_text("202 ×1")
            expect(page.get_by_role("row", name="getUser")).to_contain_text("200 ×1")
