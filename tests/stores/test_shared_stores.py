"""What holds for a store that several processes use: here two stores over one engine."""

from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any, NamedTuple

import pytest
from shared_stores import ENGINES, TYPES, OpenStore

from mockserver.errors import Conflict
from mockserver.http import StoredBytes
from mockserver.sandbox.blobs import Blob
from mockserver.stores import partition as partition_module
from mockserver.stores.backend import Facts
from mockserver.stores.codec import CHUNK_BYTES
from mockserver.stores.known import KEY_BYTES
from mockserver.stores.partition import SharedPartition
from mockserver.stores.retry import retried


class Thing(NamedTuple):
    name: str
    content: StoredBytes


@pytest.fixture(params=sorted(ENGINES))
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    with ENGINES[request.param]({**TYPES, "blobs": Thing}) as opening:
        yield opening


def test_what_one_process_has_committed_another_sees(open_store: OpenStore) -> None:
    one, other = open_store().open("sandbox"), open_store().open("sandbox")
    one.rows("things").put("id", {"a": 1})
    assert other.rows("things").get("id") == {"a": 1}

    one.rows("things").put("id", {"a": 2})
    one.rows("things").put("more", 1)

    assert list(other.rows("things").items()) == [("id", {"a": 2}), ("more", 1)]
    assert len(other.rows("things")) == 2


def test_nothing_of_a_transaction_is_seen_before_its_end(open_store: OpenStore) -> None:
    one, other = open_store().open("sandbox"), open_store().open("sandbox")

    with one.transaction:
        one.rows("things").put("a", 1)
        one.rows("others").put("b", 1)
        assert other.rows("things").get("a") is None

    assert (other.rows("things").get("a"), other.rows("others").get("b")) == (1, 1)


def test_an_exception_rolls_back(open_store: OpenStore) -> None:
    store = open_store()
    rows = store.open("sandbox").rows("things")
    rows.put("a", 1)

    with pytest.raises(RuntimeError), store.open("sandbox").transaction:
        rows.put("a", 2)
        rows.put("b", 2)
        rows.delete("a")
        store.open("sandbox").clear()
        raise RuntimeError

    assert list(rows.items()) == [("a", 1)]


def test_a_transaction_that_read_what_another_process_changed_is_a_conflict(open_store: OpenStore) -> None:
    one, other = open_store().open("sandbox"), open_store().open("sandbox")
    one.rows("counts").put("n", 1)

    with pytest.raises(Conflict), one.transaction:
        count = one.rows("counts").get("n")
        other.rows("counts").put("n", 10)
        one.rows("counts").put("n", count + 1)

    assert one.rows("counts").get("n") == 10


def test_a_transaction_that_only_reads_sees_one_version(open_store: OpenStore) -> None:
    one, other = open_store().open("sandbox"), open_store().open("sandbox")
    one.rows("counts").put("n", 1)

    with pytest.raises(Conflict), one.transaction:
        assert one.rows("counts").get("n") == 1
        other.rows("counts").put("m", 1)
        one.rows("counts").get("m")

    assert one.rows("counts").get("n") == 1
    other.rows("counts").put("n", 2)
    with pytest.raises(Conflict), one.transaction:
        one.rows("counts").get("n")
    assert one.rows("counts").get("n") == 2


