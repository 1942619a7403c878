"""What a request says of itself before its sandbox is opened."""

import pytest
from builders import make_engine

from mockserver.engine.prepared import sandbox_name
from mockserver.http import Request

NAMED, JSON = {"x-mock-sandbox": "box"}, {"content-type": "application/json"}
TOKEN = {"authorization": "Bearer ann"}


@pytest.mark.parametrize(
    ("headers", "token", "found"),
    [
        ({}, None, ("default", False)),
        ({}, "ann", ("ann", True)),
        (NAMED, None, ("box", False)),
        (NAMED, "ann", ("box", False)),
        ({"x-mock-sandbox": ""}, "ann", ("ann", True)),
    ],
)
def test_a_sandbox_is_named_by_its_header_else_by_the_token(
    headers: dict[str, str], token: str | None, found: tuple[str, bool]
) -> None:
    assert sandbox_name(Request("GET", "/user", "", headers), token) == found


def test_a_prepared_request_has_operation_token_sandbox_and_valid_body() -> None:
    engine = make_engine()
    asked = Request("POST", "/ai/batches", "", TOKEN | JSON, b'{"prompts": ["a"]}')

    prepared = engine.prepare(asked)

    assert prepared.service is not None
    assert prepared.service.operation.key == "queueBatch"
    assert (prepared.token, prepared.sandbox, prepared.by_token) == ("ann", "ann", True)
    assert prepared.body is not None
    assert prepared.body.value == {"prompts": ["a"]}
    assert prepared.without_body().body is None
    assert engine.prepare(asked, parses=False).body is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b'{"prompts": 5}'),
        (JSON | {"content-encoding": "gzip"}, b'{"prompts": ["a"]}'),
        ({"content-type": "application/json; charset=utf-8"}, b'{"prompts": ["a"]}'),
        ({}, b'{"prompts": ["a"]}'),
    ],
)
def test_a_body_that_is_invalid_or_stated_otherwise_is_left_to_validation(headers: dict[str, str], body: bytes) -> None:
    assert make_engine().prepare(Request("POST", "/ai/batches", "", TOKEN | headers, body)).body is None


def test_a_request_without_operation_has_the_reason_and_still_a_sandbox() -> None:
    prepared = make_engine().prepare(Request("GET", "/nowhere", "", TOKEN | NAMED))

    assert (prepared.match, prepared.service, prepared.facts) == (None, None, None)
    assert prepared.refusal is not None
    assert (prepared.token, prepared.sandbox, prepared.by_token) == ("ann", "box", False)
