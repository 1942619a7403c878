"""AgileCloud's limits as numbers, and what a stored value has where it says nothing: older exports rely on it."""

from typing import Any

import pytest

from mockserver.errors import Reason
from mockserver.providers.agilecloud import (
    context,
    errors,
    files,
    hooks,
    models,
    pricing,
    rate_limit,
    request_ids,
    settings,
    usage,
)
from mockserver.providers.agilecloud.batches import fast_path, input, job, operations, reads, run
from mockserver.providers.agilecloud.batches.unknowns import UNKNOWNS
from mockserver.providers.agilecloud.chat import completion, logprobs, rules, strict_schemas, text, tokens, tools, wire
from mockserver.providers.agilecloud.chat import operations as chat
from mockserver.providers.agilecloud.prompts import operations as prompts
from mockserver.providers.agilecloud.prompts import prompt, render_pool, renderer, template
from mockserver.records import Record

KILO, MEGA = 1024, 1024 * 1024


@pytest.mark.parametrize(
    ("module", "numbers"),
    [
        (fast_path, {"MAX_FRAMES": 256, "MAX_NEEDLES": 10_000}),
        (input, {"MAX_LINES": 50_000, "MAX_BLANK_LINES": 50_000, "MAX_ERRORS": 100, "MAX_INPUTS": 50_000}),
        (input, {"MAX_DEPTH": 200}),
        (job, {"CANCELLING_SHARE": 0.1, "MAX_CANCELLING": 600.0}),
        (operations, {"VALIDATING_SHARE": 0.1, "DEFAULT_PAGE": 20}),
        (reads, {"MAX_TEXT": 65_536}),
        (run, {"WINDOW": 64, "WINDOW_BYTES": MEGA}),
        (run, {"_STATUSES": {Reason.NOT_FOUND: 404, Reason.CONFLICT: 409}}),
        (logprobs, {"MAX_ENTRIES": 250_000, "MAX_ALTERNATIVES": 19, "VARIANTS": 64}),
        (chat, {"MARKER_SECONDS": 600.0, "WHOLE_NUMBERS": 65_536}),
        (rules, {"MAX_NAMED": 20, "MAX_SHOWN": 100}),
        (strict_schemas, {"MAX_SHOWN": 300, "MAX_PARTS": 20_000}),
        (text, {"BANK_SIZE": 1024, "READ": 64, "LENGTH": 3, "FEW": 7}),
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


def defaults_of(kind: Any) -> dict[str, Any]:
    """The numbers and truth values that a value has where none is given."""
    if issubclass(kind, Record):
        known = kind.__struct_defaults__
        given = dict(zip(kind.__struct_fields__[len(kind.__struct_fields__) - len(known) :], known, strict=True))
    else:
        given = getattr(kind, "_field_defaults", None) or {name: getattr(kind, name, None) for name in vars(kind)}
    return {name: value for name, value in given.items() if isinstance(value, bool | int | float)}


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
    assert defaults_of(kind) == defaults


def test_a_setting_is_off_unless_it_is_given() -> None:
    own = settings.AgileCloudSettings()

    assert (own.keep_order, own.rate_limit, own.any_model) == (False, 0, False)


@pytest.mark.parametrize(
    "kind",
    [
        job.BatchRecord,
        run.VersionUse,
        run.LineResults,
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
