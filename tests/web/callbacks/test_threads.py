"""How many callbacks are sent at once, and which is next: no receiver keeps the others waiting."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import pytest
from receiver import DELIVERY_THREADS, PATIENCE, join_deliveries

from mockserver.web.callbacks.threads import MAX_PER_RECEIVER, MAX_WORKERS, KeyedExecutor, receiver_of


@pytest.mark.parametrize("earlier", [0, 20])
def test_at_most_16_deliveries_are_under_way_at_once(earlier: int) -> None:
    rounds, started, release = KeyedExecutor(), threading.Semaphore(0), threading.Event()
    under_way, most, done = 0, 0, threading.Semaphore(0)
    lock = threading.Lock()

    def work() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        started.release()
        release.wait(PATIENCE)
        with lock:
            under_way -= 1
        done.release()

    for n in range(earlier):  # each is over before the next begins
        rounds.add(f"earlier {n}", done.release)
        assert done.acquire(timeout=PATIENCE)
        join_deliveries()
    for n in range(40):
        rounds.add(f"sandbox {n}", work)

    for _ in range(16):
        assert started.acquire(timeout=PATIENCE)
    assert sum(thread.name == DELIVERY_THREADS for thread in threading.enumerate()) == 16
    release.set()
    for _ in range(40):
        assert done.acquire(timeout=PATIENCE)
    assert most == 16


def test_the_work_of_one_sandbox_is_done_in_order_and_one_after_another() -> None:
    rounds, seen, done = KeyedExecutor(), list[int](), threading.Event()
    under_way, together, queued = 0, 0, threading.Event()

    def work(n: int) -> None:
        nonlocal under_way, together
        under_way += 1
        together = max(together, under_way)
        queued.wait(PATIENCE)
        seen.append(n)
        under_way -= 1
        if n == 199:
            done.set()

    for n in range(200):
        rounds.add("one", lambda n=n: work(n))  # type: ignore[misc]  # mypy does not infer a lambda's default
    queued.set()

    assert done.wait(PATIENCE)
    assert (seen, together) == (list(range(200)), 1)


def test_work_that_raises_does_not_stop_later_work(caplog: pytest.LogCaptureFixture) -> None:
    rounds, done = KeyedExecutor(), threading.Semaphore(0)

    def broken() -> None:
        raise LookupError("broken")

    for n in range(20):
        rounds.add("one", broken)
        rounds.add(f"other {n}", broken)
        rounds.add("one", done.release)

    for _ in range(20):
        assert done.acquire(timeout=PATIENCE)
    join_deliveries()
    assert caplog.text.count("LookupError: broken") == 40


class Calls:
    """Calls of receivers; those of a silent one end when `answers` is released. Knows what has begun."""

    def __init__(self) -> None:
        self.rounds = KeyedExecutor()
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.answers = threading.Semaphore(0)

    def add(self, lane: str, receiver: str) -> None:
        """Call a receiver; its name says whether it is silent."""

        def call() -> None:
            self.begun.put(receiver)
            if receiver.startswith("silent"):
                self.answers.acquire(timeout=PATIENCE)

        self.rounds.add(lane, call, receiver)

    def wait(self, count: int) -> list[str]:
        """The receivers of the next work that begins."""
        return [self.begun.get(timeout=PATIENCE) for _ in range(count)]


@pytest.fixture
def calls() -> Iterator[Calls]:
    calls = Calls()
    yield calls
    calls.answers.release(1000)
    join_deliveries()


def _wait(gate: threading.Event) -> None:
    gate.wait(PATIENCE)


def test_a_receiver_that_does_not_answer_leaves_threads_for_others(calls: Calls) -> None:
    for n in range(100):
        calls.add(f"sandbox {n}", "silent")
    assert calls.wait(MAX_PER_RECEIVER) == ["silent"] * MAX_PER_RECEIVER

    for n in range(100):
        calls.add(f"another {n}", "quick")

    assert calls.wait(100) == ["quick"] * 100
    calls.answers.release(100)
    assert calls.wait(100 - MAX_PER_RECEIVER) == ["silent"] * (100 - MAX_PER_RECEIVER)


def test_a_sandbox_with_two_receivers_calls_the_second_while_others_wait_for_the_first(calls: Calls) -> None:
    gate = threading.Event()
    calls.rounds.add("mixed", lambda: _wait(gate), "silent")
    calls.add("mixed", "quick")
    for n in range(30):
        calls.add(f"sandbox {n}", "silent")
    assert calls.wait(MAX_PER_RECEIVER - 1) == ["silent"] * (MAX_PER_RECEIVER - 1)

    gate.set()

    assert sorted(calls.wait(2)) == ["quick", "silent"]


def test_receivers_take_turns(calls: Calls) -> None:
    for n in range(MAX_WORKERS):
        calls.add(f"sandbox {n}", f"silent {n}")
    calls.wait(MAX_WORKERS)
    for n in range(40):
        calls.add(f"later {n}", "silent 0")
    calls.add("latest", "quick")

    begun = []
    for _ in range(2):
        calls.answers.release()
        begun += calls.wait(1)

    assert begun == ["silent 0", "quick"]


@pytest.mark.parametrize(
    ("target", "receiver"),
    [
        ("http://127.0.0.1:9/a", ":9"),
        ("http://LOCALHOST:9/b?c", ":9"),
        ("http://a.localhost:9", ":9"),
        ("http://user@[::1]:9/", ":9"),
        ("http://127.0.0.1/", ":http"),
        ("https://hooks.example/x", "hooks.example:https"),
        ("https://hooks.example:8443/", "hooks.example:8443"),
        ("arn:aws:sqs:eu-west-1:123456789012:queue", "arn"),
        ("http://[::1/", "http://[::1/"),
        ("http://host:99999/", "http://host:99999/"),
    ],
)
def test_a_receiver_is_a_port_of_this_machine_or_another_host_with_its_port(target: str, receiver: str) -> None:
    assert receiver_of(target) == receiver
