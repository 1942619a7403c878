"""Answers in the client's own form: they fit its schemas, and what cannot be answered is refused in words."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped,unused-ignore]  # it ships no types
from pydantic import BaseModel

from mockserver.errors import Reason, Refusal
from mockserver.openapi.generate.steps import FREE_STEPS, MAX_STEPS, Budget, TooCostly
from mockserver.providers.agilecloud.chat.completion import chat_completion

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": ["integer", "null"], "minimum": 0},
        "role": {"enum": ["admin", "guest"]},
        "friends": {"type": "array", "items": {"$ref": "#/$defs/friend"}},
    },
    "required": ["name", "age", "role", "friends"],
    "additionalProperties": False,
    "$defs": {
        "friend": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "best": {"type": "boolean"}},
            "required": ["name", "best"],
            "additionalProperties": False,
        }
    },
}


def ask(key: bytes = b"k", **fields: Any) -> dict[str, Any]:
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Who?"}], **fields}
    choice = chat_completion(request, canned=None, key=key, id="chatcmpl-1", created=1)["choices"][0]
    return dict(choice)


def make_format(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema, **more}}


def make_tool(name: str, parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


@given(key=st.binary(min_size=1, max_size=16))
def test_an_answer_fits_its_schema(key: bytes) -> None:
    choice = ask(key, response_format=make_format(PERSON))

    value = orjson.loads(choice["message"]["content"])
    Draft202012Validator(PERSON).validate(value)
    assert set(value) == {"name", "age", "role", "friends"}
    assert choice["finish_reason"] == "stop"


class Step(BaseModel):
    explanation: str
    output: float


class Solution(BaseModel):
    steps: list[Step]
    final: str | None


def test_a_client_s_own_model_parses_the_answer() -> None:
    choice = ask(response_format=make_format(Solution.model_json_schema()))

    assert Solution.model_validate_json(choice["message"]["content"]).steps


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYWORDS = (
    "type", "properties", "items", "required", "enum", "const", "$ref", "allOf", "anyOf", "oneOf", "not", "minLength",
    "maximum", "multipleOf", "pattern", "format", "additionalProperties", "minItems", "$defs", "if", "then", "$schema",
)  # fmt: skip
SCHEMAS = st.recursive(
    JSON | st.sampled_from(["object", "string", "array", "#", "#/$defs/a", "#a", "uuid", "[", "https://example.com/a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4),
    max_leaves=12,
).flatmap(lambda value: st.dictionaries(st.sampled_from(KEYWORDS), st.just(value) | JSON, max_size=3))


@settings(max_examples=300)
@given(schema=SCHEMAS)
def test_any_schema_gets_a_value_or_is_rejected(schema: dict[str, Any]) -> None:
    try:
        choice = ask(response_format=make_format(schema))
    except Refusal as refusal:
        assert refusal.reason is Reason.INVALID
        assert str(refusal).startswith("Invalid schema for response_format 'answer': ")
    else:
        orjson.loads(choice["message"]["content"])


LEAVES = st.one_of(
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"enum": ["a", 1, None]}, {"const": {"a": [1]}}]),
    st.integers(0, 90).map(lambda low: {"type": "string", "minLength": low, "maxLength": low + 9}),
    st.sampled_from(["uuid", "date-time", "email", "ipv4"]).map(lambda name: {"type": "string", "format": name}),
    st.sampled_from([r"^[A-Z]{3}-\d+$", "^(yes|no)$"]).map(lambda text: {"type": "string", "pattern": text}),
    st.integers(-99, 99).map(lambda low: {"type": "integer", "minimum": low, "exclusiveMaximum": low + 9}),
    st.sampled_from([1, 0.5, 7]).map(lambda step: {"type": "number", "multipleOf": step}),
)
ORDINARY = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from("abcdefgh"), inner, max_size=5).map(
            lambda named: {
                "type": "object",
                "properties": named,
                "required": list(named),
                "additionalProperties": False,
            }
        ),
        st.tuples(inner, st.integers(0, 9)).map(lambda e: {"type": "array", "items": e[0], "minItems": e[1]}),
        inner.map(lambda each: {"anyOf": [each, {"type": "null"}]}),
        inner.map(lambda each: {"allOf": [each]}),
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(schema=ORDINARY, key=st.binary(min_size=1, max_size=4))
def test_an_ordinary_schema_gets_an_answer_that_fits(schema: dict[str, Any], key: bytes) -> None:
    whole = {"$ref": "#/$defs/a", "$defs": {"a": schema}}
    choice = ask(key, response_format=make_format(whole))

    Draft202012Validator(whole).validate(orjson.loads(choice["message"]["content"]))


def test_all_choices_share_one_budget() -> None:
    dear = {"type": "array", "minItems": 90, "items": {"type": "string", "minLength": 900}}

    ask(response_format=make_format(dear))
    with pytest.raises(Refusal, match="too much work"):
        ask(response_format=make_format(dear), n=128)


def test_all_lines_share_one_budget() -> None:
    shared = Budget(5_000)
    Budget(MAX_STEPS, shared).spend(FREE_STEPS)
    assert shared.spent == 0

    with pytest.raises(TooCostly):
        Budget(MAX_STEPS, shared).spend(FREE_STEPS + 5_001)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#/$defs/nowhere"}}},
        {"type": "wrong"},
        {"type": "string", "not": {"type": "string"}},
        {"properties": []},
        {"$ref": "https://example.com/elsewhere"},
        {"type": "string", "minLength": 10**9},
        {"anyOf": [{"items": {"minItems": 10**9}}]},
    ],
)
def test_an_unsatisfiable_schema_is_rejected(schema: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="Invalid schema for response_format 'answer'") as caught:
        ask(response_format=make_format(schema))

    (violation,) = caught.value.violations
    assert violation.location == ("body", "response_format", "json_schema", "schema")
    assert violation.code == "invalid_schema"


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(500):
        schema = {"properties": {"a": schema}}

    with pytest.raises(Refusal, match="Invalid schema"):
        ask(response_format=make_format(schema))
    with pytest.raises(Refusal, match="nested too deeply"):
        ask(tools=[make_tool("deep", schema)])


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ({"type": "json_schema"}, "response_format.json_schema"),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, "response_format.json_schema.name"),
        ({"type": "json_schema", "json_schema": {"name": "x"}}, "response_format.json_schema.schema"),
    ],
)
def test_a_missing_part_of_response_format_is_named(wanted: dict[str, Any], path: str) -> None:
    with pytest.raises(Refusal) as caught:
        ask(response_format=wanted)

    assert caught.value.detail == f"Missing required parameter: '{path}'."
    (violation,) = caught.value.violations
    assert violation.location == ("body", *path.split("."))
    assert violation.code == "missing_required_parameter"


def test_a_schema_has_to_be_an_object() -> None:
    with pytest.raises(Refusal, match="expected an object"):
        ask(response_format=make_format([1]))


@pytest.mark.parametrize(
    ("choice", "finish"),
    [("required", "tool_calls"), ({"type": "function", "function": {"name": "find_person"}}, "stop")],
)
def test_a_forced_call_has_fitting_arguments(choice: Any, finish: str) -> None:
    tools = [{"type": "custom", "custom": {"name": "odd"}}, make_tool("find_person", PERSON), make_tool("other")]

    said = ask(tools=tools, tool_choice=choice)

    assert said["finish_reason"] == finish
    (call,) = said["message"]["tool_calls"]
    assert call["function"]["name"] == "find_person"
    Draft202012Validator(PERSON).validate(orjson.loads(call["function"]["arguments"]))


def test_a_function_without_parameters_is_called_with_none() -> None:
    said = ask(tools=[make_tool("now")], tool_choice="required")

    assert said["message"]["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}


def test_a_tool_that_is_no_function_cannot_be_called() -> None:
    tools = [{"type": "web_search", "function": None}, {"type": "function", "function": {"name": "find_city"}}]

    assert ask(tools=tools, tool_choice="required")["message"]["tool_calls"][0]["function"]["name"] == "find_city"


@pytest.mark.parametrize(
    "choice", [None, "auto", "none", {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}]
)
def test_no_tool_is_called_without_a_request_for_it(choice: Any) -> None:
    said = ask(tools=[make_tool("now")], tool_choice=choice)

    assert "tool_calls" not in said["message"]
    assert said["message"]["content"]
