"""A store in one SQLite file, which several processes of one machine may use at the same time.

The file is in WAL mode with `synchronous=NORMAL`: what is committed survives the end of the process at any moment; a
power cut may lose the latest commits, and damages nothing. Each thread has a connection of its own. Reads see the
latest commit and do not wait; a commit is one `BEGIN IMMEDIATE` transaction of a few statements.
"""

import math
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mockserver.errors import StoreError, StoreUnavailable
from mockserver.stores.backend import GRACE, Changes, Deletion, Entry, Facts, Key

APPLICATION_ID = 0x4D6F636B
"""Marks the file as ours, in its header."""
SCHEMA_VERSION = 1
COMMIT_BITS, PLACE_BITS = 32, 20
"""A version is a sandbox's id and the number of its commit; a place is that number and the put in the commit."""
CHECKPOINT_PAGES = 8000
"""Pages of the write-ahead log after which it is copied into the file, which waits for the disk."""
BUSY_SECONDS = 3.0
"""The longest wait for another process that writes."""
SWEEP_SECONDS = 30.0
"""Seconds between two searches for what can be deleted."""
SLICE = 500
"""Rows that are deleted in one transaction, so that it is short."""
_FULL = frozenset({"SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_PERM"})

_SCHEMA = f"""
CREATE TABLE sandboxes(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, used REAL NOT NULL,
    key TEXT NOT NULL, is_pinned INTEGER NOT NULL, due REAL
);
CREATE INDEX sandboxes_by_key ON sandboxes(key);
CREATE INDEX sandboxes_by_due ON sandboxes(due) WHERE due IS NOT NULL;
CREATE TABLE entries(
    sandbox INTEGER, collection TEXT, key TEXT, place INTEGER NOT NULL, content BLOB NOT NULL,
    PRIMARY KEY(sandbox, collection, key)
) WITHOUT ROWID;
CREATE TABLE dropped(id INTEGER PRIMARY KEY);
CREATE TABLE blobs(id TEXT PRIMARY KEY, unused REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks(blob TEXT, number INTEGER, content BLOB NOT NULL, PRIMARY KEY(blob, number));
CREATE TABLE uses(
    sandbox INTEGER, collection TEXT, key TEXT, blob TEXT, PRIMARY KEY(sandbox, collection, key, blob)
) WITHOUT ROWID;
CREATE INDEX uses_by_blob ON uses(blob);
PRAGMA user_version = {SCHEMA_VERSION};
"""
_PUT = """INSERT INTO entries(sandbox, collection, key, place, content) VALUES(?, ?, ?, ?, ?)
ON CONFLICT(sandbox, collection, key) DO UPDATE SET content = excluded.content"""
_FETCH = "SELECT content FROM entries WHERE sandbox = ? AND collection = ? AND key = ?"
_ENTRY = "SELECT name, used, key, is_pinned, due FROM sandboxes"
_UNUSED = "unused < ? AND NOT EXISTS(SELECT 1 FROM uses WHERE blob = id)"
_LISTED = "name >= char(2)"


