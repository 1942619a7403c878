"""Whom we measure: our server and the references, each as a command, and how one is started, awaited and stopped."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import NamedTuple

from bench import ROOT
from bench.client import Connection, question
from bench.machine import SERVER_CORE, on_cores

START_LIMIT = 30.0


class BenchError(Exception):
    """A measure that cannot be made; the message says why."""


@dataclass(frozen=True)
class Target:
    """A server as a command line, in which `{port_file}` or `{port}` is filled in."""

    key: str
    label: str
    command: tuple[str, ...]
    probe: str
    ready: int = 200
    """The status that `GET probe` answers once the server is there."""
    folder: Path = ROOT
    """Where the command runs; a server of ours is that of this checkout."""


class Running(NamedTuple):
    pid: int
    port: int
    seconds: float
    """From the start of the process to the first answer."""


OURS = Target(
    "ours",
    "ours: everything on",
    (sys.executable, "-m", "mockserver", "serve", "--port", "0", "--port-file", "{port_file}", "--seed", "bench"),
    "/ready",
)


def reference(key: str, label: str, app: str, *, ready: int) -> Target:
    return Target(key, label, (sys.executable, "-m", "bench.references", app, "{port_file}"), "/ai/batches", ready)


# The raw apps do not look at the method: a bare GET gets the constant answer of (a), and (b)'s refusal of no body.
CONSTANT = reference("a", "a: raw ASGI, constant answer", "constant", ready=202)
JUDGING = reference("b", "b: raw ASGI, orjson + jsonschema-rs", "judging", ready=422)
KEEPING = reference("e", "e: as b, and every body kept", "keeping", ready=422)
STARLETTE = reference("c", "c: bare Starlette", "starlette", ready=200)


def prism(executable: str) -> Target:
    """(d) Prism on our document. It knows nothing at `/`, and says 404 as soon as it is there."""
    options = ("--host", "127.0.0.1", "--port", "{port}", "--verboseLevel", "silent")
    return Target("d", "d: Prism", (executable, "mock", str(ROOT / "openapi.yaml"), *options), "/", ready=404)


def find_prism(given: str | None) -> str | None:
    """Prism's executable: the one given, or one on PATH, or one npm put beside the project; None when there is none."""
    if given:
        return given if os.access(given, os.X_OK) else None
    return shutil.which("prism") or shutil.which(str(ROOT / "node_modules" / ".bin" / "prism"))


def install_prism(folder: Path) -> str:
    """Let npm put Prism into a folder that the caller throws away."""
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError("npm is not installed, so Prism cannot be")
    command = [npm, "install", "--no-fund", "--no-audit", "--prefix", str(folder), "@stoplight/prism-cli"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise BenchError(f"npm could not install Prism: {done.stderr.strip()[-300:]}")
    return str(folder / "node_modules" / ".bin" / "prism")


@contextmanager
def running(target: Target, cores: Sequence[int] = (SERVER_CORE,)) -> Iterator[Running]:
    """A fresh process of the target on the server's core or on others, ready when the body runs, gone when it ends."""
    with TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        port_file, log = folder / "port", folder / "log"
        port = free_port() if any("{port}" in part for part in target.command) else 0
        command = [part.format(port_file=port_file, port=port) for part in target.command]
        with log.open("wb") as output, on_cores(*cores):
            started = perf_counter()
            process = subprocess.Popen(
                command, cwd=target.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            yield await_answer(target, process, port_file, port, started)
        except BenchError as error:
            raise BenchError(f"{error}{last_words(log)}") from error
        finally:
            stop(process)


def run_python(*arguments: str, cores: Sequence[int], what: str, seconds: float = 120) -> str:
    """The last line that a Python of its own prints; raises BenchError, saying that `what` could not be measured.

    It is ended after so many seconds.
    """
    with on_cores(*cores):
        try:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BenchError(f"{what} could not be measured in {seconds:.0f} seconds") from None
    if done.returncode:
        raise BenchError(f"{what} could not be measured: {done.stderr.strip()[-500:]}")
    return done.stdout.strip().splitlines()[-1]


def environment() -> dict[str, str]:
    """Ours without what would change a server's settings, or keep it from writing byte code."""
    unwanted = {"PORT", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONDEVMODE", "PYTHONTRACEMALLOC"}
    return {
        key: value for key, value in os.environ.items() if key not in unwanted and not key.startswith("MOCKSERVER_")
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_answer(
    target: Target, process: subprocess.Popen[bytes], port_file: Path, port: int, started: float
) -> Running:
    """Ask without a pause until the server answers: the load's core has nothing better to do."""
    request = question("GET", target.probe)
    status = 0
    while process.poll() is None and perf_counter() < started + START_LIMIT:
        try:
            with Connection(port or int(port_file.read_text())) as connection:
                status = connection.ask(request).status
        except (OSError, ValueError):  # no file yet, half a number, nobody listening yet
            continue
        if status == target.ready:
            return Running(process.pid, connection.port, perf_counter() - started)
    if process.returncode is not None:
        raise BenchError(f"{target.label} ended with exit code {process.returncode} before it was ready")
    raise BenchError(f"{target.label} did not answer GET {target.probe} with {target.ready} in time (last: {status})")


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_words(log: Path) -> str:
    text = log.read_text(errors="replace").strip()
    return f"\n    its last words: {text[-500:]}" if text else ""
