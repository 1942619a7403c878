"""All pages of the inspector at once: stored scripts do not run, everybody can read them, a phone has room for them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("playwright")

from browser import CONTRAST, DESKTOP, PHONE, open_page, serious_findings
from builders import make_document, make_operation, write_json
from inspected import BREAKOUT, Inspected, client_of
from node_sdk import HAS_NODE
from playwright.sync_api import Browser, Page, expect

from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

PAGES = ("/requests", "/batches", "/accounts", "/next", "/callbacks", "/verdict", "/coverage", "/sandbox")
LONG = "hello" * 50


REQUESTS = {1: "queueBatch 202", 2: "queueBatch 422", 3: " 404", 4: "getUser 200", 9: "askModel 200"}
"""The requests that are shown, by number: accepted and rejected ones, one with a stub's page, one to no operation."""


def every_page(
    inspected: Inspected, batches: list[str], text: str, shown: Sequence[int] = tuple(REQUESTS)
) -> list[str]:
    """The addresses of all pages, the details of the shown requests and of batches included."""
    asked = {each["number"]: each for each in inspected.admin("GET", "/requests/summaries")["requests"]}
    assert {n: f"{asked[n]['operation']} {asked[n]['status']}" for n in REQUESTS} == REQUESTS
    account = inspected.admin("GET", "/accounts")["accounts"][0]["key"]
    details = [f"/requests/{number}" for number in shown]
    details += [f"/batches/{each}" for each in batches] + [f"/batches/{each}/items/0" for each in batches]
    lists = [f"{inspected.url}/__admin/", f"{inspected.url}/__admin/?text=nothing"]
    paths = (*PAGES, *details, f"/accounts/{account}")
    return [*lists, *(inspected.ui(each) for each in paths), inspected.ui("/requests", text=text)]


def use_everything(inspected: Inspected, text: str) -> list[str]:
    """The ids of batches, after requests whose every part is the text."""
    inspected.admin("POST", "/sandboxes", json={"name": inspected.sandbox})
    batches = [inspected.queue(text, "[mock:fail]", callback="http://127.0.0.1:9/hook")]
    inspected.ask("POST", "/ai/batches", json={"prompts": [{text: text}], text: text, "model": text})
    inspected.ask("POST", f"/ai/{text}", headers={"X-Note": "".join(each for each in text if each.isascii())})
    inspected.ask("GET", "/user", params={text: text})
    job = inspected.create_job(
        text, "[mock:fail]", name=f"{text}.jsonl", custom_id=text[:60], metadata={text[:60]: text[:500]}
    )
    batches.append(job)
    inspected.ask("POST", "/v1/chat/completions", json={"model": text, "messages": [{"role": text, "content": text}]})
    inspected.ask("GET", "/ai", params={"prompt": text})
    page = {"status": 200, "text": text, "media_type": "text/html"}
    inspected.admin("POST", "/next", json={"operation": "askModel", "reply": page, "undocumented": True})
    inspected.ask("GET", "/ai", params={"prompt": "again"})
    inspected.admin("POST", "/next", json={"path": "/none", "reply": {"status": 200, "text": text}, "times": 9})
    inspected.admin("PUT", "/accounts/sk-secret-4711", json={"email": text[:300]})
    inspected.admin("PUT", "/conditions", json={"input": {"code": text, "message": text}})
    inspected.admin("POST", "/clock/advance", json={"minutes": 2})
    return batches


def test_what_clients_sent_is_text_on_every_page(page: Page, inspected: Inspected) -> None:
    inspected = Inspected(inspected.url, sandbox=BREAKOUT)
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
    assert shown > 9


def test_a_sandbox_and_its_names_are_text(page: Page, inspected: Inspected) -> None:
    inspected.admin("POST", "/sandboxes", json={"name": "<b>mine</b>"})

    page.goto(f"{inspected.url}/__admin/?text=%3Cb%3E")
    page.locator("tr[data-row] a").click()

    expect(page.locator(".chosen")).to_have_text("<b>mine</b>")


def test_what_a_document_says_runs_nowhere_in_its_viewer(browser: Browser, tmp_path: Path) -> None:
    operation = {**make_operation("read"), "summary": BREAKOUT, "description": f"{BREAKOUT} [x](javascript:alert(1))"}
    document = make_document({"/things": {"get": operation}}, info={"title": BREAKOUT, "version": BREAKOUT})
    path = write_json(tmp_path / "own.json", {**document, "tags": [{"name": "read", "description": BREAKOUT}]})
    with ThreadedServer(Settings(port=0, spec=(str(path),))) as server, open_page(browser, server.url) as page:
        ran: list[str] = []
        page.on("dialog", lambda dialog: ran.append(dialog.message))

        page.goto(f"{server.url}/__admin/docs")
        page.locator(".opblock-summary-control").first.click()

        expect(page.locator(".opblock-body")).to_be_visible()
        assert ran == []
        assert page.locator("#viewer [onerror], #viewer script, #viewer a[href^=javascript]").count() == 0


class Looks(NamedTuple):
    """What is wrong with a page, at one size and in one colour scheme."""

    address: str
    scheme: str
    size: str
    findings: list[str]
    is_wide: bool
    """Whether one has to scroll sideways."""


@pytest.fixture(scope="module")
def looks(browser: Browser, server: ThreadedServer) -> list[Looks]:
    """All pages at both sizes and in both schemes; each is loaded once."""
    inspected = client_of(server)
    batches = use_everything(inspected, LONG)
    with open_page(browser, server.url) as page:
        addresses = [inspected.url, *every_page(inspected, batches, LONG, (2, 3))]
        return [each for address in addresses for each in looks_of(page, address)]


def looks_of(page: Page, address: str) -> Iterator[Looks]:
    """The looks of one page. Only colours depend on the scheme, and a phone shows no others."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        is_wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        findings = serious_findings(page, without=CONTRAST if size is PHONE else "") if HAS_NODE else []
        yield Looks(address, "light", name, findings, is_wide)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    for name, size in (("phone", PHONE), ("desktop", DESKTOP)):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        yield Looks(address, "dark", name, serious_findings(page, CONTRAST) if HAS_NODE else [], is_wide=False)


@pytest.mark.skipif(not HAS_NODE, reason="axe-core comes with npm, which is not here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_axe_finds_nothing_serious(looks: list[Looks], scheme: str, size: str) -> None:
    chosen = [each for each in looks if (each.scheme, each.size) == (scheme, size)]

    assert len(chosen) > 15
    assert {each.address: each.findings for each in chosen if each.findings} == {}


def test_a_phone_needs_no_sideways_scrolling(looks: list[Looks]) -> None:
    assert [each.address for each in looks if each.size == "phone" and each.is_wide] == []


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

    page.goto(inspected.ui("/requests", text="no such text"))
    page.get_by_role("link", name="Search older ones").click()
    expect(page.get_by_text("None of the requests from 80002 on matches.")).to_be_visible()
