"""AgileCloud as the npm openai SDK uses it; what it does stands in tests/node/sdk.test.js."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from builders import make_settings

from mockserver.server import ThreadedServer

NODE = Path(__file__).parents[1] / "node"
TESTS = NODE / "sdk.test.js"
LOCK = NODE / "package-lock.json"
INSTALLED = NODE / "node_modules" / ".installed.json"
"""A copy of the lock that the packages were installed from: while it holds, the registry is not asked again."""
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline")

needs_node = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not here")


@pytest.fixture(scope="module")
def sdk() -> None:
    if not INSTALLED.exists() or INSTALLED.read_bytes() != LOCK.read_bytes():
        code, output = run(*INSTALL)
        assert code == 0, output
        shutil.copyfile(LOCK, INSTALLED)


@needs_node
@pytest.mark.usefixtures("sdk")
def test_the_npm_sdk_goes_through_the_whole_loop() -> None:
    with ThreadedServer(make_settings(strict=True, progression="polls:2")) as server:
        code, output = run("node", "--test", "--test-reporter=tap", str(TESTS), OPENAI_BASE_URL=f"{server.url}/v1")

    assert code == 0, output
    told = summary(output)
    assert told["pass"] == told["tests"] >= len(re.findall(r"(?m)^ *test\(", TESTS.read_text(encoding="utf-8")))


def test_the_lock_names_no_registry() -> None:
    locked = LOCK.read_text(encoding="utf-8")

    assert '"integrity": "sha512-' in locked
    assert "://" not in locked


def summary(output: str) -> Mapping[str, int]:
    """The numbers at the end of TAP, such as `# pass 18`."""
    return {word: int(number) for word, number in re.findall(r"(?m)^# (\w+) (\d+)$", output)}


def run(*command: str, **environment: str) -> tuple[int, str]:
    """The exit code of a command, and what it said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "NODE_"))}
    done = subprocess.run(
        command, cwd=NODE, env=kept | environment, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout + done.stderr
