"""Structured responses: JSON that fits a client's schema, and calls of a client's functions."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from mockserver.errors import Reason, Refusal, SpecError, Violation
from mockserver.openapi.generate.steps import MAX_BYTES, Budget, check_size, largest_pattern, validation_steps
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.chat.rules import chosen_tools, tool_name
from mockserver.providers.agilecloud.chat.text import generated_text
from mockserver.providers.agilecloud.chat.tokens import count_tokens, first_tokens
from mockserver.providers.agilecloud.chat.wire import ARGUMENTS
from mockserver.sandbox.ids import digest
from mockserver.text import format_dotted

ATTEMPTS = 8
"""The number of attempts to generate a value that fits, each with another key."""
CACHED_BYTES = 20_000
"""The most bytes of a schema whose validator is cached for all lines of a batch."""
_UNFIT = (SpecError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
LARGEST = {"minLength": 10_000, "minItems": 100, "minProperties": 100}
NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}
Location = tuple[str | int, ...]
FORMAT: Location = ("body", "response_format")


class JsonSchemaFormat(NamedTuple):
    """A JSON Schema of a request, and its name for error messages."""

    definition: Mapping[str, Any]
    place: str
    """`response_format 'invoice'` or `function 'find_city'`."""
    location: Location

    def generate_json(self, key: bytes, budget: Budget) -> bytes:
        """JSON that fits, the same for the same key; raises Refusal if the schema is invalid, or no value is found."""
        try:
            # `generate_value` assumes a sound schema, but a client's may have circular or dangling references.
            is_valid = _validator(orjson.dumps(self.definition), budget)
            for attempt in range(ATTEMPTS):
                value = generate_value(
                    self.definition, root=self.definition, key=digest(key, b"%d" % attempt), budget=budget
                )
                budget.spend(validation_steps(self.definition, value, budget.left))
                if is_valid(value):
                    return orjson.dumps(value)
        except _UNFIT as error:
            raise self._refusal(str(error)) from None
        raise self._refusal("no fitting value was found; a canned completion can give one")

    def accepts(self, value: Any, budget: Budget) -> bool:
        """Whether the value fits; raises Refusal if the schema is invalid, or the budget does not suffice."""
        try:
            is_valid = _validator(orjson.dumps(self.definition), budget)
            budget.spend(validation_steps(self.definition, value, budget.left))
            return is_valid(value)
        except _UNFIT as error:
            raise self._refusal(str(error)) from None

    def accepts_text(self, text: str, budget: Budget) -> bool:
        """Whether the text is JSON that fits."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return False
        return self.accepts(value, budget)

    def _refusal(self, why: str) -> Refusal:
        return refusal(self.location, "invalid_schema", f"Invalid schema for {self.place}: {why[:300]}")


ANY_OBJECT = JsonSchemaFormat({"type": "object"}, "response_format", FORMAT)
"""The schema of `json_object`."""


def refusal(location: Location, code: str, message: str) -> Refusal:
    """The rejection of a request that cannot be answered; the message is sent to the client."""
    return Refusal(Reason.INVALID, message, violations=[Violation(location, code, message)])


def read_format(request: Mapping[str, Any]) -> JsonSchemaFormat | None:
    """The schema of a `response_format` of type `json_schema`; raises Refusal if it is incomplete."""
    wanted = request.get("response_format")
    if not wanted or wanted.get("type") != "json_schema":
        return None
    wrapper = _needed(wanted, "json_schema", FORMAT)
    name = _needed(wrapper, "name", (*FORMAT, "json_schema"))
    location = (*FORMAT, "json_schema", "schema")
    definition = _needed(wrapper, "schema", location[:-1])
    if not isinstance(definition, Mapping):
        message = "Invalid type for 'response_format.json_schema.schema': expected an object."
        raise refusal(location, "invalid_type", message)
    return JsonSchemaFormat(definition, f"response_format '{name}'", location)


class ToolChoice(NamedTuple):
    """The tools that a completion may call, and whether it must call one."""

    allowed: Sequence[Mapping[str, Any]] = ()
    """The tools as in the request."""
    is_required: bool = False
    is_named: bool = False
    """Whether the client named the tool itself."""

    def first(self) -> Mapping[str, Any] | None:
        """The tool that is called if one must be: the first function, or else a custom tool."""
        called = [tool for tool in self.allowed if tool.get(tool.get("type", ""))]
        return next((tool for tool in called if tool["type"] == "function"), called[0] if called else None)

    def functions(self) -> dict[str, Mapping[str, Any]]:
        """The functions that may be called, by name."""
        called = [tool["function"] for tool in self.allowed if tool.get("type") == "function" and tool.get("function")]
        return {function["name"]: function for function in called}


