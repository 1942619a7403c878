"""How a commit changes the tables of a SQLite store, in a transaction that the caller has begun."""

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeVar

from mockserver.stores.backend import OWNED, Changes, Commit, Put

CHUNKS = 20
"""The most chunks of blobs that are deleted in one transaction, so that it is short."""
DELETED_AT_ONCE = 100
"""The most values of a sandbox that a commit deletes when it empties collections; else it leaves them to the upkeep."""
COMMIT_BITS = 32
"""A version is a sandbox's id and, in so many bits, the number of its commit."""
SIZES = (64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1)
"""The numbers of values that one statement may put, which takes half as long as a statement for each.

There are few of them, because a connection keeps its statements, and one for 64 values has more than 100 kB.
"""
RELEASE = f"UPDATE blobs SET unused = iif(id GLOB '{OWNED}*', 0, ?) WHERE id IN (SELECT blob FROM uses {{}})"  # noqa: S608
"""The statement that precedes the deletion of rows of `uses`. It is given the time."""
_Value = TypeVar("_Value")


def apply_commit(connection: sqlite3.Connection, commit: Commit, now: float, staged: int = 0) -> int | None:
    """The new version of the sandbox; None if it has another one than the commit has read. `now` is the wall clock.

    `staged` is the id under which a part of the changes was written aside; see `stage`.
    """
    version, new = commit.version, commit.version + 1
    if version:
        query = "UPDATE sandboxes SET version = ?, used = ? WHERE name = ? AND version = ?"
        if not connection.execute(query, (new, commit.used, commit.sandbox, version)).rowcount:
            return None
        id_ = version >> COMMIT_BITS
    else:
        id_ = _create(connection, commit.sandbox, commit.used)
        if not id_:
            return None
        new = (id_ << COMMIT_BITS) + 1
        connection.execute("UPDATE sandboxes SET version = ? WHERE id = ?", (new, id_))
    changes = commit.changes
    if changes.kept is not None and (staged or _is_large(connection, id_)):
        id_ = _renew(connection, id_, staged or new_id(connection), changes.kept)
        changes = changes._replace(kept=None)
        new = (id_ << COMMIT_BITS) + 1
        connection.execute("UPDATE sandboxes SET version = ? WHERE id = ?", (new, id_))
    if commit.facts is not None:
        query = "UPDATE sandboxes SET key = ?, is_pinned = ?, due = ? WHERE id = ?"
        connection.execute(query, (*commit.facts, id_))
    _apply(connection, id_, changes, now)
    return new


def _is_large(connection: sqlite3.Connection, id_: int) -> bool:
    query = "SELECT count(*) FROM (SELECT 1 FROM entries WHERE sandbox = ? LIMIT ?)"
    return bool(connection.execute(query, (id_, DELETED_AT_ONCE + 1)).fetchone()[0] > DELETED_AT_ONCE)


def new_id(connection: sqlite3.Connection) -> int:
    """An id that no sandbox has had."""
    connection.execute("INSERT INTO sandboxes(name, version, used, key, is_pinned) VALUES('', 0, 0, '', 0)")
    return int(connection.execute("DELETE FROM sandboxes WHERE name = '' RETURNING id").fetchone()[0])


def stage(connection: sqlite3.Connection, id_: int, puts: Sequence[Put], now: float) -> None:
    """Write a part of a long commit under a new id, which `apply_commit` gives to the sandbox."""
    _apply(connection, id_, Changes(None, (), puts), now)


def _renew(connection: sqlite3.Connection, id_: int, new: int, kept: frozenset[str]) -> int:
    """Give a sandbox a new id, and take along these collections. What stays behind is deleted by and by."""
    where = f"WHERE sandbox = ? AND collection IN ({', '.join('?' * len(kept))})"
    for table in ("entries", "uses"):
        connection.execute(f"UPDATE {table} SET sandbox = ? {where}", (new, id_, *kept))  # noqa: S608  constants
    connection.execute("INSERT INTO dropped VALUES(?)", (id_,))
    connection.execute("UPDATE sandboxes SET id = ? WHERE id = ?", (new, id_))
    return new


def _create(connection: sqlite3.Connection, sandbox: str, used: float) -> int:
    """The id of a new sandbox; 0 if another process has created it."""
    query = "INSERT OR IGNORE INTO sandboxes(name, version, used, key, is_pinned) VALUES(?, 1, ?, '', 0)"
    made = connection.execute(query, (sandbox, used))
    return (made.lastrowid or 0) if made.rowcount > 0 else 0


def _apply(connection: sqlite3.Connection, id_: int, changes: Changes, now: float) -> None:
    if changes.kept is not None:
        where = f"WHERE sandbox = ? AND collection NOT IN ({', '.join('?' * len(changes.kept))})"
        connection.execute(RELEASE.format(where), (now, id_, *changes.kept))
        for table in ("entries", "uses"):
            connection.execute(f"DELETE FROM {table} {where}", (id_, *changes.kept))  # noqa: S608  constants
    gone = [*changes.deleted, *(put[:2] for put in changes.put if put.is_last)]
    if gone:
        query = "DELETE FROM entries WHERE sandbox = ? AND collection = ? AND key = ?"
        connection.executemany(query, [(id_, *at) for at in gone])
    for some in _slices(changes.put):
        connection.execute(_put(len(some)), [part for each in some for part in (id_, *each[:3])])
    query = "SELECT EXISTS(SELECT 1 FROM uses WHERE sandbox = ?)"
    has_uses = connection.execute(query, (id_,)).fetchone()[0]
    if has_uses:
        for at in gone:
            _set_uses(connection, (id_, *at), (), now)
    for put in changes.put:
        if has_uses or put.blobs:
            _set_uses(connection, (id_, put.collection, put.key), put.blobs, now)


def _set_uses(connection: sqlite3.Connection, at: tuple[int, str, str], blobs: Sequence[str], now: float) -> None:
    """Replace the blobs to which a value refers."""
    where = "WHERE sandbox = ? AND collection = ? AND key = ?"
    before = [blob for (blob,) in connection.execute(f"SELECT blob FROM uses {where}", at)]  # noqa: S608
    if set(before) == set(blobs):
        return
    connection.execute(f"DELETE FROM uses {where}", at)  # noqa: S608  a constant
    connection.executemany("UPDATE blobs SET unused = ? WHERE id = ?", [(now, each) for each in before])
    connection.executemany("INSERT OR IGNORE INTO uses VALUES(?, ?, ?, ?)", [(*at, each) for each in blobs])
    for blob in before:
        if blob.startswith(OWNED):
            _delete_blob(connection, blob)


def _delete_blob(connection: sqlite3.Connection, id_: str) -> None:
    """Delete a blob: at once if it is small, else by and by."""
    for (number,) in connection.execute("DELETE FROM blobs WHERE id = ? RETURNING number", (id_,)).fetchall():
        gone = connection.execute("DELETE FROM chunks WHERE blob = ? AND number < ?", (number, CHUNKS)).rowcount
        if gone == CHUNKS:
            connection.execute("INSERT INTO unfinished VALUES(?, 0)", (number,))


def _slices(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """The values in parts, each of one of SIZES."""
    start = 0
    for size in SIZES:
        while start + size <= len(values):
            yield values[start : start + size]
            start += size


@cache
def _put(count: int) -> str:
    """The statement that puts so many values."""
    rows = ", ".join(["(?, ?, ?, ?)"] * count)
    query = f"INSERT INTO entries(sandbox, collection, key, content) VALUES {rows}"  # noqa: S608  constants
    return f"{query} ON CONFLICT(sandbox, collection, key) DO UPDATE SET content = excluded.content"
