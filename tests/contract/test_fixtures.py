"""Canned answers and accounts from files: what fits, what comes first, and what is wrong with a file."""

from pathlib import Path
from typing import Any

import pytest

from mockserver.errors import FixtureError
from mockserver.fixtures.files import (
    Completion,
    Fixtures,
    PromptMatch,
    fixture_files,
    fixture_problems,
    read_fixture_file,
    read_fixtures,
)
from mockserver.openapi.schema import Schema

MATCH = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "prompt": {"type": "string"},
        "contains": {"type": "string"},
        "pattern": {"type": "string"},
        "model": {"anyOf": [{"enum": ["chatgpt", "gemini"]}, {"type": "array", "items": {"type": "string"}}]},
        "country": {"type": "string"},
    },
}
COMPLETION = {"type": "object", "required": ["text"], "properties": {"match": MATCH, "text": {"type": "string"}}}
ACCOUNT = {"type": "object", "required": ["token"], "properties": {"token": {"type": "string", "minLength": 3}}}
SCHEMA_OF_FIXTURES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "completions": {"type": "array", "items": COMPLETION},
        "responses": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object"}}},
        "accounts": {"type": "array", "items": ACCOUNT},
        "closed": {"type": "boolean"},
    },
}
SCHEMA = Schema(SCHEMA_OF_FIXTURES, SCHEMA_OF_FIXTURES)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def folder_with(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def read(*folders: Path, provider: str = "agentfirst") -> Fixtures:
    return read_fixtures(folders, provider, SCHEMA)


def match_of(tmp_path: Path, match: str) -> PromptMatch:
    folder_with(tmp_path, {"a.yaml": f"completions:\n  - match: {match}\n    text: x\n"})
    return read(tmp_path).completions[0].match


@pytest.mark.parametrize(
    ("match", "asked", "fits"),
    [
        ("{}", ("anything", "chatgpt", None), True),
        ("{prompt: Hello}", ("Hello", "chatgpt", None), True),
        ("{prompt: Hello}", ("hello", "chatgpt", None), False),
        ("{prompt: Hello}", ("Hello!", "chatgpt", None), False),
        ("{contains: ShOe}", ("best SHOES", "chatgpt", None), True),
        ("{contains: shoe}", ("best boots", "chatgpt", None), False),
        ("{contains: É}", ("café", "chatgpt", None), True),
        ("{pattern: '^best .* 20\\d\\d$'}", ("best shoes 2026", "chatgpt", None), True),
        ("{pattern: '^best'}", ("the best", "chatgpt", None), False),
        ("{pattern: best}", ("the best one", "chatgpt", None), True),
        ("{pattern: BEST}", ("best", "chatgpt", None), False),
        ("{model: gemini}", ("x", "gemini", None), True),
        ("{model: gemini}", ("x", "chatgpt", None), False),
        ("{model: [gemini, chatgpt]}", ("x", "chatgpt", None), True),
        ("{model: []}", ("x", "chatgpt", None), False),
        ("{country: NO}", ("x", "chatgpt", "NO"), True),
        ("{country: no}", ("x", "chatgpt", "NO"), True),
        ("{country: NO}", ("x", "chatgpt", "no"), True),
        ("{country: NO}", ("x", "chatgpt", "SE"), False),
        ("{country: NO}", ("x", "chatgpt", None), False),
        ("{contains: a, model: gemini, country: US}", ("A", "gemini", "us"), True),
        ("{contains: a, model: gemini, country: US}", ("A", "gemini", "de"), False),
        ("{contains: a, model: gemini, country: US}", ("A", "chatgpt", "us"), False),
        ("{contains: a, model: gemini, country: US}", ("B", "gemini", "us"), False),
    ],
)
def test_a_completion_fits_when_everything_it_asks_for_is_there(
    tmp_path: Path, match: str, asked: tuple[str, str, str | None], fits: bool
) -> None:
    assert match_of(tmp_path, match).fits(*asked) is fits


def test_the_first_completion_that_fits_is_the_answer(tmp_path: Path) -> None:
    entries = "completions: [{match: {contains: b}, text: one}, {match: {contains: a}, text: two}, {text: three}]"
    fixtures = read(folder_with(tmp_path, {"agentfirst/words.yaml": entries}))

    answers = {prompt: fixtures.completion(prompt, "chatgpt", None) for prompt in ("ab", "a", "c")}

    assert {prompt: found and (found.source, found.entry["text"]) for prompt, found in answers.items()} == {
        "ab": ("fixture:agentfirst/words.yaml#1", "one"),
        "a": ("fixture:agentfirst/words.yaml#2", "two"),
        "c": ("fixture:agentfirst/words.yaml#3", "three"),
    }
    assert Fixtures().completion("a", "chatgpt", None) is None


def test_files_are_asked_by_name_and_the_user_s_folder_before_the_bundled_one(tmp_path: Path) -> None:
    users = folder_with(tmp_path / "users", {"z.yaml": "completions: [{text: users}]"})
    bundled = folder_with(
        tmp_path / "bundled",
        {
            "b.json": '{"completions": [{"text": "b"}]}',
            "a.yml": "completions: [{text: a}]",
            "c.txt": "no: [",
            "d.yaml": "",
        },
    )

    def texts(*folders: Path) -> list[str]:
        return [each.entry["text"] for each in read(*folders).completions]

    assert texts(users, bundled) == ["users", "a", "b"]
    assert texts(bundled, users) == ["a", "b", "users"]


def test_a_provider_hears_its_own_folder_and_the_top(tmp_path: Path) -> None:
    names = ["top.yaml", "agentfirst/a.yaml", "agentfirst/deep/b.yaml", "other/c.yaml"]
    folder_with(tmp_path, {name: f"completions: [{{text: {name}}}]" for name in names} | {"schema.json": "{}"})

    def texts(provider: str) -> list[str]:
        return [each.entry["text"] for each in read(tmp_path, provider=provider).completions]

    assert texts("agentfirst") == ["agentfirst/a.yaml", "agentfirst/deep/b.yaml", "top.yaml"]
    assert texts("other") == ["other/c.yaml", "top.yaml"]
    assert texts("") == ["top.yaml"]
    assert [(file.name, file.provider) for file in fixture_files(tmp_path)] == [
        ("agentfirst/a.yaml", "agentfirst"),
        ("agentfirst/deep/b.yaml", "agentfirst"),
        ("other/c.yaml", "other"),
        ("top.yaml", ""),
    ]


@pytest.mark.parametrize(
    ("files", "tokens", "closed"),
    [
        ({}, [], False),
        ({"a": "accounts: [{token: one}]", "b": "accounts: [{token: two}]"}, ["one", "two"], False),
        ({"a": "accounts: [{token: one}]", "b": "closed: true\naccounts: [{token: two}]"}, ["two"], True),
        ({"a": "closed: true\naccounts: [{token: one}]", "b": "accounts: [{token: two}]"}, ["one"], True),
        (
            {
                "a": "closed: true\naccounts: [{token: one}]",
                "b": "closed: false\naccounts: [{token: two}]",
                "c": "closed: true\naccounts: [{token: three}]",
            },
            ["one", "three"],
            True,
        ),
        ({"a": "accounts: [{token: one}]", "b": "closed: true"}, [], True),
    ],
)
def test_the_accounts_of_closed_files_are_the_only_ones(
    tmp_path: Path, files: dict[str, str], tokens: list[str], closed: bool
) -> None:
    fixtures = read(folder_with(tmp_path, {f"{name}.yaml": content for name, content in files.items()}))

    assert [account["token"] for account in fixtures.accounts] == tokens
    assert fixtures.closed is closed


RESPONSES = """
responses:
  getThing:
    - {match: {query: {id: 7}}, body: seven}
    - {match: {body: {a: {b: 1}, c: [1, 2], d: true}}, body: nested}
    - {match: {body: null}, body: nothing}
    - {body: any}
  other:
    - {body: other}
"""


@pytest.mark.parametrize(
    ("operation", "arguments", "body", "source"),
    [
        ("getThing", {"id": 7, "more": 1}, None, "#1"),
        ("getThing", {"id": True}, None, "#3"),
        ("getThing", {"id": 8}, {"a": {"b": 1, "x": 0}, "c": [1, 2], "d": True, "e": 0}, "#2"),
        ("getThing", {}, {"a": {"b": 1}, "c": [1, 2, 3], "d": True}, "#4"),
        ("getThing", {}, {"a": 1, "c": [1, 2], "d": True}, "#4"),
        ("getThing", {}, {"a": {"b": 1}, "c": [1, 2], "d": 1}, "#4"),
        ("getThing", {}, {"c": [1, 2], "d": True}, "#4"),
        ("other", {}, None, "#1"),
    ],
)
def test_a_canned_response_fits_when_the_request_has_at_least_what_it_asks_for(
    tmp_path: Path, operation: str, arguments: dict[str, Any], body: Any, source: str
) -> None:
    fixtures = read(folder_with(tmp_path, {"a.yaml": RESPONSES}))

    found = fixtures.response(operation, arguments, body)

    assert found is not None
    assert found.source == f"fixture:a.yaml{source}"


def test_an_operation_without_canned_responses_has_none(tmp_path: Path) -> None:
    assert read(folder_with(tmp_path, {"a.yaml": RESPONSES})).response("unheardOf", {}, None) is None


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("completions:\n  - text: a\n  - text: 5\n", 3, "completions[1].text: 5 is not of type 'string'"),
        ("completions:\n  - match: {}\n", 2, "completions[0]: 'text' is a required property"),
        ("a: 1\n", 1, "the file: Additional properties are not allowed ('a' was unexpected)"),
        ("- a\n", 1, "the file: ['a'] is not of type 'object'"),
        ("accounts:\n  - token: ab\n", 2, "accounts[0].token: 'ab' is too short"),
        (
            "completions:\n  - text: a\n    match:\n      model: gpt\n",
            4,
            "completions[0].match.model: 'gpt' is not valid",
        ),
        ("completions:\n  - text: a\n    match:\n      country: 5\n", 4, "match.country: 5 is not of type 'string'"),
        ("completions:\n  - text: a\n    text: b\n", 3, "not YAML: the key 'text' stands twice"),
        ("completions: [\n", 2, "not YAML"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_what_came_and_what_was_wanted(
    tmp_path: Path, content: str, line: int, words: str
) -> None:
    folder_with(tmp_path, {"agentfirst/a.yaml": content})

    with pytest.raises(FixtureError) as caught:
        read(tmp_path)

    assert str(caught.value).startswith(f"{tmp_path / 'agentfirst/a.yaml'}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "is not a regular expression"),
        ("[z-a]", "is not a regular expression"),
        ("a{99999999999}", "is too large"),
        ("((a{50}){50}){50}", "is too large"),
        ("(" * 3000 + ")" * 3000, "a pattern has at most"),
        ("^(?!no)", "look-around, which is not supported: patterns match in linear time"),
        (r"(a)\1", "backreference, which is not supported: patterns match in linear time"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, pattern: str, why: str) -> None:
    content = f"completions:\n  - text: a\n  - text: b\n    match:\n      pattern: '{pattern}'\n"
    folder_with(tmp_path, {"a.yaml": content})

    with pytest.raises(FixtureError) as caught:
        read(tmp_path)

    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}:5: completions[1].match.pattern: ")
    assert why in str(caught.value)


def test_every_problem_of_a_file_can_be_told(tmp_path: Path) -> None:
    folder_with(tmp_path, {"a.yaml": "completions:\n  - text: 1\n  - text: 2\nmore: 3\n"})
    (file,) = fixture_files(tmp_path)

    found = [problem.removeprefix(f"{file.path}:") for problem in fixture_problems(file, SCHEMA)]

    assert sorted(found) == [
        "1: the file: Additional properties are not allowed ('more' was unexpected)",
        "2: completions[0].text: 1 is not of type 'string'",
        "3: completions[1].text: 2 is not of type 'string'",
    ]


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    folder_with(tmp_path, {"a.yaml": "# to be written\n"})
    (file,) = fixture_files(tmp_path)

    assert read_fixture_file(file, SCHEMA) == {}
    assert read(tmp_path) == Fixtures()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FixtureError) as caught:
        read(tmp_path / "missing")

    assert str(caught.value) == f"{tmp_path / 'missing'}: no such folder"


def test_a_completion_keeps_its_entry_as_written(tmp_path: Path) -> None:
    folder_with(tmp_path, {"a.yaml": "completions: [{text: no, match: {country: NO, model: gemini}, extra: [1]}]"})

    assert read(tmp_path).completions == (
        Completion(
            "fixture:a.yaml#1",
            PromptMatch(models=frozenset({"gemini"}), country="NO"),
            {"text": "no", "match": {"country": "NO", "model": "gemini"}, "extra": [1]},
            tmp_path / "a.yaml",
            ("completions", 0),
        ),
    )
