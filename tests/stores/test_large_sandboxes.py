"""Large sandboxes: how long the store keeps what was deleted, and that resets and imports are cut into slices."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shared_stores import Clock
from store_servers import redis_server

from mockserver.stores.backend import (
    GRACE,
    SHORTEST_GRACE,
    STAGED,
    UNUSED_BYTES,
    Backend,
    Changes,
    Commit,
    Facts,
    Put,
    expired_blobs,
    slices_of,
)
from mockserver.stores.redis import RedisBackend
from mockserver.stores.redis import backend as redis_backend
from mockserver.stores.redis.scripts import RELEASED_AT_ONCE
from mockserver.stores.sqlite import SqliteBackend, commits
from mockserver.stores.sqlite import backend as sqlite_backend
from mockserver.stores.sqlite.commits import DELETED_AT_ONCE
from mockserver.stores.sqlite.upkeep import WRITE_SECONDS

OpenBackend = Callable[[], Any]
MANY = 2 * max(RELEASED_AT_ONCE, DELETED_AT_ONCE) + 10


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=("sqlite", "redis"))
def open_backend(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[OpenBackend]:
    """Opens the same new store each time."""
    url, opened = redis_server().new_url() if request.param == "redis" else str(tmp_path / "x.db"), list[Backend]()

    def open_again() -> Backend:
        opened.append(RedisBackend(url, clock) if request.param == "redis" else SqliteBackend(url, clock))
        return opened[-1]

    yield open_again
    for each in opened:
        each.close()


def sweep(backend: Any) -> None:
    (backend.upkeep if hasattr(backend, "upkeep") else backend).sweep()


def change(backend: Backend, *puts: Put, version: int = 0, kept: frozenset[str] | None = None) -> int:
    """The version after a commit."""
    (found,) = backend.commit([Commit("sandbox", version, Changes(kept, (), puts), Facts("key"), 1.0)])
    assert found is not None
    return found


def put(key: object, *blobs: str, collection: str = "things") -> Put:
    return Put(collection, str(key), b"content", False, blobs)


def has(backend: Backend, *ids: str) -> list[bool]:
    return [backend.read_chunk(id_, 0) != b"" for id_ in ids]


def write(backend: Backend, *ids: str) -> None:
    for id_ in ids:
        backend.write_blob(id_, iter([b"x"]))


def test_of_deleted_content_a_bounded_part_is_kept_for_ten_minutes() -> None:
    now, half = 10_000.0, UNUSED_BYTES // 2
    unused = [
        (f"old-{half}", now - GRACE - 1), ("own-7", 0.0), (f"third-{half}", now - SHORTEST_GRACE - 3),
        (f"second-{half}", now - SHORTEST_GRACE - 2), (f"first-{half}", now - SHORTEST_GRACE - 1),
    ]  # fmt: skip

    assert expired_blobs(unused[:1], now) == [f"old-{half}"]
    assert expired_blobs(unused[2:4], now) == []
    assert expired_blobs(unused, now) == [f"third-{half}", f"old-{half}", "own-7"]
    assert expired_blobs([(f"new-{3 * half}", now - SHORTEST_GRACE + 1)], now) == []


def test_more_deleted_content_than_is_kept_is_deleted_after_a_minute(open_backend: OpenBackend, clock: Clock) -> None:
    backend = open_backend()
    large, small = f"large-{UNUSED_BYTES}", "small-10"
    write(backend, large, small)
    clock.now += SHORTEST_GRACE - 1
    sweep(backend)
    assert has(backend, large, small) == [True, True]

    clock.now += 2
    sweep(backend)

    assert has(backend, large) == [False] or has(backend, small) == [False]
    clock.now += GRACE
    sweep(backend)
    assert has(backend, large, small) == [False, False]


def test_the_blobs_of_a_large_sandbox_that_was_dropped_are_deleted_but_those_in_use_again(
    open_backend: OpenBackend, clock: Clock
) -> None:
    one, other = open_backend(), open_backend()
    write(one, "own-1", "same-5", "gone-5")
    puts = [put(number, "same-5") for number in range(MANY)]
    change(one, *puts, put("a", "own-1"), put("b", "gone-5"))

    assert other.drop("sandbox")
    change(other, put(7, "same-5"))
    sweep(one)
    clock.now += GRACE + 1
    sweep(one)

    assert has(one, "own-1", "same-5", "gone-5") == [False, True, False]
    assert one.count("sandbox", "things")[1] == 1


def test_a_reset_of_a_large_sandbox_keeps_what_lasts(open_backend: OpenBackend, clock: Clock) -> None:
    one, other = open_backend(), open_backend()
    write(one, "kept-5", "gone-5", "new-5")
    lasting = [put(number, "kept-5", collection="lasting") for number in range(3)]
    before = change(one, *lasting, *[put(number, "gone-5") for number in range(MANY)])

    version = change(one, put("new", "new-5"), version=before, kept=frozenset({"lasting"}))
    seen = [[key for key, _ in other.scan("sandbox", name)[1]] for name in ("lasting", "things")]
    sweep(one)
    clock.now += GRACE + 1
    sweep(one)

    assert version != before
    assert seen == [["0", "1", "2"], ["new"]]
    assert has(one, "kept-5", "gone-5", "new-5") == [True, False, True]
    later = change(other, put("later"), version=version)
    read, contents = one.fetch("sandbox", [("things", "later"), ("lasting", "1"), ("things", "7")])
    assert (read, *contents) == (later, b"content", b"content", None)
    assert other.totals() == {"lasting": 3, "things": 2}
    assert [each.name for each in one.entries()] == ["sandbox"]


def measured_parts(backend: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the number of values of each transaction or script."""
    sizes = list[int]()
    if isinstance(backend, RedisBackend):
        arguments = redis_backend._arguments

        def measured(commit: Commit, staged: str = "") -> list[Any]:
            sizes.append(len(commit.changes.put))
            return arguments(commit, staged)

        monkeypatch.setattr(redis_backend, "_arguments", measured)
    else:
        apply = commits._apply

        def applied(connection: Any, id_: int, changes: Changes, now: float) -> None:
            sizes.append(len(changes.put))
            apply(connection, id_, changes, now)

        monkeypatch.setattr(commits, "_apply", applied)
    return sizes


