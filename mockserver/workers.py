"""Worker threads for long work: requests of one sandbox in sequence, sandboxes in turn.

A lane is a queue of work that must not run concurrently: a sandbox's requests. Lanes that have work take turns (round
robin), so a lane with thousands of waiting requests delays another one by at most one piece of work. Waiting work is a
queue entry, never a thread.

Threads share one interpreter lock, so more than RUNNING of them at once would only slow down the event loop. Work needs
a slot to run; at a `checkpoint` it gives its slot to waiting work, new work first. Work without checkpoints keeps its
slot; if no slot is released for SLOT_WAIT, new work runs without one, one piece at a time.

Threads are daemons, which an ending process does not join. `stop` ends each running piece of work at its next
checkpoint.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

MAX_THREADS = 64
"""The most threads of a pool: pieces of work that have begun and not ended, including paused ones."""
MAX_WAITING = 2000
"""The most pieces of work that wait in one lane."""
RUNNING = 2
"""The pieces of work that run at the same time."""
SLICE = 0.01
"""Seconds after which work releases its slot at its next checkpoint."""
SLOT_WAIT = 0.05
"""Seconds without a released slot after which one piece of new work runs without one."""
IDLE = 10.0
"""Seconds after which an idle thread ends."""

_Result = TypeVar("_Result")
_log = logging.getLogger("mockserver")


class WorkStopped(BaseException):
    """Raised by `checkpoint` when the server stops. Not an Exception, so that no handler catches it."""


class LaneFull(Exception):
    """The lane already has MAX_WAITING waiting pieces of work."""


class Pending(Future[_Result]):
    """The result of work that was submitted."""

    is_abandoned = False

    def abandon(self) -> None:
        """Drop waiting work, and end running work at its next checkpoint."""
        self.is_abandoned = True
        self.cancel()


class _Current(threading.local):
    """The thread's current work; None in threads that are not a pool's."""

    pool: "Workers | None" = None
    pending: "Pending[Any] | None" = None
    since = 0.0
    """When the work got its slot, in seconds of the monotonic clock."""
    has_slot = False


_current = _Current()


def checkpoint() -> None:
    """Call this between parts of long work: raises WorkStopped when the server stops, and lets other work run."""
    pool = _current.pool
    if pool is not None:
        pool.pause()


class _Slots:
    """RUNNING slots, given in order: to new work first, every other time to paused work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = RUNNING
        self._new: deque[threading.Event] = deque()
        self._paused: deque[threading.Event] = deque()
        self._is_turn_of_paused = False
        self._moved = 0.0
        """When a slot was last given, or new work ran without one."""

    @property
    def is_wanted(self) -> bool:
        return bool(self._new or self._paused)

    def take(self, *, is_new: bool) -> bool:
        """Wait for a slot; returns whether there was one. Only new work stops waiting."""
        queue = self._new if is_new else self._paused
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            called = threading.Event()
            queue.append(called)
        while not called.wait(SLOT_WAIT if is_new else None):
            with self._lock:
                if called.is_set():  # just now
                    return True
                if queue[0] is called and time.monotonic() - self._moved >= SLOT_WAIT:
                    self._moved = time.monotonic()
                    queue.popleft()
                    return False
        return True

    def give(self) -> None:
        """Pass the slot on."""
        with self._lock:
            self._moved = time.monotonic()
            first, second = (self._paused, self._new) if self._is_turn_of_paused else (self._new, self._paused)
            queue = first or second
            if not queue:
                self._free += 1
                return
            self._is_turn_of_paused = queue is self._new
            queue.popleft().set()


class _Work:
    """One piece of work."""

    __slots__ = ("action", "future", "lane")

    def __init__(self, lane: str, action: Callable[[], Any]) -> None:
        self.lane = lane
        self.action = action
        self.future: Pending[Any] = Pending()

    def release(self) -> None:
        """Drop action and result: the future's callbacks reference this object, which would be a cycle."""
        del self.action, self.future


