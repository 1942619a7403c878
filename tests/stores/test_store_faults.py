"""Stores that cannot be used, at the start and while serving."""

import io
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import httpx
import pytest
import redis
from store_processes import ROOT, AnyServer, StoreProcess, StoreThread, StoreWorld, queue, store_world
from store_servers import RedisServer, redis_server
from waiting import eventually

from mockserver.cli import main
from mockserver.server import process
from mockserver.stores.redis import backend as redis_backend
from mockserver.stores.sqlite import backend as sqlite_backend
from mockserver.stores.sqlite.file import APPLICATION_ID, SCHEMA_VERSION


def refused(store: str, *flags: str) -> str:
    """What `mockserver serve` says when it cannot start with a store. Its process is this one, which saves imports."""
    with pytest.MonkeyPatch.context() as patched, ExitStack() as stack:
        patched.setenv("MOCKSERVER_STORE", store)
        for name in ("raise_open_files", "return_freed_memory"):
            patched.setattr(process, name, lambda: None)
        patched.setattr(process, "set_up_logging", lambda _: None)
        patched.setattr(sys, "setswitchinterval", lambda _: None)
        out, err = io.StringIO(), io.StringIO()
        stack.enter_context(redirect_stdout(out))
        stack.enter_context(redirect_stderr(err))
        code = main(("serve", "--port", "0", *flags))
    assert (code, out.getvalue()) == (3, ""), err.getvalue()
    assert "Traceback" not in err.getvalue()
    return err.getvalue()


def refused_process(store: str, *flags: str) -> str:
    """The same from a process of its own."""
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", *flags]
    ended = subprocess.run(
        command, env={**os.environ, "MOCKSERVER_STORE": store}, capture_output=True, text=True, timeout=30, cwd=ROOT,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (3, ""), ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("store", "reason"),
    [
        ("mysql://localhost/x", "the scheme 'mysql' is unknown"),
        ("nonsense", "it is no URL"),
        ("sqlite://data/x.db", "must be absolute"),
        ("sqlite:data/x.db", "must be absolute"),
        ("sqlite:///", "the URL names no file"),
        ("sqlite:////nowhere-at-all/x.db", "there is no folder /nowhere-at-all"),
        ("redis://:secret@127.0.0.1:1/0", "there is no Redis server at 127.0.0.1:1"),
        ("redis://:secret@127.0.0.1:port/0", "the port is no number"),
        ("redis://:secret@127.0.0.1:70000/0", "the port is no number"),
        ("redis://127.0.0.1/first", "the database is no number"),
        ("redis://", "the host is missing"),
        ("redis://:secret#x@127.0.0.1:1/0", "must be percent-encoded"),
        ("redis://:secret[x@127.0.0.1:1/0", "must be percent-encoded"),
        ("redis://:secret\N{ACCOUNT OF}@127.0.0.1:1/0", "must be percent-encoded"),
        ("unix://:secret#x@/tmp/none.sock", "must be percent-encoded"),
        ("redis://[::1/0", "the host is no name and no address"),
        ("redis://:secret@[:::::]/0", "Redis"),
        ("unix://", "the socket's path is missing"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_with_the_reason(store: str, reason: str) -> None:
    said = refused(store)

    assert reason in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "redis://:open/sesame@127.0.0.1/0"),
        ("serve", "--stroe", "redis://:open/sesame@127.0.0.1/0"),
        ("serve", "--port", "redis://:open/sesame@127.0.0.1/0"),
        ("serve", "--store", "http://user:open/sesame@127.0.0.1/0"),
        ("redis://:open/sesame@127.0.0.1/0",),
    ],
)
def test_no_usage_error_shows_the_password_of_a_url(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)

    said = capsys.readouterr()
    assert code in {2, 3}
    assert "sesame" not in said.out + said.err


def test_no_error_of_a_config_file_shows_the_password_of_a_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("store: ['redis://:open/sesame@127.0.0.1/0']\n")

    assert main(("serve", "--config", str(config))) == 3
    assert "sesame" not in capsys.readouterr().err


def test_several_workers_need_a_store_that_they_share() -> None:
    assert "need a store that they share" in refused("memory", "--workers", "2")


