"""Run tests against a mutant: in a temporary copy of the checkout, and in bounded time and memory."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from bench.mutants.sites import Mutant

MEMORY = 4 * 1024**3
"""Bytes of address space of each process."""
LARGEST_FILE = 512 * 1024**2
"""Bytes that a process may write to one file."""
HANG = 60
"""Seconds after which a single test has hung."""
FIRST_STAGE = 4
"""Test files that run first; each further stage has twice as many."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) ([^\s\[]+)", re.MULTILINE)
"""A test in pytest's summary, without its parameters, which may hold anything."""


class Verdict(StrEnum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"


class Result(NamedTuple):
    """How a trial ended."""

    verdict: Verdict
    by: str
    """The test that noticed, or how many test files ran; of one that timed out, whether a test hung."""


class _Run(NamedTuple):
    is_passed: bool
    is_late: bool
    failed: tuple[str, ...]
    """Ids of tests, or paths of files that could not be collected."""
    output: str


class Workshop:
    """A copy of the checkout in which one mutant at a time is tested."""

    def __init__(self, root: Path, copy: Path, *, seconds: float, most_files: int | None) -> None:
        """`seconds` and `most_files` bound the trial of one mutant; without the latter all files that reach it run."""
        self._copy = copy
        self._seconds = seconds
        self._most_files = most_files
        self._broken: dict[str, bool] = {}
        self._writes = 0
        for name in _files_of(root):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)

    def check(self) -> None:
        """Raise RuntimeError if the tests cannot even be collected in the copy."""
        run = self._pytest(["--collect-only", "tests"], 600)
        if not run.is_passed:
            raise RuntimeError(run.output[-4000:])

    def try_out(self, mutant: Mutant, tests: Sequence[str]) -> Result:
        """Run the test files (relative paths, likely ones first) until one notices the mutant."""
        end = time.monotonic() + self._seconds
        chosen = list(tests)[: self._most_files]
        target = self._copy / mutant.path
        size, start = FIRST_STAGE, 0
        unsure: list[str] = []
        while start < len(chosen):
            files = chosen[start : start + size]
            run = self._run_changed(target, mutant.source, [*self._deselected(unsure), *files], end - time.monotonic())
            if run.is_late:
                said = "a test that hangs" if run.output else f"{start + len(files)} test files, time was up"
                return Result(Verdict.TIMED_OUT, said)
            if run.is_passed:
                start, size = start + size, size * 2
            elif not run.failed:
                return Result(Verdict.KILLED, "a crash")
            elif not self._fails_anyway(run.failed[0]):
                again = self._run_changed(target, mutant.source, [run.failed[0]], self._seconds)
                if not again.is_passed:
                    return Result(Verdict.KILLED, run.failed[0])
                unsure.append(run.failed[0])  # a busy machine, perhaps: the others decide
        return Result(Verdict.SURVIVED, f"{len(chosen)} test files")

    def _run_changed(self, target: Path, source: str, arguments: Sequence[str], seconds: float) -> _Run:
        original = target.read_text(encoding="utf-8")
        self._write(target, source)
        try:
            return self._pytest(arguments, seconds)
        finally:
            self._write(target, original)

    def _fails_anyway(self, test: str) -> bool:
        """Whether the test also fails in the unchanged copy."""
        if test not in self._broken:
            self._broken[test] = not self._pytest([test], self._seconds).is_passed
        return self._broken[test]

    def _deselected(self, unsure: Sequence[str]) -> list[str]:
        broken = [test for test, is_so in self._broken.items() if is_so]
        return [f"--{'deselect' if '::' in test else 'ignore'}={test}" for test in (*broken, *unsure)]

    def _write(self, path: Path, source: str) -> None:
        path.write_text(source, encoding="utf-8")
        self._writes += 1  # a compiled file is known by seconds and size: each version gets a second of its own
        os.utime(path, (1_000_000_000 + self._writes,) * 2)

    def _pytest(self, arguments: Sequence[str], seconds: float) -> _Run:
        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", f"faulthandler_timeout={HANG}"]
        limits = f'ulimit -v {MEMORY // 1024}; ulimit -f {LARGEST_FILE // 512}; ulimit -c 0; exec "$@"'
        command = [
            "/bin/sh",
            "-c",
            limits,
            "sh",
            sys.executable,
            "-m",
            "pytest",
            *options,
            "-o",
            "faulthandler_exit_on_timeout=true",
            *arguments,
        ]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MOCKSERVER_", "PYTEST"))
        }
        with subprocess.Popen(
            command,
            cwd=self._copy,
            env={**environment, "PYTHONPATH": str(self._copy)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=max(seconds, 1))
                is_late = "Timeout (0:" in output
            except subprocess.TimeoutExpired:
                output, is_late = "", True
            finally:
                _end_group(process)
        return _Run(process.returncode == 0, is_late, tuple(_FAILED.findall(output)), output)


def _end_group(process: "subprocess.Popen[str]") -> None:
    """Kill the process and all that it started, such as servers whose test was cut off."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _files_of(root: Path) -> list[str]:
    """All files of the checkout that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if name and (root / name).is_file()]
