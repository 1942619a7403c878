"""The command `mockserver verify`: which requests are planned for a live API, and how they are run."""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from mockserver.api.provider import BoundOperation
from mockserver.contract.live.plan import PlannedRequest, Planner
from mockserver.contract.live.runner import LiveBudget, LiveRun, LiveRunner
from mockserver.contract.upstream import Upstream
from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module
from mockserver.openapi.operations import Operation
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


def prepare(settings: Settings, only: Sequence[str], *, generate: int = 0) -> Preparation:
    """The plan for the operations or tags `only`, or for all. Raises SettingsError for a name that none has."""
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
    planned = tuple(
        chain(
            planner.examples(),
            planner.recorded(),
            planner.probes(),
            planner.arguments(),
            planner.limits(),
            _generated(ordered, generate),
        )
    )
    return Preparation(engine, tuple(each.operation for each in services), planned)


def run(
    checked: Preparation, upstream: Upstream, budget: LiveBudget, *, token: str, variable: str = "API_TOKEN"
) -> LiveRun:
    """Send what the budget allows of the plan."""
    runner = LiveRunner(checked.engine, upstream, budget, token=token, variable=variable)
    return asyncio.run(runner.run(checked.planned))


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
    return format_table(rows)


def _generated(services: Sequence[BoundOperation], count: int) -> Iterator[PlannedRequest]:
    documents = {id(each.world.spec): each.world.spec for each in services} if count else {}
    for spec in documents.values():
        mine = [each.operation for each in services if each.world.spec is spec]
        yield from generated.generated_requests(spec.document, mine, count)
