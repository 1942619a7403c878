"""Schemathesis against a running server: what the document promises is what the server does, and no more."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from mockserver.messages import Request, Response
from mockserver.server import ThreadedServer
from mockserver.settings import Settings

FUZZ = Path(__file__).parent / "fuzz"
SANDBOX = "fuzz"
TIMEOUT = 120
SETTINGS = Settings(port=0, fixtures=(str(FUZZ / "accounts"),), progression="polls:2")

Handle = Callable[[Request], Response]
Lie = Callable[[Request, Handle], Response]

MET = {
    ("POST /ai/batches", 202),
    ("GET /ai/batches", 200),
    ("GET /ai/completions", 200),
    ("GET /ai", 200),
    ("GET /ai", 202),
    ("GET /ai/archives", 200),
    ("GET /ai/archives", 404),
    ("GET /ai/devices", 200),
    ("GET /user", 200),
    *((f"{operation}", 401) for operation in ("POST /ai/batches", "GET /ai", "GET /ai/devices", "GET /user")),
    *((f"{operation}", 403) for operation in ("POST /ai/batches", "GET /ai", "GET /ai/devices", "GET /user")),
    *((f"{operation}", 422) for operation in ("POST /ai/batches", "GET /ai/batches", "GET /ai", "GET /ai/archives")),
}
"""Some of the answers that a run has to meet: one that meets only refusals says little."""


@pytest.mark.parametrize(
    ("settings", "examples"),
    [
        pytest.param(SETTINGS, 100, id="as served"),
        pytest.param(replace(SETTINGS, strict=True), 40, id="strict"),
        pytest.param(replace(SETTINGS, agentfirst_version="2026-07"), 40, id="July 2026"),
    ],
)
def test_schemathesis_finds_nothing_that_the_document_does_not_promise(
    settings: Settings, examples: int, tmp_path: Path
) -> None:
    with fuzzed(settings) as (server, met):
        report, output = schemathesis(server, tmp_path, f"--max-examples={examples}")

    assert report["exit_code"] == 0, output
    assert {name: phase["status"] for name, phase in report["phases"].items()} == dict.fromkeys(
        ("examples", "coverage", "fuzzing", "stateful"), "success"
    )
    assert report["operations"]["tested"] == report["operations"]["total"] == len(server.engine.services)
    assert report["test_cases"]["generated"] > 8 * examples
    assert met >= MET


@contextmanager
def fuzzed(settings: Settings, lie: Lie | None = None) -> Iterator[tuple[ThreadedServer, set[tuple[str, int]]]]:
    """A server that perhaps lies, and the answers it has given, as operation and status."""
    met: set[tuple[str, int]] = set()
    with ThreadedServer(settings) as server:
        handle = server.engine.handle

        def witnessed(request: Request) -> Response:
            response = lie(request, handle) if lie else handle(request)
            met.add((f"{request.method} {'/'.join(request.path.split('/')[:3])}", response.status))
            return response

        server.engine.handle = witnessed  # type: ignore[method-assign]  # the gateway asks the engine for it each time
        yield server, met


def schemathesis(server: ThreadedServer, folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The report of a run and what it said."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "--no-color", "run"]
    command += [f"{server.url}/__admin/openapi.json", "--report=json", f"--report-json-path={report}", *arguments]
    environment = os.environ | known_ids(server) | {"HYPOTHESIS_STORAGE_DIRECTORY": str(folder), "NO_PROXY": "*"}
    run = subprocess.run(
        command, cwd=FUZZ, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    output = run.stdout + run.stderr
    assert report.exists(), output
    return json.loads(report.read_text()), output


def known_ids(server: ThreadedServer) -> Mapping[str, str]:
    """Ids for requests that are to succeed, for fuzz/hooks.py: of one batch or conversation in each phase of life."""
    batches = [queue(server, prompts) for prompts in (["one", "two [mock:fail]"], ["[mock:fail]"], ["[mock:hang]"])]
    asked = ("prompt=one", "prompt=one&format=rendered", "prompt=[mock:fail]", "prompt=[mock:hang]")
    conversations = [call(server, f"/ai?mode=async&{query}")["id"] for query in asked]
    key = server.engine.sandboxes.open(SANDBOX).key
    return {"FUZZ_IDS": json.dumps([batches, conversations]), "FUZZ_SANDBOX_KEY": key}


def queue(server: ThreadedServer, prompts: list[str]) -> str:
    id_: str = call(server, "/ai/batches", {"prompts": prompts})["id"]
    return id_


def call(server: ThreadedServer, target: str, body: Any = None) -> Any:
    headers = {"Authorization": "Bearer fuzz-ada", "X-Mock-Sandbox": SANDBOX, "Content-Type": "application/json"}
    with urlopen(HttpRequest(server.url + target, json.dumps(body).encode() if body else None, headers)) as answer:
        return json.load(answer)
