"""Schemas: two judges with one verdict, and explanations that come in bounded time."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.errors import SpecError
from mockserver.openapi.document import Operation, read_openapi
from mockserver.openapi.schema import FORMATS, MAX_EXPLAINED_ITEMS, MAX_VIOLATIONS, Schema
from mockserver.openapi.schema import validation as schema_room

SPEC = read_openapi(Path(__file__).parents[2] / "openapi.yaml")
ID = "a0482596-c2ad-445a-a435-727002156a20"

# Values that are nearly right somewhere in the document, and the usual suspects.
WORDS = [
    "chatgpt", "json", "rendered", "retrieving", "US", "us", "XX", "TN", "TN\n", "tn ", "English", "en", "eng", "",
    "\0", "\U0001f600", "é", "१", ID, ID.upper(), ID[:-1], f"{ID}\n", "https://hooks.example/x", "http://a b", "x:",
    "arn:aws:sqs:eu-1:1:q", "zip", "0123456789abcdef", "0123456789ABCDEF", "sync", "x" * 2047, "x" * 2048, "a@b",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 1000, 1001, 0.0, 1.0, 1.5, -0.0, 2**53, 2**63, 2**64, -(2**63), 10**30, 1e300]
SCALARS = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.integers() | st.sampled_from(WORDS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


class Place(NamedTuple):
    name: str
    schema: Schema
    examples: list[Any]


def places() -> Iterator[Place]:
    """Every schema of every operation, with values that are good there."""
    for operation in SPEC.operations:
        for parameter in operation.parameters:
            yield Place(f"{operation.key} {parameter.name}", parameter.schema, [example_of(operation, parameter.name)])
        contents = [("body", operation.body or {})]
        contents += [(status, response.content) for status, response in operation.responses.items()]
        for name, content in contents:
            for media_type, each in content.items():
                if each.schema is not None:
                    examples = list(each.examples.values()) or ["x"]
                    yield Place(f"{operation.key} {name} {media_type}", each.schema, examples)


def example_of(operation: Operation, parameter: str) -> Any:
    item = SPEC.document["paths"][operation.path]
    stated = (*item.get("parameters", ()), *item[operation.method.lower()].get("parameters", ()))
    found = (SPEC.resolved(each, parameter) for each in stated)
    return next(each["example"] for each in found if each["name"].lower() == parameter.lower())


# Most errors share one schema: each is judged once.
PLACES = list({orjson.dumps(place.schema.definition): place for place in places()}.values())
KEYS = sorted({key for place in PLACES for each in place.examples if isinstance(each, dict) for key in each})
VALUES = st.recursive(
    SCALARS | TEXTS,
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | TEXTS, children, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def nearly_valid(draw: st.DrawFn, place: Place) -> Any:
    """A good value with one or two things changed in it, somewhere."""
    value = copy.deepcopy(draw(st.sampled_from(place.examples)))
    for _ in range(draw(st.integers(1, 2))):
        value = mutated(draw, value)
    return value


def mutated(draw: st.DrawFn, value: Any) -> Any:
    kind = type(value)
    if kind not in {dict, list} or not value or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    places: list[Any] = list(value) if kind is dict else list(range(len(value)))
    at = draw(st.sampled_from(places))
    change = draw(st.sampled_from(["inside", "inside", "drop", "add"]))
    if change == "drop":
        del value[at]
    elif change == "add" and kind is list:
        value.append(draw(VALUES))
    elif change == "add":
        value[draw(st.sampled_from(KEYS) | TEXTS)] = draw(VALUES)
    else:
        value[at] = mutated(draw, value[at])
    return value


def verdicts(schema: Schema, value: Any) -> tuple[bool, bool]:
    return schema._fast.is_valid(value), schema._slow.is_valid(value)


def check_agreement(schema: Schema, value: Any) -> None:
    fast, slow = verdicts(schema, value)
    assert fast == slow
    assert schema.accepts(value) == fast
    assert bool(schema.violations(value)) != fast, "what is refused is explained, and only that"


def test_schemas_are_found_in_the_document() -> None:
    assert len(PLACES) > 15


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@settings(max_examples=60)
@given(data=st.data())
def test_both_validators_agree_on_any_value(place: Place, data: st.DataObject) -> None:
    check_agreement(place.schema, data.draw(VALUES))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@settings(max_examples=60)
@given(data=st.data())
def test_both_validators_agree_on_nearly_valid_values(place: Place, data: st.DataObject) -> None:
    check_agreement(place.schema, data.draw(nearly_valid(place)))


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_both_validators_accept_valid_values(place: Place) -> None:
    documented = [value for value in place.examples if place.schema._slow.is_valid(value)]

    assert documented == place.examples
    for value in documented:
        check_agreement(place.schema, value)


def judged(definition: dict[str, Any], value: Any, document: dict[str, Any] | None = None) -> bool:
    schema = Schema(definition, document or {})
    check_agreement(schema, value)
    return schema.accepts(value)


@pytest.mark.parametrize(
    ("definition", "value", "good"),
    [
        ({"type": "integer"}, 1.0, True),
        ({"type": "integer"}, 1.5, False),
        ({"type": "integer"}, True, False),
        ({"type": "number"}, False, False),
        ({"type": "boolean"}, 1, False),
        ({"type": "integer"}, 10**30, True),
        ({"type": "integer", "maximum": 10}, 10**30, False),
        ({"minimum": 0}, -(10**30), False),
        ({"maximum": 2**63}, 2**63 + 1, False),
        ({"enum": [1]}, True, False),
        ({"enum": [0, "a"]}, False, False),
        ({"const": 1}, 1.0, True),
        ({"const": {"a": [0]}}, {"a": [False]}, False),
        ({"enum": ["a"]}, "a\0", False),
        ({"minLength": 1}, "\0", True),
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"uniqueItems": True}, [1, True, [1], [True], {"a": 1}, {"a": True}], True),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ({"uniqueItems": False}, [1, 1], True),
        ({"uniqueItems": True}, "aa", True),
        ({"pattern": "^[A-Z]{2}$"}, "TN", True),
        ({"pattern": "^[A-Z]{2}$"}, "TN\n", False),
        ({"pattern": "^[A-Z]{2}$"}, 5, True),
        ({"pattern": r"^\d$"}, "१", False),
        ({"pattern": "b"}, "abc", True),
        ({"maxLength": 2047}, "\U0001f600" * 2047, True),
        ({"maxLength": 2047}, "\U0001f600" * 2048, False),
        ({"maxLength": 1}, "e\u0301", False),
        ({"items": False}, [1], False),
        ({"prefixItems": [{"type": "string"}], "items": {"type": "null"}}, ["a", None, 1], False),
    ],
)
def test_edge_cases_are_validated_as_json_schema_says(definition: dict[str, Any], value: Any, good: bool) -> None:
    assert judged(definition, value) is good


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        (
            "uuid",
            [ID, ID.upper()],
            [ID.replace("-", ""), f"{{{ID}}}", f"urn:uuid:{ID}", f"{ID}\n", f" {ID}", "", "१" * 36],
        ),
        ("uri", ["http://a", "urn:a:b", "http://é/"], ["a", "/a", "x:", "http://a b", "http://a\n", "", "1:a"]),
        ("iso-3166-1-alpha-2", ["US", "us", "Us", "no"], ["XX", "USA", "U", "", "ÙS", "ß", "US\n", "uk"]),
        (
            "language",
            ["English", "english", "ENGLISH", "en", "EN", "Norwegian", "no", "Chinese", "zh", "Greek", "Punjabi", "sh"],
            ["eng", "", "Klingon", "English ", "English\n", "en-US", "x"],
        ),
        ("email", ["a@b"], ["a", ""]),
        ("date", ["2026-02-28"], ["2026-02-30", "x"]),
        ("ipv4", ["1.2.3.4"], ["1.2.3"]),
        ("regex", ["a+"], ["("]),
        ("binary", ["anything"], []),
        ("unheard-of", ["anything"], []),
    ],
)
def test_both_validators_agree_on_formats(format: str, good: list[str], bad: list[str]) -> None:
    assert [each for each in good if not judged({"format": format}, each)] == []
    assert [each for each in bad if judged({"format": format}, each)] == []
    assert judged({"format": format}, 5), "a format speaks of text only"


@pytest.mark.parametrize(
    "definition",
    [
        {"properties": {"a": {"items": {"format": "uuid"}}}},
        {"properties": {"a": {"items": {"$ref": "#/components/schemas/Id"}}}},
        {"allOf": [{"$ref": "#/components/schemas/Loop"}]},
        {"properties": {"a": {"items": {"$ref": "#/components/schemas/By~1path%20too"}}}},
        {
            "$defs": {"id": {"$anchor": "id", "format": "uuid"}},
            "properties": {"a": {"items": {"$ref": "#id"}}},
        },
    ],
    ids=["here", "by reference", "in a loop", "escaped", "by anchor"],
)
def test_a_format_is_validated_wherever_it_is_named(definition: dict[str, Any]) -> None:
    schemas = {
        "Id": {"format": "uuid"},
        "By/path too": {"format": "uuid"},
        "Loop": {
            "properties": {
                "a": {"items": {"$ref": "#/components/schemas/Id"}},
                "b": {"$ref": "#/components/schemas/Loop"},
            }
        },
    }
    schema = Schema(definition, {"components": {"schemas": schemas}})

    assert schema.fast_accepts({"a": ["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"]})
    assert not schema.fast_accepts({"a": ["no-uuid"]})


@given(text=st.text(st.characters(exclude_categories=["Cs"])), format=st.sampled_from(sorted(FORMATS)))
def test_both_validators_agree_on_formats_of_any_text(text: str, format: str) -> None:
    check_agreement(Schema({"format": format}, {}), text)


def test_a_violation_says_where_and_which_rule() -> None:
    schema = Schema({"properties": {"a": {"items": {"type": "integer", "maximum": 3}}}, "required": ["b"]}, {})

    found = sorted(schema.violations({"a": [1, 5, "x"]}, ("body",)))

    assert [(each.location, each.code) for each in found] == [
        (("body",), "required"),
        (("body", "a", 1), "maximum"),
        (("body", "a", 2), "type"),
    ]
    assert found[1].rule == {"type": "integer", "maximum": 3}
    assert found[1].message == "5 is greater than the maximum of 3"


def test_a_violation_of_a_long_value_is_short() -> None:
    (violation,) = Schema({"maxLength": 3}, {}).violations("x" * 100_000)

    assert len(violation.message) < 300
    assert violation.message.startswith("'xxx")
    assert violation.message.endswith("is too long")


def test_the_number_of_violations_is_bounded() -> None:
    assert len(Schema({"items": {"type": "string"}}, {}).violations([1] * 500)) == MAX_VIOLATIONS


def test_a_reference_is_looked_up_in_the_document() -> None:
    document = {"components": {"schemas": {"Tree": {"items": {"$ref": "#/components/schemas/Tree"}, "type": "array"}}}}
    schema = Schema({"$ref": "#/components/schemas/Tree"}, document)

    assert schema.accepts([[], [[]]])
    assert [each.location for each in schema.violations([[], [1]])] == [(1, 0)]


def nested(leaf: Any, depth: int) -> Any:
    for _ in range(depth):
        leaf = [leaf]
    return leaf


@pytest.mark.parametrize("depth", [100, 300, 1000, 5000])
@pytest.mark.parametrize("definition", [{"type": "string"}, {"$ref": "#/components/schemas/Tree"}])
def test_deep_nesting_is_a_violation_and_raises_nothing(depth: int, definition: dict[str, Any]) -> None:
    document = {"components": {"schemas": {"Tree": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}}}

    found = Schema(definition, document).violations(nested("x", depth), ("body",))

    assert len(found) == 1
    assert found[0].code in {"depth", "type"}
    assert found[0].location[0] == "body"


# Bounded explanations


class Visits:
    """Counts the values the explaining judge looks at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        validator = schema_room._explaining_validator(leaves_unevaluated=False)
        type_of = validator.VALIDATORS["type"]

        def counted(*arguments: Any) -> Any:
            self.count += 1
            return type_of(*arguments)

        monkeypatch.setitem(validator.VALIDATORS, "type", counted)


