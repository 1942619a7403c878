"""Finds the least recently used sandbox."""

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar
from weakref import ref

SHARE = 8
"""A search of all candidates remembers one in so many for later calls."""


class Evictable(Protocol):
    """An object that records when it was last used."""

    used: int


Candidate = TypeVar("Candidate", bound=Evictable)


class EvictionOrder(Generic[Candidate]):
    """Finds the least recently used candidate without searching all of them each time."""

    def __init__(self) -> None:
        self._known: list[tuple[int, ref[Candidate]]] = []

    def longest(
        self, candidates: Callable[[], Iterable[Candidate]], may_go: Callable[[Candidate], bool]
    ) -> Candidate | None:
        """The least recently used of the candidates that may be evicted; None if none may."""
        # Candidates used since the last search are more recent than all others, whose order is unchanged.
        return self._next(may_go) or self._next_after_a_look(candidates(), may_go)

    def _next(self, may_go: Callable[[Candidate], bool]) -> Candidate | None:
        while self._known:
            used, known = self._known.pop()
            candidate = known()
            if candidate is not None and candidate.used == used and may_go(candidate):
                return candidate
        return None

    def _next_after_a_look(
        self, candidates: Iterable[Candidate], may_go: Callable[[Candidate], bool]
    ) -> Candidate | None:
        oldest = sorted((each for each in candidates if may_go(each)), key=lambda each: each.used)
        self._known = [(each.used, ref(each)) for each in oldest[: len(oldest) // SHARE + 1][::-1]]
        return self._next(may_go)
