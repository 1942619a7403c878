"""The other sandboxes with a batch loop, aimock and llmock: fetched by name into a folder that is thrown away."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench.targets import BenchError, Target

AIMOCK, LLMOCK = "1.43", "0.2.2"
MISSING = "not fetched; --install-mocks fetches it for this run"
GREETING = {
    "fixtures": [{"match": {"userMessage": "Hello"}, "response": {"content": "Hello! How can I help you today?"}}]
}
"""Aimock's answer to the chat that is measured; its batches look at no fixture."""
# A batch of llmock's rests for 3 s that no setting shortens. Without them it is its work that is measured.
_RESTING = (
    "import uvicorn; "
    "uvicorn.run('llmock.main:create_app', factory=True, host='127.0.0.1', port={port}, log_level='warning', "
    "access_log=False)"
)
_RESTLESS = f"import llmock.routers.batch as batch; batch._BATCH_DELAY = 0.0; {_RESTING}"


def rivals(folder: Path | None) -> tuple[list[Target], list[str]]:
    """Those that could be fetched into the folder, and a sentence for each that could not; None fetches nothing."""
    if folder is None:
        return [], [f"aimock: {MISSING}", f"llmock: {MISSING}"]
    found, missing = [], []
    for name, fetch in (("aimock", fetch_aimock), ("llmock", fetch_llmock)):
        try:
            found.append(fetch(folder / name))
        except (BenchError, OSError, subprocess.TimeoutExpired) as error:
            missing.append(f"{name} is skipped: {error}")
    return found, missing


def fetch_aimock(folder: Path) -> Target:
    npm = shutil.which("npm")
    if npm is None:
        raise BenchError("npm is not installed")
    run([npm, "install", "--no-fund", "--no-audit", "--prefix", str(folder), f"@copilotkit/aimock@{AIMOCK}"])
    modules = folder / "node_modules"
    # Without a file it would take up our own fixtures. Its example compares letters exactly and has only "hello".
    fixtures = folder / "greeting.json"
    fixtures.write_text(json.dumps(GREETING), encoding="utf-8")
    options = ("-p", "{port}", "-f", str(fixtures), "--log-level", "silent")
    return Target("aimock", f"aimock {AIMOCK}", (str(modules / ".bin" / "llmock"), *options), "/health")


def fetch_llmock(folder: Path) -> Target:
    run([sys.executable, "-m", "venv", str(folder)])
    python = str(folder / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"llmock=={LLMOCK}"])
    return Target("llmock", f"llmock {LLMOCK}, its delay taken out", (python, "-c", _RESTLESS), "/health")


def resting(llmock: Target) -> Target:
    """The same llmock as it comes, with the rest that its batches take."""
    return replace(llmock, key="llmock-rest", label=f"llmock {LLMOCK}", command=(*llmock.command[:-1], _RESTING))


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise BenchError(f"{Path(command[0]).name} could not fetch it: {done.stderr.strip()[-300:]}")
