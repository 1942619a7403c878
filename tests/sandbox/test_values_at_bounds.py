"""A sandbox's values at their bounds: balances of 1, empty journals, instants that are equal."""

from collections.abc import Callable
from typing import Any

import pytest
from builders import make_engine, make_rows

from mockserver.http import Request, Response, Upload
from mockserver.sandbox.accounts import Accounts, AccountSpec
from mockserver.sandbox.batches import Batch, Progression, RecordedJob
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.callbacks import Attempt, Callback, State
from mockserver.sandbox.journal import Journal
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.scenario import read_actions
from mockserver.sandbox.snapshot.export import FORMAT, _at_rest, _check_head
from mockserver.sandbox.snapshot.values import SnapshotError

MakeBatch = Callable[..., Batch]


def make_accounts(rows: dict[str, Any], credits: int = 100) -> Accounts:
    accounts = Accounts({}, collections=lambda name, _: rows.setdefault(name, make_rows()))
    accounts.open(AccountSpec("some-token", "a@example.com", credits), 0.0)
    return accounts


@pytest.mark.parametrize(("credits", "can"), [(-1, False), (0, False), (1, True), (2, True)])
@pytest.mark.parametrize("promises", [False, True])
def test_an_account_can_pay_with_one_credit(make_batch: MakeBatch, credits: int, can: bool, promises: bool) -> None:
    accounts = make_accounts({}, credits)
    if promises:
        accounts.add_batch(make_batch(progression=Progression("polls", 3)))
    account = accounts.with_key("some-token")
    assert account is not None

    assert accounts.can_pay(account, 0.0) is can


@pytest.mark.parametrize("count", [0, 1, 2])
def test_unpaid_batches_that_are_found_in_a_store_are_charged(make_batch: MakeBatch, count: int) -> None:
    rows: dict[str, Any] = {}
    first = make_accounts(rows)
    for n in range(count):
        first.add_batch(make_batch(id_=str(n)))

    found = Accounts({}, collections=lambda name, _: rows[name])
    account = found.with_key("some-token")
    assert account is not None

    assert found.balance(account, 0.0) == 100 - 5 * count


def test_a_form_is_recorded_without_its_file() -> None:
    journal = Journal(5)
    form: dict[str, str | Upload] = {"file": Upload("a", "", Blob.in_memory(b"content"))}
    journal.record(0.0, "op", Request("POST", "/a")._replace(form=form), Response(200), "", ())

    [found] = journal.find(lambda _: True)

    assert (found.request.form, found.request.form_parts) == (None, ())


def test_the_latest_exchanges_come_newest_first_from_a_number_on() -> None:
    journal = Journal(5)
    for _ in range(7):
        journal.record(0.0, "op", Request("GET", "/"), Response(200), "", ())

    def latest(before: int, most: int) -> list[int]:
        return [each.number for each in journal.latest(before, most)]

    assert [latest(99, 9), latest(8, 2), latest(7, 2), latest(4, 9), latest(3, 9), latest(8, 0)] == [
        [7, 6, 5, 4, 3],
        [7, 6],
        [6, 5],
        [3],
        [],
        [],
    ]


@pytest.mark.parametrize(("number", "seconds"), [(0, 0.0), (2, 0.0), (3, 0.3), (7, 0.7), (8, 0.0)])
def test_the_time_of_answering_is_that_of_the_exchange(number: int, seconds: float) -> None:
    journal = Journal(5)
    for n in range(1, 8):
        journal.record(0.0, "op", Request("GET", "/"), Response(200), "", (), n / 10)

    assert journal.seconds(number) == seconds


def test_sandboxes_come_in_pages_also_with_a_text() -> None:
    book = make_engine().sandboxes
    for name in ("apple", "Banana", "cherry", "Date"):
        book.open(name)

    def page(start: int, most: int, text: str = "") -> tuple[list[str], int]:
        found, count = book.page_by_use(start, most, text)
        return [each.name for each in found], count

    assert page(0, 2) == (["Date", "cherry"], 4)
    assert page(2, 9) == (["Banana", "apple"], 4)
    assert page(0, 9, "a") == (["Date", "Banana", "apple"], 3)
    assert page(1, 1, "a") == (["Banana"], 3)
    assert page(4, 1) == ([], 4)


