"""XML by the hints of a schema."""

from typing import Any

import pytest

from mockserver.openapi.wire.typed import typed
from mockserver.openapi.wire.xml import MAX_DEPTH, MAX_PARTS, XmlError, decode_xml, encode_xml

PET = {
    "type": "object",
    "xml": {"name": "pet", "namespace": "urn:pets", "prefix": "p"},
    "properties": {
        "id": {"type": "integer", "xml": {"attribute": True}},
        "name": {"type": "string", "xml": {"name": "called"}},
        "tags": {"type": "array", "xml": {"wrapped": True}, "items": {"type": "string", "xml": {"name": "tag"}}},
        "ages": {"type": "array", "items": {"type": "integer"}},
        "owner": {"type": "object", "properties": {"good": {"type": "boolean"}}},
    },
}
VALUE = {"id": 5, "name": "Rex & Co", "tags": ["a", "b"], "ages": [1, 2], "owner": {"good": True}}


def test_hints_name_elements_and_attributes() -> None:
    assert encode_xml(VALUE, PET, {}).decode() == (
        '<p:pet xmlns:p="urn:pets" id="5"><called>Rex &amp; Co</called><tags><tag>a</tag><tag>b</tag></tags>'
        "<ages>1</ages><ages>2</ages><owner><good>true</good></owner></p:pet>"
    )


def test_what_is_written_is_read_again() -> None:
    assert typed(decode_xml(encode_xml(VALUE, PET, {}), PET, {}), PET, {}) == VALUE


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<a/>", "<a/>"),
        ({"a": None}, "<xml><a /></xml>"),
        ([1, 2], "<xml><item>1</item><item>2</item></xml>"),
        ({"1 a": "\x00"}, None),
        (5, "<xml>5</xml>"),
    ],
)
def test_values_without_hints(value: Any, text: str | None) -> None:
    made = encode_xml(value, {}, {}).decode()

    assert text is None or made == text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<a>",
        b"<!DOCTYPE a><a/>",
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>'.encode("utf-16"),
        b"<a>&b;</a>",
        b"<a>" * 500 + b"</a>" * 500,
        b"<a>" + b"<b/>" * MAX_PARTS + b"</a>",
        b"<a>" + b'<b c="d"/>' * (MAX_PARTS // 2) + b"</a>",
        b"\xff",
    ],
)
def test_what_is_no_plain_xml_is_refused(text: bytes) -> None:
    with pytest.raises(XmlError):
        decode_xml(text, {}, {})


def test_as_many_parts_and_levels_as_are_read() -> None:
    assert decode_xml(b"<a>" + b"<b/>" * (MAX_PARTS - 1) + b"</a>", {}, {}) == {"b": ""}
    assert decode_xml(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH, {}, {})


def test_a_text_in_utf_16_is_read() -> None:
    assert decode_xml('<?xml version="1.0" encoding="utf-16"?><a><b>é</b></a>'.encode("utf-16"), {}, {}) == {"b": "é"}
