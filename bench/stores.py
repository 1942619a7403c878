"""What a store costs that survives: SQLite and Redis against memory, two workers against one, and long histories."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time, sleep

from bench.client import Connection, question
from bench.load import SCRIPT, SMALL, STATUS, Load, find_wrk, note_disturbance, row_of, run_in_turns
from bench.machine import CORES
from bench.plan import Plan
from bench.report import Result, Row, ratio
from bench.targets import OURS, BenchError, Target, run_python, running

CONNECTIONS = 8
SANDBOXES = 2
SIZES = (10, 100_000)
"""Batches in a sandbox, between which the cost of a request should not grow."""
PROMISES = {"queue": {"sqlite": 0.35, "redis": 0.25}, "status": {"sqlite": 0.6, "redis": 0.3}}
TURNS, QUEUED, READ = 9, 1000, 1000
"""Turns, and the batches queued and status requests made in each."""
MORE = 200
"""Batches that a small sandbox is given beside those that it has."""
JOURNAL = 1000
"""Exchanges that a journal keeps by default."""


@contextmanager
def stores() -> Iterator[Mapping[str, str]]:
    """The URLs of stores by their names. That of SQLite is a file beside the server's port file."""
    urls = {"memory": "memory", "sqlite": "sqlite://{port_file}.db"}
    redis = shutil.which("redis-server")
    if redis is None:
        yield urls
        return
    with TemporaryDirectory(prefix="bench-redis-") as folder:
        flags = ("--port", "0", "--unixsocket", f"{folder}/s", "--dir", folder, "--appendonly", "yes", "--save", "")
        process = subprocess.Popen([redis, *flags], stdout=subprocess.DEVNULL)
        try:
            end = monotonic() + 10
            while not Path(folder, "s").exists() and monotonic() < end:
                sleep(0.01)
            yield {**urls, "redis": f"unix://{folder}/s"}
        finally:
            process.terminate()
            process.wait()


def on_store(name: str, url: str, *flags: str) -> Target:
    return replace(OURS, key=name, label=f"ours: {name}", command=(*OURS.command, "--store", url, *flags))


def measure_stores(plan: Plan) -> Result:
    """Small batches queued, and their status read, with the same few connections to each store in turn."""
    wrk = find_wrk()
    result = Result("stores", f"{CONNECTIONS} connections ({plan.repeat} x {plan.seconds} s)", "requests/s")
    with stores() as urls:
        targets = [on_store(name, url) for name, url in urls.items()]
        for what, load in (("queue", SMALL), ("status", STATUS)):
            runs = run_in_turns(wrk, replace(load, connections=CONNECTIONS), targets, plan)
            rows = {target.key: row_of(target, runs[target.key]) for target in targets}
            rows = {key: replace(row, label=f"{what}, {key}") for key, row in rows.items()}
            result.rows += rows.values()
            result.comparisons += [
                ratio(f"{what}: {key} / memory", rows[key], rows["memory"], "at least", PROMISES[what][key])
                for key in rows
                if key != "memory"
            ]
            note_disturbance(result, runs, tuple(rows))
        if "redis" not in urls:
            result.notes.append("redis-server is not installed: nothing was measured on Redis")
    return result


def measure_workers(plan: Plan) -> Result:
    """Two sandboxes, each with its own load, on one worker and on two; servers and loads share all cores."""
    wrk, samples = find_wrk(), dict[int, list[float]]({1: [], 2: []})
    url = "sqlite://{port_file}.db"
    for repetition in range(plan.repeat):
        for count in sorted(samples, reverse=bool(repetition % 2)):
            with running(on_store("sqlite", url, "--workers", str(count)), cores=CORES) as server:
                samples[count].append(_rate(wrk, STATUS, server.port, plan.seconds))
    one, two = (Row(f"SQLite, {count} worker{'s' * (count > 1)}", samples[count]) for count in samples)
    title = (
        f"status of batches in {SANDBOXES} sandboxes, {CONNECTIONS} connections each ({plan.repeat} x {plan.seconds} s)"
    )
    result = Result("workers", title, "requests/s", [one, two])
    result.comparisons = [ratio("two / one", two, one, "at least", 1.5)]
    if len(CORES) < SANDBOXES + 2:
        result.notes.append(f"workers and load share {len(CORES)} cores: the ratio says little about more cores")
    return result


def _rate(wrk: str, load: Load, port: int, seconds: int) -> float:
    """The requests per second of several loads at once, each of a sandbox of its own."""
    running_loads = []
    for number in range(SANDBOXES):
        token = f"bench-{number}"
        with Connection(port) as connection:
            answer = connection.ask(question("POST", load.path, token=token, body=load.body))
        path = f"{load.path}?id={json.loads(answer.body)['id']}"
        command = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}{path}"]
        environment = {**os.environ, "BENCH_METHOD": "GET", "BENCH_TOKEN": token}
        running_loads.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    said = [each.communicate(timeout=60)[0] for each in running_loads]
    seen = [json.loads(each.strip().splitlines()[-1]) for each in said]
    if any(each["bad_statuses"] or each["broken"] or not each["requests"] for each in seen):
        raise BenchError(f"the workers did not answer every request well: {seen}")
    return float(sum(each["requests"] * 1e6 / each["microseconds"] for each in seen))


