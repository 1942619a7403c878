"""Fabricated values: valid for their schema, stable for their key, and in words that suit."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from effort import effort_within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types

from mockserver.openapi.generate.values import generate_value

KEYS = [bytes([n]) for n in range(40)]


def make(schema: Mapping[str, Any] | bool, key: bytes = b"key", root: Mapping[str, Any] | None = None) -> Any:
    return generate_value(schema, root=root or {}, key=key)


def is_valid(value: Any, schema: Mapping[str, Any]) -> bool:
    return bool(Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).is_valid(value))


def bounded(low: str, high: str, bounds: st.SearchStrategy[int]) -> st.SearchStrategy[dict[str, int]]:
    """Both keywords, one, or none; never the wrong way round."""
    pairs = st.tuples(bounds, bounds).map(sorted)
    return st.builds(
        lambda pair, kept: {word: n for word, n in zip((low, high), pair, strict=True) if word in kept},
        pairs,
        st.sets(st.sampled_from([low, high])),
    )


def typed(type_: str, *parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(
        lambda given: {"type": type_} | {word: n for part in given for word, n in part.items()}
    )


FORMATS = ["uuid", "uri", "email", "date", "date-time", "time", "hostname", "ipv4", "ipv6", "byte", "regex", "duration"]
PATTERNS = ["^[a-z]{2,9}$", r"^\d{3}-\d{4}$", "^(yes|no|perhaps)$", "[^a-z]", r"^\W\w+$", "^#[0-9A-F]{6}$", "^.+@.+$"]
STRINGS = st.one_of(
    typed("string", bounded("minLength", "maxLength", st.integers(0, 300))),
    st.sampled_from(FORMATS).map(lambda name: {"type": "string", "format": name}),
    st.sampled_from(PATTERNS).map(lambda pattern: {"type": "string", "pattern": pattern}),
)
INTEGERS = st.one_of(
    typed("integer", bounded("minimum", "maximum", st.integers(-(10**20), 10**20))),
    typed("integer", st.integers(-50, 50).map(lambda low: {"exclusiveMinimum": low, "exclusiveMaximum": low + 2})),
    typed("integer", st.sampled_from([1, 2, 7, 5000, 0.5, 2.5]).map(lambda step: {"multipleOf": step})),
    typed(
        "integer",
        st.integers(-900, 900).map(lambda low: {"minimum": low, "maximum": low + 7}),
        st.just({"multipleOf": 7}),
    ),
)
NUMBERS = st.one_of(
    typed("number", bounded("minimum", "maximum", st.integers(-1000, 1000))),
    st.tuples(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300)).map(
        lambda pair: {"type": "number", "minimum": min(pair), "maximum": max(pair)}
    ),
    st.floats(-1e6, 1e6).map(lambda low: {"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + 0.5}),
    st.sampled_from([0.01, 0.1, 0.5, 3]).map(lambda step: {"type": "number", "multipleOf": step, "maximum": -1}),
)
CHOICES = st.lists(st.one_of(st.none(), st.text(), st.integers()), min_size=1).map(lambda values: {"enum": values})
PLAIN = st.one_of(
    STRINGS,
    INTEGERS,
    NUMBERS,
    CHOICES,
    st.integers().map(lambda value: {"const": value}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["null", "string"]}, {}]),
)


def deeper(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["email", "firstName", "url", "description", "city", "id", "things"])
    arrays = typed(
        "array", inner.map(lambda items: {"items": items}), bounded("minItems", "maxItems", st.integers(0, 6))
    )
    objects = st.dictionaries(names, inner, max_size=5).flatmap(
        lambda properties: st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.just(properties),
                "required": st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([]),
                "additionalProperties": st.booleans(),
            }
        )
    )
    maps = typed("object", inner.map(lambda extra: {"additionalProperties": extra}), st.just({"minProperties": 2}))
    branches = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        arrays,
        objects,
        maps,
        branches.map(lambda several: {"anyOf": several}),
        st.tuples(inner, st.just({"title": "said twice"})).map(lambda both: {"allOf": [*both]}),
    )


SCHEMAS = st.recursive(PLAIN, deeper, max_leaves=12)


@settings(max_examples=200, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(schema=SCHEMAS, key=st.binary(max_size=8))
def test_a_generated_value_is_valid(schema: dict[str, Any], key: bytes) -> None:
    value = make(schema, key)

    assert is_valid(value, schema), value
    assert json.dumps(make(schema, key)) == json.dumps(value)


def test_the_same_key_gives_the_same_value_and_other_keys_give_others() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}

    values = {json.dumps(make(schema, key)) for key in KEYS}

    assert len(values) == len(KEYS)
    assert {json.dumps(make(schema, key)) for key in KEYS} == values


def test_another_process_with_other_hashes_generates_the_same_values() -> None:
    schema = {"type": "array", "minItems": 5, "items": {"type": "string", "pattern": r"^[^a-z]{3}\W.*(a|b)$"}}
    program = (
        "import json; from mockserver.openapi.generate.values import generate_value;"
        f"print(json.dumps(generate_value({schema!r}, root={{}}, key=b'key')))"
    )

    outputs = [
        subprocess.run([sys.executable, "-c", program], env={"PYTHONHASHSEED": hashes}, capture_output=True, check=True)
        for hashes in ("1", "2")
    ]

    assert [json.loads(output.stdout) for output in outputs] == [make(schema)] * 2


def test_importing_the_module_imports_nothing_slow() -> None:
    program = (
        "import sys; import mockserver.openapi.generate.values;"
        "print([name for name in ('faker', 'jsonschema', 'rstr') if name in sys.modules])"
    )

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)

    assert output.stdout.strip() == "[]"


NODE = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "parent": {"$ref": "#/components/schemas/Node"},
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        "next": {"anyOf": [{"$ref": "#/components/schemas/Node"}, {"type": "null"}]},
    },
}
ROOT = {"components": {"schemas": {"Node": NODE, "a/b": {"const": "found"}}}}


def test_a_schema_that_contains_itself_gives_a_finite_valid_value() -> None:
    for key in KEYS:
        value = make({"$ref": "#/components/schemas/Node"}, key, ROOT)

        assert is_valid(value, {"$ref": "#/components/schemas/Node", **ROOT})
        assert len(json.dumps(value)) < 200_000


def test_a_schema_that_requires_itself_for_ever_ends_all_the_same() -> None:
    endless = {
        "type": "object",
        "required": ["one", "two"],
        "properties": {"one": {"$ref": "#/components/schemas/E"}, "two": {"$ref": "#/components/schemas/E"}},
    }
    circle = {"allOf": [{"$ref": "#/components/schemas/C"}] * 3}

    value = make({"$ref": "#/components/schemas/E"}, root={"components": {"schemas": {"E": endless}}})

    assert set(value) == {"one", "two"}
    assert isinstance(make(circle, root={"components": {"schemas": {"C": circle}}}), str)


def test_a_reference_finds_escaped_names_and_list_members() -> None:
    assert make({"$ref": "#/components/schemas/a~1b"}, root=ROOT) == "found"
    assert make({"$ref": "#/list/1"}, root={"list": [{"const": 0}, {"const": 1}]}) == 1


def test_keywords_beside_a_reference_apply_too() -> None:
    root = {"components": {"schemas": {"Short": {"type": "string", "maxLength": 9, "minLength": 2}}}}

    for key in KEYS:
        value = make({"$ref": "#/components/schemas/Short", "maxLength": 3}, key, root)
        assert 2 <= len(value) <= 3


def test_all_parts_of_a_combination_hold_together() -> None:
    schema = {
        "allOf": [
            {
                "type": ["object", "null"],
                "required": ["size"],
                "properties": {"size": {"type": "number", "minimum": 5}},
            },
            {"required": ["size", "kind"], "properties": {"size": {"type": "integer", "minimum": 2, "maximum": 9}}},
            {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}}, "maxProperties": 3},
            {"properties": {"kind": {"enum": ["b", "c"]}, "gone": False, "list": {"items": True, "minItems": 1}}},
            {"properties": {"list": {"items": {"type": "integer"}, "maxItems": 2}, "gone": {"type": "string"}}},
            {"properties": {"list": {"items": {"minimum": 7}}}},
        ]
    }

    for key in KEYS:
        value = make(schema, key)
        assert is_valid(value, schema), value
        assert value["kind"] == "b"


def test_one_of_is_satisfied_by_omitting_what_other_branches_require() -> None:
    properties = {"id": {"type": "integer"}, "url": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "oneOf": [{"required": ["id"]}, {"required": ["url"]}]}

    values = [make(schema, key) for key in KEYS]

    assert all(is_valid(value, schema) for value in values)
    assert {tuple(value) for value in values} == {("id",), ("url",)}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [1, 1.0, 2, 3]}},
        {"type": "array", "uniqueItems": True, "minItems": 2, "maxItems": 2, "items": {"type": "boolean"}},
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [{"a": 1}, [1, 2], [1.0, 2.0], "x"]}},
        {"type": "array", "prefixItems": [{"const": 1}, {"const": "b"}], "items": False},
        {"type": "array", "prefixItems": [{"const": 1}, {"const": "b"}], "items": {"type": "null"}, "minItems": 5},
        {"type": "array", "maxItems": 0, "items": {"type": "string"}},
        {"type": "object", "minProperties": 3, "maxProperties": 3, "properties": {"a": {"type": "integer"}}},
        {"type": "object", "maxProperties": 1, "properties": {"a": {}, "b": {}, "c": {}}},
        {"type": "object", "minProperties": 1, "properties": {"a": {"type": "string", "writeOnly": True}}},
        {"type": "string", "minLength": 700, "maxLength": 700},
        {"type": "string", "format": "email", "maxLength": 28},
        {"type": "string", "format": "uuid", "pattern": "^[a-f0-9-]{36}$"},
        {"type": "string", "pattern": "^(yes|no)$"},
        {"type": "string", "pattern": "^[a-z ]*$", "minLength": 5, "maxLength": 6},
        {"type": "number", "minimum": 0.1, "maximum": 0.1},
        {"type": "number", "multipleOf": 0.1, "minimum": 0.4, "maximum": 0.4},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
        {"type": "integer", "minimum": 3, "exclusiveMinimum": 3, "exclusiveMaximum": 5, "maximum": 9},
        {"allOf": [{"type": "integer", "multipleOf": 6, "minimum": 2}, {"multipleOf": 4, "minimum": 30}]},
        {"minimum": 3},
        {"properties": {"a": {"const": 1}}, "required": ["a"]},
        {"minItems": 1},
        {"type": ["null"]},
        {"anyOf": [False, {"type": "integer"}]},
        {"enum": [None]},
    ],
)
def test_narrow_schemas_get_valid_values(schema: dict[str, Any]) -> None:
    for key in KEYS:
        value = make(schema, key)
        assert is_valid(value, schema), value


def test_exclusive_bounds_of_openapi_3_0_are_respected() -> None:
    schema = {"type": "integer", "minimum": 3, "exclusiveMinimum": True, "maximum": 5, "exclusiveMaximum": True}

    assert {make(schema, key) for key in KEYS} == {4}


def test_write_only_properties_are_left_out_of_responses() -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string", "writeOnly": True}, "id": {}}}

    assert set(make(schema)) == {"id"}


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "string", "pattern": r"^\p{L}+$", "minLength": 4}, str),  # not Python's dialect
        ({"type": "string", "pattern": "^[a-z]{200}$"}, str),  # longer than rstr goes
        ({"type": "string", "pattern": r"^[^\s\S]$"}, str),
        ({"type": "string", "pattern": "^(?>a)b$"}, str),
        ({"type": "string", "pattern": "^ab?$", "minLength": 9}, str),
        ({"type": "string", "format": "email", "maxLength": 3}, str),
        ({"type": "array", "uniqueItems": True, "minItems": 3, "items": {"type": "boolean"}}, list),
        ({"type": "number", "multipleOf": 0.1, "minimum": 0.3, "maximum": 0.3}, float),  # 0.3 / 0.1 is not 3
        (
            {"allOf": [{"type": "object", "additionalProperties": {"type": "null"}}, {"additionalProperties": False}]},
            dict,
        ),
    ],
)
def test_an_unsatisfiable_schema_still_gives_a_value_of_its_type(schema: dict[str, Any], type_: type) -> None:
    assert isinstance(make(schema), type_)


def test_a_schema_with_very_many_branches_is_generated_within_its_budget() -> None:
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)}
    leaf = {"type": "array", "minItems": 9_000, "items": {"type": "string", "minLength": 9_000}}
    root = {"$defs": {**parts, "a40": leaf}}

    with effort_within(10_000_000):
        schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/a0"}, "y": leaf}}
        make(schema, root=root)
