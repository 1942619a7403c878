"""Upstreams that misbehave: each connection gets the bytes that a test wrote down."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 20
"""Seconds after which a test that waits has failed."""

Answer = Callable[["Connection"], None]


class Connection:
    """One connection of a client, as a server without a library has it."""

    def __init__(self, wire: socket.socket) -> None:
        self.wire = wire
        self.head = b""
        self.body = b""

    def read_request(self) -> bool:
        """Read the head, and a body of stated length; returns whether there was one."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.wire.recv(65536)
            if not more:
                return False
            data += more
        self.head, _, self.body = data.partition(b"\r\n\r\n")
        length = next((int(v) for n, v in self.headers if n == b"content-length"), 0)
        while len(self.body) < length:
            self.body += self.wire.recv(65536)
        while self.is_chunked and not self.body.endswith(b"0\r\n\r\n"):
            self.body += self.wire.recv(65536)
        return True

    @property
    def is_chunked(self) -> bool:
        return (b"transfer-encoding", b"chunked") in self.headers

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")[1:]]
        return [(name.lower(), value.strip()) for name, _, value in lines]

    def send(self, *lines: bytes, body: bytes = b"") -> None:
        self.wire.sendall(b"\r\n".join((*lines, b"", b"")) + body)


class RawUpstream:
    """A server whose answers are bytes."""

    def __init__(self, listener: socket.socket, answer: Answer) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.requests: list[Connection] = []
        self.came = threading.Semaphore(0)
        """Released for each request."""
        self._listener = listener
        self._answer = answer
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        with suppress(OSError):
            while True:
                wire, _ = self._listener.accept()
                wire.settimeout(PATIENCE)
                self._threads.append(threading.Thread(target=self._serve, args=(wire,), daemon=True))
                self._threads[-1].start()

    def _serve(self, wire: socket.socket) -> None:
        with wire, suppress(OSError):
            while True:
                connection = Connection(wire)
                if not connection.read_request():
                    return
                self.requests.append(connection)
                self.came.release()
                self._answer(connection)


@contextmanager
def raw_upstream(answer: Answer) -> Iterator[RawUpstream]:
    """An upstream that runs while the block does; `answer` is called for each request, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = RawUpstream(listener, answer)
        thread = threading.Thread(target=upstream.run, daemon=True)
        thread.start()
        yield upstream
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(PATIENCE)


def answers(*lines: bytes, body: bytes = b"") -> Answer:
    """The same bytes for each request."""
    return lambda connection: connection.send(*lines, body=body)
