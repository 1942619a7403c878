"""Near misses: the closest operation or fixture, the difference line by line, in bounded time."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_engine, make_operation, write_json

from mockserver.api.provider import RequestPrompt
from mockserver.engine.build import fixture_schema
from mockserver.fixtures.files import Fixtures, read_fixtures
from mockserver.http import Request
from mockserver.verify import near_miss as home
from mockserver.verify.near_miss import MAX_LINES, NearMiss, NearMissFinder

OPERATIONS = [service.operation for service in make_engine().services]


def nearest(method: str, path: str) -> NearMiss:
    return NearMissFinder(OPERATIONS).operation(Request(method, path))


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("GET", "/ai/batch", "getBatchStatus"),
        ("POST", "/ai/batch", "queueBatch"),
        ("POST", "/v1/batches/batch_1", "retrieveBatch"),
        ("POST", "/v1/batches/batch_1/cancels", "cancelBatch"),
        ("GET", "/v1/file/file-1/content", "downloadFile"),
        ("GET", "/v1/batches/batch_1/", "retrieveBatch"),
        ("POST", "/v1/chat/completion", "createChatCompletion"),
        ("PATCH", "/user", "getUser"),
    ],
)
def test_the_nearest_operation_is_found(method: str, path: str, key: str) -> None:
    found = nearest(method, path)

    assert (found.kind, found.asked, found.nearest) == ("operation", f"{method} {path}", key)


def test_the_difference_to_an_operation_is_listed_line_by_line() -> None:
    assert nearest("POST", "/v1/batchs").difference == (
        "  method: POST",
        "  path: /v1",
        "- path: /batches",
        "+ path: /batchs",
    )
    assert nearest("PUT", "/user").difference == ("- method: GET", "+ method: PUT", "  path: /user")


def test_path_parameters_are_no_difference() -> None:
    found = nearest("GET", "/v1/file/file-1/content")

    assert found.difference == (
        "  method: GET", "  path: /v1", "- path: /files", "+ path: /file", "  path: /{file_id}", "  path: /content",
    )  # fmt: skip


def test_without_operations_there_is_no_near_miss() -> None:
    assert NearMissFinder([]).operation(Request("GET", "/x")) == NearMiss("operation", "GET /x", "", ())


def fixtures_of(folder: Path, *matches: dict[str, Any]) -> Fixtures:
    entries = [{"match": match, "text": "x"} for match in matches]
    write_json(folder / "agentfirst" / "a.json", {"completions": entries})
    return read_fixtures([folder], "agentfirst", fixture_schema())


def test_the_nearest_completion_is_the_one_whose_text_is_most_alike(tmp_path: Path) -> None:
    fixtures = fixtures_of(tmp_path, {"prompt": "Name a river in Spain"}, {"prompt": "What weather is coming?"})

    found = NearMissFinder([]).completion(RequestPrompt("What wether is coming?", "chatgpt"), fixtures)

    assert found.nearest == "fixture:agentfirst/a.json#2"
    assert found.difference == ("- prompt: What weather is coming?", "+ prompt: What wether is coming?")


def test_a_near_miss_for_another_model_or_country_says_so(tmp_path: Path) -> None:
    fixtures = fixtures_of(tmp_path, {"prompt": "Hello", "model": ["gemini"], "country": "NO"})

    found = NearMissFinder([]).completion(RequestPrompt("Hello", "chatgpt", "de"), fixtures)

    assert found.difference == (
        "- model: gemini", "- country: NO", "+ model: chatgpt", "+ country: DE", "  prompt: Hello",
    )  # fmt: skip


def test_the_match_condition_of_the_nearest_completion_is_shown(tmp_path: Path) -> None:
    fixtures = fixtures_of(tmp_path, {"contains": "weather"})

    found = NearMissFinder([]).completion(RequestPrompt("Is it cold?\nOr warm?", "chatgpt"), fixtures)

    assert found.difference == ("- prompt contains: weather", "+ prompt: Is it cold?", "+ Or warm?")


def test_without_completions_there_is_no_near_miss() -> None:
    assert NearMissFinder([]).completion(RequestPrompt("x", "chatgpt"), Fixtures()).nearest == ""


def test_the_nearest_canned_response_is_found_and_only_what_it_asks_for_is_compared(tmp_path: Path) -> None:
    other = write_json(tmp_path / "other.json", make_document({"/x": {"post": make_operation("setX", example=1)}}))
    entries = [{"match": {"body": {"a": 1, "b": 2}}, "body": 1}, {"match": {"query": {"q": "1"}}, "body": 2}]
    write_json(tmp_path / "fixtures" / "f.json", {"responses": {"setX": entries}})
    engine = make_engine(spec=(str(other),), fixtures=(str(tmp_path / "fixtures"),))
    canned = engine.services[-1].world.fixtures.responses

    found = NearMissFinder([]).response(Request("POST", "/x", body=b'{"a":1,"b":3,"c":4}'), canned)

    assert found.nearest == "fixture:f.json#1"
    assert found.difference == ("  {", '    "body": {', '      "a": 1,', '-     "b": 2', '+     "b": 3', "    }", "  }")


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 900 + b"]" * 900, b"1" * 10_000_000])
def test_any_body_is_compared_in_bounded_time_and_space(tmp_path: Path, body: bytes) -> None:
    write_json(tmp_path / "f.json", {"responses": {"x": [{"match": {"body": {"a": 1}}, "body": 1}]}})
    canned = read_fixtures([tmp_path], "", fixture_schema()).responses

    found = NearMissFinder([]).response(Request("POST", "/x", body=body), canned)

    assert 0 < len(found.difference) <= 2 * MAX_LINES
    assert sum(map(len, found.difference)) < 20_000


def test_a_huge_prompt_is_compared_by_its_beginning(tmp_path: Path) -> None:
    fixtures = fixtures_of(tmp_path, {"prompt": "line\n" * 300})

    found = NearMissFinder([]).completion(RequestPrompt("a line\n" * 1_000_000, "chatgpt"), fixtures)

    assert len(found.difference) <= 2 * MAX_LINES
    assert len(found.asked) <= 300


def test_comparisons_are_bounded_and_later_ones_have_no_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixtures = fixtures_of(tmp_path, {"prompt": "one"}, {"prompt": "two"})
    monkeypatch.setattr(home, "MAX_COMPARED", 3)
    nearness = NearMissFinder(OPERATIONS)

    assert nearness.completion(RequestPrompt("ones", "chatgpt"), fixtures).nearest
    assert nearness.completion(RequestPrompt("ones", "chatgpt"), fixtures).nearest == ""


def test_a_bounded_number_of_prompts_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixtures = fixtures_of(tmp_path, {"prompt": "one"})
    monkeypatch.setattr(home, "MAX_JUDGED", 6)
    nearness = NearMissFinder([])

    found = nearness.unmatched_prompts(
        [RequestPrompt(text, "chatgpt") for text in ("one", "two", "three", "four")], fixtures
    )

    assert [each.text for each in found] == ["two", "three"]
    assert nearness.is_exhausted
