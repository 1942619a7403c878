"""The file of a store in SQLite: earlier formats, and what is deleted and copied without a request."""

import asyncio
import itertools
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from builders import make_engine, queue
from shared_stores import Clock

from mockserver.errors import StoreBusy, StoreError, StoreUnavailable
from mockserver.stores.backend import GRACE, Changes, Commit, Facts, Put
from mockserver.stores.codec import CHUNK_BYTES
from mockserver.stores.sqlite import SqliteBackend, commits, upkeep
from mockserver.stores.sqlite import backend as sqlite_backend
from mockserver.stores.sqlite.file import APPLICATION_ID, SCHEMA_VERSION

FIRST_FORMAT = f"""
PRAGMA application_id = {APPLICATION_ID};
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
PRAGMA user_version = 1;
INSERT INTO sandboxes VALUES(7, 'sandbox', (7 << 32) + 5, 1000, 'key', 1, NULL);
INSERT INTO entries VALUES(7, 'things', 'b', 1, x'31'), (7, 'things', 'a', 2, x'32');
INSERT INTO blobs VALUES('large', 0), ('other', 0);
INSERT INTO chunks VALUES('large', 0, x'33'), ('large', 1, x'34'), ('other', 0, x'35');
INSERT INTO uses VALUES(7, 'things', 'a', 'large');
"""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(tmp_path: Path, clock: Clock) -> Iterator[SqliteBackend]:
    opened = SqliteBackend(str(tmp_path / "x.db"), clock)
    yield opened
    opened.close()


def change(backend: SqliteBackend, *puts: Put, sandbox: str = "sandbox", version: int = 0, used: float = 0.0) -> int:
    """The version after a commit."""
    (found,) = backend.commit([Commit(sandbox, version, Changes(None, (), puts), Facts("key"), used)])
    assert found is not None
    return found


def value(key: str, *blobs: str) -> Put:
    return Put("things", key, b"content", False, blobs)


