"""The threads that deliver callbacks: how many there are, and which sandbox and which receiver is next."""

import logging
from collections import deque
from collections.abc import Callable
from threading import Lock, Thread
from urllib.parse import urlsplit

from mockserver.web.callbacks.addresses import is_local, is_loopback_name

MAX_WORKERS = 16
"""The most deliveries at a time, each for another sandbox."""
MAX_PER_RECEIVER = 12
"""The most of them to one receiver, so that others are called while it does not answer."""

_log = logging.getLogger("mockserver")


class KeyedExecutor:
    """Runs work in threads: that of one lane in sequence, that of different lanes in parallel.

    Each piece of work calls a receiver. Receivers take turns, and one has at most MAX_PER_RECEIVER threads: a receiver
    that does not answer keeps each of its threads for as long as an attempt may take.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._lanes: dict[str, deque[tuple[str, Callable[[], None]]]] = {}
        """All lanes that have work, each piece with its receiver. The first piece is waiting or running."""
        self._waiting: dict[str, deque[str]] = {}
        """By receiver, the lanes whose first piece waits to call it."""
        self._running: dict[str, int] = {}
        """By receiver, the threads that call it."""
        self._turns: deque[str] = deque()
        """The receivers for which lanes wait and which may have another thread, in the order of their turns."""
        self._threads = 0
        """Threads that run, or are about to start."""

    def add(self, lane: str, work: Callable[[], None], receiver: str = "") -> None:
        """Run the work after the lane's earlier work. Without a receiver the lane is its own."""
        piece = receiver or f"\0{lane}", work
        with self._lock:
            if lane in self._lanes:
                self._lanes[lane].append(piece)
                return
            self._lanes[lane] = deque([piece])
            self._wait(lane)
            is_reserved = self._reserve_thread()
        if is_reserved:
            self._start()

    def _start(self) -> None:
        # A daemon, so that the process can end without waiting for a slow receiver.
        Thread(target=self._run_lanes, name="mockserver-dispatcher", daemon=True).start()

    def _reserve_thread(self) -> bool:
        """Whether another thread should be started; it is counted from now on."""
        is_reserved = bool(self._turns) and self._threads < MAX_WORKERS
        self._threads += is_reserved
        return is_reserved

    def _run_lanes(self) -> None:
        while (lane := self._take()) is not None:
            try:
                lane[1]()
            except Exception:
                _log.exception("the callback dispatcher met a bug in mockserver")
            finally:
                self._give_back(lane[0])

    def _take(self) -> tuple[str, Callable[[], None]] | None:
        with self._lock:
            if not self._turns:
                self._threads -= 1
                return None
            receiver = self._turns.popleft()
            lanes = self._waiting[receiver]
            lane = lanes.popleft()
            running = self._running[receiver] = self._running.get(receiver, 0) + 1
            if not lanes:
                del self._waiting[receiver]
            elif running < MAX_PER_RECEIVER:
                self._turns.append(receiver)
            work = self._lanes[lane][0][1]
            is_reserved = self._reserve_thread()
        if is_reserved:
            self._start()
        return lane, work

    def _wait(self, lane: str) -> None:
        """Have the lane wait for a thread."""
        receiver = self._lanes[lane][0][0]
        lanes = self._waiting.setdefault(receiver, deque())
        lanes.append(lane)
        if len(lanes) == 1 and self._running.get(receiver, 0) < MAX_PER_RECEIVER:
            self._turns.append(receiver)

    def _give_back(self, lane: str) -> None:
        with self._lock:
            receiver = self._lanes[lane].popleft()[0]
            running = self._running.pop(receiver) - 1
            if running:
                self._running[receiver] = running
            if running == MAX_PER_RECEIVER - 1 and receiver in self._waiting:
                self._turns.append(receiver)
            if self._lanes[lane]:
                self._wait(lane)
            else:
                del self._lanes[lane]


def receiver_of(target: str) -> str:
    """What keeps a thread while it does not answer: a port of this machine, another host with its port, or the queues.

    The names and addresses of this machine are one receiver, since a port often listens on all of them.
    """
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return target
    if not host:
        return parts.scheme
    return f"{'' if is_local(host) or is_loopback_name(host) else host}:{port or parts.scheme}"
