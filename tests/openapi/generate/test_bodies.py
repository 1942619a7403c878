"""Bodies of other documents: valid whatever the schema combines, with the document's own values first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.openapi.generate.bodies import body_of
from mockserver.openapi.generate.mend import mended
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.operations import Content
from mockserver.openapi.schema import Schema

KINDS = {"type": "string", "enum": ["cat", "dog", "fish"]}


def variant(name: str, kind: str) -> dict[str, Any]:
    """An object with a property of its own, and `kind`, which all variants have."""
    return {"type": "object", "required": ["kind", name], "properties": {"kind": KINDS, name: {"type": kind}}}


TREE = {"$ref": "#/components/schemas/Tree"}
DOCUMENT = {
    "components": {
        "schemas": {
            "Cat": variant("claws", "integer"),
            "Dog": variant("bark", "boolean"),
            "Tree": {
                "type": "object", "required": ["left"], "properties": {"left": {"anyOf": [TREE, {"type": "null"}]}},
            },
            "Level": {"type": "integer", "oneOf": [{"const": 1}, {"const": 2}, {"const": 3}]},
        }
    }
}  # fmt: skip
CAT, DOG = ({"$ref": f"#/components/schemas/{name}"} for name in ("Cat", "Dog"))
MAPPING = {"cat": CAT["$ref"], "dog": DOG["$ref"]}
SCHEMAS: list[Any] = [
    {"oneOf": [CAT, DOG]},
    {
        "oneOf": [CAT, DOG],
        "discriminator": {"propertyName": "kind", "mapping": {"cat": CAT["$ref"], "dog": DOG["$ref"]}},
    },
    {"allOf": [CAT, {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}]},
    {"allOf": [{"$ref": "#/components/schemas/Level"}], "enum": [2], "type": "integer"},
    {"type": "array", "contains": {"const": "needle"}, "minContains": 2, "items": {"type": "string"}},
    {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [1, 2, 3]}},
    {"type": "number", "minimum": 0.2, "exclusiveMaximum": 0.4, "multipleOf": 0.1},
    {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": False},
    {"type": "string", "pattern": "^[a-f]{4}$", "minLength": 4},
    {"$ref": "#/components/schemas/Tree"},
    {"type": ["object", "null"], "required": ["at"], "properties": {"at": {"type": "string", "format": "date-time"}}},
]


@pytest.mark.parametrize("definition", SCHEMAS)
@given(key=st.binary(min_size=1, max_size=8))
def test_a_generated_body_is_valid(definition: Any, key: bytes) -> None:
    schema = Schema(definition, DOCUMENT)

    made = body_of(Content("application/json", schema, {}), key=key)

    assert schema.violations(made.value) == []
    assert made.source == "generated"


def test_a_discriminator_has_the_name_that_its_mapping_gives_the_chosen_schema() -> None:
    """The schemas themselves allow any `kind`."""
    pets = {"oneOf": [{"$ref": "#/components/schemas/Fish"}]}
    fish = {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string"}}}
    document = {"components": {"schemas": {"Fish": fish}}}

    def kind_by(discriminator: Any) -> Any:
        schema = Schema({**pets, "discriminator": discriminator}, document)
        return body_of(Content("application/json", schema, {}), key=b"k").value["kind"]

    assert kind_by({"propertyName": "kind", "mapping": {"swims": "#/components/schemas/Fish"}}) == "swims"
    assert kind_by({"propertyName": "kind", "mapping": {"swims": "Fish"}}) == "swims"
    assert kind_by({"propertyName": "kind", "mapping": {"barks": "Dog"}}) == "Fish"
    assert kind_by({"propertyName": "kind", "mapping": []}) == "Fish"
    assert kind_by({"propertyName": "kind"}) == "Fish"


def test_examples_and_defaults_of_properties_come_before_generated_values() -> None:
    properties = {
        "a": {"type": "string", "example": "A"},
        "b": {"type": "string", "examples": ["B"]},
        "c": {"type": "integer", "default": 3},
        "d": {"type": "integer", "example": "of another type", "default": 4},
    }
    content = Content("application/json", Schema({"type": "object", "properties": properties}, {}), {})

    assert body_of(content, key=b"1").value == {"a": "A", "b": "B", "c": 3, "d": 4}
    assert body_of(content, key=b"1", is_dynamic=True).value != {"a": "A", "b": "B", "c": 3, "d": 4}


NAMES = st.sampled_from(["kind", "claws", "bark", "name", "left", "at", "x-a"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3),
)


@given(st.sampled_from(SCHEMAS), VALUES)
def test_any_value_can_be_mended(definition: Any, value: Any) -> None:
    schema = Schema(definition, DOCUMENT)

    assert schema.violations(mended(value, schema, key=b"k")) == []


def test_faker_names_the_kind_of_a_text() -> None:
    made = generate_value({"type": "string", "x-faker": "internet.email"}, root={}, key=b"1")

    assert "@" in made
