"""The parts of shared stores, each by itself: blobs in pieces, retries, bounds, slices, and who is inside."""

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mockserver.errors import Conflict, StoreBusy, StoreUnavailable
from mockserver.http import StoredBytes
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.shared.opening import make_codec
from mockserver.stores import backend as backends
from mockserver.stores import codec as codecs
from mockserver.stores import group, known, partition, retry, shared
from mockserver.stores.codec import AS_BLOB, CHUNK_BYTES, INLINE_BYTES, BlobCodec, BlobContent
from mockserver.stores.collection import FIRST_READ, latest_of
from mockserver.stores.retry import retried
from mockserver.stores.shared import SharedStore
from mockserver.stores.sqlite import commits, upkeep
from mockserver.stores.transaction import Transactional


def test_the_bounds_of_shared_stores() -> None:
    assert (INLINE_BYTES, CHUNK_BYTES) == (16_384, 262_144)
    assert (known.MAX_CACHED, known.KEY_BYTES, known.MAX_COMPLETE) == (4 * 1024**2, 200, 1000)
    assert (partition.MAX_FETCHED, partition.CONTENDED, shared.MAX_TOTAL) == (64, 32, 256 * 1024**2)
    assert (retry.ATTEMPTS, retry.FIRST_WAIT, retry.LONGEST_WAIT) == (200, 0.0002, 0.02)
    assert (backends.GRACE, upkeep.SWEEP_SECONDS, upkeep.WRITE_SECONDS) == (600.0, 30.0, 21_600.0)
    assert (group.PAUSE, FIRST_READ, commits.CHUNKS, commits.COMMIT_BITS) == (0.0001, 64, 20, 32)


# Retries


def conflicts(count: int, result: str = "done") -> Callable[[], str]:
    left = iter(range(count))

    def action() -> str:
        if next(left, None) is not None:
            raise Conflict
        return result

    return action


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=found.append))
    return found


@pytest.mark.parametrize(
    ("count", "pauses"),
    [
        (0, []),
        (1, []),
        (2, [0.0002]),
        (4, [0.0002, 0.0004, 0.0008]),
        (10, [0.0002, 0.0004, 0.0008, 0.0016, 0.0032, 0.0064, 0.0128, 0.02, 0.02]),
    ],
)
def test_an_action_is_run_again_after_a_conflict_with_growing_pauses(
    slept: list[float], count: int, pauses: list[float]
) -> None:
    assert retried(conflicts(count)) == "done"
    assert slept == pytest.approx(pauses)


def test_an_action_is_run_two_hundred_times(slept: list[float]) -> None:
    assert retried(conflicts(199)) == "done"
    with pytest.raises(StoreUnavailable, match=r"^the sandbox is changed all the time by other requests$"):
        retried(conflicts(200))


def test_what_should_not_wait_is_not_run_again(slept: list[float]) -> None:
    runs: list[int] = []

    def action() -> None:
        runs.append(1)
        raise StoreBusy("busy")

    with pytest.raises(StoreBusy):
        retried(action)
    assert (runs, slept) == ([1], [])


# Blobs


class Backend:
    """A backend that has blobs only."""

    def __init__(self) -> None:
        self.blobs: dict[str, list[bytes]] = {}
        self.numbers = iter(range(1, 100))

    def next_number(self) -> int:
        return next(self.numbers)

    def has_blob(self, id_: str) -> bool:
        return id_ in self.blobs

    def write_blob(self, id_: str, chunks: Iterator[bytes]) -> None:
        self.blobs[id_] = list(chunks)

    def read_chunk(self, id_: str, number: int) -> bytes:
        chunks = self.blobs.get(id_, [])
        return chunks[number] if number < len(chunks) else b""


@pytest.fixture
def backend() -> Backend:
    return Backend()


@pytest.fixture
def codec(backend: Backend) -> BlobCodec:
    return make_codec({"blobs": Blob, "texts": str}, cast(Any, backend))


