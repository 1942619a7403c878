"""Compiled schemas of a document: how many are kept, what a broken one says, and which values count."""

import logging
from typing import Any

import pytest

from mockserver.errors import SpecError
from mockserver.openapi.schema import Schema, SchemaLibrary, compilation
from mockserver.openapi.schema.compilation import (
    MAX_COMPILED,
    MAX_REACHABLE,
    UNEVALUATED,
    compile_schema,
    names_all,
    shorten,
)

DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "Name": {"type": "string", "minLength": 2},
            "Pair": {"items": {"$ref": "#/components/schemas/Name"}, "maxItems": 2},
            "a b/~%": {"const": 1},
        }
    }
}


def make_library(document: dict[str, Any] = DOCUMENT, *, is_lenient: bool = False) -> SchemaLibrary:
    return SchemaLibrary(document, is_lenient=is_lenient)


def is_compiled(schema: Schema) -> bool:
    return "_fast" in schema.__dict__


def test_references_lead_into_the_document() -> None:
    library = make_library()
    pair = Schema({"$ref": "#/components/schemas/Pair"}, DOCUMENT, library=library)
    odd = Schema({"properties": {"a": {"$ref": "#/components/schemas/a b~1~0%25"}}}, DOCUMENT, library=library)

    assert [pair.accepts(value) for value in (["ab"], ["a"], ["ab"] * 3)] == [True, False, False]
    assert [odd.accepts(value) for value in ({"a": 1}, {"a": 2})] == [True, False]


@pytest.mark.parametrize("word", ["const", "default", "example", "examples"])
def test_a_reference_in_data_is_data(word: str) -> None:
    value = {"$ref": "#/nowhere"}
    schema = Schema({word: [value] if word == "examples" else value}, DOCUMENT, library=make_library())

    assert schema.accepts(value)
    assert schema.accepts(5) is (word != "const")


def test_of_three_hundred_and_one_schemas_the_first_is_freed_and_compiled_again() -> None:
    assert (MAX_COMPILED, MAX_REACHABLE) == (300, 150_000)
    library = make_library()
    schemas = [Schema({"maxLength": n}, DOCUMENT, library=library) for n in range(MAX_COMPILED + 1)]

    assert all(each.accepts("") for each in schemas)

    assert [is_compiled(each) for each in schemas] == [False, *[True] * MAX_COMPILED]
    assert not schemas[0].accepts("x")
    assert not is_compiled(schemas[1])


def test_large_schemas_are_freed_by_their_size_with_what_they_refer_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pair has 4 values, Name 3: a schema that refers to Pair reaches 2 + 4 + 3."""
    library = make_library()
    monkeypatch.setattr(compilation, "MAX_REACHABLE", 20)
    first, second, third = (Schema({"$ref": "#/components/schemas/Pair"}, DOCUMENT, library=library) for _ in range(3))

    assert first.accepts([])
    assert second.accepts([])
    assert (is_compiled(first), is_compiled(second)) == (True, True)
    assert third.accepts([])
    assert (is_compiled(first), is_compiled(second), is_compiled(third)) == (False, True, True)


def test_a_schema_that_is_too_large_alone_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation, "MAX_REACHABLE", 1)
    library = make_library()
    first, second = (Schema({"$ref": "#/components/schemas/Pair"}, DOCUMENT, library=library) for _ in range(2))

    assert first.accepts([])
    assert is_compiled(first)
    assert second.accepts([])
    assert (is_compiled(first), is_compiled(second)) == (False, True)


def test_a_broken_schema_is_an_error_or_accepts_everything_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    broken: dict[str, Any] = {"type": "nonsense"}

    with pytest.raises(SpecError, match=r"^not a usable JSON Schema: "):
        Schema(broken, DOCUMENT, library=make_library()).accepts(5)
    with caplog.at_level(logging.WARNING, "mockserver"):
        assert Schema(broken, DOCUMENT, library=make_library(is_lenient=True)).accepts(5)
    assert [each.getMessage()[:52] for each in caplog.records] == [
        "a schema is not enforced: not a usable JSON Schema: "
    ]


@pytest.mark.parametrize(
    "definition",
    [
        {"pattern": "("},
        {"items": {"pattern": "("}},
        {"patternProperties": {"a": True, "(": True}},
        {"patternProperties": 5, "properties": {"a": {"pattern": "("}}},
    ],
)
def test_the_pattern_that_is_broken_is_named(definition: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"^not a usable JSON Schema: '\(' is not a regular expression"):
        compile_schema(definition, {})


def test_the_formats_are_functions() -> None:
    found = compile_schema({"format": "even"}, {"even": lambda text: len(text) % 2 == 0})

    assert [found.is_valid(value) for value in ("ab", "abc", 5)] == [True, False, True]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"unevaluatedProperties": False, "patternProperties": {}}, True),
        ([{"unevaluatedProperties": 1}, {"a": {"patternProperties": 2}}], True),
        ({"unevaluatedProperties": False}, False),
        (["unevaluatedProperties", "patternProperties"], False),
        ({}, False),
    ],
)
def test_keywords_that_cannot_be_evaluated_together_are_found_as_keys(value: Any, expected: bool) -> None:
    assert names_all(value, UNEVALUATED) is expected
    assert make_library({"components": value}).may_leave_unevaluated is expected


def test_a_long_message_is_shortened_in_its_middle() -> None:
    assert shorten("x" * 300) == "x" * 300
    assert shorten("a" * 200 + "b" * 101) == "a" * 150 + " … " + "b" * 100
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abc … fg"
