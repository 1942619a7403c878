"""Bodies in their media types: which example is sent, how it is written, and the values of headers."""

from typing import Any

import pytest

from mockserver.openapi.generate import bodies
from mockserver.openapi.generate.bodies import body_of, encoded_body, has_json_value, header_value, sent_media_type
from mockserver.openapi.generate.documented import NOTHING, documented_value, suggested_name
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.operations import Content
from mockserver.openapi.schema import Schema


def content(media_type: str = "application/json", schema: Any = None, **examples: Any) -> Content:
    return Content(media_type, Schema(schema, {}) if schema is not None else None, examples)


@pytest.mark.parametrize(
    ("media_type", "value", "written"),
    [
        ("application/json", {"a": [1]}, b'{"a":[1]}'),
        ("application/json", "x", b'"x"'),
        ("application/problem+json; charset=utf-8", "x", b'"x"'),
        ("text/plain", "x\u00e4", "x\u00e4".encode()),
        ("text/plain", "\ud800", b"?"),
        ("text/plain", {"a": 1}, b'{"a":1}'),
        ("application/xml", {"a": 1}, b"<a>1</a>"),
        ("application/x-ndjson", [1, {"a": 2}], b'1\n{"a":2}\n'),
        ("application/jsonl", [], b""),
        ("application/x-jsonlines", ["x"], b'"x"\n'),
        ("application/jsonl", "already\nlines", b"already\nlines"),
        ("text/event-stream", "data: x\n\n", b"data: x\n\n"),
        ("text/event-stream", {"a": 1}, b'data: {"a":1}\n\n'),
        ("text/event-stream", [1, {"data": "x\ny", "event": "e", "id": "7", "retry": 5}],
         b"data: 1\n\ndata: x\ndata: y\nevent: e\nid: 7\nretry: 5\n\n"),
        ("text/event-stream", {"data": ""}, b"data: \n\n"),
        ("text/event-stream", {"data": "x", "more": 1}, b'data: {"data":"x","more":1}\n\n'),
        ("text/event-stream", {"event": "x"}, b'data: {"event":"x"}\n\n'),
    ],
)  # fmt: skip
def test_a_body_is_written_in_its_media_type(media_type: str, value: Any, written: bytes) -> None:
    found = encoded_body(content(media_type), value)

    assert found == written or (media_type == "application/xml" and written in found)


@pytest.mark.parametrize(
    ("media_type", "is_value"),
    [
        ("application/json", True),
        ("application/vnd.api+json", True),
        ("*/*", True),
        ("application/*", True),
        ("application/xml", True),
        ("text/*", False),
        ("text/plain", False),
    ],
)
def test_the_schema_of_json_and_xml_describes_the_value(media_type: str, is_value: bool) -> None:
    assert has_json_value(content(media_type)) is is_value


@pytest.mark.parametrize(
    ("documented", "accept", "sent"),
    [
        ("application/json; charset=utf-8", "text/html", "application/json; charset=utf-8"),
        ("*/*", None, "application/json"),
        ("*/*", "text/html, application/json", "application/json"),
        ("*/*", "application/problem+json; q=0.5, text/html", "application/problem+json"),
        ("application/*", "application/*+json", "application/json"),
    ],
)
def test_a_documented_range_becomes_what_the_client_accepts(documented: str, accept: str | None, sent: str) -> None:
    assert sent_media_type(content(documented), accept) == sent


@pytest.mark.parametrize(
    ("header", "schema", "value"),
    [
        ({"example": "a", "examples": {"x": {"value": "b"}}}, {"example": "c"}, "a"),
        ({"examples": {"x": {"value": "b"}, "y": {"value": "c"}}}, {"example": "d"}, "d"),
        ({"examples": {"x": {"value": "b"}, "y": {"value": "c"}}}, {"const": "e"}, "b"),
        ({"examples": {"x": {"externalValue": "b"}}}, {"const": "e"}, "e"),
        ({"examples": {"x": "b"}}, {"const": "e"}, "e"),
        ({"examples": {}}, {"const": "e"}, "e"),
        ({"examples": ["b"]}, {"const": "e"}, "e"),
        ({}, {}, ""),
        ({}, {"$ref": "#/components/schemas/A"}, ""),
        ({}, {"type": "integer", "default": 7}, 7),
    ],
)
def test_the_value_of_a_header(header: Any, schema: Any, value: Any) -> None:
    assert header_value(header, schema, b"k") == value


WHOLE = {"type": "integer"}
THING = {"type": "object", "required": ["n"], "properties": {"n": WHOLE}}


