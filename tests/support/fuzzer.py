"""Random requests, valid and mutated, against a server: what it must never do is answer 500 of its own, or hang.

`python tests/support/fuzzer.py --requests 1000000 --seed 1` starts a server and reports. The same seed sends the same
requests, as far as the server's answers (whose ids are used again) are the same.
"""

import argparse
import json
import os
import random
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import yaml

ROOT = Path(__file__).parents[2]
MEMORY = 4 * 1024**3
"""Bytes of address space the fuzzed server may have."""
HANG_SECONDS = 10.0
FAULT_SECONDS = 1.0
"""Longest wait for an answer in a sandbox whose faults may delay it for ever."""
SANDBOXES = tuple(f"fuzz-{number}" for number in range(8))
TOKENS = (
    "alice",
    "bob",
    "mock-no-credits",
    "mock-credits-25",
    "mock-revoked",
    "mock-status-422",
    "",
    "täst",
    "x" * 300,
)
TEXTS = (
    "",
    "hi",
    "a" * 2048,
    "\x00",
    "\ud800",
    "\u2028",
    "é" * 255,
    "../../etc/passwd",
    "<script>",
    "{{ x }}",
    "{% for %}",
    "%ff",
)
NUMBERS = (0, -1, 1, 2, 1.5, 1e308, -1e308, 2**31, 2**53, 2**63, 2**64, 10**30, 1e-320)
DEEP = json.loads("[" * 150 + "]" * 150)
VALUES: tuple[Any, ...] = (None, True, False, [], {}, [[]], {"": None}, *TEXTS, *NUMBERS)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
MARKER = re.compile(rb"\[mock:")
ID = re.compile(rb'"((?:[0-9a-f]{8}-[0-9a-f-]{27})|(?:file|batch|stub|meter)[-_][A-Za-z0-9_-]{4,60})"')
RISKY = ("/faults", "/next", "/scenarios", "/import", "/stubs", "/conditions")
"""Admin paths after which answers may be late, or errors, because the request asked for it."""


class Target(NamedTuple):
    """One operation, and bodies that are worth mutating."""

    method: str
    path: str
    parameters: tuple[str, ...]
    bodies: tuple[Any, ...]
    is_form: bool = False


class Failure(NamedTuple):
    """A request that was answered as none may be."""

    what: str
    request: bytes


