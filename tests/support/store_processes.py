"""Servers in processes of their own that share a store, and what a test does with them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from resource import RLIMIT_FSIZE, prlimit
from typing import Any

import httpx
from builders import make_settings
from store_servers import redis_server
from waiting import eventually

from mockserver.server.process import ThreadedServer

ROOT = Path(__file__).parents[2]


class StoreProcess:
    """A running `mockserver serve`."""

    def __init__(self, folder: str, store: str, *flags: str, file_bytes: int | None = None) -> None:
        """Its files cannot become larger than `file_bytes`, as if the disk were full."""
        self.port_file = Path(tempfile.mktemp(prefix="port", dir=folder))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--port-file", self.port_file, *flags],
            env={**os.environ, "MOCKSERVER_STORE": store},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        eventually(lambda: self.process.poll() is not None or (self.port_file.exists() and self.port_file.read_text()))
        assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
        if file_bytes is not None:
            prlimit(self.process.pid, RLIMIT_FSIZE, (file_bytes, file_bytes))
        self.url = f"http://127.0.0.1:{self.port_file.read_text().strip()}"
        self.api = httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def ask(self, method: str, path: str, *, token: str = "test", **given: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **given.pop("headers", {})}
        return self.api.request(method, path, headers=headers, **given)

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        self._end()
        return code

    def _end(self) -> None:
        self.process.wait(15)
        self.api.close()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class StoreThread:
    """The same server in a thread of this process, which starts in a tenth of the time."""

    def __init__(self, store: str, **changes: Any) -> None:
        self._server = ThreadedServer(make_settings(store=store, **changes))

    def __enter__(self) -> "StoreThread":
        self._server.start()
        self.url = self._server.url
        self.api = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        self._server.stop()

    def ask(self, method: str, path: str, *, token: str = "test", **given: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", **given.pop("headers", {})}
        return self.api.request(method, path, headers=headers, **given)


AnyServer = StoreProcess | StoreThread


class StoreWorld:
    """A store and the servers on it."""

    def __init__(self, folder: str, url: str) -> None:
        self.folder = folder
        self.url = url
        self._started: list[StoreProcess] = []
        self._threads = ExitStack()

    def start(self, *flags: str, file_bytes: int | None = None) -> StoreProcess:
        self._started.append(StoreProcess(self.folder, self.url, *flags, file_bytes=file_bytes))
        return self._started[-1]

    def start_thread(self, **changes: Any) -> StoreThread:
        """A server in this process, which is enough where none is killed."""
        return self._threads.enter_context(StoreThread(self.url, **changes))

    def end(self) -> None:
        self._threads.close()
        for each in self._started:
            if each.process.poll() is None:
                each.kill()


@contextmanager
def store_world(kind: str) -> Iterator[StoreWorld]:
    """A new store of that kind: `memory`, `sqlite` or `redis`."""
    with tempfile.TemporaryDirectory() as folder:
        url = {"memory": lambda: "memory", "sqlite": lambda: f"sqlite://{folder}/x.db", "redis": redis_server().new_url}
        world = StoreWorld(folder, url[kind]())
        try:
            yield world
        finally:
            world.end()


def queue(server: AnyServer, *prompts: str, **given: Any) -> str:
    """The id of a new batch of Agent First."""
    answer = server.ask("POST", "/ai/batches", json={"prompts": list(prompts)}, **given)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def upload(server: AnyServer, content: bytes, **given: Any) -> str:
    """The id of a new batch file of AgileCloud."""
    files = {"file": ("lines.jsonl", content)}
    answer = server.ask("POST", "/v1/files", files=files, data={"purpose": "batch"}, **given)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def lines(count: int, size: int = 10) -> bytes:
    """A batch file of chat completions."""
    line = (
        '{"custom_id":"%d","method":"POST","url":"/v1/chat/completions",'
        '"body":{"model":"gpt-4o-mini","messages":[{"role":"user","content":"%s"}]}}\n'
    )
    return "".join(line % (number, "word " * (size // 5)) for number in range(count)).encode()


def create_job(server: AnyServer, file: str, **given: Any) -> str:
    """The id of a new batch of AgileCloud."""
    body = {"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    answer = server.ask("POST", "/v1/batches", json=body, **given)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])
