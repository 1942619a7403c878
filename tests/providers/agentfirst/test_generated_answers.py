"""Agent First's generated answers are the same in every version: a digest of many, and the numbers behind them.

A change here changes what the tests of others see: it belongs into the changelog.
"""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson
import pytest
from builders import ask, bytes_of, make_engine, queue, value_of
from signatures import arguments_by_place_only, cache_sizes, dataclass_options, defaults_of_functions, imports_at_start

import mockserver.providers.agentfirst as package
from mockserver.providers.agentfirst import (
    answer_versions,
    archive,
    batch_reads,
    client_rules,
    completions,
    errors,
    operations,
    pages,
    read_back,
    settings,
    statuses,
    text,
    unknowns,
)
from mockserver.providers.agentfirst.completions import SLICE
from mockserver.providers.agentfirst.pages import completion, generated_answer
from mockserver.providers.agentfirst.unknowns import UNKNOWNS

MODULES = [
    *(answer_versions, archive, batch_reads, client_rules, completions, errors, operations, pages, read_back),
    *(settings, statuses, text, unknowns),
]
MODELS = ["chatgpt", "gemini", "perplexity", "copilot"]
KEYS = [b"key %d" % n for n in range(50)]


def digest_of(values: Iterable[object]) -> str:
    """Of their JSON."""
    return hashlib.sha256(orjson.dumps(list(values), default=list)).hexdigest()[:16]


