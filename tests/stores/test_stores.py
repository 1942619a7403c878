"""What every store must do; a new one joins the suite with a line in the table."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import pytest
from encoding_store import EncodingStore
from shared_stores import ENGINES, TYPES

from mockserver.errors import Conflict
from mockserver.stores import Rows, Store, open_store
from mockserver.stores.collection import FIRST_READ, latest_of
from mockserver.stores.memory import MemoryStore

IMPLEMENTATIONS: dict[str, Callable[[], Store]] = {
    "memory": MemoryStore,
    "opened": open_store,
    "encoding": lambda: EncodingStore(TYPES),
}


@pytest.fixture(params=sorted([*IMPLEMENTATIONS, *ENGINES]))
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param in IMPLEMENTATIONS:
        yield IMPLEMENTATIONS[request.param]()
        return
    with ENGINES[request.param]() as open_shared:
        yield open_shared()


@pytest.fixture
def rows(store: Store) -> Rows:
    return store.open("sandbox").rows("things")


def test_a_collection_is_empty_at_first(rows: Rows) -> None:
    assert (len(rows), list(rows.scan()), list(rows.items()), rows.get("id")) == (0, [], [], None)


def test_a_collection_opened_again_holds_what_was_put_there(store: Store, rows: Rows) -> None:
    rows.put("id", "two")

    assert list(store.open("sandbox").rows("things").items()) == [("id", "two")]


def test_two_views_of_a_collection_show_the_same_values(store: Store, rows: Rows) -> None:
    other = store.open("sandbox").rows("things")

    rows.put("id", 1)
    assert other.get("id") == 1

    other.delete("id")
    assert rows.get("id") is None


def test_values_keep_the_order_in_which_their_keys_were_first_put(rows: Rows) -> None:
    for id_ in ("b", "c", "a"):
        rows.put(id_, id_.upper())

    rows.put("b", "again")

    assert list(rows.items()) == [("b", "again"), ("c", "C"), ("a", "A")]
    assert list(rows.scan()) == ["again", "C", "A"]


def test_a_key_that_is_deleted_and_put_again_comes_last(rows: Rows) -> None:
    for id_ in ("a", "b"):
        rows.put(id_, 1)

    rows.delete("a")
    rows.put("a", 3)

    assert [key for key, _ in rows.items()] == ["b", "a"]


def test_a_key_that_is_deleted_and_put_twice_has_the_place_of_the_first(store: Store, rows: Rows) -> None:
    for id_ in ("a", "b"):
        rows.put(id_, 1)
    with store.open("sandbox").transaction:
        rows.delete("a")
        rows.put("a", 2)
        rows.put("c", 2)
        rows.put("a", 3)

        assert list(rows.items()) == [("b", 1), ("a", 3), ("c", 2)]

    assert list(rows.items()) == [("b", 1), ("a", 3), ("c", 2)]
    assert list(rows.latest(0, 9)) == [2, 3, 1]


def test_deleting_an_unknown_key_does_nothing(rows: Rows) -> None:
    rows.put("a", 1)

    rows.delete("b")

    assert len(rows) == 1


def test_a_collection_may_change_while_it_is_scanned(rows: Rows) -> None:
    rows.put("a", 1)
    rows.put("b", 2)

    for key, value in rows.items():
        rows.delete(key)
        rows.put(f"{key}{key}", value)
    for _ in rows.scan():
        rows.put("more", 3)

    assert list(rows.items()) == [("aa", 1), ("bb", 2), ("more", 3)]


def test_collections_of_other_sandboxes_and_names_are_apart(store: Store, rows: Rows) -> None:
    rows.put("id", 1)

    assert len(store.open("two").rows("things")) == 0
    assert len(store.open("sandbox").rows("others")) == 0
    assert len(store.open("sandboxthings").rows("")) == 0


def test_clearing_empties_every_collection_of_one_sandbox_for_all_who_have_it_open(store: Store) -> None:
    opened = [store.open(sandbox).rows(name) for sandbox in ("one", "two") for name in ("things", "others")]
    for rows in opened:
        rows.put("id", 1)

    store.open("one").clear()

    assert [len(rows) for rows in opened] == [0, 0, 1, 1]
    opened[0].put("id", 2)
    assert store.open("one").rows("things").get("id") == 2


def test_dropping_an_unknown_sandbox_does_nothing(store: Store) -> None:
    store.drop("nobody")

    assert len(store.open("nobody").rows("things")) == 0


def test_a_dropped_sandbox_starts_anew_while_its_last_transaction_runs(store: Store) -> None:
    partition = store.open("sandbox")
    things = partition.rows("things")
    things.put("id", 1)

    with suppress(Conflict), partition.transaction:  # a shared store has the transaction run again, in the new sandbox
        store.drop("sandbox")
        thread, inside = begin_elsewhere(store, "sandbox")
        assert inside.wait(10)
        assert things.get("id") == 1
        things.put("late", 1)

    thread.join()
    assert list(store.open("sandbox").rows("things").items()) == []


def test_a_sandbox_is_busy_while_another_thread_is_inside(store: Store) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(store.open("sandbox").is_busy())

    with store.open("sandbox").transaction:
        own = store.open("sandbox").is_busy()
        thread = Thread(target=look)
        thread.start()
        thread.join()

    assert (own, seen, store.open("sandbox").is_busy(), store.open("nobody").is_busy()) == (False, [True], False, False)


def test_transactions_may_be_nested_and_used_again(store: Store) -> None:
    partition = store.open("sandbox")
    rows, transaction = partition.rows("things"), partition.transaction

    for id_ in ("a", "b"):
        with transaction, transaction, store.open("sandbox").transaction:
            rows.put(id_, 1)

    assert [key for key, _ in rows.items()] == ["a", "b"]


def begin_elsewhere(store: Store, sandbox: str) -> tuple[Thread, Event]:
    """Another thread that begins a transaction; the event tells when it is inside."""
    inside = Event()

    def begin() -> None:
        with store.open(sandbox).transaction:
            inside.set()

    thread = Thread(target=begin)
    thread.start()
    return thread, inside


def test_transactions_of_one_sandbox_exclude_each_other(store: Store) -> None:
    with store.open("sandbox").transaction:
        thread, inside = begin_elsewhere(store, "sandbox")
        assert not inside.wait(0.05)

    assert inside.wait(10)
    thread.join()


def test_transactions_of_different_sandboxes_do_not_wait_for_each_other(store: Store) -> None:
    with store.open("one").transaction:
        thread, inside = begin_elsewhere(store, "two")
        assert inside.wait(10)

    thread.join()


def test_a_transaction_that_fails_lets_the_next_one_in(store: Store) -> None:
    with pytest.raises(RuntimeError), store.open("sandbox").transaction:
        raise RuntimeError

    thread, inside = begin_elsewhere(store, "sandbox")

    assert inside.wait(10)
    thread.join()


def test_a_count_kept_by_many_threads_is_right(store: Store) -> None:
    rows = store.open("sandbox").rows("counts")

    def count() -> None:
        for _ in range(200):
            with store.open("sandbox").transaction:
                rows.put("n", (rows.get("n") or 0) + 1)

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows.get("n") == 1600


def test_several_values_are_picked_by_their_keys(rows: Rows) -> None:
    rows.put("a", 1)
    rows.put("b", 2)

    assert list(rows.pick(["b", "none", "a"])) == [2, None, 1]


def test_the_latest_values_come_first(rows: Rows) -> None:
    for n in range(5):
        rows.put(str(n), n)
    rows.put("1", 10)  # it keeps its place

    assert list(rows.latest(0, 2)) == [4, 3]
    assert list(rows.latest(2, 9)) == [2, 10, 0]
    assert list(rows.latest(5, 9)) == []


def test_latest_and_picked_values_are_those_of_the_transaction(store: Store, rows: Rows) -> None:
    rows.put("a", 1)
    rows.put("b", 2)
    with store.open("sandbox").transaction:
        rows.put("c", 3)
        rows.delete("b")

        assert list(rows.latest(0, 9)) == [3, 1]
        assert list(rows.pick(["a", "b", "c"])) == [1, None, 3]


def test_after_the_sandbox_is_emptied_there_are_no_latest_values(store: Store, rows: Rows) -> None:
    rows.put("a", 1)
    with store.open("sandbox").transaction:
        store.open("sandbox").clear()

        assert (list(rows.latest(0, 9)), list(rows.pick(["a"]))) == ([], [None])


def test_all_values_in_reverse_order_are_read_some_at_a_time(rows: Rows) -> None:
    for n in range(3 * FIRST_READ):
        rows.put(str(n), n)

    assert list(latest_of(rows)) == list(reversed(range(3 * FIRST_READ)))
