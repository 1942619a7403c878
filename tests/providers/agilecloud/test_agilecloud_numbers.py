"""AgileCloud's limits as numbers, and what a stored value has where it says nothing: older exports rely on it."""

from typing import Any

import pytest
from signatures import (
    arguments_by_place_only,
    cache_sizes,
    dataclass_options,
    defaults_of_fields,
    defaults_of_functions,
    imports_at_start,
)

from mockserver.errors import Reason
from mockserver.providers.agilecloud import (
    client_rules,
    collections,
    context,
    errors,
    files,
    hooks,
    models,
    pricing,
    rate_limit,
    read_back,
    request_ids,
    settings,
    upgrade,
    usage,
)
from mockserver.providers.agilecloud.batches import (
    fast_path,
    input,
    job,
    operations,
    plain_lines,
    reads,
    results,
    run,
)
from mockserver.providers.agilecloud.batches.unknowns import UNKNOWNS
from mockserver.providers.agilecloud.chat import (
    completion,
    embeddings,
    logprobs,
    rules,
    strict_schemas,
    text,
    tokens,
    tools,
    wire,
)
from mockserver.providers.agilecloud.chat import operations as chat
from mockserver.providers.agilecloud.prompts import operations as prompts
from mockserver.providers.agilecloud.prompts import prompt, render_pool, renderer, repository, select, template
from mockserver.records import Record

KILO, MEGA = 1024, 1024 * 1024
MODULES = [
    *(
        client_rules,
        collections,
        context,
        errors,
        files,
        hooks,
        models,
        pricing,
        rate_limit,
        read_back,
        request_ids,
        settings,
    ),
    *(upgrade, usage, fast_path, input, job, operations, plain_lines, reads, results, run),
    *(chat, completion, embeddings, logprobs, rules, strict_schemas, text, tokens, tools, wire),
    *(prompts, prompt, render_pool, renderer, repository, select, template),
]
CACHES: dict[str, dict[str, int | None]] = {
    "batches.job": {"window_seconds": 128},
    "batches.plain_lines": {"_marker_search": None},
    "chat.completion": {"_encode_choice": 128, "completion_template": 128, "_fingerprint": 128},
    "chat.logprobs": {"_variants": None},
    "chat.text": {"sentence_bank": None},
    "chat.tools": {"_small_validator": 16},
    "context": {"model_seed": 128},
    "prompts.template": {"_cached_names": 256},
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "providers.agilecloud.chat.completion": {"chat_completion(has_logprobs)": True},
    "providers.agilecloud.pricing": {"Prices.cost(completion_tokens)": 0},
    "providers.agilecloud.prompts.prompt": {
        "Prompt.with_use(prompt_tokens)": 0,
        "Prompt.with_use(completion_tokens)": 0,
    },
    "providers.agilecloud.prompts.renderer": {"_truncate(length)": 255, "_truncate(leeway)": 5},
    "providers.agilecloud.prompts.repository": {"PromptRepository.__init__(born)": 0.0},
    "providers.agilecloud.usage": {
        "read_events(start)": 0,
        "record_usage(completion_tokens)": 0,
        "report(after)": 0,
        "report(limit)": 1000,
    },
}


