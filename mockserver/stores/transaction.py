"""The transaction of a sandbox in a shared store."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from threading import RLock, get_ident
from types import TracebackType
from typing import Protocol, Self


class Unput(Protocol):
    """What has changes that are put into a partition at the end of a transaction."""

    def flush(self) -> None:
        """Put them."""

    def drop_unput(self) -> None:
        """The transaction is rolled back."""


class Transactional(ABC):
    """A partition. The outermost transaction of a thread reads and commits; those inside of it do nothing.

    A partition is its own transaction: two objects that refer to each other would not be freed with the sandbox, but by
    garbage collection, which a server rarely runs.
    """

    __slots__ = ("_depth", "_lock", "owner")

    def __init__(self) -> None:
        self._lock = RLock()
        self._depth = 0
        self.owner = 0
        """The thread that is inside; 0 if none is."""

    @property
    def transaction(self) -> Self:
        """The context manager; see `stores.Partition`."""
        return self

    @abstractmethod
    def begin(self) -> None:
        """A transaction begins."""

    @abstractmethod
    def commit(self) -> Sequence[Callable[[], None]]:
        """The transaction ends: apply its changes, and return what waited for that."""

    @abstractmethod
    def roll_back(self) -> None:
        """The transaction ends without a change."""

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        if self._depth == 1:
            self.owner = get_ident()
            try:
                self.begin()
            except BaseException:
                self.roll_back()
                self.leave()
                raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        actions: Sequence[Callable[[], None]] = ()
        try:
            if self._depth == 1:
                if kind is None:
                    actions = self.commit()
                else:
                    self.roll_back()
        finally:
            self.leave()
        for action in actions:
            action()

    def is_busy(self) -> bool:
        """Whether another thread is inside."""
        return self.owner not in {0, get_ident()}

    def resume(self) -> bool:
        """Enter, without a beginning, unless another thread is inside; returns whether this thread is."""
        if not self._lock.acquire(blocking=False):
            return False
        self._depth += 1
        self.owner = get_ident()
        return True

    def take_if_free(self) -> bool:
        """Keep transactions out until `give_back`; returns whether none runs."""
        is_free = not self.owner and self._lock.acquire(blocking=False)
        if is_free and self._depth:
            self._lock.release()
            return False
        return is_free

    def give_back(self) -> None:
        """Let transactions in again."""
        self._lock.release()

    def leave(self) -> None:
        """End without a commit."""
        self._depth -= 1
        if not self._depth:
            self.owner = 0
        self._lock.release()
