"""The document itself: valid OpenAPI, whole, literal in its error texts, and true to its own examples."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

Json = Any
Place = tuple[str | int, ...]

DOCUMENT: Json = yaml.safe_load((Path(__file__).parents[1] / "openapi.yaml").read_text(encoding="utf-8"))
NAME = "urn:mockserver:document"
REGISTRY: Registry[Json] = Registry().with_resource(NAME, DRAFT202012.create_resource(DOCUMENT))
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")

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


class Node(NamedTuple):
    """A part of the document, and where it stands once `$ref`s are followed."""

    place: Place
    value: Json

    def child(self, *steps: str | int) -> "Node":
        node = self
        for step in steps:
            node = Node((*node.place, step), node.value[step])
            while isinstance(node.value, dict) and "$ref" in node.value:
                node = Node((), DOCUMENT).child(*node.value["$ref"].removeprefix("#/").split("/"))
        return node

    def children(self, key: str) -> list["Node"]:
        found = self.value.get(key, {})
        steps = found if isinstance(found, dict) else range(len(found))
        return [self.child(key, step) for step in steps]

    def accepts(self, value: Json) -> bool:
        """Whether the schema that stands here accepts the value."""
        pointer = "/".join(quote(str(step).replace("~", "~0").replace("/", "~1")) for step in self.place)
        reference = {"$ref": f"{NAME}#/{pointer}"}
        checker = Draft202012Validator.FORMAT_CHECKER
        return bool(Draft202012Validator(reference, registry=REGISTRY, format_checker=checker).is_valid(value))

    def examples(self) -> list[Json]:
        named = [example.value["value"] for example in self.children("examples")]
        return [self.value["example"], *named] if "example" in self.value else named


def operations() -> dict[str, Node]:
    paths = Node((), DOCUMENT).children("paths")
    nodes = [path.child(method) for path in paths for method in METHODS if method in path.value]
    return {node.value.get("operationId", str(node.place)): node for node in nodes}


def exemplified() -> Iterator[Node]:
    """All that has a schema and examples: parameters, bodies, responses and their headers."""
    for operation in operations().values():
        yield from operation.children("parameters")
        if "requestBody" in operation.value:
            yield from operation.child("requestBody").children("content")
        for response in operation.children("responses"):
            yield from response.children("headers")
            yield from response.children("content")


def responses(digits: str) -> dict[str, dict[str, Node]]:
    """By operation and status, those whose status begins with one of the digits."""
    return {
        key: {
            status: operation.child("responses", status)
            for status in operation.value["responses"]
            if status[0] in digits
        }
        for key, operation in operations().items()
    }


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_operation_is_named_tagged_and_summed_up() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}

    for key, operation in operations().items():
        assert operation.value.get("operationId") == key
        assert operation.value["tags"] and set(operation.value["tags"]) <= tags, key
        assert operation.value["summary"] and operation.value["description"], key


def test_every_operation_answers_success_in_its_documented_media_types() -> None:
    found = {
        key: {status: list(response.value["content"]) for status, response in answers.items()}
        for key, answers in responses("123").items()
    }

    assert found == SUCCESSES


def test_every_operation_refuses_with_its_documented_statuses_and_literal_texts() -> None:
    found = {
        key: {status: response.child("content", "text/plain").examples() for status, response in answers.items()}
        for key, answers in responses("45").items()
    }

    assert found == REFUSALS


def test_every_refusal_is_plain_text_and_nothing_else() -> None:
    for key, answers in responses("45").items():
        for status, response in answers.items():
            assert list(response.value["content"]) == ["text/plain"], f"{key} {status}"


def test_a_refusal_that_passes_by_itself_says_when_to_retry() -> None:
    found = {
        (key, status): response.child("headers", "Retry-After").value["example"]
        for key, answers in responses("45").items()
        for status, response in answers.items()
        if "headers" in response.value
    }

    assert found == RETRY_AFTER


def test_whatever_can_have_an_example_has_one() -> None:
    without = {node.place for node in exemplified() if not node.examples()}

    assert without == WITHOUT_EXAMPLE


@pytest.mark.parametrize("node", list(exemplified()), ids=lambda node: " ".join(map(str, node.place)))
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
        {"callback (planned)": "https://" + "a" * 2040},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_batch_beyond_the_limits_is_not_acceptable(change: dict[str, Json]) -> None:
    schema = Node((), DOCUMENT).child("components", "schemas", "BatchRequest")

    assert not schema.accepts({"prompts": ["?"], **change})


@pytest.mark.parametrize(
    "change",
    [
        {"prompts": ["?"] * 1000},
        {"prompts": ["\U0001f3b8" * 2047]},
        {"expiration": 1.0},
        {"callback": "arn:aws:sqs:us-east-1:123456789012:finished"},
        {"callback": "https://sqs.us-east-1.amazonaws.com/123456789012/finished"},
        {"temperature": "unknown fields are ignored"},
        *({key: None} for key in DOCUMENT["components"]["schemas"]["BatchRequest"]["properties"] if key != "prompts"),
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_batch_at_the_limits_or_with_nulls_is_acceptable(change: dict[str, Json]) -> None:
    schema = Node((), DOCUMENT).child("components", "schemas", "BatchRequest")

    assert schema.accepts({"prompts": ["?"], **change})


def test_only_the_archive_is_open_to_those_without_a_token() -> None:
    assert DOCUMENT["security"] == [{"bearerAuth": []}]
    assert {key: node.value["security"] for key, node in operations().items() if "security" in node.value} == {
        "getArchive": []
    }


def test_the_served_devices_are_many_and_in_alphabetical_order_whatever_their_case() -> None:
    devices = operations()["listDevices"].child("responses", "200", "content", "application/json").examples()[0]

    assert devices[:3] == ["Blackberry PlayBook", "Blackberry PlayBook landscape", "BlackBerry Z30"]
    assert devices == sorted(devices, key=str.casefold)
    assert len(devices) >= 60
