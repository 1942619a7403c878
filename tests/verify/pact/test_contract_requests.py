"""A request as a Pact file writes it: its arguments, and its body."""

import base64
from typing import Any

import orjson
import pytest

from mockserver.http import Request
from mockserver.openapi.operations import Content, Operation
from mockserver.openapi.router import Router
from mockserver.openapi.schema import Schema
from mockserver.verify.pact.requests import Argument, RequestBody, find_arguments, with_values


def operation(body: dict[str, Content] | None = None, path: str = "/x") -> Operation:
    return Operation("x", "POST", path, "", "", (), body, False, {})


def body_of(sent: bytes, media_type: str = "", body: dict[str, Content] | None = None) -> RequestBody:
    headers = {"content-type": media_type} if media_type else {}
    return RequestBody.of(operation(body), Request("POST", "/x", "", headers, sent))


def test_arguments_of_the_path_and_ids_of_the_query_name_resources() -> None:
    router = Router([operation(path="/jobs/{job-id}/{part.name}")])
    request = Request("POST", "/jobs/a/b", "id=1&request_id=2&limit=&after-id=3", {}, b"")

    assert find_arguments(router, request) == [
        Argument("path", "job_id", "a", "", True),
        Argument("path", "part_name", "b", "", True),
        Argument("query", "id", "1", "", True),
        Argument("query", "request_id", "2", "", False),
        Argument("query", "limit", "", "", False),
        Argument("query", "after_id", "3", "", True),
    ]
    assert find_arguments(router, request._replace(path="/other", query="a=1")) == [Argument("query", "a", "1")]


def test_whole_segments_of_a_path_are_replaced() -> None:
    assert with_values("/jobs/job/jobs/job-1", {"job": "${id}"}) == "/jobs/${id}/jobs/job-1"


def test_a_request_without_a_body_has_none() -> None:
    assert body_of(b"", "application/json") == RequestBody("", None, None, None, "")


@pytest.mark.parametrize(
    ("stated", "documented", "written"),
    [
        ("application/json; charset=utf-8", None, "application/json"),
        ("application/problem+json", None, "application/problem+json"),
        ("", "application/json", "application/json"),
    ],
)
def test_a_json_body_is_written_as_json(stated: str, documented: str | None, written: str) -> None:
    body = {documented: Content(documented, None, {})} if documented else None

    assert body_of(b'{"a":[1]}', stated, body) == RequestBody(
        written,
        {"a": [1]},
        {"content": {"a": [1]}, "contentType": written, "encoded": False},
        {"a": ["int"]},
    )


@pytest.mark.parametrize(
    ("sent", "stated", "documented"),
    [
        (b"{", "application/json", None),
        (b"null", "application/json", None),
        (b"{}", "text/plain; a=b", None),
        (b"{}", "", None),
        (b"{}", "", "text/plain"),
        (b"{}", "text/plain", "application/json"),
    ],
)
def test_another_body_is_written_as_text(sent: bytes, stated: str, documented: str | None) -> None:
    body = {documented: Content(documented, None, {})} if documented else None

    assert body_of(sent, stated, body) == RequestBody(
        stated,
        None,
        {"content": sent.decode(), "contentType": stated.partition(";")[0], "encoded": False},
        "text",
    )


def test_bytes_that_are_no_text_are_written_with_replacements() -> None:
    written = body_of(b"a\xff", "text/plain").written

    assert written is not None
    assert written["content"] == "a\ufffd"


def test_ids_in_a_json_body_are_arguments_each_name_once() -> None:
    value = {"job_id": "a", "other": "b", "list": [{"job_id": "c"}, {"part-id": "d", "partId": "e"}], "ids": ["f", "g"]}
    body = body_of(orjson.dumps(value), "application/json")

    assert list(body.arguments()) == [
        Argument("body", "job_id", "a", "$.job_id"),
        Argument("body", "partId", "e", "$.list[1].partId"),
        Argument("body", "ids", "f", "$.ids[0]"),
    ]


def form(schema: Any, examples: dict[str, Any], document: dict[str, Any] | None = None) -> RequestBody:
    content = Content("multipart/form-data", Schema(schema, document or {}) if schema is not None else None, examples)
    return body_of(b"", "multipart/form-data; boundary=zzz", {"multipart/form-data": content})


def test_a_form_is_written_as_the_documents_first_example() -> None:
    schema = {"properties": {"file": {"$ref": "#/components/schemas/File"}, "purpose": {"type": "string"}}}
    document = {"components": {"schemas": {"File": {"type": "string", "format": "binary"}}}}

    body = form(schema, {"text": "no object", "one": {"purpose": "batch", "file": "{}", "n": 5}, "two": {}}, document)

    assert (body.media_type, body.value, body.shape) == (
        "multipart/form-data; boundary=pact-form-boundary",
        None,
        ["file", "n", "purpose"],
    )
    assert body.note == "The form is the document's example, since the journal keeps no files."
    assert body.written is not None
    assert {**body.written, "content": ""} == {
        "content": "",
        "contentType": "multipart/form-data; boundary=pact-form-boundary",
        "encoded": "base64",
    }
    text = base64.b64decode(body.written["content"]).decode()
    assert [line for line in text.split("\r\n") if line and not line.lower().startswith("content-type")] == [
        "--pact-form-boundary",
        'Content-Disposition: form-data; name="purpose"',
        "batch",
        "--pact-form-boundary",
        'Content-Disposition: form-data; name="file"; filename="file.jsonl"',
        "{}",
        "--pact-form-boundary",
        'Content-Disposition: form-data; name="n"',
        "5",
        "--pact-form-boundary--",
    ]


def test_a_form_without_schema_or_example_is_written_too() -> None:
    without_schema = form(None, {"one": {"file": "x"}}).written
    empty = form({}, {})

    assert without_schema is not None
    assert b"filename" not in base64.b64decode(without_schema["content"])
    assert empty.shape == []


def test_a_form_that_the_document_does_not_have_is_written_as_it_was_kept() -> None:
    assert body_of(b"", "multipart/form-data; boundary=z") == RequestBody()
    other = {"application/json": Content("application/json", None, {})}
    assert body_of(b"", "multipart/form-data; boundary=z", other) == RequestBody()