def read_targets(admin: list[Target]) -> list[Target]:
    """Every operation of the bundled document, and the admin routes given."""
    document = yaml.load((ROOT / "openapi.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    found = list(admin)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method not in {"get", "post", "put", "patch", "delete"}:
                continue
            content = operation.get("requestBody", {}).get("content", {})
            parameters = tuple(
                each["name"]
                for each in map(_resolver(document), [*item.get("parameters", ()), *operation.get("parameters", ())])
                if each["in"] == "query"
            )
            media = content.get("application/json", {})
            bodies = [each["value"] for each in media.get("examples", {}).values() if "value" in each]
            bodies += [media["example"]] if "example" in media else []
            found.append(
                Target(
                    method.upper(), path, parameters, (*bodies, *BODIES.get(path, ())), "multipart/form-data" in content
                )
            )
    return found


def _resolver(document: Any) -> Callable[[Any], Any]:
    def resolve(value: Any) -> Any:
        while "$ref" in value:
            found = document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value

    return resolve


BODIES: dict[str, tuple[Any, ...]] = {
    "/ai/batches": ({"prompts": ["a", "b"], "model": "gemini", "country": "us", "city": "Portland"},),
    "/v1/batches": ({"input_file_id": "file-x", "endpoint": "/v1/chat/completions", "completion_window": "24h"},),
    "/v1/chat/completions": (
        {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "logprobs": True, "top_logprobs": 2},
        {
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": "as json"}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"b": {"type": "string"}}}},
            },
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        },
    ),
    "/v1/embeddings": ({"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8},),
    "/api/v1/prompts": ({"slug": "s", "name": "S", "template": "Hello {{ name }}", "variables": ["name"]},),
    "/api/v1/prompts/{slug}/versions": ({"template": "Hi {{ name }}", "change_note": "n"},),
    "/api/v1/prompts/{slug}/render": ({"variables": {"name": "x"}},),
    "/api/v1/prompts/{slug}/ab-test": ({"version_a": 1, "version_b": 2, "split": 0.5},),
    "/__admin/clock/advance": ({"seconds": 5},),
    "/__admin/clock": ({"now": "2030-01-01T00:00:00Z"},),
    "/__admin/next": ({"operation": "getUser", "status": 500, "times": 1}, {"status": 200, "body": {"a": 1}}),
    "/__admin/faults": ({"fault": {"type": "latency", "seconds": 0.01}, "probability": 0.5},),
    "/__admin/requests/find": ({"path": "/user", "status": 200}, {"body": {"contains": "x"}}),
    "/__admin/requests/count": ({"path": "/user"},),
    "/__admin/requests/order": ({"requests": [{"path": "/user"}]},),
    "/__admin/sandboxes": ({"name": "fuzz-new", "progression": "polls:2"},),
    "/__admin/conditions": ({"page_limit": 3},),
}
LINE = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": BODIES["/v1/chat/completions"][0]}


class Fuzzer:
    """Makes one random request after the other, and keeps ids that answers held."""

    def __init__(self, targets: list[Target], seed: int) -> None:
        self._targets = targets
        self._random = random.Random(seed)
        self._ids = ["x", "file-x", "batch_x", "a0482596-c2ad-445a-a435-727002156a20", "s"]
        self.sandbox = ""
        self.is_risky = False

    def learn(self, body: bytes) -> None:
        """Use the ids of this answer in later requests."""
        for each in ID.findall(body[:20_000])[:3]:
            self._ids.append(each.decode())
            if len(self._ids) > 200:
                del self._ids[self._random.randrange(5, 200)]

    def next(self) -> bytes:
        """The bytes of one HTTP/1.1 request."""
        draw = self._random
        target = draw.choice(self._targets)
        self.sandbox = draw.choice(SANDBOXES)
        method = draw.choice(METHODS) if draw.random() < 0.03 else target.method
        path = re.sub(r"\{[^}]*\}", lambda _: quote(self._segment(), safe=""), target.path)
        self.is_risky = path.startswith("/__admin") and method != "GET" and any(part in path for part in RISKY)
        query = "&".join(f"{quote(name)}={quote(self._text(), safe='')}" for name in self._parameters(target))
        body, media_type = self._body(target) if method not in {"GET", "HEAD"} or draw.random() < 0.02 else (b"", "")
        body = MARKER.sub(b"[muck:", body)
        headers = {"Host": "localhost", "X-Mock-Sandbox": self.sandbox, "Content-Length": str(len(body))}
        token = draw.choice(TOKENS)
        if draw.random() < 0.97:
            headers["Authorization"] = (
                f"Bearer {token}" if draw.random() < 0.95 else draw.choice(["Basic x", "Bearer", token])
            )
        if media_type:
            headers["Content-Type"] = media_type
        if draw.random() < 0.05:
            name = draw.choice(
                ["Accept", "Prefer", "Range", "Origin", "Expect-CT", "X-Request-ID", "Content-Encoding", "Cookie"]
            )
            headers[name] = draw.choice(
                ["*/*", "code=402", "bytes=0-3", "http://localhost:1", "gzip", "x", "é", "a" * 500]
            )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {path}{'?' + query if query else ''} HTTP/1.1\r\n{lines}\r\n"
        return head.encode("utf-8", "replace") + body

    def _segment(self) -> str:
        return self._random.choice(self._ids) if self._random.random() < 0.8 else self._text() or "-"

    def _text(self) -> str:
        found = self._random.choice((*self._ids, "1", "0", "true", "json", "us", *TEXTS))
        return found.encode("utf-8", "replace").decode()

    def _parameters(self, target: Target) -> list[str]:
        chosen = [each for each in target.parameters if self._random.random() < 0.3]
        return [*chosen, *(["unknown"] if self._random.random() < 0.05 else [])]

    def _body(self, target: Target) -> tuple[bytes, str]:
        draw = self._random
        if target.is_form:
            return self._form()
        value = draw.choice(target.bodies) if target.bodies else {}
        if draw.random() < 0.5:
            value = json.loads(json.dumps(value))
            for _ in range(draw.choice((1, 1, 1, 2, 5))):
                value = self._mutated(value)
        elif "batches" in target.path and isinstance(value, dict) and "input_file_id" in value:
            value = {**value, "input_file_id": draw.choice(self._ids)}
        body = json.dumps(value).encode("utf-8", "replace")
        if draw.random() < 0.05:
            body = self._damaged(body)
        return body, "application/json" if draw.random() < 0.98 else draw.choice(
            ("text/plain", "x", "application/json; charset=x")
        )

    def _mutated(self, value: Any) -> Any:
        draw = self._random
        if draw.random() < 0.25 or not isinstance(value, dict | list) or not value:
            return draw.choice((*VALUES, DEEP))
        if isinstance(value, list):
            place = draw.randrange(len(value))
            if draw.random() < 0.2:
                return value + value[place : place + 1] * draw.choice((1, 3, 50))
            return [self._mutated(each) if n == place else each for n, each in enumerate(value)]
        name = draw.choice(list(value))
        if draw.random() < 0.15:
            return {each: value[each] for each in value if each != name}
        if draw.random() < 0.15:
            return {**value, draw.choice(("x", "", "unknown", *value)): draw.choice(VALUES)}
        return {**value, name: self._mutated(value[name])}

    def _damaged(self, body: bytes) -> bytes:
        place = self._random.randrange(len(body) + 1)
        return self._random.choice(
            (body[:place], body[:place] + b"\xff" + body[place:], body + body, b"\xef\xbb\xbf" + body)
        )

    def _form(self) -> tuple[bytes, str]:
        draw = self._random
        lines = []
        for number in range(draw.choice((1, 1, 2, 5))):
            line: Any = {**LINE, "custom_id": f"c{number}"}
            line = self._mutated(line) if draw.random() < 0.4 else line
            text = json.dumps(line).encode("utf-8", "replace")
            lines.append(self._damaged(text) if draw.random() < 0.1 else text)
        content = draw.choice((b"\n", b"\n", b"\r\n", b"\n\n")).join(lines)
        name = draw.choice(("a.jsonl", "a.jsonl", "upload", "notes.txt", "ü.jsonl", ""))
        parts = {
            "purpose": draw.choice(("batch", "batch", "user_data", "x", "")),
            "expires_after[anchor]": "created_at",
        }
        form = b""
        for field, value in parts.items():
            if draw.random() < 0.8:
                form += f'--B\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        disposition = f'form-data; name="file"; filename="{name}"'.encode()
        form += b"--B\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n--B--\r\n"
        if draw.random() < 0.1:
            form = self._damaged(form)
        return form, draw.choice(
            ("multipart/form-data; boundary=B",) * 9 + ("multipart/form-data; boundary=C; charset=punycode",)
        )


class Wire:
    """One connection that is kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes, seconds: float) -> tuple[int, bytes, bytes]:
        """Status, head and body; raises TimeoutError. A connection that ends early is status 0."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=seconds)
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(request)
            status, _, body, stays = self._read(is_head=request.startswith(b"HEAD "))
        except TimeoutError:
            self.close()
            raise
        except OSError:
            self.close()
            return 0, b"", b""
        if not stays:
            self.close()
        return status, _, body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, *, is_head: bool) -> tuple[int, bytes, bytes, bool]:
        assert self._socket is not None
        data = b""
        while b"\r\n\r\n" not in data:
            part = self._socket.recv(65536)
            if not part:
                return 0, data, b"", False
            data += part
        head, _, rest = data.partition(b"\r\n\r\n")
        status, lower = int(head[9:12]), head.lower()
        stays = b"connection: close" not in lower
        length = re.search(rb"content-length: (\d+)", lower)
        if is_head or status in {204, 304}:
            return status, head, b"", stays
        if length:
            while len(rest) < int(length[1]):
                part = self._socket.recv(65536)
                if not part:
                    return status, head, rest, False
                rest += part
            return status, head, rest, stays
        while part := (b"" if rest.endswith(b"0\r\n\r\n") else self._socket.recv(65536)):
            rest += part
        return status, head, rest, stays and rest.endswith(b"0\r\n\r\n")


class Report(NamedTuple):
    """What a run of the fuzzer saw."""

    requests: int
    seconds: float
    statuses: Counter[int]
    failures: list[Failure]
    late: int
    """Answers that did not come in a sandbox in which a fault may have been installed."""
    resident_first: int
    """Resident bytes after the first tenth of the requests."""
    resident_last: int


def fuzz(port: int, pid: int, targets: list[Target], *, requests: int, seed: int, echo: bool = False) -> Report:
    """Send so many requests to a running server."""
    fuzzer, wire, other = Fuzzer(targets, seed), Wire(port), Wire(port)
    risky: set[str] = set()
    statuses: Counter[int] = Counter()
    failures: list[Failure] = []
    late, begun, first = 0, time.monotonic(), 0
    for number in range(requests):
        request = fuzzer.next()
        sandbox = fuzzer.sandbox
        if fuzzer.is_risky:
            risky.add(sandbox)
        try:
            status, _, body = wire.ask(request, FAULT_SECONDS if sandbox in risky else HANG_SECONDS)
        except TimeoutError:
            status, _, body = -1, b"", b""
            if sandbox in risky:
                late += 1
            else:
                failures.append(Failure("no answer", request))
        statuses[status] += 1
        fuzzer.learn(body)
        is_own = b"Bug in mockserver" in body or b"Undocumented Reply" in body
        is_asked = (
            sandbox in risky or b"prefer:" in request.lower() or b"mock-status" in request or b"__code" in request
        )
        if is_own or (status == 500 and not is_asked) or (status == 0 and not is_asked):
            failures.append(Failure(f"{status}: {body[:300]!r}", request))
        if sandbox in risky and number % 50 == 0:
            reset = f"DELETE /__admin/sandboxes/{sandbox} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            other.ask(reset.encode(), HANG_SECONDS)
            risky.discard(sandbox)
        if number == requests // 10:
            first = resident(pid)
        if echo and number % 50_000 == 49_999:
            rate = number / (time.monotonic() - begun) * 60
            print(
                f"{number + 1:,} requests, {rate:,.0f} a minute, {resident(pid) / 1e6:.0f} MB, {len(failures)} failed",
                flush=True,
            )
    wire.close()
    other.close()
    return Report(requests, time.monotonic() - begun, statuses, failures, late, first, resident(pid))


def resident(pid: int) -> int:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def admin_targets() -> list[Target]:
    """The admin API's routes, with bodies to mutate."""
    from mockserver.web.admin.routes import ROUTES

    return [
        Target(
            each.method,
            f"/__admin{each.path}",
            tuple(sorted({*each.parameters, "sandbox"})),
            BODIES.get(f"/__admin{each.path}", ({},)) if each.body is not None else (),
        )
        for each in ROUTES
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--flags", default="", help="flags for the server, separated by spaces")
    given = parser.parse_args()
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--log-level", "error", *given.flags.split()]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as server:
        resource.prlimit(server.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline().rpartition(":")[2])
            targets = read_targets(admin_targets())
            report = fuzz(port, server.pid, targets, requests=given.requests, seed=given.seed, echo=True)
        finally:
            server.terminate()
        ended = server.wait(timeout=10)
    print(f"{report.requests:,} requests over {len(targets)} operations in {report.seconds:.0f} s")
    print(f"{report.requests / report.seconds * 60:,.0f} a minute; statuses {dict(sorted(report.statuses.items()))}")
    print(
        f"resident {report.resident_first / 1e6:.0f} MB after a tenth, {report.resident_last / 1e6:.0f} MB at the end"
    )
    print(f"{report.late} answers late by a fault; server ended with {ended}; {len(report.failures)} failures")
    for each in report.failures[:20]:
        print(each.what, each.request[:600], sep="\n  ")
    return 1 if report.failures or ended else 0


if __name__ == "__main__":
    sys.exit(main())
