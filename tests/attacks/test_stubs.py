"""Requests that are compared with many stubs: the event loop does it, so all comparisons of one request are bounded."""

from collections.abc import Iterable
from typing import Any

import pytest
from builders import make_engine, make_request
from effort import effort_within

from mockserver.sandbox.stubs.rules import MAX_RULES, MAX_STEPS
from mockserver.sandbox.stubs.schema import read_rule

MOST = 1_000_000
"""Calls: a few for each rule, and for each value that is compared."""
OUTAGE = {"fault": {"type": "status", "status": 503}}
DEEP = 240
"""Levels of nesting of a body that is still read."""


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def install(definitions: Iterable[dict[str, Any]]) -> Any:
    sandbox = make_engine().sandboxes.open("box")
    sandbox.rules.install(read_rule({**OUTAGE, **each}, origin="next", now=0) for each in definitions)
    return sandbox


def test_one_argument_given_many_times_costs_the_same_for_each_stub() -> None:
    sandbox = install({"query": {"limit": "none"}} for _ in range(MAX_RULES))
    request = make_request("GET", "/v1/files", query="&".join(f"limit={n}" for n in range(6000)))

    with effort_within(MOST):
        claim = sandbox.rules.claim("listFiles", request, 0)

    assert claim.stub is None


def test_a_sandbox_refuses_stubs_whose_pointers_are_long_together() -> None:
    pointers: dict[str, Any] = {"/a" * (DEEP - n): {} for n in range(50)}

    with pytest.raises(ValueError, match=f"at most {MAX_STEPS}"):
        install({"body_at": pointers} for _ in range(100))


def test_a_sandbox_refuses_stubs_whose_bodies_have_many_values_together() -> None:
    with pytest.raises(ValueError, match=f"at most {MAX_STEPS}"):
        install({"body": {"prompts": [[]] * 10_000}} for _ in range(10))


def test_a_request_is_compared_with_all_stubs_that_a_sandbox_takes_in_bounded_work() -> None:
    pointers: dict[str, Any] = {"/a" * (DEEP - n): {} for n in range(49)} | {"/b": 1}
    steps = read_rule({**OUTAGE, "body_at": pointers}, origin="next", now=0).steps
    sandbox = install({"body_at": pointers} for _ in range(MAX_STEPS // steps))
    request = make_request("POST", "/ai/batches", json=nested(DEEP))

    with effort_within(MOST):
        claim = sandbox.rules.claim("queueBatch", request, 0)

    assert claim.stub is None


@pytest.mark.parametrize(
    ("given", "fits"), [("a=1&a=2", True), ("a=2", True), ("a=1", False), ("b=2", False), ("", False)]
)
def test_of_a_repeated_argument_one_value_fits(given: str, fits: bool) -> None:
    sandbox = install([{"query": {"a": "2"}}])

    claim = sandbox.rules.claim("listFiles", make_request("GET", "/v1/files", query=given), 0)

    assert (claim.stub is not None) is fits
