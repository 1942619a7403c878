"""Whether a server still answers others at once while it works through a batch: asked by a process beside it."""

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import quantiles

from bench import ROOT
from bench.batches import AT_ONCE, LARGE
from bench.client import Connection, question
from bench.loop import Input, Loop, check_output, input_of
from bench.machine import LOAD_CORE, on_cores
from bench.plan import Plan
from bench.report import Comparison, Result, Row
from bench.targets import BenchError, environment, running

ALLOWED = 15.0
"""Milliseconds."""
PAUSE = 0.001
"""Seconds between two questions of the probe: it asks, it does not load."""
SITUATIONS = {
    "idle": "nothing else to do",
    "work": "50,000 lines are validated and answered",
    "download": "and downloaded",
}


def measure_health(plan: Plan) -> Result:
    given = input_of(*LARGE)
    looks = [look(given) for _ in range(plan.repeat)]
    rows = {}
    for key, label in SITUATIONS.items():
        worst, count = max(max(seen[key]) for seen in looks), sum(len(seen[key]) for seen in looks)
        rows[key] = Row(label, [p99(seen[key]) for seen in looks], f"{count:,} answers, the slowest {worst:.1f} ms")
    result = Result("batch-health", f"p99 of GET /health meanwhile ({plan.repeat} x)", "ms", list(rows.values()))
    result.comparisons = [
        Comparison(f"p99, {row.label}", row.median, "at most", ALLOWED, "ms")
        for key, row in rows.items()
        if key != "idle"
    ]
    return result


def look(given: Input) -> dict[str, list[float]]:
    """The milliseconds of every answer, by situation."""
    seen: dict[str, list[float]] = {}
    with running(AT_ONCE) as server, ExitStack() as stack:
        loop = Loop(server.port, AT_ONCE.label)
        stack.callback(loop.close)
        warm = input_of(100, 444)
        check_output(AT_ONCE.label, warm, loop.run(warm).output)
        batch = loop.create(loop.upload(given))
        with probing(server.port, seen.setdefault("idle", [])):
            time.sleep(0.5)
        with probing(server.port, seen.setdefault("work", [])):
            shown = loop.completed(batch)
        with probing(server.port, seen.setdefault("download", [])):
            output = [loop.download(shown) for _ in range(5)]  # one is over before the probe has a hundred answers
        check_output(AT_ONCE.label, given, output[-1])
    return seen


@contextmanager
def probing(port: int, times: list[float]) -> Iterator[None]:
    """Asks all the while; afterwards `times` has the milliseconds of every answer."""
    with on_cores(LOAD_CORE):
        probe = subprocess.Popen(
            [sys.executable, "-m", "bench.health", str(port)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    try:
        assert probe.stdout
        probe.stdout.readline()  # it has its first answer
        yield
        printed, _ = probe.communicate(b"end\n", timeout=30)
        times += json.loads(printed)
    finally:
        probe.kill()
        probe.wait()
    if not times:
        raise BenchError("the probe was never answered")


def p99(times: list[float]) -> float:
    return quantiles(times, n=100, method="inclusive")[98] if len(times) > 1 else times[0]


def ask_until_told(port: int) -> None:
    """The probe itself: ask, rest, ask again, until a line comes in; then print every answer's milliseconds."""
    request, times = question("GET", "/health"), []
    with Connection(port, timeout=30) as connection:
        connection.ask(request)
        print("ready", flush=True)
        while not is_told():
            started = time.perf_counter()
            if connection.ask(request).status != 200:
                raise SystemExit("GET /health was not answered with 200")
            times.append((time.perf_counter() - started) * 1000)
    print(json.dumps(times))


def is_told() -> bool:
    return bool(select.select([sys.stdin], [], [], PAUSE)[0])


if __name__ == "__main__":
    ask_until_told(int(sys.argv[1]))
