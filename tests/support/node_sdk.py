"""Node and the npm openai SDK of the lock, installed once for all tests that run JavaScript."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = Path(__file__).parents[1] / "node"
LOCK = NODE / "package-lock.json"
INSTALLED = NODE / "node_modules" / ".installed.json"
"""A copy of the lock that the packages were installed from: while it holds, the registry is not asked again."""
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefer-offline")

HAS_NODE = bool(shutil.which("node") and shutil.which("npm"))
needs_node = pytest.mark.skipif(not HAS_NODE, reason="node and npm are not here")


def install_sdk() -> None:
    if INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes():
        return
    done = subprocess.run(INSTALL, cwd=NODE, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copyfile(LOCK, INSTALLED)
