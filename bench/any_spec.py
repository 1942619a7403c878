"""Other documents than ours, against Prism: start, memory at rest, and answers to a plain GET.

The documents are small ones of the tests, and those of a folder that BENCH_DOCUMENTS names.
"""

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from bench import ROOT
from bench.client import Connection, question
from bench.machine import LOAD_CORE, on_cores, resident_bytes
from bench.plan import Plan
from bench.report import Result, Row, ratio
from bench.targets import BenchError, Target, running
from mockserver.engine.build import build_engine
from mockserver.settings.table import Settings

SAMPLES = (
    ROOT / "tests" / "support" / "documents" / "shop.yaml",
    ROOT / "tests" / "support" / "documents" / "legacy.yaml",
)
FOLDER = "BENCH_DOCUMENTS"
KINDS = ("start", "memory", "requests")


class Seen(NamedTuple):
    """One run of one server with one document."""

    start: float
    """Milliseconds from the start of the process to the first answer."""
    memory: float
    """MiB that are resident after the answers."""
    requests: float
    """Answers per second to one connection."""


def documents() -> list[Path]:
    """The documents that are measured."""
    folder = os.environ.get(FOLDER)
    found = sorted(Path(folder).iterdir()) if folder else []
    return [*SAMPLES, *(each for each in found if each.suffix in {".json", ".yaml", ".yml"})]


def measure_any_spec(plan: Plan) -> Result:
    """Both servers with each document, in turns."""
    if plan.prism_executable is None:
        raise BenchError(plan.prism_missing)
    result = Result("any-spec", f"other documents, against Prism ({plan.repeat} x)", "")
    for document in documents():
        try:
            _measure_document(document, plan, plan.prism_executable, result)
        except BenchError as error:
            result.notes.append(f"{document.name} is left out: {error}")
    result.notes.append(f"Prism {plan.prism_version()}")
    return result


def _measure_document(document: Path, plan: Plan, prism: str, result: Result) -> None:
    pair = (ours(document), theirs(document, prism))
    seen: dict[str, list[Seen]] = {target.key: [] for target in pair}
    for repetition in range(plan.repeat):
        for target in pair if repetition % 2 else pair[::-1]:
            seen[target.key].append(run_once(target, plan.seconds))
    for kind in KINDS:
        rows = [
            Row(f"{document.name} {kind}: {key}", [getattr(each, kind) for each in runs]) for key, runs in seen.items()
        ]
        result.rows += rows
        bound = "at least" if kind == "requests" else "at most"
        result.comparisons.append(ratio(f"{document.name} {kind}, ours / Prism", rows[0], rows[1], bound, 1.0))


def run_once(target: Target, seconds: int) -> Seen:
    """A fresh server, and one connection that asks it the same for that long."""
    request = question("GET", target.probe)
    with running(target) as server, Connection(server.port) as connection, on_cores(LOAD_CORE):
        count, started = 0, perf_counter()
        while perf_counter() < started + seconds:
            connection.ask(request)
            count += 1
        return Seen(server.seconds * 1000, resident_bytes(server.pid) / 2**20, count / (perf_counter() - started))


def ours(document: Path) -> Target:
    """mockserver with the document alone."""
    flags = ("serve", "--spec", str(document), "--port", "0", "--port-file", "{port_file}", "--log-level", "error")
    return Target(
        "ours", f"ours with {document.name}", (sys.executable, "-m", "mockserver", *flags), probe_of(document)
    )


def theirs(document: Path, executable: str) -> Target:
    """Prism with the same document."""
    options = ("--host", "127.0.0.1", "--port", "{port}", "--verboseLevel", "silent")
    label = f"Prism with {document.name}"
    return Target("Prism", label, (executable, "mock", str(document), *options), probe_of(document))


def probe_of(document: Path) -> str:
    """The first path that GET answers with 200 and a JSON body without any argument."""
    engine = build_engine(Settings(spec=(str(document),)))
    for service in engine.services:
        operation = service.operation
        if operation.method != "GET" or "{" in operation.path or any(each.required for each in operation.parameters):
            continue
        if operation.success == 200 and (
            operation.is_open or any({scheme.kind for scheme in each} == {"bearer"} for each in operation.security)
        ):
            return operation.path
    raise BenchError(f"{document.name} has no GET that both servers answer")
