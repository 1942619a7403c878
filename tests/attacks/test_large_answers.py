"""Large answers, asked for by many clients at once: the memory that they take does not grow with their number."""

import json
import socket
import struct
import threading
from contextlib import ExitStack

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served
from attacks import MB, asking, forget_peak, form, peak
from waiting import eventually

SIZE = 20 * MB
CLIENTS = 500
EACH = 128 * 1024
"""What an answer may take whose client reads nothing."""
SLACK = 96 * MB
"""For the answers that are kept in memory, and what is imported on first use."""
SEVERAL = 12
"""Clients that read everything."""


def fill_files(server: AttackedServer) -> str:
    content = b'{"a":1}\n' * (SIZE // 8)
    status, answer = server.request("POST", "/v1/files", form(content), Content_Type="multipart/form-data; boundary=X")
    assert status == 200
    return f"/v1/files/{json.loads(answer)['id']}/content"


def fill_journal(server: AttackedServer) -> None:
    body = json.dumps({"prompts": ["\x01" * 50_000]}).encode()
    for _ in range(40):
        assert server.request("POST", "/ai/batches", body)[0] in {202, 422}


def fill_stubs(server: AttackedServer) -> None:
    reply = {"status": 200, "body": [{"email": "a" * 200_000, "credits": 1}]}
    stub = {"operation": "getUser", "times": 10**6, "reply": reply, "undocumented": True}
    assert server.request("POST", "/__admin/next", json.dumps(stub).encode())[0] == 200


def read_all(server: AttackedServer, path: str) -> None:
    """Several clients that read to the end; the first answers wait for the last."""
    sizes: list[int] = []

    def read() -> None:
        status, body = server.request("GET", path)
        assert status == 200
        sizes.append(len(body))

    readers = [threading.Thread(target=read) for _ in range(SEVERAL)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    assert len(sizes) == SEVERAL
    assert min(sizes) > MB


@pytest.mark.parametrize("path", ["/__admin/export", "/__admin/requests?limit=1000", "content", "/user"])
def test_answers_that_are_not_read_take_little_memory(path: str) -> None:
    with attacked_server("--progression", "immediate") as server, ExitStack() as stack:
        content = fill_files(server)
        fill_journal(server)
        if path == "/user":
            fill_stubs(server)
        for warm in ("/__admin/export?journal=true", "/__admin/requests"):
            assert server.request("GET", warm)[0] == 200
        rest = server.resident()
        forget_peak(server)
        with others_are_served(server):
            wires = [
                stack.enter_context(asking(server, path.replace("content", content), "attacker"))
                for _ in range(CLIENTS)
            ]
            assert {wire.recv(9) for wire in wires[:10]} == {b"HTTP/1.1 "}
            for wire in wires:
                wire.settimeout(0.001)

        assert peak(server) <= rest + CLIENTS * EACH + SLACK
        assert server.stop() == 0


@pytest.mark.parametrize("path", ["/__admin/export", "/__admin/export?journal=true", "/__admin/requests?limit=1000"])
def test_large_answers_that_are_read_arrive_whole(path: str) -> None:
    with attacked_server("--progression", "immediate") as server:
        fill_files(server)
        fill_journal(server)
        with others_are_served(server):
            read_all(server, path)


def test_exports_that_no_client_waits_for_any_more_are_dropped() -> None:
    with attacked_server("--progression", "immediate") as server:
        fill_files(server)
        for _ in range(200):
            with asking(server, "/__admin/export", "attacker"):
                pass

        with others_are_served(server):
            assert server.request("GET", "/__admin/export")[0] == 200
            assert server.request("GET", "/__admin/export", token="other")[0] == 200
        assert server.stop() == 0


def test_archives_whose_connections_are_reset_are_freed() -> None:
    with attacked_server("--progression", "immediate") as server:
        body = json.dumps({"prompts": [f"{n} {'x' * 2_000}" for n in range(1_000)]}).encode()
        status, answer = server.request("POST", "/ai/batches", body)
        assert status == 202
        status, answer = server.request("GET", f"/ai/batches?id={json.loads(answer)['id']}")
        path = "/" + json.loads(answer)["url"].split("/", 3)[3]
        with asking(server, path, "attacker") as wire:
            assert wire.recv(9) == b"HTTP/1.1 "
        rest = server.resident()

        with ExitStack() as stack:
            for _ in range(80):
                wire = stack.enter_context(asking(server, path, "attacker"))
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                assert wire.recv(9) == b"HTTP/1.1 "
            assert server.resident() <= rest + 80 * MB  # all prompts of each take 180

        eventually(lambda: server.resident() <= rest + 24 * MB)
