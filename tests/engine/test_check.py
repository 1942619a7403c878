"""Documents and fixtures checked offline: each kind of mistake, and each kind of fixture that can never match."""

from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, make_settings, write_json

from mockserver.engine.check import check
from mockserver.errors import ERROR, WARNING, MockServerError, Problem

ANSWER = {"text": "An answer."}


def problems_of(folder: Path, *completions: dict[str, Any], **more: Any) -> list[Problem]:
    """What is wrong with a file of these completions."""
    write_json(folder / "agentfirst" / "answers.json", {"completions": list(completions), **more})
    return check(make_settings(fixtures=(str(folder),)))


def problems_of_document(path: Path, document: Any) -> list[Problem]:
    return check(make_settings(spec=(str(write_json(path, document)),)))


def entry(**match: Any) -> dict[str, Any]:
    return {"match": match, **ANSWER}


def test_the_bundled_document_and_fixtures_have_no_problems() -> None:
    assert check(make_settings()) == []


@pytest.mark.parametrize("changes", [{"strict": True}, {"agentfirst_version": "2026-07"}, {"empty_prompts": True}])
def test_the_bundled_files_have_no_problems_under_any_settings(changes: dict[str, Any]) -> None:
    assert check(make_settings(**changes)) == []


# Mistakes.


def test_every_schema_violation_of_a_fixture_is_reported_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "agentfirst" / "answers.yaml"
    path.parent.mkdir()
    path.write_text("completions:\n  - match: {contains: 5}\n    text: fine\n  - text: [wrong]\n  - matches: {}\n")

    found = check(make_settings(fixtures=(str(tmp_path),)))

    assert {each.severity for each in found} == {ERROR}
    places = {each.place for each in found}
    assert {f"{path}:2", f"{path}:4", f"{path}:5"} <= places


def test_a_file_that_is_not_yaml_is_reported_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("completions: [\n")
    (tmp_path / "b.yaml").write_text("colour: blue\n")

    found = check(make_settings(fixtures=(str(tmp_path),)))

    assert [Path(each.place.partition(":")[0]).name for each in found] == ["a.yaml", "b.yaml"]


def test_an_invalid_pattern_is_reported(tmp_path: Path) -> None:
    (found,) = problems_of(tmp_path, entry(pattern="("))

    assert "is not a regular expression" in found.message
    assert found.severity == ERROR


def test_a_missing_folder_is_reported() -> None:
    found = check(make_settings(fixtures=("nowhere",)))

    assert [(each.place, each.severity) for each in found] == [("nowhere", ERROR)]


def test_a_document_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    good = make_document({"/a": {"get": make_operation("a", example="1", schema={"type": "integer"})}})
    specs = (str(write_json(tmp_path / "bad.json", {"openapi": "2.0"})), str(write_json(tmp_path / "good.json", good)))

    found = check(make_settings(spec=specs))

    assert len(found) == 2
    assert found[0].place == f"{specs[0]}:1"
    assert specs[1] in found[1].place


def test_an_example_that_violates_its_schema_is_reported(tmp_path: Path) -> None:
    document = make_document(
        {
            "/a": {
                "get": make_operation(
                    "a", example={"n": "1"}, schema={"type": "object", "properties": {"n": {"type": "integer"}}}
                )
            }
        }
    )

    (found,) = problems_of_document(tmp_path / "other.json", document)

    assert found.place.endswith("other.json: a: 200 application/json: example default")
    assert found.message == "n: '1' is not of type 'integer'"


def test_an_example_of_a_request_is_checked_too(tmp_path: Path) -> None:
    operation = make_operation("a", example=1)
    operation["requestBody"] = {"content": {"application/json": {"schema": {"type": "integer"}, "example": "x"}}}

    (found,) = problems_of_document(tmp_path / "other.json", make_document({"/a": {"post": operation}}))

    assert "request application/json: example default" in found.place


@pytest.mark.parametrize("place", ["parameter", "response"])
def test_an_invalid_schema_is_reported(tmp_path: Path, place: str) -> None:
    schema = {"type": "spline"}
    operation = make_operation("a", example=1, schema=schema if place == "response" else {})
    if place == "parameter":
        operation["parameters"] = [{"name": "q", "in": "query", "schema": schema}]

    found = problems_of_document(tmp_path / "other.json", make_document({"/a": {"get": operation}}))

    assert found
    assert all(each.severity == ERROR for each in found)


def test_a_canned_response_that_the_document_does_not_allow_is_reported(tmp_path: Path) -> None:
    responses = {"listDevices": [{"body": [1]}, {"match": {"query": {"a": "b"}}, "status": 418, "body": []}]}
    found = problems_of(tmp_path, responses=responses)

    assert [each.severity for each in found if each.severity == ERROR] == [ERROR, ERROR]
    assert "1 is not of type 'string'" in found[0].message


