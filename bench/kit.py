"""What the test kit costs a suite: a sandbox for one test, and the plugin where nobody uses it."""

import json
import sys
from contextlib import ExitStack
from time import perf_counter
from urllib.parse import urlsplit

from bench.client import Connection, question
from bench.machine import CORES
from bench.plan import Plan
from bench.report import Comparison, Result, Row, ratio
from bench.targets import run_python

CYCLES = 300
IMPORT = (
    "import time, pytest, typing; started = time.perf_counter(); import mockserver.pytest_plugin; "
    "print((time.perf_counter() - started) * 1000)"
)


def measure_fixture(plan: Plan) -> Result:
    """Set-up and tear-down of the fixture against one request, in one process, turn by turn."""
    looks = [json.loads(run_script("-m", "bench.kit", str(CYCLES))) for _ in range(plan.repeat)]
    rows = {key: Row(key, [look[key] for look in looks]) for key in ("set-up and tear-down", "one request (GET /user)")}
    fixture, request = rows.values()
    title = f"a sandbox for a test that queues one batch ({plan.repeat} x {CYCLES})"
    result = Result("sandbox-fixture", title, "us", list(rows.values()))
    result.comparisons = [ratio("fixture / request", fixture, request, "at most", 3.0)]
    return result


def measure_import(plan: Plan) -> Result:
    """What the plugin adds to the start of a pytest that does not use it; one start beforehand, for the byte code."""
    samples = [float(run_script("-c", IMPORT)) for _ in range(plan.starts + 1)][1:]
    row = Row("import mockserver.pytest_plugin", samples)
    result = Result("plugin-import", f"importing the plugin after pytest ({plan.starts} x)", "ms", [row])
    result.comparisons = [Comparison(row.label, row.median, "at most", 5.0, "ms")]
    return result


def run_script(*arguments: str) -> str:
    return run_python(*arguments, cores=CORES, what="the test kit")


def main(cycles: int) -> None:
    """Print as JSON the median microseconds of a loan and of a request."""
    from statistics import median  # noqa: PLC0415  as below

    from mockserver.testing.pool import environment_for, sandbox_name  # noqa: PLC0415  only the process that is measured needs them
    from mockserver.testing.unittest import running_pool  # noqa: PLC0415  as above

    loans, requests = [], []
    with running_pool() as host, ExitStack() as stack:
        connection = stack.enter_context(Connection(urlsplit(host.url).port or 0))
        for number in range(cycles + 50):
            name = sandbox_name(f"tests/test_batches.py::test_it[{number}]")
            begun = perf_counter()
            sandbox = host.acquire(name)
            leading = environment_for(sandbox)
            leading.__enter__()
            lent = perf_counter()
            queued = connection.ask(
                question("POST", "/ai/batches", token=name, body=b'{"prompts": ["Who?", "Where?"]}')
            )
            asked = perf_counter()
            answer = connection.ask(question("GET", "/user", token=name))
            answered = perf_counter()
            leading.__exit__(None, None, None)
            odd = host.release(sandbox)
            loans.append(lent - begun + perf_counter() - answered)
            requests.append(answered - asked)
            if (queued.status, answer.status, odd) != (202, 200, []):
                raise SystemExit(f"the server answered {queued} and {answer}, and found {odd}")
    taken = {"set-up and tear-down": loans, "one request (GET /user)": requests}
    print(json.dumps({key: median(samples[50:]) * 1e6 for key, samples in taken.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
