"""Several worker processes on one listening socket: starts them, replaces those that end, and stops them.

Each worker is forked before anything is built, and builds its own engine. It reports through a pipe: one line when it
answers, or the error that prevents it. Workers wait at the other end of a second pipe, which closes with the parent, so
that they end even if the parent is killed.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from mockserver.errors import MockServerError, SettingsError
from mockserver.settings.table import Settings

READY = b"ready\n"
LAST = 10.0
"""Seconds after a signal when workers that have not ended are killed."""
PAUSE = 0.5
"""Seconds before a worker that has ended is replaced."""
MAX_REPORT = 4096


class WorkerError(MockServerError):
    """A worker could not start; says why."""


class _Worker(NamedTuple):
    pid: int
    report: int
    """The pipe that it writes to."""


class Supervisor:
    """The worker processes."""

    def __init__(
        self, run: Callable[[socket.socket, Callable[[], None], int], int], listener: socket.socket, drain: float = 0.0
    ) -> None:
        """`run` serves until SIGTERM, calls a function when it answers, and stops when a descriptor is closed.

        `drain` are the seconds that workers go on to serve after the signal.
        """
        self._patience = LAST + drain
        self._run = run
        self._listener = listener
        self._workers: dict[int, _Worker] = {}
        self._life = os.pipe()
        self._told: set[int] = set()
        """Workers that have had a signal; a second one would cut off their requests in flight."""
        self._has_stopped = False

    def run(self, count: int, when_ready: Callable[[], None]) -> int:
        """Start that many workers and serve; returns the exit code. Raises WorkerError if one cannot start."""
        with _on_signals(self._stop):
            try:
                for worker in [self._start() for _ in range(count)]:
                    self._await_ready(worker)
                if not self._has_stopped:
                    when_ready()
                self._watch()
            finally:
                self._end_all()
        return 0

    def _start(self) -> _Worker:
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            os.close(self._life[1])
            for each in self._workers.values():
                with suppress(OSError):
                    os.close(each.report)
            self._work(writer)
        os.close(writer)
        worker = self._workers[pid] = _Worker(pid, reader)
        return worker

    def _work(self, report: int) -> None:
        """Serve in the child process, which ends here."""
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            code = self._run(self._listener, lambda: _tell(report, READY), self._life[0])
        except MockServerError as error:
            _tell(report, f"{error}\n".encode("utf-8", "replace"))
            code = 3
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    stream.flush()
            os._exit(code)

    def _await_ready(self, worker: _Worker) -> None:
        said = b""
        while not said.endswith(b"\n") and not self._has_stopped:
            if select.select([worker.report], [], [], PAUSE)[0]:
                part = os.read(worker.report, MAX_REPORT)
                if not part:
                    break
                said += part
        if said != READY and not self._has_stopped:
            raise WorkerError(said.decode("utf-8", "replace").strip() or "a worker process ended while it started")

    def _watch(self) -> None:
        """Replace workers that end, until a signal comes."""
        while not self._has_stopped:
            pid = _ended()
            if pid is None:
                _pause(PAUSE)
            elif pid in self._workers:
                os.close(self._workers.pop(pid).report)
                if not self._has_stopped:
                    sys.stderr.write(f"mockserver: worker {pid} has ended; another one is started\n")
                    _pause(PAUSE)
                if not self._has_stopped:
                    self._start()

    def _stop(self) -> None:
        """Called again, it ends the requests in flight of those that stop already."""
        self._has_stopped = True
        for pid in list(self._workers):
            self._told.add(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _end_all(self) -> None:
        """Stop the workers, and kill those that take too long."""
        self._has_stopped = True
        self._listener.close()  # held open here, new connections would wait for workers that accept none
        for untold in self._workers.keys() - self._told:
            with suppress(ProcessLookupError):
                os.kill(untold, signal.SIGTERM)
        end = time.monotonic() + self._patience
        while self._workers:
            pid = _ended()
            if pid is not None:
                self._workers.pop(pid, None)
            elif time.monotonic() < end:
                _pause(0.01)
            else:
                for each in self._workers:
                    with suppress(ProcessLookupError):
                        os.kill(each, signal.SIGKILL)


def when_closed(descriptor: int, action: Callable[[], None]) -> None:
    """Call the action in a thread when the other end of a pipe is closed: when the parent process is gone."""

    def wait() -> None:
        if not os.read(descriptor, 1):
            action()

    threading.Thread(target=wait, name="mockserver-parent", daemon=True).start()


def check_workers(settings: Settings) -> None:
    """Raises SettingsError for more workers than the other settings allow."""
    count = settings.workers
    if count > 1 and settings.store == "memory":
        raise SettingsError(
            f"workers: {count} processes need a store that they share; the store 'memory' is that of one process. Name "
            "one in --store (sqlite:///ABSOLUTE/PATH.db or redis://HOST:PORT/DB)"
        )
    if count > 1 and not hasattr(os, "fork"):
        raise SettingsError(f"workers: {count} processes on one port need an operating system with fork")
    if settings.watch and (count > 1 or settings.store != "memory"):
        raise SettingsError("watch: documents and fixtures cannot change while other processes may use the store")


def _ended() -> int | None:
    """The process id of a child that has ended; None if there is none."""
    try:
        pid, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return pid or None


def _pause(seconds: float) -> None:
    """Wait, but not longer than until a signal comes."""
    with suppress(InterruptedError):
        select.select([], [], [], seconds)


def _tell(report: int, line: bytes) -> None:
    with suppress(OSError):
        os.write(report, line[:MAX_REPORT])


@contextmanager
def _on_signals(action: Callable[[], None]) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: action()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
