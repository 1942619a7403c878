"""The ledger: the balance is what was given, less what has fallen due, whoever looked at it and when."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mockserver.sandbox.accounts import Account, AccountSpec, Charge
from mockserver.sandbox.batches import IMMEDIATE, Batch, Progression

MakeBatch = Callable[..., Batch]

START = 1_700_000_000.0


def new_account(credits: int = 100) -> Account:
    return Account(AccountSpec("some-token", "a@example.com", credits), START)


MARKERS = ["", "", "[mock:fail]", "[mock:slow=10s]", "[mock:slow=5s][mock:fail=429]", "[mock:hang]"]
PROGRESSIONS = [
    IMMEDIATE,
    Progression("time", 10),
    Progression("time", 0),
    Progression("polls", 1),
    Progression("polls", 3),
]


class Bookkeeping(RuleBasedStateMachine):
    """Any history of an account, beside a clerk who counts every item anew whenever somebody asks."""

    make_batch: MakeBatch

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.batches: dict[str, Batch] = {}
        self.watched, self.unwatched = new_account(), new_account()
        self.given = 100
        self.paid_before: set[tuple[str, int]] = set()

    def due(self) -> set[tuple[str, int]]:
        """The successes that have fallen due, told one by one."""
        return {
            (batch.id, index)
            for batch in self.batches.values()
            for index, text in enumerate(batch.texts())
            if "fail" not in text and batch.due(index) <= self.now
        }

    def expected(self) -> int:
        return self.given - sum(self.batches[id_].price for id_, _ in self.due() - self.paid_before)

    @rule(
        markers=st.lists(st.sampled_from(MARKERS), min_size=1, max_size=6),
        progression=st.sampled_from(PROGRESSIONS),
        archives=st.booleans(),
        price=st.sampled_from([0, 1, 5]),
    )
    def queue(self, markers: list[str], progression: Progression, archives: bool, price: int) -> None:
        id_, texts = str(len(self.batches)), [f"text{marker}" for marker in markers]
        batch = type(self).make_batch(
            id_=id_, texts=texts, created=self.now, progression=progression, archives=archives, price=price
        )
        self.batches[id_] = batch
        self.watched.add_batch(batch)
        self.unwatched.add_batch(batch)

    @rule(seconds=st.sampled_from([0.001, 1.0, 2.0, 8.0, 10.0, 1000.0]))
    def advance(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def read(self, data: Any) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.batches)))
        self.batches[id_] = self.batches[id_].read_at(self.now).with_outcomes()

    @rule(credits=st.integers(-20, 60))
    def set_balance(self, credits: int) -> None:
        self.watched.set_balance(credits, self.batches, self.now)
        self.unwatched.set_balance(credits, self.batches, self.now)
        self.given, self.paid_before = credits, self.due()

    @rule()
    def ask_whether_it_can_pay(self) -> None:
        assert self.watched.can_pay(self.batches, self.now) == (self.expected() > 0)

    @rule()
    def look_at_the_balance(self) -> None:
        assert self.watched.balance(self.batches, self.now) == self.expected()

    @invariant()
    def the_ledger_adds_up(self) -> None:
        entries = list(self.watched.ledger(self.batches, self.now))
        assert sum(entry.credits for entry in entries) == self.expected()
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert entries[0].entry == "opened"
        charged = [(entry.batch, entry.item) for entry in entries if entry.entry == "item"]
        assert sorted(charged) == sorted((id_, index) for id_, index in self.due() if self.batches[id_].price)

    def teardown(self) -> None:
        assert self.unwatched.balance(self.batches, self.now) == self.expected()
        assert self.unwatched.can_pay(self.batches, self.now) == (self.expected() > 0)


def test_the_balance_is_what_a_patient_clerk_counts(make_batch: MakeBatch) -> None:
    class Books(Bookkeeping):
        pass

    Books.make_batch = staticmethod(make_batch)
    Books.TestCase.settings = settings(max_examples=60, stateful_step_count=25, derandomize=True)
    Books.TestCase().runTest()


def test_successes_are_charged_when_they_fall_due(make_batch: MakeBatch) -> None:
    batch = make_batch(
        texts=["plain", "[mock:fail]", "plain", "[mock:hang]"], created=START, progression=Progression("time", 10)
    )
    account, batches = new_account(), {batch.id: batch}
    account.add_batch(batch)

    assert [account.balance(batches, START + age) for age in (0, 1.9, 2, 5.9, 6, 10, 1e12)] == [
        100, 100, 95, 95, 90, 90, 90,
    ]  # fmt: skip


def test_every_charge_is_on_the_ledger_at_its_time(make_batch: MakeBatch) -> None:
    slow = make_batch(id_="slow", texts=["[mock:slow=5s]", "plain"], created=START)
    quick = make_batch(id_="quick", size=1, created=START + 1)
    account, batches = new_account(), {"slow": slow, "quick": quick}
    account.add_batch(slow)
    account.add_batch(quick)
    account.set_balance(50, batches, START + 2)

    assert list(account.ledger(batches, START + 9)) == [
        Charge(START, 100, "opened"),
        Charge(START, -5, "item", "slow", 1),
        Charge(START + 1, -5, "item", "quick", 0),
        Charge(START + 2, -40, "set"),
        Charge(START + 5, -5, "item", "slow", 0),
    ]
    assert account.balance(batches, START + 9) == 45


@pytest.mark.parametrize("looked_before", [True, False])
def test_a_balance_is_what_it_was_set_to_even_where_setting_it_settles_a_batch(
    make_batch: MakeBatch, looked_before: bool
) -> None:
    batch = make_batch(size=2, created=START)
    account, batches = new_account(), {batch.id: batch}
    account.add_batch(batch)
    if looked_before:
        account.balance(batches, START)

    account.set_balance(30, batches, START)

    assert account.balance(batches, START) == 30
    assert account.can_pay(batches, START)


def test_a_balance_set_in_the_instant_of_a_charge_still_adds_up(make_batch: MakeBatch) -> None:
    batch = make_batch(size=2, created=START)
    account, batches = new_account(), {batch.id: batch}
    account.add_batch(batch)
    account.set_balance(30, batches, START)
    later = make_batch(id_="later", created=START)
    batches[later.id] = later
    account.add_batch(later)

    assert account.balance(batches, START) == 25
    assert sum(entry.credits for entry in account.ledger(batches, START)) == 25


def test_what_costs_nothing_is_not_on_the_ledger(make_batch: MakeBatch) -> None:
    batch = make_batch(price=0, created=START)
    account = new_account()

    account.add_batch(batch)

    assert account.batches == []
    assert [entry.entry for entry in account.ledger({batch.id: batch}, START)] == ["opened"]


def test_an_account_can_pay_while_a_credit_is_left(make_batch: MakeBatch) -> None:
    batch = make_batch(size=2, created=START, progression=Progression("time", 10))
    account, batches = new_account(credits=10), {batch.id: batch}
    account.add_batch(batch)

    assert [account.can_pay(batches, START + age) for age in (0, 4, 7.9, 8, 10)] == [True, True, True, False, False]
    assert not new_account(credits=0).can_pay({}, START)
    assert not new_account(credits=-1).can_pay({}, START)
    assert new_account(credits=1).can_pay({}, START)


class Counted(MutableMapping[str, Batch]):
    """Batches that count how often one of them was looked at."""

    def __init__(self, batches: dict[str, Batch]) -> None:
        self.looks = 0
        self._batches = batches

    def __getitem__(self, id_: str) -> Batch:
        self.looks += 1
        return self._batches[id_]

    def __setitem__(self, id_: str, batch: Batch) -> None:
        self._batches[id_] = batch

    def __delitem__(self, id_: str) -> None:
        del self._batches[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


@pytest.mark.parametrize("left", [1, 0])
def test_settled_batches_are_not_looked_at_again(make_batch: MakeBatch, left: int) -> None:
    template = make_batch(size=1, created=START)
    batches = Counted({str(n): template._replace(id=str(n)) for n in range(10_000)})
    account = new_account(credits=50_000 + left)
    for n in range(10_000):
        account.add_batch(template._replace(id=str(n)))

    assert account.balance(batches, START) == left
    assert batches.looks == 10_000

    assert account.can_pay(batches, START) == bool(left)
    assert account.balance(batches, START) == left
    assert batches.looks == 10_000


def test_nothing_is_settled_while_even_the_worst_case_leaves_credits(make_batch: MakeBatch) -> None:
    batch = make_batch(size=1000)
    batches, account = Counted({batch.id: batch}), new_account(credits=5001)
    account.add_batch(batch)

    assert account.can_pay(batches, START)
    assert batches.looks == 0


def test_what_was_settled_is_no_longer_part_of_the_worst_case(make_batch: MakeBatch) -> None:
    done, hung = make_batch(id_="done", size=10), make_batch(id_="hung", texts=["[mock:hang]"])
    batches, account = Counted({"done": done, "hung": hung}), new_account(credits=60)
    account.add_batch(done)
    account.add_batch(hung)
    assert account.balance(batches, START) == 10
    batches.looks = 0

    assert account.can_pay(batches, START)
    assert batches.looks == 0


def test_asking_for_a_balance_reads_a_marked_body_once(make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, readings, read = make_batch(texts=["[mock:fail]"] * 1000), [], Batch.request
    monkeypatch.setattr(Batch, "request", lambda self: readings.append(self) or read(self))  # type: ignore[func-returns-value]  # append gives None, and so the other value counts
    account = new_account()
    account.add_batch(batch)

    assert account.balance({batch.id: batch}, START) == 100
    assert len(readings) == 1
