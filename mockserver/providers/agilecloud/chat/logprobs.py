"""The log probabilities of an answer's tokens: seeded numbers in OpenAI's shape."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from xxhash import xxh3_64_intdigest

from mockserver.errors import Reason, Refusal, Violation
from mockserver.providers.agilecloud.chat.tokens import split_tokens

MAX_ENTRIES = 250_000
"""Tokens that one answer tells probabilities of, alternatives included: about 15 MB of JSON."""
MAX_ALTERNATIVES = 19
VARIANTS = 64
# Longer than any token of ASCII, so that none of them is the token that was chosen.
_WORDS = (
    " about", " after", " again", " before", " between", " could", " every", " first", " great", " house", " large",
    " learn", " never", " other", " place", " right", " small", " sound", " still", " study", " their", " there",
    " these", " thing", " think", " three", " water", " where", " which", " world", " would", " write",
)  # fmt: skip


class _Variant(NamedTuple):
    """How likely a token was, and which others were likely at its place."""

    logprob: float
    alternatives: Sequence[Mapping[str, Any]]


def wants_logprobs(request: Mapping[str, Any]) -> bool:
    return bool(request.get("logprobs"))


def text_logprobs(text: str, request: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The `logprobs` of a choice: one entry for each token of the text, the same for the same arguments."""
    count = int(request.get("top_logprobs") or 0)
    seed, content = xxh3_64_intdigest(key), []
    for token in split_tokens(text):
        coded = token.encode()
        seed = xxh3_64_intdigest(coded, seed)
        variant = _variants()[seed % VARIANTS]
        entry = {"token": token, "logprob": variant.logprob, "bytes": list(coded)}
        content.append({**entry, "top_logprobs": [entry, *variant.alternatives[: count - 1]] if count else []})
    return {"content": content, "refusal": None}


def check_size(tokens: int, request: Mapping[str, Any]) -> None:
    """Raises Refusal where an answer of so many tokens would tell too many probabilities."""
    entries = tokens * (1 + int(request.get("top_logprobs") or 0))
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
    # Each is half as likely as the one before; all together are less likely than the chosen one.
    shares = [(1 - chosen) * 0.5**place for place in range(1, MAX_ALTERNATIVES + 1)]
    words = [_WORDS[(5 * n + place) % len(_WORDS)] for place in range(MAX_ALTERNATIVES)]
    others = [
        {"token": word, "logprob": _logprob(share), "bytes": list(word.encode())}
        for word, share in zip(words, shares, strict=True)
    ]
    return _Variant(_logprob(chosen), others)


def _logprob(probability: float) -> float:
    """To eight digits, which every machine agrees on."""
    return round(math.log(probability), 8)
