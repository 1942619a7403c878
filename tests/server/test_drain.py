"""SIGTERM: /ready fails first, then requests in flight finish, and only then the process ends."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from store_processes import StoreProcess, store_world
from waiting import eventually

SLOW = {"operation": "getUser", "fault": {"type": "latency", "seconds": 1.0}, "times": 4}


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
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: status_of(server, "/ready") == 503)
        assert server.process.poll() is None

        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(15) == 0
        server.kill()


def recorded(server: StoreProcess) -> int:
    """The number of exchanges in the sandbox; one is recorded before its response is delayed."""
    answer = server.ask("POST", "/__admin/requests/count", params={"sandbox": "test"}, json={})
    return int(answer.json()["count"])


@pytest.mark.parametrize("workers", [1, 2])
def test_requests_in_flight_finish(workers: int) -> None:
    with store_world("sqlite") as world:
        server = world.start("--workers", str(workers))
        answer = server.ask("POST", "/__admin/next", params={"sandbox": "test"}, json=SLOW)
        assert answer.status_code == 200, answer.text
        with ThreadPoolExecutor(4) as clients:
            answers = [clients.submit(status_of, server, "/user") for _ in range(4)]
            eventually(lambda: recorded(server) == 4)

            assert server.stop() == 0

        assert [each.result() for each in answers] == [200] * 4
