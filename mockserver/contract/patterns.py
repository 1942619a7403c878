"""A text for a regular expression, made within bounds: patterns come from documents, and some would go on for ever."""

import re
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from mockserver.contract.regex import compile_pattern

Choice = TypeVar("Choice")

TRIES = 60
MOST_DRAWS = 400_000
"""How many repetitions, and characters to choose from, are gone through before a pattern is given up."""


def text_matching(pattern: str, text: str, low: int, high: int | None, *, seed: int) -> str:
    """The text when it happens to match the pattern, else one made for the pattern, else the text after all."""
    from rstr import Rstr  # noqa: PLC0415  rarely needed

    maker = Rstr(_Steady(seed))
    made = text
    try:
        for _ in range(TRIES):
            if low <= len(made) <= (len(made) if high is None else high) and compile_pattern(pattern).found_in(made):
                return made
            made = maker.xeger(pattern)
    except (re.error, LookupError, ValueError, RecursionError, OverflowError):
        pass  # a pattern in another dialect than Python's, or one that rstr cannot follow, or not in time
    return text


class _Steady(Random):
    """Chooses among characters in their order, since rstr keeps some of them in sets, whose order changes."""

    drawn = 0

    def choice(self, seq: Sequence[Choice]) -> Choice:  # type: ignore[override]  # typeshed's protocol is its own
        self._count(len(seq))
        if all(isinstance(member, str) for member in seq):
            return super().choice(sorted(seq))  # type: ignore[type-var]  # all are str, as was just asked
        return super().choice(seq)

    def randint(self, a: int, b: int) -> int:
        times = super().randint(a, b)
        self._count(times + 1)
        return times

    def _count(self, draws: int) -> None:
        self.drawn += draws
        if self.drawn > MOST_DRAWS:
            raise ValueError("the pattern goes on for too long")
