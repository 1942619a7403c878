"""Sandboxes as a book: how many there may be, who is forgotten, who is kept."""

from collections.abc import Callable
from threading import Event, Thread
from weakref import finalize

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mockserver.sandbox.accounts import facts_of
from mockserver.sandbox.batches import IMMEDIATE, Batch, Progression
from mockserver.sandbox.clock import ClockConfig
from mockserver.sandbox.deferred_free import AT_ONCE, DeferredFree
from mockserver.sandbox.manager import MAX_NAME, SandboxesFull, SandboxManager, shortened_name
from mockserver.sandbox.record import SandboxOptions
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.stores.memory import MemoryStore

MakeBatch = Callable[..., Batch]
MakeBeginnings = Callable[..., SandboxDefaults]


@pytest.fixture
def three(make_beginnings: MakeBeginnings) -> SandboxManager:
    """A book with room for three, which holds `one`, `two` and `three`."""
    book = SandboxManager(MemoryStore(), make_beginnings(), limit=3)
    for name in ("one", "two", "three"):
        book.open(name)
    return book


def names(book: SandboxManager) -> list[str]:
    return [sandbox.name for sandbox in book.by_use()]


def test_beyond_the_limit_the_least_recently_used_sandbox_is_evicted(three: SandboxManager) -> None:
    three.open("one")

    three.open("four")

    assert names(three) == ["four", "one", "three"]
    assert (len(three), three.evicted) == (3, 1)


def test_sandboxes_that_were_idle_for_long_enough_expire(three: SandboxManager) -> None:
    assert three.expire(60, now=1000) == 0
    three.open("one")
    three.open("two").is_held = True

    early, late = three.expire(60, now=1059), three.expire(60, now=1061)

    assert (early, late, names(three), three.evicted) == (0, 1, ["two", "one"], 1)
    assert three.expire(60, now=1118) == 0  # `one` was in use at 1059 at the earliest
    assert three.expire(60, now=1119) == 1
    assert names(three) == ["two"]


def test_an_expired_sandbox_starts_anew_and_says_so(three: SandboxManager) -> None:
    before = three.open("one")
    before.batches.put("id", "batch")  # type: ignore[arg-type]
    three.expire(1, now=1000)
    three.expire(1, now=1001)

    after = three.open("one")

    assert after is not before
    assert (len(after.batches), after.was_evicted) == (0, True)


def test_peeking_does_not_count_as_use(three: SandboxManager) -> None:
    assert three.named("one") is three.peek("one")

    three.open("four")

    assert three.named("one") is None


def test_finding_a_sandbox_by_its_key_counts_as_use(three: SandboxManager) -> None:
    one = three.open("one")
    three.open("two")
    three.open("three")
    assert three.find(one.key) is one

    three.open("four")

    assert names(three) == ["four", "one", "three"]


@pytest.mark.parametrize("why", ["is_held", "is_set_up"])
def test_a_pinned_sandbox_is_never_evicted(three: SandboxManager, why: str) -> None:
    setattr(three.open("one"), why, True)

    for n in range(20):
        three.open(f"more-{n}")

    assert "one" in names(three)


def test_a_busy_sandbox_is_not_evicted(three: SandboxManager) -> None:
    busy = three.open("one")
    three.open("two")
    three.open("three")
    inside, leave = Event(), Event()

    def work() -> None:
        with busy.transaction:
            inside.set()
            leave.wait(10)

    thread = Thread(target=work)
    thread.start()
    inside.wait(10)
    three.open("four")
    leave.set()
    thread.join()

    assert names(three) == ["four", "three", "one"]


def test_if_all_are_pinned_no_sandbox_is_evicted_and_none_created(three: SandboxManager) -> None:
    for sandbox in three.every():
        sandbox.is_held = True

    with pytest.raises(SandboxesFull, match="3 sandboxes, and all of them are held"):
        three.open("four")

    assert (sorted(names(three)), three.evicted) == (["one", "three", "two"], 0)
    assert three.open("two").name == "two"


def test_the_error_says_why_sandboxes_are_pinned(three: SandboxManager) -> None:
    one, two, other = three.every()
    one.is_held = one.is_set_up = two.is_set_up = True
    await_callback(other)

    with pytest.raises(SandboxesFull) as raised:
        three.open("four")

    assert "1 by POST /__admin/sandboxes, 1 by what other admin calls have set in them, and 1 by callbacks" in str(
        raised.value
    )


def await_callback(sandbox: Sandbox) -> None:
    sandbox.open_outbox().note("a", provider="agentfirst", target="http://127.0.0.1/", base_url="http://a", due=1e9)


def make_many(make_beginnings: MakeBeginnings, limit: int) -> SandboxManager:
    book = SandboxManager(MemoryStore(), make_beginnings(), limit=limit)
    for n in range(limit):
        book.open(f"{n}")
    return book


