"""AgileCloud's response to a chat request: the canned completion that matches, else a generated one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from mockserver.fixtures.files import Completion
from mockserver.openapi.generate.steps import Budget
from mockserver.providers.agilecloud.chat.logprobs import (
    check_size,
    text_logprobs,
    token_logprobs,
    top_count,
    wants_logprobs,
)
from mockserver.providers.agilecloud.chat.text import (
    generated_object,
    generated_text,
    last_user_message,
    topic_of,
)
from mockserver.providers.agilecloud.chat.tokens import (
    call_tokens,
    count_tokens,
    first_tokens,
    prompt_tokens,
    usage,
)
from mockserver.providers.agilecloud.chat.tools import (
    ANY_OBJECT,
    JsonSchemaFormat,
    ToolChoice,
    adapted_call,
    generated_call,
    read_format,
    read_tool_choice,
    refusal,
    tool_call,
    within_tokens,
)
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes
from mockserver.sandbox.ids import digest

__all__ = ["EncodedCompletion", "chat_completion", "encode_completion", "last_user_message", "streamed_logprobs"]

PLAIN = frozenset(
    (
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "frequency_penalty",
        "presence_penalty", "seed", "user", "metadata", "store", "stream", "logit_bias", "reasoning_effort",
    )
)  # fmt: skip
"""Fields of a request that do not change the form of its completion."""


EncodedCompletion = tuple[bytes, int, int]
"""A completion as JSON for an output file, with its prompt and completion tokens."""


class _Answer(NamedTuple):
    """The content of one choice: a text, or tool calls."""

    text: str | None
    calls: Sequence[Mapping[str, Any]] = ()
    finish_reason: str = "stop"
    is_canned: bool = False
    """Whether it is a fixture's, unchanged."""


class _ChatRequest(NamedTuple):
    """The parts of a chat request that determine its completion."""

    request: Mapping[str, Any]
    entry: Mapping[str, Any]
    """The canned completion as in the file; empty without one."""
    form: JsonSchemaFormat | None
    choice: ToolChoice
    budget: Budget
    """The budget of all choices together."""

    def answer(self, key: bytes) -> _Answer:
        """The content of one choice: canned calls if there are any, else calls that the client requires, else text."""
        # "stop" if the client named the tool, since the model had no choice.
        finish = "stop" if self.choice.is_named else "tool_calls"
        calls = self.canned_calls(key)
        if calls:
            return _Answer(None, calls, finish, is_canned=True)
        tool = self.choice.first() if self.choice.is_required else None
        if tool is not None:
            return _Answer(None, [generated_call(tool, key, self.budget)], finish)
        text = self.entry.get("text")
        if text is not None and (not self.entry.get("adapts") or self.fits(text)):
            return _Answer(text, is_canned=True)
        return _Answer(self.fabricated(key))

    def canned_calls(self, key: bytes) -> Sequence[Mapping[str, Any]]:
        """The fixture's calls of functions that the request allows.

        Only once per turn: after the tool results, the user's last message is still the same.
        """
        calls: Sequence[Mapping[str, Any]] = self.entry.get("tool_calls", ())
        if not calls or self.request["messages"][-1].get("role") == "tool":
            return ()
        functions = self.choice.functions()
        calls = [call for call in calls if call["name"] in functions]
        if self.request.get("parallel_tool_calls") is False:
            calls = calls[:1]
        keys = [digest(key, b"%d" % n) for n in range(len(calls))]
        if not self.entry.get("adapts"):
            return [tool_call(call, own) for call, own in zip(calls, keys, strict=True)]
        return [
            adapted_call(call, functions[call["name"]], own, self.budget) for call, own in zip(calls, keys, strict=True)
        ]

    def fits(self, text: str) -> bool:
        """Whether the text has the requested form."""
        if self.form is not None:
            return self.form.accepts_text(text, self.budget)
        return not self.wants_object() or ANY_OBJECT.accepts_text(text, self.budget)

    def wants_object(self) -> bool:
        """Whether any JSON object is requested (`json_object`)."""
        return (self.request.get("response_format") or {}).get("type") == "json_object"

    def fabricated(self, key: bytes) -> str:
        if self.form is not None:
            return self.form.generate_json(key, self.budget).decode()
        topic = topic_of(last_user_message(self.request["messages"]))
        if self.wants_object():
            return orjson.dumps(generated_object(key, topic)).decode()
        return generated_text(key, topic)


def chat_completion(
    request: Mapping[str, Any],
    *,
    canned: Completion | None,
    key: bytes,
    id: str,
    created: int,
    budget: Budget | None = None,
    has_logprobs: bool = True,
) -> dict[str, Any]:
    """The `chat.completion` object, the same for the same arguments; raises Refusal.

    The request is valid. `key` is derived from the seed, the model and the messages; `canned` is the fixture for the
    last user message. `budget` limits a structured response. Without `has_logprobs`, those that the request asks for
    are left to `streamed_logprobs`.
    """
    asked = _ChatRequest(
        request, canned.entry if canned else {}, read_format(request), read_tool_choice(request), budget or Budget()
    )
    # In OpenAI's API null means unset; some clients send every parameter.
    count = int(request.get("n") or 1)
    choices = [_choice(asked, n, _choice_key(key, n)) for n in range(count)]
    said = sum([_answer_tokens(choice["message"]) for choice in choices])
    if wants_logprobs(request):
        check_size(said, request)
        for n, choice in enumerate(choices if has_logprobs else ()):
            text = choice["message"]["content"]
            choice["logprobs"] = None if text is None else text_logprobs(text, request, _choice_key(key, n))
    return _completion_json(id, created, request["model"], choices, usage(_requested_tokens(request), said))


