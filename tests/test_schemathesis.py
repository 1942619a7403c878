"""Schemathesis against a running server: what the document promises is what the server does, and no more."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mockserver.engine import Engine
from mockserver.messages import Request, Response
from mockserver.server import ThreadedServer
from mockserver.settings import Settings

FUZZ = Path(__file__).parent / "fuzz"
HEADERS = {"authorization": "Bearer fuzz-ada", "x-mock-sandbox": "fuzz", "content-type": "application/json"}
TIMEOUT = 120
SETTINGS = Settings(port=0, fixtures=(str(FUZZ / "accounts"),), progression="polls:2")

Handle = Callable[[Request], Response]
Lie = Callable[[Request, Handle], Response]
"""An engine that breaks the document's promise: what it answers, given the request and the honest engine."""

PHASES = ("examples", "coverage", "fuzzing", "stateful")

TOKEN_CHECKED = (
    "POST /ai/batches",
    "GET /ai/batches",
    "GET /ai/completions",
    "GET /ai",
    "GET /ai/devices",
    "GET /user",
)
MET = {
    *((operation, status) for operation in TOKEN_CHECKED for status in (401, 403)),
    ("POST /ai/batches", 202),
    ("POST /ai/batches", 422),
    ("GET /ai/batches", 200),
    ("GET /ai/batches", 422),
    ("GET /ai/completions", 200),
    ("GET /ai/completions", 422),
    ("GET /ai", 200),
    ("GET /ai", 202),
    ("GET /ai", 422),
    ("GET /ai/devices", 200),
    ("GET /user", 200),
    ("GET /ai/archives", 200),
    ("GET /ai/archives", 404),
    ("GET /ai/archives", 422),
}
"""Operations with the statuses that a run has to meet: one that meets only refusals would say little."""


class Target(NamedTuple):
    """What Schemathesis is let loose on."""

    server: ThreadedServer
    ids: Mapping[str, str]
    met: set[tuple[str, int]]
    """The answers that were given, as operation and status."""


def ask_nobody_who_they_are(request: Request, handle: Handle) -> Response:
    return handle(with_header(request, "authorization", "Bearer fuzz-ada"))


def take_grace_for_ada(request: Request, handle: Handle) -> Response:
    is_grace = request.headers.get("authorization") == "Bearer fuzz-grace"
    return handle(with_header(request, "authorization", "Bearer fuzz-ada") if is_grace else request)


def say_it_is_late(request: Request, handle: Handle) -> Response:
    return handle(request)._replace(status=418)


def break_down(request: Request, handle: Handle) -> Response:
    return Response(500, "text/plain", b"Unknown error occurred")


def count_credits_in_words(request: Request, handle: Handle) -> Response:
    response = handle(request)
    wordy = response._replace(body=b'[{"email": "ada@fuzz.example", "credits": "plenty"}]')
    return wordy if response.status == 200 else response