def test_one_place_in_ten_is_reserved_for_unpinned_sandboxes(make_beginnings: MakeBeginnings) -> None:
    book = make_many(make_beginnings, 20)
    for sandbox in book.every()[:18]:
        book.check_room_to_pin(sandbox.name)
        sandbox.is_set_up = True

    book.check_room_to_pin("3")  # is pinned already
    for name in ("19", "new"):
        with pytest.raises(SandboxesFull, match="18 of 20 sandboxes are held, the most that may be: 0 by POST"):
            book.check_room_to_pin(name)
    for n in range(100):
        book.open(f"other {n}")

    assert {f"{n}" for n in range(18)} < set(names(book))
    book.delete("0")
    book.check_room_to_pin("new")


def test_sandboxes_that_wait_for_callbacks_are_evicted_last(make_beginnings: MakeBeginnings) -> None:
    book = make_many(make_beginnings, 20)
    for sandbox in book.every()[:18]:
        sandbox.is_held = True
    for sandbox in book.every()[18:]:
        await_callback(sandbox)

    book.open("new")

    assert "18" not in names(book)
    assert {"17", "19", "new"} < set(names(book))


def test_a_reset_unpins_a_sandbox_that_was_only_set_up(three: SandboxManager) -> None:
    held, set_up = three.open("one"), three.open("two")
    held.is_held = held.is_set_up = set_up.is_set_up = True

    held.reset()
    set_up.reset()

    assert (held.may_be_evicted, set_up.may_be_evicted) == (False, True)


def test_an_evicted_sandbox_that_is_created_again_says_so(three: SandboxManager) -> None:
    one = three.open("one")
    one.progression = Progression("polls", 7)
    for name in ("two", "three", "four"):
        three.open(name)

    back = three.open("one")

    assert (back.was_evicted, back is one, back.progression) == (True, False, IMMEDIATE)
    assert (back.key, three.open("four").was_evicted) == (one.key, False)


def test_at_most_as_many_evicted_names_are_remembered_as_sandboxes_allowed(three: SandboxManager) -> None:
    for n in range(20):
        three.open(f"more-{n}")

    assert not three.open("more-1").was_evicted
    assert three.open("more-16").was_evicted


def test_each_eviction_is_reported(make_beginnings: MakeBeginnings) -> None:
    told: list[int] = []
    book = SandboxManager(MemoryStore(), make_beginnings(), limit=2, when_evicted=told.append)

    for n in range(5):
        book.open(str(n))

    assert told == [1, 2, 3]


def test_a_deleted_sandbox_starts_anew_with_the_same_key(three: SandboxManager, make_batch: MakeBatch) -> None:
    one = three.open("one")
    one.batches.put("some-batch", make_batch())
    first = one.next_id("queueBatch", b"{}")

    assert three.delete("one") is one
    assert (three.delete("one"), three.find(one.key), len(three)) == (None, None, 2)

    again = three.open("one")
    assert (list(again.batches.scan()), again.was_evicted) == ([], False)
    assert again.next_id("queueBatch", b"{}") == first
    assert three.find(one.key) is again


def test_a_request_in_a_sandbox_that_is_deleted_finishes_and_affects_no_other(
    three: SandboxManager, make_batch: MakeBatch
) -> None:
    old = three.open("one")
    old.batches.put("some-batch", make_batch())

    with old.transaction:
        three.delete("one")
        new = three.open("one")
        new.batches.put("new", make_batch(id_="new"))
        assert [id_ for id_, _ in old.batches.items()] == ["some-batch"]
        old.reset()

    assert ([*old.batches.items()], [id_ for id_, _ in new.batches.items()]) == ([], ["new"])


def test_peeking_at_an_unknown_sandbox_creates_none(three: SandboxManager) -> None:
    seen = three.peek("four")
    seen.reset_state()

    assert (seen.name, seen.clock.now(), len(three), three.named("four")) == ("four", 1000, 3, None)
    assert seen.key == three.open("four").key


def test_a_sandbox_with_an_initial_state_returns_to_it(make_beginnings: MakeBeginnings) -> None:
    own = SandboxOptions(
        ClockConfig(True, 5.0, 60.0), Progression("polls", 2), (facts_of("vip", "vip@example.com", 3),)
    )
    beginnings = make_beginnings()._replace(closed={"api": frozenset()})
    sandbox = SandboxManager(MemoryStore(), beginnings).open("mine", own)

    for _ in range(2):
        assert (sandbox.clock.now(), sandbox.clock.scale, sandbox.progression) == (5, 60, Progression("polls", 2))
        vip = sandbox.accounts.find("vip", 5, magic=True, provider="api")
        assert vip is not None
        assert sandbox.accounts.balance(vip, 5) == 3
        assert sandbox.accounts.find("other", 5, magic=True, provider="api") is None
        sandbox.clock.advance(100)
        sandbox.progression = IMMEDIATE
        sandbox.reset()


