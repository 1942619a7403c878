"""Answers in a form the client gives: JSON that fits a schema, and calls of the client's own functions."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from mockserver.contract.fabrication import fabricated
from mockserver.contract.schema import Schema
from mockserver.errors import Reason, Refusal, SpecError, Violation
from mockserver.state.ids import digest

ATTEMPTS = 8
"""How often we try for a value that fits, each time from another key."""
LARGEST = {"minLength": 10_000, "minItems": 100, "minProperties": 100}
NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}
Location = tuple[str | int, ...]
FORMAT: Location = ("body", "response_format")
CHOICE: Location = ("body", "tool_choice")


class Form(NamedTuple):
    """A JSON Schema from a request, and how to speak of it."""

    definition: Mapping[str, Any]
    place: str
    """`response_format 'invoice'` or `function 'find_city'`."""
    location: Location

    def filled(self, key: bytes) -> bytes:
        """JSON that fits, the same for the same key; raises Refusal where the schema is none, or nothing is found."""
        try:
            # `fabricated` trusts its schema, and a client's may do anything: refer to itself, or to nowhere.
            judge = _judge(orjson.dumps(self.definition))
            for attempt in range(ATTEMPTS):
                value = fabricated(self.definition, root=self.definition, key=digest(key, b"%d" % attempt))
                if judge.accepts(value):
                    return orjson.dumps(value)
        except (SpecError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise self._refusal(str(error)) from error
        raise self._refusal("no fitting value was found; a canned completion can give one")

    def _refusal(self, why: str) -> Refusal:
        return refusal(self.location, "invalid_schema", f"Invalid schema for {self.place}: {why[:300]}")


def refusal(location: Location, code: str, message: str) -> Refusal:
    """A request that cannot be answered; the message is the client's text."""
    return Refusal(Reason.INVALID, message, violations=[Violation(location, code, message)])


def read_form(request: Mapping[str, Any]) -> Form | None:
    """The form that `response_format` of type `json_schema` asks for; raises Refusal when it is incomplete."""
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
    return Form(definition, f"response_format '{name}'", location)


def read_forced_function(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function that `tool_choice` leaves no way around: the named or the first one; raises Refusal without any."""
    choice = request.get("tool_choice")
    if not choice or choice in ("auto", "none"):
        return None
    if isinstance(choice, str) and choice != "required":
        supported = "Supported values are: 'none', 'auto', and 'required'."
        raise refusal(CHOICE, "invalid_value", f"Invalid value: '{choice}'. {supported}")
    tools = request.get("tools") or ()
    if not tools:
        raise refusal(CHOICE, "invalid_value", "'tool_choice' is only allowed when 'tools' are specified.")
    functions = [tool["function"] for tool in tools if tool.get("function")]
    if choice == "required":
        return next(iter(functions), None)
    # Newer kinds of choice (allowed_tools, custom) leave a text possible.
    return _named(functions, choice) if choice.get("type") == "function" else None


def fabricated_call(function: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """A fixture's tool call, made up: arguments that fit the function's parameters."""
    name = function["name"]
    form = Form(function.get("parameters") or NO_ARGUMENTS, f"function '{name}'", ("body", "tools"))
    return {"name": name, "arguments": form.filled(key).decode()}


def tool_call(call: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """A tool call as it is sent. Arguments given as text stay as they are, well-formed or not."""
    arguments = call.get("arguments", {})
    return {
        "id": f"call_{digest(key, b'call').hex()[:24]}",
        "type": "function",
        "function": {
            "name": call["name"],
            "arguments": arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode(),
        },
    }


def _needed(wrapper: Mapping[str, Any], name: str, location: Location) -> Any:
    value = wrapper.get(name) if isinstance(wrapper, Mapping) else None
    if value is None:
        path = ".".join(str(step) for step in (*location[1:], name))
        raise refusal((*location, name), "missing_required_parameter", f"Missing required parameter: '{path}'.")
    return value


def _named(functions: list[Mapping[str, Any]], choice: Mapping[str, Any]) -> Mapping[str, Any]:
    name = _needed(_needed(choice, "function", CHOICE), "name", (*CHOICE, "function"))
    for function in functions:
        if function["name"] == name:
            return function
    message = f"Invalid value for 'tool_choice': no function named '{name}' was specified in the 'tools' parameter."
    raise refusal(CHOICE, "invalid_value", message)


@lru_cache(maxsize=64)
def _judge(definition: bytes) -> Schema:
    """Batches ask for the same form on every line, and preparing a schema takes longer than judging by it."""
    schema = orjson.loads(definition)
    _check_size(schema)
    return Schema(schema, {})


def _check_size(part: Any) -> None:
    """Raise ValueError where a value would be larger than anybody's test needs; a few bytes can ask for gigabytes."""
    if isinstance(part, list):
        for each in part:
            _check_size(each)
    elif isinstance(part, dict):
        for word, asked in part.items():
            if isinstance(asked, int | float) and asked > LARGEST.get(word, asked):
                raise ValueError(f"{word} is {asked}; no more than {LARGEST[word]} is made up here")
            _check_size(asked)
