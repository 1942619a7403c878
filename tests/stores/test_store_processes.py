"""Servers that share a store: nothing is lost when one is killed, and all show one world."""

import random
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from receiver import receiving
from store_processes import StoreProcess, StoreThread, StoreWorld, create_job, lines, queue, store_world, upload

SHARED = ("sqlite", "redis")
FROZEN = ("--clock", "frozen@2026-04-12T00:00:00", "--progression", "polls:3")
IN_THREADS = {"clock": "frozen@2026-04-12T00:00:00", "progression": "polls:3"}
"""The same settings for servers in this process."""


@pytest.fixture(params=SHARED)
def world(request: pytest.FixtureRequest) -> Iterator[StoreWorld]:
    with store_world(request.param) as made:
        yield made


CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ADMIN = (
    "clock", "progression", "stubs", "conditions", "accounts", "callbacks", "requests", "export?journal=true",
    "sandboxes/test",
)  # fmt: skip


def photo(server: StoreProcess) -> dict[str, Any]:
    """All that the admin API shows of the sandbox `test`."""
    found = {
        path: server.ask("GET", f"/__admin/{path}", params={"sandbox": "test"} if "?" not in path else None)
        for path in ADMIN
    }
    shown = {path: answer.json() for path, answer in found.items()}
    shown["sandboxes/test"].pop("used", None)
    shown["export?journal=true"].pop("blobs")  # numbered in the order of their objects; files are compared by content
    for collection in ("agilecloud.files", "agilecloud.jobs", "agilecloud.usage"):
        shown["export?journal=true"]["sandbox"]["collections"].pop(collection)
    return shown


def fill(server: StoreProcess) -> dict[str, str]:
    """Make something of every kind in the sandbox `test`; returns ids."""
    admin = {"sandbox": "test"}
    batch = queue(server, "one", "two")
    server.ask("GET", f"/ai/batches?id={batch}")
    file = upload(server, lines(4000, 200))
    job = create_job(server, file)
    for _ in range(4):
        status = server.ask("GET", f"/v1/batches/{job}").json()
    assert status["status"] == "completed"
    stub = {"operation": "getUser", "status": 429, "times": 3}
    assert server.ask("POST", "/__admin/next", params=admin, json=stub).status_code == 200
    assert server.ask("GET", "/user").status_code == 429
    server.ask("PUT", "/__admin/accounts/test", params=admin, json={"credits": 500})
    server.ask("POST", "/__admin/clock/advance", params=admin, json={"seconds": 90})
    return {"batch": batch, "file": file, "job": job, "output": status["output_file_id"]}


def test_a_killed_server_has_lost_nothing_that_it_acknowledged(world: StoreWorld) -> None:
    server = world.start(*FROZEN)
    ids = fill(server)
    content = server.ask("GET", f"/v1/files/{ids['file']}/content").content
    output = server.ask("GET", f"/v1/files/{ids['output']}/content").content
    before = photo(server)

    server.kill()
    server = world.start(*FROZEN)

    assert photo(server) == before
    assert content == server.ask("GET", f"/v1/files/{ids['file']}/content").content == lines(4000, 200)
    assert output == server.ask("GET", f"/v1/files/{ids['output']}/content").content
    assert [server.ask("GET", "/user").status_code for _ in range(3)] == [429, 429, 200]
    assert server.stop() == 0


@pytest.mark.parametrize("seed", range(3))
def test_whatever_moment_a_server_is_killed_at_all_that_was_acknowledged_is_there(world: StoreWorld, seed: int) -> None:
    chance, known = random.Random(seed), []
    server = world.start(*FROZEN)
    for _ in range(4):
        running, got = server, list[str]()

        def write(server: StoreProcess = running, got: list[str] = got) -> None:
            try:
                while True:
                    got.append(queue(server, "a", f"b{len(got)}"))
            except (httpx.HTTPError, RuntimeError):  # the second if the client was closed just now
                return

        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        wanted = chance.randrange(5, 60)
        while len(got) < wanted:
            threading.Event().wait(chance.random() / 100)
        server.kill()
        for thread in threads:
            thread.join()
        known += got
        server = world.start(*FROZEN)

    assert len(set(known)) == len(known)
    found = {each["id"] for each in every(server, "batches", "batches")}
    assert set(known) <= found
    seen = server.ask("GET", "/__admin/requests", params={"sandbox": "test", "limit": 1}).json()
    assert seen["seen"] >= len(known)


def every(server: StoreProcess, path: str, name: str) -> list[Any]:
    """All rows of an admin listing."""
    rows: list[Any] = []
    after: Any = 0
    while after is not None:
        page = server.ask("GET", f"/__admin/{path}", params={"sandbox": "test", "after": after}).json()
        rows += page[name]
        after = page["next"]
    return rows


def test_two_replicas_and_one_server_in_memory_give_the_same_ids(world: StoreWorld) -> None:
    replicas = [world.start_thread(**IN_THREADS), world.start_thread(**IN_THREADS)]
    with store_world("memory") as alone:
        server = alone.start_thread(**IN_THREADS)
        wanted = [queue(server, "same", str(n % 3)) for n in range(12)]

        assert [queue(replicas[n % 2], "same", str(n % 3)) for n in range(12)] == wanted


