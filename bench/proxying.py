"""The proxy: its rate beside that of Prism's; what it adds to a small request; what recording costs; uploads; events.

Upstream and load share a core, and the proxy has the other one.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from bench import ROOT
from bench.client import Connection, question
from bench.load import SMALL, find_wrk, note_disturbance, row_of, run_in_turns
from bench.machine import LOAD_CORE, highest_resident_bytes, on_cores
from bench.plan import Plan
from bench.report import Comparison, Result, Row, ratio
from bench.targets import CONSTANT, BenchError, Target, running

UPLOAD = 200_000_000
PIECE = b"x" * 65_536
EVENTS, PAUSE = 50, 0.02
"""Events of one stream, and the seconds between two of them."""
ANSWER = b'{"id":"9d03a242-34c2-46d1-9dd2-c97ae41dd6f3","count":3}'
RATE = replace(
    SMALL, name="proxy-rate", title="POST /ai/batches, 3 prompts, 16 connections", connections=16, promises=()
)
"""What is posted through a proxy whose upstream is the reference (a)."""
Answer = Callable[[socket.socket, bytes, bytes], None]
"""Answers a request, given its head and what has come of its body."""


def ours(upstream: str, *flags: str) -> Target:
    """Our proxy in front of an address."""
    command = (sys.executable, "-m", "mockserver", "proxy", upstream, "--port", "0", "--port-file", "{port_file}")
    return Target("ours", "ours", (*command, *flags), "/ready")


def prisms(executable: str, upstream: str) -> Target:
    """Prism's proxy; what its document does not have it passes on, so that `/` is answered by the upstream."""
    options = ("--host", "127.0.0.1", "--port", "{port}", "--verboseLevel", "silent")
    command = (executable, "proxy", str(ROOT / "openapi.yaml"), upstream, *options)
    return Target("prism", "Prism's proxy", command, "/", 202)


def measure_proxy_rate(plan: Plan) -> Result:
    """Small requests on several connections: through both proxies, and while recording, in turns."""
    wrk = find_wrk()
    result = Result(RATE.name, f"{RATE.title} ({plan.repeat} x {plan.seconds} s)", "requests/s")
    with TemporaryDirectory(prefix="bench-record-") as folder, running(CONSTANT, (LOAD_CORE,)) as constant:
        address = f"http://127.0.0.1:{constant.port}"
        record = ("--record", folder, "--record-mode", "all")
        recording = replace(ours(address, *record), key="recording", label="ours, recording")
        targets = [ours(address), *_before(plan, address), recording]
        if plan.prism_executable is not None:
            targets.append(prisms(plan.prism_executable, address))
        runs = run_in_turns(wrk, RATE, targets, plan)
    rows = {target.key: row_of(target, runs[target.key]) for target in targets}
    result.rows += rows.values()
    note_disturbance(result, runs, ("ours",))
    if "prism" in rows:
        result.comparisons.append(ratio("rate, ours / Prism's proxy", rows["ours"], rows["prism"], "at least", 5.0))
        result.notes.append(f"Prism {plan.prism_version()}")
    else:
        result.reservation += " (without Prism)"
        result.notes.append(plan.prism_missing)
    return result


def _before(plan: Plan, upstream: str) -> list[Target]:
    """The proxy of the other checkout; empty without one."""
    return [replace(each, command=ours(upstream).command) for each in plan.earlier()]


def measure_proxy(plan: Plan) -> Result:
    """Small requests, one after another on one connection: direct, through both proxies, and while recording."""
    result = Result("proxy", f"POST /ai/batches, 3 prompts, one connection ({plan.repeat} x)", "ms")
    request = question("POST", "/ai/batches", body=SMALL.body)
    with TemporaryDirectory(prefix="bench-record-") as folder, upstream(answer_small) as address:
        record = ("--record", folder, "--record-mode", "all")
        targets = {"ours": ours(address), "recording": ours(address, *record)}
        if plan.prism_executable is not None:
            targets["Prism"] = prisms(plan.prism_executable, address)
        medians: dict[str, list[float]] = {name: [] for name in ("direct", *targets)}
        for _ in range(plan.repeat):
            medians["direct"].append(latency(int(address.rpartition(":")[2]), request, plan.seconds))
            for name, target in targets.items():
                with running(target) as server:
                    medians[name].append(latency(server.port, request, plan.seconds))
    rows = {name: Row(name, samples) for name, samples in medians.items()}
    result.rows += rows.values()
    added = rows["ours"].median - rows["direct"].median
    result.comparisons.append(Comparison("added at the median", added, "at most", 1.0, "ms"))
    result.comparisons.append(ratio("recording / ours", rows["recording"], rows["ours"], "at most", 1.2))
    if "Prism" in rows:
        result.notes.append(f"Prism {plan.prism_version()}; the rates of both proxies are compared by proxy-rate")
    else:
        result.notes.append(plan.prism_missing)
    return result


