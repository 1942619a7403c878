"""Schemas whose parts are reached on very many paths: alternatives that contain the whole, trees of references."""

from typing import Any

import pytest
from effort import effort_within

from mockserver.errors import SpecError
from mockserver.openapi.schema import Schema, SchemaLibrary
from mockserver.openapi.schema.alternatives import MAX_WAYS, WayCounter
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


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_a_document_with_a_tree_of_references_is_refused_in_bounded_work(word: str, *, is_nested: bool) -> None:
    definition, document = tree(word)
    if is_nested:  # each level belongs to a deeper value
        for n in range(LEVELS):
            branch = {"properties": {"x": {"$ref": f"#/components/schemas/{n + 1}"}}}
            document["components"]["schemas"][f"{n}"] = {word: [branch] * BRANCHES}
    library = SchemaLibrary(document)

    with effort_within(MOST), pytest.raises(SpecError, match="alternatives; see #/components/schemas/0"):
        library.check({"$ref": "#/components/schemas/0"})
    with effort_within(MOST), pytest.raises(SpecError, match="combined parts lead through more than"):
        Schema(definition, document, library=library).accepts(1)


def test_a_tree_of_references_in_a_lenient_document_is_not_enforced_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    definition, document = tree("anyOf")
    schema = Schema(definition, document, library=SchemaLibrary(document, is_lenient=True))

    with effort_within(MOST):
        assert schema.accepts(1)

    assert "a schema is not enforced" in caplog.text
    assert "see #/components/schemas/1" in caplog.text


def test_a_long_chain_of_schemas_and_one_that_contains_itself_are_enforced() -> None:
    schemas: dict[str, Any] = {
        f"{n}": {"properties": {"x": {"$ref": f"#/components/schemas/{n + 1}"}}} for n in range(900)
    }
    schemas["900"] = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/components/schemas/900"}}]}
    document = {"components": {"schemas": schemas}}
    schema = Schema({"$ref": "#/components/schemas/890"}, document, library=SchemaLibrary(document))

    assert WayCounter(document).ways({"$ref": "#/components/schemas/0"}) <= MAX_WAYS
    assert schema.accepts({"x": {"x": 1}})
    assert not schema.accepts({"x": {"x": {"x": {"x": {"x": {"x": {"x": {"x": {"x": {"x": ["a"]}}}}}}}}}})


def test_a_value_with_too_many_parts_for_the_alternatives_of_its_schema_is_rejected_at_once() -> None:
    schemas: dict[str, Any] = {"5": {"type": "object", "required": ["x"]}}
    for n in range(5):
        schemas[f"{n}"] = {"anyOf": [{"$ref": f"#/components/schemas/{n + 1}"}] * BRANCHES}
    schemas["list"] = {"items": {"anyOf": [{"$ref": "#/components/schemas/0"}, {"type": "integer"}]}}
    document = {"components": {"schemas": schemas}}
    schema = Schema({"$ref": "#/components/schemas/list"}, document, library=SchemaLibrary(document))

    assert schema.accepts([1] * 10)
    with effort_within(MOST):
        [found] = schema.violations([1] * 500_000, ("body",))
    assert (found.location, found.code) == (("body",), "combinations")
    assert "too many values for its schema" in found.message
    assert not schema.accepts([1] * 500_000)
    assert not schema.accepts(["a"])