@pytest.mark.parametrize(
    ("given", "name", "mends", "value", "codes"),
    [
        (content(schema=None, a="x", b="y"), "", True, "x", []),
        (content(schema=None, a="x", b="y"), "b", True, "y", []),
        (content(schema=None, a="x", b="y"), "c", True, "x", []),
        (content("text/plain", WHOLE, a="x"), "", True, "x", []),
        (content(schema=WHOLE, a="x", b=5), "", True, 5, []),
        (content(schema=WHOLE, a="x"), "", True, "x", ["type"]),
        (content(schema=THING, a={"n": "x"}), "", False, {"n": "x"}, ["type"]),
        (content(schema={"type": "array", "items": THING}, a={"n": 1}), "", False, [{"n": 1}], ["type"]),
        (content(schema={"type": "array", "items": THING}, a={"n": 1}), "", True, [{"n": 1}], []),
    ],
)
def test_the_example_that_fits_is_sent_and_another_is_mended(
    given: Content, name: str, mends: bool, value: Any, codes: list[str]
) -> None:
    made = body_of(given, key=b"k", example=name, mends=mends)

    assert (made.value, made.source, [each.code for each in made.violations]) == (value, "example", codes)


def test_an_example_that_does_not_fit_is_mended() -> None:
    made = body_of(content(schema=THING, a={"n": "x", "m": 1}), key=b"k")

    assert made.value["m"] == 1
    assert isinstance(made.value["n"], int)
    assert made.violations == ()


def test_without_a_schema_a_body_is_empty() -> None:
    assert body_of(content(), key=b"k") == ({}, "generated", ())
    assert body_of(content("text/plain"), key=b"k") == ("", "generated", ())
    assert body_of(content(schema=None, a=1), key=b"k", is_dynamic=True) == (1, "example", ())
    assert body_of(content(schema={"const": 2}, a=1), key=b"k", is_dynamic=True) == (2, "generated", ())


def test_a_value_that_cannot_fit_is_sent_with_its_violations() -> None:
    impossible = {"type": "integer", "minimum": 5, "maximum": 3}

    made = body_of(content(schema=impossible), key=b"k")
    text = body_of(content("text/plain", impossible), key=b"k")

    assert made.source == "generated"
    assert made.violations
    assert text.violations == ()


def test_as_many_bodies_are_kept_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_KEPT", 2)
    given = content(schema={"type": "string", "minLength": 8})

    made = [body_of(given, key=key) for key in (b"a", b"b", b"c")]

    assert len(bodies._kept) == 2
    assert body_of(given, key=b"c") is made[2]
    assert body_of(given, key=b"b") is made[1]
    assert body_of(given, key=b"a") is not made[0]
    assert body_of(given, key=b"a") == made[0]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, NOTHING),
        ({"example": 1, "examples": [2], "default": 3}, 1),
        ({"examples": [2, 3], "default": 4}, 2),
        ({"examples": {"a": 2}, "default": 4}, 4),
        ({"type": "string", "example": 1, "examples": [2, "x"]}, "x"),
        ({"type": ["string", "null"], "example": None}, None),
        ({"type": "integer", "example": 1.0}, 1.0),
        ({"type": "integer", "example": 1.5, "default": 2}, 2),
        ({"type": "number", "example": 1.5}, 1.5),
        ({"type": "integer", "example": True}, NOTHING),
        ({"type": "boolean", "example": True}, True),
        ({"type": "boolean", "example": 1}, NOTHING),
        ({"type": "array", "example": [1]}, [1]),
        ({"type": "object", "example": {"a": 1}}, {"a": 1}),
        ({"type": "object", "example": [1]}, NOTHING),
        ({"enum": ["a", "b"], "example": "c", "default": "b"}, "b"),
        ({"enum": [], "example": "c"}, NOTHING),
    ],
)
def test_the_documented_value_of_a_schema_has_its_type(schema: Any, value: Any) -> None:
    assert documented_value(schema) == value


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("internet.email", "email"),
        ("email", "email"),
        ("", "own"),
        (5, "own"),
        ({"internet.url": {"a": 1}}, "url"),
        ({}, "own"),
        (None, "own"),
    ],
)
def test_x_faker_names_what_a_text_should_suit(said: Any, name: str) -> None:
    assert suggested_name({"x-faker": said}, "own") == name


def test_a_generated_body_is_the_value_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 3}
    first = generate_value(schema, root={}, key=b"k", documents_values=True)

    assert body_of(content(schema=schema), key=b"k").value == first

    keys: list[bytes] = []
    monkeypatch.setattr(bodies, "generate_value", lambda *_, key, **__: keys.append(key))
    body_of(content(schema={"type": "integer", "minimum": 5, "maximum": 3}), key=b"k")
    body_of(content("text/plain", {"type": "integer"}), key=b"t")

    assert keys == [b"k", b"k1", b"k2", b"t"]
