"""A sandbox's limits as numbers, and what a stored value has where it says nothing: older exports rely on it."""

import sys
from math import inf
from typing import Any

import pytest
from builders import make_engine
from signatures import (
    arguments_by_place_only,
    dataclass_options,
    defaults_of_fields,
    defaults_of_functions,
    imports_at_start,
)

from mockserver.api import batch_reads, call, client_rules, provider, unknowns
from mockserver.records import Record
from mockserver.sandbox import (
    accounts,
    batches,
    blobs,
    callbacks,
    clock,
    conditions,
    deferred_free,
    eviction,
    ids,
    journal,
    manager,
    record,
    scenario,
)
from mockserver.sandbox.shared import coverage, opening
from mockserver.sandbox.shared import journal as shared_journal
from mockserver.sandbox.shared import manager as shared_manager
from mockserver.sandbox.shared import sandbox as shared_sandbox
from mockserver.sandbox.snapshot import exchanges, export, upgrade, values
from mockserver.sandbox.stubs import faults, fields, matcher, responses, rules, schema, search

KILO, MEGA = 1024, 1024 * 1024
MODULES = [
    *(accounts, batches, blobs, callbacks, clock, conditions, deferred_free, eviction, ids, journal, manager, record),
    *(scenario, shared_journal, shared_manager, shared_sandbox, coverage, opening),
    *(exchanges, export, upgrade, values, faults, fields, matcher, responses, rules, schema, search),
    *(batch_reads, call, client_rules, provider, unknowns),
]
DEFAULTS: dict[str, dict[str, Any]] = {
    "sandbox.accounts": {"facts_of(credits)": 1_000_000_000},
    "sandbox.blobs": {
        "Blob.read(start)": 0,
        "Blob.chunks(start)": 0,
        "BlobWriter.__init__(memory)": MEGA,
        "KeptBody.__init__(start)": 0,
        "BodySpace.__init__(limit)": 256 * MEGA,
    },
    "sandbox.deferred_free": {"DeferredFree.sweep(pieces)": 256},
    "sandbox.journal": {
        "without_secrets(has_headers)": True,
        "JournalSpace.__init__(limit)": sys.maxsize,
        "Journal.record(seconds)": 0.0,
        "Journal.find(after)": 0,
    },
    "sandbox.manager": {
        "SandboxManager.__init__(limit)": 10_000,
        "SandboxManager.__init__(journal_bytes)": sys.maxsize,
        "SandboxManager.__init__(batch_bytes)": sys.maxsize,
    },
    "sandbox.shared.journal": {"StoredJournal.record(seconds)": 0.0, "StoredJournal.find(after)": 0},
    "sandbox.snapshot.export": {"Snapshots.encode(most)": 384 * MEGA},
    "sandbox.stubs.faults": {
        "Trickle.__init__(pieces)": 10,
        "Garbage.__init__(size)": 256,
        "Timeout.__init__(seconds)": 600,
    },
    "sandbox.stubs.schema": {"read_rule(times)": 1},
}


@pytest.mark.parametrize(
    ("module", "numbers"),
    [
        (accounts, {"DEFAULT_CREDITS": 1_000_000_000, "MOST": 2**62}),
        (batches, {"ARCHIVING_SHARE": 0.2, "MAX_PRICE": 1_000_000, "BYTES_PER_ITEM": 1000, "DEFAULT_FAILURE": 500}),
        (batches, {"BATCH_WEIGHT": 100, "LOOP_WEIGHT": 20_000, "KINDS": {"immediate": 0, "time": 0, "polls": 1}}),
        (blobs, {"MEMORY_BYTES": MEGA, "CHUNK_BYTES": 256 * KILO, "MAX_LINE": 16 * MEGA, "LEAST_BODY": 16 * KILO}),
        (blobs, {"FILE_BYTES": 64 * MEGA, "BODIES_IN_MEMORY": 256 * MEGA}),
        (callbacks, {"MAX_CLAIMED": 1000, "MAX_ATTEMPTS": 100}),
        (clock, {"DAY": 86_400.0, "LATEST": 253_402_300_799.0}),
        (conditions, {"DEFAULT_STATUS": 500}),
        (deferred_free, {"AT_ONCE": 256, "STEP": 256, "PAUSE": 0.001}),
        (eviction, {"SHARE": 8}),
        (journal, {"MAX_BYTES": 16 * MEGA, "EXCHANGE_BYTES": 1000, "VIOLATION_BYTES": 300, "HEADER_BYTES": 200}),
        (journal, {"USUAL_HEADERS": 20, "UNWEIGHED": 64, "UNWEIGHED_BYTES": 16 * KILO, "FREED_SHARE": 16}),
        (manager, {"MAX_SANDBOXES": 10_000, "UNPINNED_SHARE": 10, "MAX_NAME": 200}),
        (shared_journal, {"READ_AT_ONCE": 64}),
        (shared_manager, {"MAX_HANDLES": 1000, "FIRST_LOOK": 32}),
        (shared_sandbox, {"CLAIM_SECONDS": 10.0, "RENEW_SECONDS": 3.0}),
        (export, {"VERSION": 4, "MAX_DOCUMENT": 384 * MEGA, "MAX_DOCUMENT_VALUES": 2_000_000, "BYTES_PER_VALUE": 8}),
        (upgrade, {"OLDEST": 2}),
        (values, {"BLOB_PART": 192 * KILO}),
        (client_rules, {"MAX_REJECTED_EXAMPLES": 3, "MAX_EXAMPLE": 300}),
    ],
)
def test_a_limit_is_this_number(module: Any, numbers: dict[str, Any]) -> None:
    assert {name: getattr(module, name) for name in numbers} == numbers


