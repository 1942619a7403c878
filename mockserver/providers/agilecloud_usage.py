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
    cost: int | None = None
    """In nano-dollars, rounded request by request; None for a live request, which costs what its tokens do."""
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
    entry = Metered(call.now, call.operation.key, model.name, prompt_tokens, completion_tokens)
    entries, account = call.sandbox.usage, call.asker.token
    (entries.get(account) or entries.setdefault(account, [])).append(entry)


def meter_batch(call: Call, account: str, trades: Mapping[str, Trade]) -> None:
    """Note what a batch of the account came to, model by model."""
    for model, (requests, prompt, said, cost) in trades.items():
        entry = Metered(call.now, "createBatch", model, prompt, said, cost, requests, is_batch=True)
        call.sandbox.usage.setdefault(account, []).append(entry)


def report(world: World, sandbox: Sandbox) -> dict[str, Any]:
    """What each account used, live and in batches side by side, and the meter events that would go to Stripe."""
    models, prices = {model.name: model for model in world_models(world).values()}, world_prices(world)

    def priced(entry: Metered) -> _Priced:
        live = prices.cost(models[entry.model], entry.prompt_tokens, entry.completion_tokens, batch=False)
        return _Priced(entry, live if entry.cost is None else entry.cost, live)

    used = {token: [priced(entry) for entry in entries] for token, entries in sandbox.usage.items()}
    numbered = [(token, each) for token, entries in used.items() for each in entries]
    return {
        "unit": "nano-dollars",
        "accounts": {token: _of_account(entries) for token, entries in used.items()},
        "events": [_event(n, *each) for n, each in enumerate(numbered, 1)],
    }


class _Priced(NamedTuple):
    """What was used, what it costs, and what it would have cost live; in nano-dollars."""

    entry: Metered
    cost: int
    live: int


def _of_account(used: Sequence[_Priced]) -> dict[str, Any]:
    batch = [each for each in used if each.entry.is_batch]
    spared = sum(each.live for each in batch)
    live = _summed([each for each in used if not each.entry.is_batch])
    return {"live": live, "batch": {**_summed(batch), "cost_at_live_price": spared}}


def _summed(used: Sequence[_Priced]) -> dict[str, Any]:
    cost = sum(each.cost for each in used)
    return {
        "requests": sum(each.entry.requests for each in used),
        "prompt_tokens": sum(each.entry.prompt_tokens for each in used),
        "completion_tokens": sum(each.entry.completion_tokens for each in used),
        "cost": cost,
        "dollars": dollars(cost),
    }


def _event(number: int, customer: str, used: _Priced) -> dict[str, Any]:
    entry = used.entry
    tokens = (entry.prompt_tokens, entry.completion_tokens)
    return meter_event(
        id=f"meter_{number}", customer=customer, cost=used.cost, tokens=tokens, model=entry.model, at=int(entry.at)
    )
