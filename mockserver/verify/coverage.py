"""Coverage: which documented responses occurred, and which undocumented ones."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.openapi.document import Operation
from mockserver.sandbox.journal import ON_DEMAND, Exchange

Hits = Mapping[tuple[str, int], int]
"""Counts by operation key and status."""
NONE: Hits = {}


class OperationCoverage(NamedTuple):
    """The counts of one operation's responses."""

    operation: Operation
    documented: Mapping[str, int]
    """By name in the document: `202`, `4XX`, `default`."""
    undocumented: Mapping[int, int]
    """By status; without responses of stubs and faults, which were intended."""


def count_hits(exchanges: Iterable[Exchange]) -> Hits:
    """The counts of all responses."""
    met: dict[tuple[str, int], int] = {}
    for each in exchanges:
        key = (each.operation, each.response.status)
        met[key] = met.get(key, 0) + 1
    return met


def count_stubbed_hits(exchanges: Iterable[Exchange]) -> Hits:
    """The counts of responses from stubs and faults."""
    return count_hits(each for each in exchanges if each.response.source in ON_DEMAND)


def operation_coverages(operations: Sequence[Operation], met: Hits, demanded: Hits = NONE) -> list[OperationCoverage]:
    """All operations in the document's order. A key that two documents share counts for both.

    `demanded` are the counts of responses from stubs and faults.
    """
    by_key: dict[str, dict[int, int]] = {}
    for (key, status), count in tuple(met.items()):
        by_key.setdefault(key, {})[status] = count
    return [_operation_coverage(operation, by_key.get(operation.key, {}), demanded) for operation in operations]


def _operation_coverage(operation: Operation, met: Mapping[int, int], demanded: Hits) -> OperationCoverage:
    documented = dict.fromkeys(operation.responses, 0)
    undocumented = {}
    for status, count in sorted(met.items()):
        response = operation.response(status)
        if response is not None:
            documented[response.status] += count
        elif (more := count - demanded.get((operation.key, status), 0)) > 0:
            undocumented[status] = more
    return OperationCoverage(operation, documented, undocumented)


def coverage_json(operations: Sequence[Operation], met: Hits, demanded: Hits = NONE) -> dict[str, Any]:
    """The coverage as JSON; see operation_coverages."""
    found = operation_coverages(operations, met, demanded)
    responses = [count for each in found for count in each.documented.values()]
    reached = sum(1 for count in responses if count)
    lost = {str(status): count for (key, status), count in sorted(met.items()) if not key}
    return {
        "checked": reached > 0,
        "percent": round(100 * reached / len(responses), 1) if responses else 0.0,
        "operations": {"documented": len(found), "met": sum(1 for each in found if any(each.documented.values()))},
        "responses": {"documented": len(responses), "met": reached},
        "undocumented": sum(len(each.undocumented) for each in found),
        "without_operation": lost,
        "coverage": [_operation_json(each) for each in found],
    }


def _operation_json(each: OperationCoverage) -> dict[str, Any]:
    operation = each.operation
    names = ("key", "method", "path", "tag")
    return {name: getattr(operation, name) for name in names} | {
        "responses": dict(each.documented),
        "undocumented": {str(status): count for status, count in each.undocumented.items()},
    }
