"""The machine underneath: which core serves and which one loads, what a process weighs, and what to say of it."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("uvicorn", "uvloop", "httptools", "starlette", "orjson", "jsonschema-rs")
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


@contextmanager
def on_cores(*cores: int) -> Iterator[None]:
    """What is started inside stays on these cores; we ourselves come back."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def resident_bytes(pid: int) -> int:
    return kilobytes(Path(f"/proc/{pid}/status"), "VmRSS") * 1024


def highest_resident_bytes(pid: int) -> int:
    """The most that was resident since the process began, or since the kernel was told to forget it."""
    return kilobytes(Path(f"/proc/{pid}/status"), "VmHWM") * 1024


def available_bytes() -> int:
    return kilobytes(Path("/proc/meminfo"), "MemAvailable") * 1024


def cpu_seconds(pid: int) -> float:
    """What the process has used so far, of user and of system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kilobytes(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{path} has no line {name}")
    return int(found[1])


def facts() -> dict[str, str]:
    """What a reader needs to know before comparing two runs."""
    shared = " (only one: server and load share it, so the ratios are worth little)" if len(CORES) == 1 else ""
    return {
        "load": f"{os.getloadavg()[0]:.2f} on average over the last minute (0: nothing else to do)",
        "machine": f"{platform.system()} {platform.machine()}, {processor()}",
        "cores": f"{len(CORES)} usable; server on {SERVER_CORE}, load on {LOAD_CORE}{shared}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{name} {installed(name)}" for name in PACKAGES),
    }


def processor() -> str:
    found = re.search(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "unknown processor"


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
