"""What a document says of an exchange that another server answered."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from builders import make_document
from foreign import foreign_engine

from mockserver.contract.capture import BodyCapture
from mockserver.contract.exchange import DocumentChecker, RequestCheck
from mockserver.http import Request, Response

JSON = "application/json"
HEADERS: dict[str, Any] = {
    "X-Count": {"schema": {"type": "integer", "maximum": 5}},
    "X-Needed": {"required": True, "schema": {"type": "string"}},
    "X-Free": {"required": False},
    "X-Odd": {"schema": True},
    "Content-Type": {"required": True, "schema": {"type": "string"}},
}
OK = {"description": "Fine.", "headers": HEADERS, "content": {JSON: {"schema": {"type": "object"}}}}
NONE = {"description": "Nothing.", "content": {JSON: {}}}
PATHS = {
    "/things": {
        "get": {
            "operationId": "list",
            "responses": {"200": OK, "202": {"description": "Later."}, "204": NONE, "304": NONE},
        },
        "post": {
            "operationId": "add",
            "security": [{"token": []}],
            "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object", "required": ["a"]}}}},
            "responses": {"200": OK},
        },
    }
}
SECURITY = {"components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return foreign_engine(make_document(PATHS, **SECURITY), tmp_path_factory.mktemp("exchange")).services


@pytest.fixture(scope="module")
def checker(services: Any) -> DocumentChecker:
    return DocumentChecker(services)


def check(checker: DocumentChecker, method: str, headers: dict[str, str], body: bytes | None = None) -> RequestCheck:
    request = Request(method, "/things", "", headers)
    kept = None
    if body is not None:
        kept = BodyCapture(headers)
        kept.add(body)
        kept.end()
    return checker.check_request(request, checker.route(request), kept)


def places(found: Any) -> list[tuple[str, str]]:
    return [(".".join(map(str, each.location)), each.code) for each in found]


def answered(checker: DocumentChecker, method: str = "GET", **changes: Any) -> list[tuple[str, str]]:
    service = check(checker, "GET", {}).service
    headers = changes.pop("headers", {"X-Needed": "a"})
    response = Response(200, JSON, b"{}", tuple(headers.items()))._replace(**changes)
    return places(checker.check_response(service, method, response))


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"X-Needed": "a"}, []),
        ({"x-needed": "a", "x-count": "5", "X-Free": "x", "X-Odd": "x"}, []),
        ({"X-Needed": "a", "X-Count": "6"}, [("response.header.X-Count", "maximum")]),
        ({"X-Needed": "a", "X-Count": "many"}, [("response.header.X-Count", "type")]),
        ({}, [("response.header.X-Needed", "required")]),
        ({"X-Count": "6"}, [("response.header.X-Count", "maximum"), ("response.header.X-Needed", "required")]),
    ],
)
def test_documented_headers_of_an_answer_are_validated(
    checker: DocumentChecker, headers: dict[str, str], found: list[tuple[str, str]]
) -> None:
    assert answered(checker, headers=headers) == found


def test_a_missing_header_and_an_undocumented_answer_are_said_in_words(checker: DocumentChecker) -> None:
    service = check(checker, "GET", {}).service

    missing = checker.check_response(service, "GET", Response(200, JSON, b"{}"))
    status = checker.check_response(service, "GET", Response(201, JSON, b"{}"))
    media = checker.check_response(service, "GET", Response(200, "text/html", b"", (("X-Needed", "a"),)))

    assert [each.message for each in missing] == ["the documented header X-Needed is missing"]
    assert [each.message for each in status] == [
        "list does not document the status 201; it documents 200, 202, 204, 304"
    ]
    assert [each.message for each in media] == ["list does not document 'text/html' for 200"]


@pytest.mark.parametrize(
    ("method", "changes", "found"),
    [
        ("GET", {"body": b"[]"}, [("response.body", "type")]),
        ("HEAD", {"body": b"[]"}, []),
        ("GET", {"status": 204, "body": b"[", "headers": {}}, []),
        ("GET", {"status": 304, "body": b"[", "headers": {}}, []),
        ("GET", {"status": 404, "body": b"[]"}, [("response.status", "undocumented")]),
        ("GET", {"media_type": "text/html"}, [("response.header.Content-Type", "undocumented")]),
        ("HEAD", {"media_type": "text/html"}, [("response.header.Content-Type", "undocumented")]),
        ("HEAD", {"media_type": "", "body": b""}, []),
        ("HEAD", {"status": 202, "media_type": "text/html", "body": b"<p>"}, []),
        ("GET", {"body": iter(())}, []),
    ],
)
def test_the_body_of_an_answer_is_validated_where_there_may_be_one(
    checker: DocumentChecker, method: str, changes: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    assert answered(checker, method, **changes) == found


def test_an_answer_to_no_operation_is_not_validated(checker: DocumentChecker) -> None:
    assert checker.check_response(None, "GET", Response(500, JSON, b"[")) == ()


TOKEN = {"authorization": "Bearer t", "content-type": JSON, "content-length": "7"}


@pytest.mark.parametrize(
    ("headers", "body", "found"),
    [
        (TOKEN, b'{"a":1}', []),
        (TOKEN, b"{}", [("request.body", "required")]),
        (TOKEN | {"content-encoding": "br"}, b'{"a":1}', None),
        (TOKEN | {"content-encoding": "gzip"}, gzip.compress(b'{"a":1}', mtime=0), []),
        (TOKEN | {"content-encoding": "gzip"}, gzip.compress(b"{}", mtime=0), [("request.body", "required")]),
        (TOKEN | {"content-encoding": "gzip"}, b'{"a":1}', None),
        ({"content-type": JSON}, b'{"a":1}', [("request.header.Authorization", "required")]),
        ({"content-type": JSON}, b"{}",
         [("request.header.Authorization", "required"), ("request.body", "required")]),
        ({"content-type": JSON}, b" " * (1024 * 1024 + 1), [("request.header.Authorization", "required")]),
        (TOKEN, b" " * (1024 * 1024 + 1), []),
    ],
)  # fmt: skip
def test_all_that_is_wrong_with_a_request_is_found_at_once(
    checker: DocumentChecker, headers: dict[str, str], body: bytes, found: list[tuple[str, str]] | None
) -> None:
    checked = check(checker, "POST", headers, body)

    if found is None:
        assert checked.refusal is not None
    else:
        assert places(checked.violations) == found


def test_a_missing_credential_is_said_in_words(checker: DocumentChecker) -> None:
    (violation,) = check(checker, "POST", {"content-type": JSON}, b'{"a":1}').violations

    assert violation.message == "there is no bearer token, which the document demands"


def test_a_request_to_no_operation_says_so(checker: DocumentChecker, tmp_path: Path) -> None:
    request = Request("GET", "/nothing", "", {})

    checked = checker.check_request(request, checker.route(request), None)

    assert checked.service is None
    assert places(checked.violations) == [("request.path", "no-operation")]


def test_a_body_that_cannot_be_read_and_a_missing_credential_are_both_found(checker: DocumentChecker) -> None:
    headers = {"content-type": "text/csv", "content-length": "1"}

    without = check(checker, "POST", headers, b"x")
    with_token = check(checker, "POST", headers | TOKEN | {"content-type": "text/csv"}, b"x")

    assert without.refusal is not None
    assert with_token.refusal is not None
    assert without.refusal.reason == with_token.refusal.reason
    assert places(without.violations)[0] == ("request.header.Authorization", "required")
    assert places(with_token.violations) == [("request.header.Content-Type", "media-type")]
    assert without.violations[1:] == with_token.violations
