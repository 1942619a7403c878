"""The processes that render templates: at most two, started on demand, replaced when one ends."""

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from select import select
from typing import Any

import orjson

from mockserver.providers.agilecloud.prompts.problems import TOO_MUCH
from mockserver.providers.agilecloud.prompts.renderer import CPU_SECONDS, read_message, write_message
from mockserver.workers import checkpoint

MAX_PROCESSES = 2
PATIENCE = 20 * CPU_SECONDS
"""The timeout of a response on Windows, in seconds. Elsewhere a process limits its own CPU time."""
LOOK = 0.01
"""Seconds between two looks at whether the server stops, or other work waits."""
_MODULE = "mockserver.providers.agilecloud.prompts.renderer"
_FAILED = orjson.dumps({"kind": "too_much", "message": TOO_MUCH, "is_costly": True})


class _Pool:
    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(MAX_PROCESSES)
        self._batch_turn = threading.BoundedSemaphore(1)
        self._idle: list[subprocess.Popen[bytes]] = []

    def ask(self, request: bytes, *, is_batch: bool = False) -> bytes:
        """The reply of a process; `too_much` if the process ended instead. Batches use one of the processes only.

        While it waits, other work of the worker threads runs; raises WorkStopped when the server stops.
        """
        with _turn(self._batch_turn) if is_batch else nullcontext(), _turn(self._turns):
            process = self._idle.pop() if self._idle else _start()
            reply = b""
            try:
                reply = _exchange(process, request)
            finally:
                if reply:
                    self._idle.append(process)
                else:
                    _end(process)
        return reply or _FAILED

    def close(self) -> None:
        """End the idle processes."""
        while self._idle:
            _end(self._idle.pop())


@contextmanager
def _turn(turns: threading.Semaphore) -> Iterator[None]:
    while not turns.acquire(timeout=LOOK):
        checkpoint()
    try:
        yield
    finally:
        turns.release()


def _start() -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    options: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", _MODULE], env=environment, **options)  # noqa: S603  our own module


def _exchange(process: "subprocess.Popen[bytes]", request: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(PATIENCE, process.kill) if sys.platform == "win32" else None
    if timer:
        timer.start()
    try:
        write_message(process.stdin, request)
        while sys.platform != "win32" and not select([process.stdout], [], [], LOOK)[0]:
            checkpoint()
        return read_message(process.stdout)
    except OSError:  # it ended while it was written to
        return b""
    finally:
        if timer:
            timer.cancel()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        try:
            if stream is not None:
                stream.close()
        except OSError:  # data that could not be written
            continue
    process.wait()


_pool = _Pool()
ask = _pool.ask
atexit.register(_pool.close)
