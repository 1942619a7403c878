"""A store that several processes share: collections over a `Backend` of bytes, with optimistic transactions.

Every sandbox has a version, which grows with each commit. A transaction computes with values that were read at one
version, partly in earlier transactions of this process, and gathers its changes. At its end the backend applies them if
the sandbox still has that version, else `Conflict` is raised: nothing was changed, the values are forgotten, and the
caller runs the transaction again (see `retried`). A handler is a function of the sandbox's values, so it can be.

So a request costs one call of the backend, its commit, if the values that it needs are known, and a transaction that
only read costs one that compares versions. Values are immutable: what is known is shared by all transactions.
"""

import os
import socket
from collections.abc import Callable, Iterable
from threading import Lock

from mockserver.stores.backend import Backend
from mockserver.stores.codec import BlobCodec
from mockserver.stores.group import GroupCommit
from mockserver.stores.partition import SharedPartition

MAX_TOTAL = 256 * 1024 * 1024
"""Bytes of values that are known of all sandboxes together."""


class SharedStore:
    """A partition for each sandbox, over a backend."""

    is_shared = True

    def __init__(
        self, backend: Backend, codec: BlobCodec, wall: Callable[[], float], passing: Iterable[str] = ()
    ) -> None:
        """`wall` is the wall clock, in Unix seconds. The values of `passing` collections are not kept in memory."""
        self.backend = backend
        self.codec = codec
        self.wall = wall
        self.process = f"{socket.gethostname()} {os.getpid()} {id(self):x}"
        """Tells this store from those of other processes."""
        self.passing = frozenset(passing)
        self.conflicts = 0
        """Transactions that another process made void."""
        self.group = GroupCommit(backend)
        self._partitions: dict[str, SharedPartition] = {}
        self._sizes: dict[str, int] = {}
        self._total = 0
        self._sizing = Lock()

    def note_size(self, sandbox: str, size: int) -> None:
        """So many bytes are known of a sandbox; of all together at most MAX_TOTAL."""
        if sandbox not in self._partitions:  # it was released in the transaction that ends
            return
        with self._sizing:
            self._total += size - self._sizes.pop(sandbox, 0)
            self._sizes[sandbox] = size
            while self._total > MAX_TOTAL and len(self._sizes) > 1:
                oldest = next(iter(self._sizes))
                self._total -= self._sizes.pop(oldest)
                partition = self._partitions.get(oldest)
                if partition is not None:
                    partition.forget_if_free()

    def open(self, sandbox: str) -> SharedPartition:
        return self._partitions.get(sandbox) or self._partitions.setdefault(sandbox, SharedPartition(self, sandbox))

    def drop(self, sandbox: str) -> None:
        self.backend.drop(sandbox)
        self.release(sandbox)

    def release(self, sandbox: str) -> None:
        """Forget what is known of a sandbox, which stays in the store."""
        partition = self._partitions.pop(sandbox, None)
        if partition is not None:
            partition.forget_if_free()  # at once, even if a caller still has the sandbox
        with self._sizing:
            self._total -= self._sizes.pop(sandbox, 0)
