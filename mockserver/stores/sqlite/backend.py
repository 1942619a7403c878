"""A store in one SQLite file, which several processes of one machine may use at the same time.

The file is in WAL mode with `synchronous=NORMAL`: what is committed survives the end of the process at any moment; a
power cut may lose the latest commits, and damages nothing. A thread reads with a connection that no other one uses,
sees the latest commit, and does not wait. One connection writes. A commit is one `BEGIN IMMEDIATE` transaction of a few
statements, which waits for other processes in short steps. A thread copies the write-ahead log into the file, which
waits for the disk, and deletes what is not needed any more.
"""

import math
import sqlite3
import threading
import time
from asyncio import _get_running_loop
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Any

from mockserver.errors import StoreBusy, StoreError, StoreUnavailable
from mockserver.stores.backend import Commit, Entry, Facts, Key
from mockserver.stores.sqlite.commits import apply_commit
from mockserver.stores.sqlite.file import check_file, prepare
from mockserver.stores.sqlite.upkeep import Upkeep

COMMITS_CHECKED = 200
"""Commits between two looks at the size of the log."""
BUSY_SECONDS = 3.0
"""The longest wait for another process that writes."""
LOCKED_SECONDS = 0.2
"""The longest such wait after one that was in vain, so that requests which wait for each other do not add up."""
LOOP_SECONDS = 0.05
"""The longest such wait of an event loop; then a thread waits in its place."""
FIRST_WAIT, LONGEST_WAIT = 0.00005, 0.005
"""Seconds until a writer tries again: at first, and at most."""
_LOCKED = f"another process has locked it for more than {math.ceil(BUSY_SECONDS)} seconds"
_FULL = frozenset({"SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_PERM"})

READ_SIZES = (0, 1, 2, 4, 8, 16, 32, 64)
"""The numbers of values that one statement may read. There are few, because a connection keeps its statements."""
FREE_CONNECTIONS = 4
"""The most connections for reading that are kept while no thread uses them."""
READING_PAGES, WRITING_PAGES = 2048, 8192
"""KiB of the file that a connection keeps in memory. One for reading forgets them when another process has written."""
_CONTENT = "(SELECT content FROM entries WHERE sandbox = sandboxes.id AND collection = ? AND entries.key = ?)"
_ENTRY = "SELECT name, used, key, is_pinned, due FROM sandboxes"
_LISTED = "name >= char(2)"


