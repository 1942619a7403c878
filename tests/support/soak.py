"""Mixed traffic against one server: memory and open files must come to rest, and nothing may be lost.

`python tests/support/soak.py --minutes 15 --store memory` (or `sqlite`, `redis`) starts a server, asks it from several
threads, and compares resident memory and open files in the last third of the time with those in the first. With
`--pause 0.2` each thread rests so many seconds after each round, else it asks at full rate.
"""

import argparse
import itertools
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attack_server import AttackedServer, attacked_server
from store_servers import redis_server

CLIENTS = 4
SANDBOXES = 40
"""Names in use at a time: each is deleted and made again after SANDBOX_USES rounds."""
SANDBOX_USES = 25
BATCHES = 3
"""Batches of a round that are accepted."""
FIRST = 120.0
"""Seconds in which the stores fill."""
GROWTH = 1.1
"""How much larger resident memory may be in the last third of the time than in the first."""


class Client:
    """One thread's requests, on a connection that is kept."""

    def __init__(self, server: AttackedServer, number: int) -> None:
        self._connection = server.connect()
        self._number = number
        self.statuses: Counter[int] = Counter()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
        """The body of the answer."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, {"Content-Type": "application/json", **given})
        response = self._connection.getresponse()
        self.statuses[response.status] += 1
        return response.read()

    def round(self, number: int) -> None:
        """One of everything that clients do."""
        name = f"soak-{self._number}-{number // SANDBOX_USES % SANDBOXES}"
        to = {"Authorization": "Bearer soak", "X_Mock_Sandbox": name}
        prompts = json.dumps({"prompts": [f"prompt {number} {n}" for n in range(20)]}).encode()
        batch = json.loads(self.ask("POST", "/ai/batches", prompts, **to))["id"]
        self.ask("GET", f"/ai/batches?id={batch}", **to)
        self.ask("POST", "/ai/batches", b'{"prompts": []}', **to)
        self.ask("POST", "/ai/batches", prompts[: number % len(prompts)], **to)
        chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"hello {number}"}]}
        self.ask("POST", "/v1/chat/completions", json.dumps(chat).encode(), **to)
        lines = b"".join(
            json.dumps({"custom_id": f"{n}", "method": "POST", "url": "/v1/chat/completions", "body": chat}).encode()
            + b"\n"
            for n in range(50)
        )
        self._run_batch(lines, to)
        self._run_batch(b"[" * 100_000, to)
        if number % SANDBOX_USES == SANDBOX_USES - 1:
            listed = json.loads(self.ask("GET", f"/__admin/batches?sandbox={name}&limit=1000", **to))["batches"]
            if len(listed) != SANDBOX_USES * BATCHES:
                raise AssertionError(f"{name} has {len(listed)} batches; made were {SANDBOX_USES * BATCHES}")
            self.ask("DELETE", f"/__admin/sandboxes/{name}", **to)

    def _run_batch(self, lines: bytes, to: dict[str, str]) -> None:
        form = (
            b'--B\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + lines + b"\r\n--B--\r\n"
        )
        sent = {**to, "Content_Type": "multipart/form-data; boundary=B"}
        file = json.loads(self.ask("POST", "/v1/files", form, **sent))
        wanted = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = json.loads(self.ask("POST", "/v1/batches", json.dumps(wanted).encode(), **to))["id"]
        self.ask("POST", "/__admin/clock/advance", b'{"seconds": 10}', **to)
        state = json.loads(self.ask("GET", f"/v1/batches/{batch}", **to))
        for id_ in filter(None, (state.get("output_file_id"), state.get("error_file_id"))):
            self.ask("GET", f"/v1/files/{id_}/content", **to)
            self.ask("DELETE", f"/v1/files/{id_}", **to)


def repeat(action: Callable[[int], None], end: float, pause: float, failures: list[BaseException]) -> None:
    """Call the action with 0, 1, 2, … until the monotonic clock shows `end`, or it fails; `pause` seconds between."""
    try:
        for number in itertools.count():
            if time.monotonic() >= end:
                return
            action(number)
            time.sleep(pause)
    except BaseException as error:
        failures.append(error)


@contextmanager
def opened_store(kind: str) -> Iterator[str]:
    """The URL of a new store of that kind."""
    with TemporaryDirectory() as folder:
        if kind == "redis":
            server = redis_server()
            yield server.new_url()
            print(f"Redis: {server.resident() / 1e6:.0f} MB resident at the end")
        else:
            yield "memory" if kind == "memory" else f"sqlite://{folder}/x.db"
            if kind == "sqlite":
                print(f"SQLite: {sum(each.stat().st_size for each in Path(folder).iterdir()) / 1e6:.0f} MB at the end")


def soak(seconds: float, store: str = "memory", pause: float = 0.0) -> bool:
    """Whether memory and files came to rest: the highest of the last third is hardly above that of the first.

    The first two minutes, in which stores fill, do not count. Between two deletions of its sandboxes the memory of the
    server goes up and down by a fifth, so single moments cannot be compared.
    """
    seen: list[tuple[int, int]] = []
    with attacked_server("--log-level", "error", "--store", store) as server:
        clients = [Client(server, number) for number in range(CLIENTS)]
        begin = time.monotonic()
        end, failures = begin + seconds, list[BaseException]()
        threads = [threading.Thread(target=repeat, args=(each.round, end, pause, failures)) for each in clients]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(1)
            if time.monotonic() > begin + min(FIRST, seconds / 4):
                seen.append((server.resident(), server.open_files()))
        code = server.stop()
    statuses = sum((each.statuses for each in clients), Counter())
    first, last = seen[: len(seen) // 3], seen[-len(seen) // 3 :]
    before, after = (tuple(map(max, zip(*part, strict=True))) for part in (first, last))
    print(f"{statuses.total():,} requests in {seconds:.0f} s; statuses {dict(sorted(statuses.items()))}")
    print(f"resident at most {before[0] / 1e6:.0f} MB in the first third, {after[0] / 1e6:.0f} MB in the last")
    print(f"resident {seen[0][0] / 1e6:.0f} MB when the stores were filled, {seen[-1][0] / 1e6:.0f} MB at the end")
    print(f"open files at most {before[1]} and {after[1]}; exit code {code}; failures {failures}")
    is_quiet = after[0] <= GROWTH * before[0] and after[1] <= before[1] + CLIENTS
    return is_quiet and not failures and code == 0 and not any(status >= 500 for status in statuses)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--store", choices=("memory", "sqlite", "redis"), default="memory")
    parser.add_argument("--pause", type=float, default=0.0)
    chosen = parser.parse_args()
    with opened_store(chosen.store) as url:
        is_good = soak(chosen.minutes * 60, url, chosen.pause)
    sys.exit(0 if is_good else 1)
