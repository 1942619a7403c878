"""Standard output and error that the parent process never reads: the server serves on, and stops when it is told to."""

import re
import socket
from contextlib import closing

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served

MANY = 4000
"""Lines that fill a pipe of 64 kB several times."""


def ask(server: AttackedServer, count: int) -> None:
    with closing(server.connect()) as connection:
        for n in range(count):
            connection.request("GET", f"/nothing/{n}{'/a' * 50}")
            connection.getresponse().read()


def send_invalid(server: AttackedServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as wire:
        wire.sendall(b"NONSENSE\r\n\r\n")
        assert wire.recv(12) == b"HTTP/1.1 400"


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_that_is_not_read_holds_up_no_client_and_no_stop(form: str) -> None:
    with attacked_server("--log-level", "debug", "--log-format", form) as server:
        with others_are_served(server):
            ask(server, MANY)

        assert server.stop() == 0


def test_lines_of_a_log_that_is_read_late_are_in_order_and_none_is_missing() -> None:
    with attacked_server("--log-level", "info") as server:
        ask(server, 1000)
        assert server.process.stderr is not None
        asked: list[int] = []
        while len(asked) < 1000:
            asked += map(int, re.findall(r"/nothing/(\d+)/", server.process.stderr.readline()))
        server.request("GET", "/last")

        assert server.stop() == 0
        rest = server.process.stderr.read()

    assert asked == list(range(1000))
    assert "/last 404" in rest


def test_invalid_requests_are_logged_now_and_then() -> None:
    with attacked_server() as server:
        for _ in range(200):
            send_invalid(server)
        assert server.stop() == 0
        assert server.process.stderr is not None
        lines = [line for line in server.process.stderr.read().splitlines() if "invalid HTTP request from" in line]

    assert 1 <= len(lines) <= 60
