"""Deterministic embeddings: the same text has the same vector; similar texts have unrelated ones."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import shake_128
from math import sqrt
from operator import mul
from struct import pack, unpack
from typing import Any

import orjson

from mockserver.errors import Reason, Refusal, Violation
from mockserver.providers.agilecloud.chat.tokens import count_tokens
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes
from mockserver.providers.agilecloud.models import Model
from mockserver.sandbox.ids import canonical, digest
from mockserver.workers import checkpoint

Input = str | Sequence[int]
"""A text, or one that the client has tokenised."""


def embeddings(request: Mapping[str, Any], *, model: Model, seed: str) -> dict[str, Any]:
    """The response to a valid request; raises Refusal for more dimensions than the model has."""
    data = list(_vectors(request, model, seed))
    return {"object": "list", "data": data, "model": request["model"], "usage": embedding_usage(request)}


def embedding_usage(request: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of the inputs."""
    tokens = sum([count_tokens(each) if isinstance(each, str) else len(each) for each in read_inputs(request["input"])])
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def count_numbers(request: Mapping[str, Any], model: Model) -> int:
    """The numbers in the response; raises Refusal for more dimensions than the model has."""
    return len(read_inputs(request["input"])) * _dimensions(request, model)


def embedding_pieces(request: Mapping[str, Any], *, model: Model, seed: str) -> Iterator[bytes]:
    """The same response in JSON, piece by piece: with thousands of inputs it takes 130 MB. The request is valid.

    Encoding it as a whole would also hold the interpreter lock for as long.
    """
    separator = b'{"object":"list","data":['
    for each in _vectors(request, model, seed):
        checkpoint()
        yield separator + orjson.dumps(each)
        separator = b","
    usage = orjson.dumps(embedding_usage(request))
    yield b'],"model":%b,"usage":%b}' % (jsonl_bytes(request["model"]), usage)


def _vectors(request: Mapping[str, Any], model: Model, seed: str) -> Iterator[dict[str, Any]]:
    dimensions = _dimensions(request, model)
    shown = _as_base64 if request.get("encoding_format") == "base64" else _as_floats
    for index, each in enumerate(read_inputs(request["input"])):
        numbers = shown(vector(each, model.name, seed, dimensions))
        yield {"object": "embedding", "index": index, "embedding": numbers}


def read_inputs(given: Any) -> Sequence[Input]:
    """The inputs: one or several, as text or as tokens."""
    if isinstance(given, str) or (given and not isinstance(given[0], str | list)):
        return [given]
    return list(given)


def vector(text: Input, model: str, seed: str, dimensions: int) -> bytes:
    """A vector of length 1 as 32-bit floats, little-endian. A shorter one is the beginning of a longer one, scaled."""
    content = text.encode() if isinstance(text, str) else canonical(text)
    identity = digest(seed.encode(), model.encode(), type(text).__name__.encode(), content)
    drawn = unpack(f"<{dimensions}h", shake_128(identity).digest(2 * dimensions))
    odd = [2 * number + 1 for number in drawn]  # Never 0, since a zero vector has no direction.
    length = sqrt(sum(map(mul, odd, odd)))
    return pack(f"<{dimensions}f", *[number / length for number in odd])


def _dimensions(request: Mapping[str, Any], model: Model) -> int:
    wanted = int(request.get("dimensions") or model.dimensions)
    if wanted > model.dimensions:
        message = f"Invalid value for 'dimensions' = {wanted}. Must be less than or equal to {model.dimensions}."
        raise Refusal(Reason.INVALID, message, violations=[Violation(("body", "dimensions"), "maximum", message)])
    return wanted


def _as_base64(floats: bytes) -> str:
    return b64encode(floats).decode()


def _as_floats(floats: bytes) -> tuple[float, ...]:
    """The same numbers as a list of floats, bit by bit."""
    return unpack(f"<{len(floats) // 4}f", floats)
