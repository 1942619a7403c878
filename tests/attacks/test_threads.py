"""Busy sandboxes: their waiters delay no other sandbox, and no work keeps the process from ending."""

import json
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served
from attacks import asking, create_batch, is_at_work

PROMPTS = json.dumps({"prompts": ["hello there"] * 1000}).encode()


@pytest.mark.parametrize("path", ["/v1/batches", "/user", "/nowhere", "/__admin/clock"])
def test_a_thousand_requests_waiting_for_one_sandbox_delay_no_other(path: str) -> None:
    with attacked_server("--progression", "immediate") as server, ExitStack() as stack:
        batch = create_batch(server, "attacker", 20_000)
        assert server.request("GET", "/__admin/version")[0] == 200  # which loads the admin API
        with others_are_served(server):
            wires = [stack.enter_context(asking(server, batch, "attacker"))]
            wires += [stack.enter_context(asking(server, path, "attacker")) for _ in range(1000)]

            assert {wire.recv(9) for wire in wires} == {b"HTTP/1.1 "}
            assert server.threads() < 100


def test_requests_beyond_the_queue_of_a_busy_sandbox_get_503() -> None:
    with attacked_server("--progression", "immediate") as server, ExitStack() as stack:
        batch = create_batch(server, "attacker", 50_000)
        stack.enter_context(asking(server, batch, "attacker"))
        question = b"GET /user HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer attacker\r\n\r\n"
        wires = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=120)) for _ in range(1900)
        ]
        for wire in wires:
            wire.sendall(question)

        assert {wire.recv(13) for wire in wires[:10]} <= {b"HTTP/1.1 200 ", b"HTTP/1.1 503 "}
        assert server.request("GET", "/user", token="other")[0] == 200


def test_beyond_two_thousand_who_wait_each_gets_503_at_once() -> None:
    with attacked_server("--progression", "immediate", "--max-connections", "3000") as server, ExitStack() as stack:
        batch = create_batch(server, "attacker", 50_000)
        stack.enter_context(is_at_work(server, batch, "attacker"))
        for _ in range(2000):
            stack.enter_context(asking(server, "/user", "attacker"))
        rejected = ""
        while not rejected:
            with asking(server, "/user", "attacker") as wire:
                wire.settimeout(0.2)
                with suppress(TimeoutError):
                    rejected = wire.recv(4096).decode()

        assert rejected.startswith("HTTP/1.1 503 ")
        assert "retry-after: 1\r\n" in rejected.lower()
        assert "Sandbox Busy" in rejected
        assert server.request("GET", "/user", token="other")[0] == 200


def test_many_sandboxes_that_work_at_once_delay_no_other() -> None:
    with attacked_server("--progression", "immediate") as server, ExitStack() as stack:
        batches = {f"t{n}": create_batch(server, f"t{n}", 3000) for n in range(30)}
        with others_are_served(server):
            wires = [stack.enter_context(asking(server, path, token)) for token, path in batches.items()]

            assert {wire.recv(13) for wire in wires} == {b"HTTP/1.1 200 "}


def test_a_verdict_over_all_sandboxes_waits_for_a_busy_one_and_delays_no_other() -> None:
    with attacked_server("--progression", "immediate") as server, ExitStack() as stack:
        batch = create_batch(server, "attacker", 20_000)
        assert server.request("GET", "/__admin/version")[0] == 200  # which loads the admin API
        with others_are_served(server):
            stack.enter_context(asking(server, batch, "attacker"))
            verdicts = [
                stack.enter_context(asking(server, "/__admin/verdict?scope=server", f"t{n}")) for n in range(20)
            ]

            assert {wire.recv(13) for wire in verdicts} == {b"HTTP/1.1 200 "}


def work_through_lines(server: AttackedServer) -> list[socket.socket]:
    batches = {f"t{n}": create_batch(server, f"t{n}", 20_000) for n in range(3)}
    return [is_at_work(server, path, token) for token, path in batches.items()]


def stream_archives(server: AttackedServer) -> list[socket.socket]:
    wires = []
    for n in range(3):
        answer = server.request("POST", "/ai/batches", PROMPTS, token=f"t{n}")[1]
        status = server.request("GET", f"/ai/batches?id={json.loads(answer)['id']}", token=f"t{n}")[1]
        path = json.loads(status)["url"].partition(f":{server.port}")[2]
        wires.append(asking(server, path, f"t{n}"))
    return wires


def import_much(server: AttackedServer) -> list[socket.socket]:
    for _ in range(20):
        assert server.request("POST", "/ai/batches", PROMPTS)[0] == 202
    document = server.request("GET", "/__admin/export")[1]
    wires = []
    for n in range(3):
        wire = asking(server, "/__admin/export?journal=true", "attacker")
        wires.append(wire)
        other = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        head = f"POST /__admin/import HTTP/1.1\r\nHost: localhost\r\nX-Mock-Sandbox: other{n}\r\n"
        other.sendall(f"{head}Content-Length: {len(document)}\r\n\r\n".encode() + document)
        wires.append(other)
    return wires


def wait_in_lanes(server: AttackedServer) -> list[socket.socket]:
    batch = create_batch(server, "attacker", 20_000)
    return [is_at_work(server, batch, "attacker"), *(asking(server, "/user", "attacker") for _ in range(200))]


def send_half_a_body(server: AttackedServer) -> list[socket.socket]:
    wires = []
    for kind in ("Content-Type: application/json", "Content-Type: multipart/form-data; boundary=X"):
        wire = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        wire.sendall(f"POST /v1/files HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: 100\r\n\r\n--X".encode())
        wires.append(wire)
    return wires


@pytest.mark.parametrize("attack", [work_through_lines, stream_archives, import_much, wait_in_lanes, send_half_a_body])
def test_sigterm_ends_the_process_during_any_work(attack: Callable[[AttackedServer], list[Any]]) -> None:
    with attacked_server("--progression", "immediate") as server:
        wires = attack(server)

        assert server.stop(within=10) == 0

        for wire in wires:
            wire.close()
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()


def test_work_of_disconnected_clients_is_dropped() -> None:
    with attacked_server("--progression", "immediate") as server:
        batch = create_batch(server, "attacker", 20_000)
        wire = is_at_work(server, batch, "attacker")
        for _ in range(200):
            with asking(server, "/v1/models", "attacker"):
                pass
        wire.settimeout(120)
        assert wire.recv(13) == b"HTTP/1.1 200 "
        wire.close()

        count = server.request("POST", "/__admin/requests/count", b'{"path": "/v1/models"}')[1]

    assert json.loads(count)["count"] < 100


def test_threads_end_when_their_work_is_done() -> None:
    with attacked_server() as server:
        before = server.threads()
        threads = [threading.Thread(target=server.request, args=("GET", "/v1/batches")) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert server.threads() <= before + 10
