"""Work for a SQLite store that no request waits for: copying its log into the file, and deleting what is not needed."""

import math
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from itertools import accumulate
from pathlib import Path
from threading import Lock, Thread
from typing import Protocol

from mockserver.errors import StoreUnavailable
from mockserver.stores.backend import SHORTEST_GRACE, expired_blobs
from mockserver.stores.sqlite.commits import CHUNKS, RELEASE

LOG_BYTES = 64 * 1024 * 1024
"""Bytes in the write-ahead log after which it is copied into the file, and restarted.

Many changes of one page are copied as one, so a longer log takes less time altogether.
"""
PAGE_BYTES = 4096 + 24
"""The bytes of a page in the log."""
SWEEP_SECONDS = 30.0
"""Seconds between two searches for what can be deleted."""
SLICE, SLICE_BYTES = 500, 4 * 1024 * 1024
"""Rows that are deleted in one transaction, and the bytes of values after which it ends, so that it is short."""
WRITE_SECONDS = 6 * 3600.0
"""Seconds after which a blob or an import is no longer being written."""
_SOME_ENTRIES = "SELECT id, length(content) FROM entries WHERE sandbox = ? LIMIT ?"
_RELEASE_BLOBS = RELEASE.format("WHERE sandbox = ? ORDER BY collection, key, blob LIMIT ?")
_DELETE_USES = """DELETE FROM uses WHERE sandbox = ? AND (collection, key, blob) IN
    (SELECT collection, key, blob FROM uses WHERE sandbox = ? ORDER BY collection, key, blob LIMIT ?)"""
_DELETE_CHUNKS = (
    """DELETE FROM chunks WHERE blob = ? AND number IN (SELECT number FROM chunks WHERE blob = ? LIMIT ?)"""
)
_UNUSED = "SELECT id, unused FROM blobs WHERE unused < ? AND NOT EXISTS(SELECT 1 FROM uses WHERE blob = id)"
_DELETE_BLOB = """DELETE FROM blobs WHERE id = ? AND unused < ? AND NOT EXISTS(SELECT 1 FROM uses WHERE blob = id)
RETURNING number"""


