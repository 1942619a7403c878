"""OpenAI's rules for chats beyond its schema, for live requests and batch lines.

Rules that JSON Schema can express are in the document. These need the model, or several messages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.errors import Reason, Refusal, Violation
from mockserver.providers.agilecloud.chat.strict_schemas import strictness_problem, wrong_root
from mockserver.providers.agilecloud.models import Model, Reasoning

MAX_NAMED = 20
"""The most calls and tools that an error message lists."""
MAX_SHOWN = 100
"""The most characters of an id or a name in an error message."""

Body = Mapping[str, Any]
Find = Callable[[Body, Model], Violation | None]


class Rule(NamedTuple):
    """A rule of the table."""

    field: str
    """A field that a request needs to break the rule."""
    find: Find
    """The violation of a request; None if it has none."""
    is_for_some: bool = False
    """Whether it applies only to models that reason, or reject parameters for another reason."""


class RuleBroken(Refusal):
    """A valid request that breaks a rule."""


def check_rules(request: Body, model: Model) -> None:
    """Raises RuleBroken for the first rule that the valid request breaks."""
    # A live response takes 20 microseconds in all, and no rule applies to most requests.
    if not model.has_refusals and _FIELDS.isdisjoint(request):
        for message in request["messages"]:
            if message["role"] == "tool" or "tool_calls" in message:
                break
        else:
            return
    rules = RULES if model.has_refusals else _FOR_ALL
    for field, find, _ in rules:
        if field in request and request[field] is not None:
            violation = find(request, model)
            if violation is not None:
                raise RuleBroken(Reason.INVALID, violation.message, violations=[violation])


def _unanswered_calls(request: Body, _model: Model) -> Violation | None:
    """Each tool call of an assistant must be answered by the messages right after it, which answer nothing else."""
    calls: set[str] = set()
    open_calls: dict[str, None] = {}
    for n, message in enumerate(request["messages"]):
        role = message.get("role")
        if role == "tool":
            id_ = message.get("tool_call_id") or ""
            if id_ not in calls:
                return _lost_answer(id_, n, has_calls=bool(calls))
            open_calls.pop(id_, None)
            continue
        if open_calls:
            return _unanswered(open_calls, ("messages", n, "role"))
        made = message.get("tool_calls") if role == "assistant" else None
        open_calls = dict.fromkeys(call["id"] for call in made or ())
        calls = set(open_calls)
    return _unanswered(open_calls, ("messages",)) if open_calls else None


def _unanswered(calls: Mapping[str, None], location: tuple[str | int, ...]) -> Violation:
    message = (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
        f"The following tool_call_ids did not have response messages: {_named(list(calls))}"
    )
    return Violation(("body", *location), "", message)


def _lost_answer(id_: str, n: int, *, has_calls: bool) -> Violation:
    shown = id_[:MAX_SHOWN]
    if has_calls:
        message = f"Invalid parameter: 'tool_call_id' of '{shown}' not found in 'tool_calls' of previous message."
        return Violation(("body", "messages", n, "tool_call_id"), "", message)
    message = (
        "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'. "
        f"There is no call '{shown}'."
    )
    return Violation(("body", "messages", n, "role"), "", message)


def _without_json(request: Body, _model: Model) -> Violation | None:
    if request["response_format"].get("type") != "json_object":
        return None
    if any("json" in text.lower() for message in request["messages"] for text in _texts(message.get("content"))):
        return None
    message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    return Violation(("body", "messages"), "", message)


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    else:
        yield from (part["text"] for part in content or () if isinstance(part.get("text"), str))


def _open_format(request: Body, _model: Model) -> Violation | None:
    wanted = request["response_format"].get("json_schema")
    if not wanted or not wanted.get("strict") or not isinstance(wanted.get("schema"), Mapping):
        return None
    problem = strictness_problem(wanted["schema"])
    message = f"Invalid schema for response_format '{wanted['name']}': {problem}"
    return Violation(("body", "response_format"), "", message) if problem else None


def _open_parameters(request: Body, _model: Model) -> Violation | None:
    for n, tool in enumerate(request["tools"]):
        function = tool.get("function") or {}
        parameters = function.get("parameters")
        if parameters is None:
            continue
        problem = ""
        if function.get("strict"):
            problem = strictness_problem(parameters)
        elif parameters.get("type", "object") != "object":
            problem = wrong_root(parameters)
        if problem:
            location = ("body", "tools", n, "function", "parameters")
            message = f"Invalid schema for function '{function['name']}': {problem}"
            return Violation(location, "invalid_function_parameters", message)
    return None


def _unsent_choice(request: Body, _model: Model) -> Violation | None:
    sent = {tool_name(tool) for tool in request.get("tools") or ()}
    for kind, name in chosen_tools(request["tool_choice"]):
        if (kind, name) not in sent:
            noun = "function" if kind == "function" else f"{kind[:MAX_SHOWN]} tool"
            problem = f"no {noun} named '{name[:MAX_SHOWN]}' was specified in the 'tools' parameter."
            return Violation(("body", "tool_choice"), "", f"Invalid value for 'tool_choice': {problem}")
    return None


def tool_name(tool: Mapping[str, Any]) -> tuple[str, str]:
    """The type and the name of a tool."""
    kind = tool.get("type")
    named = tool.get(kind) if isinstance(kind, str) else None
    name = named.get("name") if isinstance(named, Mapping) else None
    return str(kind), name if isinstance(name, str) else ""


def chosen_tools(choice: Any) -> Sequence[tuple[str, str]]:
    """The tools that a `tool_choice` names, by type and name; empty for a string."""
    if not isinstance(choice, Mapping):
        return ()
    if choice.get("type") == "allowed_tools":
        return [tool_name(each) for each in choice["allowed_tools"]["tools"]]
    return [tool_name(choice)]


def _unsupported_limit(_request: Body, _model: Model) -> Violation | None:
    return _unsupported("max_tokens", " Use 'max_completion_tokens' instead.")


def _unsupported(field: str, hint: str = "") -> Violation:
    message = f"Unsupported parameter: '{field}' is not supported with this model.{hint}"
    return Violation(("body", field), "unsupported_parameter", message)


def _with_default_only(field: str, default: float) -> Find:
    """The rule for a parameter that a reasoning model accepts with its default value only."""

    def find(request: Body, model: Model) -> Violation | None:
        value = request[field]
        if value == default or not _reasons(request, model):
            return None
        message = (
            f"Unsupported value: '{field}' does not support {value} with this model. "
            f"Only the default ({default}) value is supported."
        )
        return Violation(("body", field), "unsupported_value", message)

    return find


def _when_reasoning(field: str) -> Find:
    """The rule for a parameter that models reject while they reason."""
    return lambda request, model: _unsupported(field) if request[field] and _reasons(request, model) else None


def _refused_by_model(request: Body, model: Model) -> Violation | None:
    """A parameter that the model's fixture excludes."""
    refused = next((field for field in sorted(model.unsupported) if request.get(field) is not None), None)
    return _unsupported(refused) if refused else None


