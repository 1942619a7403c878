"""Generates a text for a regular expression, in bounded time."""

import re
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, TypeVar

from mockserver.lazy import lazy_module
from mockserver.openapi.generate.steps import Budget, TooCostly
from mockserver.openapi.regex import compile_pattern, pattern_weight

if TYPE_CHECKING:
    import rstr
else:
    rstr = lazy_module("rstr")

Chooser = TypeVar("Chooser")

TRIES = 60
DRAW = 3
"""Steps of a repetition, and of each character to choose from."""
TRY = 20
"""Steps of an attempt, in addition to what it generates."""
MOST_DRAWS = 400_000
"""The most repetitions and characters to choose from in one pattern."""


def text_matching(pattern: str, text: str, low: int, high: int | None, *, seed: int, budget: Budget) -> str:
    """The given text if it matches the pattern, else one generated for the pattern, else the given text.

    Raises TooCostly if the budget does not suffice.
    """
    maker = rstr.Rstr(_SeededChoice(seed, budget))
    made = text
    try:
        # Includes the cost of compiling it.
        weight = pattern_weight(pattern)
        budget.spend(100 * weight)
        is_found = compile_pattern(pattern).found_in
        for _ in range(TRIES):
            if low <= len(made) <= (len(made) if high is None else high):
                budget.spend(weight * (1 + len(made)))
                if is_found(made):
                    return made
            budget.spend(TRY + len(pattern))
            made = maker.xeger(pattern)
            budget.spend(len(made))
    except TooCostly:
        raise
    except (re.error, LookupError, ValueError, RecursionError, OverflowError):
        pass  # a pattern in another dialect than Python's, one that rstr does not support, or a timeout
    return text


class _SeededChoice(Random):
    """Chooses among characters in sorted order, since rstr keeps some in sets, whose order varies."""

    def __init__(self, seed: int, budget: Budget) -> None:
        super().__init__(seed)
        self._drawn = 0
        self._budget = budget

    def choice(self, seq: Sequence[Chooser]) -> Chooser:  # type: ignore[override]  # typeshed's protocol is its own
        self._count(len(seq))
        if all(isinstance(member, str) for member in seq):
            return super().choice(sorted(seq))  # type: ignore[type-var]  # all are str, as was just asked
        return super().choice(seq)

    def randint(self, a: int, b: int) -> int:
        times = super().randint(a, b)
        self._count(times + 1)
        return times

    def _count(self, draws: int) -> None:
        self._drawn += draws
        self._budget.spend(DRAW * draws)
        if self._drawn > MOST_DRAWS:
            raise ValueError("the pattern goes on for too long")
