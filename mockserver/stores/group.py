"""Commits the transactions of several requests together, before their answers go out.

A commit is the dearest part of a small request to a shared store. While the event loop answers requests, their
transactions end without a commit (`GroupCommit.run`): what they have changed waits in the partition, where later ones
of the loop see it, and other threads and processes do not. When the loop has nothing more to read, all of it is
committed (`GroupCommit.commit`), every sandbox's changes as one, in one transaction of the engine. Only then are the
answers sent. If another process was faster in a sandbox, the commit of that sandbox fails as a whole, and its requests
are answered again.

A thread that begins a transaction in a partition with such changes commits them first.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any, Protocol, TypeVar

from mockserver.stores.backend import Backend, Commit
from mockserver.stores.transaction import Transactional

PAUSE = 0.0001
"""Seconds between two looks at a partition whose changes a thread is committing."""
Result = TypeVar("Result")


class Ticket:
    """The commit of what a partition's transactions have changed since the last one."""

    __slots__ = ("_is_done", "is_committed")

    def __init__(self) -> None:
        self._is_done = self.is_committed = False

    def is_done(self) -> bool:
        """Whether the changes are committed, or lost."""
        return self._is_done

    def end(self, *, is_committed: bool) -> None:
        self.is_committed, self._is_done = is_committed, True


class Deferring(Protocol):
    """A partition whose changes wait for a commit."""

    @property
    def transaction(self) -> Transactional: ...

    def prepared(self) -> Commit:
        """The commit of what has changed. What it raises has rolled back."""

    def finish(self, version: int | None) -> Sequence[Callable[[], None]]:
        """The changes have been committed, or the sandbox has another version. Returns what waited for the commit."""

    def roll_back(self) -> None:
        """The changes are lost."""


class GroupCommit:
    """The transactions of one thread that wait for their commit. Used by one thread at a time."""

    def __init__(self, backend: Backend) -> None:
        self.latest: Ticket | None = None
        """What the latest action that was run waits for; None if it has changed nothing."""
        self.thread = 0
        """The thread of which the end of a transaction is no commit; 0 without one."""
        self._backend = backend
        self._waiting: list[tuple[Deferring, Ticket]] = []

    @property
    def is_deferring(self) -> bool:
        """Whether this thread is that one."""
        return self.thread == get_ident()

    def run(self, action: Callable[..., Result], *given: Any) -> Result:
        """The action's result. Its transactions are committed by `commit`; see `latest`."""
        self.latest = None
        self.thread = get_ident()
        try:
            return action(*given)
        finally:
            self.thread = 0

    def join(self, partition: Deferring) -> Ticket:
        """The ticket of a partition that has changes from now on."""
        ticket = Ticket()
        self._waiting.append((partition, ticket))
        return ticket

    def commit(self) -> None:
        """Commit what waits. All tickets are done then."""
        waiting, self._waiting = self._waiting, []
        resumed = [partition for partition, ticket in waiting if _resume(partition, ticket)]
        actions: list[Callable[[], None]] = []
        try:
            actions = self._commit(resumed)
        finally:
            for partition in resumed:
                partition.transaction.leave()
        for action in actions:
            action()

    def _commit(self, partitions: Sequence[Deferring]) -> list[Callable[[], None]]:
        actions: list[Callable[[], None]] = []
        ready: list[tuple[Deferring, Commit]] = []
        for partition in partitions:
            with suppress(Exception):  # it is rolled back, and reported when its requests are answered again
                ready.append((partition, partition.prepared()))
        if not ready:
            return actions
        try:
            versions = self._backend.commit([each for _, each in ready])
        except Exception:
            for partition, _ in ready:
                partition.roll_back()
            return actions
        for (partition, _), version in zip(ready, versions, strict=True):
            actions += partition.finish(version)
        return actions


def _resume(partition: Deferring, ticket: Ticket) -> bool:
    """Enter the partition unless its ticket is done. A thread that is inside commits it first, which is short."""
    while not ticket.is_done():
        if partition.transaction.resume():
            if not ticket.is_done():
                return True
            partition.transaction.leave()
        else:
            time.sleep(PAUSE)
    return False
