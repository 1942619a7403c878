"""Prices of AgileCloud's tokens from a fixture, live and in batches, in nano-dollars."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from math import gcd
from typing import Any, NamedTuple

from mockserver.providers.agilecloud.models import Model, ModelKind

MILLION = 1_000_000
PICO_PER_NANO = 1000
METER = "agilecloud_usage"
"""An invented name: the name of AgileCloud's meter at Stripe is not published."""


class Rate(NamedTuple):
    """The price of a token in pico-dollars (10^-12 USD): one dollar per million tokens is 1,000,000."""

    input: int = 0
    output: int = 0


FREE = Rate()


class ModelRate(NamedTuple):
    """The price of one model's requests, live or in batches."""

    input: int
    output: int
    divisor: int
    """Divisor that converts the sum of tokens times the prices above to nano-dollars; rounded once, half up."""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int:
        """The cost in nano-dollars (10^-9 USD)."""
        return (2 * (prompt_tokens * self.input + completion_tokens * self.output) + self.divisor) // (2 * self.divisor)

    def costs(self, prompt_tokens: Sequence[int], completion_tokens: Sequence[int]) -> list[int]:
        """The costs of many requests."""
        asked, said, half, divisor = 2 * self.input, 2 * self.output, self.divisor, 2 * self.divisor
        tokens = zip(prompt_tokens, completion_tokens, strict=True)
        return [(prompt * asked + completion * said + half) // divisor for prompt, completion in tokens]


class Prices(NamedTuple):
    """The price table."""

    kinds: Mapping[str, Rate]
    models: Mapping[str, Rate]
    """Prices of single models, by their names in lower case."""
    batch_millionths: int
    """The factor of batch prices, in millionths."""

    def cost(self, model: Model, prompt_tokens: int, completion_tokens: int = 0, *, batch: bool) -> int:
        """The cost of a request, in nano-dollars (10^-9 USD).

        Rounded once, half up. Costs are integers, so sums are exact.
        """
        return self.tariff(model, batch=batch).cost(prompt_tokens, completion_tokens)

    def tariff(self, model: Model, *, batch: bool) -> ModelRate:
        """The price of a model's requests."""
        rate, share = self._rate(model), self.batch_millionths if batch else MILLION
        input_, output, divisor = rate.input * share, rate.output * share, PICO_PER_NANO * MILLION
        common = gcd(input_, output, divisor)  # Small integers are faster.
        return ModelRate(input_ // common, output // common, divisor // common)

    def _rate(self, model: Model) -> Rate:
        own = self.models.get(model.id.lower()) or self.models.get(model.name.lower())
        return own or self.kinds.get(model.kind, FREE)


def merged_prices(found: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The prices of several files; of a price that several give the first counts."""
    return reduce(_with_defaults, found, {})


def read_prices(section: Mapping[str, Any]) -> Prices:
    """The prices of `prices` in the fixtures. A missing price is 0; the default batch factor is a half."""
    return Prices(
        kinds={kind: _read_rate(section[kind]) for kind in ModelKind if kind in section},
        models={name.lower(): _read_rate(rate) for name, rate in section.get("models", {}).items()},
        batch_millionths=_millionths(section.get("batch_factor", 0.5)),
    )


def dollars(cost: int) -> str:
    """Nano-dollars as dollars, with all digits: `0.000012500`."""
    return f"{cost // 10**9}.{cost % 10**9:09}"


def meter_event(
    *, id: str, customer: str, cost: int, tokens: tuple[int, int], model: str, at: int, batch: str | None = None
) -> dict[str, Any]:
    """The meter event of one request, in the form of Stripe's API. It is never sent.

    `tokens` are those of prompt and completion; `at` is in Unix seconds; `batch` is the id of the request's batch,
    which distinguishes equal custom ids.
    """
    payload = {
        "stripe_customer_id": customer,
        "value": str(cost),
        "unit": "nanodollar",
        "model": model,
        "input_tokens": str(tokens[0]),
        "output_tokens": str(tokens[1]),
    }
    of_batch = {"batch_id": batch} if batch else {}
    return {"event_name": METER, "identifier": id, "timestamp": at, "payload": payload | of_batch}


def _millionths(number: float) -> int:
    """A fixture's number, with six decimals."""
    return int((Decimal(str(number)) * MILLION).to_integral_value())


def _read_rate(entry: Mapping[str, Any]) -> Rate:
    """Dollars per million tokens, in millionths, are pico-dollars per token."""
    return Rate(*(_millionths(entry.get(side, 0)) for side in Rate._fields))


def _with_defaults(prices: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    """The prices, with those of `more` for what they leave out."""
    models = {**more.get("models", {}), **prices.get("models", {})}
    return {**more, **prices, "models": models} if models else {**more, **prices}
