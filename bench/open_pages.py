"""What open pages of the inspector cost: throughput with ten of them beside throughput with none.

The pages are followed as the inspector's script does it: an event stream each, and the page again after a change.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from time import perf_counter

from bench import ROOT
from bench.client import Connection, question
from bench.load import SMALL, STATUS, Load, Run, find_wrk, note_disturbance, row_of, run_once
from bench.machine import LOAD_CORE, on_cores
from bench.plan import Plan
from bench.report import Result, ratio
from bench.targets import OURS, BenchError, environment

UI = "/__admin/ui"
PAGES = (
    "/requests", "/requests", "/requests?operation=queueBatch", "/batches", "/batches", "/accounts", "/next",
    "/verdict", "/coverage", "/sandbox",
)  # fmt: skip
"""The open pages: those that show what changes with each request are among them."""
SHARE = 0.9
LOADS = (SMALL, STATUS)
LEAST_PAUSE = 1.0
"""Seconds between two fetches of a page, unless the server asks for more; see inspector.js."""


def measure_pages(plan: Plan) -> Result:
    """Each load without and with pages, in turns."""
    wrk = find_wrk()
    seconds = min(2 * plan.seconds, 10)  # a page fetches itself again about once a second
    result = Result(
        "open-pages", f"{len(PAGES)} open pages of the inspector ({plan.repeat} x {seconds} s)", "requests/s"
    )
    for load in LOADS:
        none, some = f"{load.name}, no page", f"{load.name}, {len(PAGES)} pages"
        runs: dict[str, list[Run]] = {none: [], some: []}
        fetched: list[Mapping[str, float]] = []
        for repetition in range(plan.repeat):
            for key in (none, some) if repetition % 2 else (some, none):
                runs[key].append(_run(wrk, load, seconds, f"bench-{repetition}", fetched if key is some else None))
        rows = {key: row_of(replace(OURS, label=key), runs[key]) for key in runs}
        result.rows += rows.values()
        result.comparisons.append(
            ratio(f"{load.name}: with pages / without", rows[some], rows[none], "at least", SHARE)
        )
        result.notes.append(_told(load, fetched))
        note_disturbance(result, runs, tuple(runs))
    return result


def _run(wrk: str, load: Load, seconds: int, token: str, fetched: list[Mapping[str, float]] | None) -> Run:
    if fetched is None:
        return run_once(wrk, load, OURS, seconds, token)
    return run_once(wrk, load, OURS, seconds, token, beside=lambda port: _reading(port, fetched))


def _told(load: Load, fetched: list[Mapping[str, float]]) -> str:
    count, longest = sum(int(each["count"]) for each in fetched), max(each["longest"] for each in fetched)
    return f"{load.name}: the pages were fetched {count} times meanwhile, the slowest took {longest:.2f} s"


@contextmanager
def _reading(port: int, fetched: list[Mapping[str, float]]) -> Iterator[None]:
    """Reads the pages in a process beside; afterwards `fetched` has how often, and the longest seconds."""
    with on_cores(LOAD_CORE):
        reader = subprocess.Popen(
            [sys.executable, "-m", "bench.open_pages", str(port), _only_sandbox(port)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
    try:
        assert reader.stdout
        if reader.stdout.readline() != b"open\n":
            raise BenchError("the pages could not be opened")
        yield
        printed, _ = reader.communicate(b"end\n", timeout=60)
    finally:
        reader.kill()
        reader.wait()
    if reader.returncode:
        raise BenchError("the pages could not be read to the end")
    fetched.append(json.loads(printed))


def _only_sandbox(port: int) -> str:
    """The key of the sandbox that the first request made."""
    with Connection(port) as connection:
        answer = json.loads(connection.ask(question("GET", "/__admin/sandboxes")).body)
    return str(answer["sandboxes"][0]["key"])


class OpenPage:
    """One page that is open, without its looks."""

    def __init__(self, port: int, path: str, sandbox: str) -> None:
        self._port = port
        self._path = f"{UI}{path}{'&' if '?' in path else '?'}sandbox={sandbox}"
        self._events = f"{UI}/events?sandbox={sandbox}"
        self._told = 0
        self._is_changed = asyncio.Event()
        self.times: list[float] = []

    async def follow(self, opened: asyncio.Semaphore) -> None:
        """Fetch it now, and again after changes, until this is cancelled."""
        listening = asyncio.create_task(self._listen(opened))
        try:
            while True:
                pause = await self._fetch()
                await asyncio.sleep(pause)
                await self._is_changed.wait()
                self._is_changed.clear()
        finally:
            listening.cancel()

    async def _listen(self, opened: asyncio.Semaphore) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(question("GET", self._events))
        await reader.readuntil(b"retry: 1000")
        opened.release()
        while line := await reader.readline():
            if line.startswith(b"data: "):
                self._told = int(line[6:])
                self._is_changed.set()
        raise SystemExit("the server ended an event stream")

    async def _fetch(self) -> float:
        """Read the page; returns the seconds to wait before the next time."""
        begun = perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 24)
        lines = [f"GET {self._path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"X-Inspector-Refresh: {self._told}"]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        writer.close()
        if not head.startswith(b"HTTP/1.1 200") or b"</html>" not in body:
            raise SystemExit(f"{self._path} was answered with {head[:200]!r}")
        self.times.append(perf_counter() - begun)
        asked = [line for line in head.lower().split(b"\r\n") if line.startswith(b"x-inspector-pause:")]
        return max(LEAST_PAUSE, *(float(line.partition(b":")[2]) for line in asked), 0.0)


async def read_pages(port: int, sandbox: str) -> None:
    """Follow all pages until a line comes in; then print how often they were fetched."""
    opened = asyncio.Semaphore(0)
    pages = [OpenPage(port, path, sandbox) for path in PAGES]
    following = [asyncio.create_task(page.follow(opened)) for page in pages]
    for _ in pages:
        await opened.acquire()
    print("open", flush=True)
    told = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    await asyncio.wait([told, *following], return_when=asyncio.FIRST_COMPLETED)
    for each in following:
        each.cancel()
    for each in following:
        with suppress(asyncio.CancelledError):
            await each
    times = [seconds for page in pages for seconds in page.times]
    print(json.dumps({"count": len(times), "longest": max(times, default=0.0)}))


if __name__ == "__main__":
    asyncio.run(read_pages(int(sys.argv[1]), sys.argv[2]))
