"""The report of a run against a live API, from its values."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from mockserver.contract.live.findings import formatted, observation_lines, report_text, summary
from mockserver.contract.live.plan import PlannedRequest
from mockserver.contract.live.runner import LiveExchange, LiveRun, Observation, Skipped, shown_body
from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.openapi.document import OpenApiDocument

OPERATION = OpenApiDocument(
    {
        "openapi": "3.1.0",
        "paths": {
            "/jobs": {
                "get": {
                    "operationId": "readJobs",
                    "responses": {"200": {"description": "Jobs."}, "404": {"description": "None."}},
                }
            }
        },
    },
    "doc.yaml",
).operations[0]
PLANNED = PlannedRequest(OPERATION, "example")
VIOLATION = Violation(("body", "data", 0), "type", "5 is not text")


def exchange(*violations: Violation, body: Any = b'{"a": 1}', number: int = 0) -> LiveExchange:
    response = Response(200, "application/json", body)
    return LiveExchange(PLANNED, Request("GET", "/jobs", "", {}, b""), response, violations, 0.25, "curl -i X", number)


def observation(key: str, says: str = "", setting: str = "") -> Observation:
    return Observation(key, "What then?", says, "it needs two accounts", setting, "curl -i Y")


def test_an_answer_to_an_unknown_is_told_with_the_flag_that_follows_it() -> None:
    found = [observation("a", "Yes."), observation("b", "No.", "--strict"), observation("c"), observation("d")]

    assert observation_lines(found, with_reasons=False) == [
        "unknown a: What then? Yes.",
        "unknown b: What then? No. (the sandbox does so with --strict)",
        "unknown: 2 more were not observed; `--unknown all --plan` lists what each needs",
    ]
    assert observation_lines(found, with_reasons=True)[2:] == [
        "unknown c: not observed: it needs two accounts",
        "unknown d: not observed: it needs two accounts",
    ]
    assert observation_lines(found[:1], with_reasons=False) == ["unknown a: What then? Yes."]


@pytest.mark.parametrize(("count", "more"), [(1, []), (20, []), (21, ["not sent: 1 more"]), (25, ["not sent: 5 more"])])
def test_twenty_reasons_for_unsent_requests_are_shown(count: int, more: list[str]) -> None:
    run = LiveRun(skipped=[Skipped(PLANNED, f"reason {n}") for n in range(count)])

    lines = [line for line in report_text(run, [OPERATION]).splitlines() if line.startswith("not sent: ")]

    assert lines == [*(f"not sent: readJobs: reason {n}" for n in range(min(count, 20))), *more]


def test_one_reason_of_an_operation_is_shown_once() -> None:
    run = LiveRun(skipped=[Skipped(PLANNED, "it costs 5 credits"), Skipped(PLANNED, "it costs 5 credits")])

    assert report_text(run, [OPERATION]).count("not sent: readJobs: it costs 5 credits") == 1
    assert "2 not sent" in summary(run)


def test_a_violation_is_shown_with_its_request() -> None:
    run = LiveRun(exchanges=[exchange(), exchange(VIOLATION)], failures=["GET /jobs: refused"], spent={"credits": 2.5})

    text = report_text(run, [OPERATION])

    assert (
        "readJobs answered 200, and not as documented:\n  body.data.0: 5 is not text\n  curl -i X\n\n"
        "no answer: GET /jobs: refused\n"
    ) in text
    assert text.endswith(
        "\n2 requests sent, 1 answered not as documented, 1 failure, 0 not sent; "
        "spent by the document's prices: 2.5 credits\n"
    )


def test_what_was_free_is_nothing_spent() -> None:
    assert summary(LiveRun(spent={"credits": 0.0})).endswith("spent by the document's prices: nothing")
    assert "spent by the document's prices: 1 EUR, 2 credits" in summary(LiveRun(spent={"EUR": 1.0, "credits": 2.0}))


def test_the_report_as_json_has_the_violations_only() -> None:
    run = LiveRun(
        exchanges=[exchange(), exchange(VIOLATION)],
        skipped=[Skipped(PLANNED, "why")],
        observations=[observation("a", "Yes.")],
    )

    report = json.loads(formatted(run, [OPERATION], "json"))

    assert report["requests"] == 2
    assert [(each["operation"], each["origin"], each["status"], each["curl"]) for each in report["violations"]] == [
        ("readJobs", "example", 200, "curl -i X")
    ]
    assert report["violations"][0]["body"] == '{"a": 1}'
    assert report["skipped"] == [{"operation": "readJobs", "origin": "example", "why": "why"}]
    assert report["unknowns"][0]["says"] == "Yes."


def test_the_report_as_junit_counts_failures_errors_and_what_was_skipped() -> None:
    run = LiveRun(
        exchanges=[exchange(), exchange(VIOLATION)],
        failures=["refused \x00"],
        observations=[observation("a", "Yes."), observation("b")],
    )

    root = ElementTree.fromstring(formatted(run, [OPERATION], "junit"))

    counts = {
        each.get("name"): tuple(int(each.get(name, "")) for name in ("tests", "failures", "errors", "skipped"))
        for each in root
    }
    assert counts == {"requests": (3, 1, 1, 0), "documented responses": (2, 0, 0, 1), "unknowns": (2, 0, 0, 1)}
    assert [each.get("name") for each in root[0]] == ["1: GET /jobs (example)", "2: GET /jobs (example)", "1"]
    assert root[0][0].get("time") == "0.250"
    assert root[2][0].findtext("system-out") == "What then? Yes.\ncurl -i Y"


def test_five_hundred_bytes_of_a_body_are_shown_and_none_of_a_large_one() -> None:
    assert shown_body(exchange(body=b"x" * 501)) == "x" * 500
    assert shown_body(exchange(body=iter(()))) == "…"
