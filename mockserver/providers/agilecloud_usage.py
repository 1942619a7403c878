"""What AgileCloud's accounts use: one entry for each request that was answered."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.provider import Call, World
from mockserver.providers.agilecloud_models import Model
from mockserver.providers.agilecloud_pricing import dollars, meter_event
from mockserver.providers.agilecloud_world import world_models, world_prices
from mockserver.state.sandbox import Sandbox


class Metered(NamedTuple):
    """What one request used, and what it costs."""

    at: float
    """Sandbox time, in Unix seconds."""
    operation: str
    model: str
    """By its own name, whatever alias it was asked by."""
    prompt_tokens: int
    completion_tokens: int
    cost: int
    """In nano-dollars."""
    requests: int = 1
    is_batch: bool = False
    """Whether it was worked on in a batch, at the price of batches."""


class Trade(NamedTuple):
    """What a batch's requests of one model came to."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0
    """In nano-dollars, rounded request by request."""


def meter(call: Call, model: Model, prompt_tokens: int, completion_tokens: int = 0) -> None:
    """Note what a live request of the asker used; `sandbox.usage` holds a list for each account."""
    cost = world_prices(call.world).cost(model, prompt_tokens, completion_tokens, batch=False)
    entry = Metered(call.now, call.operation.key, model.name, prompt_tokens, completion_tokens, cost)
    call.sandbox.usage.setdefault(call.asker.token, []).append(entry)


def meter_batch(call: Call, account: str, trades: Mapping[str, Trade]) -> None:
    """Note what a batch of the account came to, model by model."""
    for model, (requests, prompt, said, cost) in trades.items():
        entry = Metered(call.now, "createBatch", model, prompt, said, cost, requests, is_batch=True)
        call.sandbox.usage.setdefault(account, []).append(entry)


def report(world: World, sandbox: Sandbox) -> dict[str, Any]:
    """What each account used, live and in batches side by side, and the meter events that would go to Stripe."""
    accounts = {token: _of_account(world, entries) for token, entries in sandbox.usage.items()}
    numbered = [(token, entry) for token, entries in sandbox.usage.items() for entry in entries]
    return {
        "unit": "nano-dollars",
        "accounts": accounts,
        "events": [_event(n, *each) for n, each in enumerate(numbered, 1)],
    }


def _of_account(world: World, entries: Sequence[Metered]) -> dict[str, Any]:
    live = [entry for entry in entries if not entry.is_batch]
    batch = [entry for entry in entries if entry.is_batch]
    models, prices = {model.name: model for model in world_models(world).values()}, world_prices(world)
    spared = sum(
        prices.cost(models[entry.model], entry.prompt_tokens, entry.completion_tokens, batch=False) for entry in batch
    )
    return {"live": _summed(live), "batch": {**_summed(batch), "cost_at_live_price": spared}}


def _summed(entries: Sequence[Metered]) -> dict[str, Any]:
    cost = sum(entry.cost for entry in entries)
    return {
        "requests": sum(entry.requests for entry in entries),
        "prompt_tokens": sum(entry.prompt_tokens for entry in entries),
        "completion_tokens": sum(entry.completion_tokens for entry in entries),
        "cost": cost,
        "dollars": dollars(cost),
    }


def _event(number: int, customer: str, entry: Metered) -> dict[str, Any]:
    tokens = (entry.prompt_tokens, entry.completion_tokens)
    return meter_event(
        id=f"meter_{number}", customer=customer, cost=entry.cost, tokens=tokens, model=entry.model, at=int(entry.at)
    )
