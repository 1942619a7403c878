"""The document itself: valid OpenAPI, whole, true to its own examples, and literal in Agent First's error texts."""

import pytest
from document import DOCUMENT, Json, Node, component, exemplified, operations, responses, successes
from openapi_spec_validator import OpenAPIV31SpecValidator

AGENT_FIRST = "Agent First"

NO_TOKEN = ["Authorization header must be provided"]
NO_CREDITS = ["Credit balance is 0; top up at https://agentfirst.dev/#pricing"]
BAD_TOKEN = ["Valid API token must be provided"]
# The first is the vendor's; the others follow its manner.
INVALID = [
    "Character counts must be no more than 255",
    "Character counts must be no more than 2047",
    "Prompts must number between 1 and 1000",
    "JSON was malformed",
]
UNKNOWN = ["Unknown error occurred"]
COMMON = {"401": NO_TOKEN, "402": NO_CREDITS, "403": BAD_TOKEN, "422": INVALID, "500": UNKNOWN}

SUCCESSES = {
    "queueBatch": {"202": ["application/json"]},
    "getBatchStatus": {"200": ["application/json"]},
    "getCompletion": {"200": ["application/json", "text/html"], "202": ["application/json"]},
    "askModel": {"200": ["application/json", "text/html"], "202": ["application/json"]},
    "listDevices": {"200": ["application/json"]},
    "getUser": {"200": ["application/json"]},
    "getArchive": {"200": ["application/zip", "application/x-ndjson"]},
}
REFUSALS = {
    "queueBatch": COMMON,
    "getBatchStatus": COMMON,
    "getCompletion": COMMON,
    "askModel": {
        "401": NO_TOKEN,
        "402": NO_CREDITS,
        "403": [*BAD_TOKEN, "Captcha was detected"],
        "422": INVALID,
        "500": UNKNOWN,
        "503": ["Service is autoscaling; please retry in 60 seconds"],
        "504": ["Request(s) timed out"],
    },
    "listDevices": {"401": NO_TOKEN, "402": NO_CREDITS, "403": BAD_TOKEN, "500": UNKNOWN},
    "getUser": {
        "401": NO_TOKEN,
        "403": BAD_TOKEN,
        "429": ["Rate limit was exceeded; please retry in 180 seconds"],
        "500": UNKNOWN,
    },
    "getArchive": {"404": ["Archive is nonexistent"], "422": INVALID, "500": UNKNOWN},
}
RETRY_AFTER = {("getUser", "429"): 180, ("askModel", "503"): 60}
# A ZIP file cannot be written down in YAML.
WITHOUT_EXAMPLE = {("paths", "/ai/archives/{sandbox}/{id}", "get", "responses", "200", "content", "application/zip")}


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_operation_is_named_tagged_and_summed_up() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}

    for key, operation in operations().items():
        assert operation.value.get("operationId") == key
        assert operation.value["tags"] and set(operation.value["tags"]) <= tags, key
        assert operation.value.get("summary") and operation.value.get("description"), key


def test_agent_first_answers_success_in_its_documented_media_types() -> None:
    assert successes(AGENT_FIRST) == SUCCESSES


def test_agent_first_refuses_with_its_documented_statuses_and_literal_texts() -> None:
    found = {
        key: {status: response.child("content", "text/plain").examples() for status, response in answers.items()}
        for key, answers in responses("45", AGENT_FIRST).items()
    }

    assert found == REFUSALS


def test_every_refusal_of_agent_first_is_plain_text_and_nothing_else() -> None:
    for key, answers in responses("45", AGENT_FIRST).items():
        for status, response in answers.items():
            assert list(response.value["content"]) == ["text/plain"], f"{key} {status}"


def test_a_refusal_of_agent_first_that_passes_by_itself_says_when_to_retry() -> None:
    found = {
        (key, status): response.child("headers", "Retry-After").value["example"]
        for key, answers in responses("45", AGENT_FIRST).items()
        for status, response in answers.items()
        if "headers" in response.value
    }

    assert found == RETRY_AFTER


def test_every_media_type_that_can_have_an_example_has_one() -> None:
    without = {node.place for node in exemplified() if not node.examples()}

    assert without == WITHOUT_EXAMPLE


@pytest.mark.parametrize("node", exemplified(), ids=lambda node: " ".join(map(str, node.place)))
def test_every_example_is_accepted_by_its_own_schema(node: Node) -> None:
    for example in node.examples():
        assert node.child("schema").accepts(example), example


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": []},
        {"prompts": ["?"] * 1001},
        {"prompts": [""]},
        {"prompts": ["\U0001f3b8" * 2048]},
        {"prompts": None},
        {"model": "claude"},
        {"format": "raw (planned)"},
        {"expiration": 2},
        {"expiration": True},
        {"subdivision": "US-TN"},
        {"callback": "ftp://hooks.example"},
        {"callback": "ARN:aws:sqs:us-east-1:123456789012:finished"},
        {"callback (planned)": "https://" + "a" * 2040},
    ],
    ids=lambda change: str(change)[:60],
)
def test_an_agent_first_batch_beyond_the_limits_is_not_acceptable(change: dict[str, Json]) -> None:
    schema = component("schemas", "BatchRequest")

    assert not schema.accepts({"prompts": ["?"], **change})


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": ["?"] * 1000},
        {"prompts": ["\U0001f3b8" * 2047]},
        {"expiration": 1.0},
        {"callback": "arn:aws:sqs:us-east-1:123456789012:finished"},
        {"callback": "HTTP://127.0.0.1:8080/told"},
        {"callback (planned)": "HttpS://hooks.example"},
        {"callback": "https://sqs.us-east-1.amazonaws.com/123456789012/finished"},
        {"temperature": "unknown fields are ignored"},
        *({key: None} for key in DOCUMENT["components"]["schemas"]["BatchRequest"]["properties"] if key != "prompts"),
    ],
    ids=lambda change: str(change)[:60],
)
def test_an_agent_first_batch_at_the_limits_or_with_nulls_is_acceptable(change: dict[str, Json]) -> None:
    schema = component("schemas", "BatchRequest")

    assert schema.accepts({"prompts": ["?"], **change})


def test_only_the_archive_is_open_to_those_without_a_token() -> None:
    assert DOCUMENT["security"] == [{"bearerAuth": []}]
    assert {key: node.value["security"] for key, node in operations().items() if "security" in node.value} == {
        "getArchive": []
    }


def test_devices_are_listed_in_alphabetical_order_ignoring_case() -> None:
    devices = operations()["listDevices"].child("responses", "200", "content", "application/json").examples()[0]

    assert devices[:3] == ["Blackberry PlayBook", "Blackberry PlayBook landscape", "BlackBerry Z30"]
    assert devices == sorted(devices, key=str.casefold)
    assert len(devices) >= 60
