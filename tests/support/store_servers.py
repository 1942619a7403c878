"""Runs the tests of behaviour on a shared store: `pytest --store sqlite`, `pytest --store redis`."""

import atexit
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from waiting import eventually

from mockserver.settings.parse import StoreAddress, read_store


class RedisServer:
    """A real redis-server that listens on a socket in a new folder, and writes an append-only file."""

    def __init__(self, *options: str) -> None:
        """`options` are more of its flags, such as `--port 7000`."""
        self.folder = tempfile.mkdtemp(prefix="mockserver-redis-")
        self.socket = f"{self.folder}/redis.sock"
        self._options = options
        self._databases = itertools.count(0)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, with what its append-only file holds."""
        assert REDIS is not None
        flags = ("--port", "0", "--unixsocket", self.socket, "--dir", self.folder, "--appendonly", "yes", "--save", "")
        flags = (*flags, "--appendfsync", "no", "--databases", "100000", *self._options)
        self.process = subprocess.Popen([REDIS, *flags], stdout=subprocess.DEVNULL)
        eventually(self._answers)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def new_url(self) -> str:
        """The URL of a database that no test has used."""
        return f"unix://{self.socket}?db={next(self._databases)}"

    def resident(self) -> int:
        """Resident memory in bytes."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")

    def remove(self) -> None:
        """Stop it, and delete its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(1)
                wire.connect(self.socket)
                wire.sendall(b"PING\r\n")
                return wire.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


REDIS = shutil.which(os.environ.get("MOCKSERVER_TEST_REDIS", "redis-server"))
"""The server's program: that of Redis, or of Valkey if the variable names it."""
_servers: list[RedisServer] = []


def redis_server() -> RedisServer:
    """The server of this process's tests, started at the first call. Skips the test where there is none, but in CI."""
    if not _servers:
        if REDIS is None:
            reason = "redis-server is not installed: nothing about --store redis was tested"
            pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
        _servers.append(RedisServer())
        atexit.register(_servers[0].remove)
    return _servers[0]


def use_store(kind: str) -> None:
    """From now on every engine whose settings name no store has one of that kind, which is new and its own."""
    memory = Path("/dev/shm")  # thousands of new files, each of which waits for the disk several times elsewhere
    folder = Path(tempfile.mkdtemp(prefix="mockserver-tests-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    numbers = itertools.count(1)

    def read(text: str, place: str = "store") -> StoreAddress:
        address = read_store(text, place)
        if address.kind != "memory":
            return address
        if kind == "redis":
            return StoreAddress("redis", redis_server().new_url())
        return StoreAddress("sqlite", str(folder / f"{next(numbers)}.db"))

    pytest.MonkeyPatch().setattr("mockserver.engine.build.read_store", read)
