"""The sandboxes of several processes on one store: how long they are kept, and what is counted over all processes."""

import gc
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import httpx
import pytest
from builders import ask, make_engine, make_settings, queue
from store_servers import redis_server
from waiting import eventually

from mockserver.engine import upkeep
from mockserver.engine.engine import Engine
from mockserver.errors import Conflict
from mockserver.sandbox.clock import wall_time
from mockserver.server.process import ThreadedServer
from mockserver.stores.retry import retried

MakeEngine = Callable[..., Engine]


@pytest.fixture(params=("sqlite", "redis"))
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    return f"sqlite://{tmp_path}/x.db" if request.param == "sqlite" else redis_server().new_url()


@pytest.fixture
def engines(url: str) -> Iterator[MakeEngine]:
    made: list[Engine] = []

    def make(**changes: Any) -> Engine:
        made.append(make_engine(**{"store": url, "clock": "frozen", "progression": "polls:3", **changes}))
        return made[-1]

    yield make
    for each in made:
        each.sandboxes.close()


def names(engine: Engine) -> list[str]:
    return sorted(each.name for each in engine.sandboxes.every())


def test_idle_sandboxes_expire_unless_they_are_pinned_or_used_by_another_process(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    for name in ("idle", "pinned", "used"):
        queue(one, "a", token=name)
    pinned = one.sandboxes.open("pinned")
    with pinned.transaction:
        pinned.is_held = True
    since = wall_time()
    ask(other, "GET", "/user", token="used")

    early = one.sandboxes.expire(60, now=since + 59)
    gone = one.sandboxes.expire(60, now=since + 60)

    assert (early, gone, names(one), names(other)) == (0, 1, ["pinned", "used"], ["pinned", "used"])
    assert (one.sandboxes.evicted, other.sandboxes.evicted) == (1, 1)
    assert retried(lambda: ask(other, "GET", "/user", token="idle")).status == 200


def test_what_a_process_knows_of_a_deleted_sandbox_is_freed_without_garbage_collection(engines: MakeEngine) -> None:
    engine = engines()
    ask(engine, "GET", f"/ai/batches?id={queue(engine, 'a', token='gone')}", token="gone")
    known = ref(vars(engine.sandboxes.open("gone"))["_partition"])

    gc.collect()
    gc.disable()
    try:
        engine.sandboxes.delete("gone")
        assert known() is None
    finally:
        gc.enable()


def test_a_sandbox_that_is_used_while_it_should_expire_stays(
    engines: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = engines(), engines()
    id_ = queue(one, "a")
    backend: Any = vars(one.sandboxes)["_backend"]
    idle = backend.idle

    def use_meanwhile(since: float) -> Any:
        found = idle(since)
        retried(lambda: ask(other, "GET", "/user"))
        return found

    monkeypatch.setattr(backend, "idle", use_meanwhile)

    assert one.sandboxes.expire(0, now=wall_time() + 1) == 0
    assert retried(lambda: ask(one, "GET", "/ai/batches", query={"id": id_})).status == 200


def test_beyond_the_limit_the_sandbox_is_evicted_that_no_process_has_used_for_longest(engines: MakeEngine) -> None:
    one, other = engines(max_sandboxes=3), engines(max_sandboxes=3)
    for engine, name in ((one, "first"), (other, "second"), (one, "third"), (other, "first")):
        queue(engine, "a", token=name)

    queue(one, "a", token="fourth")

    assert names(one) == names(other) == ["first", "fourth", "third"]


def test_a_free_name_is_the_next_number_that_no_process_has_taken(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    assert one.sandboxes.unused_name() == "sandbox-1"

    for name in ("mine", "sandbox-3"):
        queue(one, "a", token=name)

    assert other.sandboxes.unused_name() == "sandbox-4"


def test_as_many_evicted_sandboxes_are_remembered_as_may_be_kept(engines: MakeEngine) -> None:
    engine = engines(max_sandboxes=2)
    for name in ("a", "b", "c", "d", "e"):  # a, b and c are evicted, and a is forgotten
        queue(engine, "hello", token=name)

    first, last = (engine.sandboxes.open(name) for name in ("a", "c"))

    assert (first.was_evicted, last.was_evicted) == (False, True)


def test_the_journal_s_drops_are_counted(engines: MakeEngine) -> None:
    one, other = engines(journal_size=2), engines(journal_size=2)
    for name in ("a", "a", "a", "b", "b", "b", "b"):
        ask(one, "GET", "/user", token=name)

    assert (one.sandboxes.journal_drops(), other.sandboxes.journal_drops()) == (3, 3)


def test_a_request_that_met_a_conflict_is_counted_once(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    for engine in (one, other):
        ask(engine, "GET", "/user")
    before = one.sandboxes.store_figures()["conflicts"]

    with pytest.raises(Conflict):
        ask(one, "GET", "/user")
    ask(one, "GET", "/user")

    assert (sum(one.met.values()), one.sandboxes.store_figures()["conflicts"] - before) == (2, 1)


def test_coverage_of_all_processes_adds_up_and_is_forgotten_everywhere(engines: MakeEngine) -> None:
    one, other = engines(), engines()
    for engine, token in ((one, "a"), (one, "a"), (other, "b")):
        ask(engine, "GET", "/user", token=token)
    other.sandboxes.note_coverage(other.met, other.demanded)
    other.sandboxes.note_coverage(other.met, other.demanded)

    assert one.sandboxes.coverage(one.met, one.demanded)[0] == {("getUser", 200): 3}
    ask(other, "GET", "/user", token="b")
    assert other.sandboxes.coverage(other.met, other.demanded)[0] == {("getUser", 200): 4}

    one.sandboxes.clear_coverage()
    one.met.clear()
    other.sandboxes.note_coverage(other.met, other.demanded)
    ask(other, "GET", "/user", token="b")
    assert other.sandboxes.coverage(other.met, other.demanded)[0] == {("getUser", 200): 1}
    assert one.sandboxes.coverage(one.met, one.demanded)[0] == {("getUser", 200): 1}


@pytest.fixture
def quick_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "COVERAGE_SECONDS", 0.05)
    monkeypatch.setattr(upkeep, "SHORTEST", 0.05)


@pytest.mark.usefixtures("quick_upkeep")
def test_servers_expire_idle_sandboxes_and_show_the_coverage_of_all_of_them(url: str) -> None:
    settings = make_settings(store=url, expire_idle=1)
    token = {"Authorization": "Bearer test"}
    with ThreadedServer(settings) as one, ThreadedServer(settings) as other:
        for server in (one, one, other):
            httpx.get(f"{server.url}/user", headers=token)

        def met(server: ThreadedServer, processes: str) -> int:
            found = httpx.get(f"{server.url}/__admin/coverage", params={"processes": processes, "sandbox": "admin"})
            return sum(sum(each["responses"].values()) for each in found.json()["coverage"])

        assert (met(one, "own"), met(other, "own")) == (2, 1)
        eventually(lambda: met(one, "all") == 3)
        eventually(lambda: "test" not in names(other.engine))
        assert httpx.get(f"{one.url}/__admin/coverage?processes=some").status_code == 400


@pytest.mark.usefixtures("quick_upkeep")
def test_a_server_in_memory_expires_idle_sandboxes() -> None:
    with ThreadedServer(make_settings(expire_idle=1)) as server:
        httpx.get(f"{server.url}/user", headers={"Authorization": "Bearer test"})
        assert names(server.engine) == ["test"]

        eventually(lambda: not names(server.engine))