def test_an_array_of_millions_of_items_too_many_is_explained_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = Visits(monkeypatch)
    schema = Schema({"type": "array", "maxItems": 1000, "items": {"type": "string"}}, {})

    found = schema.violations(["x"] * 2_000_000)

    assert [(each.location, each.code) for each in found] == [((), "maxItems")]
    assert visits.count == 1 + 1000


def test_jsonschema_validates_a_bounded_number_of_items(monkeypatch: pytest.MonkeyPatch) -> None:
    visits = Visits(monkeypatch)
    items = ["x"] * (MAX_EXPLAINED_ITEMS + 5000)
    schema = Schema({"properties": {"a": {"items": {"type": "string"}}}}, {})

    found = schema.violations({"a": [*items, 1, 2]}, ("body",))

    assert [(each.location, each.code) for each in found] == [(("body", "a", len(items)), "type")]
    assert found[0].message == '1 is not of type "string"'
    assert visits.count == MAX_EXPLAINED_ITEMS
    assert not schema.accepts({"a": [*items, 1]})


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
def test_violations_beyond_that_number_are_found_inside_alternatives(keyword: str) -> None:
    schema = Schema({keyword: [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}, {})

    found = schema.violations([*["x"] * MAX_EXPLAINED_ITEMS, 1])

    assert [(each.location, each.code) for each in found] == [((), keyword)]
    assert schema.accepts(["x"] * (MAX_EXPLAINED_ITEMS + 1))


def test_of_a_million_invalid_items_beyond_that_number_the_first_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema({"items": {"type": "string"}}, {})
    monkeypatch.setattr(schema, "_fast", OnlyValidate(schema._fast))

    found = schema.violations(["x"] * MAX_EXPLAINED_ITEMS + [1] * 1_000_000)

    assert [each.location for each in found] == [(MAX_EXPLAINED_ITEMS,)]


class OnlyValidate:
    """The fast judge without `iter_errors`, which finds every error before it gives the first."""

    def __init__(self, judge: Any) -> None:
        self.is_valid = judge.is_valid
        self.validate = judge.validate


def test_unique_items_of_many_objects_are_compared_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """jsonschema would compare every pair, 200 million of them."""
    schema = Schema({"uniqueItems": True}, {})
    compared: list[object] = []
    monkeypatch.setattr("jsonschema._utils.equal", lambda *pair: compared.append(pair))

    found = schema.violations([*({"a": n} for n in range(20_000)), {"a": 0}])

    assert [each.code for each in found] == ["uniqueItems"]
    assert compared == []


def test_jsonschema_has_the_last_word_on_ordinary_values(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema({"type": "integer"}, {})
    monkeypatch.setattr(schema, "_fast", NeverContent())

    assert schema.accepts(1)
    assert schema.violations(1) == []
    assert [each.code for each in schema.violations("x")] == ["type"]


class NeverContent:
    def is_valid(self, value: Any) -> bool:
        return False

    def validate(self, value: Any) -> None:
        """Has nothing to say, either."""


def test_a_long_array_that_only_the_fast_validator_rejects_without_a_reason_is_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schema = Schema({"type": "array"}, {})
    monkeypatch.setattr(schema, "_fast", NeverContent())

    assert schema.violations([0] * (MAX_EXPLAINED_ITEMS + 1)) == []


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"type": "strnig"}, "strnig"),
        ({"pattern": "("}, "regular expression"),
        ({"$ref": "#/components/schemas/Missing"}, "Missing"),
        ({"$ref": "https://elsewhere.example/schema"}, "elsewhere"),
        ({"properties": 5}, "5"),
    ],
)
def test_an_unusable_schema_is_an_error(definition: dict[str, Any], words: str) -> None:
    schema = Schema(definition, {})

    with pytest.raises(SpecError, match=words):
        schema.accepts(1)
    with pytest.raises(SpecError, match=words):
        schema.check_usable()
    with pytest.raises(SpecError, match=words):
        Schema({}, {}).check_usable({}, definition)


