"""A receiver of callbacks on loopback with configured responses; a test can wait for requests."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import orjson

PATIENCE = 20
"""Seconds after which a test that waits has failed."""
DELIVERY_THREADS = "mockserver-dispatcher"
"""The name of the threads that send callbacks."""


class Told(NamedTuple):
    path: str
    headers: dict[str, str]
    value: Any
    method: str = "POST"


class Receiver:
    """Answers with these statuses one after another, and with the last of them from then on."""

    def __init__(self, statuses: Sequence[int], location: str) -> None:
        self._statuses = list(statuses)
        self._location = location
        self._told: SimpleQueue[Told] = SimpleQueue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                # Before the answer: once the sender has that, it may send what comes next.
                receiver._told.put(Told(self.path, headers, orjson.loads(body or b"null"), self.command))
                self.send_response(receiver.next_status())
                self.send_header("Location", receiver._location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815  of one who follows a redirect
            do_PUT = do_POST  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def next_status(self) -> int:
        return self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    def wait(self) -> Told:
        """What comes next."""
        return self._told.get(timeout=PATIENCE)

    def is_left_alone(self) -> bool:
        """Whether nothing has come that was not waited for."""
        try:
            self._told.get_nowait()
        except Empty:
            return True
        return False


def join_deliveries() -> None:
    """Wait until all threads that send callbacks have ended."""
    for thread in threading.enumerate():
        if thread.name == DELIVERY_THREADS:
            thread.join(PATIENCE)


@contextmanager
def receiving(*statuses: int, location: str = "/elsewhere") -> Iterator[Receiver]:
    receiver = Receiver(statuses or (200,), location)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@contextmanager
def listening() -> Iterator[socket.socket]:
    """A socket that somebody may connect to, and that is nobody's until a test accepts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections. It is bound all the while, or another process might listen on it."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
