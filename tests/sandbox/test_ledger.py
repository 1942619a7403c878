"""The ledger: the balance is what was given, less what has fallen due, whoever looked at it and when."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import make_rows
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mockserver.sandbox.accounts import Accounts, AccountSpec, Charge
from mockserver.sandbox.batches import IMMEDIATE, Batch, Progression
from mockserver.stores.memory import MemoryRows

MakeBatch = Callable[..., Batch]

START = 1_700_000_000.0


class Book:
    """One account, in collections of its own."""

    def __init__(self, credits: int = 100) -> None:
        self._rows: dict[str, MemoryRows] = {}
        self.accounts = Accounts({}, collections=self.collection)
        self.batches = self.collection("batches")
        self.looks = 0
        """How often a batch was looked at."""
        read = self.batches.get

        def look(id_: str) -> Any:
            self.looks += 1
            return read(id_)

        self.batches.get = look
        self.accounts.open(AccountSpec("some-token", "a@example.com", credits), START)

    def collection(self, name: str, type_: Any = None) -> Any:
        return self._rows.setdefault(name, make_rows())

    @property
    def account(self) -> Any:
        return self.accounts.with_key("some-token")

    def add(self, *batches: Batch) -> None:
        for batch in batches:
            self.accounts.add_batch(batch)

    def balance(self, now: float) -> int:
        return self.accounts.balance(self.account, now)

    def can_pay(self, now: float) -> bool:
        return self.accounts.can_pay(self.account, now)

    def set_balance(self, credits: int, now: float) -> None:
        self.accounts.set_balance(self.account, credits, now)

    def ledger(self, now: float) -> Iterator[Charge]:
        return self.accounts.ledger(self.account, now)


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
        self.watched, self.unwatched = Book(), Book()
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
        self.watched.add(batch)
        self.unwatched.add(batch)

    @rule(seconds=st.sampled_from([0.001, 1.0, 2.0, 8.0, 10.0, 1000.0]))
    def advance(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def read(self, data: Any) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.batches)))
        self.batches[id_] = self.batches[id_].read_at(self.now).with_outcomes()
        for book in (self.watched, self.unwatched):
            book.accounts.update_batch(self.batches[id_])

    @rule(credits=st.integers(-20, 60))
    def set_balance(self, credits: int) -> None:
        self.watched.set_balance(credits, self.now)
        self.unwatched.set_balance(credits, self.now)
        self.given, self.paid_before = credits, self.due()

    @rule()
    def ask_whether_it_can_pay(self) -> None:
        assert self.watched.can_pay(self.now) == (self.expected() > 0)

    @rule()
    def look_at_the_balance(self) -> None:
        assert self.watched.balance(self.now) == self.expected()

    @invariant()
    def the_ledger_adds_up(self) -> None:
        entries = list(self.watched.ledger(self.now))
        assert sum(entry.credits for entry in entries) == self.expected()
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert entries[0].entry == "opened"
        charged = [(entry.batch, entry.item) for entry in entries if entry.entry == "item"]
        assert sorted(charged) == sorted((id_, index) for id_, index in self.due() if self.batches[id_].price)

    def teardown(self) -> None:
        assert self.unwatched.balance(self.now) == self.expected()
        assert self.unwatched.can_pay(self.now) == (self.expected() > 0)


def test_the_balance_equals_that_of_a_simple_model(make_batch: MakeBatch) -> None:
    class Books(Bookkeeping):
        pass

    Books.make_batch = staticmethod(make_batch)
    Books.TestCase.settings = settings(max_examples=60, stateful_step_count=25, derandomize=True)
    Books.TestCase().runTest()


def test_successful_prompts_are_charged_when_they_finish(make_batch: MakeBatch) -> None:
    batch = make_batch(
        texts=["plain", "[mock:fail]", "plain", "[mock:hang]"], created=START, progression=Progression("time", 10)
    )
    book = Book()
    book.add(batch)

    assert [book.balance(START + age) for age in (0, 1.9, 2, 5.9, 6, 10, 1e12)] == [
        100, 100, 95, 95, 90, 90, 90,
    ]  # fmt: skip


def test_every_charge_is_on_the_ledger_at_its_time(make_batch: MakeBatch) -> None:
    slow = make_batch(id_="slow", texts=["[mock:slow=5s]", "plain"], created=START)
    quick = make_batch(id_="quick", size=1, created=START + 1)
    book = Book()
    book.add(slow)
    book.add(quick)
    book.set_balance(50, START + 2)

    assert list(book.ledger(START + 9)) == [
        Charge(START, 100, "opened"),
        Charge(START, -5, "item", "slow", 1),
        Charge(START + 1, -5, "item", "quick", 0),
        Charge(START + 2, -40, "set"),
        Charge(START + 5, -5, "item", "slow", 0),
    ]
    assert book.balance(START + 9) == 45


@pytest.mark.parametrize("looked_before", [True, False])
def test_a_balance_is_as_set_even_if_a_batch_is_charged_meanwhile(make_batch: MakeBatch, looked_before: bool) -> None:
    batch = make_batch(size=2, created=START)
    book = Book()
    book.add(batch)
    if looked_before:
        book.balance(START)

    book.set_balance(30, START)

    assert book.balance(START) == 30
    assert book.can_pay(START)


def test_a_balance_set_in_the_instant_of_a_charge_still_adds_up(make_batch: MakeBatch) -> None:
    batch = make_batch(size=2, created=START)
    book = Book()
    book.add(batch)
    book.set_balance(30, START)
    later = make_batch(id_="later", created=START)
    book.add(later)

    assert book.balance(START) == 25
    assert sum(entry.credits for entry in book.ledger(START)) == 25


def test_free_calls_are_not_on_the_ledger(make_batch: MakeBatch) -> None:
    batch = make_batch(price=0, created=START)
    book = Book()

    book.add(batch)

    assert [entry.entry for entry in book.ledger(START)] == ["opened"]
    assert book.looks == 0


def test_an_account_can_pay_while_a_credit_is_left(make_batch: MakeBatch) -> None:
    batch = make_batch(size=2, created=START, progression=Progression("time", 10))
    book = Book(credits=10)
    book.add(batch)

    assert [book.can_pay(START + age) for age in (0, 4, 7.9, 8, 10)] == [True, True, True, False, False]
    assert not Book(0).can_pay(START)
    assert not Book(-1).can_pay(START)
    assert Book(1).can_pay(START)


@pytest.mark.parametrize("left", [1, 0])
def test_charged_batches_are_not_read_again(make_batch: MakeBatch, left: int) -> None:
    template = make_batch(size=1, created=START)
    book = Book(50_000 + left)
    for n in range(10_000):
        book.add(template._replace(id=str(n)))

    assert book.balance(START) == left
    assert book.looks == 10_000

    assert book.can_pay(START) == bool(left)
    assert book.balance(START) == left
    assert book.looks == 10_000


def test_batches_are_not_charged_while_the_worst_case_leaves_credits(make_batch: MakeBatch) -> None:
    batch = make_batch(size=1000)
    book = Book(5001)
    book.add(batch)

    assert book.can_pay(START)
    assert book.looks == 0


def test_charged_batches_do_not_count_in_the_worst_case(make_batch: MakeBatch) -> None:
    done, hung = make_batch(id_="done", size=10), make_batch(id_="hung", texts=["[mock:hang]"])
    book = Book(60)
    book.add(done)
    book.add(hung)
    assert book.balance(START) == 10
    book.looks = 0

    assert book.can_pay(START)
    assert book.looks == 0


def test_reading_a_balance_reads_a_marked_body_once(make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, readings, read = make_batch(texts=["[mock:fail]"] * 1000), [], Batch.request
    monkeypatch.setattr(Batch, "request", lambda self: readings.append(self) or read(self))  # type: ignore[func-returns-value]  # append gives None, and so the other value counts
    book = Book()
    book.add(batch)

    assert book.balance(START) == 100
    assert len(readings) == 1


@pytest.mark.parametrize(
    ("before", "at", "looks"), [(0, 3.9, 0), (0, 4, 3), (4, 7.9, 0), (4, 8, 3), (8, 9.9, 0), (8, 10, 3), (10, 99, 0)]
)
def test_the_balance_looks_only_at_batches_of_which_an_item_has_ended(
    make_batch: MakeBatch, before: float, at: float, looks: int
) -> None:
    book = Book()
    for id_ in "abc":
        book.add(make_batch(id_=id_, texts=["one", "two"], created=START, progression=Progression("time", 10)))
    book.balance(START + before)
    book.looks = 0

    book.balance(START + at)

    assert book.looks == looks