@pytest.mark.parametrize(
    ("module", "numbers"),
    [
        (fast_path, {"MAX_FRAMES": 256, "MAX_NEEDLES": 10_000}),
        (input, {"MAX_LINES": 50_000, "MAX_BLANK_LINES": 50_000, "MAX_ERRORS": 100, "MAX_INPUTS": 50_000}),
        (input, {"MAX_DEPTH": 200}),
        (job, {"CANCELLING_SHARE": 0.1, "MAX_CANCELLING": 600.0}),
        (operations, {"VALIDATING_SHARE": 0.1, "DEFAULT_PAGE": 20}),
        (reads, {"MAX_TEXT": 65_536}),
        (results, {"WINDOW": 64, "WINDOW_BYTES": MEGA}),
        (plain_lines, {"MAX_KNOWN": 1000, "MAX_WRITTEN": 200, "NO_PARAMETERS": -1}),
        (run, {"_STATUSES": {Reason.NOT_FOUND: 404, Reason.CONFLICT: 409}}),
        (logprobs, {"MAX_ENTRIES": 250_000, "MAX_ALTERNATIVES": 19, "VARIANTS": 64}),
        (chat, {"MARKER_SECONDS": 600.0, "WHOLE_NUMBERS": 65_536}),
        (rules, {"MAX_NAMED": 20, "MAX_SHOWN": 100}),
        (strict_schemas, {"MAX_SHOWN": 300, "MAX_PARTS": 20_000}),
        (text, {"BANK_SIZE": 1024, "READ": 64, "LENGTH": 3, "LONGEST": 60, "FEW": 7}),
        (tokens, {"BYTES": 4, "MESSAGE": 4, "REPLY": 3, "ATTACHMENT": 85}),
        (tools, {"ATTEMPTS": 8, "CACHED_BYTES": 20_000}),
        (tools, {"LARGEST": {"minLength": 10_000, "minItems": 100, "minProperties": 100}}),
        (wire, {"PIECE_TOKENS": 3}),
        (context, {"MAX_NAME": 100}),
        (errors, {"TYPES": {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}}),
        (files, {"MEGABYTE": MEGA, "MAX_BATCH_FILE": 200, "MAX_FILE": 512, "BATCH_FILE_LIFE": 30 * 86_400}),
        (files, {"MAX_PAGE": 10_000, "LONGEST_LIFE": 1_000_000_000}),
        (hooks, {"RETRY_AFTER": 1}),
        (models, {"CREATED": 1_772_323_200, "MAX_NAME": 256}),
        (pricing, {"MILLION": 1_000_000, "PICO_PER_NANO": 1000}),
        (prompts, {"MAX_COMPARED": 1000, "DEFAULT_SPLIT": 0.5}),
        (render_pool, {"MAX_PROCESSES": 2, "PATIENCE": 10.0, "LOOK": 0.01}),
        (renderer, {"CPU_SECONDS": 0.5, "MEMORY": 512 * MEGA, "MAX_OUTPUT": 1_000_000}),
        (renderer, {"FUEL": 1_000_000, "ORDINARY_FUEL": 50_000, "LEAST_FUEL": 10_000}),
        (template, {"MAX_TEMPLATE": 1_000_000, "MAX_VARIABLES": 4 * MEGA}),
        (template, {"MAX_SIMPLE": 100_000, "CACHED_TEMPLATE": 10_000}),
        (rate_limit, {"LEAST_BURST": 5, "REQUESTS": 10_000, "TOKENS": 10_000_000, "MINUTE": 60.0}),
        (request_ids, {"MAX_REQUEST_ID": 128, "MAX_ASKED": 50_000, "MAX_PARSED": 64 * KILO}),
        (usage, {"MAX_ENTRIES": 10_000, "MAX_EVENTS": 100_000, "MAX_ID": 512, "MOST": 2**40, "ROWS": 500}),
    ],
)
def test_a_limit_is_this_number(module: Any, numbers: dict[str, Any]) -> None:
    assert {name: getattr(module, name) for name in numbers} == numbers


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (job.BatchRecord, {"cancelled": float("inf"), "cancel_seen": float("inf"), "is_collected": False}),
        (run.RunContext, {"leaves_blank": False}),
        (completion._Answer, {"is_canned": False}),
        (rules.Rule, {"is_for_some": False}),
        (tools.ToolChoice, {"is_required": False, "is_named": False}),
        (files.FileRecord, {"deleted": False}),
        (models.Model, {"created": 1_772_323_200, "dimensions": 0, "has_refusals": False}),
        (pricing.Rate, {"input": 0, "output": 0}),
        (prompt.PromptVersion, {"created_at": 0.0}),
        (prompt.VersionStats, {"requests": 0, "failed": 0, "prompt_tokens": 0, "completion_tokens": 0}),
        (prompt.Prompt, {"created_at": 0.0, "updated_at": 0.0}),
        (template.RenderLimits, {"is_batch": False}),
        (rate_limit.Bucket, {"since": 0.0, "asked": 0, "spent": 0}),
        (usage.UsageEntry, {"requests": 1, "is_batch": False}),
        (usage.UsageTotal, {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0}),
    ],
)
def test_a_value_has_these_defaults(kind: type, defaults: dict[str, Any]) -> None:
    assert defaults_of_fields(kind) == defaults