def count(backend: SqliteBackend, table: str) -> int:
    with backend.reading() as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_file_of_the_first_format_is_read_with_its_order_and_its_blobs(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST_FORMAT)
    connection.close()

    backend = SqliteBackend(str(path), clock)

    assert backend.scan("sandbox", "things") == ((7 << 32) + 5, [("b", b"1"), ("a", b"2")])
    assert [backend.read_chunk("large", number) for number in range(3)] == [b"3", b"4", b""]
    assert backend.read_chunk("other", 0) == b"5"
    backend.write_blob("new", iter([b"four"]))
    assert (backend.read_chunk("new", 0), backend.read_chunk("large", 0)) == (b"four", b"3")
    backend.close()
    SqliteBackend(str(path), clock).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def test_a_newer_format_in_a_log_that_was_not_copied_is_refused(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "x.db"
    first = SqliteBackend(str(path), clock)
    with first.transaction() as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(StoreError, match="was written by a newer mockserver"):
        SqliteBackend(str(path), clock)
    first.close()


def test_a_dropped_sandbox_is_deleted_in_short_transactions(
    backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SLICE", 10)
    change(backend, *[value(str(number)) for number in range(35)])
    change(backend, value("a"), sandbox="other")
    backend.drop("sandbox")
    before = backend.round_trips

    backend.upkeep.sweep()

    assert (count(backend, "entries"), count(backend, "dropped")) == (1, 0)
    assert backend.round_trips - before > 4


def test_a_blob_is_deleted_when_no_value_has_referred_to_it_for_long_enough(
    backend: SqliteBackend, clock: Clock
) -> None:
    for name in ("used", "unused"):
        backend.write_blob(name, iter([b"x" * CHUNK_BYTES, b"y"]))
    version = change(backend, value("a", "used"))
    clock.now += GRACE + 1

    backend.upkeep.sweep()

    assert (backend.has_blob("used"), backend.has_blob("unused"), count(backend, "chunks")) == (True, False, 2)
    change(backend, value("a"), version=version)
    clock.now += GRACE - 1
    backend.upkeep.sweep()
    assert backend.read_chunk("used", 1) == b"y"
    clock.now += 2
    backend.upkeep.sweep()
    assert (count(backend, "chunks"), count(backend, "unfinished")) == (0, 0)


def test_what_a_killed_process_had_written_of_a_blob_is_deleted_later(backend: SqliteBackend, clock: Clock) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backend.write_blob("half", chunks())
    backend.upkeep.sweep()
    assert (count(backend, "chunks"), backend.has_blob("half")) == (1, False)

    clock.now += upkeep.WRITE_SECONDS + 1
    backend.upkeep.sweep()

    assert count(backend, "chunks") == 0


def test_a_blob_that_two_processes_write_at_the_same_time_is_there_once(backend: SqliteBackend, clock: Clock) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        backend.write_blob("same", iter([b"x", b"y"]))
        yield b"y"

    backend.write_blob("same", chunks())
    clock.now += upkeep.WRITE_SECONDS + 1
    assert backend.has_blob("same")
    backend.upkeep.sweep()

    assert [backend.read_chunk("same", number) for number in (0, 1)] == [b"x", b"y"]
    assert (count(backend, "chunks"), count(backend, "unfinished")) == (2, 0)


def test_the_log_is_copied_and_begun_anew(
    backend: SqliteBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOG_BYTES", 200_000)
    version = 0
    for number in range(100):
        version = change(backend, Put("things", str(number % 5), bytes(2000), False, ()), version=version)
    log = tmp_path / "x.db-wal"
    size = log.stat().st_size

    backend.upkeep.copy_log()
    change(backend, value("a"), version=version)

    assert size > 200_000
    assert log.stat().st_size == size  # from its beginning
    with open(log, "rb") as file:  # noqa: PTH123
        assert int.from_bytes(file.read(32)[12:16]) == 1  # how often it was begun anew


def test_the_log_is_copied_again_after_as_many_commits_as_fill_it(
    backend: SqliteBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOG_BYTES", 200_000)
    monkeypatch.setattr(Thread, "start", Thread.run)
    monkeypatch.setattr(sqlite_backend, "COMMITS_CHECKED", 1)
    sizes: list[int] = []
    copies: list[int] = []
    copy_log = backend.upkeep.copy_log

    def note_and_copy() -> None:
        copies.append(number)
        copy_log()

    monkeypatch.setattr(backend.upkeep, "copy_log", note_and_copy)
    version = number = 0
    for number in range(400):
        version = change(backend, Put("things", str(number % 5), bytes(2000), False, ()), version=version)
        sizes.append((tmp_path / "x.db-wal").stat().st_size)

    gaps = [later - earlier for earlier, later in itertools.pairwise(copies)][1:]
    assert len(gaps) > 3
    assert max(gaps) - min(gaps) <= 2
    assert max(sizes) < 300_000


def test_a_connection_keeps_few_statements_whatever_the_number_of_values(backend: SqliteBackend) -> None:
    for statement in (commits._put, sqlite_backend._get):
        statement.cache_clear()
    version = 0
    for number in range(1, 100):
        puts = [value(f"{number} {n}") for n in range(number)]
        version = change(backend, *puts, version=version)

        keys = [each[:2] for each in puts]
        read, contents = backend.fetch("sandbox", [*keys, ("things", "none")])
        assert (read, [*contents]) == (version, [*[b"content"] * number, None])

    made = [statement.cache_info().currsize for statement in (commits._put, sqlite_backend._get)]
    assert max(made) <= 11


def test_a_batch_changes_as_many_pages_of_the_file_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(store=f"sqlite://{tmp_path}/x.db", progression="polls:9", journal_size=50)
    monkeypatch.setattr(upkeep.Upkeep, "begin_if_due", lambda *_: None)  # so that the log grows all the time

    def logged() -> int:
        """The pages in the log, from the header of its index."""
        return int.from_bytes((tmp_path / "x.db-shm").read_bytes()[16:20], sys.byteorder)

    def pages(count: int) -> float:
        """The pages that a batch adds to the log, on average of so many."""
        before = logged()
        for _ in range(count):
            queue(engine, f"prompt {next(numbers)}")
        return (logged() - before) / count

    numbers = itertools.count()
    queue(engine, "first")
    pages(200)
    few = pages(50)
    pages(1200)
    many = pages(50)
    engine.sandboxes.close()

    assert few / 2 < many < few * 1.3


def test_an_event_loop_does_not_wait_for_another_process(backend: SqliteBackend, tmp_path: Path) -> None:
    change(backend, value("a"))
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def change_on_loop() -> None:
        change(backend, value("b"), sandbox="other")

    with pytest.raises(StoreBusy):
        asyncio.run(change_on_loop())

    other.execute("ROLLBACK")
    other.close()
    change(backend, value("b"), sandbox="other")


def test_a_store_that_is_closed_lets_its_threads_finish(backend: SqliteBackend) -> None:
    version = change(backend, value("a"))
    with backend.reading() as connection:
        backend.close()
        assert connection.execute("SELECT version FROM sandboxes").fetchone() == (version,)

    with pytest.raises(StoreUnavailable, match="it is closed"):
        change(backend, value("b"), sandbox="other")
    with pytest.raises(StoreUnavailable, match="it is closed"):
        backend.entries()
