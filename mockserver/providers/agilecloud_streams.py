"""How AgileCloud's values go over the wire: lines of JSONL, and completions in pieces as server-sent events."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

PIECE = re.compile(r"(?:\s*\S{1,32}){1,3}|\s+")
END = b"data: [DONE]\n\n"
# What Python's splitlines takes for the end of a line beside what JSON escapes anyway.
LINE_ENDS = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))


def line_bytes(value: Any) -> bytes:
    """The value as JSON on one line, whatever a client splits lines at; without a line feed at its end."""
    line = orjson.dumps(value)
    if not line.isascii():
        for raw, escaped in LINE_ENDS:
            line = line.replace(raw, escaped)
    return line


def chunks(completion: Mapping[str, Any], *, include_usage: bool) -> Iterator[bytes]:
    """The events a completion is streamed as. With usage, each has the field, and one more at the end its value."""
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
        for delta in _deltas(choice["message"]):
            yield _event({**chunk, "choices": [_choice(choice["index"], delta, None)]})
        yield _event({**chunk, "choices": [_choice(choice["index"], {}, choice["finish_reason"])]})
    if include_usage:
        yield _event({**chunk, "usage": completion["usage"]})
    yield END


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: %b\n\n" % line_bytes(chunk)


def _choice(index: int, delta: Mapping[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    text = message["content"]
    yield {"role": message["role"], "content": None if text is None else "", "refusal": None}
    for piece in _pieces(text or ""):
        yield {"content": piece}
    for index, call in enumerate(message.get("tool_calls", ())):
        function = {"name": call["function"]["name"], "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": call["type"], "function": function}]}
        for piece in _pieces(call["function"]["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _pieces(text: str) -> list[str]:
    """A few words at a time, with the space before them."""
    return PIECE.findall(text)