def read_tool_choice(request: Mapping[str, Any]) -> ToolChoice:
    """The tool choice of `tools` and `tool_choice`. Invalid values count as no choice."""
    tools, choice = request.get("tools") or (), request.get("tool_choice")
    if choice == "none":
        return ToolChoice()
    if not isinstance(choice, Mapping):
        return ToolChoice(tools, is_required=choice == "required" and bool(tools))
    named = chosen_tools(choice)
    allowed = [tool for tool in tools if tool_name(tool) in named]
    if choice.get("type") == "allowed_tools":
        return ToolChoice(allowed, is_required=choice["allowed_tools"].get("mode") == "required" and bool(allowed))
    return ToolChoice(allowed, is_required=bool(allowed), is_named=True)


def generated_call(tool: Mapping[str, Any], key: bytes, budget: Budget) -> dict[str, Any]:
    """A generated call: arguments that fit the function's parameters, or a text for a custom tool."""
    if tool["type"] == "custom":
        custom = {"name": tool["custom"]["name"], "input": generated_text(key, tool["custom"]["name"])}
        return {"id": _call_id(key), "type": "custom", "custom": custom}
    function = tool["function"]
    call = {"name": function["name"], "arguments": _parameters(function).generate_json(key, budget).decode()}
    return tool_call(call, key)


def adapted_call(call: Mapping[str, Any], function: Mapping[str, Any], key: bytes, budget: Budget) -> dict[str, Any]:
    """A fixture's call, with generated arguments if its own do not fit the function's parameters."""
    form = _parameters(function)
    arguments = call.get("arguments", {})
    fits = form.accepts_text(arguments, budget) if isinstance(arguments, str) else form.accepts(arguments, budget)
    return tool_call(call if fits else {**call, "arguments": form.generate_json(key, budget).decode()}, key)


def tool_call(call: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """A fixture's call as it is sent. Arguments given as text are unchanged, valid JSON or not."""
    arguments = call.get("arguments", {})
    return {
        "id": _call_id(key),
        "type": "function",
        "function": {
            "name": call["name"],
            "arguments": arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode(),
        },
    }


def within_tokens(calls: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """The calls up to that many tokens: the last one may be cut; one whose name does not fit is left out."""
    kept: list[Mapping[str, Any]] = []
    for call in calls:
        kind, field = call["type"], ARGUMENTS[call["type"]]
        name, said = call[kind]["name"], call[kind][field]
        if count_tokens(name) > limit:
            break
        beginning = first_tokens(name + said, limit)[len(name) :]
        kept.append({**call, kind: {"name": name, field: beginning}})
        if beginning != said:
            break
        limit -= count_tokens(name + said)
    return kept


def _parameters(function: Mapping[str, Any]) -> JsonSchemaFormat:
    return JsonSchemaFormat(
        function.get("parameters") or NO_ARGUMENTS, f"function '{function['name']}'", ("body", "tools")
    )


def _call_id(key: bytes) -> str:
    return f"call_{digest(key, b'call').hex()[:24]}"


def _needed(wrapper: Mapping[str, Any], name: str, location: Location) -> Any:
    value = wrapper.get(name) if isinstance(wrapper, Mapping) else None
    if value is None:
        path = format_dotted((*location[1:], name))
        raise refusal((*location, name), "missing_required_parameter", f"Missing required parameter: '{path}'.")
    return value


def _validator(definition: bytes, budget: Budget) -> Callable[[Any], bool]:
    """A function that validates a value; raises ValueError for a schema that is too large, SpecError for an invalid
    one.
    """
    if len(definition) <= CACHED_BYTES:
        budget.spend(len(definition) // 20)
        return _small_validator(definition)
    if len(definition) > MAX_BYTES:
        raise ValueError(f"it has {len(definition)} bytes; at most {MAX_BYTES} are supported")
    budget.spend(len(definition))
    return _prepared(definition)


def _prepared(definition: bytes) -> Callable[[Any], bool]:
    schema = orjson.loads(definition)
    check_size(schema, LARGEST)
    return Schema(schema, {}, pattern_bytes=largest_pattern(schema) or None).fast_accepts


# Batches use the same schema in every line, and compiling it takes longer than validating.
_small_validator = lru_cache(maxsize=16)(_prepared)
