"""Coverage and verdict as they are printed and written, character by character."""

from typing import Any

from mockserver.verify.reports import (
    cobertura,
    coverage_sentence,
    coverage_table,
    junit,
    verdict_sentence,
    verdict_text,
)

FIND: dict[str, Any] = {
    "key": "find",
    "method": "GET",
    "path": "/a",
    "tag": "Things",
    "responses": {"200": 2, "404": 0, "4XX": 1},
    "undocumented": {"503": 3},
}
MAKE: dict[str, Any] = {
    "key": "make",
    "method": "POST",
    "path": "/a",
    "tag": "",
    "responses": {"201": 0},
    "undocumented": {},
}
DROP: dict[str, Any] = {**MAKE, "key": "drop", "method": "DELETE", "tag": "Things", "responses": {}}
COVERAGE: dict[str, Any] = {
    "operations": {"documented": 3, "met": 1},
    "responses": {"documented": 4, "met": 2},
    "percent": 50.0,
    "undocumented": 1,
    "coverage": [FIND, MAKE, DROP],
}


def make_finding(severity: str, exchanges: list[int]) -> dict[str, Any]:
    return {
        "sandbox": "one",
        "code": "polled-too-fast",
        "severity": severity,
        "sentence": "It polls fast.",
        "exchanges": exchanges,
        "advice": "Wait.",
    }


def make_verdict(*findings: dict[str, Any], judged: int = 2, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    severities = [each["severity"] for each in findings]
    summary = {name: severities.count(name) for name in ("error", "warning", "info")}
    return {"findings": list(findings), "summary": summary, "judged": judged, "notes": list(notes)}


def test_the_table_shows_how_often_each_response_occurred() -> None:
    assert coverage_table(COVERAGE) == (
        "OPERATION  MET          NOT MET  UNDOCUMENTED\n"
        "GET /a     200x2 4XXx1  404      503x3\n"
        "POST /a    -            201      -\n"
        "DELETE /a  -            -        -\n"
        "\n"
        "2 of 4 documented responses met (50.0 %), of 1 of 3 operations; 1 undocumented\n"
    )


def test_undocumented_responses_are_only_mentioned_where_there_are_any() -> None:
    assert coverage_sentence({**COVERAGE, "undocumented": 0}) == (
        "2 of 4 documented responses met (50.0 %), of 1 of 3 operations"
    )


def test_a_verdict_is_a_paragraph_for_each_finding() -> None:
    verdict = make_verdict(make_finding("info", [4]), make_finding("error", [1, 2]), notes=("Incomplete.",))

    assert verdict_text(verdict) == (
        "error: polled-too-fast: It polls fast.\n"
        "  sandbox one, exchanges 1, 2\n"
        "  Wait.\n"
        "info: polled-too-fast: It polls fast.\n"
        "  sandbox one, exchange 4\n"
        "  Wait.\n"
        "note: Incomplete.\n"
        "1 error, 1 info found in 2 exchanges\n"
    )


def test_a_clean_verdict_is_one_sentence() -> None:
    assert verdict_text(make_verdict(judged=1)) == "nothing found in 1 exchange\n"
    assert verdict_sentence(make_verdict(judged=0)) == "nothing found in 0 exchanges"


def test_junit_lists_findings_and_responses() -> None:
    verdict = make_verdict(make_finding("warning", [1, 2]), make_finding("info", [4]))

    assert (
        junit(COVERAGE, verdict).decode()
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mockserver" tests="7" failures="2" skipped="2" errors="0">
  <testsuite name="verdict" tests="2" failures="1" skipped="0" errors="0">
    <testcase classname="verdict.polled-too-fast" name="polled-too-fast #1 in one" time="0">
      <failure type="warning" message="It polls fast.">It polls fast.
Exchanges 1, 2.
Wait.</failure>
    </testcase>
    <testcase classname="verdict.polled-too-fast" name="polled-too-fast #2 in one" time="0">
      <system-out>It polls fast.
Exchange 4.
Wait.</system-out>
    </testcase>
  </testsuite>
  <testsuite name="coverage" tests="5" failures="1" skipped="2" errors="0">
    <testcase classname="Things.find" name="GET /a 200" time="0" />
    <testcase classname="Things.find" name="GET /a 404" time="0">
      <skipped message="no request of the tests was answered with it" />
    </testcase>
    <testcase classname="Things.find" name="GET /a 4XX" time="0" />
    <testcase classname="Things.find" name="GET /a 503" time="0">
      <failure type="undocumented" message="met 3 times, but not documented" />
    </testcase>
    <testcase classname="untagged.make" name="POST /a 201" time="0">
      <skipped message="no request of the tests was answered with it" />
    </testcase>
  </testsuite>
</testsuites>
"""
    )


def test_junit_without_coverage_or_findings_has_one_case_that_passes() -> None:
    assert (
        junit(None, make_verdict()).decode()
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mockserver" tests="1" failures="0" skipped="0" errors="0">
  <testsuite name="verdict" tests="1" failures="0" skipped="0" errors="0">
    <testcase classname="verdict" name="no findings" time="0" />
  </testsuite>
</testsuites>
"""
    )
    assert (
        junit(None).decode()
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="mockserver" tests="0" failures="0" skipped="0" errors="0" />
"""
    )


def test_cobertura_numbers_documented_responses_through_the_report() -> None:
    assert (
        cobertura(COVERAGE, timestamp=1.5).decode()
        == """\
<?xml version="1.0" encoding="UTF-8"?>
<coverage line-rate="0.5000" branch-rate="0" lines-covered="2" lines-valid="4" timestamp="1500" complexity="0" \
version="mockserver">
  <sources>
    <source>.</source>
  </sources>
  <packages>
    <package name="Things" line-rate="0.6667" branch-rate="0" complexity="0">
      <classes>
        <class name="find" filename="GET /a" complexity="0" line-rate="0.6667" branch-rate="0">
          <methods />
          <lines>
            <line number="1" hits="2" branch="false" />
            <line number="2" hits="0" branch="false" />
            <line number="3" hits="1" branch="false" />
          </lines>
        </class>
        <class name="drop" filename="DELETE /a" complexity="0" line-rate="0" branch-rate="0">
          <methods />
          <lines />
        </class>
      </classes>
    </package>
    <package name="untagged" line-rate="0.0000" branch-rate="0" complexity="0">
      <classes>
        <class name="make" filename="POST /a" complexity="0" line-rate="0.0000" branch-rate="0">
          <methods />
          <lines>
            <line number="4" hits="0" branch="false" />
          </lines>
        </class>
      </classes>
    </package>
  </packages>
</coverage>
"""
    )
    assert b'timestamp="0"' in cobertura(COVERAGE)
