"""What a whole suite of tests takes that each queue, poll and fetch one batch: with our plugin, and against llmock."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import ROOT
from bench.client import TOKEN
from bench.machine import CORES, on_cores
from bench.plan import Plan
from bench.report import Result, Row, ratio
from bench.rivals import MISSING, fetch_llmock, resting
from bench.targets import BenchError, Target, environment, running

TESTS = 1_000
RESTING_TESTS = 10
"""Tests against llmock as it comes: each waits for 3 s, and a thousand of them would take an hour."""


def measure_suite(plan: Plan) -> Result:
    tests = TESTS if plan.repeat > 1 else 100
    repeat = min(plan.repeat, 3)
    with TemporaryDirectory(prefix="bench-mocks-") as name:
        llmock, missing = find_llmock(plan, Path(name))
        seen: dict[str, list[float]] = {"ours": [], "llmock": [], "llmock-rest": []}
        for _ in range(repeat):
            seen["ours"].append(run_ours(tests))
            if llmock:
                seen["llmock"].append(run_against(llmock, tests))
                seen["llmock-rest"].append(run_against(resting(llmock), RESTING_TESTS) * tests / RESTING_TESTS)
    labels = {
        "ours": "ours: a sandbox for each test",
        "llmock": "llmock, its delay taken out",
        "llmock-rest": f"llmock as it comes ({RESTING_TESTS} tests, scaled)",
    }
    rows = {key: Row(labels[key], taken) for key, taken in seen.items() if taken}
    result = Result(
        "suite", f"{tests:,} tests that queue, poll and fetch a batch ({repeat} x)", "s", list(rows.values())
    )
    if llmock:
        result.comparisons = [ratio("ours / llmock", rows["ours"], rows["llmock-rest"], "at most", 0.5)]
        result.notes += [
            "no setting of llmock's shortens the 3 s that its batches rest: that is its shortest delay",
            "without its delay llmock has a core to itself, where ours shares the tests' process; nothing is promised",
        ]
    else:
        result.failure = missing
    return result


def find_llmock(plan: Plan, folder: Path) -> tuple[Target | None, str]:
    """llmock, or why there is none."""
    if not plan.installs_mocks:
        return None, f"llmock: {MISSING}"
    try:
        return fetch_llmock(folder / "llmock"), ""
    except (BenchError, OSError, subprocess.TimeoutExpired) as error:
        return None, f"llmock is skipped: {error}"


def run_ours(tests: int) -> float:
    """Seconds, the start of pytest and of the server included."""
    return run_pytest(tests, ("-p", "mockserver.pytest_plugin"), {"BENCH_LENDS": "1"})


def run_against(target: Target, tests: int) -> float:
    """Seconds, the start of pytest included and that of the server not."""
    with running(target) as server:
        address = {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.port}/v1", "OPENAI_API_KEY": TOKEN}
        return run_pytest(tests, (), address)


def run_pytest(tests: int, options: tuple[str, ...], more: dict[str, str]) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(ROOT)]
    known = {**environment(), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "BENCH_TESTS": str(tests)}
    started = perf_counter()
    with on_cores(*CORES):
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *options, "bench/cases.py"],
            cwd=ROOT,
            env={**known, **more},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    taken = perf_counter() - started
    if f"{tests} passed" not in done.stdout:
        raise BenchError(f"the suite failed: {(done.stdout + done.stderr).strip()[-500:]}")
    return taken
