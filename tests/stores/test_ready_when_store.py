"""`--ready-when-store`: /ready asks the store, so that it fails even if no request has shown that the store is gone."""

import signal
from collections.abc import Iterator

import pytest
from store_processes import StoreProcess
from store_servers import RedisServer, redis_server
from waiting import eventually


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    redis_server()  # which skips the test where there is none
    server = RedisServer()
    yield server
    server.remove()


def test_ready_fails_while_the_store_hangs_and_recovers(own_redis: RedisServer, tmp_path: object) -> None:
    server = StoreProcess(str(tmp_path), own_redis.new_url(), "--ready-when-store")
    try:
        assert server.ask("GET", "/ready").status_code == 200
        assert own_redis.process is not None
        own_redis.process.send_signal(signal.SIGSTOP)

        gone = server.ask("GET", "/ready")

        assert (gone.status_code, gone.headers["retry-after"]) == (503, "1")
        assert server.ask("GET", "/health").status_code == 200
        assert server.ask("POST", "/ready").status_code == 405
        own_redis.process.send_signal(signal.SIGCONT)
        eventually(lambda: server.ask("GET", "/ready").status_code == 200)
    finally:
        server.kill()
