"""The command `mockserver verify`: which requests are planned for a live API, and how they are run."""

import asyncio
import base64
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, quote_plus

from mockserver.api.provider import BoundOperation
from mockserver.contract.live.observations import Question, find_questions, observe, planned_steps
from mockserver.contract.live.plan import PlannedRequest, Planner
from mockserver.contract.live.runner import LiveBudget, LiveRun, LiveRunner, Target
from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module
from mockserver.openapi.operations import Operation
from mockserver.redaction import REDACTED, is_worth_a_search
from mockserver.settings.table import Settings
from mockserver.text import did_you_mean, format_table

if TYPE_CHECKING:
    from mockserver.contract.live import generated
else:
    generated = lazy_module("mockserver.contract.live.generated")

_ORDER = {"GET": 0, "HEAD": 0, "POST": 1, "PUT": 2, "PATCH": 2, "DELETE": 3}
"""Lists first, since they tell ids; what removes things last."""


class Preparation(NamedTuple):
    """What is to be checked."""

    engine: Engine
    operations: tuple[Operation, ...]
    planned: tuple[PlannedRequest, ...]
    questions: tuple[Question, ...] = ()


class Credentials(NamedTuple):
    """The credentials of a run."""

    token: str = ""
    other: str = ""
    """That of a second account."""
    variable: str = "API_TOKEN"
    """The environment variable that the first is read from."""

    def removed_from(self, text: str) -> str:
        """A report without the credentials, which an answer may repeat anywhere."""
        for each in filter(is_worth_a_search, (self.token, self.other)):
            encoded = base64.b64encode(each.encode()).decode()  # of basic authentication
            for form in (each, json.dumps(each)[1:-1], quote(each, safe=""), quote_plus(each), encoded):
                text = text.replace(form, REDACTED)
        return text


def prepare(settings: Settings, only: Sequence[str], *, generate: int = 0, unknown: Sequence[str] = ()) -> Preparation:
    """The plan for the operations or tags `only`, or for all. With `unknown`, only these questions are asked.

    Raises SettingsError for a name that none has.
    """
    engine = build_engine(settings)
    services = engine.services
    if only:
        known = {name for each in services for name in (each.operation.key, each.operation.tag) if name}
        for name in only:
            if name not in known:
                raise SettingsError(f"--only is {name!r}, which is no operation and no tag{did_you_mean(name, known)}")
        services = tuple(each for each in services if {each.operation.key, each.operation.tag} & {*only})
    ordered = sorted(
        services,
        key=lambda each: (_ORDER.get(each.operation.method, 2), "{" in each.operation.path, bool(each.operation.body)),
    )
    planner = Planner(ordered)
    planned = chain(
        planner.examples(),
        planner.recorded(),
        planner.probes(),
        planner.arguments(),
        planner.limits(),
        _generated(ordered, generate),
    )
    operations = tuple(each.operation for each in services)
    questions = tuple(find_questions(engine.services, operations, unknown))
    if not unknown:
        return Preparation(engine, operations, tuple(planned), questions)
    asked = tuple(dict.fromkeys(operation for each in questions for operation in each.operations))
    return Preparation(engine, asked, (), questions)


def run(checked: Preparation, upstream: Target, budget: LiveBudget, credentials: Credentials) -> LiveRun:
    """Send what the budget allows of the plan, and then of the questions."""
    runner = LiveRunner(
        checked.engine,
        upstream,
        budget,
        token=credentials.token,
        other_token=credentials.other,
        variable=credentials.variable,
    )
    return asyncio.run(_run(runner, checked))


async def _run(runner: LiveRunner, checked: Preparation) -> LiveRun:
    try:
        run = await runner.run(checked.planned)
        for each in checked.questions:
            if runner.has_ended:
                break
            run.observations.append(await observe(runner, each))
    finally:
        await runner.close()
    return run


def format_plan(checked: Preparation, budget: LiveBudget) -> list[str]:
    """The plan as a table: each request with its price, and whether the budget's methods allow it."""
    rows = [("METHOD", "TARGET", "FROM", "PRICE", "SENT")]
    for each in checked.planned:
        price = each.price
        is_free = not price.amount or not each.has_credential
        if each.operation.sandbox_parameter:
            sent = "no: only the sandbox has it"
        elif each.operation.method not in budget.methods:
            sent = "no: --methods"
        elif not is_free and price.amount > budget.spend:
            sent = "no: --spend"
        else:
            sent = "yes"
        cost = "-" if is_free else f"{price.amount:g} {price.unit}"
        rows.append((each.operation.method, each.target[:80], each.origin, cost, sent))
    lines = format_table(rows) if checked.planned else []
    asked = [("UNKNOWN", "METHODS", "PRICE", "QUESTION"), *map(question_row, checked.questions)]
    return [*lines, *([""] if lines else []), *(format_table(asked) if checked.questions else [])]


def question_row(question: Question) -> tuple[str, ...]:
    """The name of a question, the methods that it needs, its price, and the question."""
    unknown = question.unknown
    steps = planned_steps(question)
    prices: dict[str, float] = {}
    for each in steps:
        if each.has_credential and each.price.amount:
            prices[each.price.unit] = prices.get(each.price.unit, 0.0) + each.price.amount
    cost = ", ".join(f"{amount:g} {unit}" for unit, amount in prices.items()) or "-"
    methods = ",".join(dict.fromkeys(each.operation.method for each in steps)) or "by hand"
    return unknown.key, methods, cost, unknown.question


def _generated(services: Sequence[BoundOperation], count: int) -> Iterator[PlannedRequest]:
    documents = {id(each.world.spec): each.world.spec for each in services} if count else {}
    for spec in documents.values():
        mine = [each.operation for each in services if each.world.spec is spec]
        yield from generated.generated_requests(spec.document, mine, count)