def streamed_logprobs(
    request: Mapping[str, Any], key: bytes
) -> Callable[[Mapping[str, Any]], Iterable[Any] | None] | None:
    """The log probabilities of a choice's tokens, made as they are sent; None if the request wants none."""
    if not wants_logprobs(request):
        return None
    count = top_count(request)  # the request itself is not kept

    def logprobs(choice: Mapping[str, Any]) -> Iterable[Any] | None:
        text = choice["message"]["content"]
        return None if text is None else token_logprobs(text, count, _choice_key(key, choice["index"]))

    return logprobs


def _choice_key(key: bytes, index: int) -> bytes:
    return digest(key, b"%d" % index) if index else key


def encode_completion(
    request: Mapping[str, Any],
    *,
    canned: Completion | None,
    key: Callable[[], bytes],
    id: str,
    created: int,
    prompt: str | None = None,
    budget: Budget | None = None,
) -> EncodedCompletion:
    """`jsonl_bytes` of the completion. Takes half the time for plain text, which most batches request.

    JSON encodes the id unchanged. `prompt` is the last user message, if known. `key` returns the key for
    `chat_completion`; a canned text does not need it.
    """
    if (canned is None or canned.has_only_text) and request.keys() <= PLAIN:
        if canned is not None:
            written, said = _encode_choice(canned.entry["text"])
        else:
            written, said = _generated_choice(
                key(), last_user_message(request["messages"]) if prompt is None else prompt
            )
        if said <= (request.get("max_completion_tokens") or request.get("max_tokens") or said):
            asked = prompt_tokens(request["messages"])
            one, two, three, four, five, six, seven = completion_template(request["model"])
            body = f"{one}{id}{two}{created}{three}{written}{four}{asked}{five}{said}{six}{asked + said}{seven}"
            return body.encode(), asked, said
    shown = chat_completion(request, canned=canned, key=key(), id=id, created=created, budget=budget)
    return jsonl_bytes(shown), shown["usage"]["prompt_tokens"], shown["usage"]["completion_tokens"]


def _generated_choice(key: bytes, prompt: str) -> tuple[str, int]:
    """A generated text as JSON, and its number of tokens."""
    text = generated_text(key, topic_of(prompt))
    return f'"{text}"', count_tokens(text)


@lru_cache(maxsize=128)
def _encode_choice(text: str) -> tuple[str, int]:
    """A fixture's text as JSON, and its number of tokens."""
    return jsonl_bytes(text).decode(), count_tokens(text)


def _completion_json(
    id_: Any, created: Any, model: Any, choices: Sequence[Any], used: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "id": id_,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": choices,
        "usage": used,
        "system_fingerprint": _fingerprint(model),
    }


@lru_cache(maxsize=128)
def completion_template(model: str) -> Sequence[str]:
    """A completion with only a text, as JSON in parts: id, creation time, text and three counts go between them.

    The parts quote the id; the text is given with its quotes.
    """
    blank, number = orjson.Fragment(b'"\0"'), orjson.Fragment(b"\0")  # the text is given with its quotes
    counts = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), number)
    choice = _choice_json(0, {"role": "assistant", "content": number, "refusal": None}, "stop")
    shown = _completion_json(blank, number, model, [choice], usage(0, 0) | counts)
    # No JSON text contains NUL, so it is a safe placeholder.
    return jsonl_bytes(shown).decode().split("\0")


def _choice(asked: _ChatRequest, index: int, key: bytes) -> dict[str, Any]:
    answer = asked.answer(key)
    finish = answer.finish_reason
    if answer.is_canned:
        finish = asked.entry.get("finish_reason", finish)
        if finish == "tool_calls" and not answer.calls:
            finish = "stop"  # the fixture's text, if the request does not allow its calls
    text, calls = answer.text, answer.calls
    limit = _limit(asked.request)
    if text is not None:
        text, cut = _truncate(text, asked.request)
        finish = cut or finish
    elif limit and call_tokens(calls) > limit:
        calls, finish = within_tokens(calls, limit), "length"
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    return _choice_json(index, message, finish)


def _choice_json(index: int, message: Mapping[str, Any], finish_reason: str) -> dict[str, Any]:
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}


def _truncate(text: str, request: Mapping[str, Any]) -> tuple[str, str]:
    """The text up to its first stop sequence or its last allowed token, and the finish reason; empty for the whole."""
    stop, reason = request.get("stop"), ""
    if stop:
        ends = [text.find(sequence) for sequence in ([stop] if isinstance(stop, str) else stop) if sequence]
        end = min((end for end in ends if end >= 0), default=None)
        if end is not None:
            text, reason = text[:end], "stop"
    limit = _limit(request)
    beginning = first_tokens(text, limit) if limit else text
    return (text, reason) if len(beginning) == len(text) else (beginning, "length")


def _limit(request: Mapping[str, Any]) -> int:
    """The most tokens of a completion; 0 if not set."""
    return int(request.get("max_completion_tokens") or request.get("max_tokens") or 0)


def _requested_tokens(request: Mapping[str, Any]) -> int:
    """The tokens of the messages, and of the tool descriptions."""
    tokens = prompt_tokens(request["messages"])
    tools = request.get("tools")
    if not tools:
        return tokens
    try:
        return tokens + count_tokens(orjson.dumps(tools).decode())
    except orjson.JSONEncodeError as error:
        raise refusal(("body", "tools"), "depth", "Invalid value for 'tools': it is nested too deeply.") from error


def _answer_tokens(message: Mapping[str, Any]) -> int:
    return count_tokens(message["content"] or "") + call_tokens(message.get("tool_calls", ()))


@lru_cache(maxsize=128)
def _fingerprint(model: str) -> str:
    return f"fp_{digest(model.lower().encode()).hex()[:10]}"
