"""The schema of fixture files: our own files pass, and mistakes do not."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types

from mockserver.providers.agentfirst.pages import completion, fixture_answer

FIXTURES = Path(__file__).parent.parent / "fixtures"
SCHEMA = json.loads((FIXTURES / "schema.json").read_text())
COMPLETIONS = yaml.safe_load((FIXTURES / "agentfirst" / "completions.yaml").read_text())


def is_valid(fixture: Any) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(fixture))


def test_the_schema_is_itself_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_canned_completions_are_valid() -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(COMPLETIONS)] == []


def test_the_prompts_of_the_documentation_are_canned() -> None:
    prompts = {entry["match"].get("prompt") for entry in COMPLETIONS["completions"]}

    assert prompts >= {
        "best basketball shoes for 2026",
        "Where can I buy a vintage guitar?",
        "Help me find guitar repair shops nearby.",
        "Do any local stores sell vinyl records?",
    }
    shoes = fixture_answer(COMPLETIONS["completions"][0])
    assert len(shoes.subqueries) == 7
    assert shoes.subqueries[0] == "best basketball shoes 2026"
    assert shoes.subqueries[-1] == "most popular basketball shoes 2026"


def test_every_canned_completion_is_rendered_without_loss() -> None:
    for entry in COMPLETIONS["completions"]:
        made = completion(
            fixture_answer(entry),
            prompt="p",
            model="chatgpt",
            targeting={},
            version="2026-07",
            weight="light",
            key=b"",
        )

        assert all(source["title"].replace("'", "&#x27;") in made["sources"] for source in entry.get("sources", ()))
        assert "harmful" not in made["html"]
        assert ("<table>" in made["completion"]) == ("| --- |" in entry["text"])


@pytest.mark.parametrize(
    "fixture",
    [
        {},
        {"completions": [{"text": "for every prompt"}]},
        {"completions": [{"match": {}, "fields": {"html": "<p>"}}]},
        {"completions": [{"match": {"contains": "x", "model": ["gemini"], "country": "no"}, "text": ""}]},
        {"accounts": [{"token": "a1-x", "credits": 0}, {"token": "b", "email": "a@example.com", "revoked": True}]},
        {"closed": True},
        {
            "responses": {
                "GET /user": [{"match": {"query": {"id": 1}, "body": {"a": [1]}}, "status": 200, "body": None}]
            }
        },
        {"responses": {"getUser": [{"text": "gone", "status": 410, "media_type": "text/plain; charset=utf-8"}]}},
        {"responses": {"getUser": [{"status": 204, "headers": {"X-A": "b"}}]}},
    ],
)
def test_good_fixtures_pass(fixture: dict[str, Any]) -> None:
    assert is_valid(fixture)


@pytest.mark.parametrize(
    "fixture",
    [
        [],
        {"completion": []},
        {"completions": {"text": "no list"}},
        {"completions": [{"match": {"prompt": "no answer"}}]},
        {"completions": [{"text": "x", "match": {"country": False}}]},  # what YAML 1.1 makes of NO
        {"completions": [{"text": "x", "match": {"country": "NOR"}}]},
        {"completions": [{"text": "x", "match": {"model": "chatgtp"}}]},
        {"completions": [{"text": "x", "match": {"model": []}}]},
        {"completions": [{"text": "x", "match": {"model": ["chatgtp"]}}]},
        {"completions": [{"text": "x", "match": {"promt": "y"}}]},
        {"completions": [{"text": "x", "match": {"contains": ""}}]},
        {"completions": [{"text": "x", "sources": [{"title": "no url"}]}]},
        {"completions": [{"text": "x", "sources": [{"title": "t", "url": "javascript:alert(1)"}]}]},
        {"completions": [{"text": "x", "subqueries": "one"}]},
        {"completions": [{"fields": {"complHtml": "x"}}]},
        {"completions": [{"fields": {"html": 7}}]},
        {"accounts": [{"email": "a@example.com"}]},
        {"accounts": [{"token": ""}]},
        {"accounts": [{"token": "has a space"}]},
        {"accounts": [{"token": "t", "credits": 1.5}]},
        {"accounts": [{"token": "t", "credits": "5"}]},
        {"accounts": [{"token": "t", "revoked": "yes"}]},
        {"accounts": [{"token": "t", "email": "nobody"}]},
        {"closed": "true"},
        {"responses": []},
        {"responses": {"getUser": {"status": 200}}},
        {"responses": {"getUser": [{"status": "200"}]}},
        {"responses": {"getUser": [{"status": 99}]}},
        {"responses": {"getUser": [{"body": 1, "text": "both"}]}},
        {"responses": {"getUser": [{"headers": {"X-A": "b\r\nX-C: d"}}]}},
        {"responses": {"getUser": [{"headers": {"X A": "b"}}]}},
        {"responses": {"getUser": [{"media_type": "json"}]}},
        {"responses": {"getUser": [{"match": {"path": {}}}]}},
    ],
)
def test_wrong_fixtures_are_refused(fixture: Any) -> None:
    assert not is_valid(fixture)
