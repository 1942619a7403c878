"""How a good client treats one kind of batch: the table that the verdict on a client is read from."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from mockserver.sandbox.batches import Progression
from mockserver.sandbox.sandbox import Sandbox

MAX_REJECTED_EXAMPLES = 3
MAX_EXAMPLE = 300
"""Characters of what is told of a refused item."""


class RejectedItems(NamedTuple):
    """The items of a batch that the document refuses: all are counted, a few are told."""

    total: int = 0
    told: tuple[str, ...] = ()
    """Of the first, which item it is and its first violation."""

    def with_item(self, place: str, message: str) -> "RejectedItems":
        told = (
            (*self.told, f"{place}: {message}"[:MAX_EXAMPLE]) if len(self.told) < MAX_REJECTED_EXAMPLES else self.told
        )
        return RejectedItems(self.total + 1, told)


class BatchState(NamedTuple):
    """What the sandbox knows of a batch, including what no client has read yet."""

    progression: Progression
    is_over: bool
    failed: int
    """How many of its items have failed so far."""
    was_told: bool = False
    """Whether the client learned of the end without asking, by a callback."""
    refused: RejectedItems = RejectedItems()
    """Of its items those that broke the document, where the batch was accepted all the same."""


class ClientRules(NamedTuple):
    """How a good client lives with one kind of batch: which operation is what, and where its answers tell what.

    The verdict on a client is read from this table; it knows no API by name.
    """

    create: str
    """The operation that queues one; it costs money."""
    status: tuple[str, ...]
    """The operations that tell where one is, by the id in their argument `id`, or for several, in `data`."""
    id: tuple[str, str]
    """Where a status read names the batch: `("query", "id")`, `("path", "batch_id")`."""
    ends: frozenset[str]
    """The statuses after which nothing changes; an answer without a status is the result itself."""
    unfinished_ends: frozenset[str]
    """The ends that leave work to be done again."""
    batch_state: Callable[[Sandbox, str, float], BatchState | None]
    """What the sandbox knows of the batch with that id; None for one it does not know."""
    failed: tuple[str, ...] = ()
    """Where an answer tells how many items failed; empty when it does not."""
    download: str = ""
    """The operation that gives the results."""
    error_file: str = ""
    """Where an answer names the file of what failed; empty when there is none."""
    patience: Mapping[int, int] = {}
    """How often `create` may be sent again after an answer with that status, where it heals more than others."""
    poll_seconds: float = 1.0
    """The least time between two reads of a status. Neither vendor documents one: once a second is our own default."""
