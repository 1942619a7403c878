"""What AgileCloud's accounts use: one entry for each request that was answered."""

from collections.abc import Mapping
from typing import NamedTuple

from mockserver.provider import Call
from mockserver.providers.agilecloud_models import Model
from mockserver.providers.agilecloud_world import world_prices


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