def test_a_stub_is_used_as_often_as_it_says_whichever_replica_is_asked(world: StoreWorld) -> None:
    replicas = [world.start(*FROZEN), world.start(*FROZEN)]
    stub = {"operation": "getUser", "status": 429, "times": 10}
    assert replicas[0].ask("POST", "/__admin/next", params={"sandbox": "test"}, json=stub).status_code == 200
    statuses: list[int] = []

    def ask(server: StoreProcess) -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as api:
            for _ in range(15):
                statuses.append(api.get("/user", headers={"Authorization": "Bearer test"}, timeout=20).status_code)

    threads = [threading.Thread(target=ask, args=(each,)) for each in replicas * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(statuses) == [200] * 50 + [429] * 10
    seen = replicas[1].ask("GET", "/__admin/requests", params={"sandbox": "test", "limit": 1}).json()
    assert seen["seen"] == 60


def test_polls_count_wherever_they_arrive(world: StoreWorld) -> None:
    one, other = world.start_thread(**IN_THREADS), world.start_thread(**IN_THREADS)
    job = create_job(one, upload(one, lines(3)))

    statuses = [server.ask("GET", f"/v1/batches/{job}").json()["status"] for server in (one, other, one, other)]

    assert statuses == ["validating", "in_progress", "completed", "completed"]


def test_what_an_admin_call_changes_on_one_replica_holds_on_the_other(world: StoreWorld) -> None:
    one, other = world.start_thread(**IN_THREADS), world.start_thread(**IN_THREADS)
    admin: dict[str, Any] = {"params": {"sandbox": "test"}}
    for server in (one, other):
        server.ask("GET", "/user")
    before = other.ask("GET", "/__admin/clock", **admin).json()["now"]

    one.ask("POST", "/__admin/clock/advance", json={"seconds": 60}, **admin)
    after = other.ask("GET", "/__admin/clock", **admin).json()["now"]
    one.ask("POST", "/__admin/reset", **admin)

    assert (before, after) == ("2026-04-12T00:00:00.000000Z", "2026-04-12T00:01:00.000000Z")
    assert other.ask("GET", "/__admin/requests", **admin).json()["seen"] == 0
    one.ask("DELETE", "/__admin/sandboxes/test")
    assert other.ask("GET", "/__admin/sandboxes/test").status_code == 404


def test_a_pending_callback_of_a_killed_server_is_sent_once_by_another(world: StoreWorld) -> None:
    with receiving() as receiver:
        one, other = world.start("--progression", "time:3"), world.start("--progression", "time:3")
        answer = one.ask("POST", "/ai/batches", json={"prompts": ["a"], "callback": f"{receiver.url}/done"})
        assert answer.status_code == 202, answer.text

        one.kill()

        assert receiver.wait().value["id"] == answer.json()["id"]
        other.ask("POST", "/__admin/clock/advance", params={"sandbox": "test"}, json={"seconds": 100})
        found = other.ask("GET", "/__admin/callbacks", params={"sandbox": "test"}).json()["callbacks"]
        assert [(each["state"], len(each["attempts"])) for each in found] == [("delivered", 1)]


def test_workers_share_one_port_and_one_world(world: StoreWorld) -> None:
    server = world.start("--workers", "2", *FROZEN)
    asked = [httpx.get(f"{server.url}/user", headers={"Authorization": "Bearer test"}) for _ in range(10)]

    assert {each.status_code for each in asked} == {200}
    seen = server.ask("GET", "/__admin/requests", params={"sandbox": "test", "limit": 1}).json()
    assert seen["seen"] == 10
    assert server.process.stdout is not None
    assert server.process.stdout.readline() == f"mockserver listening on {server.url}\n"
    assert server.stop() == 0
    assert not server.port_file.exists()


def test_a_scripted_transcript_is_the_same_on_every_store() -> None:
    transcripts = {}
    for kind in ("memory", *SHARED):
        with store_world(kind) as world:
            server = world.start_thread(**IN_THREADS)
            transcripts[kind] = list(transcript(server))

    assert transcripts["sqlite"] == transcripts["memory"]
    assert transcripts["redis"] == transcripts["memory"]


def transcript(server: StoreThread) -> Iterator[tuple[int, dict[str, str], bytes]]:
    """The answers to a script over both APIs and the admin API."""
    headers = {"Host": "mock.test"}
    batch, ids = "", {}
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/user", {}),
        ("POST", "/ai/batches", {"json": {"prompts": ["a", "b [mock:fail]", "c"]}}),
        ("POST", "/ai/batches", {"json": {"prompts": []}}),
        ("GET", "/ai/batches?id={batch}", {}),
        ("GET", "/ai/batches?id={batch}", {}),
        ("GET", "/ai/batches?id={batch}", {}),
        ("GET", "/ai/completions?id={batch}", {}),
        ("GET", "/nowhere", {}),
        (
            "POST",
            "/v1/chat/completions",
            {"json": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}},
        ),
        ("POST", "/v1/files", {"files": {"file": ("x.jsonl", lines(50, 500))}, "data": {"purpose": "batch"}}),
        ("GET", "/v1/files", {}),
        ("GET", "/v1/batches", {}),
        ("GET", "/__admin/accounts?sandbox=test", {}),
        ("GET", "/__admin/verdict?sandbox=test", {}),
        ("POST", "/__admin/reset?sandbox=test", {}),
        ("POST", "/ai/batches", {"json": {"prompts": ["a", "b [mock:fail]", "c"]}}),
    ]
    for method, path, given in steps:
        answer = server.ask(method, path.format(batch=batch), headers=headers, **given)
        if path == "/ai/batches" and answer.status_code == 202:
            batch = answer.json()["id"]
        ids[path] = answer
        shown = {name: value for name, value in answer.headers.items() if name != "date"}
        yield answer.status_code, shown, answer.content
