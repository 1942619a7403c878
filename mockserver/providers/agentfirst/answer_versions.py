"""Version numbers for cached completions.

Completions are regenerated, never stored. The version of an answer grows when the vendor would compute a new one, which
is a day of sandbox time after the previous one.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable

from mockserver.sandbox.batches import Batch, LoopBudget
from mockserver.sandbox.clock import DAY
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import Collection

COMPUTED, READ = "agentfirst.answers", "agentfirst.batches_read"
_BATCHES = "batches"
READ_AT_ONCE = 1000
"""The most batches that are read from a store at once."""


class AnswerVersions:
    """The versions of the answers of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._born = sandbox.clock.born
        self._batches = sandbox.batches
        self._computed: Collection[tuple[float, ...]] = sandbox.collection(COMPUTED, tuple)
        """By question, in hexadecimal: when an answer was computed, in Unix seconds of sandbox time."""
        self._read = sandbox.collection(READ, int)
        """How many batches have been read, under one key."""

    def version(self, question: bytes, asked: float, questions: Callable[[Batch], Iterable[bytes]]) -> int:
        """0 for the first answer, 1 for the next one computed at least a day later, and so on.

        `asked` is in Unix seconds of sandbox time; `questions` gives the questions of a batch that use the cache.
        Batches are read only in a sandbox that is older than a day, and each of them once. Raises as `read` does.
        """
        if not self.is_needed(asked):
            return 0
        self.read(questions)
        return max(bisect_right(self._computed.get(question.hex()) or (asked,), asked) - 1, 0)

    def is_needed(self, now: float) -> bool:
        """Whether a question asked now may have another version than the first."""
        return now >= self._born + DAY

    def read(self, questions: Callable[[Batch], Iterable[bytes]]) -> None:
        """Read the batches that were not read before.

        Raises NeedsThread on an event loop when there are many; those that were read are noted then.
        """
        read, budget = self._read.get(_BATCHES) or 0, LoopBudget()
        size = len(self._batches)
        if read >= size:
            return
        budget.expect(size - read)
        try:
            while read < size:
                some = min(size - read, READ_AT_ONCE)
                for batch in reversed(self._batches.latest(size - read - some, some)):
                    for each in questions(batch):
                        times = self._computed.get(each.hex()) or ()
                        if not times or batch.created - times[-1] >= DAY:
                            self._computed.put(each.hex(), (*times, batch.created))
                    read += 1
                    budget.spend(batch.weight)
        finally:
            self._read.put(_BATCHES, read)
