"""Throughput under wrk: the same fixed request against every target in turn, each time a fresh server."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import ROOT
from bench.client import Connection, question
from bench.machine import LOAD_CORE, available_bytes, cpu_seconds, on_cores
from bench.plan import Plan
from bench.references import find_batch_schema
from bench.report import Comparison, Result, Row, ratio
from bench.targets import CONSTANT, JUDGING, KEEPING, OURS, STARLETTE, BenchError, Target, running
from bench.words import prompt

SCRIPT = Path(__file__).parent / "load.lua"
DISTURBED = 0.9
NO_WRK = (
    "wrk is not installed: `apt install wrk` (Debian, Ubuntu), `dnf install wrk` (Fedora), or build github.com/wg/wrk"
)


@dataclass(frozen=True)
class Load:
    """What is posted, and how promised shares are read: `(reference, at least)`."""

    name: str
    title: str
    body: bytes
    connections: int
    most_per_second: int
    """More of them than a server of ours will ever take on one core: it bounds the memory that a run can fill."""
    promises: tuple[tuple[str, float], ...]
    beside: tuple[Target, ...] = ()
    """References that nothing is promised against, but that explain what is seen."""
    path: str = "/ai/batches"
    says: bytes = b'"id"'
    """What stands in the first answer of ours, whose status is one of success; the references say what they say."""
    polls: bool = False
    """Whether the body is posted only once, and then the status of the new batch is read again and again."""


class Run(NamedTuple):
    rate: float
    p99: float
    share: float
    """How much of its core the server had; well below 1 means that wrk was too slow, or that others were at work."""


def batch(prompts: Sequence[str]) -> bytes:
    return json.dumps({"prompts": list(prompts)}).encode()


SMALL = Load(
    "queue-small",
    "POST /ai/batches, 3 prompts, 64 connections",
    batch([prompt(n, 50) for n in range(3)]),
    64,
    40_000,
    (("a", 0.6), ("d", 20.0)),
)
LARGE = Load(
    "queue-large",
    "POST /ai/batches, 1,000 prompts of 200 characters, 16 connections",
    batch([prompt(n, 200) for n in range(1000)]),
    16,
    8_000,
    (("e", 0.95),),
    beside=(KEEPING,),
)
STATUS = replace(
    SMALL,
    name="status",
    title="GET /ai/batches?id=, the status of a batch of 3 prompts, 64 connections",
    promises=(("a", 0.55),),
    says=b'"status"',
    polls=True,
)


def measure_small(plan: Plan) -> Result:
    return measure(SMALL, plan)


def measure_large(plan: Plan) -> Result:
    return measure(LARGE, plan)


def measure_status(plan: Plan) -> Result:
    return measure_pair(STATUS, plan)


def measure_pair(load: Load, plan: Plan, others: Sequence[Target] = ()) -> Result:
    """Ours, and before it the same in another checkout if there is one, against the constant answer and others."""
    wrk = find_wrk()
    targets = [OURS, *plan.earlier(), CONSTANT, *others]
    runs = run_in_turns(wrk, load, targets, plan)
    rows = {target.key: row_of(target, runs[target.key]) for target in targets}
    result = Result(load.name, f"{load.title} ({plan.repeat} x {plan.seconds} s)", "requests/s", list(rows.values()))
    result.comparisons = [*shares(load, rows), *gain(rows)]
    note_disturbance(result, runs, ("ours", "a"))
    return result


def measure(load: Load, plan: Plan) -> Result:
    wrk = find_wrk()
    check_memory(load, plan)
    prism = plan.prism()
    references = [CONSTANT, JUDGING, STARLETTE, *load.beside, *([prism] if prism else [])]
    targets = [OURS, *plan.earlier(), *references]
    result = Result(load.name, f"{load.title} ({plan.repeat} x {plan.seconds} s)", "requests/s")
    runs = run_in_turns(wrk, load, targets, plan)
    rows = {target.key: row_of(target, runs[target.key]) for target in targets}
    result.rows = list(rows.values())
    result.comparisons = [*shares(load, rows), *gain(rows)]
    result.notes.append(f"(d) is Prism {plan.prism_version()}" if prism else f"(d) is skipped: {plan.prism_missing}")
    if prism is None:
        result.reservation = " (d skipped)"
    if find_batch_schema(ROOT / "openapi.yaml") is None:
        result.notes.append("openapi.yaml does not describe POST /ai/batches: (b) judges by a schema of its own")
    note_disturbance(result, runs, ("ours", "a", "b"))
    return result


def run_in_turns(wrk: str, load: Load, targets: list[Target], plan: Plan) -> dict[str, list[Run]]:
    """Each repetition begins with another target, so that no one always runs after the same neighbour."""
    runs: dict[str, list[Run]] = {target.key: [] for target in targets}
    for repetition in range(plan.repeat):
        turn = repetition % len(targets)
        for target in targets[turn:] + targets[:turn]:
            runs[target.key].append(run_once(wrk, load, target, plan.seconds, f"bench-{repetition}"))
    return runs


def shares(load: Load, rows: Mapping[str, Row]) -> Iterator[Comparison]:
    """What was promised of ours, as far as the others are here."""
    for key, share in load.promises:
        if key in rows:
            yield ratio(f"ours / {key}", rows["ours"], rows[key], "at least", share)


def gain(rows: Mapping[str, Row]) -> Iterator[Comparison]:
    """Ours against the same in another checkout; nothing is promised but that it is not slower by more than noise."""
    if "before" in rows:
        yield ratio("ours / before", rows["ours"], rows["before"], "at least", 0.95)


def note_disturbance(result: Result, runs: Mapping[str, Sequence[Run]], keys: Sequence[str]) -> None:
    if min(run.share for key in keys for run in runs[key]) < DISTURBED:
        result.notes.append("a server had too little of its core (others at work here?): do not trust these ratios")
        result.reservation += " (disturbed)"


def row_of(target: Target, runs: Sequence[Run]) -> Row:
    share, p99 = min(run.share for run in runs), max(run.p99 for run in runs)
    busy = median(run.rate / max(run.share, 0.01) for run in runs)
    remark = f"core {share:.0%}, {busy:,.0f}/s of core time, p99 {p99:.1f} ms"
    return Row(target.label, [run.rate for run in runs], remark)


def run_once(
    wrk: str,
    load: Load,
    target: Target,
    seconds: int,
    token: str,
    *,
    beside: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> Run:
    """A fresh server, one plain request, a second of warming up, and then the run that counts.

    `beside` is given the port after the plain request, and is there until the end.
    """
    with TemporaryDirectory(prefix="bench-") as name, running(target) as server:
        body = Path(name) / "body.json"
        body.write_bytes(load.body)
        answer = check_one(load, target, server.port, question("POST", load.path, token=token, body=load.body))
        wanted = {**os.environ, "BENCH_METHOD": "POST", "BENCH_BODY": str(body), "BENCH_TOKEN": token}
        path = load.path
        if load.polls:
            path += f"?id={json.loads(answer)['id']}"
            wanted["BENCH_METHOD"] = "GET"
            del wanted["BENCH_BODY"]
            check_one(load, target, server.port, question("GET", path, token=token))
        command = [wrk, "-t1", f"-c{load.connections}", "--timeout", "10s", "-s", str(SCRIPT)]
        command.append(f"http://127.0.0.1:{server.port}{path}")
        with beside(server.port):
            run_wrk(target, [*command, "-d1s"], wanted)
            used = cpu_seconds(server.pid)
            rate, p99, lasted = run_wrk(target, [*command, f"-d{seconds}s"], wanted)
            share = (cpu_seconds(server.pid) - used) / lasted
        return Run(rate, p99, share)


def check_one(load: Load, target: Target, port: int, request: bytes) -> bytes:
    """The body of the answer to one plain request, which must be a success."""
    with Connection(port) as connection:
        answer = connection.ask(request)
    if answer.status not in {200, 202}:
        raise BenchError(f"{target.label} answers {load.path} with {answer.status}: {answer.body[:300]!r}")
    says = b'"id"' if load.polls and request.startswith(b"POST") else load.says
    if target is OURS and says not in answer.body:
        raise BenchError(f"{target.label} does not say {says!r} to {load.path}: {answer.body[:300]!r}")
    return answer.body


def run_wrk(target: Target, command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Requests per second, the p99 in milliseconds, and how many seconds it took."""
    with on_cores(LOAD_CORE):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise BenchError(f"wrk failed on {target.label}: {done.stderr.strip() or done.stdout.strip()}")
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    if seen["bad_statuses"] or seen["broken"] or not seen["requests"]:
        raise BenchError(f"{target.label} did not answer every request well: {seen}")
    lasted = seen["microseconds"] / 1e6
    return seen["requests"] / lasted, seen["p99"] / 1000, lasted


def find_wrk() -> str:
    wrk = shutil.which("wrk")
    if wrk is None:
        raise BenchError(NO_WRK)
    return wrk


def check_memory(load: Load, plan: Plan) -> None:
    """Ours keeps every body it is sent, which is the point; it must not push the machine over."""
    needed = (plan.seconds + 1) * load.most_per_second * len(load.body)
    if needed > available_bytes():
        raise BenchError(f"a run may fill {needed >> 20} MiB, {available_bytes() >> 20} are free; try --seconds 1")
