"""A real nginx in front of replicas, with the configuration of deploy/."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from waiting import eventually

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def require_nginx() -> str:
    """The path of nginx. Without one the test is skipped, and fails in CI."""
    if NGINX is None:
        reason = "nginx is not here: apt-get install nginx"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return NGINX


@contextmanager
def running_nginx(folder: Path, replicas: Sequence[str]) -> Iterator[str]:
    """The URL of an nginx in front of these replicas, each a URL."""
    path = require_nginx()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIGURATION.read_text(encoding="utf-8").replace("/tmp/", f"{folder}/")
    text = text.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    addresses = iter(replicas)
    text = re.sub(r"server replica-\d:4024", lambda _: "server " + next(addresses).removeprefix("http://"), text)
    file = folder / "nginx.conf"
    file.write_text(text, encoding="utf-8")
    globals_ = "daemon off; master_process off;"
    with subprocess.Popen([path, "-p", folder, "-c", file, "-g", globals_], stderr=subprocess.PIPE) as process:
        try:
            eventually(lambda: process.poll() is not None or _listens(port))
            assert process.poll() is None, process.stderr and process.stderr.read()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _listens(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
