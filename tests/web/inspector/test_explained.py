"""A request explained: the sentence, the marked lines, and its like as curl, stub and fixture."""

from typing import Any

import pytest

from mockserver.errors import Reason
from mockserver.web.inspector import explain


def exchange(**changes: Any) -> dict[str, Any]:
    request = {"method": "POST", "path": "/v1/it's", "query": "", "headers": {}, "body": ""}
    response = {"status": 400, "source": "handler", "body": '{"a": 1}', "media_type": "application/json", "bytes": 8}
    found: dict[str, Any] = {"operation": "addJob", "reason": "", "detail": "", "violations": []}
    for name in ("request", "response"):
        found[name] = {**locals()[name], **changes.pop(name, {})}
    return {**found, **changes}


def test_each_reason_has_a_sentence() -> None:
    assert set(explain.SENTENCES) == set(Reason) - {""}
    assert explain.why_rejected(exchange(reason=Reason.NO_CREDITS, detail="It has 0.")) == (
        "The account's balance is 0, and the operation costs credits. It has 0."
    )


def test_an_invalid_request_names_its_first_violation_and_how_many_there_are() -> None:
    violations = [{"location": ["body", "prompts", 0], "message": "5 is no text"}, {"location": [], "message": ""}]

    one = explain.why_rejected(exchange(reason=Reason.INVALID, violations=violations[:1]))
    two = explain.why_rejected(exchange(reason=Reason.INVALID, violations=violations))
    none = explain.why_rejected(exchange(reason=Reason.INVALID, detail="See there."))

    assert one == "The OpenAPI document does not allow it: body/prompts/0: 5 is no text."
    assert two == "The OpenAPI document does not allow it: body/prompts/0: 5 is no text (and 1 more)."
    assert none == "The OpenAPI document does not allow it: See there."


@pytest.mark.parametrize(
    ("source", "status", "why"),
    [
        ("stub", 400, "A stub answered it."),
        ("stub", 399, ""),
        ("fault", 200, "A fault answered it."),
        ("handler", 500, ""),
    ],
)
def test_an_error_that_was_ordered_says_by_what(source: str, status: int, why: str) -> None:
    assert explain.why_rejected(exchange(response={"source": source, "status": status})) == why


def test_a_rejected_request_that_a_stub_answered_says_why_it_was_rejected() -> None:
    found = exchange(reason=Reason.NOT_FOUND, response={"source": "stub"})

    assert explain.why_rejected(found).startswith("What it names does not exist")


def test_violations_stand_at_their_lines_of_the_body() -> None:
    violations: list[dict[str, Any]] = [
        {"location": ["body", "a", 1], "message": "one"},
        {"location": ["body", "a", 1], "message": "two"},
        {"location": ["body", "b", "missing"], "message": "three"},
        {"location": ["query", "a"], "message": "elsewhere"},
    ]

    lines = explain.body_lines('{"a": [1, "x"], "b": {"c": {}}, "d": []}', violations)

    assert [each.text for each in lines] == [
        "{",
        '  "a": [',
        "    1,",
        '    "x"',
        "  ],",
        '  "b": {',
        '    "c": {}',
        "  },",
        '  "d": []',
        "}",
    ]
    assert [(n, list(each.messages)) for n, each in enumerate(lines) if each.messages] == [
        (3, ["one", "two"]),
        (5, ["three"]),
    ]


def test_a_body_that_is_no_object_is_shown_as_it_is() -> None:
    whole = [{"location": ["body"], "message": "5 is no object"}]

    assert explain.body_lines("5", whole) == [explain.Line("5", ["5 is no object"])]
    assert explain.body_lines("not\nJSON", whole) == [explain.Line("not"), explain.Line("JSON")]
    assert explain.body_lines("[1]", whole)[0] == explain.Line("[", ["5 is no object"])


def test_a_long_body_is_shown_without_marks() -> None:
    whole = [{"location": ["body"], "message": "too long"}]

    at = explain.body_lines(f"[{','.join('1' * (explain.MAX_LINES - 2))}]", whole)
    beyond = explain.body_lines(f"[{','.join('1' * (explain.MAX_LINES - 1))}]", whole)

    assert (len(at), at[0].messages) == (5000, ["too long"])
    assert (len(beyond), beyond[0].messages) == (5001, ())


def test_a_request_as_curl_leaves_credentials_to_a_variable() -> None:
    headers = {
        "host": "127.0.0.1",
        "authorization": "Bearer [redacted 5]",
        "x-api-key": "[redacted]",
        "content-type": "text/plain",
    }
    found = exchange(request={"headers": headers, "query": "a=b&c", "body": "it's"})

    assert explain.as_curl(found, "http://127.0.0.1:4024") == (
        "curl -X POST 'http://127.0.0.1:4024/v1/it'\"'\"'s?a=b&c' \\\n"
        "  -H 'authorization: Bearer '\"$TOKEN\" \\\n"
        "  -H 'x-api-key: '\"$TOKEN\" \\\n"
        "  -H 'content-type: text/plain' \\\n"
        "  --data-raw 'it'\"'\"'s'"
    )
    assert explain.as_curl(exchange(request={"path": "/a"}), "http://h") == "curl -X POST http://h/a"


def test_a_response_becomes_a_stub_of_its_operation_or_of_its_path() -> None:
    reply = {"status": 400, "body": {"a": 1}, "media_type": "application/json"}

    assert explain.as_stub(exchange()) == {"operation": "addJob", "reply": reply, "undocumented": True}
    assert explain.as_stub(exchange(operation="")) == {
        "method": "POST",
        "path": "/v1/it's",
        "reply": reply,
        "undocumented": True,
    }


@pytest.mark.parametrize(
    ("response", "content"),
    [
        ({"body": "text", "media_type": "text/html; charset=utf-8"}, {"text": "text", "media_type": "text/html"}),
        ({"body": "text", "media_type": ""}, {"text": "text", "media_type": "text/plain"}),
        ({"body": "[1]", "media_type": ""}, {"body": [1], "media_type": "application/json"}),
        ({"body": "[1]", "media_type": "application/x+json;q"}, {"body": [1], "media_type": "application/x+json"}),
        ({"body": ""}, {}),
        ({"status": 204, "body": "x"}, {}),
        ({"status": 205, "body": "x"}, {}),
        ({"status": 304, "body": "x"}, {}),
    ],
)
def test_a_stub_has_the_body_of_the_response(response: dict[str, Any], content: dict[str, Any]) -> None:
    found = exchange(response=response)

    assert explain.as_stub(found)["reply"] == {"status": found["response"]["status"], **content}


def test_a_response_becomes_a_fixture_of_its_operation() -> None:
    assert explain.as_fixture(exchange()) == (
        'responses:\n  addJob:\n  - status: 400\n    body: {"a":1}\n    media_type: "application/json"\n'
    )
    assert explain.as_fixture(exchange(response={"body": ""})) == "responses:\n  addJob:\n  - status: 400\n"
    assert explain.as_fixture(exchange(operation="")) == ""


@pytest.mark.parametrize(("size", "is_whole"), [(None, False), (7, True), (8, True), (9, False)])
def test_a_response_is_whole_if_all_of_its_bytes_are_shown(size: int | None, is_whole: bool) -> None:
    assert explain.is_whole(exchange(response={"bytes": size})) is is_whole
    assert explain.is_whole(exchange(response={"body": "ää", "bytes": 4}))
