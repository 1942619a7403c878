"""What a process costs that does nothing: time to its first answer, memory at rest, time to stop in a thread."""

import json

from bench.machine import CORES, resident_bytes
from bench.plan import Plan
from bench.report import Comparison, Result, Row, ratio
from bench.targets import OURS, STARLETTE, run_python, running

PAIR = (OURS, STARLETTE)
SITUATIONS = {
    "idle": "ours: its client gone",
    "connected": "ours: a client still connected",
    "uvicorn": "c: bare Starlette, through uvicorn's own loop",
}


def measure_start(plan: Plan) -> Result:
    """From the start of the process to the first 200, in turns; one start of each beforehand, for the byte code."""
    samples: dict[str, list[float]] = {target.key: [] for target in PAIR}
    for repetition in range(plan.starts + 1):
        for target in PAIR if repetition % 2 else PAIR[::-1]:
            with running(target) as server:
                samples[target.key].append(server.seconds * 1000)
    ours, theirs = (Row(target.label, samples[target.key][1:]) for target in PAIR)
    result = Result("start", f"process start to first 200 ({plan.starts} x)", "ms", [ours, theirs])
    result.comparisons = [ratio("ours / c", ours, theirs, "at most", 1.35)]
    return result


def measure_memory(plan: Plan) -> Result:
    """Resident memory after the first 200, in turns."""
    samples: dict[str, list[float]] = {target.key: [] for target in PAIR}
    for _ in range(plan.repeat):
        for target in PAIR:
            with running(target) as server:
                samples[target.key].append(resident_bytes(server.pid) / 2**20)
    ours, theirs = (Row(target.label, samples[target.key]) for target in PAIR)
    result = Result("memory", f"resident at rest, after the first 200 ({plan.repeat} x)", "MiB", [ours, theirs])
    result.comparisons = [ratio("ours / c", ours, theirs, "at most", 1.25)]
    return result


def measure_stop(plan: Plan) -> Result:
    """Leaving `ThreadedServer`, in a process of its own that may use every core, as a test run may."""
    told = run_python("-m", "bench.threaded", str(plan.starts), cores=CORES, what="a server in a thread")
    samples = json.loads(told)
    result = Result("stop", f"a server in a thread, told to stop until it has stopped ({plan.starts} x)", "ms")
    result.rows = [Row(label, samples[key]) for key, label in SITUATIONS.items()]
    result.comparisons = [Comparison(row.label, row.median, "at most", 5.0, "ms") for row in result.rows[:2]]
    return result
