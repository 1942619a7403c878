"""Delivers callbacks when they are due, in order, with retries."""

import asyncio
import logging
from asyncio import _get_running_loop
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

import orjson

from mockserver.engine.engine import Engine
from mockserver.errors import NeedsThread, StoreUnavailable
from mockserver.lazy import lazy_module
from mockserver.sandbox.batches import BATCH_WEIGHT, LOOP_WEIGHT, LoopBudget
from mockserver.sandbox.callbacks import Attempt, Callback, Outbox, State
from mockserver.sandbox.clock import wall_time
from mockserver.sandbox.sandbox import Sandbox
from mockserver.settings.table import Settings
from mockserver.stores.retry import retried
from mockserver.web.callbacks.policy import DeliveryPolicy, DeliveryResult, policy_of
from mockserver.web.callbacks.threads import KeyedExecutor, receiver_of
from mockserver.workers import LaneFull, WorkStopped, checkpoint

if TYPE_CHECKING:
    from mockserver.web.callbacks import http, sqs
else:
    sqs = lazy_module("mockserver.web.callbacks.sqs")
    http = lazy_module("mockserver.web.callbacks.http")

FULL_LANE_WAIT = 1.0
"""Seconds until work for a sandbox whose lane is full is retried."""
LEASE_SECONDS = 15.0
"""How long this process has, beside the time of an attempt, until another process sends a callback in its place."""
POLL_SECONDS = 1.0
"""Seconds between two searches for callbacks that are due in sandboxes that other processes have used."""
SHORTEST, LONGEST = 0.001, 86_400.0
"""Bounds of a timer, in seconds: the system clock and the event loop's clock differ slightly."""
POLLING = "\0callbacks"
"""The lane of that search."""

_log = logging.getLogger("mockserver")


class Delivery(NamedTuple):
    """A callback to deliver."""

    sandbox: Sandbox
    outbox: Outbox
    id: str
    receiver: str
    """Where it goes, see `receiver_of`."""
    failures: int = 0

    def callback(self) -> Callback | None:
        """The current callback; None if it was removed, or its sandbox was."""
        return self.outbox.find_claimed(self.id) if self.sandbox.outbox is self.outbox else None


