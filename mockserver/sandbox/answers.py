"""Version numbers for Agent First's cached completions."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from mockserver.sandbox.batches import Batch
from mockserver.sandbox.clock import DAY


class AnswerVersions:
    """Counts the versions of cached completions.

    Completions are regenerated, never stored; the version grows when the vendor would compute a new one, i.e. a day of
    sandbox time after the previous one.
    """

    def __init__(self) -> None:
        self._made: dict[bytes, list[float]] = {}
        self._read = 0

    def version(
        self,
        question: bytes,
        asked: float,
        *,
        born: float,
        batches: Mapping[str, Batch],
        questions: Callable[[Batch], Iterable[bytes]],
    ) -> int:
        """0 for the first version, 1 for one computed at least a day later, and so on.

        `asked` and `born` (the sandbox's first instant) are Unix seconds of sandbox time; `questions` returns the cache
        keys of a batch. Batches are read only in a sandbox that is older than a day, and each of them once.
        """
        if asked < born + DAY:
            return 0
        if self._read < len(batches):  # Skipping batches that were read costs one step for each.
            self._read_on(batches, questions)
        return max(bisect_right(self._made.get(question, [asked]), asked) - 1, 0)

    def _read_on(self, batches: Mapping[str, Batch], questions: Callable[[Batch], Iterable[bytes]]) -> None:
        for batch in islice(batches.values(), self._read, None):
            self._read += 1
            for each in questions(batch):
                made = self._made.setdefault(each, [])
                if not made or batch.created - made[-1] >= DAY:
                    made.append(batch.created)
