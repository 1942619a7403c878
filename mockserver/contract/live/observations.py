"""Observations: what a live API, or the sandbox, answers to the questions that no public document answers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from mockserver.api.provider import BoundOperation
from mockserver.api.unknowns import ANY, MISSING, NO_CREDENTIAL, OTHER, PRESENT, Outcome, Step, Unknown
from mockserver.contract.live.plan import UNKNOWN, PlannedRequest
from mockserver.contract.live.runner import LiveExchange, LiveRunner, Observation
from mockserver.errors import SettingsError
from mockserver.http import Response
from mockserver.openapi.operations import Operation, bare_media_type
from mockserver.openapi.wire.bodies import write_form
from mockserver.redaction import redacted_text
from mockserver.text import did_you_mean

ALL = "all"
MAX_POLLS = 60
"""How often a status is read, each time after a longer pause: with two requests a second within 15 minutes."""
BOUNDARY = "mockserver-verify-boundary"
FORM = "multipart/form-data"
MAX_SHOWN = 80


class Question(NamedTuple):
    """An unknown of an API that is served, with the operations of its steps."""

    unknown: Unknown
    operations: tuple[Operation, ...]


def find_questions(
    services: Sequence[BoundOperation], operations: Sequence[Operation], names: Sequence[str]
) -> list[Question]:
    """The questions about these operations, or those named; `all` is all of them. Raises SettingsError."""
    by_key = {each.operation.key: each.operation for each in services}
    providers = dict.fromkeys(each.provider for each in services if each.provider is not None)
    unknowns = [each for provider in providers if provider.unknowns for each in provider.unknowns()]
    known = {each.key for each in unknowns}
    for name in names:
        if name not in {*known, ALL}:
            raise SettingsError(f"--unknown is {name!r}, which is no question{did_you_mean(name, known)}")
    selected = {each.key for each in operations}
    found = []
    for each in unknowns:
        steps = [by_key[step.operation] for step in each.steps if step.operation in by_key]
        is_asked = not names or ALL in names or each.key in names
        if is_asked and len(steps) == len(each.steps) and {step.key for step in steps} <= selected:
            found.append(Question(each, tuple(steps)))
    return found


def planned_steps(question: Question) -> list[PlannedRequest]:
    """The requests of a question, before any value is known."""
    return [
        _planned(operation, step, {})
        for operation, step in zip(question.operations, question.unknown.steps, strict=True)
    ]


async def observe(runner: LiveRunner, question: Question) -> Observation:
    """Send the requests of a question as far as the budget allows them."""
    unknown = question.unknown
    nothing = Observation(unknown.key, unknown.question)
    why = unknown.by_hand or runner.why_not_all(planned_steps(question))
    if why:
        return nothing._replace(why=why)
    values: dict[str, Any] = {}
    exchange: LiveExchange | None = None
    for number, (operation, step) in enumerate(zip(question.operations, unknown.steps, strict=True), 1):
        exchange = await _run_step(runner, _planned(operation, step, values), step)
        if exchange is None:
            return nothing._replace(why="there was no answer")
        why = _unfinished(step, exchange.response)
        missing = _keep(step, exchange.response, values)
        if missing and number < len(unknown.steps) and not step.may_fail:
            why = why or missing
        why = why or _unmet_need(unknown, values)
        if why:
            return nothing._replace(why=why, curl=exchange.curl)
    assert exchange is not None
    says, setting = _answer(unknown.outcomes, exchange.response)
    return nothing._replace(says=says, setting=setting, curl=exchange.curl)


async def _run_step(runner: LiveRunner, request: PlannedRequest, step: Step) -> LiveExchange | None:
    """The answer of a step, or the last of a step that is repeated."""
    exchange = await runner.send(request)
    for number in range(1, MAX_POLLS):
        if exchange is None or not _unfinished(step, exchange.response):
            break
        if runner.has_ended or runner.why_not(request):
            break
        exchange = await runner.send(request, pause=number)
    return exchange


def _unfinished(step: Step, response: Response) -> str:
    """Why a step that is repeated has not come to its end; empty if it has."""
    if step.until is None or response.status >= 400:
        return ""
    member, final = step.until
    seen = _member(_json(response), member)
    return "" if seen in final else f"{member} was still {seen} at the last request that the budget allowed"


def _keep(step: Step, response: Response, values: dict[str, Any]) -> str:
    """Keep what later steps need; returns why that is not possible."""
    value = _json(response)
    for name, place in step.keep.items():
        found = _member(value, place)
        if found is MISSING or found is None:
            return f"{step.operation} answered {response.status} without {place}"
        values[name] = found
    return ""


def _unmet_need(unknown: Unknown, values: Mapping[str, Any]) -> str:
    if unknown.needs is None:
        return ""
    name, least, most = unknown.needs
    if name not in values:
        return ""
    value = values[name]
    if isinstance(value, int | float) and least <= value <= most:
        return ""
    return f"it needs {name} from {least:g} to {most:g}, and there are {value}"


def _answer(outcomes: Sequence[Outcome], response: Response) -> tuple[str, str]:
    """What an answer says, and the flags by which the sandbox answers so."""
    for each in outcomes:
        if _fits(each, response):
            return each.says, each.setting
    body = response.body if isinstance(response.body, bytes) else b""
    shown = " ".join(redacted_text(body[:MAX_SHOWN].decode("utf-8", "replace")).split())
    return f"something else: {response.status} {shown}".rstrip(), ""


def _fits(outcome: Outcome, response: Response) -> bool:
    if outcome.status is not None and response.status != outcome.status:
        return False
    if outcome.media_type and bare_media_type(response.media_type) != outcome.media_type:
        return False
    if outcome.text and not (isinstance(response.body, bytes) and outcome.text.encode() in response.body):
        return False
    value = _json(response)
    return all(_fits_member(_member(value, place), wanted) for place, wanted in outcome.members.items())


def _fits_member(found: Any, wanted: Any) -> bool:
    if wanted is MISSING or wanted is PRESENT:
        return (found is MISSING) is (wanted is MISSING)
    if wanted is ANY:
        return found is not MISSING and found is not None
    return bool(found == wanted)


def _json(response: Response) -> Any:
    try:
        return orjson.loads(response.body) if isinstance(response.body, bytes) else None
    except orjson.JSONDecodeError:
        return None


def _member(value: Any, place: str) -> Any:
    """The member at a dotted place (`0.credits`); MISSING without one."""
    for step in place.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def _planned(operation: Operation, step: Step, values: Mapping[str, Any]) -> PlannedRequest:
    media_type, body = "", _filled(step.body, values)
    if step.form:
        media_type, body = f"{FORM}; boundary={BOUNDARY}", _form_of(step.form)
    elif body is not None:
        media_type = "application/json"
    return PlannedRequest(
        operation,
        UNKNOWN,
        path=_filled(step.path, values),
        query=_filled(step.query, values),
        headers=step.headers,
        media_type=media_type,
        body=body,
        has_credential=step.credential != NO_CREDENTIAL,
        of_other_account=step.credential == OTHER,
    )


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(each, values) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return values.get(value[1:-1], value)
    return value


def _form_of(fields: Mapping[str, str]) -> str:
    rows = ((name, value, "verify.jsonl" if name == "file" else "") for name, value in fields.items())
    return write_form(rows, BOUNDARY)
