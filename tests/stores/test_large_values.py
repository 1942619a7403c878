"""Values of many megabytes, which a client can make: the store takes and gives them in small pieces."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from shared_stores import ENGINES, TYPES, OpenStore

from mockserver.errors import Conflict
from mockserver.http import StoredBytes
from mockserver.sandbox.blobs import Blob
from mockserver.stores.backend import Commit
from mockserver.stores.codec import CHUNK_BYTES
from mockserver.stores.shared import SharedStore


class Thing(NamedTuple):
    name: str
    content: StoredBytes


LARGE = "x" * (3 * CHUNK_BYTES + 10)


@pytest.fixture(params=sorted(ENGINES))
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    with ENGINES[request.param]({**TYPES, "blobs": Thing}) as opening:
        yield opening


def stored_blobs(store: SharedStore) -> list[str]:
    """The ids of the blobs that the engine holds."""
    backend: Any = store.backend
    if hasattr(backend, "reading"):
        with backend.reading() as connection:
            backend.upkeep.sweep()
            numbers = "SELECT count(*) FROM chunks WHERE blob NOT IN (SELECT number FROM blobs)"
            assert connection.execute(numbers).fetchone() == (0,)
            return [id_ for (id_,) in connection.execute("SELECT id FROM blobs")]
    backend.sweep()
    keys = backend._client.keys("*b\x1f*\x1f*")
    return sorted({key.decode().split("\x1f")[1] for key in keys})


def measure_commits(store: SharedStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets the bytes of each piece that the engine is given."""
    sizes: list[int] = []
    backend = store.backend
    commit, write_blob = backend.commit, backend.write_blob

    def commit_measured(commits: Sequence[Commit]) -> Any:
        sizes.extend(sum(len(put.content) for put in each.changes.put) for each in commits)
        return commit(commits)

    def write_measured(id_: str, chunks: Iterator[bytes]) -> None:
        parts = list(chunks)
        sizes.extend(map(len, parts))
        write_blob(id_, iter(parts))

    monkeypatch.setattr(backend, "commit", commit_measured)
    monkeypatch.setattr(backend, "write_blob", write_measured)
    return sizes


def test_a_large_value_is_written_in_small_pieces_and_read_by_another_process(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_store(), open_store()
    sizes = measure_commits(one, monkeypatch)

    one.open("sandbox").rows("things").put("a", LARGE)
    one.open("sandbox").rows("blobs").put("b", Thing(LARGE, Blob.in_memory(LARGE.encode())))

    assert max(sizes) == CHUNK_BYTES
    assert other.open("sandbox").rows("things").get("a") == LARGE
    assert list(other.open("sandbox").rows("things").items()) == [("a", LARGE)]
    found = other.open("sandbox").rows("blobs").latest(0, 1)[0]
    assert (found.name, found.content.read()) == (LARGE, LARGE.encode())


def test_a_large_value_that_is_replaced_or_deleted_is_freed_at_once(open_store: OpenStore) -> None:
    store = open_store()
    rows = store.open("sandbox").rows("things")
    for number in range(3):
        rows.put("a", f"{number}{LARGE}")
    rows.put("b", LARGE)
    assert len(stored_blobs(store)) == 2

    rows.put("a", "small")
    assert len(stored_blobs(store)) == 1
    rows.delete("b")

    assert stored_blobs(store) == []


def test_large_values_of_a_sandbox_that_is_emptied_or_dropped_are_freed(open_store: OpenStore) -> None:
    store = open_store()
    for name in ("emptied", "dropped", "kept"):
        store.open(name).rows("things").put("a", LARGE)
        store.open(name).rows("others").put("a", LARGE)

    store.open("emptied").clear(keep=frozenset({"others"}))
    store.drop("dropped")

    assert len(stored_blobs(store)) == 3
    assert store.open("emptied").rows("others").get("a") == store.open("kept").rows("things").get("a") == LARGE


def test_a_very_large_value_of_which_another_one_takes_the_place_is_freed(open_store: OpenStore) -> None:
    store = open_store()
    rows = store.open("sandbox").rows("things")
    rows.put("a", b"x" * (45 * CHUNK_BYTES))  # more chunks than a commit deletes

    rows.put("a", "small")

    assert stored_blobs(store) == []


def test_a_large_value_that_is_replaced_while_it_is_read_is_a_conflict(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_store(), open_store()
    rows = one.open("sandbox").rows("things")
    rows.put("a", LARGE)
    fetch = other.backend.fetch

    def fetch_slowly(*given: Any) -> Any:
        found = fetch(*given)
        if given[1]:
            monkeypatch.setattr(other.backend, "fetch", fetch)
            rows.put("a", LARGE + "new")
        return found

    monkeypatch.setattr(other.backend, "fetch", fetch_slowly)
    partition = other.open("sandbox")
    with pytest.raises(Conflict), partition.transaction:
        partition.rows("things").get("a")

    assert partition.rows("things").get("a") == LARGE + "new"


def test_what_a_process_knows_of_a_sandbox_counts_large_values_as_they_are(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    for number in range(2):
        store.open("sandbox").rows("things").put(str(number), LARGE)
        assert other.open("sandbox").rows("things").get(str(number)) == LARGE

    assert vars(store)["_sizes"]["sandbox"] >= 2 * len(LARGE)
    assert vars(other)["_sizes"]["sandbox"] >= len(LARGE)


def test_what_a_process_knows_of_a_sandbox_counts_files_in_memory(open_store: OpenStore) -> None:
    store = open_store()

    store.open("sandbox").rows("blobs").put("a", Thing("small", Blob.in_memory(LARGE.encode())))

    assert vars(store)["_sizes"]["sandbox"] >= len(LARGE)
