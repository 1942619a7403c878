"""Formats verdict and coverage for people and for CI systems."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mockserver.text import format_table, plural_ending

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, even escaped."""


def coverage_table(coverage: Mapping[str, Any]) -> str:
    """One line for each operation, with the responses that occurred (and how often) and those that did not."""
    rows: list[tuple[str, ...]] = [("OPERATION", "MET", "NOT MET", "UNDOCUMENTED")]
    for each in coverage["coverage"]:
        met = [f"{status}x{count}" for status, count in each["responses"].items() if count]
        missing = [status for status, count in each["responses"].items() if not count]
        more = [f"{status}x{count}" for status, count in each["undocumented"].items()]
        rows.append((f"{each['method']} {each['path']}", *(" ".join(part) or "-" for part in (met, missing, more))))
    return "\n".join([*format_table(rows), "", coverage_sentence(coverage), ""])


def coverage_sentence(coverage: Mapping[str, Any]) -> str:
    """A summary of the coverage in one line."""
    operations, responses = coverage["operations"], coverage["responses"]
    said = (
        f"{responses['met']} of {responses['documented']} documented responses met ({coverage['percent']} %), "
        f"of {operations['met']} of {operations['documented']} operations"
    )
    return f"{said}; {coverage['undocumented']} undocumented" if coverage["undocumented"] else said


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """A paragraph for each finding, the most severe first."""
    order = ("error", "warning", "info")
    found = sorted(verdict["findings"], key=lambda each: order.index(each["severity"]))
    parts = [
        f"{each['severity']}: {each['code']}: {each['sentence']}\n"
        f"  sandbox {each['sandbox']}, {_numbers_text(each['exchanges'])}\n"
        f"  {each['advice']}"
        for each in found
    ]
    parts += [f"note: {note}" for note in verdict["notes"]]
    return "\n".join([*parts, verdict_sentence(verdict), ""])


def verdict_sentence(verdict: Mapping[str, Any]) -> str:
    """A summary of the verdict in one line."""
    counts = [f"{count} {name}" for name, count in verdict["summary"].items() if count]
    return f"{', '.join(counts) or 'nothing'} found in {verdict['judged']} exchange{plural_ending(verdict['judged'])}"


def _numbers_text(exchanges: Sequence[int]) -> str:
    return f"exchange{plural_ending(len(exchanges))} {', '.join(map(str, exchanges))}"


def junit(coverage: Mapping[str, Any] | None, verdict: Mapping[str, Any] | None = None) -> bytes:
    """JUnit XML: one test case per documented response, skipped if it did not occur; undocumented ones and findings
    fail.
    """
    root = Element("testsuites", name="mockserver")
    if verdict is not None:
        _add_suite(root, "verdict", _verdict_cases(verdict["findings"]))
    if coverage is not None:
        _add_suite(root, "coverage", _coverage_cases(coverage["coverage"]))
    for name in ("tests", "failures", "skipped", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    return _to_xml(root)


def _add_suite(root: Element, name: str, cases: Iterator[Element]) -> None:
    suite = SubElement(root, "testsuite", name=name)
    suite.extend(list(cases))
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suite.set("errors", "0")


def _coverage_cases(coverage: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    for each in coverage:
        where = f"{each['tag'] or 'untagged'}.{each['key']}"
        for status, count in each["responses"].items():
            case = _case(where, f"{each['method']} {each['path']} {status}")
            if not count:
                SubElement(case, "skipped", message="no request of the tests was answered with it")
            yield case
        for status, count in each["undocumented"].items():
            case = _case(where, f"{each['method']} {each['path']} {status}")
            SubElement(case, "failure", type="undocumented", message=f"met {count} times, but not documented")
            yield case


def _verdict_cases(findings: Sequence[Mapping[str, Any]]) -> Iterator[Element]:
    if not findings:
        yield _case("verdict", "no findings")
    for n, each in enumerate(findings, 1):
        case = _case(f"verdict.{each['code']}", _clean(f"{each['code']} #{n} in {each['sandbox']}"))
        text = _clean(f"{each['sentence']}\n{_numbers_text(each['exchanges']).capitalize()}.\n{each['advice']}")
        if each["severity"] == "info":
            SubElement(case, "system-out").text = text
        else:
            message = _clean(each["sentence"])
            SubElement(case, "failure", type=each["severity"], message=message).text = text
        yield case


def _case(where: str, name: str) -> Element:
    return Element("testcase", classname=_clean(where), name=_clean(name), time="0")


def cobertura(coverage: Mapping[str, Any], *, timestamp: float = 0) -> bytes:
    """Cobertura-like XML: an API is a package, an operation a class, a documented response a line of it.

    Lines are numbered through the whole report, independently of the document's lines.
    """
    responses = coverage["responses"]
    root = Element("coverage", _rates(responses["met"], responses["documented"]))
    root.set("lines-covered", str(responses["met"]))
    root.set("lines-valid", str(responses["documented"]))
    root.set("timestamp", str(int(timestamp * 1000)))
    root.set("complexity", "0")
    root.set("version", "mockserver")
    SubElement(SubElement(root, "sources"), "source").text = "."
    packages = SubElement(root, "packages")
    line = 0
    tags = list(dict.fromkeys(each["tag"] for each in coverage["coverage"]))
    for tag in tags:
        mine = [each for each in coverage["coverage"] if each["tag"] == tag]
        counts = [count for each in mine for count in each["responses"].values()]
        rates = _rates(sum(1 for count in counts if count), len(counts))
        package = SubElement(packages, "package", {"name": _clean(tag or "untagged"), **rates, "complexity": "0"})
        classes = SubElement(package, "classes")
        for each in mine:
            line = _add_class(classes, each, line)
    return _to_xml(root)


def _add_class(classes: Element, each: Mapping[str, Any], line: int) -> int:
    """Returns the number of the last line."""
    counts = each["responses"]
    rates = _rates(sum(1 for count in counts.values() if count), len(counts))
    facts = {"name": _clean(each["key"]), "filename": _clean(f"{each['method']} {each['path']}"), "complexity": "0"}
    covered = SubElement(classes, "class", facts | rates)
    SubElement(covered, "methods")
    lines = SubElement(covered, "lines")
    for number, count in enumerate(counts.values(), line + 1):
        SubElement(lines, "line", number=str(number), hits=str(count), branch="false")
    return line + len(counts)


def _rates(met: int, whole: int) -> dict[str, str]:
    rate = f"{met / whole:.4f}" if whole else "0"
    return {"line-rate": rate, "branch-rate": "0"}


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)


def _to_xml(root: Element) -> bytes:
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'.encode()
