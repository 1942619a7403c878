"""Whether history costs anything: in time to a server with thousands of batches behind it, and in memory."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from statistics import median
from time import perf_counter
from urllib.parse import quote

import orjson

from bench.client import Connection, question
from bench.load import batch
from bench.machine import resident_bytes
from bench.plan import Plan
from bench.report import Comparison, Result, Row, ratio
from bench.targets import OURS, BenchError, Target, running
from bench.words import prompt

TOKEN = "bench-history"
SLICE, SLICES = 50, 10
SETTLING = 150
"""Large batches queued before memory is first read: by then the 16 MiB of bodies that the journal keeps are full."""
WEIGHED = 200


SITUATIONS = {
    "start queue": "queue a batch, before",
    "young queue": "queue a batch, server just started",
    "old queue": "queue a batch, with history",
    "young status": "read its status, server just started",
    "old status": "read its status, with history",
}


@contextmanager
def calling(target: Target) -> Iterator["Caller"]:
    with running(target) as server, Connection(server.port) as connection:
        yield Caller(server.pid, connection)


class Caller:
    """One kept connection to one server; every batch it queues is unlike the ones before."""

    def __init__(self, pid: int, connection: Connection) -> None:
        self.pid = pid
        self.connection = connection
        self._numbers = count()
        self.first_id = self.queue(self._next_small())

    def queue(self, body: bytes) -> str:
        answer = self.connection.ask(question("POST", "/ai/batches", token=TOKEN, body=body))
        if answer.status != 202:
            raise BenchError(f"ours answers a batch with {answer.status}, wanted 202: {answer.body[:300]!r}")
        return str(orjson.loads(answer.body)["id"])

    def queue_many(self, number: int) -> None:
        for _ in range(number):
            self.queue(self._next_small())

    def time_queueing(self) -> list[float]:
        requests = [question("POST", "/ai/batches", token=TOKEN, body=self._next_small()) for _ in range(SLICE)]
        return list(self._timed(requests, wanted=202))

    def time_status(self) -> list[float]:
        """Of the status of the first batch, the one that history could bury deepest."""
        read = question("GET", f"/ai/batches?id={quote(self.first_id)}", token=TOKEN)
        return list(self._timed([read] * SLICE, wanted=200))

    def _timed(self, requests: list[bytes], *, wanted: int) -> Iterator[float]:
        for request in requests:
            started = perf_counter()
            answer = self.connection.ask(request)
            yield (perf_counter() - started) * 1e6
            if answer.status != wanted:
                raise BenchError(f"ours answers with {answer.status}, wanted {wanted}: {answer.body[:300]!r}")

    def _next_small(self) -> bytes:
        number = next(self._numbers)
        return batch([prompt(number * 3 + n, 50) for n in range(3)])


def measure_history(plan: Plan) -> Result:
    """A server with history against one just started, in alternating slices: a machine that drifts drifts for both."""
    looks = [look(plan) for _ in range(plan.repeat)]
    rows = {key: Row(label, [seen[key] for seen in looks]) for key, label in SITUATIONS.items()}
    title = f"{SLICE * SLICES} requests one by one, {plan.history:,} queued batches later ({plan.repeat} x)"
    result = Result("history", title, "us/request", list(rows.values()))
    result.comparisons = [
        ratio("queue: with history / just started", rows["old queue"], rows["young queue"], "at most", 1.1),
        ratio("status: with history / just started", rows["old status"], rows["young status"], "at most", 1.1),
        Comparison("memory of a large batch / its body", memory_per_body(), "at most", 1.25),
    ]
    result.notes = [
        "status is that of the first batch queued",
        f"memory is the growth over {WEIGHED} batches of 1,000 prompts, after {SETTLING} that fill the journal; "
        "the promise is 'about the size of its body', read here as at most 1.25",
    ]
    return result


def look(plan: Plan) -> dict[str, float]:
    """The median microseconds of each situation."""
    with ExitStack() as stack:
        old = stack.enter_context(calling(OURS))
        old.queue_many(SLICE)
        seen = {"start queue": [taken for _ in range(SLICES) for taken in old.time_queueing()]}
        old.queue_many(plan.history)
        young = stack.enter_context(calling(OURS))
        young.queue_many(SLICE)
        seen.update({key: [] for key in SITUATIONS if key not in seen})
        for _ in range(SLICES):
            for age, caller in (("young", young), ("old", old)):
                seen[f"{age} queue"] += caller.time_queueing()
                seen[f"{age} status"] += caller.time_status()
        return {key: median(taken) for key, taken in seen.items()}


def memory_per_body() -> float:
    """How much the server grows with each large batch, in sizes of its body."""
    with calling(OURS) as caller:
        for number in range(SETTLING):
            caller.queue(large_batch(number))
        before, sent = resident_bytes(caller.pid), 0
        for number in range(SETTLING, SETTLING + WEIGHED):
            body = large_batch(number)
            sent += len(body)
            caller.queue(body)
        return (resident_bytes(caller.pid) - before) / sent


def large_batch(number: int) -> bytes:
    return batch([prompt(number * 1000 + n, 200) for n in range(1000)])
