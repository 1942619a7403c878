"""The sandboxes of a shared store: names, pages, limits, counts and claims, seen from two processes."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import ask, make_engine, queue

from mockserver.engine.engine import Engine
from mockserver.errors import StoreError
from mockserver.sandbox.batches import IMMEDIATE, Progression
from mockserver.sandbox.manager import SandboxesFull
from mockserver.sandbox.record import SandboxOptions
from mockserver.sandbox.shared import manager as shared_manager
from mockserver.sandbox.shared import sandbox as shared_sandbox
from mockserver.sandbox.shared.coverage import SharedCoverage
from mockserver.sandbox.shared.opening import _content, make_codec
from mockserver.stores.retry import retried

MakeEngine = Callable[..., Engine]


@pytest.fixture
def engines(tmp_path: Any) -> Iterator[MakeEngine]:
    made: list[Engine] = []

    def make(**changes: Any) -> Engine:
        made.append(make_engine(**{"store": f"sqlite://{tmp_path}/x.db", **changes}))
        return made[-1]

    yield make
    for each in made:
        each.sandboxes.close()


def use(engine: Engine, *names: str) -> None:
    for name in names:
        retried(lambda name=name: ask(engine, "GET", "/user", token="t", headers={"x-mock-sandbox": name}))  # type: ignore[misc]  # mypy reads no default of a lambda


def names_of(boxes: Any) -> list[str]:
    return [each.name for each in boxes]


def test_sandboxes_come_in_pages_the_most_recently_used_first(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    use(one, "apple", "banana", "cherry")
    use(other, "date", "apple")
    use(one, "banana")
    boxes = other.sandboxes

    assert names_of(boxes.by_use()) == ["banana", "apple", "date", "cherry"]
    assert len(boxes) == 4
    pages = [boxes.page_by_use(start, 2) for start in (0, 2, 4)]
    assert [(names_of(found), count) for found, count in pages] == [
        (["banana", "apple"], 4),
        (["date", "cherry"], 4),
        ([], 4),
    ]


def test_a_page_of_names_that_contain_a_text_counts_all_of_them(engines: MakeEngine) -> None:
    engine = engines()
    use(engine, "apple", "Banana", "cherry", "Date")
    boxes = engine.sandboxes

    def page(start: int, most: int, text: str) -> tuple[list[str], int]:
        found, count = boxes.page_by_use(start, most, text)
        return names_of(found), count

    assert page(0, 9, "an") == (["Banana"], 1)
    assert page(0, 9, "a") == (["Date", "Banana", "apple"], 3)
    assert page(0, 2, "a") == (["Date", "Banana"], 3)
    assert page(1, 1, "a") == (["Banana"], 3)
    assert page(2, 5, "a") == (["apple"], 3)
    assert page(0, 9, "x") == ([], 0)


def test_a_sandbox_that_is_named_by_a_token_is_found_by_its_key_only(engines: MakeEngine) -> None:
    engine = engines()
    ask(engine, "GET", "/user", token="secret")
    key = engine.sandboxes.open("secret").key

    assert engine.sandboxes.page_by_use(0, 9, "secret") == ([], 0)
    found, count = engine.sandboxes.page_by_use(0, 9, key[:6])
    assert (names_of(found), count) == (["secret"], 1)


def test_a_sandbox_is_found_by_name_and_by_key_in_every_process(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    use(one, "box")
    key = one.sandboxes.open("box").key

    for boxes in (one.sandboxes, other.sandboxes):
        for wanted in ("box", key):
            found = boxes.named(wanted)
            assert found is not None
            assert (found.name, found.key) == ("box", key)
        assert boxes.name_of(key) == "box"
        assert (boxes.name_of(None), boxes.name_of("none"), boxes.find("none"), boxes.named("none")) == (None,) * 4
    assert other.sandboxes.open(key).name == "box"
    assert names_of(other.sandboxes.every()) == ["box"]


def test_opening_a_sandbox_again_keeps_the_time_of_its_last_use(engines: MakeEngine) -> None:
    engine = engines()
    use(engine, "box")
    box = engine.sandboxes.named("box")
    assert box is not None
    used = box.used

    assert engine.sandboxes.open("box").used == used > 1_000_000


def test_a_free_name_counts_from_the_number_of_sandboxes(engines: MakeEngine) -> None:
    engine = engines()
    assert engine.sandboxes.unused_name() == "sandbox-1"
    use(engine, "a", "sandbox-3", "sandbox-4")

    assert engine.sandboxes.unused_name() == "sandbox-5"


@pytest.mark.parametrize(("limit", "most"), [(3, 3), (10, 9), (20, 18)])
def test_nine_of_ten_sandboxes_may_be_pinned(engines: MakeEngine, limit: int, most: int) -> None:
    engine = engines(max_sandboxes=limit)
    boxes = engine.sandboxes
    for n in range(most):
        boxes.check_room_to_pin(str(n))
        box = boxes.open(str(n))
        with box.transaction:
            box.is_held = True

    boxes.check_room_to_pin("0")
    with pytest.raises(SandboxesFull) as refused:
        boxes.check_room_to_pin("other")
    assert str(refused.value) == (
        f"{most} of {limit} sandboxes are held, the most that may be: {most} by admin calls, and 0 by callbacks that "
        "are not delivered yet (GET /__admin/sandboxes lists them)"
    )


def test_if_all_are_pinned_none_is_created_and_the_error_says_why(engines: MakeEngine) -> None:
    engine = engines(max_sandboxes=3, callbacks="off")
    for name in ("a", "b"):
        box = engine.sandboxes.open(name)
        with box.transaction:
            box.is_held = True
    waiting = engine.sandboxes.open("c")
    with waiting.transaction:
        waiting.open_outbox().note("id", provider="agentfirst", target="http://a/", base_url="", due=9e9)

    with pytest.raises(SandboxesFull) as refused:
        engine.sandboxes.open("d")

    assert str(refused.value) == (
        "there are 3 sandboxes, and all of them are held: 2 by admin calls, and 1 by callbacks that are not delivered "
        "yet (GET /__admin/sandboxes lists them)"
    )


def test_at_need_a_sandbox_with_a_pending_callback_is_evicted_where_there_are_ten_or_more(engines: MakeEngine) -> None:
    engine = engines(max_sandboxes=10)
    for n in range(10):
        box = engine.sandboxes.open(str(n))
        with box.transaction:
            if n % 2:
                box.is_held = True
            else:
                box.open_outbox().note("id", provider="agentfirst", target="http://a/", base_url="", due=9e9)

    engine.sandboxes.open("new")

    assert sorted(names_of(engine.sandboxes.every())) == sorted([*map(str, range(1, 10)), "new"])
    assert engine.sandboxes.evicted == 1


def test_an_evicted_sandbox_is_told_once_that_it_was_evicted(engines: MakeEngine) -> None:
    told: list[int] = []
    engine = engines(max_sandboxes=2)
    vars(engine.sandboxes)["_when_evicted"] = told.append
    use(engine, "a", "b", "c")

    again = engine.sandboxes.open("a")

    assert again.was_evicted
    assert told == [1, 2]
    assert not engine.sandboxes.open("d").was_evicted
    assert engine.sandboxes.evicted == engines(max_sandboxes=2).sandboxes.evicted == 3


def test_an_idle_sandbox_is_evicted_before_one_with_a_pending_callback_that_was_used_earlier(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_manager, "FIRST_LOOK", 1)
    engine = engines(max_sandboxes=10)
    for n in range(10):
        box = engine.sandboxes.open(str(n))
        with box.transaction:
            if n < 5:
                box.open_outbox().note("id", provider="agentfirst", target="http://a/", base_url="", due=9e9)

    engine.sandboxes.open("new")

    assert sorted(names_of(engine.sandboxes.every())) == ["0", "1", "2", "3", "4", "6", "7", "8", "9", "new"]


def test_no_sandbox_was_evicted_at_first(engines: MakeEngine) -> None:
    assert engines().sandboxes.evicted == 0


def test_a_process_knows_the_values_of_a_bounded_number_of_sandboxes(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_manager, "MAX_HANDLES", 2)
    engine = engines()

    for name in "abcd":
        engine.sandboxes.open(name)
        assert len(vars(engine.sandboxes)["_by_name"]) <= 2
        assert len(vars(engine.sandboxes)["_by_key"]) <= 2

    assert sorted(names_of(engine.sandboxes.every())) == [*"abcd"]
    assert list(vars(engine.sandboxes)["_by_name"]) == ["c", "d"]


def test_totals_count_what_clients_have_created(engines: MakeEngine) -> None:
    engine = engines()
    queue(engine, "one", token="a")
    queue(engine, "one", token="b")
    queue(engine, "two", token="b")

    totals = engine.sandboxes.totals()

    assert totals["batches"] == 3
    assert totals["journal"] == 3
    assert not totals.keys() & {"record", "journal_totals", "callback_leases", "pending", "claimed", ""}
    assert engine.sandboxes.stored_bytes() > 1000


def test_a_sandbox_can_begin_with_its_own_state_and_a_reset_returns_to_it(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    own = SandboxOptions(ids_of="elsewhere")

    made = one.sandboxes.open("box", own)
    with made.transaction:
        made.is_set_up = True

    found = other.sandboxes.open("box")
    with found.transaction:
        assert (found.own, found.is_pinned) == (own, True)


def test_a_reset_in_another_process_returns_to_the_initial_state_too(engines: MakeEngine) -> None:
    own = SandboxOptions(progression=Progression("polls", 7))
    one = engines().sandboxes.open("box", own)
    other = engines().sandboxes.open("box")
    with one.transaction:
        one.is_set_up = True

    def reset() -> Progression:
        with other.transaction:
            other.progression = IMMEDIATE
            other.reset()
            return other.progression

    assert retried(reset) == Progression("polls", 7)


def test_a_sandbox_that_another_process_has_deleted_begins_with_the_settings(engines: MakeEngine) -> None:
    first, second = engines(), engines()
    first.sandboxes.open("box", SandboxOptions(progression=Progression("polls", 7)))
    known = second.sandboxes.open("box")
    with known.transaction:
        assert known.progression == Progression("polls", 7)

    first.sandboxes.delete("box")

    def progression() -> Progression:
        with known.transaction:
            return known.progression

    assert retried(progression) == IMMEDIATE


def test_callbacks_that_one_process_has_noted_are_seen_by_another(engines: MakeEngine) -> None:
    one, other = (engine.sandboxes.open("box") for engine in (engines(), engines()))
    with one.transaction:
        one.open_outbox().note("id", provider="agentfirst", target="http://a/", base_url="", due=9e9)

    other.refresh()  # type: ignore[attr-defined]  # of a shared store

    with other.transaction:
        assert other.outbox is not None
        assert list(other.outbox.pending) == ["id"]


def test_deleting_a_sandbox_in_one_process_gives_the_other_a_new_one(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    id_ = queue(one, "hello")
    assert retried(lambda: ask(other, "GET", "/ai/batches", query={"id": id_})).status == 200

    one.sandboxes.delete("test")

    assert retried(lambda: ask(other, "GET", "/ai/batches", query={"id": id_})).status == 422
    assert len(other.sandboxes) == 1


class Wall:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr(shared_sandbox, "wall_time", lambda: self.now)


def test_work_is_claimed_by_one_process_for_ten_seconds(engines: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall(monkeypatch)
    one, other = (engine.sandboxes.open("box") for engine in (engines(), engines()))

    assert one.claim_work("job")
    assert one.claim_work("job")
    assert not other.claim_work("job")
    assert other.claim_work("another job")
    wall.now += 9.9
    assert not other.claim_work("job")
    wall.now += 0.1
    assert other.claim_work("job")
    assert not one.claim_work("job")


def test_claims_that_are_over_are_forgotten(engines: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall(monkeypatch)
    engine = engines()
    box = engine.sandboxes.open("box")
    for n in range(3):
        assert box.claim_work(f"job {n}")
    wall.now += 10

    assert box.claim_work("last")

    assert list(dict(engine.sandboxes.server.rows("claims").items())) == ["box\nlast"]  # type: ignore[attr-defined]  # of a shared store


def test_a_result_is_computed_once_for_what_it_depends_on(engines: MakeEngine) -> None:
    box = engines().sandboxes.open("box")
    made: list[int] = []

    def compute() -> int:
        made.append(len(made))
        return made[-1]

    with box.transaction:
        assert [box.computed_once("a", (1,), compute) for _ in range(2)] == [0, 0]
        assert box.computed_once("a", (2,), compute) == 1
        assert box.computed_once("b", (2,), compute) == 2
    with box.transaction:
        assert box.computed_once("b", (2,), compute) == 3


def test_a_callback_that_another_process_was_to_send_is_lost_when_its_lease_is_over(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall(monkeypatch)
    box = engines().sandboxes.open("box")
    with box.transaction:
        assert list(box.lost_callbacks()) == []
        outbox = box.open_outbox()
        outbox.note("id", provider="agentfirst", target="http://a/", base_url="", due=0.0)
        outbox.claim_due(1.0)
        box.lease("id", 5.0)
        assert list(box.lost_callbacks()) == []
        wall.now += 4.9
        assert list(box.lost_callbacks()) == []
        wall.now += 0.1
        assert [each.id for each in box.lost_callbacks()] == ["id"]
        box.lease("id", 0)
        assert list(box.lost_callbacks()) == []


def test_a_sandbox_is_due_when_its_next_callback_or_the_end_of_a_lease_is(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = Wall(monkeypatch)
    engine = engines(clock="flowing")
    box = engine.sandboxes.open("box")
    monkeypatch.setattr(box.clock, "_wall", lambda: wall.now)
    with box.transaction:
        box.clock.begin(500.0)
        box.open_outbox().note("id", provider="agentfirst", target="http://a/", base_url="", due=530.0)

    assert names_of(engine.sandboxes.due(wall.now + 29)) == []
    assert names_of(engine.sandboxes.due(wall.now + 31)) == ["box"]
    with box.transaction:
        box.lease("other", 7.0)
    assert names_of(engine.sandboxes.due(wall.now + 6)) == []
    assert names_of(engine.sandboxes.due(wall.now + 8)) == ["box"]


def test_coverage_adds_what_was_counted_since_the_last_time(engines: MakeEngine) -> None:
    one, other = (SharedCoverage(engine.sandboxes.server) for engine in (engines(), engines()))  # type: ignore[attr-defined]  # of a shared store
    met, demanded = {("GET /a b", 200): 3, ("op", 404): 1}, {("op", 404): 1}

    one.publish(met, demanded)
    one.publish(met, demanded)
    assert other.merged({}, {}) == ({("GET /a b", 200): 3, ("op", 404): 1}, {("GET /a b", 200): 0, ("op", 404): 1})
    met["op", 404] = 5
    demanded["op", 404] = 2
    one.publish(met, demanded)
    assert other.merged({("op", 404): 2}, {}) == (
        {("GET /a b", 200): 3, ("op", 404): 7},
        {("GET /a b", 200): 0, ("op", 404): 2},
    )


def test_counts_that_were_cleared_here_are_added_from_zero(engines: MakeEngine) -> None:
    coverage = SharedCoverage(engines().sandboxes.server)  # type: ignore[attr-defined]  # of a shared store

    coverage.publish({("op", 200): 4}, {("op", 200): 3})
    coverage.publish({("op", 200): 2}, {("op", 200): 1})

    assert coverage.merged({("op", 200): 2}, {("op", 200): 1}) == ({("op", 200): 6}, {("op", 200): 4})


def test_counts_that_another_process_has_cleared_are_cleared_here(engines: MakeEngine) -> None:
    one, other = (SharedCoverage(engine.sandboxes.server) for engine in (engines(), engines()))  # type: ignore[attr-defined]  # of a shared store
    met, demanded = {("op", 200): 4}, {("op", 200): 1}
    one.publish(met, demanded)

    for _ in range(2):
        other.clear()

    assert one.merged(met, demanded) == ({}, {})
    assert (met, demanded) == ({}, {})
    met["op", 200] = 1
    assert one.merged(met, demanded) == ({("op", 200): 1}, {("op", 200): 0})
    assert other.merged({}, {}) == ({("op", 200): 1}, {("op", 200): 0})


def test_a_store_of_other_settings_is_refused_unless_it_is_forced(engines: MakeEngine) -> None:
    engines(seed="one")

    with pytest.raises(StoreError) as refused:
        engines(seed="two")

    assert str(refused.value) == (
        "the store was made with other settings: seed. Ids and answers would not fit together; start with the former "
        "settings, or with --store-force"
    )
    engines(seed="two", store_force=True)
    engines(seed="two")
    with pytest.raises(StoreError, match="other settings: seed"):
        engines(seed="one")


def test_only_bodies_are_written_as_content(engines: MakeEngine) -> None:
    backend = vars(engines().sandboxes)["_backend"]

    assert make_codec({"a": int}, backend) is not None
    with pytest.raises(TypeError, match=r"^a set is none of the values that can be written$"):
        _content({1})