def test_a_setting_is_off_unless_it_is_given() -> None:
    own = settings.AgileCloudSettings()

    assert dataclass_options(settings.AgileCloudSettings) == {"init": False, "repr": False, "eq": False, "frozen": True}
    assert (own.keep_order, own.rate_limit, own.any_model) == (False, 0, False)


@pytest.mark.parametrize(
    "kind",
    [
        job.BatchRecord,
        results.VersionUse,
        results.LineResults,
        files.FileRecord,
        models.Model,
        prompt.PromptVersion,
        prompt.VersionStats,
        prompt.AbTest,
        prompt.Prompt,
        rate_limit.Bucket,
        usage.UsageEntry,
        usage.UsageTotal,
    ],
)
def test_a_stored_value_cannot_be_changed_and_is_no_work_for_the_garbage_collector(kind: type[Record]) -> None:
    assert (kind.__struct_config__.frozen, kind.__struct_config__.gc) == (True, False)


def test_the_kinds_of_models_have_their_own_dimensions() -> None:
    dimensions = {str(kind): size for kind, size in models.DIMENSIONS.items()}

    assert dimensions == {"chat": 0, "embedding": 1536, "audio": 0}


@pytest.mark.parametrize("count", [prompt.Count, usage.Count])
def test_a_stored_count_is_at_least_0_and_at_most_two_to_the_40(count: Any) -> None:
    [bounds] = count.__metadata__

    assert (bounds.ge, bounds.le) == (0, 2**40)


def test_a_stored_cost_is_at_least_0_and_at_most_two_to_the_62() -> None:
    [bounds] = usage.Cost.__metadata__  # type: ignore[attr-defined]  # of Annotated

    assert (bounds.ge, bounds.le) == (0, 2**62)


def test_a_file_lives_at_least_0_seconds_and_at_most_a_billion() -> None:
    [bounds] = files.Life.__metadata__  # type: ignore[attr-defined]  # of Annotated

    assert (bounds.ge, bounds.le) == (0, 10**9)


def test_an_outcome_of_a_question_about_the_live_service_names_its_status() -> None:
    statuses = {each.key: [outcome.status for outcome in each.outcomes] for each in UNKNOWNS if each.outcomes}

    assert statuses == {
        "create-status": [200, 201],
        "files": [200, 404],
        "cancel-status": [None, None],
        "cancel-finished": [409, 400, 200],
        "statuses": [None, None],
        "error-fields": [None, None, None],
        "unknown-prompt": [None, None],
        "missing-variable": [400, 200],
        "draft-version": [200, 409, 400],
        "template-role": [None, None],
        "window-missing": [200, 400],
        "mixed-models": [None, None],
        "content-type": [200, 200],
        "output-name": [200, 200],
        "batch-usage": [None, None],
    }
    assert {each.key: each.needs for each in UNKNOWNS if each.needs} == {}
    assert [step.operation for each in UNKNOWNS for step in each.steps if step.may_fail] == [
        "createPrompt",
        "createPrompt",
        "createPrompt",
    ]


def test_the_rules_of_chat_requests_are_checked_in_this_order() -> None:
    assert [(rule.field, rule.is_for_some) for rule in rules.RULES] == [
        ("messages", False),
        ("model", True),
        ("max_tokens", True),
        ("temperature", True),
        ("top_p", True),
        ("presence_penalty", True),
        ("frequency_penalty", True),
        ("logprobs", True),
        ("logit_bias", True),
        ("response_format", False),
        ("response_format", False),
        ("tools", False),
        ("tool_choice", False),
    ]


@pytest.mark.parametrize("module", MODULES)
def test_what_only_some_requests_need_is_not_imported_at_the_start(module: Any) -> None:
    assert imports_at_start(module) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_cache_keeps_so_many_results(module: Any) -> None:
    assert cache_sizes(module) == CACHES.get(module.__name__.removeprefix("mockserver.providers.agilecloud."), {})


@pytest.mark.parametrize("module", MODULES)
def test_every_argument_can_be_given_by_name(module: Any) -> None:
    assert arguments_by_place_only(module) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_flag_is_off_and_a_number_is_not_assumed_unless_the_table_says_so(module: Any) -> None:
    assert defaults_of_functions(module) == DEFAULTS.get(module.__name__.removeprefix("mockserver."), {})
