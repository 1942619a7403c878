"""Under `--strict` every example of the document is accepted, and so is the curl example of the vendor's page."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from batch_client import BatchClient, jsonl, request_of
from builders import ask, make_engine, value_of

from mockserver.api.provider import BoundOperation
from mockserver.openapi.requests import FORM

STRICT = make_engine(strict=True)
# The body of the curl command on the vendor's page for POST /ai/batches.
OF_THE_PAGE = {
    "prompts": [
        "Where can I buy a vintage guitar?",
        "Help me find guitar repair shops nearby.",
        "Do any local stores sell vinyl records?",
        "[Additional prompts here]",
    ],
    "model": "gemini",
    "device": None,
    "country": None,
    "subdivision": None,
    "city": None,
    "language (planned)": None,
    "display (planned)": None,
    "format": "rendered",
    "expiration": 0,
    "callback (planned)": "https://webhook.site/02e249f8-1faf-4fab-bcf5-78ce683e85a8",
}


def body_examples() -> Iterator[Any]:
    for service in STRICT.services:
        for media_type, content in (service.operation.body or {}).items():
            for name, value in content.examples.items():
                yield pytest.param(service, media_type, value, id=f"{service.operation.key}-{name}")


def argument_examples() -> Iterator[Any]:
    for service in STRICT.services:
        for parameter in service.operation.parameters:
            node = STRICT.services[0].world.spec.document["paths"][service.operation.path]
            stated = [*node.get("parameters", ()), *node[service.operation.method.lower()].get("parameters", ())]
            for each in stated:
                if each.get("name") == parameter.name and "example" in each:
                    yield pytest.param(parameter, each["example"], id=f"{service.operation.key}-{parameter.name}")


@pytest.mark.parametrize(("service", "media_type", "value"), list(body_examples()))
def test_every_example_of_a_body_is_accepted(service: BoundOperation, media_type: str, value: Any) -> None:
    assert service.operation.body
    schema = service.operation.body[media_type].schema

    assert schema is not None
    assert schema.violations(value) == []


@pytest.mark.parametrize(("parameter", "value"), list(argument_examples()))
def test_every_example_of_an_argument_is_accepted(parameter: Any, value: Any) -> None:
    assert parameter.schema.violations(value) == []


def test_every_line_of_the_example_of_an_input_file_is_accepted() -> None:
    spec = STRICT.services[0].world.spec
    create, chat = spec.by_key["createFile"], spec.by_key["createChatCompletion"]
    embed = spec.by_key["createEmbedding"]
    bodies = [create.body or {}, chat.body or {}, embed.body or {}]
    content = bodies[0][FORM].examples["batchInput"]["file"]
    examples = spec.component("BatchRequestLine").document["components"]["schemas"]["BatchRequestLine"]["examples"]
    lines = [*map(orjson.loads, content.splitlines()), *examples]

    assert len(lines) > 2
    for line in lines:
        schema = bodies[1 if line["url"].endswith("completions") else 2]["application/json"].schema
        assert schema is not None
        assert schema.violations(line["body"]) == []


@pytest.mark.parametrize("strict", [False, True])
def test_the_curl_example_of_the_page_is_accepted(strict: bool) -> None:
    response = ask(make_engine(strict=strict), "POST", "/ai/batches", json=OF_THE_PAGE)

    assert (response.status, value_of(response)["count"]) == (202, 4)


def test_other_nulls_and_unknown_keys_are_refused_under_strict() -> None:
    for change in ({"model": None}, {"expiration": None}, {"nonsense": 1}):
        assert ask(STRICT, "POST", "/ai/batches", json={"prompts": ["a"], **change}).status == 422


def test_the_lines_of_the_batch_page_are_answered_under_strict() -> None:
    desk = BatchClient(strict=True)
    template = {"slug": "summarize", "name": "Summarize", "template": "Summarize: {{ text }}"}
    assert desk.ask("POST", "/api/v1/prompts", json=template).status == 201
    desk.ask("POST", "/api/v1/prompts/summarize/versions", json={"template": "In one line: {{ text }}"})
    of_prompt = {"model": "gpt-4o-mini", "prompt_slug": "summarize", "variables": {"text": "First document content..."}}
    lines = [
        request_of("req-1", "Summarize this document..."),
        request_of("req-2", "Translate to Spanish..."),
        {**request_of("doc-1"), "body": of_prompt},
        {**request_of("doc-3"), "body": {**of_prompt, "prompt_version": 2}},
    ]

    batch = desk.run(jsonl(*lines))

    assert (batch["status"], batch["request_counts"]["completed"], batch["error_file_id"]) == ("completed", 4, None)


@pytest.mark.parametrize("version", ["2026-04", "2026-07"])
@pytest.mark.parametrize("model", ["chatgpt", "gemini", "perplexity", "copilot"])
def test_every_model_is_answered_under_strict_in_both_versions(version: str, model: str) -> None:
    engine = make_engine(strict=True, agentfirst_version=version)

    answer = ask(engine, "GET", "/ai", query={"prompt": "Name a river.", "model": model})
    assert answer.status == 200
    assert ("fanouts" in value_of(answer)) is (version == "2026-07" and model == "chatgpt")
