"""Transactions that are committed together, before their answers go out."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from builders import make_settings
from shared_stores import ENGINES, OpenStore
from store_servers import redis_server

from mockserver.errors import StoreUnavailable
from mockserver.http import Response
from mockserver.server.direct import DirectProtocol
from mockserver.server.process import ThreadedServer
from mockserver.stores.shared import SharedStore


@pytest.fixture(params=sorted(ENGINES))
def open_store(request: pytest.FixtureRequest) -> Iterator[OpenStore]:
    with ENGINES[request.param]() as opening:
        yield opening


def put(store: SharedStore, key: str, value: Any, sandbox: str = "sandbox") -> Any:
    """Put a value in a transaction that ends without a commit; returns its ticket."""
    partition = store.open(sandbox)

    def work() -> None:
        with partition.transaction:
            partition.rows("things").put(key, value)

    store.group.run(work)
    return store.group.latest


def values(store: SharedStore, sandbox: str = "sandbox") -> dict[str, Any]:
    return dict(store.open(sandbox).rows("things").items())


def count_commits(backend: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of each call of the backend, the number of sandboxes whose changes it commits."""
    commit, sizes = backend.commit, list[int]()

    def counted(commits: Any) -> Any:
        sizes.append(len(commits))
        return commit(commits)

    monkeypatch.setattr(backend, "commit", counted)
    return sizes


