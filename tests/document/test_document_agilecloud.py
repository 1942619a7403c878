"""What the document says of AgileCloud: its operations, its literal error texts, and where its limits are."""

import pytest
from document import Json, Node, component, operations, responses, successes

TAG = "AgileCloud"

JSON = ["application/json"]
OPERATIONS = {
    "createFile": ("POST /v1/files", {"200": JSON}),
    "listFiles": ("GET /v1/files", {"200": JSON}),
    "retrieveFile": ("GET /v1/files/{file_id}", {"200": JSON}),
    "deleteFile": ("DELETE /v1/files/{file_id}", {"200": JSON}),
    "downloadFile": (
        "GET /v1/files/{file_id}/content",
        {"200": ["application/octet-stream"], "206": ["application/octet-stream"]},
    ),
    "createBatch": ("POST /v1/batches", {"200": JSON}),
    "listBatches": ("GET /v1/batches", {"200": JSON}),
    "retrieveBatch": ("GET /v1/batches/{batch_id}", {"200": JSON}),
    "cancelBatch": ("POST /v1/batches/{batch_id}/cancel", {"200": JSON}),
    "createChatCompletion": ("POST /v1/chat/completions", {"200": ["application/json", "text/event-stream"]}),
    "createEmbedding": ("POST /v1/embeddings", {"200": JSON}),
    "listModels": ("GET /v1/models", {"200": JSON}),
    "retrieveModel": ("GET /v1/models/{model}", {"200": JSON}),
    "createPrompt": ("POST /api/v1/prompts", {"201": JSON}),
    "listPrompts": ("GET /api/v1/prompts", {"200": JSON}),
    "getPrompt": ("GET /api/v1/prompts/{slug}", {"200": JSON}),
    "updatePrompt": ("PATCH /api/v1/prompts/{slug}", {"200": JSON}),
    "archivePrompt": ("DELETE /api/v1/prompts/{slug}", {"204": []}),
    "createPromptVersion": ("POST /api/v1/prompts/{slug}/versions", {"201": JSON}),
    "listPromptVersions": ("GET /api/v1/prompts/{slug}/versions", {"200": JSON}),
    "publishPromptVersion": ("POST /api/v1/prompts/{slug}/versions/{version}/publish", {"200": JSON}),
    "diffPromptVersions": ("GET /api/v1/prompts/{slug}/diff", {"200": JSON}),
    "renderPrompt": ("POST /api/v1/prompts/{slug}/render", {"200": JSON}),
    "startAbTest": ("POST /api/v1/prompts/{slug}/ab-test", {"200": JSON}),
    "getAbResults": ("GET /api/v1/prompts/{slug}/ab-results", {"200": JSON}),
}

EVERYWHERE = {"400", "401", "429", "500"}
FURTHER = {
    "createFile": {"413"},
    "retrieveFile": {"404"},
    "deleteFile": {"404"},
    "downloadFile": {"404", "416"},
    "retrieveBatch": {"404"},
    "cancelBatch": {"404", "409"},
    "createChatCompletion": {"403", "404", "503"},
    "createEmbedding": {"403", "404", "503"},
    "retrieveModel": {"404"},
    "createPrompt": {"409"},
    "getPrompt": {"404"},
    "updatePrompt": {"404", "409"},
    "archivePrompt": {"404"},
    "createPromptVersion": {"404", "409"},
    "listPromptVersions": {"404"},
    "publishPromptVersion": {"404", "409"},
    "diffPromptVersions": {"404"},
    "renderPrompt": {"404", "409"},
    "startAbTest": {"404", "409"},
    "getAbResults": {"404"},
}

