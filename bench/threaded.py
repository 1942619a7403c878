"""Starts and stops servers in a thread of this process, and prints as JSON how many milliseconds each took to stop."""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Thread
from time import perf_counter
from urllib.parse import urlsplit

from bench.client import Connection, question
from bench.references import open_socket, server_of, starlette_app


@contextmanager
def ours() -> Iterator[str]:
    # By name: an import of ours at the top would make every `python -m bench.threaded` fail without saying on what.
    settings = importlib.import_module("mockserver.settings.table").Settings(port=0, seed="bench")
    with importlib.import_module("mockserver.server.process").ThreadedServer(settings) as server:
        yield server.url


@contextmanager
def uvicorns_own() -> Iterator[str]:
    """(c) in a thread, stopped as uvicorn can be: by a flag that its loop looks at now and then."""
    listening = open_socket()
    server = server_of(starlette_app(), lifespan=True)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    listening.listen()
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def milliseconds_to_stop(served: AbstractContextManager[str], path: str, *, connected: bool) -> float:
    with ExitStack() as stack:
        url = stack.enter_context(served)
        port = urlsplit(url).port or 0
        with ExitStack() as clients:
            connection = clients.enter_context(Connection(port))
            status = connection.ask(question("GET", path)).status
            if status != 200:
                raise SystemExit(f"GET {url}{path} was answered with {status}")
            if not connected:
                clients.close()
            started = perf_counter()
            stack.close()
            taken = (perf_counter() - started) * 1000
    if is_open(port):
        raise SystemExit(f"{url} still takes connections after it was stopped")
    return taken


def is_open(port: int) -> bool:
    try:
        Connection(port, timeout=1).close()
    except OSError:
        return False
    return True


def main(times: int) -> None:
    samples: dict[str, list[float]] = {"idle": [], "connected": [], "uvicorn": []}
    for _ in range(times + 1):
        samples["idle"].append(milliseconds_to_stop(ours(), "/ready", connected=False))
        samples["connected"].append(milliseconds_to_stop(ours(), "/ready", connected=True))
        samples["uvicorn"].append(milliseconds_to_stop(uvicorns_own(), "/ai/batches", connected=False))
    print(json.dumps({key: taken[1:] for key, taken in samples.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