class SqliteBackend:
    """The file of a store; see `stores.backend.Backend`. May be used from several threads."""

    is_available = True

    def __init__(self, path: str, wall: Callable[[], float]) -> None:
        """Open or create the file; raises StoreError. `wall` is the wall clock, in Unix seconds."""
        self.path = path
        self._wall = wall
        self.round_trips = self.failures = 0
        self._free: deque[sqlite3.Connection] = deque()
        """Connections for reading that no thread uses."""
        self._is_closed = False
        self._writer: sqlite3.Connection | None = None
        self.writing = threading.Lock()
        self._is_locked = False  # whether the latest wait for another process was in vain
        self._commits = 0
        self.upkeep = Upkeep(self, wall)
        check_file(path)
        try:
            with self.connection() as connection:
                prepare(path, connection)
        except sqlite3.Error as error:
            self.close()
            raise StoreError(f"the store {path} cannot be used: {_problem(error)}") from None
        except StoreError:
            self.close()
            raise

    def fetch(self, sandbox: str, keys: Sequence[Key]) -> tuple[int, Sequence[bytes | None]]:
        most = READ_SIZES[-1]
        if len(keys) <= most:  # one statement, which sees one commit
            with self._last_writer() or self.reading(several=False) as connection:
                return _fetch(connection, sandbox, keys)
        version, contents = 0, list[bytes | None]()
        with self.reading() as connection:
            for start in range(0, len(keys), most):
                version, some = _fetch(connection, sandbox, keys[start : start + most])
                contents += some
        return version, contents

    def scan(self, sandbox: str, collection: str) -> tuple[int, Sequence[tuple[str, bytes]]]:
        with self.reading() as connection:
            id_, version = self._find(connection, sandbox)
            rows = connection.execute(
                "SELECT key, content FROM entries WHERE sandbox = ? AND collection = ? ORDER BY id",
                (id_, collection),
            )
            return version, rows.fetchall()

    def latest(self, sandbox: str, collection: str, start: int, most: int) -> tuple[int, Sequence[tuple[str, bytes]]]:
        with self.reading() as connection:
            id_, version = self._find(connection, sandbox)
            # It sorts all of a collection, 11 ms for 100,000. An index would make each new value dearer by a third.
            query = """SELECT key, content FROM entries WHERE sandbox = ? AND collection = ?
                ORDER BY id DESC LIMIT ? OFFSET ?"""
            return version, connection.execute(query, (id_, collection, most, start)).fetchall()

    def count(self, sandbox: str, collection: str) -> tuple[int, int]:
        with self.reading() as connection:
            id_, version = self._find(connection, sandbox)
            query = "SELECT count(*) FROM entries WHERE sandbox = ? AND collection = ?"
            return version, connection.execute(query, (id_, collection)).fetchone()[0]

    def commit(self, commits: Sequence[Commit]) -> Sequence[int | None]:
        with self.transaction() as connection:
            found = [apply_commit(connection, each, self._wall()) for each in commits]
        self._commits += 1
        if not self._commits % COMMITS_CHECKED:
            self.upkeep.begin_if_due(COMMITS_CHECKED)
        return found

    def drop(self, sandbox: str, unused_since: float | None = None) -> bool:
        latest = math.inf if unused_since is None else unused_since
        with self.transaction() as connection:
            id_, _ = self._find(connection, sandbox)
            is_dropped = connection.execute("DELETE FROM sandboxes WHERE id = ? AND used <= ?", (id_, latest)).rowcount
            if is_dropped:
                connection.execute("INSERT INTO dropped VALUES(?)", (id_,))
        return bool(is_dropped)

    def entries(self) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE {_LISTED} ORDER BY id")

    def oldest(self, most: int) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE {_LISTED} ORDER BY used LIMIT ?", most)

    def due(self, now: float) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE due <= ? AND {_LISTED} ORDER BY due", now)

    def idle(self, since: float) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE used <= ? AND {_LISTED} ORDER BY used", since)

    def size(self) -> int:
        with self.reading() as connection:
            query = f"SELECT count(*) FROM sandboxes WHERE {_LISTED}"  # noqa: S608  a constant
            return int(connection.execute(query).fetchone()[0])

    def entry(self, name: str) -> Entry | None:
        found = self._listed(f"{_ENTRY} WHERE name = ? OR (key = ? AND key <> '')", name, name)
        return found[0] if found else None

    def totals(self) -> Mapping[str, int]:
        query = (
            "SELECT collection, count(*) FROM entries "  # noqa: S608  a constant
            f"WHERE sandbox IN (SELECT id FROM sandboxes WHERE {_LISTED}) GROUP BY collection"
        )
        with self.reading() as connection:
            return dict(connection.execute(query).fetchall())

    def every(self, collection: str, key: str) -> Sequence[bytes]:
        query = """SELECT content FROM sandboxes JOIN entries ON sandbox = sandboxes.id AND collection = ?
            AND entries.key = ? WHERE name >= char(2)"""
        with self.reading() as connection:
            return [content for (content,) in connection.execute(query, (collection, key))]

    def stored_bytes(self) -> int:
        files = (Path(self.path + end) for end in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def next_number(self) -> int:
        with self.transaction() as connection:  # the table is AUTOINCREMENT
            number = connection.execute("INSERT INTO unfinished(since) VALUES(0)").lastrowid
            connection.execute("DELETE FROM unfinished WHERE number = ?", (number,))
            return number or 0

    def has_blob(self, id_: str) -> bool:
        with self.transaction() as connection:
            found = connection.execute("UPDATE blobs SET unused = ? WHERE id = ?", (self._wall(), id_))
            return found.rowcount > 0

    def write_blob(self, id_: str, chunks: Iterator[bytes]) -> None:
        with self.transaction() as connection:
            number = connection.execute("INSERT INTO unfinished(since) VALUES(?)", (self._wall(),)).lastrowid
        for at, chunk in enumerate(chunks):  # each in a transaction of its own, so that others can write
            with self.transaction() as connection:
                connection.execute("INSERT INTO chunks VALUES(?, ?, ?)", (number, at, chunk))
        with self.transaction() as connection:
            values = id_, number, self._wall()
            if connection.execute("INSERT OR IGNORE INTO blobs VALUES(?, ?, ?)", values).rowcount:
                connection.execute("DELETE FROM unfinished WHERE number = ?", (number,))

    def read_chunk(self, id_: str, number: int) -> bytes:
        with self.reading() as connection:
            query = "SELECT content FROM chunks WHERE blob = (SELECT number FROM blobs WHERE id = ?) AND number = ?"
            found = connection.execute(query, (id_, number)).fetchone()
            return found[0] if found else b""

    def close(self) -> None:
        """Close the connections that no thread uses, at once; the others, when they are not used any more."""
        self._is_closed = True
        self.upkeep.stop(BUSY_SECONDS)
        if self.writing.acquire(timeout=BUSY_SECONDS):
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self.writing.release()
        while self._free:
            self._free.pop().close()

    def _listed(self, query: str, *arguments: Any) -> list[Entry]:
        with self.reading() as connection:
            rows = connection.execute(query, arguments).fetchall()
        return [Entry(name, used, Facts(key, bool(pinned), due)) for name, used, key, pinned, due in rows]

    def _find(self, connection: sqlite3.Connection, sandbox: str) -> tuple[int, int]:
        """The id and the version of a sandbox; both are 0 if there is none."""
        found = connection.execute("SELECT id, version FROM sandboxes WHERE name = ?", (sandbox,)).fetchone()
        return found or (0, 0)

    def _connect(self, timeout: float, pages: int) -> sqlite3.Connection:
        if self._is_closed:
            raise sqlite3.ProgrammingError("it is closed")
        found = sqlite3.connect(
            self.path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        found.execute("PRAGMA synchronous = NORMAL")
        found.execute(f"PRAGMA cache_size = {-pages}")
        found.execute("PRAGMA wal_autocheckpoint = 0")
        return found

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading, which no other thread uses meanwhile."""
        try:
            found = self._free.pop()
        except IndexError:
            found = self._connect(BUSY_SECONDS, READING_PAGES)
        try:
            yield found
        finally:
            if self._is_closed or len(self._free) >= FREE_CONNECTIONS:
                found.close()
            else:
                self._free.append(found)

    @contextmanager
    def reading(self, *, several: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection whose statements see one commit, if there are several."""
        self.round_trips += 1
        try:
            with self.connection() as connection:
                if not several:
                    yield connection
                    return
                connection.execute("BEGIN")
                try:
                    yield connection
                finally:
                    connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._unavailable(error) from None

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect(0.0, WRITING_PAGES)
        return self._writer

    def _last_writer(self) -> AbstractContextManager[sqlite3.Connection] | None:
        """The connection that writes, if it is free: it has the pages in memory that it has just written."""
        return self._reading_writer() if self.writing.acquire(blocking=False) else None

    @contextmanager
    def _reading_writer(self) -> Iterator[sqlite3.Connection]:
        """The same, after `writing` was acquired."""
        self.round_trips += 1
        try:
            yield self._open_writer()
        except sqlite3.Error as error:
            raise self._unavailable(error) from None
        finally:
            self.writing.release()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The connection that writes, in a transaction. On an event loop that would have to wait raises StoreBusy."""
        self.round_trips += 1
        is_loop = _get_running_loop() is not None
        first, again = (LOOP_SECONDS, 0.0) if is_loop else (BUSY_SECONDS, LOCKED_SECONDS)
        patience = again if self._is_locked else first
        end = monotonic() + patience
        if not self.writing.acquire(blocking=False) and not self.writing.acquire(timeout=patience):
            raise self._locked(is_loop=is_loop)
        try:
            connection = self._open_writer()
            if not _begin(connection, end):
                self._is_locked = True
                raise self._locked(is_loop=is_loop)
            self._is_locked = False
            yield connection
            connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._writer is not None and self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise self._unavailable(error) from None
            raise
        finally:
            self.writing.release()

    def _locked(self, *, is_loop: bool) -> StoreUnavailable:
        if is_loop:
            return StoreBusy(_LOCKED)
        self.failures += 1
        return StoreUnavailable(f"the store {self.path} cannot be used: {_LOCKED}")

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        self.failures += 1
        name = getattr(error, "sqlite_errorname", "")
        is_full = any(name.startswith(each) for each in _FULL)
        return StoreUnavailable(f"the store {self.path} cannot be used: {_problem(error)}", is_full=is_full)


def _fetch(connection: sqlite3.Connection, sandbox: str, keys: Sequence[Key]) -> tuple[int, Sequence[bytes | None]]:
    """The version of a sandbox, and the contents of at most 64 keys."""
    size = next(each for each in READ_SIZES if each >= len(keys))
    padded = [*keys, *[("", "")] * (size - len(keys))]
    found = connection.execute(_get(size), (*chain.from_iterable(padded), sandbox)).fetchone()
    return (found[0], found[1 : len(keys) + 1]) if found else (0, [None] * len(keys))


@cache
def _get(count: int) -> str:
    """The statement that reads the version and so many values."""
    columns = ", ".join(["version", *[_CONTENT] * count])
    return f"SELECT {columns} FROM sandboxes WHERE name = ?"  # noqa: S608  constants


def _begin(connection: sqlite3.Connection, end: float) -> bool:
    """Begin to write; returns whether that was possible until a time of the monotonic clock."""
    wait = FIRST_WAIT
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if monotonic() > end:
                return False
        else:
            return True
        time.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT)


def _problem(error: sqlite3.Error) -> str:
    text = str(error)
    return _LOCKED if "locked" in text else text
