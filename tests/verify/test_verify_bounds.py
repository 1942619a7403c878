"""Bounds of verdicts, near misses and contracts, and what the engine and fixtures keep: each is a number."""

from types import ModuleType

import pytest

from mockserver.engine import engine, overrides, recorded, upkeep
from mockserver.engine.stateful import handlers, paging
from mockserver.fixtures import ids, recordings, templates
from mockserver.verify import near_miss, verdict
from mockserver.verify.pact import contracts, interactions, matching, states

BOUNDS = [
    (contracts, {"MAX_INTERACTIONS": 2000, "MAX_REPEATED": 16}),
    (engine, {"FOREIGN_BYTES": 8192, "LISTED_AT_ONCE": 100}),
    (handlers, {"MAX_ITEMS": 10_000, "MAX_CHARACTERS": 16_000_000, "TRIES": 20}),
    (ids, {"MAX_LENGTH": 200}),
    (interactions, {"MAX_BODY": 262_144}),
    (matching, {"MAX_TEXT": 200, "MAX_DEPTH": 100}),
    (near_miss, {"MAX_SHOWN": 2000, "MAX_CANDIDATES": 300, "MAX_LINES": 60, "MAX_PROMPTS": 5}),
    (near_miss, {"MAX_COMPARED": 50_000, "MAX_JUDGED": 1_000_000}),
    (overrides, {"MAX_CHECKED": 10}),
    (paging, {"DEFAULT_SIZE": 100}),
    (recorded, {"STATUS": 404}),
    (recordings, {"MAX_SHOWN": 300, "MAX_DIFFERENCES": 20, "MAX_COMPARED": 200}),
    (states, {"MAX_IDS": 100_000}),
    (templates, {"FUEL": 100_000, "MAX_OUTPUT": 1_000_000}),
    (upkeep, {"COVERAGE_SECONDS": 1.0, "EXPIRY_SHARE": 8, "SHORTEST": 0.5, "LONGEST": 60.0}),
    (verdict, {"MAX_PROOFS": 20, "POLL_TOLERANCE": 0.9, "SHORT_LIFE": 10, "LOOP": 2}),
]


@pytest.mark.parametrize(("module", "bounds"), BOUNDS)
def test_a_bound_is_this_number(module: ModuleType, bounds: dict[str, object]) -> None:
    assert {name: getattr(module, name) for name in bounds} == bounds
