"""Coverage: what was met and what was not, and how it is written for a CI."""

from typing import Any
from xml.etree import ElementTree

import pytest
from builders import ask, make_document, make_engine, make_operation, queue, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.engine.overrides import read_rules
from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.sandbox.journal import Journal
from mockserver.verify.coverage import count_hits, count_stubbed_hits, coverage_json, operation_coverages
from mockserver.verify.reports import cobertura, coverage_table, junit, verdict_text

RESPONSES = {status: {"description": "x"} for status in ("200", "404", "4XX", "default")}


def operations_of(responses: dict[str, Any], key: str = "find") -> list[Operation]:
    document = make_document({"/a": {"get": {"operationId": key, "tags": ["Some & API"], "responses": responses}}})
    return list(OpenApiDocument(document, "a.yaml").operations)


def described(engine: Engine) -> dict[str, Any]:
    return coverage_json([each.operation for each in engine.services], engine.met)


def test_coverage_without_responses_has_nothing_checked() -> None:
    found = described(make_engine())

    assert (found["checked"], found["percent"], found["responses"]["met"]) == (False, 0.0, 0)
    assert found["operations"]["documented"] == len(found["coverage"])


def test_responses_of_stubs_and_faults_are_not_undocumented() -> None:
    engine = make_engine()
    sandbox = engine.sandboxes.open("test")
    rules = [
        {"operation": "listModels", "status": 418, "undocumented": True, "text": "a stub", "times": 1},
        {"operation": "listModels", "fault": {"type": "status", "status": 418}, "times": 1},
        {"operation": "listFiles", "status": 401, "times": 1},
    ]
    sandbox.rules.install(read_rules(rules, engine.services, origin="next", now=0.0))
    answers = [ask(engine, "GET", path).status for path in ("/v1/models", "/v1/models", "/v1/files", "/v1/models")]
    assert answers == [418, 418, 401, 200]

    exchanges = exchanges_of(sandbox.journal)
    operations = [each.operation for each in engine.services]
    for found in (
        coverage_json(operations, engine.met, engine.demanded),
        coverage_json(operations, count_hits(exchanges), count_stubbed_hits(exchanges)),
    ):
        assert (found["undocumented"], found["responses"]["met"]) == (0, 2)
        assert b"<failure" not in junit(found)


def test_an_undocumented_response_is_not_hidden_by_one_of_a_stub() -> None:
    operations = operations_of({"200": {"description": "x"}})

    found = coverage_json(operations, {("find", 503): 3}, {("find", 503): 2})

    assert found["coverage"][0]["undocumented"] == {"503": 1}


def test_each_answer_counts_for_its_response() -> None:
    engine = make_engine()
    queue(engine, "one")
    queue(engine, "two")
    ask(engine, "POST", "/ai/batches", json={"prompts": []})
    ask(engine, "GET", "/nowhere")

    found = described(engine)

    (line,) = (each for each in found["coverage"] if each["key"] == "queueBatch")
    assert line["responses"] == {"202": 2, "401": 0, "402": 0, "403": 0, "422": 1, "500": 0}
    assert (found["checked"], found["operations"]["met"], found["responses"]["met"]) == (True, 1, 2)
    assert found["without_operation"] == {"404": 1}


@pytest.mark.parametrize(
    ("status", "response"), [(200, "200"), (404, "404"), (409, "4XX"), (500, "default"), (302, "default")]
)
def test_a_status_counts_for_the_response_that_documents_it(status: int, response: str) -> None:
    (found,) = operation_coverages(operations_of(RESPONSES), {("find", status): 3})

    assert {name for name, count in found.documented.items() if count} == {response}
    assert found.undocumented == {}


def test_undocumented_responses_are_listed_and_do_not_count() -> None:
    operations = operations_of({"200": {"description": "x"}})

    found = coverage_json(operations, {("find", 503): 2})

    assert (found["checked"], found["undocumented"]) == (False, 1)
    assert found["coverage"][0]["undocumented"] == {"503": 2}


@settings(derandomize=True)
@given(st.dictionaries(st.tuples(st.sampled_from(["find", "lose", ""]), st.integers(200, 599)), st.integers(1, 9)))
def test_every_answer_of_a_known_operation_is_counted_once(met: dict[tuple[str, int], int]) -> None:
    operations = operations_of({"200": {"description": "x"}, "4XX": {"description": "x"}})

    (found,) = operation_coverages(operations, met)

    counted = sum(found.documented.values()) + sum(found.undocumented.values())
    assert counted == sum(count for (key, _), count in met.items() if key == "find")


def test_coverage_is_kept_when_sandboxes_and_journals_are_deleted() -> None:
    engine = make_engine(journal_size=0)
    queue(engine, "one")
    engine.sandboxes.open("test").reset()

    assert described(engine)["responses"]["met"] == 1


def test_the_server_counts_what_its_journals_count() -> None:
    engine = make_engine()
    for token in ("a", "b"):
        queue(engine, "one", token=token)
        ask(engine, "GET", "/user", token=token)

    journals = [engine.sandboxes.open(name).journal for name in ("a", "b")]

    assert sum(map(len, map(exchanges_of, journals))) == sum(engine.met.values()) == 4
    assert count_hits(exchanges_of(journals[0])) == dict.fromkeys(engine.met, 1)


