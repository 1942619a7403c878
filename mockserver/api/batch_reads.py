"""How the admin API reads a provider's batches and their items. Reading is no poll: no batch progresses by it."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from mockserver.api.call import ApiContext
from mockserver.http import StoredBytes
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.sandbox import Sandbox


class Milestone(NamedTuple):
    """One instant of a batch's timeline."""

    name: str
    at: float | None
    """Sandbox time, in Unix seconds; None while it is unknown. It may lie in the future."""


class BatchError(NamedTuple):
    """Why a batch failed as a whole."""

    line: int | None
    """The line of the input, from 1; None if the error is about no line."""
    code: str
    message: str


class BatchFacts(NamedTuple):
    """One batch at an instant."""

    id: str
    kind: str
    account: str
    """The key of the account."""
    status: str
    is_over: bool
    """Whether the status is final."""
    progression: Progression
    total: int
    """The number of items; 0 while unknown."""
    successful: int
    failed: int
    timeline: tuple[Milestone, ...]
    files: Mapping[str, str] = {}
    """Ids of files by what they are: `input`, `output`, `errors`."""
    archive: str = ""
    """The path at which the results can be downloaded; empty without one."""
    errors: tuple[BatchError, ...] = ()
    can_be_cancelled: bool = False


class BatchItem(NamedTuple):
    """One item of a batch at an instant."""

    position: int
    """From 0, in input order."""
    name: str
    """What the client calls it; empty without a name."""
    input: str
    outcome: str
    """`pending`, `successful`, `failed`, or `dropped` if the batch ended before the item did."""
    at: float | None = None
    """When it ends or ended, in Unix seconds of sandbox time; None while unknown."""
    output: str = ""
    """JSON; empty while there is none."""
    page: str = ""
    """The HTML of an answer that is a page."""


class StoredFile(NamedTuple):
    """A file's name and content."""

    name: str
    content: StoredBytes


class BatchReads(NamedTuple):
    """A provider's functions to read its batches, by id. Each is called within the sandbox's transaction."""

    latest: Callable[[Sandbox], Iterator[tuple[float, str]]]
    """Creation time and id of all batches, newest first."""
    read: Callable[[ApiContext, Sandbox, str, float], BatchFacts | None]
    """The batch at an instant; None for an unknown id."""
    items: Callable[[ApiContext, Sandbox, str, float, int], Iterator[BatchItem]]
    """The items of a known batch at an instant, from a position on."""
    cancel: Callable[[ApiContext, Sandbox, str, float], object] | None = None
    """Cancels a known batch; raises Refusal if it cannot be cancelled any more. None if batches cannot be cancelled."""
    file: Callable[[Sandbox, str, float], StoredFile | None] | None = None
    """A file of a batch; None if there is none of that id."""


def known(instant: float) -> float | None:
    """The instant; None if it is infinite, i.e. unknown."""
    return instant if abs(instant) < float("inf") else None
