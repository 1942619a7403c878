"""What no document says: each unknown is linked in docs/limits.md, and is settled by requests to either kind of API."""

import json
import re
from typing import Any

import httpx
import pytest
from doc_pages import DOCS
from proxies import Servers
from upstreams import answers, raw_upstream

from mockserver.api.unknowns import Unknown
from mockserver.cli import main
from mockserver.contract.live.observations import find_questions
from mockserver.engine.build import build_engine
from mockserver.settings.table import Settings

FAST = ("--rate", "100000", "--max-requests", "1000")
EVERYTHING = ("--methods", "GET,POST,PATCH,DELETE", "--spend", "1000")
OTHERWISE = {
    "agentfirst_version": "2026-07",
    "agilecloud_profile": "openai",
    "empty_prompts": True,
    "strict": True,
    "missing_variables": "blank",
}
"""Settings under which each guess that a setting changes has its other answer."""
SWITCHED = {
    "not-ready-status": ("202", "200"),
    "completion-fields": (
        "those of April 2026 (promptHtml, completionHtml, ...)",
        "those of July 2026 (query, completion, sources, ...)",
    ),
    "unset-targeting": ("null", "left out"),
    "empty-prompt": ("rejected with 422", "accepted"),
    "unknown-keys": ("yes", "no, with 422"),
    "null-for-unset": ("yes", "no, with 422"),
    "cancel-status": ("cancelled", "cancelling"),
    "statuses": ("no", "yes"),
    "missing-variable": ("yes, with 400", "no, nothing is written in its place"),
}


@pytest.fixture(autouse=True)
def _tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "mock-credits-5-unknowns")
    monkeypatch.setenv("API_TOKEN_2", "dai_sk_other_0042")


@pytest.fixture(scope="module")
def unknowns() -> list[Unknown]:
    services = build_engine(Settings()).services
    return [each.unknown for each in find_questions(services, [each.operation for each in services], ["all"])]