def test_a_usable_schema_is_usable_beside_others() -> None:
    Schema({"allOf": [{"type": "string"}]}, {}).check_usable({"type": "integer"})


def test_the_document_and_its_schemas_stay_as_they_were() -> None:
    before = orjson.dumps(SPEC.document)

    for place in PLACES:
        place.schema.violations({"prompts": 5})

    assert orjson.dumps(SPEC.document) == before


def reached(monkeypatch: pytest.MonkeyPatch, name: str, bound: int, definition: Any, value: Any) -> list[str]:
    monkeypatch.setattr(schema_room, name, bound)
    return [each.code for each in Schema(definition, {}).violations(value)]


def test_as_many_alternatives_are_followed_to_explain_a_value_as_the_bound_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    definition = {"allOf": [{"allOf": [{"type": "string"}]}]}

    assert reached(monkeypatch, "MAX_COMBINED", 2, definition, 5) == ["type"]
    assert reached(monkeypatch, "MAX_COMBINED", 1, definition, 5) == ["combinations"]


def test_as_many_errors_are_found_to_explain_a_value_as_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = {"items": {"type": "string"}}

    assert reached(monkeypatch, "MAX_ERRORS", 3, definition, [1, 2, 3]) == ["type"] * 3
    assert reached(monkeypatch, "MAX_ERRORS", 2, definition, [1, 2, 3]) == ["combinations"]