def test_an_import_of_much_is_written_in_parts_and_seen_at_once(
    open_backend: OpenBackend, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_backend(), open_backend()
    write(one, "new-5", "old-5")
    before = change(one, put("old", "old-5"), put("l", collection="lasting"))
    sizes = measured_parts(one, monkeypatch)
    keys = [str(number) for number in range(3 * STAGED)]
    seen: list[int] = []

    def write_part(puts: Any) -> Iterator[Any]:
        for some in slices_of(puts):
            seen.append(other.count("sandbox", "things")[1])
            yield some

    for module in (redis_backend, sqlite_backend):
        monkeypatch.setattr(module, "slices_of", write_part)
    values = [*[put(key) for key in keys], put("b", "new-5"), put("l2", collection="lasting")]
    version = change(one, *values, version=before, kept=frozenset({"lasting"}))
    monkeypatch.undo()

    assert max(sizes) <= STAGED
    assert seen == [1] * 4
    assert [key for key, _ in other.scan("sandbox", "things")[1]] == [*keys, "b"]
    assert [key for key, _ in other.scan("sandbox", "lasting")[1]] == ["l", "l2"]
    last = change(other, put("later"), version=version)
    assert one.latest("sandbox", "things", 0, 2) == (last, [("later", b"content"), ("b", b"content")])
    clock.now += GRACE + 1
    sweep(one)
    clock.now += GRACE + 1
    sweep(other)
    assert has(one, "new-5", "old-5") == [True, False]
    assert other.totals() == {"lasting": 2, "things": len(keys) + 2}


def test_an_import_into_a_sandbox_that_has_changed_meanwhile_changes_nothing(
    open_backend: OpenBackend, clock: Clock
) -> None:
    one, other = open_backend(), open_backend()
    write(one, "new-5")
    version = change(one, put("old"))
    change(other, put("older"), version=version)
    values = [*[put(number) for number in range(2 * STAGED)], put("b", "new-5")]

    found = one.commit([Commit("sandbox", version, Changes(frozenset(), (), values), Facts("key"), 1.0)])
    sweep(one)
    clock.now += GRACE + 1
    sweep(one)

    assert found == [None]
    assert [key for key, _ in other.scan("sandbox", "things")[1]] == ["old", "older"]
    assert has(one, "new-5") == [False]
    assert left(one) == 2


def test_what_a_killed_process_had_written_of_an_import_is_deleted_later(
    open_backend: OpenBackend, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_backend(), open_backend()

    def killed(puts: Any) -> Iterator[Any]:
        yield puts[:STAGED]
        raise KeyboardInterrupt

    for module in (redis_backend, sqlite_backend):
        monkeypatch.setattr(module, "slices_of", killed)
    values = [put(number) for number in range(2 * STAGED)]
    with pytest.raises(KeyboardInterrupt):
        change(one, *values, kept=frozenset())
    sweep(other)
    assert left(other) == STAGED

    clock.now += WRITE_SECONDS + 1
    sweep(other)

    assert (left(other), other.entry("sandbox")) == (0, None)


def left(backend: Any) -> int:
    """The values that the engine holds."""
    if isinstance(backend, RedisBackend):
        client: Any = vars(backend)["_client"]
        return sum(client.hlen(key) for key in client.scan_iter("mockserver:c*"))
    with backend.reading() as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])