def verify(capsys: pytest.CaptureFixture[str], url: str, *flags: str) -> tuple[int, Any]:
    code = main(["verify", url, *FAST, *flags, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def observed(report: Any) -> dict[str, str]:
    return {each["key"]: each["says"] for each in report["unknowns"] if each["says"]}


def test_each_unknown_is_linked_from_the_page_of_limits_and_has_a_way_to_find_out(unknowns: list[Unknown]) -> None:
    page = (DOCS / "limits.md").read_text("utf-8")
    linked = re.findall(r"\(reference/unknowns\.md#([\w-]+)\)", page)

    assert sorted(linked) == sorted(each.key for each in unknowns)
    assert len(linked) == 37
    assert all(bool(each.steps) is not bool(each.by_hand) for each in unknowns)
    assert all(bool(each.outcomes) is bool(each.steps) for each in unknowns)


@pytest.mark.parametrize(("settings", "number"), [({}, 0), (OTHERWISE, 1)])
def test_an_api_of_either_kind_is_recognised(
    servers: Servers, capsys: pytest.CaptureFixture[str], unknowns: list[Unknown], settings: dict[str, Any], number: int
) -> None:
    live = servers.live(progression="polls:4", **settings)
    credits = {"X-Mock-Sandbox": "mock-credits-5-unknowns"}

    _, first = verify(capsys, live.url, "--unknown", "balance-below-price", *EVERYTHING)
    httpx.put(f"{live.url}/__admin/accounts/mock-credits-5-unknowns", headers=credits, json={"credits": 100_000})
    code, report = verify(capsys, live.url, "--unknown", "all", *EVERYTHING)

    found = observed(report) | observed(first)
    assert (code, report["violations"], report["failures"]) == (0, [], [])
    assert sorted(found) == sorted(each.key for each in unknowns if each.steps)
    assert {key: found[key] for key in SWITCHED} == {key: each[number] for key, each in SWITCHED.items()}
    assert not [each for each in found.values() if each.startswith("something else")]


def test_the_setting_that_an_answer_names_makes_the_sandbox_answer_so(unknowns: list[Unknown]) -> None:
    named = {each.key: {outcome.setting for outcome in each.outcomes} - {""} for each in unknowns}

    assert {key for key, settings in named.items() if settings} == SWITCHED.keys()
    flags = {flag.split()[0] for settings in named.values() for flag in settings}
    assert flags == {f"--{name.replace('_', '-')}" for name in OTHERWISE}


def test_drift_names_the_guesses_that_an_api_answers_otherwise(
    servers: Servers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "dai_sk_rich_0042")
    live = servers.live(progression="polls:2", **{name: OTHERWISE[name] for name in ("empty_prompts", "strict")})

    code = main(["drift", live.url, *FAST, "--unknown", "all", *EVERYTHING, "--format", "json"])

    found = json.loads(capsys.readouterr().out)["differences"]
    assert code == 1
    assert {(each["kind"], each["operation"], each["live"], each["sandbox"]) for each in found} == {
        ("unknown", "empty-prompt", "accepted (serve --empty-prompts)", "rejected with 422"),
        ("unknown", "unknown-keys", "no, with 422 (serve --strict)", "yes"),
        ("unknown", "null-for-unset", "no, with 422 (serve --strict)", "yes"),
    }


def test_without_more_flags_only_free_reads_are_sent(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()

    _, report = verify(capsys, live.url, "--unknown", "all")

    assert observed(report).keys() == {"unknown-id", "other-scheme", "check-order", "error-fields"}
    why = {each["key"]: each["why"] for each in report["unknowns"]}
    assert why["empty-prompt"] == "POST is not among --methods"
    assert why["completion-fields"] == "it costs 5 credits, which --spend does not allow"
    assert "unzip" in why["archive-format"]
    assert report["spent"] == {}


def test_an_unexpected_answer_is_shown_as_it_is(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    teapot = answers(b"HTTP/1.1 418 Teapot", b"Content-Type: text/plain", b"Content-Length: 5", body=b"short")
    upstream = servers.enter_context(raw_upstream(teapot))

    main(["verify", upstream.url, *FAST, "--unknown", "unknown-id"])

    assert "unknown unknown-id: How is an unknown id rejected? something else: 418 short" in capsys.readouterr().out


def test_a_second_account_is_needed_where_one_reads_what_another_has(
    servers: Servers, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("API_TOKEN_2")
    live = servers.live()

    _, report = verify(capsys, live.url, "--unknown", "id-of-another-account", *EVERYTHING)

    [only] = report["unknowns"]
    assert only["why"] == "it needs the credential of a second account in API_TOKEN_2"
    assert report["requests"] == 0


def test_a_job_that_does_not_end_is_not_waited_for_beyond_the_budget(
    servers: Servers, capsys: pytest.CaptureFixture[str]
) -> None:
    live = servers.live(progression="time:100000", clock="flowing")

    _, report = verify(capsys, live.url, "--unknown", "statuses", *EVERYTHING, "--max-requests", "7")

    [only] = report["unknowns"]
    assert only["why"] == "status was still validating at the last request that the budget allowed"
    assert report["requests"] == 7


def test_the_text_says_why_a_question_was_not_answered(servers: Servers, capsys: pytest.CaptureFixture[str]) -> None:
    live = servers.live()

    main(["verify", live.url, *FAST, "--unknown", "all"])
    asked = capsys.readouterr().out
    main(["verify", live.url, *FAST, "--only", "Agent First"])
    besides = capsys.readouterr().out

    assert "unknown empty-prompt: not observed: POST is not among --methods" in asked
    assert "POST /v1/embeddings" not in asked  # no question is about it
    assert re.search(r"unknown: \d+ more were not observed; `--unknown all --plan` lists what each needs", besides)


def test_the_plan_lists_what_each_question_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "http://127.0.0.1:9", "--unknown", "all", "--plan"]) == 0

    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert re.search(r"GET\s+5 credits\s+Which fields", rows["completion-fields"])
    assert re.search(r"by hand\s+-", rows["lifetime"])
    assert len(rows) == 38


def test_an_unknown_name_is_exit_code_2_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "http://127.0.0.1:9", "--unknown", "cancel-state"]) == 2
    assert "did you mean cancel-status" in capsys.readouterr().err