def test_counts_of_two_processes_add_up(open_store: OpenStore) -> None:
    def count(store: Any) -> None:
        partition = store.open("sandbox")
        rows = partition.rows("counts")

        def add() -> None:
            with partition.transaction:
                rows.put("n", (rows.get("n") or 0) + 1)

        for _ in range(100):
            retried(add)

    threads = [Thread(target=count, args=(open_store(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert open_store().open("sandbox").rows("counts").get("n") == 300


def test_what_waits_for_the_commit_happens_once_and_not_after_a_conflict(open_store: OpenStore) -> None:
    one, other = open_store().open("sandbox"), open_store().open("sandbox")
    done: list[str] = []

    with one.transaction:
        one.after_commit(lambda: done.append(f"seen: {other.rows('things').get('a')}"))
        one.rows("things").put("a", 1)
    with pytest.raises(Conflict), one.transaction:
        one.after_commit(lambda: done.append("conflict"))
        other.rows("things").put("a", 2)
        one.rows("things").put("a", 3)
    one.after_commit(lambda: done.append("outside"))

    assert done == ["seen: 1", "outside"]


def test_a_sandbox_that_another_process_has_dropped_is_empty(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    one = store.open("sandbox")
    one.rows("things").put("a", 1)
    other.open("sandbox").rows("things").get("a")

    other.drop("sandbox")
    other.open("sandbox").rows("things").put("b", 1)

    assert list(one.rows("things").items()) == [("b", 1)]


def known_keys(partition: SharedPartition) -> int:
    """The keys of which this process knows the value, or that there is none."""
    return sum(len(each.values) for each in vars(partition)["_known"].values())


def test_what_is_known_of_keys_without_a_value_is_bounded(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_module, "MAX_CACHED", 100 * KEY_BYTES)
    partition = open_store().open("sandbox")
    rows, most = partition.rows("things"), 0

    for number in range(300):
        assert rows.get(f"unknown-{number}") is None
        rows.put(f"gone-{number}", 1)
        rows.delete(f"gone-{number}")
        most = max(most, known_keys(partition))

    assert most <= 110


def test_nothing_is_known_of_what_was_deleted_from_a_collection_that_is_known_as_a_whole(open_store: OpenStore) -> None:
    partition = open_store().open("sandbox")
    rows = partition.rows("things")
    for number in range(20):
        assert [key for key, _ in rows.items()] == ([str(number - 1)] if number else [])
        with partition.transaction:
            rows.put(str(number), number)
            rows.delete(str(number - 1))
            assert (rows.get(str(number - 1)), rows.get(str(number))) == (None, number)

    assert known_keys(partition) == 1


def test_nothing_is_counted_of_a_sandbox_that_is_dropped_in_its_transaction(open_store: OpenStore) -> None:
    store = open_store()
    partition = store.open("sandbox")
    partition.rows("things").put("a", 1)

    with suppress(Conflict), partition.transaction:
        store.drop("sandbox")

    assert vars(store)["_sizes"] == {}


def test_the_list_of_sandboxes_has_their_facts(open_store: OpenStore) -> None:
    store = open_store()
    for name in ("one", "two", "\x01hidden"):
        partition = store.open(name)
        partition.facts = lambda name=name: Facts(f"key-{name}", name == "two", 5.5)  # type: ignore[misc]
        partition.rows("things").put("a", 1)

    backend = open_store().backend

    assert [(each.name, each.facts) for each in backend.entries()] == [
        ("one", Facts("key-one", False, 5.5)),
        ("two", Facts("key-two", True, 5.5)),
    ]
    assert backend.size() == 2
    assert [each.name for each in backend.oldest(1)] == ["one"]
    found = [backend.entry(name) for name in ("key-two", "two", "none")]
    assert [each and each.name for each in found] == ["two", "two", None]
    assert backend.drop("one") and not backend.drop("one")
    assert backend.size() == 1


def test_a_large_blob_is_read_in_pieces_by_another_process(open_store: OpenStore) -> None:
    content = bytes(range(256)) * (CHUNK_BYTES // 100)
    rows = open_store().open("sandbox").rows("blobs")
    rows.put("a", Thing("large", Blob.in_memory(content)))
    rows.put("b", Thing("small", Blob.in_memory(b"small")))

    found = open_store().open("sandbox").rows("blobs")

    large = found.get("a").content
    assert (large.size, b"".join(large.chunks()), large.read(CHUNK_BYTES - 3, CHUNK_BYTES + 3)) == (
        len(content),
        content,
        content[CHUNK_BYTES - 3 : CHUNK_BYTES + 3],
    )
    assert found.get("b").content.read() == b"small"


def test_a_download_goes_on_after_its_file_was_deleted(open_store: OpenStore) -> None:
    content = b"x" * (3 * CHUNK_BYTES)
    store = open_store()
    store.open("sandbox").rows("blobs").put("a", Thing("large", Blob.in_memory(content)))
    parts = open_store().open("sandbox").rows("blobs").get("a").content.chunks()
    first = next(parts)

    store.open("sandbox").rows("blobs").delete("a")

    assert first + b"".join(parts) == content
