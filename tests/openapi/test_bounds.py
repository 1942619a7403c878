"""How much of a document, a request and an answer is read: each bound is a number that users may rely on."""

from types import ModuleType

import pytest

from mockserver.openapi import (
    document,
    mistakes,
    prefer,
    references,
    regex,
    requests,
    responses,
    router,
    security,
    yaml_values,
)
from mockserver.openapi.generate import bodies, mend, values
from mockserver.openapi.generate import regex as generated_regex
from mockserver.openapi.loading import bundle, fetch, overlay, read, repair, sides
from mockserver.openapi.schema import alternatives, compilation, validation
from mockserver.openapi.wire import bodies as wire_bodies
from mockserver.openapi.wire import negotiation, runtime_expressions, typed, xml

KIB, MIB = 1024, 1_048_576
OF_DOCUMENTS = [
    (alternatives, {"MAX_WAYS": 100_000, "MAX_STEPS": 100_000_000, "FEW_WAYS": 1_000}),
    (bundle, {"MAX_FILES": 5_000, "MAX_DEPTH": 60, "MAX_COPIED": 5_000_000}),
    (compilation, {"MAX_COMPILED": 300, "MAX_REACHABLE": 150_000}),
    (document, {"MAX_MISTAKES": 100}),
    (fetch, {"MAX_BYTES": 64 * MIB, "MAX_FILES": 200, "SECONDS": 20}),
    (mistakes, {"MAX_SHOWN": 100}),
    (overlay, {"VERSION": "1.0.0"}),
    (read, {"MAX_LINED": 200}),
    (references, {"MAX_REFERENCES": 32}),
    (regex, {"MAX_LENGTH": 5_000, "MAX_GROUPS": 100, "DFA_BYTES": 256 * KIB}),
    (regex, {"SIZES": (16 * KIB, 64 * KIB, 256 * KIB, MIB)}),
    (repair, {"MAX_MISTAKES": 1_000, "MAX_ROUNDS": 12}),
    (router, {"MAX_NAME": 200, "MAX_BASE": 3}),
    (sides, {"MAX_DEPTH": 10}),
    (yaml_values, {"MAX_NODES": 2_000_000, "MAX_DEPTH": 250, "MAX_DIGITS": 300}),
]
OF_REQUESTS = [
    (negotiation, {"MAX_RANGES": 100, "MAX_CACHED": 200}),
    (prefer, {"MAX_HEADER": 4096, "MAX_VALUE": 200}),
    (requests, {"MAX_ARGUMENTS": 1000, "MAX_DEPTH": 230, "MAX_SHOWN_CODING": 100, "NOT_COPIED": 16 * KIB}),
    (requests, {"UNSUPPORTED": 415}),
    (runtime_expressions, {"MAX_TARGET": 4096}),
    (security, {"MAX_ARGUMENTS": 1000}),
    (typed, {"MAX_WHOLE": 19, "MAX_DEPTH": 50}),
    (validation, {"MAX_VIOLATIONS": 100, "MAX_EXPLAINED_ITEMS": 10_000, "MAX_SHOWN_VALUE": 100, "MAX_NAMES": 3}),
    (validation, {"MAX_COMBINED": 30_000, "MAX_ERRORS": 5_000}),
    (wire_bodies, {"MAX_FIELDS": 10_000}),
    (xml, {"MAX_DEPTH": 100, "MAX_PARTS": 20_000, "PIECE": 16 * KIB, "MAX_TAG": 256 * KIB}),
]
OF_ANSWERS = [
    (bodies, {"TRIES": 3, "MAX_KEPT": 1024}),
    (generated_regex, {"TRIES": 60, "DRAW": 3, "TRY": 20, "MOST_DRAWS": 400_000}),
    (mend, {"ROUNDS": 9, "REMOVING": 5, "MAX_MENDED": 40}),
    (responses, {"MAX_VIOLATIONS_HEADER": 4096, "MAX_NAME": 100, "MAX_MESSAGE": 400}),
    (values, {"SHALLOW": 4, "MANY_PARTS": 400, "MAX_LOOKS": 3_000, "BOTTOM": 24, "TRIES": 60}),
    (values, {"LEAST": -9_223_372_036_854_775_808, "SPAN": 1000, "LONGEST": 1_000_000, "MOST": 10_000}),
]


@pytest.mark.parametrize(("module", "bounds"), [*OF_DOCUMENTS, *OF_REQUESTS, *OF_ANSWERS])
def test_a_bound_is_this_number(module: ModuleType, bounds: dict[str, object]) -> None:
    assert {name: getattr(module, name) for name in bounds} == bounds
