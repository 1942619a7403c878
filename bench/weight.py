"""What large files weigh in memory while they come and go: the most that was resident, not what was left of it."""

from contextlib import ExitStack
from pathlib import Path

from bench.batches import AT_ONCE, LARGE
from bench.history import calling, large_batch
from bench.loop import Input, Loop, check_output, input_of
from bench.machine import highest_resident_bytes, resident_bytes
from bench.plan import Plan
from bench.report import Comparison, Result, Row
from bench.targets import OURS, BenchError, running

HUGE = (50_000, 4_194)
"""Just under 200 MiB."""
ALLOWED = 16
"""Mebibytes."""
STEPS = {"upload": "upload of 200 MB", "work": "50,000 lines are worked through", "download": "download of them"}


def measure_weight(plan: Plan) -> Result:
    huge, large = input_of(*HUGE), input_of(*LARGE)
    looks = [look(huge, large) for _ in range(min(plan.repeat, 3))]
    rows = {step: Row(label, [seen[step] for seen in looks]) for step, label in STEPS.items()}
    title = f"resident memory, the most while it happens over what it was before ({len(looks)} x)"
    result = Result("batch-memory", title, "MiB", list(rows.values()))
    result.comparisons = [
        Comparison(rows[step].label, rows[step].median, "at most", ALLOWED, "MiB") for step in ("upload", "download")
    ]
    result.notes.append("nothing is promised of the work itself: answers, ids and counts have to be somewhere")
    return result


def measure_many(plan: Plan) -> Result:
    """What is resident after thousands of large batches in one sandbox, of which no two are equal."""
    weights, body = [], large_batch(0)
    for _ in range(min(plan.repeat, 2)):
        with calling(OURS) as caller:
            for number in range(plan.large):
                caller.queue(body.replace(b"question 0:", b"question %d:" % number, 1))
            weights.append(resident_bytes(caller.pid) / 1e6)
    result = Result("many-large", f"resident after {plan.large:,} batches of 200 kB", "MB", [Row(OURS.label, weights)])
    result.comparisons = [Comparison("resident", result.rows[0].median, "at most", 400, "MB")]
    return result


def look(huge: Input, large: Input) -> dict[str, float]:
    """By how many MiB each step moved the server; every step but the first is of the same batch."""
    with running(AT_ONCE) as server, ExitStack() as stack:
        loop = Loop(server.port, AT_ONCE.label)
        stack.callback(loop.close)
        warm = input_of(1_000, 2_000)
        check_output(AT_ONCE.label, warm, loop.run(warm).output)
        scale = Scale(server.pid)
        loop.upload(huge)
        seen = {"upload": scale.moved()}
        batch = loop.create(loop.upload(large))
        scale.moved()
        shown = loop.completed(batch)
        seen["work"] = scale.moved()
        output = loop.download(shown)
        seen["download"] = scale.moved()
        check_output(AT_ONCE.label, large, output)
    return seen


class Scale:
    """Says by how much a process's memory rose at most since it was last asked."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = 0
        self._begin()

    def moved(self) -> float:
        """In MiB."""
        most = highest_resident_bytes(self._pid)
        moved = (most - self._before) / 2**20
        self._begin()
        return moved

    def _begin(self) -> None:
        """From here on the kernel remembers anew what was the most."""
        try:
            Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        except OSError as error:
            raise BenchError(f"the kernel does not forget the highest memory of a process: {error}") from error
        self._before = resident_bytes(self._pid)
