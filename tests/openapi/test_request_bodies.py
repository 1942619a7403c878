"""Bodies of requests before they are judged: which are JSON or forms, which are encoded, and their canonical form."""

from typing import Any

import orjson
import pytest

from mockserver.http import Request
from mockserver.openapi import requests
from mockserver.openapi.operations import Content, Operation
from mockserver.openapi.requests import decoded, early_contents, is_encoded, parse_input, parse_valid_json, takes_form
from mockserver.openapi.schema import Schema

FORM = "multipart/form-data"


def content(media_type: str = "application/json", schema: Any = None) -> Content:
    return Content(media_type, Schema(schema, {}) if schema is not None else None, {})


def operation(*contents: Content, is_foreign: bool = False, required: bool = False) -> Operation:
    body = {each.media_type: each for each in contents} or None
    return Operation("x", "POST", "/x", "", "", (), body, required, {}, is_foreign=is_foreign)


def sent(body: bytes, **headers: str) -> Request:
    return Request("POST", "/x", "", {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("stated", "offered", "takes"),
    [
        (f"{FORM}; boundary=x", [FORM], True),
        (f"{FORM}; boundary=x", ["application/json", FORM], True),
        (f"{FORM}; boundary=x", ["application/json"], False),
        (f"{FORM}; boundary=x", ["*/*"], False),
        (f"{FORM}; boundary=x", [], False),
        ("application/json", [FORM], False),
        ("", [FORM], False),
    ],
)
def test_a_body_is_parsed_as_a_form_where_the_document_has_one(stated: str, offered: list[str], takes: bool) -> None:
    headers = {"content-type": stated} if stated else {}

    assert takes_form(operation(*map(content, offered)), headers) is takes


@pytest.mark.parametrize(
    ("coding", "encoded"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        (" Identity , ", False),
        ("gzip", True),
        ("identity, br", True),
    ],
)
def test_a_body_with_another_coding_than_identity_is_encoded(coding: str | None, encoded: bool) -> None:
    assert is_encoded({} if coding is None else {"content-encoding": coding}) is encoded


def test_json_contents_of_the_bundled_documents_are_read_early() -> None:
    json, problem, text = content(), content("application/problem+json"), content("text/plain")

    assert early_contents(operation(json, problem, text)) == {
        "application/json": json,
        "application/problem+json": problem,
    }
    assert early_contents(operation(json, is_foreign=True)) == {}
    assert early_contents(operation()) == {}


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("body", "schema", "value"),
    [
        (b'{"b":1,"a":2}', None, {"b": 1, "a": 2}),
        (b"5", {"type": "integer"}, 5),
        (b"5", {"type": "string"}, None),
        (b"{", None, None),
        (deep(255), None, None),
    ],
)
def test_a_valid_body_is_read_early_and_any_other_later(body: bytes, schema: Any, value: Any) -> None:
    found = parse_valid_json(content(schema=schema), sent(body))

    assert (found.value if found else None) == value
    if found:
        assert bytes(found.canonical) == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert parse_valid_json(content(schema=schema), sent(body, content_encoding="identity")) is None


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("plain", "plain"),
        ("New%20York", "New York"),
        ("New+York", "New York"),
        ("Galaxy S9+", "Galaxy S9+"),
        ("Galaxy%20S9+", "Galaxy S9+"),
        ("100%", "100%"),
        ("%ff", "%ff"),
        ("%ff a", "%ff a"),
    ],
)
def test_a_text_is_decoded_if_it_is_encoded(text: str, plain: str) -> None:
    assert decoded(text) == plain


@pytest.mark.parametrize("size", [100, 459, 460, 461, 16_335, 16_336, 100_000])
def test_the_canonical_form_has_sorted_names_however_large_it_is(size: int) -> None:
    value = {"b": "x" * (size - 14), "a": 1}
    body = orjson.dumps(value)
    assert len(body) == size

    found = parse_input(operation(content()), sent(body, content_type="application/json"), {}, strict=False)

    assert bytes(found.canonical) == orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert isinstance(found.canonical, memoryview) is (size + 2 * 24 >= requests.NOT_COPIED)


@pytest.mark.parametrize(("levels", "codes"), [(229, []), (230, []), (231, ["depth"]), (300, ["depth"])])
def test_a_body_has_up_to_230_levels(levels: int, codes: list[str]) -> None:
    found = parse_input(operation(content()), sent(deep(levels), content_type="application/json"), {}, strict=False)

    assert [each.code for each in found.violations] == codes


@pytest.mark.parametrize(
    ("media_type", "schema", "body", "foreign", "own"),
    [
        ("application/x-www-form-urlencoded", None, b"a=1", {"a": "1"}, b"a=1"),
        ("application/xml", {}, b"<x><a>1</a></x>", {"a": "1"}, b"<x><a>1</a></x>"),
        ("application/xml", None, b"<x/>", b"<x/>", b"<x/>"),
        ("text/plain", {}, b"a=1", b"a=1", b"a=1"),
        ("application/x-www-form-urlencoded", None, b"", b"", b""),
    ],
)
def test_forms_and_xml_are_values_in_other_documents_and_bytes_in_the_bundled_ones(
    media_type: str, schema: Any, body: bytes, foreign: Any, own: Any
) -> None:
    def read(*, is_foreign: bool, required: bool = False) -> Any:
        asked = operation(content(media_type, schema), is_foreign=is_foreign, required=required)
        return parse_input(asked, sent(body, content_type=media_type), {}, strict=False).body

    assert read(is_foreign=True) == foreign
    assert read(is_foreign=False) == own
    if not body:
        assert read(is_foreign=True, required=True) == {}
