"""A cache of answers that holds none: it only knows when an answer to the same question would have been made anew."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from mockserver.sandbox.batches import Batch
from mockserver.sandbox.clock import DAY


class AnswerVersions:
    """Which edition of an answer a question gets. An answer serves everybody who asks within a day of its making."""

    def __init__(self) -> None:
        self._made: dict[bytes, list[float]] = {}
        self._read = 0

    def edition(
        self,
        question: bytes,
        asked: float,
        *,
        born: float,
        batches: Mapping[str, Batch],
        questions: Callable[[Batch], Iterable[bytes]],
    ) -> int:
        """0 for the first answer, 1 for the next one made at least a day later, and so on.

        `asked` and `born` (the sandbox's first instant) are Unix seconds of sandbox time; `questions` says what a batch
        asks of the cache. Batches are read only in a sandbox that is older than a day, and each of them once.
        """
        if asked < born + DAY:
            return 0
        if self._read < len(batches):  # Skipping what was read costs a step for each.
            self._read_on(batches, questions)
        return max(bisect_right(self._made.get(question, [asked]), asked) - 1, 0)

    def _read_on(self, batches: Mapping[str, Batch], questions: Callable[[Batch], Iterable[bytes]]) -> None:
        for batch in islice(batches.values(), self._read, None):
            self._read += 1
            for each in questions(batch):
                made = self._made.setdefault(each, [])
                if not made or batch.created - made[-1] >= DAY:
                    made.append(batch.created)
