"""The listening socket, the port file, and the transport that writes responses."""

import asyncio
import errno
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mockserver.errors import MockServerError

BACKLOG = 2048
ACCEPTED_AT_ONCE = 16
"""The most connections that are accepted in one round of the event loop. libuv accepts one for each listening socket:
behind a hundred clients with costly requests, a new client would wait for the responses to all of them.
"""


class ListenError(MockServerError):
    """The address is not available, or the port file cannot be written."""


class PendingWrites:
    """The transports with unsent data; one callback of the event loop sends the data of all of them."""

    def __init__(self) -> None:
        self._waiting: list[CoalescingTransport] = []

    def add(self, transport: "CoalescingTransport", loop: asyncio.AbstractEventLoop) -> None:
        """Send the transport's data after this round of the loop."""
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.append(transport)

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.flush()


class CoalescingTransport:
    """A transport that combines the writes of one loop iteration, such as a response's head and body, into one system
    call.

    The client wakes once instead of twice, which saves more time than the engine takes.
    """

    __slots__ = (
        "_is_ending", "_loop", "_send_seconds", "_transport", "_writes",
        "is_closing", "is_disturbed", "parts", "when_lost",
    )  # fmt: skip

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        send_seconds: float = 60.0,
        writes: PendingWrites | None = None,
    ) -> None:
        """A peer that does not read what was written before the end is disconnected after `send_seconds`.

        `writes` is shared by all connections of the loop.
        """
        self._writes = writes or PendingWrites()
        self._send_seconds = send_seconds
        self._transport = transport
        self.is_closing: Callable[[], bool] = transport.is_closing
        self._loop = loop
        self.parts: list[bytes] = []
        """Data that waits for the end of this round of the loop."""
        self._is_ending = False
        self.is_disturbed = False
        """Whether a disturbed response is being sent, which a shutdown does not wait for."""
        self.when_lost: Callable[[], None] | None = None
        """Called once when the connection is lost, by the protocol."""

    # A `__getattr__` for these would slow down every access to an attribute.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = self._transport.get_extra_info(name)
        return default if found is None else found

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        self._transport.abort()

    def write(self, data: bytes) -> None:
        if not self.parts:
            self._writes.add(self, self._loop)
        self.parts.append(data)

    def send(self, data: bytes) -> None:
        """Send at once what was written before, and this data."""
        if self.parts:
            self.parts.append(data)
            self.flush()
        elif not self.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        was_closing = self._transport.is_closing()
        self._transport.close()
        if not was_closing and self._transport.get_write_buffer_size():
            self._loop.call_later(self._send_seconds, self._transport.abort)

    def finish(self, seconds: float) -> None:
        """Send what was written, and give the peer that many seconds to read it.

        Closing at once, while the peer still sends, would make its system discard unread data.
        """
        self.flush()
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(seconds, self._transport.abort)

    def disturb(self) -> None:
        """Begin a disturbed response; if the server is stopping, the connection is closed at once."""
        self.is_disturbed = True
        if self._is_ending:
            self._transport.abort()

    def end(self) -> None:
        """The server stops: wait for the running response, unless it is disturbed."""
        self._is_ending = True
        if self.is_disturbed:
            self._transport.abort()

    def flush(self) -> None:
        """Send what was written."""
        parts, self.parts = self.parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


def open_files() -> int:
    """The number of files and connections that this process may open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if most != resource.RLIM_INFINITY else sys.maxsize


def raise_open_files() -> None:
    """Raise that limit as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def accepting_many(listener: socket.socket) -> Iterator[list[socket.socket]]:
    """The listening socket with copies of it, each of which accepts a connection in a round of the event loop."""
    copies = [listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1)]
    try:
        yield [listener, *copies]
    finally:
        for each in copies:
            each.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on the host's first address, preferring IPv4; `::` accepts both IPv4 and IPv6."""
    try:
        # Of a name that is not bytes, Python imports the rules for names in other scripts.
        name = host.encode() if host.isascii() and ".." not in host else host
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on port {port} of {host!r}: {_format_os_error(error)}") from error


@contextmanager
def port_file(path: str, port: int) -> Iterator[None]:
    """Writes the port file atomically, and removes it at the end."""
    if not path:
        yield
        return
    target = Path(path)
    if target.exists() and not target.is_file():  # a pipe or a device, which must not be replaced by a file
        try:
            target.write_text(f"{port}\n")
        except OSError as error:
            raise ListenError(f"{path}: the port file cannot be written: {_format_os_error(error)}") from error
        yield
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.write_text(f"{port}\n")
        draft.replace(target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ListenError(f"{path}: the port file cannot be written: {_format_os_error(error)}") from error
    try:
        yield
    finally:
        with suppress(OSError):
            target.unlink(missing_ok=True)


def _format_os_error(error: OSError | UnicodeError) -> str:
    number = getattr(error, "errno", None) or 0
    if number == errno.EADDRINUSE:
        return "the port is taken; choose another with --port, or --port 0 for a free one"
    return os.strerror(number) if number > 0 else str(error)
