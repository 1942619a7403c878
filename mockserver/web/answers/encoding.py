"""Encodes answers as JSON in pieces, so that a long list never exists as a whole."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from mockserver.workers import checkpoint


def has_pieces(answer: Any) -> bool:
    """Whether the answer has a value that is made while it is encoded."""
    return isinstance(answer, Iterator) or (
        isinstance(answer, Mapping) and any(isinstance(each, Iterator) for each in answer.values())
    )


def encode_pieces(answer: Mapping[str, Any] | Iterator[bytes]) -> Iterator[bytes]:
    """The answer as JSON in pieces: an iterator of JSON as it is, of an object each value that is an iterator as an
    array.
    """
    if isinstance(answer, Iterator):
        yield from answer
        return
    separator = b"{"
    for name, value in answer.items():
        yield separator + orjson.dumps(name) + b":"
        separator = b","
        if isinstance(value, Iterator):
            yield from _encode_array(value)
        else:
            yield orjson.dumps(value)
    yield b"}" if answer else b"{}"


def _encode_array(values: Iterator[Any]) -> Iterator[bytes]:
    separator = b"["
    for value in values:
        checkpoint()
        yield separator + orjson.dumps(value)
        separator = b","
    yield b"[]" if separator == b"[" else b"]"
