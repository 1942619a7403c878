"""Sandboxes: each is a whole world, and becomes a new one when it is reset."""

from collections.abc import Callable

import pytest

from mockserver.providers.agentfirst.answer_versions import AnswerVersions
from mockserver.sandbox.batches import IMMEDIATE, Batch, Progression
from mockserver.sandbox.clock import DAY
from mockserver.sandbox.journal import Journal
from mockserver.sandbox.manager import SandboxManager
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.stores.memory import MemoryRows, MemoryStore

MakeBatch = Callable[..., Batch]
MakeBeginnings = Callable[..., SandboxDefaults]
Note = Callable[[Journal], None]


def live_in(sandbox: Sandbox, batch: Batch, note: Note) -> str:
    """Leave a trace in every part of the sandbox; the id it gave."""
    assert sandbox.accounts.find("some-token", sandbox.clock.now(), magic=True) is not None
    sandbox.accounts.add_batch(batch)
    note(sandbox.journal)
    sandbox.clock.advance(3 * DAY)
    sandbox.progression = Progression("polls", 3)
    AnswerVersions(sandbox).version(b"q", sandbox.clock.now(), lambda _: [b"q"])
    return sandbox.next_id("queueBatch", b"{}")


@pytest.fixture
def sandboxes(make_beginnings: MakeBeginnings) -> SandboxManager:
    return SandboxManager(MemoryStore(), make_beginnings())


def test_a_new_sandbox_has_the_default_state(sandboxes: SandboxManager) -> None:
    sandbox = sandboxes.open("one")

    assert (sandbox.name, sandbox.clock.now(), sandbox.clock.is_frozen) == ("one", 1000, True)
    assert (sandbox.progression, list(sandbox.batches.scan()), sandbox.accounts.every()) == (IMMEDIATE, [], [])
    assert sandbox.journal.seen == 0


def test_a_name_always_opens_the_same_sandbox(sandboxes: SandboxManager) -> None:
    assert sandboxes.open("one") is sandboxes.open("one")
    assert sandboxes.open("one") is not sandboxes.open("two")


def test_sandboxes_are_isolated(sandboxes: SandboxManager, make_batch: MakeBatch, note: Note) -> None:
    one, two = sandboxes.open("one"), sandboxes.open("two")

    id_ = live_in(one, make_batch(), note)

    assert (list(two.batches.scan()), two.accounts.every(), two.journal.seen) == ([], [], 0)
    assert (two.clock.now(), two.progression) == (1000, IMMEDIATE)
    assert two.next_id("queueBatch", b"{}") != id_


def test_resetting_one_sandbox_does_not_affect_another(
    sandboxes: SandboxManager, make_batch: MakeBatch, note: Note
) -> None:
    one, two = sandboxes.open("one"), sandboxes.open("two")
    live_in(two, make_batch(), note)

    one.reset()

    assert (len(two.batches), len(two.accounts.every()), two.journal.seen) == (1, 1, 1)
    assert (two.clock.now(), two.progression) == (1000 + 3 * DAY, Progression("polls", 3))


def test_after_a_reset_the_same_requests_give_the_same_responses(
    sandboxes: SandboxManager, make_batch: MakeBatch, note: Note
) -> None:
    sandbox = sandboxes.open("one")
    first = live_in(sandbox, make_batch(), note)

    sandbox.reset()

    assert (list(sandbox.batches.scan()), sandbox.accounts.every(), sandbox.journal.seen) == ([], [], 0)
    assert (sandbox.clock.now(), sandbox.clock.is_frozen, sandbox.progression) == (1000, True, IMMEDIATE)
    assert live_in(sandbox, make_batch(), note) == first


