"""A client of few microseconds: one kept connection, one question at a time, so that what is measured is the server."""

import socket
from types import TracebackType
from typing import NamedTuple, Self

TOKEN = "bench"


class Answer(NamedTuple):
    status: int
    body: bytes
    """Empty where the answer gives no Content-Length: then only its status is of interest."""


def question(method: str, target: str, *, token: str = TOKEN, body: bytes = b"") -> bytes:
    """The bytes of a request, so that they are put together before the watch runs."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection:
    def __init__(self, port: int, *, timeout: float = 10.0) -> None:
        self.port = port
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> Answer:
        """Send one request and wait for its answer; raises OSError when the server hangs up first."""
        self._socket.sendall(request)
        head, _, body = self._receive_until(b"\r\n\r\n").partition(b"\r\n\r\n")
        missing = content_length(head) - len(body)
        while missing > 0:
            part = self._receive()
            body += part
            missing -= len(part)
        return Answer(int(head[9:12]), body)

    def _receive_until(self, end: bytes) -> bytes:
        received = self._receive()
        while end not in received:
            received += self._receive()
        return received

    def _receive(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionResetError("the server closed the connection before it had answered")
        return part


def content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0
