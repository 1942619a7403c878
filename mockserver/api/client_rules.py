"""How a good client treats one kind of batch: the table that the verdict on a client is read from."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mockserver.records import Record
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.sandbox import Sandbox

MAX_REJECTED_EXAMPLES = 3
MAX_EXAMPLE = 300
"""The most characters of an example of a rejected item."""


class RejectedItems(Record, frozen=True, gc=False):
    """Items of a batch that failed validation: their number, and a few examples."""

    total: int = 0
    examples: tuple[str, ...] = ()
    """For the first items, the item and its first violation."""

    def with_item(self, place: str, message: str) -> "RejectedItems":
        told = (
            (*self.examples, f"{place}: {message}"[:MAX_EXAMPLE])
            if len(self.examples) < MAX_REJECTED_EXAMPLES
            else self.examples
        )
        return RejectedItems(self.total + 1, told)


class BatchState(NamedTuple):
    """What the sandbox knows of a batch, including what no client has read yet."""

    progression: Progression
    is_over: bool
    failed: int
    """How many of its items have failed so far."""
    was_told: bool = False
    """Whether a delivered callback has reported the end to the client."""
    refused: RejectedItems = RejectedItems()
    """Its items that failed validation after the batch was accepted."""


class ClientRules(NamedTuple):
    """How a client should use one kind of batch: its operations, and where their responses have the facts.

    The checks of the verdict read this table; they know no API by name.
    """

    create: str
    """The operation that queues one; it costs money."""
    status: tuple[str, ...]
    """The operations that return its status, for the id in their argument `id`, or for several in `data`."""
    id: tuple[str, str]
    """Where a status read names the batch: `("query", "id")`, `("path", "batch_id")`."""
    ends: frozenset[str]
    """The statuses after which nothing changes; an answer without a status is the result itself."""
    unfinished_ends: frozenset[str]
    """The final statuses after which work has to be repeated."""
    batch_state: Callable[[Sandbox, str, float], BatchState | None]
    """What the sandbox knows of the batch with that id; None for one it does not know."""
    failed: tuple[str, ...] = ()
    """Where a response has the number of failed items; empty if it has none."""
    download: str = ""
    """The operation that returns the results."""
    error_file: str = ""
    """Where a response names the error file; empty if there is none."""
    patience: Mapping[int, int] = {}
    """By status, how often `create` may be retried after it, where that differs from the default."""
    poll_seconds: float = 1.0
    """The least seconds between two polls. Neither vendor documents one; 1 is our default."""
