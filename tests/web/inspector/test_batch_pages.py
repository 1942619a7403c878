"""The inspector's pages of batches, answers and checks, in a real browser."""

from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("playwright")

from inspected import Inspected
from playwright.sync_api import Page, expect


def test_the_items_of_a_batch_show_input_and_output_side_by_side(page: Page, inspected: Inspected) -> None:
    job = inspected.create_job("one", "two [mock:fail=429]", "three")
    inspected.admin("POST", "/clock/advance", json={"minutes": 1})
    page.goto(inspected.ui(f"/batches/{job}"))

    rows = page.locator("tr[data-row]")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("successful")
    expect(rows.nth(1)).to_contain_text("failed")
    expect(rows.nth(1)).to_contain_text("429")
    expect(page.get_by_label("Timeline on the sandbox clock")).to_contain_text("expires")
    rows.nth(0).get_by_role("link").click()
    expect(page.get_by_role("region", name="Input")).to_contain_text('"custom_id": "r1"')
    expect(page.get_by_role("region", name="Output")).to_contain_text('"status_code": 200')


def test_a_batch_that_failed_shows_its_errors_by_line(page: Page, inspected: Inspected) -> None:
    inspected.admin("POST", "/scenarios/input-rejected")
    job = inspected.create_job("one")
    inspected.admin("POST", "/clock/advance", json={"minutes": 1})
    inspected.ask("GET", f"/v1/batches/{job}")
    inspected.ask("GET", f"/v1/batches/{job}")

    page.goto(inspected.ui(f"/batches/{job}"))

    expect(page.get_by_role("heading", name="Errors")).to_be_visible()
    expect(page.get_by_text("failed", exact=True)).to_be_visible()


def test_a_batch_is_cancelled_and_its_input_downloaded(page: Page, inspected: Inspected, tmp_path: Path) -> None:
    job = inspected.create_job("one", "two")
    page.goto(inspected.ui(f"/batches/{job}"))
    with page.expect_download() as saving:
        page.get_by_role("link", name="Download input").click()
    saving.value.save_as(tmp_path / "in.jsonl")

    page.get_by_role("button", name="Cancel the batch").click()

    assert len((tmp_path / "in.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    expect(page.get_by_role("status").filter(has_text="cancelled")).to_be_visible()
    assert inspected.ask("GET", f"/v1/batches/{job}").json()["status"] == "cancelled"


def test_the_archive_of_a_batch_is_downloaded(page: Page, inspected: Inspected, tmp_path: Path) -> None:
    batch = inspected.queue("one", "two")
    inspected.admin("POST", "/clock/advance", json={"minutes": 1})
    page.goto(inspected.ui(f"/batches/{batch}"))

    with page.expect_download() as saving:
        page.get_by_role("link", name="Download archive").click()

    saving.value.save_as(tmp_path / "archive.zip")
    assert ZipFile(tmp_path / "archive.zip").namelist() == ["0001.json", "0002.json"]


def test_a_conversation_is_rendered_in_a_frame_without_scripts(page: Page, inspected: Inspected) -> None:
    asked = inspected.ask("GET", "/ai", params={"prompt": "hello", "mode": "async"}).json()["id"]
    inspected.admin("POST", "/clock/advance", json={"minutes": 1})
    page.goto(inspected.ui(f"/batches/{asked}/items/0"))

    frame = page.frame_locator("iframe")
    expect(frame.locator("body")).to_contain_text("ChatGPT said")
    policy = page.request.get(inspected.ui(f"/frames/{asked}/0")).headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")


def test_a_scenario_is_applied_with_one_button(page: Page, inspected: Inspected) -> None:
    page.goto(inspected.ui("/next"))
    expect(page.get_by_text("Every third item of a batch fails with 500")).to_be_visible()

    page.get_by_role("button", name="Apply partial-failures").click()

    expect(page.get_by_role("status").filter(has_text="applied")).to_be_visible()
    assert inspected.admin("GET", "/conditions")["conditions"]
    page.get_by_role("button", name="Remove the conditions").click()
    assert not inspected.admin("GET", "/conditions")["conditions"]


def test_stubs_and_faults_are_added_by_form_and_removed(page: Page, inspected: Inspected) -> None:
    page.goto(inspected.ui("/next"))
    stub, fault = page.get_by_role("region", name="Add a stub"), page.get_by_role("region", name="Add a fault")
    stub.get_by_label("Operation").select_option("getUser")
    stub.get_by_label("Status").fill("500")
    stub.get_by_label("For so many requests").fill("2")
    stub.get_by_role("button").click()
    expect(page.locator("tr[data-row]")).to_have_count(1)

    assert inspected.ask("GET", "/user").status_code == 500
    expect(page.locator("tr[data-row] td.number").first).to_have_text("1")
    fault.get_by_label("Fault").select_option("status")
    fault.get_by_label("Fields, as JSON").fill('{"status": 503}')
    fault.get_by_role("button").click()
    expect(page.locator("tr[data-row]")).to_have_count(2)
    page.get_by_role("button", name="Remove stub 1").click()
    expect(page.locator("tr[data-row]")).to_have_count(1)
    page.get_by_role("button", name="Remove all").click()
    expect(page.get_by_text("Nothing is installed")).to_be_visible()
    fault.get_by_label("Fields, as JSON").fill("{")
    fault.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("fields")


def test_the_verdict_links_to_the_requests_it_rests_on(page: Page, inspected: Inspected) -> None:
    for _ in range(3):
        inspected.ask("POST", "/ai/batches", json={"prompts": []})
    page.goto(inspected.ui("/verdict"))
    expect(page.get_by_role("region", name="Finding 1")).to_contain_text("hopeless-retry")

    page.get_by_role("region", name="Finding 1").get_by_role("link").first.click()

    expect(page.locator("h1")).to_contain_text("POST /ai/batches")


def test_the_coverage_is_a_matrix_and_a_junit_file(page: Page, inspected: Inspected, tmp_path: Path) -> None:
    inspected.queue()
    page.goto(inspected.ui("/coverage"))
    expect(page.get_by_role("row", name="queueBatch")).to_contain_text("202 ×1")
    expect(page.get_by_role("row", name="queueBatch")).to_contain_text("402 not met")

    with page.expect_download() as saving:
        page.get_by_role("link", name="Download as JUnit").click()
    saving.value.save_as(tmp_path / "coverage.xml")
    assert "<testsuite" in (tmp_path / "coverage.xml").read_text(encoding="utf-8")
    page.get_by_role("link", name="The whole server").click()
    expect(page.get_by_role("row", name="queueBatch")).to_contain_text("202 ×1")
