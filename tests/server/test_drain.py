"""SIGTERM: /ready fails first, then requests in flight finish, and only then the process ends."""

import signal
import socket
from collections.abc import Iterator

import httpx
import pytest
from store_processes import StoreProcess, store_world
from waiting import eventually


@pytest.fixture(params=[1, 2])
def server(request: pytest.FixtureRequest) -> Iterator[StoreProcess]:
    """A server with one or two worker processes that drains for two seconds."""
    with store_world("sqlite") as world:
        yield world.start("--drain", "2", "--workers", str(request.param))


def status_of(server: StoreProcess, path: str) -> int:
    """With a new connection, which any of the workers may accept; 0 if there is none."""
    try:
        return httpx.get(server.url + path, headers={"Authorization": "Bearer test"}, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def test_while_it_drains_a_server_is_not_ready_and_answers_all_the_same(server: StoreProcess) -> None:
    assert status_of(server, "/ready") == 200

    server.process.send_signal(signal.SIGTERM)

    eventually(lambda: status_of(server, "/ready") == 503, within=1.5)
    assert (status_of(server, "/health"), status_of(server, "/user")) == (200, 200)
    assert server.process.wait(15) == 0
    assert status_of(server, "/ready") == 0
    server.kill()


def test_a_second_signal_ends_the_drain() -> None:
    with store_world("memory") as world:
        server = world.start("--drain", "600")
        assert server.ask("GET", "/ready").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: status_of(server, "/ready") == 503)
        assert server.process.poll() is None

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(15) == 0
        server.kill()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_in_flight_finishes(workers: int) -> None:
    body = b'{"prompts": ["one"]}'
    head = (
        "POST /ai/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with store_world("sqlite") as world:
        server = world.start("--workers", str(workers))
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")

            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: status_of(server, "/ready") == 0)
            connection.sendall(body)

            assert connection.recv(1000).startswith(b"HTTP/1.1 202 ")
        assert server.process.wait(15) == 0
        server.kill()
