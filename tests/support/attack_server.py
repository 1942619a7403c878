"""A server in a child process with limited memory, and probes that measure the delay of other clients."""

import atexit
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
MEMORY = 3 * 1024**3
"""Bytes of address space the server may have (`ulimit -v`); what it needs at rest included."""


class AttackedServer:
    """A running `mockserver serve`, and how it feels from outside."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self, timeout: float = 60) -> http.client.HTTPConnection:
        """A new connection; the timeout is in seconds."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(
        self, method: str, path: str, body: bytes | None = None, *, token: str = "attacker", **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own."""
        connection = self.connect()
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **named}
            connection.request(method, path, body, given)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def resident(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def open_files(self) -> int:
        """How many file descriptors are open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def stop(self, number: signal.Signals = signal.SIGTERM, within: float = 10) -> int:
        """The exit code after a signal; raises TimeoutExpired when it takes longer than `within` seconds."""
        self.process.send_signal(number)
        return self.process.wait(timeout=within)


@contextmanager
def attacked_server(*flags: str, memory: int = MEMORY) -> Iterator[AttackedServer]:
    """A fresh server on a free port; killed at the end if it still runs."""
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0"]
    with subprocess.Popen(
        ["/bin/sh", "-c", f'ulimit -v {memory // 1024}; exec "$@"', "sh", *command, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MOCKSERVER_", "COV_"))},
    ) as process:
        assert process.stdout is not None
        try:
            ready = process.stdout.readline()
            assert ready, process.stderr and process.stderr.read()
            yield AttackedServer(process, int(ready.rstrip().rpartition(":")[2]))
        finally:
            process.kill()


def _thread_seconds(pid: int) -> tuple[float, float]:
    """How long the threads of a process have run, and how long they could have, but had no core."""
    ran = ready = 0
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):  # it ended
            spent = (thread / "schedstat").read_text().split()
            ran, ready = ran + int(spent[0]), ready + int(spent[1])
    return ran / 1e9, ready / 1e9


class MachineTime(NamedTuple):
    """Clocks of the machine, of a server's process and of this one, in seconds."""

    wall: float
    ready: float
    """How long threads of both processes could have run, but had no core."""
    others: float
    """What other processes have computed."""

    @classmethod
    def now(cls, pid: int) -> "MachineTime":
        wall = time.monotonic()
        busy = sum(int(part) for n, part in enumerate(Path("/proc/stat").read_text().split()[1:9]) if n not in {3, 4})
        own, ready = _thread_seconds(pid)
        return cls(wall, ready + _thread_seconds(os.getpid())[1], busy / os.sysconf("SC_CLK_TCK") - own)

    def waited(self, since: "MachineTime") -> float:
        """Seconds that passed since then, without those in which other processes had the cores that this one needed."""
        taken = min(self.ready - since.ready, (self.others - since.others) / (os.cpu_count() or 1))
        return self.wall - since.wall - max(taken, 0)


@cache
def idle_server() -> AttackedServer:
    """A server that nothing else asks, until this process ends."""
    until_exit = ExitStack()
    atexit.register(until_exit.close)
    return until_exit.enter_context(attacked_server())


PROBES = 2
"""How many connections `others_are_served` holds to the attacked server."""


class Probe:
    """Another client, which asks the same small question all the time."""

    def __init__(self, server: AttackedServer, path: str, token: str) -> None:
        self.longest = 0.0
        """Seconds of the longest wait for an answer so far, the one under way included; as `MachineTime.waited`."""
        self.answers = 0
        self.failures: list[str] = []
        self._port, self._path, self._token = server.port, path, token
        self._pid = server.process.pid
        self._since: MachineTime | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def start(self) -> "Probe":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        self._count()
        self._thread.join(timeout=60)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        is_stopped = False
        while not is_stopped:
            self._since = MachineTime.now(self._pid)
            try:
                connection.request("GET", self._path, headers={"Authorization": f"Bearer {self._token}"})
                response = connection.getresponse()
                response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            else:
                self.answers += 1
                if response.status >= 500:
                    self.failures.append(f"{self._path}: {response.status}")
            self._count()
            self._since = None
            is_stopped = self._stop.wait(0.01)
        connection.close()

    def _count(self) -> None:
        if (since := self._since) is not None:
            self.longest = max(self.longest, MachineTime.now(self._pid).waited(since))


@contextmanager
def others_are_served(server: AttackedServer, *, health: float = 0.5, sandbox: float = 1.0) -> Iterator[None]:
    """Fails if other clients wait too long meanwhile: `health` seconds for /health, `sandbox` for another sandbox.

    The time in which other processes had the cores is not counted. The longest wait for an idle server beside it is
    allowed on top, twice: a machine that is busy with other work makes both slow, an attack only the attacked one.
    """
    probes = [Probe(server, "/health", "other"), Probe(server, "/user", "other")]
    control = Probe(idle_server(), "/health", "other").start()
    for probe in probes:
        probe.start()
    try:
        yield
    finally:
        for probe in (*probes, control):
            probe.stop()
    assert not any(probe.failures for probe in probes), [probe.failures for probe in probes]
    assert all(probe.answers for probe in probes), "the probes got no answer"
    for probe, most in zip(probes, (health, sandbox), strict=True):
        assert probe.longest <= most + 2 * control.longest, f"{probe.longest:.2f} s, {control.longest:.2f} s when idle"