def test_an_error_of_a_worker_is_reported_once() -> None:
    assert refused_process("sqlite:////nowhere-at-all/x.db", "--workers", "3").count("there is no folder") == 1


def database(path: Path, application: int, version: int) -> bytes:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    return path.read_bytes()


def test_a_file_of_another_program_or_of_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    text, foreign, newer = (tmp_path / name for name in ("text", "foreign", "newer"))
    text.write_text("not a database\n" * 20)
    contents = {
        text: text.read_bytes(),
        foreign: database(foreign, 0, 0),
        newer: database(newer, APPLICATION_ID, SCHEMA_VERSION + 1),
    }

    said = {path: refused(f"sqlite://{path}") for path in contents}

    assert "is no SQLite file" in said[text]
    assert "is a database of another program" in said[foreign]
    assert "was written by a newer mockserver" in said[newer]
    assert {path: path.read_bytes() for path in contents} == contents
    assert sorted(each.name for each in tmp_path.iterdir()) == ["foreign", "newer", "text"]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    content = database(path, APPLICATION_ID, SCHEMA_VERSION)
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))

    assert "cannot be used" in refused(f"sqlite://{path}")


def test_a_store_of_other_settings_is_refused_unless_it_is_forced(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/x.db"
    with StoreThread(url, seed="one") as server:
        queue(server, "a")

    assert "made with other settings: seed" in refused(url, "--seed", "other")
    with StoreThread(url, seed="other", store_force=True) as server:
        queue(server, "a")


@contextmanager
def served(folder: Path, url: str, *flags: str) -> Iterator[StoreProcess]:
    server = StoreProcess(str(folder), url, *flags)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


@contextmanager
def server_that(*answers: bytes) -> Iterator[int]:
    """The port of a server that says this to each client, and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as clients:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                clients.callback(client.close)
                for answer in answers:
                    client.sendall(answer)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_that_is_no_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_backend, "SECONDS", 0.5)
    with server_that(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert f"127.0.0.1:{port}" in refused(f"redis://127.0.0.1:{port}/0")
    with server_that() as port:
        assert "no answer" in refused(f"redis://127.0.0.1:{port}/0")


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that a test may stop."""
    redis_server()  # which skips the test where there is none
    server = RedisServer()
    yield server
    server.remove()


def test_a_wrong_password_is_refused_and_a_right_one_is_not_shown() -> None:
    redis_server()
    server = RedisServer("--requirepass", "open-sesame")
    try:
        assert "rejects the password" in refused(f"unix://:wrong@{server.socket}?db=1")
        assert "wrong" not in refused(f"unix://:wrong@{server.socket}?db=1")
        assert "rejects the password" in refused(f"unix://{server.socket}?db=1")
        with StoreThread(f"unix://:open-sesame@{server.socket}?db=1") as started:
            queue(started, "a")
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("command", "reason"),
    [(("CONFIG", "SET", "maxmemory", "1"), "maxmemory"), (("REPLICAOF", "127.0.0.1", "1"), "replica")],
)
def test_a_redis_that_takes_no_more_changes_is_507_with_the_reason(
    own_redis: RedisServer, tmp_path: Path, command: tuple[str, ...], reason: str
) -> None:
    with served(tmp_path, own_redis.new_url(), "--clock", "frozen") as server:
        id_ = queue(server, "a")
        with redis.Redis(unix_socket_path=own_redis.socket) as client:
            client.execute_command(*command)
        headers = {"Authorization": "Bearer test"}

        answer = httpx.post(f"{server.url}/ai/batches", headers=headers, json={"prompts": ["b"]}, timeout=10)

        assert (answer.status_code, reason in answer.text) == (507, True), answer.text
        with redis.Redis(unix_socket_path=own_redis.socket) as client:
            client.execute_command(*(("REPLICAOF", "NO", "ONE") if reason == "replica" else (*command[:-1], "0")))
        found = httpx.get(f"{server.url}/ai/batches", params={"id": id_}, headers=headers, timeout=10)
        assert found.status_code == 200


