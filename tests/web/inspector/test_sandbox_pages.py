"""The inspector's pages of sandboxes, clock, accounts, callbacks and documents, in a real browser."""

import json
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from inspected import Inspected
from playwright.sync_api import Page, expect


def test_a_sandbox_is_made_found_reset_and_deleted(page: Page, inspected: Inspected) -> None:
    page.goto(f"{inspected.url}/__admin/")
    expect(page.locator(".empty pre")).to_contain_text("curl")

    page.get_by_label("Name of a new sandbox").fill("mine")
    page.get_by_role("button", name="Make a sandbox").click()
    expect(page.get_by_role("heading", name="Requests")).to_be_visible()
    assert "sandbox=" in page.url
    inspected.queue()
    httpx_token_sandbox = inspected.ask("GET", "/user", headers={"X-Mock-Sandbox": "other"})
    assert httpx_token_sandbox.status_code == 200

    page.get_by_role("link", name="mockserver").click()
    page.get_by_label("Search by name").fill("min")
    page.keyboard.press("Enter")
    row = page.locator("tr[data-row]")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("pinned")
    page.get_by_role("button", name="Reset mine").click()
    expect(page.get_by_role("status").filter(has_text="reset")).to_be_visible()
    assert inspected.admin("GET", "/requests")["seen"] == 0
    page.get_by_role("link", name="Sandbox", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Sandboxes")).to_be_visible()
    expect(page.locator("tr[data-row]")).to_have_count(1)


def test_a_sandbox_is_exported_and_imported_by_drop(page: Page, inspected: Inspected, tmp_path: Path) -> None:
    batch = inspected.queue("keep me")
    page.goto(inspected.ui("/sandbox"))
    with page.expect_download() as saving:
        page.get_by_role("link", name="Export as a file").click()
    saving.value.save_as(tmp_path / "sandbox.json")
    assert batch in (tmp_path / "sandbox.json").read_text(encoding="utf-8")
    inspected.admin("POST", "/reset")
    page.goto(inspected.ui("/sandbox"))

    dropped = (tmp_path / "sandbox.json").read_text(encoding="utf-8")
    page.locator("[data-drop]").evaluate(
        """(area, text) => {
            const held = new DataTransfer();
            held.items.add(new File([text], "sandbox.json", {type: "application/json"}));
            area.dispatchEvent(new DragEvent("drop", {dataTransfer: held, bubbles: true, cancelable: true}));
        }""",
        dropped,
    )

    expect(page.get_by_role("status").filter(has_text="state of the file")).to_be_visible()
    assert [each["id"] for each in inspected.admin("GET", "/batches")["batches"]] == [batch]


def test_the_clock_is_advanced_frozen_and_resumed_and_batches_move(page: Page, inspected: Inspected) -> None:
    inspected.queue("one", "two", "three")
    job = inspected.create_job("one", "two")
    page.goto(inspected.ui("/batches"))
    bars = page.locator("progress")
    expect(bars.nth(0)).to_have_attribute("value", "0")
    expect(page.locator("#clock")).to_contain_text("2026-04-12 00:00:00")
    expect(page.locator("#clock")).to_contain_text("frozen")

    page.get_by_role("button", name="+1 min").click()

    expect(page.locator("#clock")).to_contain_text("2026-04-12 00:01:00")
    expect(page.get_by_text("completed")).to_be_visible()
    expect(page.get_by_text("successful", exact=True)).to_be_visible()
    expect(bars.nth(1)).to_have_attribute(
        "value", "2" if job in page.locator("tr[data-row]").nth(1).inner_text() else "3"
    )
    page.get_by_role("button", name="+1 h").click()
    expect(page.locator("#clock")).to_contain_text("01:01:00")
    page.get_by_role("button", name="+1 day").click()
    expect(page.locator("#clock")).to_contain_text("2026-04-13 01:01:00")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Freeze")).to_be_visible()
    expect(page.locator("h1")).to_have_text("Batches")


def test_an_open_page_follows_a_clock_that_is_moved_elsewhere(page: Page, inspected: Inspected) -> None:
    batch = inspected.queue("one", "two", "three")
    page.goto(inspected.ui(f"/batches/{batch}"))
    expect(page.locator("progress")).to_have_attribute("value", "0")

    inspected.admin("POST", "/clock/advance", json={"minutes": 1})

    expect(page.locator("progress")).to_have_attribute("value", "3")
    expect(page.locator("#batch")).to_contain_text("successful")


def test_a_balance_is_set_and_an_account_revoked(page: Page, inspected: Inspected) -> None:
    inspected.queue("one", "two")
    inspected.admin("POST", "/clock/advance", json={"minutes": 1})
    page.goto(inspected.ui("/accounts"))
    page.locator("tr[data-row] a").click()
    expect(page.get_by_role("region", name="Ledger")).to_contain_text("-5")

    page.get_by_label("Balance").fill("0")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("#credits")).to_have_text("0")
    assert inspected.ask("POST", "/ai/batches", json={"prompts": ["more"]}).status_code == 402
    page.get_by_role("button", name="Revoke").click()
    expect(page.locator("#account")).to_contain_text("revoked")
    assert inspected.ask("GET", "/user").status_code == 403
    page.get_by_role("button", name="Make it good again").click()
    expect(page.locator("#account")).to_contain_text("good")
    assert inspected.ask("GET", "/user").status_code == 200


def test_usage_and_costs_are_shown_live_and_in_batches(page: Page, inspected: Inspected) -> None:
    inspected.create_job("one", "two")
    inspected.ask(
        "POST", "/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}
    )
    inspected.admin("POST", "/clock/advance", json={"minutes": 1})
    page.goto(inspected.ui("/batches"))
    page.goto(inspected.ui("/accounts"))

    expect(page.locator("main")).to_contain_text("Usage of agilecloud")
    expect(page.locator("main")).to_contain_text("cost_at_live_price")


def test_a_callback_is_shown_with_its_payload_and_sent_again(page: Page, inspected: Inspected) -> None:
    inspected.queue("one", callback="http://127.0.0.1:9/hook")
    page.goto(inspected.ui("/callbacks"))
    expect(page.locator("main")).to_contain_text("pending")

    inspected.admin("POST", "/clock/advance", json={"minutes": 2})
    expect(page.locator("main")).to_contain_text("kept")
    page.get_by_text("Payload").click()
    expect(page.locator("details pre")).to_contain_text("successful")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status").filter(has_text="sent again")).to_be_visible()


def test_the_api_document_is_readable_and_tryable(page: Page, inspected: Inspected) -> None:
    inspected.queue()
    page.goto(f"{inspected.url}/__admin/docs?sandbox=mine")

    page.locator("#operations-AgileCloud-listModels .opblock-summary-control").click()
    page.locator("#operations-AgileCloud-listModels").get_by_role("button", name="Execute").click()

    expect(page.locator("#operations-AgileCloud-listModels .responses-table .response").first).to_contain_text("401")
    assert [each["operation"] for each in inspected.admin("GET", "/requests")["requests"]] == [
        "queueBatch",
        "listModels",
    ]


def test_the_start_page_leads_a_browser_to_the_inspector(page: Page, inspected: Inspected) -> None:
    page.goto(inspected.url)

    page.get_by_role("link", name="Open the inspector").click()

    expect(page.get_by_role("heading", name="Sandboxes")).to_be_visible()
    assert json.loads(inspected.ask("GET", "/health").text)["status"] == "ok"
