"""Documented responses: the status a reason picks, the example that is given, and what is made where there is none."""

from typing import Any

import orjson
import pytest

from mockserver.errors import Reason
from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.openapi.responses import (
    STATUSES,
    documented_reply,
    encode_body,
    pick_status,
    problem,
)

JSON = "application/json"


def make_operation(**responses: Any) -> Operation:
    """An operation with responses: `s200={...}`."""
    stated = {name.removeprefix("s"): response for name, response in responses.items()}
    return OpenApiDocument(
        {"openapi": "3.1.0", "paths": {"/a": {"get": {"responses": stated}}}}, "doc.yaml"
    ).operations[0]


@pytest.mark.parametrize(
    ("reason", "documented", "status"),
    [
        (Reason.INVALID, ["400", "422"], 422),
        (Reason.INVALID, ["400"], 400),
        (Reason.INVALID, ["200"], 422),
        (Reason.UNAUTHENTICATED, ["403"], 403),
        (Reason.FORBIDDEN, ["401"], 401),
        (Reason.NOT_FOUND, ["422"], 422),
        (Reason.NOT_FOUND, ["404", "422"], 404),
        (Reason.UNSUPPORTED_MEDIA_TYPE, ["400", "422"], 422),
        (Reason.TOO_LARGE, ["400"], 413),
        (Reason.CONFLICT, ["default", "4XX"], 409),
        (Reason.CONFLICT, ["422", "400"], 422),
        (Reason.CONFLICT, ["400"], 400),
        (Reason.NOT_FOUND, ["400"], 400),
        (Reason.RATE_LIMITED, ["503"], 503),
        (Reason.RATE_LIMITED, ["503", "429"], 429),
    ],
)
def test_a_reason_picks_the_first_of_its_statuses_that_is_documented(
    reason: Reason, documented: list[str], status: int
) -> None:
    assert pick_status(make_operation(**{f"s{name}": {} for name in documented}), reason) == status


def test_every_reason_has_a_status_even_without_an_operation() -> None:
    assert set(STATUSES) == set(Reason)
    assert {reason: pick_status(None, reason) for reason in Reason} == {
        reason: choices[0] for reason, choices in STATUSES.items()
    }


OPERATION = make_operation(
    s200={
        "headers": {
            "Retry-After": {"example": 180},
            "X-Text": {"schema": {"type": "string"}},
            "X-Flag": {"schema": {"type": "boolean", "default": True}},
            "X-Count": {"schema": {"type": "integer"}},
            "X-Said": {"schema": {"type": "string", "example": "so"}},
        },
        "content": {JSON: {"examples": {"one": {"value": {"n": 1}}, "two": {"value": "2"}}}, "text/plain": {}},
    },
    s202={
        "content": {JSON: {"schema": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}}}
    },
    s204={},
    s400={"content": {"text/plain": {"example": "JSON was malformed"}}},
    s401={"content": {"text/plain": {}}},
    s402={"content": {JSON: {}}},
    s403={"content": {"text/plain": {"schema": {"type": "string"}}}},
    s5XX={"content": {"text/plain": {"example": 7}}},
)


def test_the_first_example_is_given_with_the_documented_headers() -> None:
    reply = documented_reply(OPERATION, 200, key=b"")

    assert reply is not None
    assert (reply.status, reply.media_type, reply.body, reply.source) == (200, JSON, b'{"n":1}', "example")
    assert reply.headers == (
        ("Retry-After", "180"), ("X-Text", ""), ("X-Flag", "true"), ("X-Count", "1"), ("X-Said", "so"),
    )  # fmt: skip


@pytest.mark.parametrize(("example", "body"), [("two", b'"2"'), ("one", b'{"n":1}'), ("missing", b'{"n":1}')])
def test_an_example_is_given_by_name(example: str, body: bytes) -> None:
    reply = documented_reply(OPERATION, 200, key=b"", example=example)

    assert reply is not None and reply.body == body


def test_a_response_without_an_example_is_generated_from_its_schema_and_key() -> None:
    first, again, other = (documented_reply(OPERATION, 202, key=key) for key in (b"a", b"a", b"b"))

    assert first is not None and other is not None
    assert first == again
    assert first.source == "generated"
    assert isinstance(first.body, bytes)
    assert isinstance(orjson.loads(first.body)["id"], str)
    assert first.body != other.body


@pytest.mark.parametrize(
    ("status", "media_type", "body", "source"),
    [
        (204, "", b"", "example"),
        (400, "text/plain", b"JSON was malformed", "example"),
        (401, "text/plain", b"", "generated"),
        (402, JSON, b"{}", "generated"),
        (503, "text/plain", b"7", "example"),
    ],
)
def test_a_response_without_documented_content_has_none(status: int, media_type: str, body: bytes, source: str) -> None:
    reply = documented_reply(OPERATION, status, key=b"")

    assert reply is not None
    assert (reply.status, reply.media_type, reply.body, reply.source) == (status, media_type, body, source)


def test_an_undocumented_status_has_no_reply() -> None:
    assert documented_reply(OPERATION, 418, key=b"") is None


@pytest.mark.parametrize(
    ("value", "media_type", "body"),
    [
        ("é", "text/plain", "é".encode()),
        ("é", JSON, '"é"'.encode()),
        ("x", "application/problem+json; charset=utf-8", b'"x"'),
        ({"a": None}, "text/plain", b'{"a":null}'),
        ([], JSON, b"[]"),
    ],
)
def test_a_value_becomes_the_bytes_its_media_type_asks_for(value: Any, media_type: str, body: bytes) -> None:
    assert encode_body(value, media_type) == body


def test_where_the_document_has_no_answer_the_problem_is_described() -> None:
    response = problem(404, "Not Found", "No such path", hint="look again")

    assert (response.status, response.media_type) == (404, "application/problem+json")
    assert isinstance(response.body, bytes)
    assert orjson.loads(response.body) == {
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": "No such path", "hint": "look again",
    }  # fmt: skip