KEYS = [
    ("Invalid or missing API key", "authentication_error", None, "invalid_api_key"),
    ("Invalid API key. Get one at agilecloud.ai/dashboard", "authentication_error", None, "invalid_api_key"),
]
PACE = [("Rate limit exceeded. Please retry after a brief wait.", "rate_limit_error", None, "rate_limit_exceeded")]
BROKEN = [("Internal server error.", "server_error", None, "internal_error")]
TIER = [
    ("Model 'gpt-5' requires Business tier or above. Current tier: Pro", "permission_error", None, "tier_restricted")
]
MODEL = [("Model 'x' not found.", "invalid_request_error", "model", "model_not_found")]
FILE = [("No such File object: file-abc123", "invalid_request_error", "id", None)]
BATCH = [("No batch found with id 'batch_abc123'.", "invalid_request_error", None, None)]
ENDED = [("Cannot cancel a batch with status 'completed'.", "invalid_request_error", None, None)]
GUARDRAIL = "Request blocked by content safety policy: violence score 0.92 exceeds threshold 0.5"
CONTENT = [(GUARDRAIL, "guardrail_violation", None, "content_safety_block")]
ID = "Invalid 'input_file_id': 'wrong-id'. Expected an ID that begins with 'file'."
ENDPOINT = "Invalid value: '/v1/invalid/endpoint'. Supported values are: '/v1/chat/completions' and '/v1/embeddings'."
LABEL = "Invalid type for 'metadata.tags': expected a string, but got an array instead."
CREATION = [
    (ID, "invalid_request_error", "input_file_id", "invalid_value"),
    (ENDPOINT, "invalid_request_error", "endpoint", "invalid_value"),
    (LABEL, "invalid_request_error", "metadata.tags", "invalid_type"),
]
# Texts that the vendor's pages, its early server, or recordings of OpenAI's API have word for word.
LITERAL: dict[tuple[str, str], list[tuple[Json, ...]]] = {
    **{(key, "401"): KEYS for key in OPERATIONS},
    **{(key, "429"): PACE for key in OPERATIONS},
    **{(key, "500"): BROKEN for key in OPERATIONS},
    **{(key, "403"): TIER for key in ("createChatCompletion", "createEmbedding")},
    **{(key, "404"): MODEL for key in ("createChatCompletion", "createEmbedding", "retrieveModel")},
    **{(key, "404"): FILE for key in ("retrieveFile", "deleteFile", "downloadFile")},
    **{(key, "404"): BATCH for key in ("retrieveBatch", "cancelBatch")},
    ("cancelBatch", "409"): ENDED,
    ("createBatch", "400"): CREATION,
    ("createChatCompletion", "400"): CONTENT,
}
LIMITS = {
    "X-RateLimit-Limit-Requests": 300,
    "X-RateLimit-Remaining-Requests": 0,
    "X-RateLimit-Limit-Tokens": 500000,
    "X-RateLimit-Remaining-Tokens": 412800,
}
# Headers beside X-Request-ID, by status.
HEADERS = {
    "401": {"WWW-Authenticate": "Bearer"},
    "416": {"Content-Range": "bytes */363"},
    "429": {"Retry-After": 1, **LIMITS},
    "503": {"Retry-After": 15},
}


def errors(response: Node) -> list[tuple[Json, ...]]:
    found = [example["error"] for example in response.child("content", "application/json").examples()]
    return [(error["message"], error["type"], error["param"], error["code"]) for error in found]


def test_agilecloud_has_these_operations_and_answers() -> None:
    found = {}
    for key, answers in successes(TAG).items():
        _, path, method = operations(TAG)[key].place
        found[key] = (f"{str(method).upper()} {path}", answers)

    assert found == OPERATIONS


def test_agilecloud_documents_these_error_statuses() -> None:
    found = {key: set(answers) for key, answers in responses("45", TAG).items()}

    assert found == {key: EVERYWHERE | FURTHER.get(key, set()) for key in OPERATIONS}


@pytest.mark.parametrize(("key", "status"), LITERAL)
def test_agilecloud_documents_literal_error_texts(key: str, status: str) -> None:
    found = errors(responses("45", TAG)[key][status])

    assert [error for error in found if error in LITERAL[key, status]] == LITERAL[key, status]


def test_every_refusal_of_agilecloud_is_openais_envelope_and_nothing_else() -> None:
    for key, answers in responses("45", TAG).items():
        for status, response in answers.items():
            assert list(response.value["content"]) == JSON, f"{key} {status}"
            assert response.child("content", "application/json", "schema").place == ("components", "schemas", "Error")
            assert errors(response), f"{key} {status}"


@pytest.mark.parametrize("missing", ["message", "type", "param", "code"])
def test_an_error_needs_all_its_keys(missing: str) -> None:
    error = {"message": "No", "type": "server_error", "param": None, "code": None}
    schema = component("schemas", "Error")

    assert schema.accepts({"error": error})
    assert not schema.accepts({"error": {key: value for key, value in error.items() if key != missing}})


def test_every_answer_of_agilecloud_carries_a_request_id() -> None:
    for key, answers in responses("2345", TAG).items():
        for status, response in answers.items():
            header = response.child("headers", "X-Request-ID")
            assert header.place == ("components", "headers", "RequestId"), f"{key} {status}"


def test_errors_of_agilecloud_document_the_headers_that_clients_read() -> None:
    for key, answers in responses("45", TAG).items():
        for status, response in answers.items():
            named = {name: response.child("headers", name).value["example"] for name in response.value["headers"]}
            del named["X-Request-ID"]

            assert named == HEADERS.get(status, {}), f"{key} {status}"
