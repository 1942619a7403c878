"""Reports what a live API answered: documented responses met or not, and each violation with its request."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mockserver.contract.live.runner import LiveExchange, LiveRun, Observation, shown_body
from mockserver.openapi.operations import Operation
from mockserver.openapi.responses import violation_json
from mockserver.text import format_count, format_dotted
from mockserver.verify.coverage import coverage_json
from mockserver.verify.reports import coverage_table

MAX_SKIPPED = 20
"""The most reasons for skipped requests that the text shows."""


def report_json(run: LiveRun, operations: Sequence[Operation]) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "requests": len(run.exchanges),
        "violations": [_exchange_json(each) for each in run.exchanges if each.violations],
        "failures": list(run.failures),
        "skipped": [
            {"operation": each.planned.operation.key, "origin": each.planned.origin, "why": each.why}
            for each in run.skipped
        ],
        "unknowns": [each._asdict() for each in run.observations],
        "spent": dict(run.spent),
        "coverage": coverage_json(operations, run.met()),
    }


def _exchange_json(each: LiveExchange) -> dict[str, Any]:
    return {
        "operation": each.planned.operation.key,
        "origin": each.planned.origin,
        "status": each.response.status,
        "violations": [violation_json(found) for found in each.violations],
        "curl": each.curl,
        "body": shown_body(each),
    }


def report_text(run: LiveRun, operations: Sequence[Operation]) -> str:
    """The report for people."""
    report = report_json(run, operations)
    lines = [coverage_table(report["coverage"])]
    for each in report["violations"]:
        lines.append(f"{each['operation']} answered {each['status']}, and not as documented:")
        lines += [f"  {format_dotted(one['location'])}: {one['message']}" for one in each["violations"]]
        lines += [f"  {each['curl']}", ""]
    lines += [f"no answer: {each}" for each in report["failures"]]
    lines += _skipped_lines(report["skipped"])
    lines += observation_lines(run.observations, with_reasons=all(each.number < 0 for each in run.exchanges))
    return "\n".join([*lines, summary(run), ""])


def observation_lines(observations: Sequence[Observation], *, with_reasons: bool) -> list[str]:
    """The answers to unknowns, and how many were not observed; `with_reasons` says why each was not."""
    lines = []
    for each in observations:
        if each.says:
            follow = f" (the sandbox does so with {each.setting})" if each.setting else ""
            lines.append(f"unknown {each.key}: {each.question} {each.says}{follow}")
    hidden = [each for each in observations if not each.says]
    if with_reasons:
        return [*lines, *(f"unknown {each.key}: not observed: {each.why}" for each in hidden)]
    more = f"unknown: {len(hidden)} more were not observed; `--unknown all --plan` lists what each needs"
    return [*lines, *([more] if hidden else [])]


def _skipped_lines(skipped: Sequence[Mapping[str, str]]) -> list[str]:
    rows: dict[tuple[str, str], int] = {}
    for each in skipped:
        key = each["operation"], each["why"]
        rows[key] = rows.get(key, 0) + 1
    lines = [f"not sent: {operation}: {why}" for operation, why in rows]
    more = len(lines) - MAX_SKIPPED
    return [*lines[:MAX_SKIPPED], *([f"not sent: {more} more"] if more > 0 else [])]


def summary(run: LiveRun) -> str:
    """The report in one line."""
    broken = sum(bool(each.violations) for each in run.exchanges)
    spent = ", ".join(f"{amount:g} {unit}" for unit, amount in run.spent.items() if amount) or "nothing"
    return (
        f"{format_count(len(run.exchanges), 'request')} sent, {broken} answered not as documented, "
        f"{format_count(len(run.failures), 'failure')}, {len(run.skipped)} not sent; "
        f"spent by the document's prices: {spent}"
    )


def report_junit(run: LiveRun, operations: Sequence[Operation]) -> bytes:
    """JUnit XML: a test case for each request, and one for each documented response, skipped if it was not met."""
    root = Element("testsuites", name="mockserver verify")
    requests = SubElement(root, "testsuite", name="requests")
    for n, each in enumerate(run.exchanges, 1):
        name = f"{n}: {each.request.method} {each.request.path} ({each.planned.origin})"
        case = SubElement(
            requests, "testcase", classname=each.planned.operation.key, name=name, time=f"{each.seconds:.3f}"
        )
        if each.violations:
            text = "; ".join(f"{format_dotted(one.location)}: {one.message}" for one in each.violations)
            SubElement(
                case, "failure", type="violation", message=text[:1000]
            ).text = f"{each.curl}\n\n{shown_body(each)}"
    for n, why in enumerate(run.failures, 1):
        case = SubElement(requests, "testcase", classname="no answer", name=str(n), time="0")
        SubElement(case, "error", message=why)
    responses = SubElement(root, "testsuite", name="documented responses")
    for operation in coverage_json(operations, run.met())["coverage"]:
        for status, count in operation["responses"].items():
            place = f"{operation['method']} {operation['path']} {status}"
            case = SubElement(responses, "testcase", classname=operation["key"], name=place, time="0")
            if not count:
                SubElement(case, "skipped", message="no request was answered with it")
    unknowns = SubElement(root, "testsuite", name="unknowns")
    for observation in run.observations:
        case = SubElement(unknowns, "testcase", classname="unknown", name=observation.key, time="0")
        if observation.says:
            SubElement(case, "system-out").text = f"{observation.question} {observation.says}\n{observation.curl}"
        else:
            SubElement(case, "skipped", message=observation.why)
    for suite in root:
        suite.set("tests", str(len(suite)))
        for kind, name in (("failure", "failures"), ("skipped", "skipped"), ("error", "errors")):
            suite.set(name, str(len(suite.findall(f"testcase/{kind}"))))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_printable(tostring(root, encoding="unicode"))}\n'.encode()


def _printable(text: str) -> str:
    return "".join(each if each >= " " or each in "\t\n\r" else "\ufffd" for each in text)


def formatted(run: LiveRun, operations: Sequence[Operation], form: str) -> str:
    """The report as text, json or junit."""
    if form == "json":
        return json.dumps(report_json(run, operations), indent=2) + "\n"
    return report_junit(run, operations).decode() if form == "junit" else report_text(run, operations)