def measure_proxy_streams(plan: Plan) -> Result:
    """A large upload, and a stream of events."""
    result = Result("proxy-streams", f"an upload of 200 MB and {EVENTS} events ({plan.repeat} x)", "")
    grown: list[float] = []
    late: dict[str, list[float]] = {"direct": [], "through the proxy": []}
    with upstream(answer_stream) as address:
        for _ in range(plan.repeat):
            late["direct"].append(event_delay(int(address.rpartition(":")[2])))
            with running(ours(address)) as server:
                late["through the proxy"].append(event_delay(server.port))
                before = highest_resident_bytes(server.pid)
                upload(server.port)
                grown.append((highest_resident_bytes(server.pid) - before) / 2**20)
    result.rows.append(Row("memory that an upload takes, MiB", grown))
    rows = [Row(f"delay of an event {name}, ms", samples) for name, samples in late.items()]
    result.rows += rows
    result.comparisons.append(Comparison("memory of an upload", max(grown), "at most", 16.0, "MiB"))
    added = rows[1].median - rows[0].median
    result.comparisons.append(Comparison("added for each event", added, "at most", 5.0, "ms"))
    return result


def latency(port: int, request: bytes, seconds: int) -> float:
    """The median of a request, in milliseconds."""
    times: list[float] = []
    with Connection(port) as connection, on_cores(LOAD_CORE):
        end = perf_counter() + seconds
        while perf_counter() < end:
            started = perf_counter()
            status = connection.ask(request).status
            times.append((perf_counter() - started) * 1000)
            if status != 202:
                raise BenchError(f"an answer had the status {status}")
    return median(times)


def event_delay(port: int) -> float:
    """The median time from the sending of an event to its arrival, in milliseconds."""
    delays = []
    with socket.create_connection(("127.0.0.1", port), 20) as wire:
        wire.sendall(question("GET", "/v1/models"))
        data = b""
        while part := wire.recv(65536):
            arrived, data = perf_counter(), data + part
            *events, data = data.split(b"\n\n")
            sent = [float(each.rpartition(b"data: ")[2]) for each in events if b"data: " in each]
            delays += [(arrived - each) * 1000 for each in sent]
            if b"0\r\n\r\n" in data + (events[-1] if events else b"") or len(delays) >= EVENTS:
                break
    if len(delays) < EVENTS:
        raise BenchError(f"{len(delays)} of {EVENTS} events came")
    return median(delays)


def upload(port: int) -> None:
    """Send a form of 200 MB."""
    boundary = b"bench-boundary"
    begin = b'--%b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--%b\r\n' % (boundary, boundary)
    begin += b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    end = b"\r\n--%b--\r\n" % boundary
    head = (
        "POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer b\r\nContent-Type: multipart/form-data; "
    )
    head += f"boundary={boundary.decode()}\r\nContent-Length: {len(begin) + UPLOAD + len(end)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 60) as wire:
        wire.sendall(head.encode() + begin)
        for _ in range(UPLOAD // len(PIECE)):
            wire.sendall(PIECE)
        wire.sendall(PIECE[: UPLOAD % len(PIECE)] + end)
        if not wire.recv(65536).startswith(b"HTTP/1.1 200"):
            raise BenchError("the upload was not accepted")


@contextmanager
def upstream(answer: Answer) -> Iterator[str]:
    """A server in threads of this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener, on_cores(LOAD_CORE):
        threading.Thread(target=_accept, args=(listener, answer), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, answer: Answer) -> None:
    with suppress(OSError):
        while True:
            wire, _ = listener.accept()
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(wire, answer), daemon=True).start()


def _serve(wire: socket.socket, answer: Answer) -> None:
    with wire, suppress(OSError):
        data = b""
        while part := wire.recv(65536):
            data += part
            if b"\r\n\r\n" in data:
                head, _, body = data.partition(b"\r\n\r\n")
                answer(wire, head, body)
                data = b""


def _stated_length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next((int(value) for name, _, value in lines if name == b"content-length"), 0)


def _read_rest(wire: socket.socket, head: bytes, body: bytes) -> None:
    missing = _stated_length(head) - len(body)
    while missing > 0:
        part = wire.recv(262_144)
        if not part:
            return
        missing -= len(part)


def answer_small(wire: socket.socket, head: bytes, body: bytes) -> None:
    """The same small answer for each request."""
    _read_rest(wire, head, body)
    wire.sendall(
        b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(ANSWER), ANSWER)
    )


def answer_stream(wire: socket.socket, head: bytes, body: bytes) -> None:
    """A file for an upload; else events, each with the time at which it was sent."""
    if head.startswith(b"POST"):
        _read_rest(wire, head, body)
        file = json.dumps({"id": "file-1", "object": "file", "bytes": UPLOAD, "created_at": 1, "filename": "a.jsonl",
                           "purpose": "batch", "status": "processed"}).encode()  # fmt: skip
        wire.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(file), file)
        )
        return
    wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    pause = threading.Event()
    for _ in range(EVENTS):
        pause.wait(PAUSE)
        wire.sendall(b"data: %.9f\n\n" % perf_counter())
    wire.shutdown(socket.SHUT_RDWR)