class Connections(Protocol):
    """The connections of a backend."""

    path: str
    writing: Lock
    """Held by the thread that writes."""

    def connection(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection for reading, which no other thread uses meanwhile."""

    def reading(self, *, several: bool = True) -> AbstractContextManager[sqlite3.Connection]: ...

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]: ...


class Upkeep:
    """The upkeep of a store, in one thread at a time. Other processes may do the same at the same time."""

    def __init__(self, connections: Connections, wall: Callable[[], float]) -> None:
        self._connections = connections
        self._log = Path(connections.path + "-wal")
        self._wall = wall
        self._swept = wall()
        self._running = Lock()
        self._commits = 0
        """Commits of this process since the log was copied."""
        self._due_commits = math.inf
        """How many of them should add LOG_BYTES to the log, as those before have done."""
        self._left_pages = self._log_size = 0
        """The pages in the log after it was copied, 0 if it restarts then, and its size in bytes.

        Writing over old pages does not change its size.
        """

    def begin_if_due(self, commits: int) -> None:
        """Begin in a thread, if there is something to do. There were so many commits since the last call."""
        self._commits += commits
        if (self._needs_sweep() or self._is_log_long()) and self._running.acquire(blocking=False):
            Thread(target=self._run, name="mockserver-upkeep", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Wait so long for the thread, and begin no more."""
        self._running.acquire(timeout=seconds)

    def sweep(self) -> None:
        """Delete what belongs to no sandbox any more, and blobs that no value refers to, in short transactions."""
        self._swept = self._wall()
        with self._connections.transaction() as connection:
            connection.execute(
                "INSERT INTO dropped SELECT id FROM staged WHERE since < ?", (self._wall() - WRITE_SECONDS,)
            )
            connection.execute("DELETE FROM staged WHERE since < ?", (self._wall() - WRITE_SECONDS,))
        with self._connections.reading() as connection:
            dropped = [id_ for (id_,) in connection.execute("SELECT id FROM dropped")]
        for id_ in dropped:
            while self._delete_some_entries(id_):
                pass
            self._delete_uses(id_)
            with self._connections.transaction() as connection:
                connection.execute("DELETE FROM dropped WHERE id = ?", (id_,))
        with self._connections.reading() as connection:
            unused = connection.execute(_UNUSED, (self._wall() - SHORTEST_GRACE,)).fetchall()
        for id_ in expired_blobs(unused, self._wall()):
            with self._connections.transaction() as connection:
                numbers = connection.execute(_DELETE_BLOB, (id_, self._wall() - SHORTEST_GRACE)).fetchall()
                connection.executemany("INSERT INTO unfinished VALUES(?, 0)", numbers)
        with self._connections.reading() as connection:
            query = "SELECT number FROM unfinished WHERE since < ?"
            left = connection.execute(query, (self._wall() - WRITE_SECONDS,)).fetchall()
        for (number,) in left:
            self._delete_slices(_DELETE_CHUNKS, number, CHUNKS)
            with self._connections.transaction() as connection:
                connection.execute("DELETE FROM unfinished WHERE number = ?", (number,))

    def copy_log(self) -> None:
        """Copy the write-ahead log into the file while others write. Once all is copied, writing starts over in it.

        While others write without a pause, some of it always remains. Those of this process wait for the rest, which is
        little.
        """
        commits, self._commits = self._commits, 0
        with self._connections.connection() as connection:
            _copy(connection)
            with self._connections.writing:
                pages, left = _copy(connection)
        added = pages - self._left_pages if pages >= self._left_pages else pages
        self._due_commits = commits * LOG_BYTES / (added * PAGE_BYTES) if added > 0 else math.inf
        self._left_pages, self._log_size = (pages if left else 0), self._log_bytes()

    def _run(self) -> None:
        try:
            with suppress(sqlite3.Error, StoreUnavailable):
                if self._needs_sweep():
                    self.sweep()
                if self._is_log_long():
                    self.copy_log()
        finally:
            self._running.release()

    def _needs_sweep(self) -> bool:
        return self._wall() - self._swept > SWEEP_SECONDS

    def _is_log_long(self) -> bool:
        return self._commits >= self._due_commits or self._log_bytes() - self._log_size > LOG_BYTES

    def _log_bytes(self) -> int:
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    def _delete_some_entries(self, id_: int) -> bool:
        """Delete some values of a sandbox; returns whether there were any."""
        with self._connections.transaction() as connection:
            found = connection.execute(_SOME_ENTRIES, (id_, SLICE)).fetchall()
            sizes = accumulate(size for _, size in found)
            some = [(row,) for (row, size), before in zip(found, sizes, strict=True) if before - size <= SLICE_BYTES]
            connection.executemany("DELETE FROM entries WHERE id = ?", some)
        return bool(found)

    def _delete_uses(self, id_: int) -> None:
        """Let a sandbox refer to no blob any more."""
        is_more = True
        while is_more:
            with self._connections.transaction() as connection:
                connection.execute(_RELEASE_BLOBS, (self._wall(), id_, SLICE))
                is_more = connection.execute(_DELETE_USES, (id_, id_, SLICE)).rowcount > 0

    def _delete_slices(self, query: str, id_: int, most: int) -> None:
        """Delete by a query that deletes at most so many rows of this id, until there are none."""
        is_more = True
        while is_more:
            with self._connections.transaction() as connection:
                is_more = connection.execute(query, (id_, id_, most)).rowcount > 0


def _copy(connection: sqlite3.Connection) -> tuple[int, int]:
    """Copy as much of the log as possible; returns the pages in it, and those of them that are not copied."""
    _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return max(int(pages), 0), int(pages) - int(copied)
