"""Models and prices, as the fixtures list them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Model as SdkModel

from mockserver.errors import FixtureError
from mockserver.fixtures.files import Fixtures, read_fixtures
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.models import Model, ModelKind, find_model, model_list, read_models
from mockserver.providers.agilecloud.pricing import Prices, dollars, merged_prices, meter_event, read_prices

FOLDER = Path(__file__).parents[2].parent / "fixtures"
SCHEMA = Schema(json.loads((FOLDER / "schema.json").read_text(encoding="utf-8")), {})
OURS = read_fixtures([FOLDER], "agilecloud", SCHEMA)
CHAT = Model("gpt-4o", "gpt-4o", ModelKind.CHAT)
EMBEDDING = Model("bge", "bge", ModelKind.EMBEDDING, dimensions=8)


def read(folder: Path, files: dict[str, str]) -> Fixtures:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return read_fixtures([folder], "agilecloud", SCHEMA)


def test_the_bundled_models_are_those_of_the_documents() -> None:
    models = read_models(OURS.section("models"))

    assert set(models) >= {
        "qwen2.5-3b-instruct", "qwen-2.5-3b", "llama-3.1-70b-instruct", "bge-large-en-v1.5", "whisper-large-v3",
        "gpt-4o", "gpt-4o-mini", "o3", "o3-mini", "claude-4-sonnet", "claude-3-5-sonnet", "gemini-2.0-flash",
    }  # fmt: skip
    assert models["bge-large-en-v1.5"].dimensions == 1024
    assert models["text-embedding-3-small"].dimensions == 1536
    assert all((model.kind is ModelKind.EMBEDDING) == (model.dimensions > 0) for model in models.values())


def test_a_model_is_found_by_any_of_its_names_in_any_case() -> None:
    models = read_models([{"id": "Big-1", "aliases": ["b1"], "kind": "chat", "owned_by": "me", "created": 5}])

    big, alias = find_model(models, "BIG-1"), find_model(models, "B1")
    assert big == Model("Big-1", "Big-1", ModelKind.CHAT, "me", 5)
    assert alias == Model("b1", "Big-1", ModelKind.CHAT, "me", 5)
    assert find_model(models, "big-2") is None


def test_every_alias_is_listed_as_a_model() -> None:
    shown = model_list(read_models([{"id": "a-1", "aliases": ["a"], "kind": "chat"}, {"id": "A", "kind": "audio"}]))

    assert shown["object"] == "list"
    assert [SdkModel.model_validate(model, strict=True).id for model in shown["data"]] == ["a-1", "a"]


def test_the_bundled_prices_are_those_of_the_documents() -> None:
    prices = read_prices(merged_prices(OURS.section("prices")))

    assert dollars(prices.cost(CHAT, 1_000_000, 0, batch=False)) == "1.000000000"
    assert dollars(prices.cost(CHAT, 0, 1_000_000, batch=False)) == "2.000000000"
    assert dollars(prices.cost(EMBEDDING, 1_000_000, batch=False)) == "0.100000000"
    assert prices.cost(CHAT, 1, 1, batch=True) == 1500
    assert prices.cost(EMBEDDING, 1, batch=True) == 50


@given(sizes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=20))
def test_a_batch_costs_exactly_half(sizes: list[tuple[int, int]]) -> None:
    prices = read_prices(merged_prices(OURS.section("prices")))

    live, batch = (sum(prices.cost(CHAT, *size, batch=batch) for size in sizes) for batch in (False, True))

    assert live == 2 * batch == 1000 * sum(size[0] + 2 * size[1] for size in sizes)


@pytest.mark.parametrize(
    ("model", "tokens", "cost"),
    [
        (Model("gpt-4o", "gpt-4o", ModelKind.CHAT), (1, 1), 13),  # 0.0025 + 0.01 micro-dollars: 12.5 nano-dollars
        (Model("alias", "GPT-4o", ModelKind.CHAT), (2, 2), 25),
        (Model("whisper", "whisper", ModelKind.AUDIO), (9, 9), 0),
    ],
)
def test_one_model_may_cost_something_else(model: Model, tokens: tuple[int, int], cost: int) -> None:
    prices = read_prices({"chat": {"input": 7}, "models": {"GPT-4o": {"input": 0.0025, "output": 0.01}}})

    assert prices.cost(model, *tokens, batch=False) == cost


def test_a_price_is_read_as_it_is_written() -> None:
    prices = read_prices({"chat": {"input": 0.1}, "batch_factor": 0.7})

    assert prices.cost(CHAT, 3, batch=False) == 300
    assert prices.cost(CHAT, 1000, batch=True) == 70_000


def test_without_a_table_nothing_costs_anything() -> None:
    assert read_prices({}) == Prices({}, {}, 500_000)
    assert read_prices({}).cost(CHAT, 5, 5, batch=False) == 0


def test_a_meter_event_has_the_shape_of_stripe_s() -> None:
    event = meter_event(id="req_1", customer="cus_1", cost=1500, tokens=(1, 1), model="gpt-4o", at=9)

    assert event["identifier"] == "req_1"
    assert event["timestamp"] == 9
    assert event["payload"]["value"] == "1500"
    assert all(isinstance(value, str) for value in event["payload"].values())


def test_models_add_up_and_the_first_price_counts(tmp_path: Path) -> None:
    fixtures = read(
        tmp_path,
        {
            "a.yaml": "models: [{id: m-1, kind: chat}]\nprices: {chat: {input: 1}, models: {m-1: {input: 5}}}",
            "agilecloud/b.yaml": "models: [{id: m-2, kind: audio}]\nprices: {chat: {input: 2}, audio: {input: 3}}",
            "agilecloud/c.yaml": "prices: {models: {m-1: {input: 6}, m-2: {input: 7}}}",
            "agentfirst/d.yaml": "models: [{id: m-3, kind: chat}]",
        },
    )

    assert [model["id"] for model in fixtures.section("models")] == ["m-1", "m-2"]
    assert merged_prices(fixtures.section("prices")) == {
        "chat": {"input": 1},
        "audio": {"input": 3},
        "models": {"m-1": {"input": 5}, "m-2": {"input": 7}},
    }


@pytest.mark.parametrize(
    ("fixture", "message"),
    [
        ("models: [{id: a}]", "'kind' is a required property"),
        ("models: [{id: a, kind: chats}]", "'chats' is not one of"),
        ("models: [{id: a, kind: embedding}]", "'dimensions' is a required property"),
        ("models: [{id: a, kind: embedding, dimensions: 0}]", "less than the minimum"),
        ("prices: {chat: {input: -1}}", "less than the minimum"),
        ("prices: {chat: {inputs: 1}}", "'inputs' was unexpected"),
        ("completions: [{tool_calls: []}]", "[]"),
        ("completions: [{tool_calls: [{arguments: {}}]}]", "'name' is a required property"),
        ("completions: [{text: a, finish_reason: bored}]", "'bored' is not one of"),
    ],
)
def test_a_mistake_is_shown_with_its_place(tmp_path: Path, fixture: str, message: str) -> None:
    with pytest.raises(FixtureError) as caught:
        read(tmp_path, {"agilecloud/a.yaml": fixture})

    assert f"{tmp_path / 'agilecloud' / 'a.yaml'}:1: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "has"),
    [
        ("Summarize this document...", "text"),
        ("What is the weather in Paris today?", "tool_calls"),
        ("Trigger the content filter.", "finish_reason"),
        ("Hello!", "text"),
    ],
)
def test_the_bundled_completions_match_any_model(prompt: str, has: str) -> None:
    canned = OURS.completion(prompt, "gpt-4o", None)

    assert canned is not None
    assert has in canned.entry


def test_a_canned_completion_may_be_one_model_s(tmp_path: Path) -> None:
    entry: Any = "completions: [{match: {model: [gpt-4o, qwen2.5-3b-instruct]}, text: a}]"

    fixtures = read(tmp_path, {"agilecloud/a.yaml": entry})

    assert fixtures.completion("x", "gpt-4o", None) is not None
    assert fixtures.completion("x", "o3", None) is None


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("gpt-5.4", "gpt-5.4"),
        ("gpt-5.1", "gpt-5.1"),
        ("gpt-4.1-nano", "gpt-4.1-nano"),
        ("o4-mini", "o4-mini"),
        ("gpt-3.5-turbo", "gpt-3.5-turbo"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("GPT-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-4-1106-preview", "gpt-4"),
        ("gpt-4-turbo-2024-04-09", "gpt-4-turbo"),
        ("gpt-5.1-2025-11-13", "gpt-5.1"),
        ("o4-mini-2025-04-16", "o4-mini"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("qwen-2.5-3b", "qwen2.5-3b-instruct"),
        ("ft:gpt-4o-mini-2024-07-18:acme::B1c2", "gpt-4o-mini"),
        ("ft:gpt-4.1-nano:acme:support:B1c2", "gpt-4.1-nano"),
        ("ft:gpt-3.5-turbo-0125:acme::B1c2:ckpt-step-100", "gpt-3.5-turbo"),
    ],
)
def test_openais_names_their_snapshots_and_fine_tuned_models_are_found(name: str, own: str) -> None:
    model = read_models(OURS.section("models")).find(name)

    assert model is not None
    assert (model.id.lower(), model.name) == (name.lower(), own)


@pytest.mark.parametrize(
    "name",
    [
        "", "gpt-0", "gpt-4o-2024-13-06", "gpt-4o-2024-08-32", "gpt-4o-2024-0806", "gpt-4o-mini-", "gpt-4-1399",
        "gpt-4o-x",
        "-2024-08-06", "ft:", "ft:gpt-4o", "ft:gpt-0:acme::x", "ft:gpt-4o:two words", "ft:ft:gpt-4o:a:b",
        "gpt-4o-2024-08-06-2024-08-06", "ft:gpt-4o:" + "x" * 300,
    ],
)  # fmt: skip
def test_other_names_are_no_models(name: str) -> None:
    assert read_models(OURS.section("models")).find(name) is None


def test_a_snapshot_costs_what_its_model_costs() -> None:
    models = read_models([{"id": "m-1", "kind": "chat"}])
    prices = read_prices({"models": {"m-1": {"input": 5}, "m-1-2025-01-01": {"input": 7}}})

    costs = [prices.cost(model, 1000, batch=False) for name in ("m-1", "m-1-2024-08-06", "m-1-2025-01-01")
             if (model := models.find(name))]  # fmt: skip

    assert costs == [5_000_000, 5_000_000, 7_000_000]


def test_with_any_model_every_name_is_a_model() -> None:
    models = read_models([{"id": "m-1", "kind": "chat"}], accepts_any=True)

    assert models.find("my-own/model:latest") == Model("my-own/model:latest", "my-own/model:latest", ModelKind.CHAT)
    assert models.find("vectors", ModelKind.EMBEDDING) == Model(
        "vectors", "vectors", ModelKind.EMBEDDING, dimensions=1536
    )
    assert models.find("") is models.find("x" * 300) is None
    assert list(models) == ["m-1"]