def measure_store_history(plan: Plan) -> Result:
    """A request to a sandbox with few batches, and to one with many in a store of its own, in turns and without HTTP.

    It is CPU time, because other processes of the machine make time by the clock longer by chance. That of the thread
    that copies the log of SQLite is a part of it: a turn is as long as it takes until that is due.
    """
    few, many = SIZES[0], SIZES[1] if plan.history >= 10_000 else 1_000
    title = f"{TURNS} turns of {QUEUED} and {READ} requests, CPU time of the process, without HTTP and redis-server"
    result = Result("stores-history", title, "us/request")
    with stores() as urls, TemporaryDirectory(prefix="bench-") as folder:
        for name, url in urls.items():
            places = [place_of(url, folder, size) for size in (few, many)]
            given = [part for each in zip(places, map(str, (few, many)), strict=True) for part in each]
            seen = json.loads(run_python("-m", "bench.stores", *given, cores=CORES, what=name, seconds=600))
            for what in ("queue", "status"):
                rows = [Row(f"{name}, {what}, {size:,} batches", seen[str(size)][what]) for size in (few, many)]
                result.rows += rows
                result.comparisons.append(ratio(f"{name}: {what}, many / few", rows[1], rows[0], "at most", 1.25))
    return result


def place_of(url: str, folder: str, size: int) -> str:
    """The URL of a store for a sandbox of that size."""
    return f"{url}?db={size % 7}" if url.startswith("unix:") else url.format(port_file=f"{folder}/{size}")


def main(*given: str) -> None:
    """Print as JSON, for each URL and number of batches, the mean CPU microseconds of a request in each turn."""
    stores_by_size = {
        int(size): MeasuredStore(url, int(size)) for url, size in zip(given[::2], given[1::2], strict=True)
    }
    found: dict[int, dict[str, list[float]]] = {size: {"queue": [], "status": []} for size in stores_by_size}
    for turn in range(TURNS):
        for size, store in sorted(stores_by_size.items(), reverse=bool(turn % 2)):
            found[size]["queue"].append(store.time_queueing())
            found[size]["status"].append(store.time_reading())
    print(json.dumps(found))


class MeasuredStore:
    """An engine on a store, and a sandbox with some batches, whose journal is full."""

    def __init__(self, url: str, size: int) -> None:
        from mockserver.engine.build import build_engine  # noqa: PLC0415  only the process that is measured needs it
        from mockserver.settings.table import Settings  # noqa: PLC0415

        self._engine = build_engine(Settings(store=url, progression="time:1000000"))
        self._size = size
        self._sandboxes = self._prompts = 0
        self._first = ""
        self._open()

    def time_queueing(self) -> float:
        """The CPU microseconds of a batch. A small sandbox is replaced meanwhile, so that it stays small."""
        spent = 0.0
        for _ in range(QUEUED // MORE):
            if self._size < QUEUED:
                self._open()
            else:
                _spent(JOURNAL, self._read)
            spent += _spent(MORE, self._queue)
        return spent / QUEUED

    def time_reading(self) -> float:
        """The CPU microseconds of a status request, when the journal holds nothing else: exchanges differ in size."""
        _spent(JOURNAL, self._read)
        return _spent(READ, self._read) / READ

    def _open(self) -> None:
        self._sandboxes += 1
        self._first = json.loads(self._queue())["id"]
        _spent(self._size - 1, self._queue)
        _spent(JOURNAL, self._read)

    def _queue(self) -> bytes:
        self._prompts += 1
        prompts = [f"{self._prompts} {n} who?" for n in range(3)]
        return self._ask("POST", body=json.dumps({"prompts": prompts}).encode())

    def _read(self) -> bytes:
        return self._ask("GET", f"id={self._first}")

    def _ask(self, method: str, query: str = "", body: bytes = b"") -> bytes:
        from mockserver.http import Request  # noqa: PLC0415

        token = f"Bearer bench-{self._sandboxes}"
        headers = {"authorization": token, "content-type": "application/json", "host": "localhost"}
        answer = self._engine.handle(Request(method, "/ai/batches", query, headers, body))
        if answer.status not in {200, 202} or not isinstance(answer.body, bytes):
            raise SystemExit(f"the engine answered {answer}")
        return answer.body


def _spent(count: int, action: Callable[[], object]) -> float:
    """The CPU microseconds of the process while the action is called so many times."""
    began = process_time()
    for _ in range(count):
        action()
    return (process_time() - began) * 1e6


if __name__ == "__main__":
    main(*sys.argv[1:])
