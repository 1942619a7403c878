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
from mockserver.sandbox.shared.journal import BLOCK, BLOCKS, ENTRIES, RECENT, TOTALS, Block, Entry, Totals
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
    """The number of exchanges in the store, after a check that few of them are dropped ones."""
    sandbox = sandbox_of(engine)
    blocks = [*sandbox.collection(BLOCKS, Block).scan(), *sandbox.collection(RECENT, Block).scan()]
    numbers = [number for each in blocks for number, content in enumerate(each.contents, each.first) if content]
    numbers += [each.number for each in sandbox.collection(ENTRIES, Entry).scan()]
    found = [each for each in numbers if each > sandbox.journal.dropped]
    assert len(numbers) - len(found) < 3 * BLOCK
    return len(found)


@pytest.fixture(params=(True, False))
def are_small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether exchanges are in blocks."""
    if not request.param:
        monkeypatch.setattr(shared_journal, "SMALL_BYTES", 0)
    return bool(request.param)


@pytest.mark.usefixtures("are_small")
def test_the_oldest_exchanges_are_replaced(engines: MakeEngine) -> None:
    engine = engines()

    visit(engine, *"abcdefghijklm")

    assert texts_of(engine) == [*"ijklm"]
    assert stored(engine) == 5


@pytest.mark.usefixtures("are_small")
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


@pytest.mark.usefixtures("are_small")
def test_what_another_process_has_recorded_is_dropped_in_its_turn(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    visit(one, *"abcde")

    visit(other, *"fgh")

    assert texts_of(one) == [*"defgh"]
    held = sandbox_of(one).journal.held
    assert held == sandbox_of(other).journal.held
    visit(other, *"ijklm")
    assert sandbox_of(other).journal.held == held  # all exchanges have the same size


@pytest.mark.parametrize("places", [0, 5])
def test_a_journal_with_a_value_for_each_exchange_is_read_and_continued(
    engines: MakeEngine, places: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in stores of SQLite format 2 and Redis format 1, whose keys are numbers, and of 4 and 3."""
    engine, later = engines(), engines()
    with monkeypatch.context() as patched:
        patched.setattr(shared_journal, "SMALL_BYTES", 0)
        visit(engine, *"abcdefg")
    sandbox = sandbox_of(engine)
    entries, totals = sandbox.collection(ENTRIES, Entry), sandbox.collection(TOTALS, Totals)
    with sandbox.transaction:
        for key, entry in list(entries.items()):
            entries.delete(key)
            entries.put(str(entry.number % places if places else entry.number), entry)
        for collection in (BLOCKS, RECENT):
            for key, _ in list(sandbox.collection(collection, Block).items()):
                sandbox.collection(collection, Block).delete(key)
        known = totals.get("")
        assert known is not None
        totals.put("", known._replace(places=places, blocks=0))

    assert texts_of(later) == [*"cdefg"]
    visit(later, "h")
    assert texts_of(later) == texts_of(engine) == [*"defgh"]
    assert stored(later) == 5


def test_exchanges_of_many_commits_and_sizes_are_kept(engines: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_journal, "SMALL_BYTES", 400)
    engine, other = engines(journal_size=20), engines(journal_size=20)
    texts = [str(number) + "x" * (400 * (number % 3 == 0)) for number in range(70)]

    for number, text in enumerate(texts):
        visit((engine, other)[number // 9 % 2], text)
        assert texts_of((engine, other)[number // 7 % 2]) == texts[: number + 1][-20:]

    assert stored(engine) == 20
    sandbox_of(other).journal.clear()
    assert (texts_of(engine), stored(engine)) == ([], 0)
    visit(engine, "again")
    assert texts_of(other) == ["again"]


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