def _run(future: "Future[Any]", action: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = action()
    except WorkStopped:
        future.set_exception(ConnectionResetError("the work was stopped"))
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
    finally:
        del future, action  # an exception's traceback would keep them, and the future the exception


class Workers:
    """A pool of threads; see the module. All methods may be called from any thread."""

    def __init__(self, name: str = "mockserver-worker", *, threads: int = MAX_THREADS) -> None:
        self.lanes: dict[str, OrderedDict[_Work, None]] = {}
        """The lanes that have work, with their waiting work."""
        self.is_stopping = False
        self._name = name
        self._most = threads
        self._lock = threading.Lock()
        self._is_ready = threading.Condition(self._lock)
        self._has_ended = threading.Condition(self._lock)
        self._ready: deque[str] = deque()
        """Lanes that have waiting work and no running work."""
        self._threads = self._idle = self._busy = 0
        self._is_growing = False
        """Whether a thread is being started by another."""
        self._slots = _Slots()

    def submit(self, lane: str, action: Callable[[], _Result]) -> "Pending[_Result]":
        """Run the action after the lane's earlier work; raises LaneFull. Cancelling the future drops waiting work."""
        work = _Work(lane, action)
        future = work.future  # once it is in the queue, a thread may finish and release it at any time
        with self._lock:
            if self.is_stopping:
                future.cancel()
                return future
            waiting = self.lanes.get(lane)
            if waiting is None:
                waiting = self.lanes[lane] = OrderedDict()
                self._make_ready(lane)
            elif len(waiting) >= MAX_WAITING:
                raise LaneFull(f"{MAX_WAITING} requests wait already")
            waiting[work] = None
        future.add_done_callback(lambda done: self._drop(work) if done.cancelled() else None)
        return future

    async def run(self, lane: str, action: Callable[[], _Result]) -> _Result:
        """The action's result; raises LaneFull. Dropped if the waiting task is cancelled before it began."""
        return await asyncio.wrap_future(self.submit(lane, action))

    def pause(self) -> None:
        """Implements `checkpoint` in a thread of this pool."""
        if self.is_stopping or (_current.pending is not None and _current.pending.is_abandoned):
            raise WorkStopped
        is_alone = _current.has_slot and not self._slots.is_wanted
        if not is_alone and time.monotonic() - _current.since > SLICE:
            if _current.has_slot:
                self._slots.give()
            _current.has_slot = self._slots.take(is_new=False)
            _current.since = time.monotonic()
            if self.is_stopping:
                raise WorkStopped

    def stop(self, within: float = 0.0) -> bool:
        """Drop waiting work, and end running work at its next checkpoint; returns whether all ended in that time."""
        with self._lock:
            self.is_stopping = True
            waiting = [work.future for lane in self.lanes.values() for work in lane]
            self._is_ready.notify_all()
        for future in waiting:
            future.cancel()
        with self._lock:
            return self._has_ended.wait_for(lambda: not self._busy, within)

    def _make_ready(self, lane: str) -> None:
        self._ready.append(lane)
        if self._idle:
            self._is_ready.notify()
        elif not self._threads:  # else one is being started, or all run already
            try:
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            except RuntimeError:
                self._ready.remove(lane)
                del self.lanes[lane]
                raise LaneFull("the system has no thread to spare") from None
            self._threads += 1

    def _add_spare(self) -> None:
        """Start another thread unless one is idle. Called by threads that begin work, since it would block the event
        loop: a thread starts only when it gets the interpreter lock, and all that compute may have it before.
        """
        with self._lock:
            if self._idle or self._is_growing or self._threads >= self._most or self.is_stopping:
                return
            self._is_growing = True
            self._threads += 1
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError:  # no more threads are available: the existing ones do it later
            with self._lock:
                self._is_growing = False
                self._threads -= 1

    def _drop(self, work: _Work) -> None:
        with self._lock:
            waiting = self.lanes.get(work.lane)
            if waiting is not None and waiting.pop(work, work) is None:  # an empty lane is removed at its turn
                work.release()

    def _work(self) -> None:
        _current.pool = self
        self._is_growing = False
        lane: str | None = None
        while (work := self._next(lane)) is not None:
            self._add_spare()
            lane, _current.pending = work.lane, work.future
            _current.has_slot = self._slots.take(is_new=True)
            _current.since = time.monotonic()
            try:
                _run(work.future, work.action)
            except Exception:
                _log.exception("a worker met a bug in mockserver")
            finally:
                if _current.has_slot:
                    self._slots.give()
            work.release()
            work = _current.pending = None

    def _next(self, done: str | None) -> _Work | None:
        """The next work, for a thread that has just worked for the lane `done`; None if the thread should end."""
        with self._lock:
            if done is not None:
                self._busy -= 1
                self._leave(done)
                self._has_ended.notify_all()
            while True:
                while self._ready:
                    lane = self._ready.popleft()
                    if self.lanes[lane]:
                        self._busy += 1
                        return self.lanes[lane].popitem(last=False)[0]
                    del self.lanes[lane]
                is_called = not self.is_stopping and self._wait()
                is_last_spare = self._busy and not self._idle and not self.is_stopping
                if not (is_called or is_last_spare):
                    self._threads -= 1
                    return None

    def _leave(self, lane: str) -> None:
        if self.lanes[lane]:
            self._ready.append(lane)
        else:
            del self.lanes[lane]

    def _wait(self) -> bool:
        """Wait for work; returns whether there may be some."""
        self._idle += 1
        is_called = self._is_ready.wait(IDLE)
        self._idle -= 1
        return is_called or bool(self._ready)
