"""Log probabilities of a completion's tokens: seeded numbers in OpenAI's format."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from xxhash import xxh3_64_intdigest

from mockserver.errors import Reason, Refusal, Violation
from mockserver.providers.agilecloud.chat.tokens import split_tokens

MAX_ENTRIES = 250_000
"""The most log probabilities in a response, alternatives included: about 15 MB of JSON."""
MAX_ALTERNATIVES = 19
VARIANTS = 64
# Longer than any ASCII token, so that none equals the chosen token.
_WORDS = (
    " about", " after", " again", " before", " between", " could", " every", " first", " great", " house", " large",
    " learn", " never", " other", " place", " right", " small", " sound", " still", " study", " their", " there",
    " these", " thing", " think", " three", " water", " where", " which", " world", " would", " write",
)  # fmt: skip


class _Variant(NamedTuple):
    """A token's log probability, and its alternatives."""

    logprob: float
    alternatives: Sequence[Mapping[str, Any]]


def wants_logprobs(request: Mapping[str, Any]) -> bool:
    return bool(request.get("logprobs"))


def text_logprobs(text: str, request: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The `logprobs` of a choice: one entry for each token of the text, the same for the same arguments."""
    return {"content": list(token_logprobs(text, top_count(request), key)), "refusal": None}


def top_count(request: Mapping[str, Any]) -> int:
    """How many tokens are listed for each place, the chosen one included; 0 without `top_logprobs`."""
    return int(request.get("top_logprobs") or 0)


def token_logprobs(text: str, count: int, key: bytes) -> Iterator[dict[str, Any]]:
    """The entries of `text_logprobs`, each made when it is needed: one with alternatives takes 2 kB."""
    seed = xxh3_64_intdigest(key)
    for token in split_tokens(text):
        coded = token.encode()
        seed = xxh3_64_intdigest(coded, seed)
        variant = _variants()[seed % VARIANTS]
        entry = {"token": token, "logprob": variant.logprob, "bytes": list(coded)}
        yield {**entry, "top_logprobs": [entry, *variant.alternatives[: count - 1]] if count else []}


def check_size(tokens: int, request: Mapping[str, Any]) -> None:
    """Raises Refusal if that many tokens would have too many log probabilities."""
    entries = tokens * (1 + top_count(request))
    if entries > MAX_ENTRIES:
        message = f"The log probabilities of this answer have {entries} entries; no more than {MAX_ENTRIES} are told."
        raise Refusal(
            Reason.INVALID, message, violations=[Violation(("body", "logprobs"), "too_many_logprobs", message)]
        )


@cache
def _variants() -> Sequence[_Variant]:
    return [_variant(n) for n in range(VARIANTS)]


def _variant(n: int) -> _Variant:
    chosen = 0.5 + 0.49 * n / VARIANTS
    # Each is half as likely as the previous; together they are less likely than the chosen one.
    shares = [(1 - chosen) * 0.5**place for place in range(1, MAX_ALTERNATIVES + 1)]
    words = [_WORDS[(5 * n + place) % len(_WORDS)] for place in range(MAX_ALTERNATIVES)]
    others = [
        {"token": word, "logprob": _logprob(share), "bytes": list(word.encode())}
        for word, share in zip(words, shares, strict=True)
    ]
    return _Variant(_logprob(chosen), others)


def _logprob(probability: float) -> float:
    """Rounded to eight digits, which are the same on every machine."""
    return round(math.log(probability), 8)
