"""Schemas whose parts are reached on very many paths: alternatives that contain the whole, trees of references."""

from typing import Any

import pytest
from effort import effort_within

from mockserver.openapi.schema import Schema
from mockserver.openapi.wire.typed import items_of, properties_of, types_of
from mockserver.openapi.wire.xml import XmlError, decode_xml

MOST = 2_000_000
"""Calls. Without a bound there would be a hundred times as many."""
WHOLE = {"$ref": "#/components/schemas/Whole"}
LEVELS, BRANCHES = 20, 8


def tree(word: str) -> tuple[Any, dict[str, Any]]:
    """A schema of which each level has the next one several times, and its document."""
    schemas: dict[str, Any] = {f"{LEVELS}": {"type": "object", "properties": {"x": {"type": "integer"}}}}
    for n in range(LEVELS):
        schemas[f"{n}"] = {word: [{"$ref": f"#/components/schemas/{n + 1}"} for _ in range(BRANCHES)]}
    return schemas["0"], {"components": {"schemas": schemas}}


@pytest.mark.parametrize("word", ["anyOf", "oneOf"])
def test_alternatives_that_contain_the_whole_are_explained_in_bounded_work(word: str) -> None:
    of_wholes = {"type": "object", "additionalProperties": WHOLE}
    of_more = {"type": "object", "additionalProperties": {"anyOf": [WHOLE, {"type": "integer"}]}}
    document = {"components": {"schemas": {"Whole": {word: [of_wholes, of_more]}}}}
    value: Any = "x"
    for _ in range(14):
        value = {"a": value}

    with effort_within(MOST):
        found = Schema(WHOLE, document).violations(value, ("body",))

    assert [(each.location, each.code) for each in found] == [(("body",), "combinations")]


def test_many_alternatives_of_many_items_are_explained_in_bounded_work() -> None:
    ways = [{"properties": {f"{n}": {"type": "array", "items": {"type": "integer"}}}} for n in range(100)]
    value = {f"{n}": ["x"] * 100 for n in range(100)}

    with effort_within(MOST):
        found = Schema({"anyOf": ways}, {}).violations(value)

    assert [each.code for each in found] == ["combinations"]


def test_few_alternatives_are_explained_as_ever() -> None:
    schema = Schema({"anyOf": [{"type": "integer"}, {"properties": {"a": {"oneOf": [{"type": "null"}]}}}]}, {})

    [found] = schema.violations({"a": 1}, ("body",))

    assert (found.location, found.code) == (("body",), "anyOf")
    assert "is not valid under any of the given schemas" in found.message


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_types_properties_and_items_of_a_tree_of_references_are_found_in_bounded_work(word: str) -> None:
    definition, document = tree(word)

    with effort_within(MOST):
        types_of(definition, document)
        properties_of(definition, document)
        items_of(definition, document)


def test_xml_is_read_by_a_tree_of_references_in_bounded_work() -> None:
    definition, document = tree("allOf")

    with effort_within(MOST):
        value = decode_xml(b"<a><y>1</y></a>", definition, document)

    assert value == {"y": "1"}


def test_xml_is_read_by_a_schema_that_contains_itself() -> None:
    definition = {"allOf": [WHOLE]}

    assert decode_xml(b"<a><y>1</y></a>", definition, {"components": {"schemas": {"Whole": definition}}}) == {"y": "1"}


def test_xml_with_a_tag_of_megabytes_is_rejected_before_it_is_read() -> None:
    tag = b"<a " + b" ".join(b'a%d="1"' % n for n in range(100_000)) + b"/>"

    with pytest.raises(XmlError, match="a tag of more than"):
        decode_xml(tag, {}, {})


@pytest.mark.parametrize("text", [b"<a>" + b"x" * 1_000_000 + b"</a>", b'<a><b c="' + b"x" * 200_000 + b'"/></a>'])
def test_xml_with_long_texts_is_read(text: bytes) -> None:
    assert decode_xml(text, {}, {})
