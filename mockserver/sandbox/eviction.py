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
        self, candidates: Callable[[], Iterable[Candidate]], may_be_evicted: Callable[[Candidate], bool]
    ) -> Candidate | None:
        """The least recently used of the candidates that may be evicted; None if none may."""
        # Candidates used since the last search are more recent than all others, whose order is unchanged.
        return self._next(may_be_evicted) or self._search(candidates(), may_be_evicted)

    def _next(self, may_be_evicted: Callable[[Candidate], bool]) -> Candidate | None:
        while self._known:
            used, known = self._known.pop()
            candidate = known()
            if candidate is not None and candidate.used == used and may_be_evicted(candidate):
                return candidate
        return None

    def _search(self, candidates: Iterable[Candidate], may_be_evicted: Callable[[Candidate], bool]) -> Candidate | None:
        oldest = sorted((each for each in candidates if may_be_evicted(each)), key=lambda each: each.used)
        self._known = [(each.used, ref(each)) for each in oldest[: len(oldest) // SHARE + 1][::-1]]
        return self._next(may_be_evicted)