class CallbackDispatcher:
    """Claims due callbacks and delivers them.

    Called after each request in a sandbox with callbacks. Where the sandbox's clock flows, a timer of the event loop is
    set for the next due time, and for retries. Daemon threads send, so that the server may stop at any time.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        """The loop of the timers. Must be set before a thread calls, since threads have no loop."""
        providers = {service.provider for service in engine.services if service.provider}
        self._notices = {each.name: each.callback_payload for each in providers if each.callback_payload}
        self._sends = settings.callbacks == "send"
        self._rules = policy_of(settings)
        self._workers = engine.workers
        self._sandboxes = engine.sandboxes
        self._lease = LEASE_SECONDS + self._rules.timeout
        self._rounds = KeyedExecutor()
        self.attempts: dict[str, int] = {}
        """Attempts to deliver so far, by the state that followed."""
        self._alarms: dict[str, asyncio.TimerHandle] = {}
        self._counting = Lock()
        self._has_stopped = False

    def start(self) -> None:
        """Deliver from now on, and set alarms on the running loop; without it, the first request does so."""
        self.loop = asyncio.get_running_loop()
        self._has_stopped = False
        if self._sandboxes.is_shared:
            self.loop.call_later(0.0, self._poll)

    def stop(self) -> None:
        """Set no more alarms and begin no more deliveries; those under way come to their end in their threads."""
        self._has_stopped = True
        self.loop = None
        alarms, self._alarms = self._alarms, {}
        for alarm in alarms.values():
            alarm.cancel()

    def __call__(self, sandbox: Sandbox) -> None:
        """Claim the sandbox's due callbacks and start their delivery; called within the sandbox's transaction.

        Where an event loop should not wait for that, it is done in the sandbox's lane, before later requests.
        """
        outbox = sandbox.outbox
        if outbox is None:
            return
        now = sandbox.clock.now()
        if _get_running_loop() is not None and _are_many_due(sandbox, outbox, now):
            sandbox.after_commit(partial(self._in_lane, sandbox, partial(self._look_after, sandbox)))
            return
        try:
            while (callback := outbox.claim_next(now)) is not None:
                self._set_out(sandbox, outbox, callback._replace(payload=self._payload(sandbox, callback)))
                checkpoint()
        except WorkStopped:  # the client of the request that claims them has left
            self._in_lane(sandbox, partial(self._look_after, sandbox))
            raise
        for callback in sandbox.lost_callbacks():
            self._send(sandbox, outbox, callback)
        self._set_alarm(sandbox, sandbox.clock.wait_for(outbox.next_due()))

    def _payload(self, sandbox: Sandbox, callback: Callback) -> bytes:
        """The payload; empty if the batch no longer exists."""
        if not callback.provider:
            return callback.payload
        batch, notice = sandbox.batches.get(callback.id), self._notices.get(callback.provider)
        return orjson.dumps(notice(batch, callback, sandbox)) if batch and notice else b""

    def _set_out(self, sandbox: Sandbox, outbox: Outbox, callback: Callback) -> None:
        if callback.provider and not callback.payload:
            gone = Attempt(sandbox.clock.now(), None, "the batch is gone")
            callback = callback.tried(gone, State.REFUSED)
        else:
            callback = callback._replace(state=State.SENDING if self._sends else State.KEPT)
        outbox.update(callback)
        if callback.state is State.SENDING:
            self._send(sandbox, outbox, callback)

    def _send(self, sandbox: Sandbox, outbox: Outbox, callback: Callback) -> None:
        """Send a callback when it is known to be this process that sends it."""
        sandbox.lease(callback.id, self._lease)
        delivery = Delivery(sandbox, outbox, callback.id, receiver_of(callback.target))
        sandbox.after_commit(partial(self._go, delivery))

    def _go(self, delivery: Delivery) -> None:
        self._rounds.add(delivery.sandbox.name, partial(self._deliver, delivery), delivery.receiver)

    def _deliver(self, delivery: Delivery) -> None:
        """Make an attempt, in a thread and outside the sandbox's transaction."""
        callback = delivery.callback()
        if callback is None or self._has_stopped:
            return
        outcome = _attempt(callback, self._rules)
        # Its sandbox may be busy: recording the result waits in the sandbox's lane, and not in this thread.
        self._in_lane(delivery.sandbox, partial(self._note, delivery, outcome))

    def _note(self, delivery: Delivery, outcome: DeliveryResult) -> None:
        """Record the result of an attempt, and schedule the next one."""
        failures = delivery.failures + 1
        is_over = failures > len(self._rules.retries)
        with delivery.sandbox.transaction:
            callback = delivery.callback()
            if callback is None:
                return
            attempt = Attempt(delivery.sandbox.clock.now(), outcome.status, outcome.error)
            state = State.FAILED if outcome.state is State.RETRYING and is_over else outcome.state
            delivery.outbox.update(callback.tried(attempt, state))
            wait = self._rules.retries[delivery.failures] + self._lease if state is State.RETRYING else 0.0
            delivery.sandbox.lease(delivery.id, wait)
            delivery.sandbox.after_commit(partial(self._count, state))
        if state is State.RETRYING:
            known = ref(delivery.sandbox), ref(delivery.outbox)
            again = partial(self._go_again, *known, delivery.id, delivery.receiver, failures)
            self._later(self._rules.retries[delivery.failures], again)

    def _count(self, state: State) -> None:
        with self._counting:
            self.attempts[state] = self.attempts.get(state, 0) + 1

    def _poll(self) -> None:
        """Look for callbacks that are due, or were left by a process that has ended, in all sandboxes of the store."""
        if self.loop is not None and not self._has_stopped:
            self.loop.call_later(POLL_SECONDS, self._poll)
            if POLLING not in self._workers.lanes:
                self._workers.submit(POLLING, self._look_after_all).add_done_callback(_log_bug)

    def _look_after_all(self) -> None:
        with suppress(StoreUnavailable):
            for sandbox in self._sandboxes.due(wall_time()):
                self._in_lane(sandbox, partial(self._look_after, sandbox))

    def _go_again(self, sandbox: "ref[Sandbox]", outbox: "ref[Outbox]", id_: str, receiver: str, failures: int) -> None:
        """Retry, unless the sandbox was deleted meanwhile."""
        known, noted = sandbox(), outbox()
        if known is not None and noted is not None:
            self._go(Delivery(known, noted, id_, receiver, failures))

    def _set_alarm(self, sandbox: Sandbox, wait: float | None) -> None:
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:  # this is a worker thread
            self._on_loop(partial(self._wind, sandbox, wait))
        else:
            self._wind(sandbox, wait)

    def _wind(self, sandbox: Sandbox, wait: float | None) -> None:
        """Set the sandbox's only timer to this delay, or cancel it."""
        before = self._alarms.pop(sandbox.name, None)
        if before is not None:
            before.cancel()
        if wait is not None and self.loop is not None and not self._has_stopped:
            wait = min(max(wait, SHORTEST), LONGEST)
            # A timer may run for a day; a deleted sandbox must be freed at once.
            self._alarms[sandbox.name] = self.loop.call_later(wait, self._ring, sandbox.name, ref(sandbox))

    def _ring(self, name: str, known: "ref[Sandbox]") -> None:
        """Process the sandbox in its lane, so that a long request does not block the event loop."""
        self._alarms.pop(name, None)
        sandbox = known()
        if sandbox is not None:
            self._in_lane(sandbox, partial(self._look_after, sandbox))

    def _in_lane(self, sandbox: Sandbox, action: Callable[[], None]) -> None:
        try:
            self._workers.submit(sandbox.name, partial(retried, action)).add_done_callback(_log_bug)
        except LaneFull:
            self._later(FULL_LANE_WAIT, partial(self._in_lane, sandbox, action))

    def _look_after(self, sandbox: Sandbox) -> None:
        with sandbox.transaction:
            self(sandbox)

    def _later(self, wait: float, action: Callable[[], None]) -> None:
        if self.loop is not None:
            self._on_loop(partial(self.loop.call_later, wait, action))

    def _on_loop(self, action: Callable[[], object]) -> None:
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop has been closed: the server has stopped
                self.loop.call_soon_threadsafe(action)


def _are_many_due(sandbox: Sandbox, outbox: Outbox, now: float) -> bool:
    """Whether claiming the callbacks that are due takes too long for an event loop."""
    budget = LoopBudget()
    try:
        for id_ in outbox.find_due(now, LOOP_WEIGHT // BATCH_WEIGHT + 1):
            batch = sandbox.batches.get(id_)
            budget.spend(batch.weight if batch is not None else 0)
    except NeedsThread:
        return True
    return False


def _log_bug(work: "Future[None]") -> None:
    if not work.cancelled() and (error := work.exception()) and not isinstance(error, ConnectionResetError):
        _log.error("the callback dispatcher met a bug in mockserver", exc_info=error)


def _attempt(callback: Callback, rules: DeliveryPolicy) -> DeliveryResult:
    try:
        queue = sqs.read_queue(callback.target, rules.endpoint)
        if queue is not None:
            return sqs.enqueue(queue, callback.payload, callback.id, rules)
        return http.send(callback, rules)
    except Exception as error:
        _log.exception("the callback of %s met a bug in mockserver", callback.id)
        return DeliveryResult(State.FAILED, error=f"a bug in mockserver: {type(error).__name__}: {str(error)[:200]}")
