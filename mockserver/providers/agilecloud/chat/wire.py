"""Encodes values for the wire: JSONL, and completions as server-sent events."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import orjson

PIECE = re.compile(r"(?:\s*\S{1,32}){1,3}|\s+")
PIECE_TOKENS = 3
"""The tokens of one event, if log probabilities are included."""
ARGUMENTS = {"function": "arguments", "custom": "input"}
"""The field of a tool call with its arguments, by the type of the tool."""
END = b"data: [DONE]\n\n"
# Line separators of Python's splitlines that JSON does not escape.
LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))


def jsonl_bytes(value: Any) -> bytes:
    """The value as JSON on one line, without a line feed at its end. Escapes all line separators that clients may split
    at.
    """
    line = orjson.dumps(value)
    if not line.isascii():
        for raw, escaped in LINE_ENDS:
            line = line.replace(raw, escaped)
    return line


def stream_events(
    completion: Mapping[str, Any],
    *,
    include_usage: bool,
    logprobs: Callable[[Mapping[str, Any]], Iterable[Any] | None] | None = None,
) -> Iterator[bytes]:
    """The events of a streamed completion. With usage, each has the field `usage`, and an additional last one its
    value.

    `logprobs` gives the log probabilities of a choice's tokens, instead of those in the completion. They are made as
    they are sent: those of all choices take megabytes. None is for a choice without text.
    """
    chunk = {
        "id": completion["id"],
        "object": "chat.completion.chunk",
        "created": completion["created"],
        "model": completion["model"],
        "system_fingerprint": completion["system_fingerprint"],
        "choices": [],
    }
    if include_usage:
        chunk["usage"] = None
    for choice in completion["choices"]:
        entries = logprobs(choice) if logprobs else (choice["logprobs"] or {}).get("content")
        for delta, own in _deltas(choice["message"], entries):
            yield _event({**chunk, "choices": [_choice(choice["index"], delta, None, own)]})
        yield _event({**chunk, "choices": [_choice(choice["index"], {}, choice["finish_reason"])]})
    if include_usage:
        yield _event({**chunk, "usage": completion["usage"]})
    yield END


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % jsonl_bytes(chunk)


def _choice(
    index: int, delta: Mapping[str, Any], finish_reason: str | None, logprobs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}


def _deltas(
    message: Mapping[str, Any], logprobs: Iterable[Any] | None
) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
    """The delta of each event, and the log probabilities of its tokens."""
    text = message["content"]
    yield {"role": message["role"], "content": None if text is None else "", "refusal": None}, None
    if logprobs is None:
        yield from (({"content": piece}, None) for piece in _pieces(text or ""))
    else:
        for tokens in _groups(logprobs, PIECE_TOKENS):
            yield {"content": "".join(each["token"] for each in tokens)}, {"content": tokens, "refusal": None}
    for index, call in enumerate(message.get("tool_calls", ())):
        kind, field = call["type"], ARGUMENTS[call["type"]]
        named = {"name": call[kind]["name"], field: ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": kind, kind: named}]}, None
        for piece in _pieces(call[kind][field]):
            yield {"tool_calls": [{"index": index, kind: {field: piece}}]}, None


def _groups(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The items in lists of that size, each made as it is taken; the last one may be shorter."""
    remaining = iter(items)
    return iter(lambda: list(islice(remaining, size)), [])


def _pieces(text: str) -> list[str]:
    """A few words at a time, with the space before them."""
    return PIECE.findall(text)