@pytest.mark.parametrize(
    ("kind", "amount", "reads", "now", "state"),
    [
        ("immediate", 0, 0, 0.0, 2),
        ("time", 10, 0, 0.0, 0),
        ("time", 10, 0, 4.9, 0),
        ("time", 10, 0, 5.0, 1),
        ("time", 10, 0, 9.9, 1),
        ("time", 10, 0, 10.0, 2),
        ("polls", 3, 1, 0.0, 0),
        ("polls", 3, 2, 0.0, 1),
        ("polls", 3, 3, 0.0, 2),
    ],
)
def test_a_recorded_job_is_in_the_state_of_its_time(
    kind: str, amount: float, reads: int, now: float, state: int
) -> None:
    job = RecordedJob("op", 0.0, reads, Progression(kind, amount))

    assert job.step([0.0, 30.0, 60.0], now) == state


def test_a_recorded_job_without_times_is_over_at_once() -> None:
    assert RecordedJob("op", 0.0, 0, Progression("time", 10)).step([0.0, 0.0], 1.0) == 1


@pytest.mark.parametrize(
    ("reads", "is_fine"),
    [((5.0, 6.0), True), ((5.0, 5.0), True), ((6.0, 5.0), False), ((4.9,), False), ((5.0, 6.0, 7.0), False)],
)
def test_the_reads_of_a_batch_rise_from_its_creation_and_are_no_more_than_its_polls(
    make_batch: MakeBatch, reads: tuple[float, ...], is_fine: bool
) -> None:
    batch = make_batch(created=5.0, progression=Progression("polls", 2))

    if is_fine:
        assert batch._replace(reads=reads).reads == reads
    else:
        with pytest.raises(ValueError, match="its reads do not rise, or are more than its progression has"):
            batch._replace(reads=reads)


@pytest.mark.parametrize(
    ("at", "has_batch", "until"), [("1970-01-01T00:08:20Z", False, 560), ("1970-01-01T00:33:20Z", True, 2060)]
)
def test_the_end_of_a_scenario_s_stub_counts_from_the_time_that_it_sets(
    make_beginnings: Any, make_batch: MakeBatch, at: str, has_batch: bool, until: float
) -> None:
    box: Sandbox = make_engine(clock="frozen@1970-01-01T00:16:40").sandboxes.open("box")
    if has_batch:
        box.batches.put("b", make_batch(created=1000.0))

    read_actions("some", {"clock": {"at": at}, "stubs": [{"status": 500, "for": 60}]}).apply(box, magic=True)

    assert [each.until for each in box.rules.installed] == [until]


@pytest.mark.parametrize("state", [State.SENDING, State.RETRYING])
def test_a_callback_that_was_being_sent_has_failed_when_it_was_due(state: State) -> None:
    class Kept:
        callbacks = (Callback("a", 1, "p", "t", "u", 5.0, state=state), Callback("b", 2, "p", "t", "u", 6.0))

        def _replace(self, **fields: Any) -> Any:
            return fields["callbacks"]

    kept: Any = Kept()
    changed: Any = _at_rest(kept)  # only its callbacks are read
    first, other = changed

    assert (first.state, [(each.at, each.status) for each in first.attempts]) == (State.FAILED, [(5.0, None)])
    assert isinstance(first.attempts[0], Attempt)
    assert other == Kept.callbacks[1]


def test_an_export_of_another_version_is_refused_with_at_most_100_characters_of_it() -> None:
    head = {"format": FORMAT, "version": "v" * 101, "mockserver": "m" * 101, "sandbox": {}, "blobs": []}

    with pytest.raises(SnapshotError) as refused:
        _check_head(head)

    assert str(refused.value).startswith(f"version: {'v' * 100}, written by mockserver {'m' * 100}; ")
    for version in (1, 5):
        with pytest.raises(SnapshotError, match=r" reads 2 to 4$"):
            _check_head({**head, "version": version})
    for version in (2, 4):
        _check_head({**head, "version": version})
