"""All pages of the inspector at once: stored scripts do not run, everybody can read them, a phone has room for them."""

from typing import Any

import pytest

pytest.importorskip("playwright")

from browser import PHONE, serious_findings
from inspected import BREAKOUT, Inspected
from node_sdk import HAS_NODE
from playwright.sync_api import Page, expect

SCHEMES: list[Any] = ["light", "dark"]


def every_page(inspected: Inspected, batches: list[str], text: str = "") -> list[str]:
    """The addresses of all pages, the details of requests and batches included."""
    names = ("/requests", "/batches", "/accounts", "/next", "/callbacks", "/verdict", "/coverage", "/sandbox")
    seen = int(inspected.admin("GET", "/requests")["seen"])
    account = inspected.admin("GET", "/accounts")["accounts"][0]["key"]
    details = [f"/requests/{number}" for number in range(1, min(seen, 6) + 1)]
    details += [f"/batches/{each}" for each in batches] + [f"/batches/{each}/items/0" for each in batches]
    lists = [f"{inspected.url}/__admin/", f"{inspected.url}/__admin/?text=nothing"]
    paths = (*names, *details, f"/accounts/{account}")
    return [*lists, *(inspected.ui(each) for each in paths), inspected.ui("/requests", text=text or "zzz")]


def use_everything(inspected: Inspected, text: str) -> list[str]:
    """The ids of batches, after requests whose every part is the text."""
    inspected.admin("POST", "/sandboxes", json={"name": "mine"})
    batches = [inspected.queue(text, "[mock:fail]", callback="http://127.0.0.1:9/hook")]
    inspected.ask("POST", "/ai/batches", json={"prompts": [{text: text}], text: text, "model": text})
    inspected.ask("POST", f"/ai/{text}", headers={"X-Note": "".join(each for each in text if each.isascii())})
    inspected.ask("GET", "/user", params={text: text})
    batches.append(inspected.create_job(text, "[mock:fail]", name=f"{text}.jsonl"))
    inspected.ask("GET", "/ai", params={"prompt": text})
    inspected.admin(
        "POST",
        "/next",
        json={
            "operation": "askModel",
            "reply": {"status": 200, "text": text, "media_type": "text/html"},
            "undocumented": True,
        },
    )
    inspected.ask("GET", "/ai", params={"prompt": "again"})
    inspected.admin(
        "POST", "/next", json={"path": "/none", "reply": {"status": 200, "text": text}, "undocumented": True}
    )
    inspected.admin("PUT", "/accounts/sk-secret-4711", json={"email": text[:300]})
    inspected.admin("POST", "/clock/advance", json={"minutes": 2})
    return batches


def test_what_clients_sent_is_text_on_every_page(page: Page, inspected: Inspected) -> None:
    batches = use_everything(inspected, BREAKOUT)
    ran: list[str] = []
    page.on("dialog", lambda dialog: ran.append(dialog.message))

    shown = 0
    for address in every_page(inspected, batches, BREAKOUT):
        page.goto(address)
        shown += "alert('stored')" in page.locator("body").inner_text()
        assert page.locator("body img, body script").count() == 0, address
    page.goto(inspected.ui(f"/batches/{batches[0]}/items/0"))
    expect(page.frame_locator("iframe").locator("body")).to_contain_text("said")

    assert ran == []
    assert shown > 5


def test_a_sandbox_and_its_names_are_text(page: Page, inspected: Inspected) -> None:
    inspected.admin("POST", "/sandboxes", json={"name": "<b>mine</b>"})

    page.goto(f"{inspected.url}/__admin/?text=%3Cb%3E")
    page.locator("tr[data-row] a").click()

    expect(page.locator(".chosen")).to_have_text("<b>mine</b>")


@pytest.mark.skipif(not HAS_NODE, reason="axe-core comes with npm, which is not here")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(page: Page, inspected: Inspected, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for address in every_page(inspected, use_everything(inspected, "hello")):
        page.goto(address)
        assert serious_findings(page) == [], address
    page.goto(inspected.url)
    assert serious_findings(page) == []


def test_a_phone_needs_no_sideways_scrolling(page: Page, inspected: Inspected) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    for address in every_page(inspected, use_everything(inspected, "hello" * 50)):
        page.goto(address)
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, address


def test_pages_of_100_000_requests_come_one_by_one(page: Page, inspected: Inspected) -> None:
    inspected.queue()
    sandbox = inspected.engine.sandboxes.open("mine")
    exchange = next(sandbox.journal.find(lambda _: True))
    for _ in range(100_000):
        sandbox.journal.record(*exchange[1:])

    page.goto(inspected.ui("/requests"))

    expect(page.locator("tr[data-row]")).to_have_count(50)
    expect(page.locator("tr[data-row] a").first).to_have_text("100001")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tr[data-row] a").first).to_have_text("99951")
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tr[data-row] a").first).to_have_text("100001")
