"""Prices: from dollars per million tokens to nano-dollars of a request, exact and rounded once."""

from typing import Any

import pytest

from mockserver.providers.agilecloud.models import Model, ModelKind
from mockserver.providers.agilecloud.pricing import (
    ModelRate,
    Prices,
    Rate,
    dollars,
    merged_prices,
    meter_event,
    read_prices,
)

CHAT = Model("gpt-4o", "gpt-4o", ModelKind.CHAT)
SECTION: dict[str, Any] = {
    "chat": {"input": 0.15, "output": 0.6},
    "embedding": {"input": 0.02},
    "models": {"GPT-4o": {"input": 2.5, "output": 10}},
    "batch_factor": 0.25,
}


def test_prices_are_read_in_millionths() -> None:
    assert read_prices(SECTION) == Prices(
        {ModelKind.CHAT: Rate(150_000, 600_000), ModelKind.EMBEDDING: Rate(20_000, 0)},
        {"gpt-4o": Rate(2_500_000, 10_000_000)},
        250_000,
    )
    assert read_prices({}) == Prices({}, {}, 500_000)
    assert read_prices({"chat": {"input": 0.000001}}).kinds == {ModelKind.CHAT: Rate(1, 0)}


@pytest.mark.parametrize(
    ("id_", "name", "kind", "batch", "cost"),
    [
        ("gpt-4o", "gpt-4o", ModelKind.CHAT, False, 2_500 * 7 + 10_000 * 3),
        ("gpt-4o", "gpt-4o", ModelKind.CHAT, True, (2_500 * 7 + 10_000 * 3) // 4),
        ("alias", "GPT-4O", ModelKind.CHAT, False, 2_500 * 7 + 10_000 * 3),
        ("other", "other", ModelKind.CHAT, False, 150 * 7 + 600 * 3),
        ("other", "other", ModelKind.EMBEDDING, False, 20 * 7),
        ("other", "other", ModelKind.AUDIO, False, 0),
    ],
)
def test_a_request_costs_the_price_of_its_model_or_kind(
    id_: str, name: str, kind: ModelKind, batch: bool, cost: int
) -> None:
    assert read_prices(SECTION).cost(Model(id_, name, kind), 7, 3, batch=batch) == cost


def test_prompt_tokens_alone_cost_their_price() -> None:
    assert read_prices(SECTION).cost(CHAT, 7, batch=False) == 17_500


@pytest.mark.parametrize(("tokens", "cost"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (7, 2), (10, 3)])
def test_a_cost_is_rounded_once_and_half_up(tokens: int, cost: int) -> None:
    rate = ModelRate(1, 1, 4)

    assert rate.cost(tokens, 0) == rate.cost(0, tokens) == cost
    assert rate.costs([tokens, 0], [0, tokens]) == [cost, cost]


def test_many_costs_are_those_of_each() -> None:
    rate = read_prices(SECTION).tariff(CHAT, batch=True)
    asked, said = list(range(50)), list(range(100, 150))

    assert rate.costs(asked, said) == [rate.cost(*each) for each in zip(asked, said, strict=True)]
    with pytest.raises(ValueError, match="shorter"):
        rate.costs([1, 2], [1])


def test_a_rate_has_the_smallest_whole_numbers() -> None:
    prices = read_prices(SECTION)

    assert prices.tariff(CHAT, batch=False) == ModelRate(2_500, 10_000, 1)
    assert prices.tariff(CHAT, batch=True) == ModelRate(625, 2_500, 1)
    assert prices.tariff(Model("o", "o", ModelKind.EMBEDDING), batch=True) == ModelRate(5, 0, 1)
    assert read_prices({}).tariff(CHAT, batch=False) == ModelRate(0, 0, 1)


@pytest.mark.parametrize(
    ("cost", "text"),
    [(0, "0.000000000"), (12_500, "0.000012500"), (999_999_999, "0.999999999"), (2 * 10**9 + 1, "2.000000001")],
)
def test_nano_dollars_are_shown_as_dollars_with_all_digits(cost: int, text: str) -> None:
    assert dollars(cost) == text


def test_of_several_files_the_first_price_counts() -> None:
    first = {"chat": {"input": 1}, "models": {"a": {"input": 1}}}
    second = {"chat": {"input": 2}, "batch_factor": 0.1, "models": {"a": {"input": 2}, "b": {"input": 3}}}

    assert merged_prices([first, second]) == {
        "chat": {"input": 1},
        "batch_factor": 0.1,
        "models": {"a": {"input": 1}, "b": {"input": 3}},
    }
    assert merged_prices([{"chat": {"input": 1}}, {"batch_factor": 1}]) == {"chat": {"input": 1}, "batch_factor": 1}
    assert merged_prices([]) == {}


@pytest.mark.parametrize(("batch", "more"), [(None, {}), ("batch_1", {"batch_id": "batch_1"})])
def test_a_meter_event_has_the_form_of_stripe(batch: str | None, more: dict[str, str]) -> None:
    event = meter_event(id="i", customer="c", cost=5, tokens=(7, 3), model="m", at=9, batch=batch)

    assert event == {
        "event_name": "agilecloud_usage",
        "identifier": "i",
        "timestamp": 9,
        "payload": {
            "stripe_customer_id": "c",
            "value": "5",
            "unit": "nanodollar",
            "model": "m",
            "input_tokens": "7",
            "output_tokens": "3",
            **more,
        },
    }