@pytest.mark.parametrize(
    ("kind", "defaults"),
    [
        (accounts.AccountSpec, {"credits": 1_000_000_000, "revoked": False}),
        (accounts.Account, {"is_operator_made": False}),
        (batches.Progression, {"amount": 0}),
        (batches.ItemOutcome, {"slowness": 0.0}),
        (batches.Batch, {"archives": True, "head": 0.0, "not_before": 0.0, "price": 0, "applies_markers": True}),
        (callbacks.Callback, {"due": inf, "is_received": False}),
        (clock.ClockConfig, {"frozen": False, "scale": 1.0}),
        (conditions.ItemSelector, {"every": 0, "share": 0.0}),
        (conditions.ItemPlan, {"status": 500, "expires": False}),
        (
            record.SandboxRecord,
            {
                "has_callbacks": False,
                "callbacks_dropped": 0,
                "is_held": False,
                "is_set_up": False,
                "is_named_by_token": False,
            },
        ),
        (shared_journal.Totals, {"seen": 0, "first": 1, "weight": 0, "waits_end": 0.0, "places": 0}),
        (
            rules.Rule,
            {
                "after": 0,
                "probability": 1.0,
                "undocumented": False,
                "size": 0,
                "steps": 0,
                "matched": 0,
                "claimed": 0,
            },
        ),
        (search.Search, {"since": 0}),
        (batch_reads.BatchFacts, {"can_be_cancelled": False}),
        (client_rules.RejectedItems, {"total": 0}),
        (client_rules.BatchState, {"was_told": False}),
        (client_rules.ClientRules, {"poll_seconds": 1.0}),
        (unknowns.Step, {"may_fail": False}),
    ],
)
def test_a_value_has_these_defaults(kind: type, defaults: dict[str, Any]) -> None:
    found = defaults_of_fields(kind)

    assert found == defaults
    assert {name: type(value) for name, value in found.items()} == {name: type(each) for name, each in defaults.items()}


@pytest.mark.parametrize(
    "kind",
    [
        accounts.AccountSpec,
        accounts.AccountOverrides,
        accounts.Charge,
        accounts.Account,
        batches.Progression,
        batches.RecordedJob,
        batches.ItemOutcome,
        batches.Batch,
        callbacks.Attempt,
        callbacks.Callback,
        clock.ClockConfig,
        clock.ClockSnapshot,
        clock.ClockState,
        conditions.ItemSelector,
        conditions.ItemPlan,
        conditions.InputRejection,
        conditions.Conditions,
        record.SandboxOptions,
        record.SandboxRecord,
        exchanges.ExportedRequest,
        exchanges.ExportedResponse,
        exchanges.ExportedViolation,
        exchanges.ExportedExchange,
        export.SnapshotState,
        rules.RuleSnapshot,
        call.ApiContext,
        call.Call,
        client_rules.RejectedItems,
        provider.BoundOperation,
    ],
)
def test_a_value_cannot_be_changed_and_is_no_work_for_the_garbage_collector(kind: type[Record]) -> None:
    assert (kind.__struct_config__.frozen, kind.__struct_config__.gc) == (True, False)


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        (accounts.Credits, -(2**62), 2**62),
        (clock.Instant, 0, 253_402_300_799.0),
        (batches.Batch.__annotations__["price"], 0, 1_000_000),
        (batches.Batch.__annotations__["head"], 0, 1),
    ],
)
def test_a_stored_number_has_bounds(kind: Any, least: float, most: float) -> None:
    [bounds] = kind.__metadata__

    assert (bounds.ge, bounds.le) == (least, most)


def test_a_clock_runs_forwards() -> None:
    [bounds] = clock.Scale.__metadata__  # type: ignore[attr-defined]  # of Annotated

    assert (bounds.gt, bounds.ge) == (0, None)


@pytest.mark.parametrize("module", MODULES)
def test_what_only_some_requests_need_is_not_imported_at_the_start(module: Any) -> None:
    assert imports_at_start(module) == []


@pytest.mark.parametrize("module", MODULES)
def test_every_argument_can_be_given_by_name(module: Any) -> None:
    assert arguments_by_place_only(module) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_flag_is_off_and_a_number_is_not_assumed_unless_the_table_says_so(module: Any) -> None:
    assert defaults_of_functions(module) == DEFAULTS.get(module.__name__.removeprefix("mockserver."), {})


def test_a_sandbox_begins_unused_and_unpinned() -> None:
    box = make_engine().sandboxes.peek("new")

    assert (box.used, box.was_evicted, box.is_held, box.is_set_up) == (0, False, False, False)
    assert (manager.SandboxManager.is_shared, shared_manager.SharedSandboxManager.is_shared) == (False, True)
    assert shared_journal.StoredJournal.used == 0


def test_faults_cannot_be_changed_and_providers_are_told_apart() -> None:
    assert {word: dataclass_options(kind) for word, kind in faults.FAULTS.items()} == {
        word: {"frozen": True} for word in faults.FAULTS
    }
    assert dataclass_options(provider.Provider) == {"repr": False, "eq": False}
