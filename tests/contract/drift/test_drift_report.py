"""The report of `mockserver drift`, as text and as JSON."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import make_settings

from mockserver.contract.drift import report
from mockserver.contract.drift.differences import Difference
from mockserver.contract.drift.report import DriftReport, drift_summary, format_drift
from mockserver.contract.live.runner import LiveBudget, LiveRun, Observation
from mockserver.contract.live.verification import Credentials, Preparation
from mockserver.errors import FixtureError
from mockserver.sandbox.batches import Progression

ADDED = Difference(
    "added field", "getUser", "200 [].plan", live="string", sandbox="", seen=3, of=4, example="curl -s /user",
    schema={"type": "string"},
)  # fmt: skip
STATUS = Difference("status", "askModel", "the status", live="404", sandbox="422", seen=1, of=1)
OVERLAY = {"overlay": "1.0.0", "actions": []}


def test_the_text_has_a_block_for_each_difference_and_a_line_of_counts() -> None:
    assert format_drift(DriftReport(5, [ADDED, STATUS], OVERLAY), "text") == (
        "added field: getUser: 200 [].plan (seen in 3 of 4)\n"
        "  live:    string\n"
        "  curl -s /user\n"
        "status: askModel: the status (seen in 1 of 1)\n"
        "  live:    404\n"
        "  sandbox: 422\n"
        "2 differences in 5 answers\n"
    )


def test_the_json_has_the_confidence_and_the_overlay_and_not_the_schema() -> None:
    found = json.loads(format_drift(DriftReport(5, [ADDED], OVERLAY), "json"))

    assert found == {
        "compared": 5,
        "differences": [
            {
                "kind": "added field",
                "operation": "getUser",
                "place": "200 [].plan",
                "live": "string",
                "sandbox": "",
                "seen": 3,
                "of": 4,
                "example": "curl -s /user",
                "confidence": 0.75,
            }
        ],
        "overlay": OVERLAY,
        "unknowns": [],
    }


def test_a_summary_counts_differences_and_answers() -> None:
    assert drift_summary(DriftReport(1, [STATUS], {})) == "1 difference in 1 answer"
    assert drift_summary(DriftReport(0, [], {})) == "0 differences in 0 answers"


def observation(key: str, says: str, why: str = "", setting: str = "") -> Observation:
    return Observation(key, f"What of {key}?", says, why, setting, f"curl /{key}")


def test_answers_to_unknowns_that_differ_from_the_sandboxs_are_differences() -> None:
    live, ours = LiveRun(), LiveRun()
    live.observations += [
        observation("same", "Yes."),
        observation("other", "Yes."),
        observation("set", "Yes.", setting="--flag"),
        observation("unseen", "Yes."),
        observation("silent", "", "it costs"),
    ]
    ours.observations += [
        observation("same", "Yes."),
        observation("other", "No.", "because"),
        observation("set", "No."),
        observation("unseen", "", "it was not asked"),
        observation("silent", "No."),
    ]

    found = report._unknown_differences(live, ours)

    assert [(each.kind, each.operation, each.place, each.live, each.sandbox, each.example) for each in found] == [
        ("unknown", "other", "What of other?", "Yes.", "No.", "curl /other"),
        ("unknown", "set", "What of set?", "Yes. (serve --flag)", "No.", "curl /set"),
        ("unknown", "unseen", "What of unseen?", "Yes.", "it was not asked", "curl /unseen"),
    ]
    assert {(each.seen, each.of) for each in found} == {(1, 1)}


@pytest.mark.parametrize(
    ("pairs", "line"),
    [
        (0, "unknown a: not observed: it costs"),
        (1, "unknown: 1 more were not observed; `--unknown all --plan` lists what each needs"),
    ],
)
def test_reasons_are_shown_where_nothing_else_was_compared(pairs: int, line: str) -> None:
    text = format_drift(DriftReport(pairs, [], OVERLAY, [observation("a", "", "it costs")]), "text")

    assert text.splitlines()[0] == line


def test_the_json_is_indented_by_two() -> None:
    assert format_drift(DriftReport(0, [], {}), "json").splitlines()[1] == '  "compared": 0,'


def test_differences_that_were_seen_most_often_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def difference(operation: str, place: str, seen: int) -> Difference:
        return Difference("status", operation, place, "", "", seen=seen, of=4)

    found = [difference("b", "x", 1), difference("b", "x", 4), difference("a", "y", 4), difference("a", "x", 4)]
    monkeypatch.setattr(report, "find_differences", lambda _: found)

    assert [(each.operation, each.place, each.seen) for each in report.differences_of([])] == [
        ("a", "x", 4), ("a", "y", 4), ("b", "x", 4), ("b", "x", 1)
    ]  # fmt: skip


def test_a_folder_of_fixtures_without_recordings_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("responses: {}\n", encoding="utf-8")

    with pytest.raises(FixtureError, match=r"the folder has no recording such as recording\.yaml"):
        report.recorded_entries(tmp_path)


def test_the_recordings_of_all_files_of_a_folder_are_compared(tmp_path: Path) -> None:
    entry = {"request": {"operation": "getUser"}, "answers": [{"status": 200, "body": []}]}
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps({"recorded": [entry]}), encoding="utf-8")

    assert len(report.recorded_entries(tmp_path)) == 2
    pairs = report.drift_of_recording(tmp_path, make_settings())
    assert [(each.request, each.live.body, each.sandbox.status) for each in pairs] == [
        ("GET /user (recorded)", b"[]", 200)
    ] * 2


def test_a_sandbox_run_has_the_progression_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(checked: Any, target: Any, budget: Any, credentials: Any) -> LiveRun:
        sandbox = target._engine.sandboxes.open("drift")
        seen.append((sandbox.progression.kind, sandbox.progression.amount, credentials.token, credentials.other))
        return LiveRun()

    monkeypatch.setattr(report, "run", run)
    checked: Any = None
    report._sandbox_run(checked, make_settings(), LiveBudget())
    report._sandbox_run(checked, make_settings(), LiveBudget(), Progression("polls", 2))

    assert seen == [("immediate", 0, "drift", "drift-other"), ("polls", 2, "drift", "drift-other")]


def test_the_sandbox_is_asked_without_a_budget_and_only_what_the_live_api_has_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = LiveRun()
    live.observations += [observation("seen", "Yes."), observation("silent", "")]
    asked: list[Any] = []

    def run_sandbox(checked: Any, settings: Any, budget: Any, progression: Any = None) -> LiveRun:
        asked.append((checked.planned, checked.questions, budget, progression))
        found = LiveRun()
        found.observations.append(observation("seen", "No."))
        return found

    monkeypatch.setattr(report, "run", lambda *_: live)
    monkeypatch.setattr(report, "_sandbox_run", run_sandbox)
    questions: Any = [SimpleNamespace(unknown=SimpleNamespace(key=key)) for key in ("seen", "silent")]
    planned: Any = ("a request",)
    engine: Any = None
    budget = LiveBudget(max_requests=3, rate=1.5, methods=frozenset({"GET"}), spend=7.0)

    given, pairs, differences = report.drift_of_live(
        Preparation(engine, (), planned, tuple(questions)), engine, budget, make_settings(), Credentials()
    )

    assert given is live
    assert (pairs, [each.operation for each in differences]) == ([], ["seen"])
    assert asked == [
        (planned, (), LiveBudget(3, 1e9, frozenset({"GET"}), 7.0), None),
        ((), (questions[0],), LiveBudget(sys.maxsize, 1e9, frozenset({"GET"}), float("inf")), Progression("polls", 2)),
    ]
