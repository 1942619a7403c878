"""What sandboxes cost: to reset one with thousands of batches behind it, and to have a thousand that are empty."""

from itertools import count
from statistics import median
from time import perf_counter

from bench.client import Connection, question
from bench.history import Caller, calling
from bench.machine import resident_bytes
from bench.plan import Plan
from bench.report import Comparison, Result, Row, ratio
from bench.targets import OURS, BenchError, running

TOKEN = "bench-history"
ASKED = 200
EMPTY = 1_000
ALLOWED = 10.0
"""Kilobytes for each empty sandbox."""
SITUATIONS = {
    "request": "a loopback request: a batch is queued",
    "empty": "reset of a sandbox with one batch",
    "full": "reset of a sandbox with all of them",
    "after": "the slowest of the 50 requests after it",
}


def measure_sandboxes(plan: Plan) -> Result:
    looks = [look(plan) for _ in range(plan.repeat)]
    rows = {key: Row(label, [seen[key] for seen in looks]) for key, label in SITUATIONS.items()}
    title = f"one by one, with {plan.history:,} batches in the sandbox ({plan.repeat} x)"
    result = Result("sandboxes", title, "us/request", list(rows.values()))
    result.comparisons = [
        ratio("reset, full / request", rows["full"], rows["request"], "at most", 3),
        ratio("reset, empty / request", rows["empty"], rows["request"], "at most", 3),
        Comparison("memory of an empty sandbox", median(weights(plan)), "at most", ALLOWED, "kB"),
    ]
    result.notes.append(f"memory is the growth over {EMPTY:,} sandboxes made by POST /__admin/sandboxes, after as many")
    return result


def look(plan: Plan) -> dict[str, float]:
    """Microseconds of each situation."""
    with calling(OURS) as caller:
        empty = [timed_reset(caller) for _ in range(50)]
        caller.queue_many(plan.history)
        asked = [taken for _ in range(4) for taken in caller.time_queueing()]
        full = timed_reset(caller, batches=plan.history)
        return {"request": median(asked), "empty": median(empty), "full": full, "after": max(caller.time_queueing())}


def timed_reset(caller: Caller, *, batches: int = 1) -> float:
    if batches == 1:
        caller.queue_many(1)
    started = perf_counter()
    answer = caller.connection.ask(question("POST", "/__admin/reset", token=TOKEN))
    taken = (perf_counter() - started) * 1e6
    if answer.status != 200:
        raise BenchError(f"ours answers a reset with {answer.status}: {answer.body[:300]!r}")
    return taken


def weights(plan: Plan) -> list[float]:
    """Kilobytes by which the server grows with each empty sandbox."""
    found = []
    for _ in range(plan.repeat):
        with running(OURS) as server, Connection(server.port) as connection:
            numbers = count()
            make(connection, numbers)
            before = resident_bytes(server.pid)
            make(connection, numbers)
            found.append((resident_bytes(server.pid) - before) / EMPTY / 1000)
    return found


def make(connection: Connection, numbers: "count[int]") -> None:
    for _ in range(EMPTY):
        body = b'{"name": "bench-sandbox-%d"}' % next(numbers)
        answer = connection.ask(question("POST", "/__admin/sandboxes", body=body))
        if answer.status != 200:
            raise BenchError(f"ours makes a sandbox with {answer.status}: {answer.body[:300]!r}")
