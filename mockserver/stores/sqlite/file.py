"""The file of a store in SQLite: its tables, and whether a file is one of ours."""

import os
import sqlite3
from pathlib import Path

from mockserver.errors import StoreError

APPLICATION_ID = 0x4D6F636B
"""Marks the file as ours, in its header."""
SCHEMA_VERSION = 5
"""3 had the same tables, and all values in `entries`, however large; 4 had other values in journals."""
_VALUES = """
CREATE TABLE entries(
    id INTEGER PRIMARY KEY, sandbox INTEGER NOT NULL, collection TEXT NOT NULL, key TEXT NOT NULL, content BLOB NOT NULL
);
CREATE UNIQUE INDEX entries_by_key ON entries(sandbox, collection, key);
CREATE TABLE blobs(id TEXT PRIMARY KEY, number INTEGER NOT NULL, unused REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE chunks(blob INTEGER, number INTEGER, content BLOB NOT NULL, PRIMARY KEY(blob, number));
CREATE TABLE unfinished(number INTEGER PRIMARY KEY AUTOINCREMENT, since REAL NOT NULL);
"""
STAGED = "CREATE TABLE IF NOT EXISTS staged(id INTEGER PRIMARY KEY, since REAL NOT NULL);"
"""The ids under which imports are being written. Versions before 5 do not have it."""
# The order of `entries.id` is that in which keys were first put. A blob has a number, under which its chunks are; in
# `unfinished` are the numbers of blobs that are being written, or deleted.
SCHEMA = f"""
CREATE TABLE sandboxes(
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, version INTEGER NOT NULL, used REAL NOT NULL,
    key TEXT NOT NULL, is_pinned INTEGER NOT NULL, due REAL
);
CREATE INDEX sandboxes_by_key ON sandboxes(key);
CREATE INDEX sandboxes_by_due ON sandboxes(due) WHERE due IS NOT NULL;
CREATE TABLE dropped(id INTEGER PRIMARY KEY);
CREATE TABLE uses(
    sandbox INTEGER, collection TEXT, key TEXT, blob TEXT, PRIMARY KEY(sandbox, collection, key, blob)
) WITHOUT ROWID;
CREATE INDEX uses_by_blob ON uses(blob);
{STAGED}
{_VALUES}
"""
SECOND_VERSION = 2
"""It has the same tables, and other keys in journals; see `StoredJournal`."""
UPGRADE = "".join(
    [
        """
ALTER TABLE entries RENAME TO old_entries;
ALTER TABLE blobs RENAME TO old_blobs;
ALTER TABLE chunks RENAME TO old_chunks;
""",
        _VALUES,
        """
INSERT INTO entries(sandbox, collection, key, content)
    SELECT sandbox, collection, key, content FROM old_entries ORDER BY sandbox, collection, place;
INSERT INTO blobs SELECT id, row_number() OVER (ORDER BY id), unused FROM old_blobs;
INSERT INTO chunks SELECT blobs.number, old_chunks.number, content FROM old_chunks JOIN blobs ON id = blob;
INSERT INTO unfinished SELECT max(number), 0 FROM blobs HAVING max(number) IS NOT NULL;
DELETE FROM unfinished;
DROP TABLE old_entries;
DROP TABLE old_blobs;
DROP TABLE old_chunks;
""",
    ]
)
"""From version 1."""


def check_file(path: str) -> None:
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
        raise _newer(path, version)
    if not os.access(path, os.W_OK):
        raise StoreError(f"the store {path} cannot be written: permission denied")


def prepare(path: str, connection: sqlite3.Connection) -> None:
    """Create the tables in a new file, and check that this process may write; raises StoreError, sqlite3.Error."""
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:  # the log has it, and the header of the file does not yet
            raise _newer(path, version)
        is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        for statement in (SCHEMA if is_new else (UPGRADE if version < SECOND_VERSION else "") + STAGED).split(";"):
            connection.execute(statement)
        # A write, so that a read-only file shows now.
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _newer(path: str, version: int) -> StoreError:
    return StoreError(
        f"{path} was written by a newer mockserver (format {version}; this one reads up to {SCHEMA_VERSION}), and is "
        "left as it is; use that version, or name another file in --store"
    )
