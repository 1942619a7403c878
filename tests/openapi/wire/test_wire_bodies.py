"""Forms and XML as values: fields in their documented types, and what cannot be read."""

from typing import Any

import pytest

from mockserver.errors import Violation
from mockserver.http import Request, Upload
from mockserver.openapi.operations import Content
from mockserver.openapi.schema import Schema
from mockserver.openapi.wire.bodies import MAX_FIELDS, is_xml_body, read_parts, read_urlencoded, read_xml, write_form
from mockserver.sandbox.blobs import Blob

FORM = "application/x-www-form-urlencoded"
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


def content(schema: Any = None, encoding: Any = None, media_type: str = FORM, examples: Any = None) -> Content:
    return Content(media_type, Schema(schema, {}) if schema is not None else None, examples or {}, encoding or {})


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def form(body: str | bytes, schema: Any = None, encoding: Any = None) -> tuple[Any, list[tuple[Any, ...]]]:
    """The value, and the violations as location, code and message."""
    violations: list[Violation] = []
    sent = body if isinstance(body, bytes) else body.encode()
    value = read_urlencoded(content(schema, encoding), Request("POST", "/", "", {}, sent), violations)
    return value, [(each.location, each.code, each.message) for each in violations]


LIST, NAMES, THING = {"type": "array", "items": WHOLE}, {"type": "array", "items": TEXT}, object_of(a=WHOLE, b=TEXT)


@pytest.mark.parametrize(
    ("body", "schema", "encoding", "value"),
    [
        ("", None, {}, {}),
        ("a=1&b=x%20y+z&c=", None, {}, {"a": "1", "b": "x y z", "c": ""}),
        ("a=1&a=2", None, {}, {"a": "2"}),
        ("a=1&b=2", object_of(a=WHOLE), {}, {"a": 1, "b": "2"}),
        ("b=2", {**object_of(a=WHOLE), "additionalProperties": WHOLE}, {}, {"b": 2}),
        ("l=1&l=2", object_of(l=LIST), {}, {"l": [1, 2]}),
        ("l=1", object_of(l=LIST), {}, {"l": [1]}),
        ("l[]=1&l[]=2", object_of(l=LIST), {}, {"l": [1, 2]}),
        ("l[0]=1&l[1]=2", object_of(l=LIST), {}, {"l": [1, 2]}),
        ("l=[1,2]", object_of(l=LIST), {}, {"l": [1, 2]}),
        ("l=%20[1]", object_of(l=LIST), {}, {"l": [1]}),
        ("l=[1]&l=[2]", object_of(l=NAMES), {}, {"l": ["[1]", "[2]"]}),
        ("l=1,2", object_of(l=LIST), {"l": {"style": "form", "explode": False}}, {"l": [1, 2]}),
        ("l=1%202", object_of(l=LIST), {"l": {"style": "spaceDelimited"}}, {"l": [1, 2]}),
        ("l=[1]", object_of(l=NAMES), {"l": {"style": "form"}}, {"l": ["[1]"]}),
        ('o={"a":5}', object_of(o=THING), {}, {"o": {"a": 5}}),
        ("o[a]=5&o[b]=x", object_of(o=THING), {}, {"o": {"a": 5, "b": "x"}}),
        ("a=5&b=x&c=1", object_of(o=THING), {"o": {"style": "form"}}, {"o": {"a": 5, "b": "x"}, "c": "1"}),
        ("o=a,5,b,x", object_of(o=THING), {"o": {"style": "form", "explode": False}}, {"o": {"a": 5, "b": "x"}}),
        ("o[a]=5", object_of(o=THING), {"o": {"style": "deepObject", "explode": True}}, {"o": {"a": 5}}),
        ("", {**object_of(l=LIST), "required": ["l"]}, {}, {"l": []}),
        ("", object_of(l=LIST), {}, {}),
        ("a=true", object_of(a={"type": "boolean"}), {}, {"a": True}),
        ("o[0]=5&o[1]=6", object_of(o={"type": "object"}), {}, {"o": {"0": "5", "1": "6"}}),
    ],
)
def test_fields_of_a_form_are_values_in_their_types(body: str, schema: Any, encoding: Any, value: Any) -> None:
    assert form(body, schema, encoding) == (value, [])