def test_transactions_of_several_sandboxes_are_one_commit(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_store(), open_store()
    sizes = count_commits(one.backend, monkeypatch)
    tickets = [put(one, "a", 1), put(one, "b", 2), put(one, "a", 3, sandbox="second")]

    before = values(other), values(other, "second"), [each.is_done() for each in tickets]
    one.group.commit()

    assert before == ({}, {}, [False] * 3)
    assert (values(other), values(other, "second")) == ({"a": 1, "b": 2}, {"a": 3})
    assert [each.is_committed for each in tickets] == [True] * 3
    assert sizes == [2]


def test_a_later_transaction_sees_what_an_earlier_one_has_changed(open_store: OpenStore) -> None:
    store = open_store()
    put(store, "a", 1)
    seen: list[Any] = []

    store.group.run(lambda: seen.append(values(store)))
    store.group.commit()

    assert seen == [{"a": 1}]


def test_after_a_conflict_nothing_of_the_group_was_changed_in_that_sandbox(open_store: OpenStore) -> None:
    one, other = open_store(), open_store()
    one.open("sandbox").rows("things").put("a", 0)
    done: list[str] = []
    tickets = [put(one, "b", 1), put(one, "c", 2), put(one, "free", 3, sandbox="second")]
    one.open("sandbox").transaction.resume()
    one.open("sandbox").after_commit(lambda: done.append("sandbox"))
    one.open("sandbox").transaction.leave()
    other.open("sandbox").rows("things").put("a", 10)

    one.group.commit()

    assert [each.is_committed for each in tickets] == [False, False, True]
    assert values(one) == values(other) == {"a": 10}
    assert values(other, "second") == {"free": 3}
    assert (done, one.conflicts) == ([], 1)


def test_a_failure_in_one_transaction_takes_back_those_that_wait_with_it(open_store: OpenStore) -> None:
    store = open_store()
    partition = store.open("sandbox")
    ticket = put(store, "a", 1)

    def fail() -> None:
        with partition.transaction:
            partition.rows("things").put("b", 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        store.group.run(fail)
    store.group.commit()

    assert (ticket.is_done(), ticket.is_committed, values(store)) == (True, False, {})


def test_a_thread_commits_what_waits_before_its_own_transaction(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    partition, seen = store.open("sandbox"), list[Any]()
    ticket = put(store, "a", 1)

    def work() -> None:
        with partition.transaction:
            seen.append((ticket.is_committed, values(other)))
            partition.rows("things").put("b", 2)

    thread = Thread(target=work)
    thread.start()
    thread.join()
    store.group.commit()

    assert seen == [(True, {"a": 1})]
    assert values(other) == {"a": 1, "b": 2}


def test_a_commit_does_not_wait_for_a_long_transaction_of_a_thread(open_store: OpenStore) -> None:
    store = open_store()
    partition, is_inside, may_end = store.open("sandbox"), Event(), Event()
    ticket = put(store, "a", 1)

    def work() -> None:
        with partition.transaction:
            is_inside.set()
            assert may_end.wait(20)

    thread = Thread(target=work)
    thread.start()
    assert is_inside.wait(20)
    store.group.commit()
    was_committed = ticket.is_committed
    may_end.set()
    thread.join()

    assert was_committed


def test_without_an_answer_of_the_store_all_of_the_group_fails(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    tickets = [put(store, "a", 1), put(store, "b", 2, sandbox="second")]

    def fail(_: Any) -> Any:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(store.backend, "commit", fail)
        store.group.commit()

    assert [(each.is_done(), each.is_committed) for each in tickets] == [(True, False)] * 2
    assert values(store) == {}


@pytest.fixture(params=("sqlite", "redis"))
def server(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[ThreadedServer]:
    url = f"sqlite://{tmp_path}/x.db" if request.param == "sqlite" else redis_server().new_url()
    with ThreadedServer(make_settings(store=url, clock="frozen@2026-04-12T00:00:00")) as running:
        yield running


def fail_commits(server: ThreadedServer, monkeypatch: pytest.MonkeyPatch, *, always: bool) -> list[int]:
    """Have another process change each sandbox before a commit of the event loop; the list counts those commits."""
    group: Any = server.engine.sandboxes.group
    commit: Callable[[], None] = group.commit
    commits: list[int] = []

    def rival() -> None:
        commits.append(len(group._waiting))
        if always or len(commits) == 1:
            for partition, _ in group._waiting:
                partition._version = (partition._version or 0) + 1000
        commit()

    monkeypatch.setattr(group, "commit", rival)
    return commits


def exchange(port: int, sent: bytes) -> bytes:
    """What the server sends until it closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(sent)
        while part := wire.recv(65_536):
            received += part
    return received


HEAD = b"Host: localhost\r\nAuthorization: Bearer test\r\n"
USER = b"GET /user HTTP/1.1\r\n" + HEAD + b"\r\n"
QUEUE = (
    b"POST /ai/batches HTTP/1.1\r\n"
    + HEAD
    + b'Content-Type: application/json\r\nContent-Length: 18\r\n\r\n{"prompts": ["a"]}'
)


@pytest.mark.parametrize("always", [False, True])
def test_requests_whose_commit_failed_are_answered_again_and_have_happened_once(
    server: ThreadedServer, monkeypatch: pytest.MonkeyPatch, always: bool
) -> None:
    commits = fail_commits(server, monkeypatch, always=always)

    steps: list[tuple[str, str, Any]] = [
        ("POST", "/ai/batches", {"prompts": ["a"]}), ("HEAD", "/user", None), ("GET", "/user", None),
    ]  # fmt: skip
    headers = {"Authorization": "Bearer test"}
    answers = [httpx.request(method, f"{server.url}{path}", headers=headers, json=json) for method, path, json in steps]

    assert [each.status_code for each in answers] == [202, 200, 200]
    assert len(commits) >= 3
    with server.engine.sandboxes.open("test").transaction:
        assert len(server.engine.sandboxes.open("test").batches) == 1
        assert server.engine.sandboxes.open("test").journal.seen == 3
    assert sum(server.engine.met.values()) == 3


@pytest.mark.parametrize("has_rival", [False, True])
def test_pipelined_requests_are_answered_in_their_order(
    server: ThreadedServer, monkeypatch: pytest.MonkeyPatch, has_rival: bool
) -> None:
    if has_rival:
        fail_commits(server, monkeypatch, always=True)

    said = exchange(
        server.port, USER + QUEUE + USER + b"HEAD /nowhere HTTP/1.1\r\n" + HEAD + b"\r\n" + b"nonsense\r\n\r\n"
    )

    assert re.findall(rb"HTTP/1.1 (\d+) ", said) == [b"200", b"202", b"200", b"404"]


def test_of_a_client_s_pipelined_requests_one_in_a_round_is_answered_directly(
    server: ThreadedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, direct = DirectProtocol.answer_whole, list[bool]()

    def noted(self: DirectProtocol, response: Response | None) -> bytes | None:
        data = answer(self, response)
        direct.append(data is not None)
        return data

    monkeypatch.setattr(DirectProtocol, "answer_whole", noted)

    said = exchange(server.port, USER * 40 + USER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    assert said.count(b"HTTP/1.1 200 OK") == 41
    assert sum(direct) < 10


def test_requests_of_several_connections_share_a_commit(
    server: ThreadedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend: Any = vars(server.engine.sandboxes)["_backend"]
    sizes = count_commits(backend, monkeypatch)
    asked: list[int] = []

    def ask(number: int) -> None:
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer t{number}"}) as api:
            asked.extend(api.get("/user").status_code for _ in range(20))

    with ExitStack() as stack:
        for number in range(8):
            thread = Thread(target=partial(ask, number))
            thread.start()
            stack.callback(thread.join)

    assert asked == [200] * 160
    assert sum(sizes) >= 160