@pytest.mark.parametrize(
    ("model", "digest"),
    [
        ("chatgpt", "1e9e15db17cb06cb"),
        ("gemini", "be9003e1337648af"),
        ("perplexity", "a8a615d92572f2e9"),
        ("copilot", "76b557ae0dbc5e52"),
        ("other", "bc98c4989dd28c00"),
    ],
)
def test_a_generated_answer_is_the_same_in_every_version(model: str, digest: str) -> None:
    made = [generated_answer(key, "Where can I buy a vintage guitar?", model) for key in KEYS]

    assert digest_of(made) == digest


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_has_as_many_sources_and_queries_as_its_model_gives(model: str) -> None:
    made = [generated_answer(b"%d" % n, "vintage guitars", model) for n in range(300)]

    likelihood, most = text.SOURCES[model]
    least_queries, most_queries = text.SUBQUERIES.get(model, (0, 0))
    assert {len(each.sources) for each in made} == {0, *range(1 + most // 3, most + 1)}
    assert abs(sum(bool(each.sources) for each in made) / 300 - likelihood) < 0.1
    assert {len(each.subqueries) for each in made} == set(range(least_queries, most_queries + 1))
    assert all(len(set(each.subqueries)) == len(each.subqueries) for each in made)


@pytest.mark.parametrize(
    ("prompt", "topic"),
    [
        ("", ""),
        ("best vintage guitar [mock:fail]", "vintage guitar"),
        ("what is the", "what is the"),
        ("one two three four five six seven", "one two three four five six"),
        ("x" * 100, "x" * 80),
        ("x" * 79 + " yyy", "x" * 79),
        ("O'Brien's well-known", "O'Brien's well-known"),
    ],
)
def test_the_topic_of_a_prompt_is_its_first_characteristic_words(prompt: str, topic: str) -> None:
    assert text._topic(prompt) == topic


@pytest.mark.parametrize(
    ("model", "digest"),
    [
        ("chatgpt", "d94f109032b59cc9"),
        ("gemini", "2bd3c24327e2f1f8"),
        ("perplexity", "19c23dbc490cc06f"),
        ("copilot", "301e34b2f4bcd013"),
        ("other", "f2f254313f0dcc2e"),
    ],
)
def test_a_realistic_page_is_the_same_in_every_version(model: str, digest: str) -> None:
    answer = generated_answer(b"key", "vintage guitars", model)

    made = completion(
        answer, prompt="vintage guitars", model=model, targeting={}, version="2026-07", weight="realistic", key=b"key"
    )

    assert digest_of([made]) == digest


def test_the_numbers_behind_answers_and_pages() -> None:
    assert pages.SIZES == {
        "chatgpt": (250_000, 600_000),
        "gemini": (500_000, 1_400_000),
        "perplexity": (300_000, 900_000),
        "copilot": (210_000, 500_000),
    }
    assert text.SOURCES == {"chatgpt": (0.3, 4), "gemini": (0.6, 4), "perplexity": (0.97, 9), "copilot": (0.7, 5)}
    assert text.SUBQUERIES == {"chatgpt": (2, 7), "perplexity": (0, 3)}
    assert (operations.PRICE, operations.CREATE_RETRIES, SLICE) == (5, 180.0, 50)


def test_a_padded_page_has_three_tenths_styles_one_tenth_navigation_and_six_tenths_data() -> None:
    size = 250_000 + int(hashlib.blake2b(b"chatgpt\0key", digest_size=16).hexdigest()[:8], 16) % 350_000

    styles, navigation, data = pages._padding("chatgpt", b"key")

    assert [round(len(each) / size, 2) for each in (styles, navigation, data)] == [0.3, 0.1, 0.6]


def test_a_title_has_at_most_80_characters_of_the_prompt_and_events_160_of_the_answer() -> None:
    made = completion(
        pages.Answer(text="a" * 330),
        prompt="q" * 90,
        model="chatgpt",
        targeting={},
        version="2026-07",
        weight="light",
        key=b"",
    )

    assert f"<title>{'q' * 80}</title>" in made["html"]
    lines = [line for line in made["sse"].splitlines() if line.startswith("data: {")]
    assert [orjson.loads(line[6:]) for line in lines] == [
        {"type": "delta", "index": 0, "v": "a" * 160},
        {"type": "delta", "index": 1, "v": "a" * 160},
        {"type": "delta", "index": 2, "v": "a" * 10},
        {"type": "done"},
    ]


def test_an_archive_is_a_compressed_zip_of_readable_files_of_1980() -> None:
    engine = make_engine()
    id_ = queue(engine, "one", "two [mock:fail]", "three")
    url = value_of(ask(engine, "GET", "/ai/batches", query={"id": id_}))["url"]

    with ZipFile(BytesIO(bytes_of(ask(engine, "GET", url.partition(":4024")[2])))) as archive:
        found: list[ZipInfo] = archive.infolist()
        failed = archive.read("0002.json")

    assert [each.filename for each in found] == ["0001.json", "0002.json", "0003.json"]
    assert {each.date_time for each in found} == {(1980, 1, 1, 0, 0, 0)}
    assert {each.external_attr for each in found} == {0o644 << 16}
    assert {each.compress_type for each in found} == {ZIP_DEFLATED}
    assert failed == b'{"status":"failed"}'


def test_the_package_has_its_provider_and_nothing_else() -> None:
    assert package.api is operations.api
    with pytest.raises(AttributeError, match=r"^module 'mockserver.providers.agentfirst' has no attribute 'other'$"):
        package.other  # noqa: B018


def test_an_outcome_of_a_question_about_the_live_service_names_its_status() -> None:
    statuses = {each.key: [outcome.status for outcome in each.outcomes] for each in UNKNOWNS if each.outcomes}

    assert statuses == {
        "not-ready-status": [202, 200, 200],
        "completion-fields": [None, None],
        "unset-targeting": [200, 200],
        "unknown-id": [422, 404],
        "id-of-the-other-kind": [422, 404],
        "id-of-another-account": [422, 404, 403, 200],
        "other-scheme": [403, 401],
        "malformed-json": [422, 400],
        "check-order": [401, 422],
        "balance-below-price": [202, 402],
        "empty-prompt": [422, 202],
        "unknown-keys": [202, 422],
        "raw-format": [422, 202],
        "city-without-country": [422, 202],
        "null-for-unset": [202, 422],
        "error-texts": [422, 422],
    }
    assert {each.key: each.needs for each in UNKNOWNS if each.needs} == {"balance-below-price": ("credits", 1, 9)}
    assert [step.operation for each in UNKNOWNS for step in each.steps if step.may_fail] == []


@pytest.mark.parametrize("module", MODULES)
def test_arguments_are_given_by_name_and_neither_on_nor_a_number_unless_they_are_given(module: Any) -> None:
    assert (arguments_by_place_only(module), defaults_of_functions(module)) == ([], {})


@pytest.mark.parametrize("module", MODULES)
def test_what_only_some_requests_need_is_not_imported_at_the_start(module: Any) -> None:
    assert imports_at_start(module) == []


def test_caches_are_bounded() -> None:
    assert {name: size for module in MODULES for name, size in cache_sizes(module).items()} == {
        "_is_subdivision": 1024,
        "_lower_names": 8,
        "_html": 128,
        "_renderer": None,
    }


def test_the_provider_declares_its_defaults_and_where_callbacks_are_named() -> None:
    assert operations.api.defaults == {
        "queueBatch": {"model": "chatgpt", "format": "json", "expiration": 1},
        "askModel": {"model": "chatgpt", "format": "json", "expiration": 1, "mode": "sync"},
        "getArchive": {"format": "zip"},
    }
    assert operations.api.exclusive_parameters == {"askModel": "id"}
    assert operations.api.callback_urls == {
        "queueBatch": ("$request.body#/callback", "$request.body#/callback (planned)"),
        "askModel": ("$request.query.callback",),
    }
    assert set(operations.api.listings) == {"batches"}


def test_settings_are_values_that_cannot_be_changed() -> None:
    assert dataclass_options(settings.AgentFirstSettings) == {"init": False, "repr": False, "eq": False, "frozen": True}
    assert not settings.AgentFirstSettings().empty_prompts
