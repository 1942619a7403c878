"""The inspector's table of requests, and one request, in a real browser."""

from pathlib import Path

import pytest

pytest.importorskip("playwright")

from builders import ask, make_engine
from inspected import Inspected
from playwright.sync_api import Page, expect


def test_a_request_appears_in_the_open_table(page: Page, inspected: Inspected) -> None:
    inspected.queue()
    page.goto(inspected.ui("/requests"))
    rows = page.locator("tr[data-row]")
    expect(rows).to_have_count(1)

    inspected.ask("GET", "/user")

    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("getUser")
    expect(rows.first).to_contain_text("200")
    expect(rows.first).to_contain_text("ms")


def test_requests_are_filtered_by_operation_status_reason_source_and_text(page: Page, inspected: Inspected) -> None:
    inspected.queue("a guitar")
    inspected.ask("POST", "/ai/batches", json={"prompts": []})
    inspected.ask("GET", "/user")
    inspected.admin("POST", "/next", json={"operation": "getUser", "status": 500})
    inspected.ask("GET", "/user")
    page.goto(inspected.ui("/requests"))
    rows = page.locator("tr[data-row]")

    for label, value, count in [
        ("Operation", "getUser", 2),
        ("Reason", "invalid", 1),
        ("Source", "stub", 1),
    ]:
        page.get_by_label(label, exact=True).select_option(value)
        page.get_by_role("button", name="Filter").click()
        expect(rows).to_have_count(count)
        page.goto(inspected.ui("/requests"))
    page.get_by_label("Status").fill("4XX")
    page.get_by_role("button", name="Filter").click()
    expect(rows).to_have_count(1)
    page.goto(inspected.ui("/requests"))
    page.get_by_label("Search in paths and bodies").fill("GUITAR")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)

    page.goto(inspected.ui("/requests", text="no such text"))
    expect(page.get_by_text("None of the 4 requests matches.")).to_be_visible()
    page.goto(inspected.ui("/requests", operation="getUsr"))
    expect(page.get_by_role("alert")).to_contain_text("Did you mean getUser?")


def test_a_rejected_request_says_why_and_marks_the_place(page: Page, inspected: Inspected) -> None:
    inspected.ask("POST", "/ai/batches", json={"prompts": ["fine", 7], "model": "gpt"})
    page.goto(inspected.ui("/requests"))

    page.locator("tr[data-row] a").first.click()

    expect(page.get_by_text("Why was this refused?")).to_be_visible()
    expect(page.locator("mark", has_text="7")).to_have_count(1)
    expect(page.locator("mark", has_text='"model": "gpt"')).to_have_count(1)
    expect(page.get_by_role("region", name="Request", exact=True)).to_contain_text("[redacted")
    expect(page.locator("main")).not_to_contain_text("sk-secret-4711")


def test_an_unknown_path_shows_the_nearest_operation_and_the_difference(page: Page, inspected: Inspected) -> None:
    inspected.ask("POST", "/ai/batchez", json={})

    page.goto(inspected.ui("/requests/1"))

    expect(page.get_by_role("heading", name="Nearest operation: queueBatch")).to_be_visible()
    expect(page.locator(".plus")).to_contain_text("batchez")


def test_a_request_is_copied_as_curl_and_as_fixture(page: Page, inspected: Inspected, tmp_path: Path) -> None:
    inspected.ask("POST", "/ai/batches", json={"prompts": ["it's"]})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(inspected.ui("/requests/1"))

    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    curl = page.locator("#curl").inner_text()
    page.get_by_role("button", name="Copy as fixture").click()
    fixture = page.locator("#fixture").inner_text()

    assert curl.startswith(f"curl -X POST {inspected.url}/ai/batches")
    assert '"$TOKEN"' in curl
    assert "sk-secret" not in curl
    (tmp_path / "copied.yaml").write_text(fixture, encoding="utf-8")
    assert ask(make_engine(fixtures=(str(tmp_path),)), "POST", "/ai/batches", json={"prompts": ["it's"]}).status == 202


def test_the_next_request_is_answered_like_this_one(page: Page, inspected: Inspected) -> None:
    inspected.admin(
        "POST",
        "/next",
        json={"operation": "getUser", "reply": {"status": 200, "body": [{"email": "a@b.example", "credits": 7}]}},
    )
    inspected.ask("GET", "/user")
    page.goto(inspected.ui("/requests/1"))

    page.get_by_role("button", name="Answer the next one like this").click()

    expect(page.get_by_role("status").filter(has_text="Installed")).to_be_visible()
    assert inspected.ask("GET", "/user").json() == [{"email": "a@b.example", "credits": 7}]
    expect(page.get_by_text("Nothing is installed")).to_be_visible()


def test_the_keyboard_is_enough(page: Page, inspected: Inspected) -> None:
    inspected.queue()
    inspected.ask("GET", "/user")
    page.goto(inspected.ui("/requests"))

    page.keyboard.press("/")
    expect(page.get_by_label("Search in paths and bodies")).to_be_focused()
    page.keyboard.press("Tab")
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("POST /ai/batches")
    page.wait_for_load_state()  # the keys work when the script has run
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    expect(page.locator("h1")).to_have_text("Requests")
    page.wait_for_load_state()
    page.keyboard.press("p")
    expect(page.locator("#live")).to_have_text("paused")


def test_a_sandbox_without_requests_says_what_to_do(page: Page, inspected: Inspected) -> None:
    inspected.admin("POST", "/sandboxes", json={"name": "mine"})

    page.goto(inspected.ui("/requests"))

    expect(page.locator(".empty pre")).to_contain_text("curl")


def test_a_request_whose_whole_body_is_wrong_is_shown(page: Page, inspected: Inspected) -> None:
    inspected.ask("POST", "/ai/batches", content=b"{", headers={"content-type": "application/json"})

    page.goto(inspected.ui("/requests/1"))

    expect(page.get_by_text("Why was this refused?")).to_be_visible()