@pytest.mark.parametrize(("size", "is_inline"), [(0, True), (16_384, True), (16_385, False)])
def test_a_small_blob_is_written_with_its_value_and_a_large_one_once(
    codec: BlobCodec, backend: Backend, size: int, is_inline: bool
) -> None:
    content = b"x" * size
    id_ = f"{Blob.in_memory(content).digest().hex()}-{size}"

    found = [codec.encode_with_blobs("blobs", Blob.in_memory(content)) for _ in range(2)]

    assert found[0] == found[1]
    assert found[0][1] == (() if is_inline else (id_,))
    assert list(backend.blobs) == ([] if is_inline else [id_])
    assert codec.decode("blobs", found[0][0]).read() == content
    assert codec.size(*found[0]) == len(found[0][0]) + (0 if is_inline else size)


@pytest.mark.parametrize(("extra", "is_blob"), [(0, False), (1, True)])
def test_a_value_of_more_than_a_chunk_is_stored_as_a_blob_of_its_own(
    codec: BlobCodec, backend: Backend, extra: int, is_blob: bool
) -> None:
    text = "x" * (CHUNK_BYTES - 5 + extra)

    content, blobs = codec.encode_with_blobs("texts", text)

    assert content.startswith(AS_BLOB) is is_blob
    assert blobs == (("own-1",) if is_blob else ())
    assert [len(each) for each in backend.blobs.get("own-1", [])] == ([CHUNK_BYTES, 1] if is_blob else [])
    assert codec.decode("texts", content) == text
    assert codec.size(content, blobs) == CHUNK_BYTES + extra


def test_a_large_value_that_is_gone_meanwhile_is_a_conflict(codec: BlobCodec, backend: Backend) -> None:
    content, _ = codec.encode_with_blobs("texts", "x" * CHUNK_BYTES)
    backend.blobs.clear()

    with pytest.raises(Conflict):
        codec.decode("texts", content)


@pytest.mark.parametrize(
    ("start", "size"),
    [(0, 0), (0, 1), (0, 20), (9, 2), (10, 10), (5, 15), (19, 1), (0, 25), (20, 5)],
)
def test_a_blob_is_read_piece_by_piece(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, start: int, size: int
) -> None:
    monkeypatch.setattr(codecs, "CHUNK_BYTES", 10)
    whole = bytes(range(25))
    backend.blobs["a"] = [whole[:10], whole[10:20], whole[20:]]

    assert BlobContent(backend, "a").read(size, start) == whole[start : start + size]


def test_a_blob_that_ends_too_early_says_where(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "CHUNK_BYTES", 10)
    backend.blobs["a"] = [b"x" * 10]

    with pytest.raises(OSError, match=r"^the stored blob a ends at 10, not at 15$"):
        BlobContent(backend, "a").read(10, 5)


def test_a_blob_that_was_read_is_the_same_object_while_it_is_used(codec: BlobCodec) -> None:
    content, _ = codec.encode_with_blobs("blobs", Blob.in_memory(b"x" * 20_000))

    first, second = codec.decode("blobs", content), codec.decode("blobs", content)

    assert first is second
    assert isinstance(first, StoredBytes)
    assert first.digest() == Blob.in_memory(b"x" * 20_000).digest()


# What is known of all sandboxes


def test_of_all_sandboxes_so_much_is_known_and_the_oldest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MAX_TOTAL", 100)
    forgotten: list[str] = []
    backend: Any = SimpleNamespace()
    store = SharedStore(backend, SimpleNamespace(), lambda: 0.0)  # type: ignore[arg-type]  # it encodes nothing
    for name in "abc":
        store._partitions[name] = SimpleNamespace(forget_if_free=lambda name=name: forgotten.append(name))  # type: ignore[assignment]

    store.note_size("a", 40)
    store.note_size("b", 60)
    assert forgotten == []
    store.note_size("a", 40)  # it is the latest one now
    store.note_size("c", 1)
    assert forgotten == ["b"]
    store.note_size("unknown", 1000)
    store.note_size("c", 60)
    assert forgotten == ["b"]
    store.note_size("c", 61)
    assert forgotten == ["b", "a"]
    store.note_size("c", 1000)

    assert forgotten == ["b", "a"], "the only one is kept"


def test_what_a_released_sandbox_took_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "MAX_TOTAL", 100)
    forgotten: list[str] = []
    dropped: list[str] = []
    backend: Any = SimpleNamespace(drop=dropped.append)
    store = SharedStore(backend, SimpleNamespace(), lambda: 0.0)  # type: ignore[arg-type]  # it encodes nothing
    for name in "abc":
        store._partitions[name] = SimpleNamespace(forget_if_free=lambda name=name: forgotten.append(name))  # type: ignore[assignment]
        store.note_size(name, 33)

    store.release("a")
    store.drop("b")
    store._partitions["d"] = SimpleNamespace(forget_if_free=lambda: forgotten.append("d"))  # type: ignore[assignment]
    store.note_size("d", 67)

    assert (forgotten, dropped) == (["a", "b"], ["b"])


