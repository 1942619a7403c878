"""What AgileCloud's accounts use: one entry for each request that was answered."""

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


def meter(call: Call, model: Model, prompt_tokens: int, completion_tokens: int = 0) -> None:
    """Note what a live request of the asker used; `sandbox.usage` holds a list for each account."""
    cost = world_prices(call.world).cost(model, prompt_tokens, completion_tokens, batch=False)
    entry = Metered(call.now, call.operation.key, model.name, prompt_tokens, completion_tokens, cost)
    call.sandbox.usage.setdefault(call.asker.token, []).append(entry)
