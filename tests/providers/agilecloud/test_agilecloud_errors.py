"""How AgileCloud says no: OpenAI's envelope, its sentences, and what of the document stays as it is."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import ask, make_document, make_engine, make_operation, value_of, write_json
from document import operations

from mockserver.engine import build as loading
from mockserver.engine.engine import Engine
from mockserver.engine.overrides import read_rules
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Response
from mockserver.providers.agentfirst import operations as agentfirst
from mockserver.providers.agilecloud import hooks as agilecloud
from mockserver.providers.agilecloud.errors import format_error, message_and_code, validation_error_json

QUESTION = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
BATCH = {"input_file_id": "file-abc123", "endpoint": "/v1/chat/completions", "completion_window": "24h"}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(loading, "find_providers", lambda: [agentfirst.api, agilecloud.api])
    return make_engine()


def refused(engine: Engine, path: str, status: int = 400, method: str = "POST", **given: Any) -> Any:
    response = ask(engine, method, path, **given)
    assert response.status == status, response
    return value_of(response)["error"]


@pytest.mark.parametrize(
    ("method", "path", "nearest"),
    [
        ("POST", "/v1/responses", "The nearest operation is POST /v1/chat/completions."),
        ("GET", "/v1/responses/resp_1", "The nearest operation is POST /v1/chat/completions."),
        ("POST", "/v1/completions", "The nearest operation is POST /v1/chat/completions."),
        ("POST", "/v1/v1/chat/completions", "Your base URL has /v1 twice."),
        ("GET", "/api/v1/api/v1/prompts", "Your base URL has /api/v1 twice."),
        ("GET", "/v1/ai/batches", "Your base URL has /v1, which is no part of this path."),
        ("DELETE", "/v1/file/file-1", "The nearest operation is DELETE /v1/files/{file_id}."),
        ("PUT", "/v1/model", "The nearest operation is GET /v1/models."),
        ("GET", "/api/v1/prompt", "The nearest operation is GET /api/v1/prompts."),
        ("GET", "/v1", "The command `mockserver operations` lists what it does."),
        ("POST", "/v1/" + "zq" * 90, "The command `mockserver operations` lists what it does."),
    ],
)
def test_an_unimitated_path_is_rejected_in_openais_format(engine: Engine, method: str, path: str, nearest: str) -> None:
    error = refused(engine, path, 404, method, token=None)

    message = f"mockserver does not imitate {method} {path}. {nearest}"
    assert error == {"message": message, "type": "invalid_request_error", "param": None, "code": "unknown_url"}


def test_an_unimitated_method_is_rejected_with_the_imitated_ones(engine: Engine) -> None:
    response = ask(engine, "DELETE", "/v1/models")

    assert (response.status, dict(response.headers)["Allow"]) == (405, "GET, HEAD, OPTIONS")
    message = "/v1/models does not answer DELETE; it answers GET, HEAD, OPTIONS."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "method_not_supported"}
    assert value_of(response) == {"error": error}


def test_a_request_to_an_unknown_path_is_unexpected_and_has_an_id(engine: Engine) -> None:
    answers = [ask(engine, "POST", path, headers={"x-request-id": "mine"}) for path in ("/v1/responses", "/v1/models")]

    exchanges = list(engine.sandboxes.open("test").journal.find(lambda _: True))
    assert [each.reason for each in exchanges] == ["no-such-path", "method-not-allowed"]
    assert all(each.is_unexpected and each.operation == "" for each in exchanges)
    assert all(("X-Request-ID", "mine") in each.headers for each in answers)
    assert ask(engine, "OPTIONS", "/v1/models").status == 204


def test_a_long_path_is_shortened_in_the_error(engine: Engine) -> None:
    error = refused(engine, "/v1/" + "x" * 100_000, 404, "A" * 100_000)

    assert len(error["message"]) < 600


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v10", 404), ("GET", "/ai/batch", 404), ("PUT", "/user", 405)]
)
def test_unknown_paths_of_other_apis_are_problem_documents(engine: Engine, method: str, path: str, status: int) -> None:
    response = ask(engine, method, path)

    assert (response.status, response.media_type) == (status, "application/problem+json")


def test_an_unknown_path_near_another_document_is_not_agileclouds(tmp_path: Path) -> None:
    document = make_document({"/v1/pets": {"get": make_operation("listPets", example=[])}})
    engine = make_engine(spec=(str(write_json(tmp_path / "pets.json", document)),))

    asked = [("GET", "/v1/petz"), ("PUT", "/v1/pets"), ("POST", "/v1/chat/completion")]
    kinds = [ask(engine, method, path).media_type for method, path in asked]

    assert kinds == ["application/problem+json", "application/problem+json", "application/json"]


@pytest.mark.parametrize(
    ("path", "body", "message", "param", "code"),
    [
        (
            "/v1/chat/completions",
            {"model": "gpt-4o-mini"},
            "Missing required parameter: 'messages'.",
            "messages",
            "missing_required_parameter",
        ),
        (
            "/v1/chat/completions",
            {**QUESTION, "temperature": 3},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
            "temperature",
            "decimal_above_max_value",
        ),
        (
            "/v1/chat/completions",
            {**QUESTION, "max_tokens": 0},
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "max_tokens",
            "integer_below_min_value",
        ),
        (
            "/v1/chat/completions",
            {"model": "gpt-4o-mini", "messages": [{"role": "owl", "content": "Hu"}]},
            "Invalid value: 'owl'. Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', and "
            "'function'.",
            "messages[0].role",
            "invalid_value",
        ),
        (
            "/v1/chat/completions",
            {**QUESTION, "messages": []},
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        ),
        (
            "/v1/chat/completions",
            {**QUESTION, "stop": 7},
            "Invalid type for 'stop': expected a string or an array, but got an integer instead.",
            "stop",
            "invalid_type",
        ),
        (
            "/v1/chat/completions",
            [],
            "Invalid type for 'body': expected an object, but got an array instead.",
            None,
            "invalid_type",
        ),
        (
            "/v1/embeddings",
            {"model": "text-embedding-3-small"},
            "Missing required parameter: 'input'.",
            "input",
            "missing_required_parameter",
        ),
        (
            "/v1/batches",
            {**BATCH, "input_file_id": "wrong-id"},
            "Invalid 'input_file_id': 'wrong-id'. Expected an ID that begins with 'file'.",
            "input_file_id",
            "invalid_value",
        ),
        (
            "/v1/batches",
            {**BATCH, "endpoint": "/v1/invalid/endpoint"},
            "Invalid value: '/v1/invalid/endpoint'. Supported values are: '/v1/chat/completions' and '/v1/embeddings'.",
            "endpoint",
            "invalid_value",
        ),
        (
            "/v1/batches",
            {**BATCH, "completion_window": "48h"},
            "Invalid value: '48h'. Supported values are: '24h'.",
            "completion_window",
            "invalid_value",
        ),
        (
            "/v1/batches",
            {**BATCH, "metadata": {"tags": ["a"]}},
            "Invalid type for 'metadata.tags': expected a string, but got an array instead.",
            "metadata.tags",
            "invalid_type",
        ),
        (
            "/api/v1/prompts",
            {"slug": "a b", "template": "Hi"},
            "Invalid 'slug': string does not match pattern. Expected a string that matches the pattern "
            "'^[A-Za-z0-9][A-Za-z0-9_-]*$'.",
            "slug",
            "invalid_value",
        ),
    ],
)
def test_violations_have_openais_messages(
    engine: Engine, *, path: str, body: Any, message: str, param: str | None, code: str
) -> None:
    error = refused(engine, path, json=body)

    assert error == {"message": message, "type": "invalid_request_error", "param": param, "code": code}


@pytest.mark.parametrize(
    ("path", "query", "message", "code"),
    [
        ("/v1/batches", "101", "above maximum value. Expected a value <= 100, but got 101", "integer_above_max_value"),
        ("/v1/batches", "-1", "below minimum value. Expected a value >= 0, but got -1", "integer_below_min_value"),
        ("/v1/files", "0", "below minimum value. Expected a value >= 1, but got 0", "integer_below_min_value"),
        (
            "/v1/files",
            "10001",
            "above maximum value. Expected a value <= 10000, but got 10001",
            "integer_above_max_value",
        ),
        (
            "/v1/files",
            "99999999999999999999",
            "above maximum value. Expected a value <= 10000, but got 100000000000000000000",
            "integer_above_max_value",
        ),
    ],
)
def test_a_limit_out_of_bounds_has_openais_message(
    engine: Engine, path: str, query: str, message: str, code: str
) -> None:
    error = refused(engine, path, method="GET", query={"limit": query})

    assert (error["message"], error["code"]) == (f"Invalid 'limit': integer {message} instead.", code)
    assert error["param"] == "limit"


@pytest.mark.parametrize("given", ["abc", "1.5", "", "1e1", "true"])
def test_a_limit_that_is_no_integer_has_the_wrong_type(engine: Engine, given: str) -> None:
    error = refused(engine, "/v1/batches", method="GET", query={"limit": given})

    assert (error["param"], error["code"]) == ("limit", "invalid_type")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("max_tokens", 0, "integer_below_min_value"),
        ("max_completion_tokens", -7, "integer_below_min_value"),
        ("n", 0, "integer_below_min_value"),
        ("n", 129, "integer_above_max_value"),
        ("top_logprobs", 21, "integer_above_max_value"),
        ("temperature", 2.1, "decimal_above_max_value"),
        ("temperature", -1, "decimal_below_min_value"),
        ("top_p", 1.5, "decimal_above_max_value"),
        ("top_p", -0.1, "decimal_below_min_value"),
        ("presence_penalty", -3, "decimal_below_min_value"),
        ("frequency_penalty", 2.5, "decimal_above_max_value"),
        ("max_tokens", 1.5, "invalid_type"),
        ("n", "1", "invalid_type"),
        ("n", True, "invalid_type"),
        ("temperature", "1", "invalid_type"),
    ],
)
def test_a_number_out_of_bounds_has_openais_code(engine: Engine, field: str, value: Any, code: str) -> None:
    error = refused(engine, "/v1/chat/completions", json={**QUESTION, field: value})

    assert (error["param"], error["code"]) == (field, code)
    assert f"but got {value} instead." in error["message"] or code == "invalid_type"


def test_a_body_that_is_not_json_is_rejected_with_that_message(engine: Engine) -> None:
    error = refused(engine, "/v1/embeddings", body=b"{", headers={"content-type": "application/json"})

    assert (error["message"], error["code"]) == ("The body could not be parsed as JSON.", "invalid_json")


def test_another_content_type_is_a_bad_request(engine: Engine) -> None:
    error = refused(engine, "/v1/embeddings", body=b"{}", headers={"content-type": "text/plain"})

    assert error["message"] == "Unsupported content type. Send the request with 'application/json'."


@pytest.mark.parametrize("token", [None, "mock-revoked"])
@pytest.mark.parametrize("key", operations("AgileCloud"))
def test_a_bad_key_gets_the_documented_error_everywhere(engine: Engine, key: str, token: str | None) -> None:
    [operation] = [each.operation for each in engine.services if each.operation.key == key]
    path = operation.path.replace("{version}", "1")

    response = ask(engine, operation.method, path, token=token)

    assert response.status == 401
    assert value_of(response)["error"] == {
        "message": "Invalid or missing API key",
        "type": "authentication_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert [value for name, value in response.headers if name == "WWW-Authenticate"] == ["Bearer"]


@pytest.mark.parametrize(
    ("violation", "said"),
    [
        (
            Violation(("body",), "additionalProperties", "No more ('x' was unexpected)", names=("x",)),
            ("x", "unknown_parameter"),
        ),
        (Violation(("query", "x"), "unknown", "'x' is no parameter"), ("x", "unknown_parameter")),
        (Violation(("query", "x"), "duplicate", "twice"), ("x", "duplicate_parameter")),
        (
            Violation(("query", "x"), "required", "'x' is a required query parameter"),
            ("x", "missing_required_parameter"),
        ),
        (Violation(("body", "x"), "anyOf", "neither", {"anyOf": []}), ("x", "invalid_value")),
        (Violation(("body", "x", 2), "maxLength", "long", {"maxLength": 3}), ("x[2]", "string_above_max_length")),
        (Violation(("body", "x"), "enum", "the fast judge's, without a rule"), ("x", "invalid_value")),
        (Violation(("body", "x"), "missing_variable", "Missing variable: 'a'."), ("x", "missing_variable")),
        (Violation(("body",), "", "No code."), (None, None)),
    ],
)
def test_param_and_code_say_where_and_what(violation: Violation, said: tuple[str | None, str | None]) -> None:
    error = validation_error_json(Refusal(Reason.INVALID, violations=[violation]), 400)

    assert (error["param"], error["code"]) == said


def test_messages_about_bounds_name_existing_bounds_only() -> None:
    most = Violation(("body", "x"), "maximum", "", {"type": ["number", "null"], "minimum": 0, "maximum": 2}, 3.0)
    fewest = Violation(("body", "x"), "minProperties", "", {"minProperties": 1}, {})
    never = Violation(("body", "x"), "const", "", {"const": True}, None)

    text = "Invalid 'x': decimal above maximum value. Expected a value <= 2, but got 3 instead."
    assert message_and_code(most) == (text, "decimal_above_max_value")
    assert (
        message_and_code(fewest)[0]
        == "Invalid 'x': object with too few properties. Expected an object with at least 1 properties."
    )
    assert message_and_code(never)[0] == "Invalid value: null. Supported values are: true."


def test_the_detail_of_a_rejection_has_precedence() -> None:
    violation = Violation(("path", "slug"), "prompt_not_found", "Prompt 'x' not found.")

    error = validation_error_json(Refusal(Reason.NOT_FOUND, "No such prompt.", violations=[violation]), 404)

    assert error == {
        "message": "No such prompt.",
        "type": "invalid_request_error",
        "param": "slug",
        "code": "prompt_not_found",
    }


def test_a_rejection_without_violations_has_the_documented_type_and_code() -> None:
    error = {
        "message": "No such File object: file-abc123",
        "type": "invalid_request_error",
        "param": "id",
        "code": None,
    }
    reply = Response(404, "application/json", orjson.dumps({"error": error}))

    said = format_error(Refusal(Reason.NOT_FOUND, "No such File object: file-x"), reply)

    assert value_of(said)["error"] == {**error, "message": "No such File object: file-x"}


@pytest.mark.parametrize(
    ("status", "family"), [(403, "permission_error"), (429, "rate_limit_error"), (503, "server_error")]
)
def test_the_error_type_follows_from_the_status(status: int, family: str) -> None:
    assert validation_error_json(Refusal(Reason.FAILED, "No."), status) == {
        "message": "No.",
        "type": family,
        "param": None,
        "code": None,
    }


def test_a_documented_response_in_another_format_is_unchanged() -> None:
    reply = Response(400, "text/plain", b"No.")

    assert format_error(Refusal(Reason.INVALID, "Really not."), reply) == reply
    assert format_error(Refusal(Reason.INVALID), reply._replace(media_type="application/json")).body == b"No."


UNDOCUMENTED = (402, 405, 408, 418, 422, 451, 499, 501, 502, 504, 529, 599)


@pytest.mark.parametrize("status", UNDOCUMENTED)
@pytest.mark.parametrize("key", operations("AgileCloud"))
def test_a_stub_with_an_undocumented_status_has_no_param_and_no_code(engine: Engine, key: str, status: int) -> None:
    [operation] = [each.operation for each in engine.services if each.operation.key == key]
    assert status not in operation.statuses
    path = operation.path.replace("{version}", "1")
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else f"The status is {status}"
    rules: list[dict[str, Any]] = [
        {"operation": key, "status": status, "undocumented": True},
        {"operation": key, "reply": {"status": status, "message": "Out of order."}, "undocumented": True},
    ]
    engine.sandboxes.open("test").rules.install(read_rules(rules, engine.services, origin="next", now=0.0))

    answers = [ask(engine, operation.method, path) for _ in rules]

    family = "server_error" if status >= 500 else "invalid_request_error"
    assert [(each.status, each.source) for each in answers] == [(status, "stub")] * 2
    assert [value_of(each)["error"] for each in answers] == [
        {"message": message, "type": family, "param": None, "code": None} for message in (phrase, "Out of order.")
    ]