def exchanges_of(journal: Journal) -> list[Any]:
    return list(journal.find(lambda _: True))


def test_an_additional_document_is_part_of_the_coverage(tmp_path: Any) -> None:
    other = write_json(tmp_path / "other.json", make_document({"/x": {"get": make_operation("getX", example=1)}}))
    engine = make_engine(spec=(str(other),))
    ask(engine, "GET", "/x")

    assert [each["key"] for each in described(engine)["coverage"] if any(each["responses"].values())] == ["getX"]


# How it is written.


COVERAGE = coverage_json(operations_of(RESPONSES), {("find", 200): 2, ("find", 404): 1})
UNDOCUMENTED = coverage_json(operations_of({"200": {"description": "x"}}), {("find", 503): 2})
FINDING: dict[str, Any] = {
    "sandbox": "a<b\x01",
    "code": "polled-too-fast",
    "severity": "warning",
    "sentence": "Fast & often \x00 \ud800.",
    "exchanges": [1, 2],
    "advice": "Sleep.",
}
VERDICT = {"findings": [FINDING], "summary": {"error": 0, "warning": 1, "info": 0}, "judged": 2, "notes": ["A note."]}


def test_the_table_has_a_line_for_each_operation() -> None:
    lines = coverage_table(COVERAGE).splitlines()

    assert lines[0].split() == ["OPERATION", "MET", "NOT", "MET", "UNDOCUMENTED"]
    assert lines[1].split() == ["GET", "/a", "200x2", "404x1", "4XX", "default", "-"]
    assert lines[-1] == "2 of 4 documented responses met (50.0 %), of 1 of 1 operations"
    assert coverage_table(UNDOCUMENTED).splitlines()[-1].endswith("; 1 undocumented")


def test_junit_has_a_case_for_each_response_and_fails_undocumented_ones() -> None:
    root = ElementTree.fromstring(junit(COVERAGE))

    (suite,) = root.findall("testsuite[@name='coverage']")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "0", "2")
    assert [case.get("name") for case in suite] == ["GET /a 200", "GET /a 404", "GET /a 4XX", "GET /a default"]
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == ["GET /a 4XX", "GET /a default"]
    assert {case.get("classname") for case in suite} == {"Some & API.find"}

    (failure,) = ElementTree.fromstring(junit(UNDOCUMENTED)).iter("failure")
    assert failure.get("type") == "undocumented"


def test_junit_holds_a_verdict_with_any_text() -> None:
    root = ElementTree.fromstring(junit(COVERAGE, VERDICT))

    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("5", "1", "2")
    (case,) = root.findall("testsuite[@name='verdict']/testcase")
    assert case.get("name") == "polled-too-fast #1 in a<b\ufffd"
    assert case.findtext("failure") == "Fast & often \ufffd \ufffd.\nExchanges 1, 2.\nSleep."


def test_junit_of_a_clean_verdict_has_a_case_that_passes_and_infos_do_not_fail() -> None:
    clean = ElementTree.fromstring(junit(None, {"findings": []}))
    info = ElementTree.fromstring(junit(None, {"findings": [FINDING | {"severity": "info"}]}))

    assert [list(case) for case in clean.iter("testcase")] == [[]]
    assert (info.get("tests"), info.get("failures")) == ("1", "0")
    assert len(list(info.iter("system-out"))) == 1


def test_cobertura_has_a_package_for_each_api_and_a_line_for_each_response() -> None:
    root = ElementTree.fromstring(cobertura(COVERAGE, timestamp=1.5))

    assert root.tag == "coverage"
    facts = [root.get(name) for name in ("line-rate", "lines-covered", "lines-valid", "timestamp")]
    assert facts == ["0.5000", "2", "4", "1500"]
    (package,) = root.findall("packages/package")
    (covered_class,) = package.findall("classes/class")
    assert (package.get("name"), covered_class.get("name")) == ("Some & API", "find")
    lines = covered_class.findall("lines/line")
    assert [(line.get("number"), line.get("hits")) for line in lines] == [
        ("1", "2"),
        ("2", "1"),
        ("3", "0"),
        ("4", "0"),
    ]


def test_cobertura_numbers_no_line_twice() -> None:
    engine = make_engine()
    root = ElementTree.fromstring(cobertura(described(engine)))

    numbers = [line.get("number") for line in root.iter("line")]
    assert len(numbers) == len(set(numbers)) == int(root.get("lines-valid", "0"))
    assert {each.get("name") for each in root.iter("package")} == {"Agent First", "AgileCloud"}


def test_the_verdict_as_text_names_the_worst_first() -> None:
    findings = [FINDING | {"severity": severity} for severity in ("info", "error", "warning")]
    text = verdict_text(VERDICT | {"findings": findings, "summary": {"error": 1, "warning": 1, "info": 1}})

    severities = [line.partition(":")[0] for line in text.splitlines() if "polled" in line]
    assert severities == ["error", "warning", "info"]
    assert "exchanges 1, 2" in text
    assert text.splitlines()[-2:] == ["note: A note.", "1 error, 1 warning, 1 info found in 2 exchanges"]
