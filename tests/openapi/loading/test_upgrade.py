"""Schemas of OpenAPI 3.0 in the words of JSON Schema 2020-12."""

from typing import Any

import pytest

from mockserver.openapi.loading.upgrade import as_openapi_31

REF = {"$ref": "#/components/schemas/A"}
NULL = {"type": "null"}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"], "nullable": True}),
        ({"type": "string", "nullable": False}, {"type": "string", "nullable": False}),
        ({"type": "string", "nullable": "true"}, {"type": "string", "nullable": "true"}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None], "nullable": True},
        ),
        (
            {"type": "string", "enum": ["a", None], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None], "nullable": True},
        ),
        ({"type": ["string"], "nullable": True}, {"type": ["string"], "nullable": True}),
        ({"nullable": True}, {"nullable": True}),
        ({"nullable": True, "enum": ["a"]}, {"nullable": True, "enum": ["a"]}),
        ({**REF, "nullable": True}, {"nullable": True, "anyOf": [REF, NULL]}),
        (
            {"allOf": [REF], "required": ["a"], "title": "T", "nullable": True},
            {"title": "T", "nullable": True, "anyOf": [{"allOf": [REF], "required": ["a"]}, NULL]},
        ),
        ({"anyOf": [REF], "nullable": True}, {"nullable": True, "anyOf": [{"anyOf": [REF]}, NULL]}),
        ({"oneOf": [REF], "nullable": True}, {"nullable": True, "anyOf": [{"oneOf": [REF]}, NULL]}),
        ({**REF, "nullable": False}, {**REF, "nullable": False}),
        ({"type": "object", "allOf": [REF], "nullable": True},
         {"type": ["object", "null"], "allOf": [REF], "nullable": True}),
    ],
)  # fmt: skip
def test_nullable_allows_null(given: Any, made: Any) -> None:
    assert as_openapi_31(given) == made


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"minimum": 1, "exclusiveMinimum": False}, {"minimum": 1}),
        ({"exclusiveMinimum": True}, {}),
        ({"exclusiveMaximum": 9, "maximum": 10}, {"exclusiveMaximum": 9, "maximum": 10}),
        ({"items": [{"type": "string", "nullable": True}]},
         {"prefixItems": [{"type": ["string", "null"], "nullable": True}]}),
        ({"items": {"type": "string"}}, {"items": {"type": "string"}}),
    ],
)  # fmt: skip
def test_exclusive_bounds_and_lists_of_items_are_converted(given: Any, made: Any) -> None:
    assert as_openapi_31(given) == made


WORDS = {"type": "string", "nullable": True}
MADE = {"type": ["string", "null"], "nullable": True}


@pytest.mark.parametrize("word", ["properties", "patternProperties", "schemas", "headers", "content", "variables"])
def test_names_that_look_like_keywords_stay_and_what_they_name_is_converted(word: str) -> None:
    given = {word: {"nullable": WORDS, "items": [WORDS], "exclusiveMinimum": True, "minimum": 1}}

    assert as_openapi_31(given) == {word: {"nullable": MADE, "items": [MADE], "exclusiveMinimum": True, "minimum": 1}}


@pytest.mark.parametrize("word", ["example", "examples", "default", "enum"])
def test_data_is_not_converted(word: str) -> None:
    assert as_openapi_31({"a": [{word: WORDS}]}) == {"a": [{word: WORDS}]}


def test_everything_else_stays() -> None:
    given: dict[str, Any] = {"openapi": "3.0.3", "n": 5, "list": [1, "x", None, WORDS]}

    assert as_openapi_31(given) == {"openapi": "3.0.3", "n": 5, "list": [1, "x", None, MADE]}
    assert given["list"][3] == {"type": "string", "nullable": True}
