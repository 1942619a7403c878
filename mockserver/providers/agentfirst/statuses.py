"""The statuses of Agent First's batches and conversations."""

from enum import StrEnum

from mockserver.sandbox.batches import Batch, ItemCounts, Lifecycle


class RequestKind(StrEnum):
    """The kind of object that an id identifies."""

    BATCH = "batch"
    CONVERSATION = "conversation"


class Status(StrEnum):
    """The status of a batch or a conversation."""

    RETRIEVING = "retrieving"
    ARCHIVING = "archiving"
    SUCCESSFUL = "successful"
    FAILED = "failed"


LIFECYCLE = Lifecycle(
    {
        Status.RETRIEVING: {Status.ARCHIVING, Status.SUCCESSFUL, Status.FAILED},
        Status.ARCHIVING: {Status.SUCCESSFUL, Status.FAILED},
        Status.SUCCESSFUL: set(),
        Status.FAILED: set(),
    }
)


def status_of(batch: Batch, now: float, tally: ItemCounts | None = None) -> Status:
    """The status of the batch, whose tally may be known. It is `failed` only if every prompt failed."""
    tally = tally or batch.tally(now)
    if tally.successful + tally.failed < batch.size:
        return Status.RETRIEVING
    if now < batch.end():
        return Status.ARCHIVING
    return Status.SUCCESSFUL if tally.successful else Status.FAILED