def call_json_a_page(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return response._replace(media_type="text/html") if response.status == 200 else response


def throttle_until_tomorrow(request: Request, handle: Handle) -> Response:
    response = handle(request)
    throttled = Response(429, "text/plain", b"Rate limit was exceeded", (("Retry-After", "tomorrow"),))
    return throttled if response.status == 200 else response


def know_every_method(request: Request, handle: Handle) -> Response:
    return handle(request._replace(method="GET"))


def allow_what_is_refused(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return response._replace(headers=(("Allow", "DELETE"),)) if request.method == "OPTIONS" else response


def forget_the_limits(request: Request, handle: Handle) -> Response:
    response = handle(request)
    queued = Response(202, "application/json", b'{"id": "a0482596-c2ad-445a-a435-727002156a20", "count": 1}')
    return queued if response.status == 422 else response


def dislike_every_city(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return Response(422, "text/plain", b"City must be liked") if b'"city"' in request.body else response


def find_nothing(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return Response(422, "text/plain", b"Id must be that of a queued batch") if response.status == 200 else response


def with_header(request: Request, name: str, value: str) -> Request:
    return request._replace(headers={**request.headers, name: value})


@pytest.mark.parametrize(
    ("settings", "examples"),
    [
        pytest.param(SETTINGS, 60, id="as served"),
        pytest.param(replace(SETTINGS, strict=True), 20, id="strict"),
        pytest.param(replace(SETTINGS, agentfirst_version="2026-07"), 20, id="July 2026"),
    ],
)
def test_schemathesis_finds_nothing_that_the_document_does_not_promise(
    settings: Settings, examples: int, tmp_path: Path
) -> None:
    with fuzzed(settings) as target:
        report, output = schemathesis(target, tmp_path, f"--max-examples={examples}")

    assert report["exit_code"] == 0, output
    assert {name: phase["status"] for name, phase in report["phases"].items()} == dict.fromkeys(PHASES, "success")
    assert report["operations"]["tested"] == len(target.server.engine.services)
    assert report["test_cases"]["generated"] > 8 * examples
    assert target.met >= MET
    assert len(own_batches_read(target)) > examples / 4


@pytest.mark.parametrize(
    ("lie", "operation", "failures"),
    [
        (ask_nobody_who_they_are, "getUser", {"IgnoredAuth", "MissingHeaderNotRejected"}),
        (say_it_is_late, "getUser", {"UndefinedStatusCode"}),
        (break_down, "getUser", {"ServerError"}),
        (count_credits_in_words, "getUser", {"JsonSchemaError"}),
        (call_json_a_page, "getUser", {"UndefinedContentType"}),
        (throttle_until_tomorrow, "getUser", {"JsonSchemaError"}),
        (know_every_method, "getUser", {"UnsupportedMethodResponse"}),
        (allow_what_is_refused, "getUser", {"AllowHeaderMismatch"}),
        (forget_the_limits, "queueBatch", {"AcceptedNegativeData"}),
        (dislike_every_city, "queueBatch", {"RejectedPositiveData"}),
        (find_nothing, "getBatchStatus", {"RejectedPositiveData"}),
        (take_grace_for_ada, "queueBatch|getBatchStatus", {"ObjectLevelAuthorizationViolation"}),
    ],
)
def test_schemathesis_notices_a_lie(lie: Lie, operation: str, failures: set[str], tmp_path: Path) -> None:
    only = f"--include-operation-id-regex=^({operation})$"

    with fuzzed(SETTINGS, lie) as target:
        report, output = schemathesis(target, tmp_path, only, "--max-examples=10", "--no-shrink")

    assert report["exit_code"] == 1, output
    assert {failure["type"] for failure in report["failures"]} >= failures, output


@contextmanager
def fuzzed(settings: Settings, lie: Lie | None = None) -> Iterator[Target]:
    """A server for Schemathesis to judge; with a lie, one that deserves complaints."""
    met: set[tuple[str, int]] = set()
    with ThreadedServer(settings) as server:
        handle = server.engine.handle
        target = Target(server, known_ids(server.engine), met)

        def witnessed(request: Request) -> Response:
            response = lie(request, handle) if lie else handle(request)
            met.add((f"{request.method} {'/'.join(request.path.split('/')[:3])}", response.status))
            return response

        server.engine.handle = witnessed  # type: ignore[method-assign]  # the gateway asks the engine for it each time
        yield target


def own_batches_read(target: Target) -> set[str]:
    """The batches that Schemathesis queued and then went on to follow."""
    batches = target.server.engine.sandboxes.open(HEADERS["x-mock-sandbox"]).batches.values()
    return {batch.id for batch in batches if batch.reads and batch.id not in target.ids["FUZZ_IDS"]}


def known_ids(engine: Engine) -> Mapping[str, str]:
    """For hooks.py, which needs ids that exist: of a batch and of a conversation in each phase of life."""
    batches = [queue(engine, prompts) for prompts in (["one", "two [mock:fail]"], ["[mock:fail]"], ["[mock:hang]"])]
    asked = ("prompt=one", "prompt=one&format=rendered", "prompt=[mock:fail]", "prompt=[mock:hang]")
    conversations = [created(engine, Request("GET", "/ai", f"mode=async&{each}", HEADERS)) for each in asked]
    key = engine.sandboxes.open(HEADERS["x-mock-sandbox"]).key
    return {"FUZZ_IDS": json.dumps([batches, conversations]), "FUZZ_SANDBOX_KEY": key}


def queue(engine: Engine, prompts: list[str]) -> str:
    body = json.dumps({"prompts": prompts}).encode()
    return created(engine, Request("POST", "/ai/batches", headers=HEADERS, body=body))


def created(engine: Engine, request: Request) -> str:
    response = engine.handle(request)
    assert response.status == 202
    assert isinstance(response.body, bytes)
    id_: str = json.loads(response.body)["id"]
    return id_


def schemathesis(target: Target, folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The report of a run, and what it said."""
    report = folder / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file=schemathesis.toml", "--no-color", "run"]
    command += [f"{target.server.url}/__admin/openapi.json", "--report=json", f"--report-json-path={report}"]
    # No proxy stands before loopback, and Hypothesis keeps its notes out of the checkout.
    environment = os.environ | target.ids | {"NO_PROXY": "*", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder)}
    run = subprocess.run(
        [*command, *arguments], cwd=FUZZ, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    output = run.stdout + run.stderr
    assert report.exists(), output
    return json.loads(report.read_text()), output
