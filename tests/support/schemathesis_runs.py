"""Runs Schemathesis against a server with existing objects."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from mockserver.engine.engine import Engine
from mockserver.errors import Refusal
from mockserver.http import Request, Response, Upload
from mockserver.openapi.router import Router
from mockserver.sandbox.blobs import Blob
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

FUZZ = Path(__file__).parents[1] / "fuzz"
ADA = {"authorization": "Bearer fuzz-ada", "x-mock-sandbox": "fuzz"}
TIMEOUT = 120
SETTINGS = Settings(
    port=0, fixtures=(str(FUZZ / "accounts"),), progression="polls:2", clock="frozen@2026-04-12T00:00:00"
)
"""Nothing moves by itself, so that the next run meets the same answers."""
ENVIRONMENT = {"NO_PROXY": "*", "HYPOTHESIS_STORAGE_DIRECTORY": str(FUZZ.parents[1] / ".hypothesis")}
"""No proxy stands before loopback. Hypothesis keeps its tables of Unicode, which take seconds to compute, where the
Hypothesis of the tests keeps its own; failures are not kept (`database = "none"`)."""
EXPENDABLE = 12
"""How many files and prompts there are to be deleted."""

Handle = Callable[[Request], Response]
Lie = Callable[[Request, Handle], Response]
"""An engine that breaks the document's promise: what it answers, given the request and the honest engine."""


class Target(NamedTuple):
    """What Schemathesis is let loose on."""

    server: ThreadedServer
    ids: Mapping[str, Any]
    met: set[tuple[str, int]]
    """The answers that were given, as operation and status."""


@contextmanager
def fuzzed(settings: Settings, lies: Mapping[str, Lie] | None = None) -> Iterator[Target]:
    """A server for Schemathesis to judge; with lies, each by the pattern of its paths, it deserves complaints."""
    met: set[tuple[str, int]] = set()
    with ThreadedServer(settings) as server:
        handle = server.engine.handle
        target = Target(server, known_ids(server.engine), met)
        router = Router(service.operation for service in server.engine.services)

        def witnessed(request: Request, *prepared: Any) -> Response:
            lie = next((lie for paths, lie in (lies or {}).items() if re.fullmatch(paths, request.path)), None)
            response = lie(request, handle) if lie else handle(request, *prepared)
            with suppress(Refusal):  # no operation answered
                met.add((router.match(request.method, request.path).operation.key, response.status))
            return response

        server.engine.handle = witnessed  # type: ignore[method-assign]  # the gateway asks the engine for it each time
        yield target


def schemathesis(target: Target, folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The report of a run, and what it said."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file=schemathesis.toml", "--no-color", "run"]
    command += [f"{target.server.url}/__admin/openapi.json", "--report=json", f"--report-json-path={report}"]
    told = {"FUZZ_IDS": json.dumps(target.ids), **ENVIRONMENT}
    run = subprocess.run(
        [*command, *arguments],
        cwd=FUZZ,
        env=os.environ | told,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    output = run.stdout + run.stderr
    assert report.exists(), output
    return json.loads(report.read_text()), output


def known_ids(engine: Engine) -> Mapping[str, Any]:
    """For hooks.py, which needs ids that exist, of things in each phase of life."""
    return {"sandbox": engine.sandboxes.open(ADA["x-mock-sandbox"]).key, **_agentfirst(engine), **_agilecloud(engine)}


def _agentfirst(engine: Engine) -> Mapping[str, list[str]]:
    asked = ("prompt=one", "prompt=one&format=rendered", "prompt=[mock:fail]", "prompt=[mock:hang]")
    prompts = (["one", "two [mock:fail]"], ["[mock:fail]"], ["[mock:hang]"])
    return {
        "queued": [_made(engine, "/ai/batches", {"prompts": each})["id"] for each in prompts],
        "conversations": [_done(engine, Request("GET", "/ai", f"mode=async&{each}", ADA))["id"] for each in asked],
    }


def _agilecloud(engine: Engine) -> Mapping[str, list[str]]:
    good, failing, bad = (_uploaded(engine, content) for content in (_lines(""), _lines(" [mock:fail]"), b"{not JSON"))
    batches = [_started(engine, each) for each in (good, good, failing, bad)]
    done, cancelled = _started(engine, good), _started(engine, good)
    for _ in range(3):
        ended = _done(engine, Request("GET", f"/v1/batches/{done}", headers=ADA))
    _made(engine, f"/v1/batches/{cancelled}/cancel")
    slugs = ["plain", "tested", "put-away", *(f"expendable-{n}" for n in range(EXPENDABLE))]
    for slug in slugs:
        _made(engine, "/api/v1/prompts", {"slug": slug, "template": "Sum up: {{ text }}"})
        _made(engine, f"/api/v1/prompts/{slug}/versions", {"template": "Sum up in a word: {{ text }}"})
    _made(engine, "/api/v1/prompts/tested/ab-test", {"version_a": 1, "version_b": 2})
    engine.handle(Request("DELETE", "/api/v1/prompts/put-away", headers=ADA))
    return {
        "files": [good, failing, bad, ended["output_file_id"]],
        "expendable_files": [_uploaded(engine, _lines(f" {n}")) for n in range(EXPENDABLE)],
        "batches": [*batches, done, cancelled],
        "prompts": slugs[:3],
        "expendable_prompts": slugs[3:],
    }


def _lines(more: str) -> bytes:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"Name a river.{more}"}]}
    line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps(line)


def _uploaded(engine: Engine, content: bytes) -> str:
    upload = Upload("lines.jsonl", "application/jsonl", Blob.in_memory(content))
    headers = {**ADA, "content-type": "multipart/form-data"}
    form: dict[str, str | Upload] = {"file": upload, "purpose": "batch"}
    id_: str = _done(engine, Request("POST", "/v1/files", headers=headers, form=form))["id"]
    return id_


def _started(engine: Engine, file: str) -> str:
    id_: str = _made(engine, "/v1/batches", {"input_file_id": file, "endpoint": "/v1/chat/completions"})["id"]
    return id_


def _made(engine: Engine, path: str, body: Any = None) -> Any:
    headers = {**ADA, "content-type": "application/json"}
    return _done(engine, Request("POST", path, headers=headers, body=b"" if body is None else orjson.dumps(body)))


def _done(engine: Engine, request: Request) -> Any:
    response = engine.handle(request)
    assert response.status < 300, response
    assert isinstance(response.body, bytes)
    return orjson.loads(response.body)
