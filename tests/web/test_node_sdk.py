"""AgileCloud as the npm openai SDK uses it; what it does stands in tests/node/sdk.test.js."""

import os
import re
import subprocess
from collections.abc import Mapping

import pytest
from builders import make_settings
from node_sdk import LOCK, NODE, install_sdk, needs_node

from mockserver.server.process import ThreadedServer

TESTS = NODE / "sdk.test.js"


@pytest.fixture(scope="module")
def sdk() -> None:
    install_sdk()


@needs_node
@pytest.mark.usefixtures("sdk")
def test_the_npm_sdk_runs_a_batch_from_upload_to_output() -> None:
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
