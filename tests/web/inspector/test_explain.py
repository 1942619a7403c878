"""What the page of a request says of it: why it was rejected, where, and its like as curl, stub and fixture."""

from typing import Any

import pytest

from mockserver.errors import Reason
from mockserver.web.inspector import explain
from mockserver.web.inspector.explain import (
    HIDDEN,
    MAX_LINES,
    SENTENCES,
    Line,
    as_curl,
    as_fixture,
    as_stub,
    body_lines,
    is_whole,
    why_rejected,
)


def make_exchange(*, reason: str = "", detail: str = "", violations: Any = (), **parts: Any) -> dict[str, Any]:
    """An exchange as the admin API shows it; `request_x` and `response_x` set parts of request and response."""
    request = {"method": "GET", "path": "/things", "query": "", "headers": {}, "body": ""}
    response = {"status": 200, "media_type": "application/json", "body": '{"a":1}', "source": "handler", "bytes": 7}
    for name, value in parts.items():
        side, _, part = name.partition("_")
        if side in {"request", "response"}:
            (request if side == "request" else response)[part] = value
    operation = parts.get("operation", "getThings")
    return {
        "reason": reason,
        "detail": detail,
        "violations": violations,
        "operation": operation,
        "request": request,
        "response": response,
    }


def make_violation(*location: str | int, message: str = "is wrong") -> dict[str, Any]:
    return {"location": list(location), "message": message}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_sentence_and_the_detail_follows(reason: Reason) -> None:
    assert why_rejected(make_exchange(reason=reason, detail="More.")) == f"{SENTENCES[reason]} More."
    assert why_rejected(make_exchange(reason=reason)) == SENTENCES[reason]


@pytest.mark.parametrize(
    ("violations", "said"),
    [
        ([make_violation("body", "a", 0)], "body/a/0: is wrong."),
        ([make_violation("query", "q"), make_violation("body")], "query/q: is wrong (and 1 more)."),
        ([make_violation("body")] * 4, "body: is wrong (and 3 more)."),
    ],
)
def test_the_first_violation_is_told(violations: Any, said: str) -> None:
    exchange = make_exchange(reason="invalid", detail="not shown", violations=violations)

    assert why_rejected(exchange) == f"The OpenAPI document does not allow it: {said}"


@pytest.mark.parametrize(
    ("source", "status", "sentence"),
    [
        ("handler", 200, ""),
        ("handler", 500, ""),
        ("stub", 399, ""),
        ("stub", 400, "A stub answered it."),
        ("fault", 200, "A fault answered it."),
    ],
)
def test_what_was_not_rejected_may_have_been_answered_by_a_stub_or_a_fault(
    source: str, status: int, sentence: str
) -> None:
    assert why_rejected(make_exchange(response_source=source, response_status=status)) == sentence
    told = why_rejected(make_exchange(response_source=source, response_status=status, reason="conflict"))
    assert told == SENTENCES["conflict"]


# Bodies with marks


def test_a_json_body_is_indented_and_marked_where_it_is_wrong() -> None:
    body = '{"a":[1,{"b":"x"}],"c":{},"d":[],"e":null}'
    violations = [
        make_violation("body", message="whole"),
        make_violation("body", "a", 1, "b", message="b is wrong"),
        make_violation("body", "a", 1, "b", message="b is worse"),
        make_violation("body", "a", 1, "missing", "deep", message="missing"),
        make_violation("body", "a", "no index", message="the list"),
        make_violation("body", "a", 9, message="no such item"),
        make_violation("body", "e", "inner", message="null has nothing"),
        make_violation("query", "a", message="not of the body"),
    ]

    assert body_lines(body, violations) == [
        Line("{", ["whole"]),
        Line('  "a": [', ["the list", "no such item"]),
        Line("    1,"),
        Line("    {", ["missing"]),
        Line('      "b": "x"', ["b is wrong", "b is worse"]),
        Line("    }"),
        Line("  ],"),
        Line('  "c": {},'),
        Line('  "d": [],'),
        Line('  "e": null', ["null has nothing"]),
        Line("}"),
    ]


