"""The verdict on anything at all: a stub may have answered whatever a test made up, to whatever was sent."""

from typing import Any

import orjson
from builders import make_engine
from faulty_clients import findings_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.http import Request, Response
from mockserver.verify.near_miss import NearMissFinder
from mockserver.verify.verdict import SEVERITY

ENGINE = make_engine()
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["failed", "completed", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "status",
                    "failed",
                    "data",
                    "error_file_id",
                    "request_counts",
                    "prompts",
                    "messages",
                    "model",
                    "role",
                    "content",
                    "country",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
EXCHANGES = st.tuples(
    st.sampled_from([(each.operation.key, each.operation.method, each.operation.path) for each in ENGINE.services]),
    JSON_VALUES | st.binary(max_size=5),
    JSON_VALUES | st.binary(max_size=5),
)


@settings(derandomize=True, max_examples=300)
@given(st.lists(EXCHANGES, max_size=6))
def test_a_verdict_on_any_stubbed_responses_is_possible(played: list[Any]) -> None:
    sandbox = ENGINE.sandboxes.open("test")
    sandbox.journal.clear()
    for (key, method, path), asked, answered in played:
        request = Request(method, path, "id=x&prompt=y", {}, written(asked))
        sandbox.journal.record(0.0, key, request, Response(200, "application/json", written(answered)), "", ())

    for each in ENGINE.services:
        if each.provider and each.provider.prompts:
            for exchange in sandbox.journal.find(lambda _: True):
                NearMissFinder([]).unmatched_prompts(
                    each.provider.prompts(exchange.operation, exchange.request), each.world.fixtures
                )
    found = findings_of(ENGINE, "test")
    assert {each.code for each in found} <= SEVERITY.keys()
    assert all(each.exchanges for each in found)


def written(value: Any) -> bytes:
    return value if isinstance(value, bytes) else orjson.dumps(value)