def _reasons(request: Body, model: Model) -> bool:
    if model.reasoning is Reasoning.OPTIONAL:
        return request.get("reasoning_effort") not in {None, "none"}
    return model.reasoning is Reasoning.ALWAYS


def _named(names: Sequence[str]) -> str:
    more = ", …" if len(names) > MAX_NAMED else ""
    return ", ".join(name[:MAX_SHOWN] for name in names[:MAX_NAMED]) + more


RULES: Sequence[Rule] = (
    Rule("messages", _unanswered_calls),
    Rule("model", _refused_by_model, is_for_some=True),
    Rule("max_tokens", _unsupported_limit, is_for_some=True),
    Rule("temperature", _with_default_only("temperature", 1), is_for_some=True),
    Rule("top_p", _with_default_only("top_p", 1), is_for_some=True),
    Rule("presence_penalty", _with_default_only("presence_penalty", 0), is_for_some=True),
    Rule("frequency_penalty", _with_default_only("frequency_penalty", 0), is_for_some=True),
    Rule("logprobs", _when_reasoning("logprobs"), is_for_some=True),
    Rule("logit_bias", _when_reasoning("logit_bias"), is_for_some=True),
    Rule("response_format", _without_json),
    Rule("response_format", _open_format),
    Rule("tools", _open_parameters),
    Rule("tool_choice", _unsent_choice),
)
"""All rules, in the order in which they are checked. The first violation is reported."""
_FOR_ALL = tuple(rule for rule in RULES if not rule.is_for_some)
_FIELDS = frozenset(rule.field for rule in _FOR_ALL) - {"messages"}
