"""The journal in a shared store: its bounds, other processes, and stores of older versions."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
from builders import ask, make_engine
from store_servers import redis_server

from mockserver.engine.engine import Engine
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.shared import journal as shared_journal
from mockserver.sandbox.shared.journal import ENTRIES, TOTALS, Entry, Totals
from mockserver.stores.retry import retried

MakeEngine = Callable[..., Engine]


@pytest.fixture(params=("sqlite", "redis"))
def engines(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[MakeEngine]:
    url = f"sqlite://{tmp_path}/x.db" if request.param == "sqlite" else redis_server().new_url()
    made: list[Engine] = []

    def make(**changes: Any) -> Engine:
        made.append(make_engine(**{"store": url, "journal_size": 5, **changes}))
        return made[-1]

    yield make
    for each in made:
        each.sandboxes.close()


def visit(engine: Engine, *texts: str) -> None:
    for text in texts:
        retried(partial(ask, engine, "GET", "/user", query={"at": text}))


def sandbox_of(engine: Engine) -> Sandbox:
    return engine.sandboxes.open("test")


def texts_of(engine: Engine) -> list[str]:
    """The queries of all recorded requests, after a check that all ways to read the journal agree."""
    journal = sandbox_of(engine).journal
    found = list(journal.find(lambda _: True))
    numbers = [each.number for each in found]
    assert numbers == list(range(journal.dropped + 1, journal.seen + 1))
    assert [each.number for each in journal.latest(journal.seen + 1, 1000)] == numbers[::-1]
    return [each.request.query.removeprefix("at=") for each in found]


def stored(engine: Engine) -> int:
    """The number of entries in the store."""
    return len(sandbox_of(engine).collection(ENTRIES, Entry))


def test_the_oldest_exchanges_are_replaced(engines: MakeEngine) -> None:
    engine = engines()

    visit(engine, *"abcdefghijklm")

    assert texts_of(engine) == [*"ijklm"]
    assert stored(engine) == 5


def test_processes_with_journals_of_several_sizes_show_the_same_exchanges(engines: MakeEngine) -> None:
    small, large = engines(journal_size=3), engines(journal_size=6)
    visit(small, *"abcd")
    visit(large, *"efgh")
    assert texts_of(small) == texts_of(large) == [*"cdefgh"]

    visit(small, "i")
    assert texts_of(small) == texts_of(large) == [*"ghi"]

    visit(large, *"jklmnop")
    assert texts_of(large) == texts_of(small) == [*"klmnop"]
    assert stored(large) == 6


def test_an_exchange_that_is_larger_than_the_journal_is_dropped_with_all_before_it(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_journal, "MAX_BYTES", 2000)
    engine = engines()
    visit(engine, *"abc")

    visit(engine, "x" * 2000)
    assert (texts_of(engine), stored(engine)) == ([], 0)

    visit(engine, "y" * 1500, *"de", "z" * 1000)
    assert texts_of(engine) == [*"de", "z" * 1000]
    assert stored(engine) == 3


def test_a_journal_of_size_0_only_counts(engines: MakeEngine) -> None:
    engine = engines(journal_size=0)

    visit(engine, *"abc")

    assert (texts_of(engine), sandbox_of(engine).journal.seen, stored(engine)) == ([], 3, 0)


def test_what_another_process_has_recorded_is_dropped_in_its_turn(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    visit(one, *"abcde")

    visit(other, *"fgh")

    assert texts_of(one) == [*"defgh"]
    held = sandbox_of(one).journal.held
    assert held == sandbox_of(other).journal.held
    visit(other, *"ijklm")
    assert sandbox_of(other).journal.held == held  # all exchanges have the same size


def test_a_journal_whose_keys_are_numbers_is_read_and_continued(engines: MakeEngine) -> None:
    """As in stores of SQLite format 2 and Redis format 1."""
    engine, later = engines(), engines()
    visit(engine, *"abcdefg")
    sandbox = sandbox_of(engine)
    entries, totals = sandbox.collection(ENTRIES, Entry), sandbox.collection(TOTALS, Totals)
    with sandbox.transaction:
        for key, entry in list(entries.items()):
            entries.delete(key)
            entries.put(str(entry.number), entry)
        known = totals.get("")
        assert known is not None
        totals.put("", known._replace(places=0))

    assert texts_of(later) == [*"cdefg"]
    visit(later, "h")
    assert texts_of(later) == texts_of(engine) == [*"defgh"]
    assert stored(later) == 5


def test_totals_of_older_versions_have_no_number_of_keys() -> None:
    content = msgspec.msgpack.encode((7, 3, 100, {}, 0.0))

    assert msgspec.msgpack.decode(content, type=Totals) == Totals(7, 3, 100, {}, 0.0, places=0)


def test_exchanges_of_a_transaction_that_fails_are_not_recorded(engines: MakeEngine) -> None:
    engine = engines()
    visit(engine, "a")
    sandbox = sandbox_of(engine)
    exchange = next(sandbox.journal.find(lambda _: True))

    with pytest.raises(KeyError), sandbox.transaction:
        sandbox.journal.record(*exchange[1:])
        assert sandbox.journal.seen == 2
        sandbox.journal.record(*exchange[1:])
        raise KeyError

    assert texts_of(engine) == ["a"]
    visit(engine, "b")
    assert texts_of(engine) == [*"ab"]