class SqliteBackend:
    """The file of a store; see `stores.backend.Backend`. May be used from several threads."""

    is_available = True

    def __init__(self, path: str, wall: Callable[[], float]) -> None:
        """Open or create the file; raises StoreError. `wall` is the wall clock, in Unix seconds."""
        self._path = path
        self._wall = wall
        self.round_trips = self.failures = 0
        self._connections = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._swept = wall()
        _check_file(path)
        try:
            self._prepare()
        except sqlite3.Error as error:
            raise StoreError(f"the store {path} cannot be used: {_problem(error)}") from None

    def fetch(self, sandbox: str, keys: Sequence[Key]) -> tuple[int, Sequence[bytes | None]]:
        with self._reading(several=len(keys) > 0) as connection:
            id_, version = self._find(connection, sandbox)
            if not version:
                return 0, [None] * len(keys)
            found = (connection.execute(_FETCH, (id_, *key)).fetchone() for key in keys)
            return version, [row[0] if row else None for row in found]

    def scan(self, sandbox: str, collection: str) -> tuple[int, Sequence[tuple[str, bytes]]]:
        with self._reading() as connection:
            id_, version = self._find(connection, sandbox)
            rows = connection.execute(
                "SELECT key, content FROM entries WHERE sandbox = ? AND collection = ? ORDER BY place",
                (id_, collection),
            )
            return version, rows.fetchall()

    def latest(self, sandbox: str, collection: str, start: int, most: int) -> tuple[int, Sequence[tuple[str, bytes]]]:
        with self._reading() as connection:
            id_, version = self._find(connection, sandbox)
            rows = connection.execute(
                "SELECT key, content FROM entries WHERE sandbox = ? AND collection = ? "
                "ORDER BY place DESC LIMIT ? OFFSET ?",
                (id_, collection, most, start),
            )
            return version, rows.fetchall()

    def count(self, sandbox: str, collection: str) -> tuple[int, int]:
        with self._reading() as connection:
            id_, version = self._find(connection, sandbox)
            query = "SELECT count(*) FROM entries WHERE sandbox = ? AND collection = ?"
            return version, connection.execute(query, (id_, collection)).fetchone()[0]

    def commit(self, sandbox: str, version: int, changes: Changes, facts: Facts | None, used: float) -> int | None:
        new = version + 1
        with self._transaction() as connection:
            if version:
                query = "UPDATE sandboxes SET version = ?, used = ? WHERE name = ? AND version = ?"
                if not connection.execute(query, (new, used, sandbox, version)).rowcount:
                    return None
                id_ = version >> COMMIT_BITS
            else:
                id_ = self._create(connection, sandbox, used)
                if not id_:
                    return None
                new = (id_ << COMMIT_BITS) + 1
                connection.execute("UPDATE sandboxes SET version = ? WHERE id = ?", (new, id_))
            if facts is not None:
                query = "UPDATE sandboxes SET key = ?, is_pinned = ?, due = ? WHERE id = ?"
                connection.execute(query, (*facts, id_))
            self._apply(connection, id_, changes, (new % (1 << COMMIT_BITS)) << PLACE_BITS)
        if self._wall() - self._swept > SWEEP_SECONDS:
            self.sweep()
        return new

    def drop(self, sandbox: str) -> bool:
        with self._transaction() as connection:
            id_, version = self._find(connection, sandbox)
            if version:
                connection.execute("DELETE FROM sandboxes WHERE id = ?", (id_,))
                connection.execute("INSERT INTO dropped VALUES(?)", (id_,))
        return version > 0

    def entries(self) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE {_LISTED} ORDER BY id")

    def oldest(self, most: int) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE {_LISTED} ORDER BY used LIMIT ?", most)

    def due(self, now: float) -> Sequence[Entry]:
        return self._listed(f"{_ENTRY} WHERE due <= ? AND {_LISTED} ORDER BY due", now)

    def size(self) -> int:
        with self._reading() as connection:
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
        with self._reading() as connection:
            return dict(connection.execute(query).fetchall())

    def stored_bytes(self) -> int:
        files = (Path(self._path + end) for end in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def has_blob(self, id_: str) -> bool:
        with self._transaction() as connection:
            found = connection.execute("UPDATE blobs SET unused = ? WHERE id = ?", (self._wall(), id_))
            return found.rowcount > 0

    def write_blob(self, id_: str, chunks: Iterator[bytes]) -> None:
        for number, chunk in enumerate(chunks):  # each in a transaction of its own, so that others can write
            with self._transaction() as connection:
                connection.execute("INSERT OR REPLACE INTO chunks VALUES(?, ?, ?)", (id_, number, chunk))
        with self._transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO blobs VALUES(?, ?)", (id_, self._wall()))

    def read_chunk(self, id_: str, number: int) -> bytes:
        with self._reading() as connection:
            query = "SELECT content FROM chunks WHERE blob = ? AND number = ?"
            found = connection.execute(query, (id_, number)).fetchone()
            return found[0] if found else b""

    def close(self) -> None:
        for connection in self._opened:
            with suppress(sqlite3.Error):
                connection.close()

    def sweep(self) -> None:
        """Delete what belongs to no sandbox any more, and blobs that no value refers to, in short transactions."""
        self._swept = self._wall()
        with self._reading() as connection:
            dropped = [id_ for (id_,) in connection.execute("SELECT id FROM dropped")]
        for id_ in dropped:
            for table in ("entries", "uses"):
                self._delete_slices(table, id_)
            with self._transaction() as connection:
                connection.execute("DELETE FROM dropped WHERE id = ?", (id_,))
        with self._reading() as connection:
            query = f"SELECT id FROM blobs WHERE {_UNUSED}"  # noqa: S608  a constant
            unused = [id_ for (id_,) in connection.execute(query, (self._wall() - GRACE,))]
        for id_ in unused:
            with self._transaction() as connection:
                query = (
                    "DELETE FROM blobs WHERE id = ? AND unused < ? AND NOT EXISTS(SELECT 1 FROM uses WHERE blob = id)"
                )
                if connection.execute(query, (id_, self._wall() - GRACE)).rowcount:
                    connection.execute("DELETE FROM chunks WHERE blob = ?", (id_,))

    def _delete_slices(self, table: str, id_: int) -> None:
        keys = f"SELECT collection, key FROM {table} WHERE sandbox = ? LIMIT {SLICE}"  # noqa: S608  constants
        is_more = True
        while is_more:
            with self._transaction() as connection:
                query = f"DELETE FROM {table} WHERE sandbox = ? AND (collection, key) IN ({keys})"  # noqa: S608  constants
                is_more = connection.execute(query, (id_, id_)).rowcount > 0

    def _create(self, connection: sqlite3.Connection, sandbox: str, used: float) -> int:
        """The id of a new sandbox; 0 if another process has created it."""
        query = "INSERT OR IGNORE INTO sandboxes(name, version, used, key, is_pinned) VALUES(?, 1, ?, '', 0)"
        made = connection.execute(query, (sandbox, used))
        return (made.lastrowid or 0) if made.rowcount > 0 else 0

    def _apply(self, connection: sqlite3.Connection, id_: int, changes: Changes, place: int) -> None:
        """Apply the changes; new keys have this place and the following ones."""
        if changes.kept is not None:
            marks = ", ".join("?" * len(changes.kept))
            for table in ("entries", "uses"):
                query = f"DELETE FROM {table} WHERE sandbox = ? AND collection NOT IN ({marks})"  # noqa: S608  marks
                connection.execute(query, (id_, *changes.kept))
        gone = [
            *changes.deleted,
            *(Deletion(*each[:2], each.blobs is not None) for each in changes.put if each.is_last),
        ]
        if gone:
            query = "DELETE FROM entries WHERE sandbox = ? AND collection = ? AND key = ?"
            connection.executemany(query, [(id_, each.collection, each.key) for each in gone])
        for each in gone:
            if each.has_blobs:
                self._set_uses(connection, (id_, each.collection, each.key), ())
        rows = enumerate(changes.put, place)
        connection.executemany(_PUT, [(id_, each.collection, each.key, at, each.content) for at, each in rows])
        for put in changes.put:
            if put.blobs is not None:
                self._set_uses(connection, (id_, put.collection, put.key), put.blobs)

    def _set_uses(self, connection: sqlite3.Connection, at: tuple[int, str, str], blobs: Sequence[str]) -> None:
        """Replace the references of a value."""
        where = "WHERE sandbox = ? AND collection = ? AND key = ?"
        before = [blob for (blob,) in connection.execute(f"SELECT blob FROM uses {where}", at)]  # noqa: S608
        if set(before) == set(blobs):
            return
        connection.execute(f"DELETE FROM uses {where}", at)  # noqa: S608  a constant
        connection.executemany("UPDATE blobs SET unused = ? WHERE id = ?", [(self._wall(), each) for each in before])
        connection.executemany("INSERT OR IGNORE INTO uses VALUES(?, ?, ?, ?)", [(*at, each) for each in blobs])

    def _listed(self, query: str, *arguments: Any) -> list[Entry]:
        with self._reading() as connection:
            rows = connection.execute(query, arguments).fetchall()
        return [Entry(name, used, Facts(key, bool(pinned), due)) for name, used, key, pinned, due in rows]

    def _find(self, connection: sqlite3.Connection, sandbox: str) -> tuple[int, int]:
        """The id and the version of a sandbox; both are 0 if there is none."""
        found = connection.execute("SELECT id, version FROM sandboxes WHERE name = ?", (sandbox,)).fetchone()
        return found or (0, 0)

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._connections, "own", None)
        if found is None:
            found = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            found.execute("PRAGMA synchronous = NORMAL")
            found.execute("PRAGMA cache_size = -8192")
            found.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            self._connections.own = found
            self._opened.append(found)
        return found

    @contextmanager
    def _reading(self, *, several: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection whose statements see one commit, if there are several."""
        self.round_trips += 1
        try:
            connection = self._connection()
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

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self.round_trips += 1
        with self._writing:  # so that threads of this process need no pauses to wait for each other
            try:
                connection = self._connection()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise self._unavailable(error) from None

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        self.failures += 1
        name = getattr(error, "sqlite_errorname", "")
        is_full = any(name.startswith(each) for each in _FULL)
        return StoreUnavailable(f"the store {self._path} cannot be used: {_problem(error)}", is_full=is_full)

    def _prepare(self) -> None:
        """Create the tables in a new file, and check that this process may write."""
        connection = self._connection()
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    connection.execute(statement)
            # A write, so that a read-only file shows now.
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _problem(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return f"another process has locked it for more than {math.ceil(BUSY_SECONDS)} seconds"
    return text


def _check_file(path: str) -> None:
    """Raises StoreError for a file that is no store of ours, without opening it as a database."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise StoreError(f"the store {path} cannot be made: there is no folder {folder}")
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            header = file.read(100)
    except FileNotFoundError:
        if not os.access(folder, os.W_OK):
            raise StoreError(f"the store {path} cannot be made: the folder {folder} cannot be written") from None
        return
    except OSError as error:
        raise StoreError(f"the store {path} cannot be read: {error.strerror}") from None
    if not header:
        return
    if not header.startswith(b"SQLite format 3\0"):
        raise StoreError(f"{path} is no SQLite file, and is left as it is; name another file in --store")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program, and is left as it is; name another file in --store")
    version = int.from_bytes(header[60:64])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer mockserver (format {version}; this one reads up to {SCHEMA_VERSION}), and "
            "is left as it is; use that version, or name another file in --store"
        )
    if not os.access(path, os.W_OK):
        raise StoreError(f"the store {path} cannot be written: permission denied")
