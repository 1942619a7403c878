"""Callbacks: each is claimed once, in due order, when its time has come; an outbox can be had again from its values."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.sandbox.batches import Batch, Progression
from mockserver.sandbox.callbacks import MAX_ATTEMPTS, MAX_CLAIMED, Attempt, Callback, Outbox, State
from mockserver.sandbox.clock import LATEST, Clock, ClockConfig
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.stores.memory import MemoryStore

MakeBatch = Callable[..., Batch]
MakeBeginnings = Callable[..., SandboxDefaults]


def note(outbox: Outbox, id_: str, due: float) -> None:
    outbox.note(id_, provider="agentfirst", target="http://127.0.0.1/", base_url="http://here", due=due)


def ids(callbacks: list[Callback]) -> list[str]:
    return [each.id for each in callbacks]


def test_a_callback_is_claimed_when_its_time_has_come_and_never_again() -> None:
    outbox = Outbox()
    note(outbox, "a", 5)

    assert ids(outbox.claim_due(4.999)) == []
    assert ids(outbox.claim_due(5)) == ["a"]
    assert ids(outbox.claim_due(math.inf)) == []
    assert [(each.id, each.state) for each in outbox.every()] == [("a", State.SENDING)]


def test_callbacks_are_claimed_in_due_order_and_of_equal_ones_the_older_first() -> None:
    outbox = Outbox()
    for id_, due in (("late", 9), ("z", 5), ("a", 5), ("early", 1), ("never", math.inf)):
        note(outbox, id_, due)

    assert ids(outbox.every()) == ["early", "z", "a", "late", "never"]
    assert ids(outbox.claim_due(10)) == ["early", "z", "a", "late"]
    assert (list(outbox.pending), outbox.next_due()) == (["never"], math.inf)


@pytest.mark.parametrize("due", [2.0, 20.0])
def test_a_callback_whose_batch_ends_at_another_time_moves_with_it(due: float) -> None:
    outbox = Outbox()
    note(outbox, "a", 10)
    note(outbox, "b", 11)

    outbox.reschedule("a", due)

    assert outbox.next_due() == min(due, 11)
    assert ids(outbox.claim_due(math.inf)) == (["a", "b"] if due < 11 else ["b", "a"])


def test_the_end_of_a_batch_without_a_pending_callback_does_not_matter() -> None:
    outbox = Outbox()
    note(outbox, "a", 1)
    outbox.claim_due(1)

    outbox.reschedule("a", 2)
    outbox.reschedule("stranger", 2)

    assert ids(outbox.claim_due(3)) == []


def test_a_callback_to_be_retried_is_claimed_again_with_its_attempts() -> None:
    outbox = Outbox()
    note(outbox, "a", 1)
    (claimed,) = outbox.claim_due(1)
    outbox.update(claimed.tried(Attempt(1, 500, "no"), State.FAILED))

    outbox.redeliver("a")

    (again,) = outbox.claim_due(1)
    assert (again.id, again.attempts) == ("a", (Attempt(1, 500, "no"),))


def test_an_outbox_drops_the_oldest_finished_callbacks_only() -> None:
    outbox = Outbox()
    for n in range(MAX_CLAIMED + 3):
        note(outbox, str(n), n)
    claimed = outbox.claim_due(math.inf)

    for each in claimed[1:]:
        outbox.update(each._replace(state=State.DELIVERED))
    assert (len(outbox.claimed), outbox.dropped) == (MAX_CLAIMED + 3, 0), "the first is still on its way"
    outbox.update(claimed[0]._replace(state=State.FAILED))

    assert (len(outbox.claimed), outbox.dropped) == (MAX_CLAIMED, 3)
    assert next(iter(outbox.claimed)) == "3"
    outbox.update(claimed[0])
    assert "0" not in outbox.claimed


def test_an_outbox_drops_finished_callbacks_again_after_its_oldest_was_redelivered() -> None:
    outbox = Outbox()
    for n in range(MAX_CLAIMED + 3):
        note(outbox, str(n), n)
    claimed = outbox.claim_due(math.inf)
    outbox.update(claimed[1]._replace(state=State.DELIVERED))
    outbox.redeliver("0")
    outbox.claim_due(math.inf)

    for each in claimed[2:]:
        outbox.update(each._replace(state=State.DELIVERED))

    assert (len(outbox.claimed), outbox.dropped) == (MAX_CLAIMED, 3)
    assert next(iter(outbox.claimed)) == "4"


def test_a_callback_keeps_its_latest_attempts() -> None:
    callback = Callback("a", 1, "agentfirst", "http://127.0.0.1/", "http://here")

    for n in range(MAX_ATTEMPTS + 2):
        callback = callback.tried(Attempt(n, None, "gone"), State.RETRYING)

    assert [each.at for each in callback.attempts] == list(range(2, MAX_ATTEMPTS + 2))


def test_a_reset_removes_callbacks_and_a_sandbox_without_any_has_no_outbox(make_beginnings: MakeBeginnings) -> None:
    sandbox = Sandbox("one", MemoryStore(), make_beginnings())
    outboxes = [sandbox.outbox]
    note(sandbox.open_outbox(), "a", 5)
    assert sandbox.open_outbox() is sandbox.outbox

    sandbox.reset_state()

    assert [*outboxes, sandbox.outbox] == [None, None]


@pytest.mark.parametrize(
    ("scale", "frozen", "instant", "wait"),
    [
        (1.0, False, 1010.0, 10.0),
        (3600.0, False, 4600.0, 1.0),
        (1.0, False, 900.0, 0.0),
        (1.0, True, 1010.0, None),
        (1.0, False, math.inf, None),
        (1.0, False, LATEST + 1, None),
    ],
)
def test_a_clock_converts_sandbox_time_to_real_seconds(
    scale: float, frozen: bool, instant: float, wait: float | None
) -> None:
    clock = Clock(ClockConfig(frozen, 1000.0), wall=lambda: 50.0)
    clock.scale_by(scale)

    assert clock.wait_for(instant) == wait


class Model:
    """A sandbox's batches beside its outbox, as a provider keeps them: what is due follows from the batches alone."""

    def __init__(self, make_batch: MakeBatch) -> None:
        self.make_batch = make_batch
        self.outbox = Outbox()
        self.batches: dict[str, Batch] = {}
        self.now = 0.0
        self.told: list[tuple[float, int, str]] = []
        self.named = 0

    def queue(self, progression: Progression) -> None:
        self.named += 1
        id_ = f"batch-{self.named}"
        self.batches[id_] = self.make_batch(id_=id_, size=2, created=self.now, progression=progression)
        note(self.outbox, id_, self.batches[id_].end())

    def read(self, which: int) -> None:
        if self.batches:
            id_ = sorted(self.batches)[which % len(self.batches)]
            self.batches[id_] = self.batches[id_].read_at(self.now)
            self.outbox.reschedule(id_, self.batches[id_].end())

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def reset(self, _: int) -> None:
        self.outbox, self.batches = Outbox(), {}

    def reload(self, _: int) -> None:
        self.outbox = Outbox(self.outbox.every())

    def claim(self) -> list[tuple[float, int, str]]:
        return [(each.due, each.number, each.id) for each in self.outbox.claim_due(self.now)]


PROGRESSIONS = st.one_of(
    st.just(Progression("immediate")),
    st.builds(Progression, st.just("time"), st.integers(0, 9)),
    st.builds(Progression, st.just("polls"), st.integers(1, 3)),
)
STEPS = st.one_of(
    st.tuples(st.just("queue"), PROGRESSIONS),
    st.tuples(st.just("read"), st.integers(0, 9)),
    st.tuples(st.just("advance"), st.integers(0, 5)),
    st.tuples(st.just("reset"), st.just(0)),
    st.tuples(st.just("reload"), st.just(0)),
)


@given(st.lists(STEPS, max_size=40))
def test_each_batch_is_called_back_once_when_it_ends_and_in_order(
    make_batch: MakeBatch, steps: list[tuple[str, float]]
) -> None:
    model = Model(make_batch)
    told: list[str] = []

    for verb, argument in steps:
        getattr(model, verb)(argument)
        claimed = model.claim()

        assert claimed == sorted(claimed)
        told += [id_ for _, _, id_ in claimed]
        done = {id_ for id_, batch in model.batches.items() if batch.end() <= model.now}
        assert done == set(told) & model.batches.keys()

    assert len(told) == len(set(told))
