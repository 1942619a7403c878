"""The store to which a partition belongs."""

from collections.abc import Callable
from typing import Protocol

from mockserver.stores.backend import Backend
from mockserver.stores.codec import BlobCodec
from mockserver.stores.group import GroupCommit


class Owner(Protocol):
    """What a partition needs of its store."""

    backend: Backend
    codec: BlobCodec
    wall: Callable[[], float]
    passing: frozenset[str]
    conflicts: int
    group: GroupCommit

    def note_size(self, sandbox: str, size: int) -> None:
        """So many bytes are known of a sandbox."""
