"""What every store must do; a new one joins the suite with a line in the table."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest

from mockserver.stores import Store, open_store
from mockserver.stores.memory import MemoryStore

IMPLEMENTATIONS: dict[str, Callable[[], Store]] = {"memory": MemoryStore, "opened": open_store}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
def store(request: pytest.FixtureRequest) -> Store:
    return IMPLEMENTATIONS[request.param]()


def test_a_shelf_is_empty_at_first(store: Store) -> None:
    shelf = store.collection("sandbox", "things")

    assert (len(shelf), list(shelf), shelf.get("id")) == (0, [], None)
    assert "id" not in shelf
    with pytest.raises(KeyError):
        shelf["id"]


def test_a_shelf_opened_again_holds_what_was_put_there(store: Store) -> None:
    store.collection("sandbox", "things")["id"] = (1, "two")

    assert dict(store.collection("sandbox", "things")) == {"id": (1, "two")}


def test_two_views_of_a_shelf_show_the_same_documents(store: Store) -> None:
    one, other = store.collection("sandbox", "things"), store.collection("sandbox", "things")

    one["id"] = 1
    assert other["id"] == 1

    del other["id"]
    assert "id" not in one


def test_documents_keep_the_order_in_which_their_keys_were_first_put(store: Store) -> None:
    shelf = store.collection("sandbox", "things")
    for id_ in ("b", "c", "a"):
        shelf[id_] = id_.upper()

    shelf["b"] = "again"

    assert list(shelf.items()) == [("b", "again"), ("c", "C"), ("a", "A")]
    assert list(shelf.values()) == ["again", "C", "A"]


def test_a_key_that_was_removed_and_put_again_comes_last(store: Store) -> None:
    shelf = store.collection("sandbox", "things")
    shelf.update(a=1, b=2)

    assert shelf.pop("a") == 1
    shelf["a"] = 3

    assert list(shelf) == ["b", "a"]


def test_shelves_of_other_sandboxes_and_collections_are_apart(store: Store) -> None:
    store.collection("one", "things")["id"] = 1

    assert len(store.collection("two", "things")) == 0
    assert len(store.collection("one", "others")) == 0
    assert len(store.collection("onethings", "")) == 0


def test_taking_shelves_away_empties_every_shelf_of_one_sandbox(store: Store) -> None:
    for sandbox in ("one", "two"):
        for collection in ("things", "others"):
            store.collection(sandbox, collection)["id"] = 1

    store.pop_collections("one")

    assert [len(store.collection("one", collection)) for collection in ("things", "others")] == [0, 0]
    assert [len(store.collection("two", collection)) for collection in ("things", "others")] == [1, 1]


def test_what_is_put_on_a_shelf_that_was_taken_away_is_not_found_again(store: Store) -> None:
    shelf = store.collection("sandbox", "things")

    store.pop_collections("sandbox")
    shelf["late"] = 1

    assert dict(store.collection("sandbox", "things")) == {}


@pytest.mark.parametrize("forget", [Store.pop_collections, Store.forget])
def test_forgetting_a_sandbox_nobody_opened_does_nothing(store: Store, forget: Callable[[Store, str], Any]) -> None:
    getattr(store, forget.__name__)("nobody")

    assert len(store.collection("nobody", "things")) == 0


def test_the_shelves_of_a_sandbox_are_those_that_were_opened(store: Store) -> None:
    assert dict(store.shelves("sandbox")) == {}

    store.collection("sandbox", "things")["id"] = 1
    store.collection("sandbox", "others")
    store.collection("two", "more")

    assert {name: dict(shelf) for name, shelf in store.shelves("sandbox").items()} == {
        "things": {"id": 1},
        "others": {},
    }


def test_a_sandbox_that_was_dropped_begins_anew_while_its_last_transaction_runs(store: Store) -> None:
    store.collection("sandbox", "things")["id"] = 1

    with store.transaction("sandbox"):
        store.forget("sandbox")
        thread, inside = begin_elsewhere(store, "sandbox")
        assert inside.wait(10)

    thread.join()
    assert dict(store.collection("sandbox", "things")) == {}


def test_a_sandbox_is_busy_while_another_thread_is_inside(store: Store) -> None:
    seen: list[bool] = []

    def look() -> None:
        seen.append(store.is_busy("sandbox"))

    with store.transaction("sandbox"):
        own = store.is_busy("sandbox")
        thread = Thread(target=look)
        thread.start()
        thread.join()

    assert (own, seen, store.is_busy("sandbox"), store.is_busy("nobody")) == (False, [True], False, False)


def test_transactions_may_be_nested_and_used_again(store: Store) -> None:
    shelf, transaction = store.collection("sandbox", "things"), store.transaction("sandbox")

    for id_ in ("a", "b"):
        with transaction, transaction, store.transaction("sandbox"):
            shelf[id_] = 1

    assert list(shelf) == ["a", "b"]


def begin_elsewhere(store: Store, sandbox: str) -> tuple[Thread, Event]:
    """Another thread that begins a transaction; the event tells when it is inside."""
    inside = Event()

    def begin() -> None:
        with store.transaction(sandbox):
            inside.set()

    thread = Thread(target=begin)
    thread.start()
    return thread, inside


def test_transactions_of_one_sandbox_exclude_each_other(store: Store) -> None:
    with store.transaction("sandbox"):
        thread, inside = begin_elsewhere(store, "sandbox")
        assert not inside.wait(0.05)

    assert inside.wait(10)
    thread.join()


def test_transactions_of_different_sandboxes_do_not_wait_for_each_other(store: Store) -> None:
    with store.transaction("one"):
        thread, inside = begin_elsewhere(store, "two")
        assert inside.wait(10)

    thread.join()


def test_a_transaction_that_fails_lets_the_next_one_in(store: Store) -> None:
    with pytest.raises(RuntimeError), store.transaction("sandbox"):
        raise RuntimeError

    thread, inside = begin_elsewhere(store, "sandbox")

    assert inside.wait(10)
    thread.join()


def test_a_count_kept_by_many_threads_is_right(store: Store) -> None:
    shelf: Any = store.collection("sandbox", "counts")

    def count() -> None:
        for _ in range(200):
            with store.transaction("sandbox"):
                shelf["n"] = shelf.get("n", 0) + 1

    threads = [Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert shelf["n"] == 1600
