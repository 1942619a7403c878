"""What AgileCloud's tokens cost: prices from a fixture, live and in batches, to the nano-dollar."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from mockserver.providers.agilecloud_models import Model

MILLION = 1_000_000
PICO_PER_NANO = 1000
METER = "agilecloud_usage"
"""Our own name: what AgileCloud's meter is called at Stripe is not published."""


class Rate(NamedTuple):
    """What one token costs, in pico-dollars (10^-12 USD): a dollar for a million tokens is a million of them."""

    input: int = 0
    output: int = 0


class Prices(NamedTuple):
    """The price table."""

    kinds: Mapping[str, Rate]
    models: Mapping[str, Rate]
    """What some models cost instead, by their names in lower case."""
    batch_factor: Decimal
    """What part of the live price a batch pays."""

    def cost(self, usage: Mapping[str, Any], model: Model, *, batch: bool) -> int:
        """What a request costs, in nano-dollars (10^-9 USD), from the `usage` of its answer.

        Rounded once, half a nano-dollar to the even side. Costs are integers and add up without loss.
        """
        rate = self._rate(model)
        pico = usage["prompt_tokens"] * rate.input + usage.get("completion_tokens", 0) * rate.output
        if not batch:
            return _rounded(Decimal(pico) / PICO_PER_NANO)
        return _rounded(pico * self.batch_factor / PICO_PER_NANO)

    def _rate(self, model: Model) -> Rate:
        own = self.models.get(model.id.lower()) or self.models.get(model.name.lower())
        return own or self.kinds.get(model.kind, Rate())


def read_prices(section: Mapping[str, Any]) -> Prices:
    """The table in `prices` of the fixtures. What it leaves out costs nothing, and a batch without factor half."""
    return Prices(
        kinds={kind: _read_rate(section[kind]) for kind in ("chat", "embedding", "audio") if kind in section},
        models={name.lower(): _read_rate(rate) for name, rate in section.get("models", {}).items()},
        batch_factor=Decimal(str(section.get("batch_factor", 0.5))),
    )


def dollars(cost: int) -> str:
    """Nano-dollars as dollars, every digit: `0.000012500`."""
    return f"{cost // 10**9}.{cost % 10**9:09}"


def meter_event(*, id: str, customer: str, cost: int, usage: Mapping[str, Any], model: str, at: int) -> dict[str, Any]:
    """The meter event that would go to Stripe for one request, in the shape of its API. It is never sent."""
    return {
        "event_name": METER,
        "identifier": id,
        "timestamp": at,
        "payload": {
            "stripe_customer_id": customer,
            "value": str(cost),
            "unit": "nanodollar",
            "model": model,
            "input_tokens": str(usage["prompt_tokens"]),
            "output_tokens": str(usage.get("completion_tokens", 0)),
        },
    }


def _rounded(nano: Decimal) -> int:
    return int(nano.to_integral_value(ROUND_HALF_EVEN))


def _read_rate(entry: Mapping[str, Any]) -> Rate:
    """A fixture's price is in dollars for a million tokens; floats are read as they are written."""
    return Rate(*(_rounded(Decimal(str(entry.get(side, 0))) * MILLION) for side in Rate._fields))