def test_a_free_name_is_the_same_on_every_run(three: SandboxManager) -> None:
    assert three.unused_name() == "sandbox-4"
    three.open("sandbox-4")
    three.delete("one")
    assert three.unused_name() == "sandbox-5"


def test_a_long_name_is_shortened_and_stays_unique() -> None:
    name = "x" * 500

    assert shortened_name("x" * MAX_NAME) == "x" * MAX_NAME
    assert len(shortened_name(name)) == MAX_NAME
    assert shortened_name(name) == shortened_name("x" * 500) != shortened_name("x" * 501)


class Value:
    """Something that a weak reference can point at."""


@pytest.mark.parametrize("count", [1, AT_ONCE, AT_ONCE + 1, 20_000])
def test_deleted_state_of_any_size_is_freed(count: int) -> None:
    freeing, freed = DeferredFree(), Event()
    value = Value()
    finalize(value, freed.set)
    freeing.add([value, *range(count - 1)])

    del value

    assert freed.wait(10)


def test_state_deleted_while_other_state_is_freed_is_freed_too() -> None:
    freeing, events = DeferredFree(), [Event() for _ in range(50)]
    for event in events:
        value = Value()
        finalize(value, event.set)
        freeing.add(dict.fromkeys(range(1000), value))
        del value

    assert all(event.wait(10) for event in events)


class Book(RuleBasedStateMachine):
    """Sandboxes against a small model: names in the order of use, with how many batches were queued in each."""

    LIMIT = 4
    NAMES = st.sampled_from("abcdefgh")
    make_batch: MakeBatch
    beginnings: SandboxDefaults

    def __init__(self) -> None:
        super().__init__()
        self.book = SandboxManager(MemoryStore(), self.beginnings, limit=self.LIMIT)
        self.batches: dict[str, int] = {}
        self.clocks: dict[str, float] = {}
        self.held: set[str] = set()
        self.forgotten: set[str] = set()
        self.ids: dict[tuple[str, int], str] = {}

    def opened(self, name: str) -> bool:
        """Whether the model lets the sandbox be opened; it is the last used then."""
        if name not in self.batches and len(self.batches) == self.LIMIT:
            idle = next((each for each in self.batches if each not in self.held), None)
            if idle is None:
                with pytest.raises(SandboxesFull):
                    self.book.open(name)
                return False
            self.gone(idle)
            self.forgotten.add(idle)
        self.batches[name] = self.batches.pop(name, 0)
        self.clocks.setdefault(name, 1000.0)
        assert self.book.open(name).was_evicted == (name in self.forgotten)
        return True

    def gone(self, name: str) -> None:
        self.clocks.pop(name)
        self.batches.pop(name)
        self.held.discard(name)

    @rule(name=NAMES)
    def queue(self, name: str) -> None:
        if self.opened(name):
            sandbox = self.book.open(name)
            sandbox.was_evicted = False
            self.forgotten.discard(name)
            id_ = sandbox.next_id("queueBatch", b"{}")
            number = self.batches[name]
            assert self.ids.setdefault((name, number), id_) == id_, "the n-th id is always the same"
            sandbox.batches.put(id_, self.make_batch(id_=id_))
            self.batches[name] += 1

    @rule(name=NAMES, seconds=st.integers(0, 9))
    def advance(self, name: str, seconds: int) -> None:
        if self.opened(name):
            self.book.open(name).clock.advance(seconds)
            self.clocks[name] += seconds

    @rule(name=NAMES)
    def hold(self, name: str) -> None:
        if self.opened(name):
            self.book.open(name).is_held = True
            self.held.add(name)

    @rule(name=NAMES)
    def reset(self, name: str) -> None:
        if self.opened(name):
            self.book.open(name).reset()
            self.batches[name], self.clocks[name] = 0, 1000.0

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        assert (self.book.delete(name) is not None) == (name in self.batches)
        if name in self.batches:
            self.gone(name)
            self.forgotten.discard(name)

    @invariant()
    def agrees(self) -> None:
        every = self.book.by_use()
        assert [each.name for each in every] == list(self.batches)[::-1]
        assert {each.name: len(each.batches) for each in every} == self.batches
        assert {each.name: each.clock.now() for each in every} == self.clocks
        assert all(self.book.peek(each.name) is each for each in every)
        assert len(set(self.ids.values())) == len(self.ids)


def test_sandboxes_behave_like_a_simple_model(make_batch: MakeBatch, make_beginnings: MakeBeginnings) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    made = type("Made", (Book,), {"make_batch": staticmethod(make_batch), "beginnings": make_beginnings()})

    run_state_machine_as_test(made, settings=settings(max_examples=40, stateful_step_count=30))
