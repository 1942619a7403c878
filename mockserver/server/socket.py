"""The way in and out: a socket that listens, the file that tells others its port, and how answers are written."""

import asyncio
import errno
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mockserver.errors import MockServerError

BACKLOG = 2048


class ListenError(MockServerError):
    """The address cannot be listened on, or the port file cannot be written."""


class CoalescingTransport:
    """A transport that sends what is written at one go, as head and body of a response are, with one system call.

    The client is woken once instead of twice, which costs more than everything we do between the two.
    """

    __slots__ = ("_is_ending", "_loop", "_parts", "_send_seconds", "_transport", "is_disturbed")

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, send_seconds: float = 60.0
    ) -> None:
        """A peer that has not read what was written before the end is cut off `send_seconds` after it."""
        self._send_seconds = send_seconds
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self._is_ending = False
        self.is_disturbed = False
        """Whether a reply is on its way that may take as long as it likes: no end waits for it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def close(self) -> None:
        self._flush()
        was_closing = self._transport.is_closing()
        self._transport.close()
        if not was_closing and self._transport.get_write_buffer_size():
            self._loop.call_later(self._send_seconds, self._transport.abort)

    def finish(self, seconds: float) -> None:
        """Send what was written and nothing more, and give the peer so many seconds to read it.

        To close at once, while the peer still sends, would have its system throw away what it has not read.
        """
        self._flush()
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(seconds, self._transport.abort)

    def disturb(self) -> None:
        """Let a disturbed reply begin; where the server ends already, its connection is lost at once."""
        self.is_disturbed = True
        if self._is_ending:
            self._transport.abort()

    def end(self) -> None:
        """The server ends: wait for the reply that is on its way, unless it is a disturbed one."""
        self._is_ending = True
        if self.is_disturbed:
            self._transport.abort()

    def _flush(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


def open_files() -> int:
    """How many files and connections this process may have open."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return most if most != resource.RLIM_INFINITY else sys.maxsize


def raise_open_files() -> None:
    """Have the process allowed as many as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on the host's first address, IPv4 where it has both; `::` takes clients of both kinds."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = min(found, key=lambda info: info[0] != socket.AF_INET)
        both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        return socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=both)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on port {port} of {host!r}: {_format_os_error(error)}") from error


@contextmanager
def port_file(path: str, port: int) -> Iterator[None]:
    """The file appears whole, and goes when the server does: nobody reads half a port, or that of an earlier run."""
    if not path:
        yield
        return
    target = Path(path)
    if target.exists() and not target.is_file():  # a pipe or a device, which is not to be replaced by a file
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
