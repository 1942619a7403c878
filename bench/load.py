"""Throughput under wrk: the same fixed POST against every target in turn, each time a fresh server."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench import ROOT
from bench.client import Connection, question
from bench.machine import LOAD_CORE, available_bytes, cpu_seconds, on_cores
from bench.plan import Plan
from bench.references import find_batch_schema
from bench.report import Result, Row, ratio
from bench.targets import CONSTANT, JUDGING, KEEPING, OURS, STARLETTE, BenchError, Target, running

SCRIPT = Path(__file__).parent / "post.lua"
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


class Run(NamedTuple):
    rate: float
    p99: float
    share: float
    """How much of its core the server had; well below 1 means that wrk was too slow, or that others were at work."""


def batch(prompts: Sequence[str]) -> bytes:
    return json.dumps({"prompts": list(prompts)}).encode()


def prompt(number: int, length: int) -> str:
    """A prompt of exactly so many characters, unlike its neighbours."""
    return f"question {number}: what do people buy after reading about it? ".ljust(length, "x")[:length]


SMALL = Load(
    "queue-small",
    "POST /ai/batches, 3 prompts, 64 connections",
    batch([prompt(n, 50) for n in range(3)]),
    64,
    40_000,
    (("a", 0.5), ("d", 3.0)),
)
LARGE = Load(
    "queue-large",
    "POST /ai/batches, 1,000 prompts of 200 characters, 16 connections",
    batch([prompt(n, 200) for n in range(1000)]),
    16,
    8_000,
    (("b", 0.8), ("d", 3.0)),
    beside=(KEEPING,),
)


def measure_small(plan: Plan) -> Result:
    return measure(SMALL, plan)


def measure_large(plan: Plan) -> Result:
    return measure(LARGE, plan)


def measure(load: Load, plan: Plan) -> Result:
    wrk = find_wrk()
    check_memory(load, plan)
    prism = plan.prism()
    targets = [OURS, CONSTANT, JUDGING, STARLETTE, *load.beside, *([prism] if prism else [])]
    result = Result(load.name, f"{load.title} ({plan.repeat} x {plan.seconds} s)", "requests/s")
    runs: dict[str, list[Run]] = {target.key: [] for target in targets}
    for repetition in range(plan.repeat):
        # Each repetition begins with another target, so that no one always runs after the same neighbour.
        turn = repetition % len(targets)
        for target in targets[turn:] + targets[:turn]:
            runs[target.key].append(run_once(wrk, load, target, plan.seconds, f"bench-{repetition}"))
    rows = {target.key: row_of(target, runs[target.key]) for target in targets}
    result.rows = list(rows.values())
    result.comparisons = [
        ratio(f"ours / {key}", rows["ours"], rows[key], "at least", share)
        for key, share in load.promises
        if key in rows
    ]
    result.notes.append(f"(d) is Prism {plan.prism_version()}" if prism else f"(d) is skipped: {plan.prism_missing}")
    if prism is None:
        result.reservation = " (d skipped)"
    if find_batch_schema(ROOT / "openapi.yaml") is None:
        result.notes.append("openapi.yaml does not describe POST /ai/batches: (b) judges by a schema of its own")
    if min(run.share for key in ("ours", "a", "b") for run in runs[key]) < DISTURBED:
        result.notes.append("a server had too little of its core (others at work here?): do not trust these ratios")
        result.reservation += " (disturbed)"
    return result


def row_of(target: Target, runs: Sequence[Run]) -> Row:
    share, p99 = min(run.share for run in runs), max(run.p99 for run in runs)
    busy = median(run.rate / run.share for run in runs)
    remark = f"core {share:.0%}, {busy:,.0f}/s of core time, p99 {p99:.1f} ms"
    return Row(target.label, [run.rate for run in runs], remark)


def run_once(wrk: str, load: Load, target: Target, seconds: int, token: str) -> Run:
    """A fresh server, one plain request, a second of warming up, and then the run that counts."""
    with TemporaryDirectory(prefix="bench-") as name, running(target) as server:
        body = Path(name) / "body.json"
        body.write_bytes(load.body)
        check_one(load, target, server.port, question("POST", load.path, token=token, body=load.body))
        command = [wrk, "-t1", f"-c{load.connections}", "--timeout", "10s", "-s", str(SCRIPT)]
        command.append(f"http://127.0.0.1:{server.port}{load.path}")
        wanted = {**os.environ, "BENCH_BODY": str(body), "BENCH_TOKEN": token}
        run_wrk(target, [*command, "-d1s"], wanted)
        used = cpu_seconds(server.pid)
        rate, p99, lasted = run_wrk(target, [*command, f"-d{seconds}s"], wanted)
        return Run(rate, p99, (cpu_seconds(server.pid) - used) / lasted)


def check_one(load: Load, target: Target, port: int, request: bytes) -> None:
    with Connection(port) as connection:
        answer = connection.ask(request)
    if answer.status not in {200, 202}:
        raise BenchError(f"{target.label} answers {load.path} with {answer.status}: {answer.body[:300]!r}")
    if target is OURS and load.says not in answer.body:
        raise BenchError(f"{target.label} does not say {load.says!r} to {load.path}: {answer.body[:300]!r}")


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