# Fixtures that can never match.


@pytest.mark.parametrize(
    ("match", "why"),
    [
        ({"country": "XX"}, "no ISO 3166-1 code"),
        ({"prompt": "x" * 2048}, "the document allows 2047"),
        ({"prompt": "hello", "contains": "weather"}, "does not fit its own contains or pattern"),
        ({"prompt": "hello", "pattern": "^x"}, "does not fit its own contains or pattern"),
    ],
)
def test_a_match_that_nothing_can_fit_is_a_warning(tmp_path: Path, match: dict[str, Any], why: str) -> None:
    (found,) = problems_of(tmp_path, entry(**match))

    assert found.severity == WARNING
    assert found.place == f"{tmp_path / 'agentfirst' / 'answers.json'}:1: completions[0]"
    assert found.message.startswith("can never match: ")
    assert why in found.message


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({}, {"contains": "weather"}),
        ({"contains": "weather"}, {"contains": "The WEATHER today"}),
        ({"contains": "weather"}, {"prompt": "Weather?", "model": "gemini"}),
        ({"pattern": "^we"}, {"prompt": "weather", "country": "NO"}),
        ({"pattern": "^we"}, {"pattern": "^we", "contains": "x"}),
        ({"model": ["gemini", "copilot"]}, {"model": "gemini"}),
        ({"country": "no"}, {"country": "NO", "contains": "x"}),
        ({"prompt": "hello"}, {"prompt": "hello"}),
    ],
)
def test_an_entry_behind_one_that_matches_all_of_it_is_a_warning(
    tmp_path: Path, wide: dict[str, Any], narrow: dict[str, Any]
) -> None:
    found = [
        each for each in problems_of(tmp_path, entry(**wide), entry(**narrow)) if each.place.endswith("completions[1]")
    ]

    first = f"{tmp_path / 'agentfirst' / 'answers.json'}:1: completions[0]"
    assert [each.message for each in found] == [f"can never match: {first} comes first and matches all of it"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"contains": "weather today"}, {"contains": "weather"}),
        ({"prompt": "hello"}, {"contains": "hello"}),
        ({"model": "gemini"}, {"contains": "x"}),
        ({"country": "NO"}, {"country": "SE"}),
        ({"pattern": "^a"}, {"pattern": "^b"}),
        ({"contains": "a", "model": "gemini"}, {"contains": "ab", "model": ["gemini", "copilot"]}),
    ],
)
def test_an_entry_that_can_still_match_is_no_problem(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    assert problems_of(tmp_path, entry(**first), entry(**second)) == []


def test_overriding_a_bundled_completion_gives_no_warning(tmp_path: Path) -> None:
    assert problems_of(tmp_path, entry(prompt="best basketball shoes for 2026")) == []
    assert problems_of(tmp_path, entry()) == []


def test_a_file_that_no_provider_reads_is_a_warning(tmp_path: Path) -> None:
    write_json(tmp_path / "agentlast" / "answers.json", {"completions": []})

    (found,) = check(make_settings(fixtures=(str(tmp_path),)))

    assert found == Problem(
        str(tmp_path / "agentlast" / "answers.json"),
        "no provider is called 'agentlast', so this file is not used",
        WARNING,
    )


@pytest.mark.parametrize(
    ("responses", "why"),
    [
        ({"listGadgets": [{"body": []}]}, "no document has the operation 'listGadgets'"),
        ({"getUser": [{"body": []}]}, "the operation is answered by code"),
        ({"listDevices": [{"body": []}, {"body": ["Abacus"]}]}, "an earlier entry matches all of it"),
    ],
)
def test_a_canned_response_that_is_never_given_is_a_warning(
    tmp_path: Path, responses: dict[str, Any], why: str
) -> None:
    (found,) = problems_of(tmp_path, responses=responses)

    assert (found.severity, found.message) == (WARNING, f"can never match: {why}")


def test_a_canned_response_for_another_document_is_no_problem(tmp_path: Path) -> None:
    spec = write_json(tmp_path / "other.json", make_document({"/a": {"get": make_operation("a", example=1)}}))
    write_json(tmp_path / "fixtures" / "all.json", {"responses": {"a": [{"body": 2}]}})

    assert check(make_settings(spec=(str(spec),), fixtures=(str(tmp_path / "fixtures"),))) == []


def test_the_server_starts_exactly_with_files_that_check_accepts(tmp_path: Path) -> None:
    from mockserver.engine.build import build_engine

    broken = write_json(tmp_path / "broken" / "all.json", {"completions": [{"match": {"pattern": "("}, **ANSWER}]})
    settings = make_settings(fixtures=(str(broken.parent),))

    assert check(settings)
    with pytest.raises(MockServerError):
        build_engine(settings)


# All mistakes at once.


def messages_of(found: list[Problem]) -> str:
    return "\n".join(f"{each.place}: {each.message}" for each in found)


def test_an_unknown_key_hides_no_bad_pattern_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "agentfirst" / "a.yaml"
    path.parent.mkdir()
    path.write_text(
        "completion: []\ncompletions:\n  - match: {pattern: '('}\n    text: one\n    colour: blue\n"
        "  - match: {pattern: '['}\n    text: two\n"
    )
    (tmp_path / "agentfirst" / "b.yaml").write_text("completions:\n  - match: {pattern: '*'}\n    text: three\n")
    (tmp_path / "agentfirst" / "c.yaml").write_text("completions:\n  - match: {country: XX}\n    text: four\n")

    told = messages_of(check(make_settings(fixtures=(str(tmp_path),))))

    assert [told.count(each) for each in ("not a regular expression", "can never match")] == [3, 1]
    assert f"{path}:1: the file: Additional properties are not allowed ('completion' was unexpected)" in told
    assert "('colour' was unexpected)" in told
    assert told.count("\n") == 5


def test_all_mistakes_of_a_scenario_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "scenarios" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(
        "description: no full stop\ncolour: blue\nprogression: poll:2\nclock: {at: soon}\n"
        "conditions: {capacity: full}\nstubs:\n  - {status: 99}\n  - {operation: getUsers, status: 500}\n"
        "  - {status: 500, until: 2030-01-01}\n"
    )

    told = messages_of(check(make_settings(fixtures=(str(tmp_path),))))

    for message in (
        "'colour' was unexpected",
        "progression: is 'poll:2'; wanted 'immediate', 'time:SECONDS' (0 or more) or 'polls:COUNT' (1 or more)",
        "clock.at: 'soon' came; wanted an ISO 8601 instant",
        "conditions.capacity: 'full' came",
        "stubs[0].status: 99 is less than",
        "stubs[1]: no operation has the key 'getUsers'",
        "stubs[2].until: an instant came",
    ):
        assert message in told
    assert "description" not in told
    assert told.count("\n") == 6


def test_a_misspelt_key_gets_the_nearest_name(tmp_path: Path) -> None:
    told = messages_of(problems_of(tmp_path, {"match": {"contain": "x"}, **ANSWER}))

    assert "'contain' was unexpected); did you mean contains?" in told


def test_all_mistakes_of_all_documents_are_reported(tmp_path: Path) -> None:
    ping = make_operation("ping", example={})
    first = make_document(
        {
            "no-slash": {"get": ping},
            "/a/{x}/{x}": {"get": ping},
            "/b": {"get": {**ping, "responses": []}},
            "/c": {"get": make_operation("c", schema={"type": "arrray"}), "post": 5},
            "/d": {"get": make_operation("d", schema={"$ref": "#/components/schemas/Gone"})},
            "/e": {"get": make_operation("e", example={})},
        }
    )
    second = make_document({"/e": {"get": make_operation("e", example={})}, "user": {}})
    paths = [str(write_json(tmp_path / name, each)) for name, each in (("1.json", first), ("2.json", second))]

    told = messages_of(check(make_settings(spec=tuple(paths))))

    for message in (
        "1.json:1: paths.no-slash: a path starts with '/'",
        "1.json:1: paths./a/{x}/{x}: a name in braces stands twice",
        "1.json:1: paths./b.get.responses: is a list; wanted a mapping",
        "1.json:1: paths./c.post: is a number; wanted a mapping",
        "1.json:1: paths./c.get.responses.200.content.application/json.schema.type: type is 'arrray'; wanted one of",
        "2.json:1: paths.user: a path starts with '/'",
        f"2.json: GET /e is described twice: GET /e in {paths[0]}",
    ):
        assert message in told
    assert "Gone" in told


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["/a/{x}", "/a/{y}"], ["is described twice"]),
        (["/a/{x}/b", "/a/c/{y}"], ["some paths fit /a/{x}/b as well"]),
        (["/a/{x}/{y}", "/a/{x}/b"], ["is never reached: /a/{x}/{y} is described before it"]),
        (["/a/{x}/b", "/a/{x}/{y}"], []),
        (["/a/{x}.json", "/a/{x}.xml/b"], []),
        (["/a/{x}.json", "/a/{x}"], []),
        (["/a/b", "/a/{x}"], []),
        (["/a/{x}", "/a/{x}/b"], []),
    ],
)
def test_colliding_paths_are_reported(tmp_path: Path, paths: list[str], told: list[str]) -> None:
    document = make_document({path: {"get": make_operation(f"op{n}", example={})} for n, path in enumerate(paths)})

    found = problems_of_document(tmp_path / "their.json", document)

    assert len(found) == len(told)
    assert all(message in each.message for message, each in zip(told, found, strict=True))