def test_resetting_the_state_keeps_journal_clock_and_progression(
    sandboxes: SandboxManager, make_batch: MakeBatch, note: Note
) -> None:
    sandbox = sandboxes.open("one")
    first = live_in(sandbox, make_batch(), note)

    sandbox.reset_state()

    assert (list(sandbox.batches.scan()), sandbox.accounts.every()) == ([], [])
    assert sandbox.next_id("queueBatch", b"{}") == first
    assert (sandbox.journal.seen, sandbox.clock.now()) == (1, 1000 + 3 * DAY)
    assert sandbox.progression == Progression("polls", 3)


def test_resetting_the_state_resets_completion_versions(sandboxes: SandboxManager, make_batch: MakeBatch) -> None:
    sandbox = sandboxes.open("one")
    sandbox.clock.advance(9 * DAY)

    def edition(*created: float) -> int:
        for at in created:
            sandbox.batches.put(str(at), make_batch(id_=str(at), created=at))
        return AnswerVersions(sandbox).version(b"q", max(created), lambda _: [b"q"])

    assert edition(1000, 1000 + 2 * DAY, 1000 + 4 * DAY) == 2
    sandbox.reset_state()
    assert edition(1000 + 5 * DAY) == 0


def test_resetting_the_progression_keeps_everything_else(
    sandboxes: SandboxManager, make_batch: MakeBatch, note: Note
) -> None:
    sandbox = sandboxes.open("one")
    live_in(sandbox, make_batch(), note)

    sandbox.reset_progression()

    assert (sandbox.progression, len(sandbox.batches), sandbox.journal.seen) == (IMMEDIATE, 1, 1)
    assert sandbox.clock.now() == 1000 + 3 * DAY


def test_a_key_finds_its_sandbox_and_hides_its_name(sandboxes: SandboxManager) -> None:
    sandbox = sandboxes.open("my-secret-token")

    assert sandboxes.find(sandbox.key) is sandbox
    assert len(sandbox.key) == 16
    assert set(sandbox.key) <= set("0123456789abcdef")
    assert b"my-secret-token".hex()[:16] != sandbox.key


def test_an_unknown_key_finds_no_sandbox(sandboxes: SandboxManager, make_beginnings: MakeBeginnings) -> None:
    elsewhere = SandboxManager(MemoryStore(), make_beginnings()).open("one")

    assert sandboxes.find(elsewhere.key) is None
    assert sandboxes.find("one") is None


def test_keys_are_the_same_on_every_start_and_differ_by_name_and_seed(make_beginnings: MakeBeginnings) -> None:
    def key(name: str, seed: str) -> str:
        return SandboxManager(MemoryStore(), make_beginnings(seed=seed)).open(name).key

    assert key("one", "seed") == key("one", "seed")
    assert len({key("one", "seed"), key("two", "seed"), key("one", "other")}) == 3


def test_inside_a_transaction_another_one_may_begin(sandboxes: SandboxManager) -> None:
    sandbox = sandboxes.open("one")

    with sandbox.transaction, sandbox.transaction:
        sandbox.reset()

    assert list(sandbox.batches.scan()) == []


def test_a_clock_with_batches_cannot_be_reset(sandboxes: SandboxManager, make_batch: MakeBatch) -> None:
    sandbox = sandboxes.open("mine")
    sandbox.batches.put("some-batch", make_batch())

    with pytest.raises(ValueError, match="reset the state first"):
        sandbox.reset_clock()

    sandbox.reset_state()
    sandbox.clock.advance(10)
    sandbox.reset_clock()
    assert sandbox.clock.now() == sandbox.clock.born


def test_a_collection_may_be_opened_while_another_thread_looks_at_all(
    sandboxes: SandboxManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a length is read, a collection is opened, as another thread may do at any moment."""
    sandbox = sandboxes.open("one")
    largest = sandbox.largest_collection
    count_rows = MemoryRows.__len__

    def count_and_open(rows: MemoryRows) -> int:
        sandbox.collection(f"collection-{len(sandbox.collections())}", str)
        return count_rows(rows)

    monkeypatch.setattr(MemoryRows, "__len__", count_and_open)

    assert sandbox.largest_collection == largest
    assert set(sandbox.lengths().values()) == {0}
    sandbox.detach()
