"""Writes log lines without ever waiting for the reader of standard error."""

import asyncio
import logging
import os
import select
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO

from mockserver.server.log_format import JsonFormatter, LineFormatter
from mockserver.settings.table import Settings

# A line is written at once if the descriptor takes it, as it nearly always does: a pipe that poll reports as writable
# takes PIPE_BUF bytes without blocking. Other lines are queued, and a thread writes them. The thread does not use the
# stream's own buffer: a thread that waits inside it would keep the interpreter from ending.

MAX_QUEUED = 1024 * 1024
"""The most bytes of queued lines; further ones are dropped and counted."""
LOGGER = "mockserver"
FLUSH_SECONDS = 1.0
"""How long the end of the process waits for queued lines to be read."""
DROPPED = "%d log lines were dropped, because standard error was not read"


class LogOutput(logging.Handler):
    """Writes to a stream's descriptor, or through a thread while the reader is behind."""

    def __init__(self, stream: IO[str]) -> None:
        """Raises OSError or ValueError for a stream without a descriptor."""
        self._descriptor = stream.fileno()
        super().__init__()  # from now on, the end of the process flushes it
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLOUT)
        self._queue: deque[bytes] = deque()
        self._queued = self._dropped = 0
        self._is_writing = False
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self._line(record)
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            if self._is_writing or self._queue or not self._is_written(line):
                self._put(line)

    def flush(self) -> None:
        """Wait until queued lines are read, for FLUSH_SECONDS at most."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._queue or self._is_writing), FLUSH_SECONDS)

    def _line(self, record: logging.LogRecord) -> bytes:
        return (self.format(record) + "\n").encode(errors="backslashreplace")

    def _is_written(self, line: bytes) -> bool:
        """Whether the line could be written without waiting; a descriptor with an error takes all."""
        if len(line) > select.PIPE_BUF or not self._poll.poll(0):
            return False
        with suppress(OSError):  # its reader is gone, or the disk is full
            os.write(self._descriptor, line)
        return True

    def _put(self, line: bytes) -> None:
        if self._queued + len(line) > MAX_QUEUED:
            self._dropped += 1
            return
        self._queue.append(line)
        self._queued += len(line)
        if not self._is_writing:
            self._is_writing = True
            try:
                threading.Thread(target=self._write_queued, name="mockserver-log", daemon=True).start()
            except RuntimeError:  # no more threads are available: the next line tries again
                self._is_writing = False

    def _write_queued(self) -> None:
        while (lines := self._take()) is not None:
            with suppress(OSError):
                while lines:
                    lines = lines[os.write(self._descriptor, lines) :]

    def _take(self) -> bytes | None:
        """The queued lines; None if there are none, and the thread should end."""
        with self._changed:
            lines, dropped = b"".join(self._queue), self._dropped
            self._queue.clear()
            self._queued = self._dropped = 0
            if dropped:
                lines += self._line(logging.LogRecord(LOGGER, logging.WARNING, "", 0, DROPPED, (dropped,), None))
            if not lines:
                self._is_writing = False
                self._changed.notify_all()
                return None
            return lines


class Throttle:
    """Lets `most` messages through in each period of `seconds`, and counts the others."""

    def __init__(self, most: int = 20, seconds: float = 10.0) -> None:
        self._most, self._seconds = most, seconds
        self._begun = -seconds
        self._count = self._left_out = 0

    def note(self) -> int | None:
        """The number of messages left out since the last one; None if this one is left out, too."""
        now = time.monotonic()
        if now - self._begun >= self._seconds:
            self._begun, self._count = now, 0
        self._count += 1
        if self._count > self._most:
            self._left_out += 1
            return None
        left_out, self._left_out = self._left_out, 0
        return left_out


def set_up_logging(settings: Settings) -> None:
    """Log to standard error in the configured format."""
    handler: logging.Handler
    try:
        handler = LogOutput(sys.stderr)
    except (AttributeError, OSError, ValueError):  # there is no standard error
        handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else LineFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger("mockserver").setLevel(settings.log_level.upper())


def is_no_cut(record: logging.LogRecord) -> bool:
    """Hides the traceback of a request that was cut because the server stops."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
