"""How often a request asks the store: a constant number, whatever the sandbox holds."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from builders import ask, make_engine, queue, value_of
from store_servers import redis_server

from mockserver.engine.engine import Engine
from mockserver.stores.collection import FIRST_READ

CALLS = ("fetch", "scan", "count", "commit", "entry", "entries", "size", "oldest")
MakeEngine = Callable[[], Engine]


@pytest.fixture(params=("sqlite", "redis"))
def engines(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[MakeEngine]:
    url = f"sqlite://{tmp_path}/x.db" if request.param == "sqlite" else redis_server().new_url()
    made: list[Engine] = []

    def make() -> Engine:
        made.append(make_engine(store=url, progression="polls:1000", journal_size=50))
        return made[-1]

    yield make
    for each in made:
        each.sandboxes.close()


def counted(engine: Engine, action: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often the action calls the engine's backend, by method."""
    backend: Any = vars(engine.sandboxes)["_backend"]
    calls: Counter[str] = Counter()

    def call(name: str, method: Any, *given: Any) -> Any:
        calls[name] += 1
        return method(*given)

    with monkeypatch.context() as patched:
        for name in CALLS:
            patched.setattr(backend, name, partial(call, name, getattr(backend, name)))
        action()
    return dict(calls)


@pytest.mark.parametrize("size", [1, 120])
def test_a_request_to_a_known_sandbox_is_one_commit(
    engines: MakeEngine, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines()
    ids = [queue(engine, f"a{n}") for n in range(size)]
    poll = partial(ask, engine, "GET", "/ai/batches", query={"id": ids[0]})
    poll()

    assert counted(engine, poll, monkeypatch) == {"commit": 1}
    assert counted(engine, partial(queue, engine, "new"), monkeypatch) in ({"commit": 1}, {"commit": 1, "fetch": 1})


def test_a_request_after_a_change_by_another_process_asks_a_constant_number_of_times(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for size in (1, 40):
        engine, other = engines(), engines()
        ids = [queue(engine, f"a{n}", token=f"t{size}") for n in range(size)]
        poll = partial(ask, other, "GET", "/ai/batches", query={"id": ids[0]}, token=f"t{size}")
        poll()
        counts.append(counted(other, poll, monkeypatch))
        other_first = engines()
        fresh = partial(ask, other_first, "GET", "/ai/batches", query={"id": ids[0]}, token=f"t{size}")
        counts.append(counted(other_first, fresh, monkeypatch))

    assert counts[0] == counts[2] == {"commit": 1}
    assert counts[1] == counts[3]  # a full journal would ask once more, for its oldest exchange
    assert sum(counts[1].values()) <= 12


def test_a_balance_is_read_in_few_round_trips_however_many_batches_are_running(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engines()
    for n in range(60):
        queue(engine, f"a{n}")

    other = engines()
    asked = counted(other, partial(ask, other, "GET", "/user"), monkeypatch)

    assert sum(asked.values()) <= 14


def test_a_page_of_batches_reads_few_of_them(engines: MakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, other = engines(), engines()
    body = {"input_file_id": "file-unknown", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    ids = [value_of(ask(engine, "POST", "/v1/batches", json=body))["id"] for _ in range(FIRST_READ + 10)]
    backend: Any = vars(other.sandboxes)["_backend"]
    read: list[int] = []

    def noted(method: Any, *given: Any) -> Any:
        found = method(*given)
        read.append(len(found[1]))
        return found

    for name in ("scan", "latest"):
        monkeypatch.setattr(backend, name, partial(noted, getattr(backend, name)))
    page = value_of(ask(other, "GET", "/v1/batches", query={"limit": "2"}))

    assert ([each["id"] for each in page["data"]], page["has_more"]) == (ids[:-3:-1], True)
    assert max(read) <= FIRST_READ