def ask_many(server: AnyServer, count: int) -> list[httpx.Response]:
    """The answers to as many requests at once, each of another sandbox, each within 5 seconds."""

    def ask(number: int) -> httpx.Response:
        return httpx.get(f"{server.url}/v1/models", headers={"Authorization": f"Bearer t{number}"}, timeout=5)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def test_while_redis_hangs_requests_are_answered_503_and_afterwards_as_before(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    with served(tmp_path, own_redis.new_url(), "--clock", "frozen") as server:
        id_ = queue(server, "a")
        assert own_redis.process is not None
        own_redis.process.send_signal(signal.SIGSTOP)

        answers = ask_many(server, 6)

        assert {(each.status_code, each.headers["retry-after"]) for each in answers} == {(503, "1")}
        assert all("does not answer" in each.json()["error"]["message"] for each in answers)
        assert server.ask("GET", "/health").status_code == 200
        assert server.ask("GET", "/ready").status_code == 503
        own_redis.process.send_signal(signal.SIGCONT)
        eventually(lambda: server.ask("GET", "/ready").status_code == 200)
        assert server.ask("GET", f"/ai/batches?id={id_}").status_code == 200


def test_a_redis_server_that_ends_and_starts_again_has_what_was_acknowledged(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    with served(tmp_path, own_redis.new_url(), "--clock", "frozen") as server:
        ids = [queue(server, f"a{n}") for n in range(20)]
        own_redis.stop()
        assert server.ask("GET", "/user").status_code == 503
        assert server.ask("GET", "/__admin/sandboxes").status_code == 503

        own_redis.start()

        eventually(lambda: server.ask("GET", "/ready").status_code == 200)
        assert {server.ask("GET", f"/ai/batches?id={id_}").status_code for id_ in ids} == {200}


def test_foreign_keys_in_the_database_survive() -> None:
    redis = pytest.importorskip("redis")
    url = redis_server().new_url()
    client = redis.Redis.from_url(url)
    client.set("theirs", "value")
    with StoreThread(url) as server:
        queue(server, "a")
        server.ask("POST", "/__admin/reset", params={"sandbox": "test"})
        server.ask("DELETE", "/__admin/sandboxes/test")

        keys = [key.decode() for key in client.keys("*")]

    assert client.get("theirs") == b"value"
    assert [key for key in keys if not key.startswith("mockserver:")] == ["theirs"]
    assert not [key for key in keys if "test" in key]
    client.close()


@pytest.fixture
def world() -> Iterator[StoreWorld]:
    with store_world("sqlite") as made:
        yield made


def test_a_full_disk_is_a_507_and_what_was_acknowledged_stays(world: StoreWorld) -> None:
    server = world.start(file_bytes=1024 * 1024)
    ids, status = [], 202
    while status == 202:
        answer = server.ask("POST", "/ai/batches", json={"prompts": ["word " * 40] * 50})
        status = answer.status_code
        ids += [answer.json()["id"]] if status == 202 else []
    server.kill()

    assert status == 507
    server = world.start()
    assert {server.ask("GET", f"/ai/batches?id={id_}").status_code for id_ in ids} == {200}


def test_a_file_that_another_process_has_locked_is_refused_at_the_start_and_503_later(
    world: StoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = world.start("--clock", "frozen")
    queue(server, "a")
    with sqlite3.connect(world.url.removeprefix("sqlite://"), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")

        monkeypatch.setattr(sqlite_backend, "BUSY_SECONDS", 0.5)
        assert "has locked it" in refused(world.url)
        answer = server.ask("POST", "/ai/batches", json={"prompts": ["b"]})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")

        other.execute("ROLLBACK")
    other.close()
    queue(server, "b")


def test_while_the_file_is_locked_requests_wait_side_by_side_and_the_event_loop_does_not(
    world: StoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_backend, "BUSY_SECONDS", 1.0)
    server = world.start_thread()
    queue(server, "a")
    with sqlite3.connect(world.url.removeprefix("sqlite://"), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        asking = threading.Thread(target=ask_many, args=(server, 1))
        asking.start()

        while_one_waits = [server.ask("GET", "/health").status_code, not asking.is_alive()]
        answers = ask_many(server, 6)

        asking.join()
        assert while_one_waits == [200, False]
        assert {(each.status_code, each.headers["retry-after"]) for each in answers} == {(503, "1")}
        assert all("has locked it" in each.json()["error"]["message"] for each in answers)
        other.execute("ROLLBACK")
    other.close()
    queue(server, "b")
