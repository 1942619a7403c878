"""The report of `mockserver drift`, as text and as JSON."""

import json

from mockserver.contract.drift.differences import Difference
from mockserver.contract.drift.report import DriftReport, drift_summary, format_drift

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
    report = json.loads(format_drift(DriftReport(5, [ADDED], OVERLAY), "json"))

    assert report == {
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