@pytest.mark.parametrize(
    ("body", "schema", "encoding", "found"),
    [
        (b"\xff=1", None, {}, [(("body",), "syntax", "the form cannot be read: 'utf-8' codec can't decode byte 0xff in "
                                "position 0: invalid start byte")]),
        ("a=%FF", None, {}, [(("body",), "syntax", "the form cannot be read: 'utf-8' codec can't decode byte 0xff in "
                              "position 0: invalid start byte")]),
        ("a=x", object_of(a=WHOLE), {}, [(("body", "a"), "type", "'x' is not of type 'integer'")]),
        ("o={", object_of(o=THING), {}, [
            (("body", "o"), "style", "'o': not JSON: unexpected end of data: line 1 column 2 (char 1)")]),
        ("o=a,1,b", object_of(o=THING), {"o": {"style": "form", "explode": False}},
         [(("body", "o"), "style", "'o': it has 3 parts; wanted names and values in turn")]),
        ("a=1:2&b=1:2&c=1%3A2", object_of(a=TEXT, b=TEXT, c=TEXT),
         {"a": {"allowReserved": False}, "b": {"allowReserved": True}, "c": {"allowReserved": False}},
         [(("body", "a"), "reserved", "'a' has reserved characters (RFC 3986) that are not percent-encoded")]),
        ("o=5", object_of(o=THING), {}, [(("body", "o"), "type", "'5' is not of type 'object'")]),
        ("o=5&o=6", object_of(o=THING), {}, [(("body", "o"), "type", "'6' is not of type 'object'")]),
        ("l[a]=1&l[0]=2", object_of(l=LIST), {},
         [(("body", "l"), "type", "{'a': '1', '0': '2'} is not of type 'array'")]),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_violation(body: Any, schema: Any, encoding: Any, found: Any) -> None:
    assert form(body, schema, encoding)[1][: len(found)] == found


def test_a_nested_field_is_not_deeper_than_answers_may_be() -> None:
    deep = "[" * 240 + "]" * 240

    found = form(f"l={deep}", object_of(l={"type": "array"}))[1]

    assert found[0] == (("body", "l"), "style", "'l': is nested too deeply")


def test_a_form_has_up_to_10000_fields() -> None:
    assert MAX_FIELDS == 10_000
    value, violations = form("&".join(["a=1"] * MAX_FIELDS))
    assert (value, violations) == ({"a": "1"}, [])

    value, violations = form("&".join(["a=1"] * (MAX_FIELDS + 1)))

    assert value is None
    assert [each[:2] for each in violations] == [(("body",), "syntax")]


def upload(name: str) -> Upload:
    return Upload(name, "text/plain", Blob.in_memory(b"x"))


def parts(schema: Any, *fields: tuple[str, Any], encoding: Any = None) -> tuple[Any, list[tuple[Any, ...]]]:
    violations: list[Violation] = []
    value = read_parts(content(schema, encoding, "multipart/form-data"), fields, violations)
    return value, [(each.location, each.code) for each in violations]


def test_files_of_a_form_stay_files_and_texts_have_their_types() -> None:
    one, two = upload("one"), upload("two")
    schema = {
        **object_of(n=WHOLE, file={**TEXT, "maxLength": 1}, files={"type": "array", "items": TEXT}),
        "required": ["file", "n"],
    }

    value, violations = parts(schema, ("n", "5"), ("file", one), ("files", one), ("files", two), ("extra", "x"))

    assert value == {"n": 5, "file": one, "files": [one, two], "extra": "x"}
    assert violations == []
    assert sorted(parts(schema, ("n", "x"))[1]) == [(("body",), "required"), (("body", "n"), "type")]
    assert parts(None, ("file", one), ("file", two)) == ({"file": two}, [])


@pytest.mark.parametrize("count", [1, 2])
def test_a_list_of_files_is_a_list_where_a_schema_has_alternatives(count: int) -> None:
    files = {**object_of(files={"type": "array", "items": TEXT, "minItems": count}), "required": ["files"]}
    file = {**object_of(file=TEXT), "required": ["file"]}

    sent = [("files", upload(str(n))) for n in range(count)]

    assert parts({"oneOf": [files]}, *sent)[1] == []
    assert parts({"oneOf": [file]}, ("file", upload("x")))[1] == []


def test_parts_of_a_form_may_not_have_reserved_characters_where_the_document_says_so() -> None:
    schema = object_of(a=TEXT)

    assert parts(schema, ("a", "1:2"), encoding={"a": {"allowReserved": False}})[1] == [(("body", "a"), "reserved")]
    assert parts(schema, ("a", "1:2"))[1] == []


def xml(body: bytes, schema: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    violations: list[Violation] = []
    value = read_xml(content(schema, {}, "application/xml"), Request("POST", "/", "", {}, body), violations)
    return value, [(each.location, each.code) for each in violations]


def test_xml_is_a_value_of_its_schema() -> None:
    schema = {**object_of(n=WHOLE), "required": ["n"]}

    assert xml(b"<a><n>5</n></a>", schema) == ({"n": 5}, [])
    assert xml(b"<a><n>x</n></a>", schema) == ({"n": "x"}, [(("body", "n"), "type")])
    assert xml(b"<a>", schema) == (None, [(("body",), "syntax")])
    assert xml(b"<a><n>5</n></a>", None) == ({"n": "5"}, [])


@pytest.mark.parametrize(
    ("media_type", "schema", "is_xml"),
    [
        ("application/xml; charset=utf-8", {}, True),
        ("text/xml", {}, True),
        ("image/svg+xml", {}, True),
        ("application/xml", None, False),
        ("application/json", {}, False),
    ],
)
def test_xml_with_a_schema_is_read(media_type: str, schema: Any, is_xml: bool) -> None:
    assert is_xml_body(content(schema, {}, media_type)) is is_xml


def test_a_form_is_written_in_parts() -> None:
    assert write_form([("a", "1", ""), ("f", "x", "f.txt")], "B") == (
        '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        '--B\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n'
        "Content-Type: application/octet-stream\r\n\r\nx\r\n--B--\r\n"
    )
    assert write_form([], "B") == "--B--\r\n"