def test_a_body_that_is_one_value_is_one_line() -> None:
    assert body_lines(" 5", [make_violation("body", message="no object")]) == [Line(" 5", ["no object"])]
    assert body_lines("5", []) == [Line("5", ())]


def test_a_body_that_is_no_json_is_shown_line_by_line() -> None:
    assert body_lines("a=1\n\nb", [make_violation("body")]) == [Line("a=1"), Line(""), Line("b")]
    assert body_lines("", []) == [Line("")]


def test_of_a_long_body_no_line_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_LINES == 5000
    marked = [Line("[", ["all"]), Line("  1,"), Line("  2"), Line("]")]
    violations = [make_violation("body", message="all")]

    monkeypatch.setattr(explain, "MAX_LINES", 4)
    assert body_lines("[1,2]", violations) == marked
    monkeypatch.setattr(explain, "MAX_LINES", 3)
    assert body_lines("[1,2]", violations) == [Line(text) for text, *_ in marked]


# Its like


def test_a_request_as_curl_has_no_headers_of_its_own_and_no_credential() -> None:
    headers = {
        **dict.fromkeys(HIDDEN, "x"),
        "content-type": "application/json",
        "authorization": "Bearer [redacted 1a2b]",
        "x-api-key": "[redacted]",
        "x-note": "it's",
    }
    exchange = make_exchange(
        request_method="POST", request_query="a=1&b=2", request_headers=headers, request_body='{"a":"it\'s"}'
    )

    assert as_curl(exchange, "http://here") == (
        "curl -X POST 'http://here/things?a=1&b=2' \\\n"
        "  -H 'content-type: application/json' \\\n"
        "  -H 'authorization: Bearer '\"$TOKEN\" \\\n"
        "  -H 'x-api-key: '\"$TOKEN\" \\\n"
        "  -H 'x-note: it'\"'\"'s' \\\n"
        '  --data-raw \'{"a":"it\'"\'"\'s"}\''
    )
    assert as_curl(make_exchange(), "http://here") == "curl -X GET http://here/things"


@pytest.mark.parametrize(
    ("response", "content"),
    [
        ({}, {"body": {"a": 1}, "media_type": "application/json"}),
        ({"response_body": ""}, {}),
        ({"response_status": 204}, {}),
        ({"response_status": 205}, {}),
        ({"response_status": 304}, {}),
        ({"response_media_type": "application/problem+json; charset=utf-8"},
         {"body": {"a": 1}, "media_type": "application/problem+json"}),
        ({"response_media_type": ""}, {"body": {"a": 1}, "media_type": "application/json"}),
        ({"response_body": "a: b", "response_media_type": "text/csv; x=y"}, {"text": "a: b", "media_type": "text/csv"}),
        ({"response_body": "a: b", "response_media_type": ""}, {"text": "a: b", "media_type": "text/plain"}),
    ],
)  # fmt: skip
def test_a_response_as_a_stub(response: Any, content: Any) -> None:
    exchange = make_exchange(**response)
    status = exchange["response"]["status"]

    assert as_stub(exchange) == {
        "operation": "getThings",
        "reply": {"status": status, **content},
        "undocumented": True,
    }


def test_a_stub_for_an_unknown_path_has_method_and_path() -> None:
    assert as_stub(make_exchange(operation="", response_body="")) == {
        "method": "GET",
        "path": "/things",
        "reply": {"status": 200},
        "undocumented": True,
    }


def test_a_response_as_a_fixture_file() -> None:
    assert as_fixture(make_exchange(response_status=201)) == (
        'responses:\n  getThings:\n  - status: 201\n    body: {"a":1}\n    media_type: "application/json"\n'
    )
    assert as_fixture(make_exchange(operation="")) == ""


@pytest.mark.parametrize(
    ("body", "size", "expected"),
    [("abc", 3, True), ("abc", 4, False), ("\u00e4", 2, True), ("\u00e4", 3, False), ("", None, False), ("", 0, True)],
)
def test_a_response_is_whole_if_all_of_its_bytes_are_shown(body: str, size: int | None, expected: bool) -> None:
    assert is_whole(make_exchange(response_body=body, response_bytes=size)) is expected
