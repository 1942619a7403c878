"""The server as a process: what it says, which files it leaves, and how signals end it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from mockserver.server import process as server_module
from mockserver.server.process import EventDrivenServer, serve
from mockserver.server.socket import listen
from mockserver.settings.table import Settings

ROOT = Path(__file__).parents[2]
SCRIPT = """
import asyncio, sys
from mockserver.server.process import serve
from mockserver.settings.table import Settings

async def hello(scope, receive, send):
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}})
    if scope["path"] == "/slow":
        await send({{"type": "http.response.body", "body": b"h", "more_body": True}})
        await asyncio.Event().wait()
    await send({{"type": "http.response.body", "body": b"hello"}})

sys.exit(serve(Settings(port=0, {settings}), app=hello))
"""


async def unasked(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")


@contextmanager
def child(settings: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and the line it says when it is ready."""
    command = [sys.executable, "-c", SCRIPT.format(settings=settings)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    port_file = tmp_path / "port"

    with child(f"port_file={str(port_file)!r}") as (process, line):
        port = int(port_file.read_text())
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
            process.send_signal(number)
            rest, complaints = process.communicate(timeout=20)

    assert line == f"mockserver listening on http://127.0.0.1:{port}\n"
    assert (process.returncode, rest, complaints) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_does_not_wait_for_running_requests() -> None:
    with child() as (process, line), closing(HTTPConnection(line.split("/")[-1].strip(), timeout=20)) as connection:
        connection.request("GET", "/slow")
        response = connection.getresponse()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)

        _, complaints = process.communicate(timeout=20)
        response.close()

    assert (process.returncode, complaints) == (0, "")


def test_a_signal_before_the_server_is_ready_ends_it_cleanly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(settings: Settings) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(server_module, "create_app", interrupt)
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended:
        serve(Settings(port=0))

    assert ended.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_stopping_before_the_start_takes_effect_and_after_the_end_is_no_error() -> None:
    readiness: list[bool] = []
    server = EventDrivenServer(unasked, Settings(), when_ready=lambda: readiness.append(True))
    server.stop()
    with listen("127.0.0.1", 0) as listener:
        server.run([listener])
    server.stop()

    assert readiness == [True]


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Servers of this process end as soon as they have announced themselves; these are their ports."""
    seen: list[int] = []

    def announce_and_end(settings: Settings, listener: socket.socket) -> None:
        announce(settings, listener)
        seen.append(listener.getsockname()[1])
        if settings.port_file:
            assert Path(settings.port_file).read_text() == f"{seen[-1]}\n"
        os.kill(os.getpid(), signal.SIGTERM)

    announce = server_module._print_ready
    monkeypatch.setattr(server_module, "_print_ready", announce_and_end)
    return seen


def test_serve_returns_0_after_a_signal_and_restores_signal_handlers(ports: list[int], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    assert serve(Settings(port=0, port_file=str(tmp_path / "port")), app=unasked) == 0

    assert signal.getsignal(signal.SIGTERM) is before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "token", "warned"), [("127.0.0.1", "", False), ("0.0.0.0", "", True), ("0.0.0.0", "secret", False)]
)
def test_off_loopback_without_a_token_the_closed_admin_api_is_warned_about(
    host: str, token: str, warned: bool, ports: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    serve(Settings(host=host, port=0, admin_token=token), app=unasked)

    output = capsys.readouterr()
    assert output.out == f"mockserver listening on http://127.0.0.1:{ports[0]}\n"
    assert ("/__admin is closed" in output.err) is warned


@pytest.mark.parametrize(
    ("command", "patched"),
    [
        ("serve --port 0", "server.process.EventDrivenServer.run"),
        ("serve --port 0 --workers 2 --store sqlite:////x/y.db", "server.supervisor.Supervisor.run"),
        ("check", "engine.check.check"),
    ],
)
def test_garbage_is_collected_as_soon_as_a_command_has_been_imported_and_built(command: str, patched: str) -> None:
    script = f"""
import gc, sys
from mockserver.__main__ import main
from unittest.mock import patch

def told(*_):
    print(gc.isenabled())
    return []

with patch("mockserver.{patched}", told):
    assert gc.isenabled()
    sys.argv = ["mockserver", *{command.split()}]
    main()
"""

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout.splitlines()[:1] == ["True"], done.stderr
