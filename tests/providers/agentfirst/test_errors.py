"""The messages of Agent First's 422: one line of plain text for each kind of violation."""

from typing import Any

import pytest

from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Response
from mockserver.providers.agentfirst.errors import _is_subdivision, format_error, phrase


@pytest.mark.parametrize(
    ("location", "code", "rule", "text"),
    [
        (("body", "prompts"), "minItems", {"minItems": 1, "maxItems": 10}, "Prompts must number between 1 and 10"),
        (("body", "prompts"), "maxItems", {"maxItems": 0}, "Prompts must number between 0 and 0"),
        (("body", "prompts"), "minItems", {"minItems": 1}, "Prompts must number at least 1"),
        (("query", "expiration"), "minimum", {"minimum": 0, "maximum": 30}, "Expiration must be between 0 and 30"),
        (("query", "expiration"), "minimum", {"minimum": 0}, "Expiration must be at least 0"),
        (("query", "expiration"), "maximum", {"maximum": 0}, "Expiration must be at most 0"),
        (("query", "mode"), "enum", {"enum": ["sync", "async", None]}, "Mode must be sync or async"),
        (("query", "mode"), "enum", {"enum": ["a", 1, "c"]}, "Mode must be a, 1 or c"),
        (("query", "mode"), "enum", {"enum": ["sync"]}, "Mode must be sync"),
        (("body", "x"), "type", {"type": "string"}, "X must be text"),
        (("body", "x"), "type", {"type": ["integer", "null"]}, "X must be an integer"),
        (("body", "x"), "type", {"type": ["array", "object", "number"]}, "X must be a list, a JSON object or a number"),
        (("body", "x"), "type", {"type": "boolean"}, "X must be true or false"),
        (("body", "x"), "type", {"type": "date"}, "X must be date"),
        (("body", "x"), "type", {}, "X must be valid"),
        (("query", "id"), "format", {"format": "uuid"}, "Id must be a UUID"),
        (("query", "c"), "format", {"format": "iso-3166-1-alpha-2"}, "C must be a two-letter ISO 3166-1 code"),
        (("query", "l"), "format", {"format": "language"},
         "L must be the name or two-letter ISO 639-1 code of a language"),
        (("query", "l"), "format", {"format": "ipv4"}, "L must be valid"),
        (("body", "callback (planned)"), "pattern", {}, "Callback must be an HTTP or HTTPS URL or an SQS ARN"),
        (("body", "subdivision"), "pattern", {}, "Subdivision must be the second part of an ISO 3166-2 code"),
        (("body", "model"), "pattern", {}, "Model must be valid"),
        (("body",), "required", {"required": ["prompts", "model"]}, "Prompts and Model must be provided"),
        (("query", "prompt"), "required", {"required": ["x"]}, "Prompt must be provided"),
        (("body",), "syntax", {}, "JSON was malformed"),
        (("query",), "syntax", {}, "Query was malformed"),
        (("body", "prompts", 3), "maxLength", {"maxLength": 9}, "Character counts must be no more than 9"),
        (("body", "prompts", 3), "minLength", {"minLength": 1}, "Character counts must be no less than 1"),
        (("body",), "media-type", {"wanted": "application/json"}, "Content type must be application/json"),
        (("query", "id"), "duplicate", {}, "Id must be provided only once"),
        (("query", "ID"), "unknown", {}, "Id is not a known parameter"),
        (("body",), "additionalProperties", {}, "Parameters must be known"),
        (("body", "city"), "prerequisite", {"needs": "country"}, "City must be accompanied by country"),
        (("body", "subdivision"), "subdivision", {}, "Subdivision must be in the country"),
        (("body", "device"), "device", {}, "Device must be one of those listed"),
        (("body",), "depth", {}, "JSON was malformed"),
        (("body",), "max_values", {"most": 5}, "JSON must hold at most 5 values"),
        (("body", "x"), "max_values", {}, "X must be valid"),
        (("body", "x"), "not", {"not": {}}, "X must be valid"),
    ],
)  # fmt: skip
def test_each_kind_of_violation_has_its_sentence(location: Any, code: str, rule: Any, text: str) -> None:
    assert phrase(Violation(location, code, "not shown", rule)) == text


PLAIN = Response(422, "text/plain", b"as documented", source="example")
BROKEN = [Violation(("query", "id"), "duplicate", ""), Violation(("query", "x"), "duplicate", "")]


@pytest.mark.parametrize(
    ("refusal", "body"),
    [
        (Refusal(Reason.INVALID, violations=BROKEN), b"Id must be provided only once"),
        (Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, violations=BROKEN), b"Id must be provided only once"),
        (Refusal(Reason.INVALID, "Said.", violations=BROKEN), b"Said."),
        (Refusal(Reason.NOT_FOUND, "Said."), b"Said."),
    ],
)
def test_a_plain_text_error_has_the_message_of_the_rejection(refusal: Refusal, body: bytes) -> None:
    assert format_error(refusal, PLAIN) == PLAIN._replace(body=body, source="handler")


@pytest.mark.parametrize("refusal", [Refusal(Reason.NOT_FOUND, violations=BROKEN), Refusal(Reason.INVALID)])
def test_without_a_message_the_documented_error_stays(refusal: Refusal) -> None:
    assert format_error(refusal, PLAIN) is PLAIN


def test_errors_of_other_media_types_stay_but_that_of_a_content_coding() -> None:
    reply = Response(415, "application/problem+json", b"{}")
    refusal = Refusal(Reason.UNSUPPORTED_CODING, "No gzip.", violations=BROKEN)

    assert format_error(refusal, reply._replace(status=400)) == reply._replace(status=400)
    assert format_error(Refusal(Reason.UNSUPPORTED_CODING), reply) == reply
    assert format_error(refusal, reply) == Response(415, "text/plain", b"No gzip.", source="handler")


@pytest.mark.parametrize(
    ("country", "part", "is_first_level"),
    [("DE", "BE", True), ("DE", "XX", False), ("US", "BE", False), ("AZ", "NX", True), ("AZ", "BAB", False)],
)
def test_a_subdivision_is_one_of_the_first_level_of_its_country(country: str, part: str, is_first_level: bool) -> None:
    assert _is_subdivision(country, part) is is_first_level
