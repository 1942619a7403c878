"""Replays recorded exchanges: answers in their order, and jobs that progress as any batch does.

A job begins with a recorded answer that says so. The sandbox keeps when that was, and how often the job was read since.
Its state then follows from the sandbox's progression: `immediate` is the last state of its timeline, `time:N` spreads
the recorded timeline over N seconds of sandbox time, and `polls:N` over N reads, of which the last gets the last state.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from mockserver.api.provider import BoundOperation
from mockserver.errors import FixtureError, Reason, Refusal
from mockserver.fixtures.recordings import (
    RecordedEntry,
    Recordings,
    RequestFacts,
    body_path,
    group_recordings,
    request_facts,
    with_base_url,
)
from mockserver.http import Request, Response
from mockserver.openapi.operations import JSON
from mockserver.openapi.responses import encode_body, problem
from mockserver.openapi.router import RouteMatch
from mockserver.openapi.security import read_credential
from mockserver.redaction import redacted_text, secrets_in
from mockserver.sandbox.batches import RecordedJob
from mockserver.sandbox.sandbox import Sandbox

COUNTS, JOBS = "recorded_answers", "recorded_jobs"
"""Collections: by entry, how many of its answers were given; by job, its state."""
STATUS = 404
"""The status of the answer to a request that was not recorded."""


class NotRecorded(Refusal):
    """A request that was not recorded; `response` explains what is nearest."""

    def __init__(self, response: Response) -> None:
        super().__init__(Reason.NO_SUCH_PATH, "The request was not recorded.")
        self.response = response


def with_replays(services: Sequence[BoundOperation]) -> list[BoundOperation]:
    """The operations, each with the recordings among its fixtures."""
    grouped: dict[int, Recordings] = {}  # all operations of a provider have the same fixtures
    found = []
    for service in services:
        entries = service.world.fixtures.recorded
        if not entries:
            found.append(service)
            continue
        recordings = grouped.setdefault(id(entries), group_recordings(entries))
        explains = service.world.settings.unrecorded == "explain"
        found.append(service._replace(replay=partial(_replay, recordings, explains)))
    return found


def _replay(  # noqa: PLR0917  see Replay
    recordings: Recordings,
    explains: bool,
    service: BoundOperation,
    match: RouteMatch,
    request: Request,
    sandbox: Sandbox,
    now: float,
) -> Response | None:
    facts = facts_of(service, match, request)
    found = replay_answer(recordings, facts, request, sandbox, now)
    if found is None and explains:
        raise not_recorded(recordings, facts, request)
    return found


def facts_of(service: BoundOperation, match: RouteMatch, request: Request, body: Any = None) -> RequestFacts:
    """What a request is compared by."""
    operation = service.operation
    has_credential = operation.is_open or bool(read_credential(operation.security, request))
    return request_facts(operation.key, match.arguments, request, has_credential=has_credential, body=body)


def replay_answer(
    recordings: Recordings, facts: RequestFacts, request: Request, sandbox: Sandbox, now: float
) -> Response | None:
    """The recorded answer; None if there is none. Called within the sandbox's transaction."""
    found = recordings.matching(facts)
    if not found:
        return None
    entry = found[0]
    if entry.is_timeline:
        return _reply(*_job_step(found, sandbox, now), request)
    counts = sandbox.collection(COUNTS, int)
    count = counts.get(entry.source) or 0
    counts.put(entry.source, count + 1)
    answer = entry.answer(count)
    jobs = sandbox.collection(JOBS, RecordedJob)
    for job in answer.get("begins", ()):
        jobs.put(job, RecordedJob(facts.operation, now, 0, sandbox.progression))
    return _reply(entry, answer, request)


def not_recorded(recordings: Recordings, facts: RequestFacts, request: Request) -> NotRecorded:
    """The rejection of a request that was not recorded."""
    nearest, lines = recordings.explain(facts)
    secrets = secrets_in(request.headers.items(), request.query)
    detail = f"{facts.operation}: this request was not recorded."
    if nearest:
        detail += f" The nearest is {nearest}; `difference` shows what is recorded (-) and what came (+)."
    else:
        detail += " The recording has no request of this operation."
    difference = [redacted_text(line, secrets) for line in lines]
    response = problem(STATUS, "Not Recorded", detail, nearest=nearest, difference=difference)
    return NotRecorded(response._replace(source="unrecorded"))


def _job_step(entries: list[RecordedEntry], sandbox: Sandbox, now: float) -> tuple[RecordedEntry, Any]:
    """The timeline that has begun last, and its state now; counts the read."""
    jobs = sandbox.collection(JOBS, RecordedJob)
    name = entries[0].job or entries[0].source
    state = jobs.get(name) or RecordedJob("", now, 0, sandbox.progression)
    state = state._replace(reads=state.reads + 1)
    jobs.put(name, state)
    entry = next((each for each in entries if each.since == state.since), entries[-1 if state.since else 0])
    return entry, entry.steps[state.step([each.get("after", 0.0) for each in entry.steps], now)]


def _reply(entry: RecordedEntry, answer: Any, request: Request) -> Response:
    base_url = request.base_url
    headers = tuple((name, with_base_url(each, base_url)) for name, each in answer.get("headers", {}).items())
    media_type = answer.get("media_type", JSON if "body" in answer else "text/plain" if "text" in answer else "")
    if "file" in answer:
        path = body_path(entry, answer["file"])
        try:
            body = path.read_bytes()
        except OSError as error:
            raise FixtureError(f"the body cannot be read: {error.strerror}", str(path)) from error
        body = body.replace(b"[base_url]", base_url.encode())
    elif "body" in answer or "text" in answer:
        body = encode_body(with_base_url(answer.get("body", answer.get("text")), base_url), media_type)
    else:
        body = b""
    return Response(answer.get("status", 200), media_type, body, headers, entry.source)