# Statements for several values


@pytest.mark.parametrize("count", [0, 1, 2, 9, 63, 64, 65, 127, 128, 200])
def test_values_are_put_in_slices_of_few_sizes(count: int) -> None:
    values = list(range(count))

    slices = list(commits._slices(values))

    assert [each for part in slices for each in part] == values
    assert {len(part) for part in slices} <= set(commits.SIZES)
    assert [len(part) for part in slices] == sorted((len(part) for part in slices), reverse=True)
    assert len(slices) <= count // 64 + 4


# Who is inside


class Noting(Transactional):
    """Notes what happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.error: Exception | None = None

    def begin(self) -> None:
        self.steps.append("begin")
        if self.error is not None:
            raise self.error

    def commit(self) -> Any:
        self.steps.append("commit")
        return [lambda: self.steps.append(f"after, {'free' if not self.owner else 'inside'}")]

    def roll_back(self) -> None:
        self.steps.append("roll back")


def elsewhere(action: Callable[[], Any]) -> Any:
    """The result of an action in another thread."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(action()))
    thread.start()
    thread.join(30)
    return found[0]


def test_the_outermost_transaction_begins_and_commits() -> None:
    noting = Noting()

    with noting.transaction:
        with noting.transaction:
            assert noting.owner == threading.get_ident()
        assert noting.owner == threading.get_ident()

    assert noting.steps == ["begin", "commit", "after, free"]
    assert noting.owner == 0


def test_an_error_rolls_back_once() -> None:
    noting = Noting()

    with pytest.raises(ZeroDivisionError), noting.transaction, noting.transaction:
        raise ZeroDivisionError

    assert noting.steps == ["begin", "roll back"]
    assert noting.owner == 0


def test_a_transaction_that_cannot_begin_lets_the_next_one_in() -> None:
    noting = Noting()
    noting.error = OSError("away")
    with pytest.raises(OSError, match="away"), noting.transaction:
        pytest.fail("it has begun")
    noting.error = None

    assert noting.steps == ["begin", "roll back"]
    assert not noting.is_busy()
    assert elsewhere(noting.take_if_free)


def test_a_partition_is_busy_for_other_threads_only() -> None:
    noting = Noting()

    with noting.transaction:
        inside = noting.is_busy(), elsewhere(noting.is_busy), elsewhere(noting.resume), elsewhere(noting.take_if_free)
        own = noting.take_if_free()

    assert (inside, own) == ((False, True, False, False), False)
    assert not elsewhere(noting.is_busy)


def test_a_partition_that_is_taken_keeps_transactions_out_until_it_is_given_back() -> None:
    noting = Noting()

    assert noting.take_if_free()
    assert not elsewhere(noting.take_if_free)
    assert not elsewhere(noting.resume)
    noting.give_back()

    assert elsewhere(noting.resume)
    assert noting.steps == []


def test_a_partition_is_entered_again_without_a_beginning() -> None:
    noting = Noting()

    assert noting.resume()
    assert noting.owner == threading.get_ident()
    assert elsewhere(noting.is_busy)
    with noting.transaction:
        pass
    noting.leave()

    assert noting.owner == 0
    assert noting.steps == []


class Rows:
    """A collection that notes which values are read."""

    def __init__(self, count: int) -> None:
        self.values = list(range(count))
        self.reads: list[tuple[int, int]] = []

    def latest(self, start: int, most: int) -> list[int]:
        self.reads.append((start, most))
        return self.values[::-1][start : start + most]


@pytest.mark.parametrize(
    ("count", "reads"),
    [
        (0, [(0, 64)]),
        (63, [(0, 64)]),
        (64, [(0, 64), (64, 128)]),
        (192, [(0, 64), (64, 128), (192, 256)]),
    ],
)
def test_values_in_reverse_order_are_read_in_growing_parts(count: int, reads: list[tuple[int, int]]) -> None:
    rows: Any = Rows(count)

    assert list(latest_of(rows)) == list(range(count))[::-1]
    assert rows.reads == reads
