"""The short way for plain lines says what the long way says, and takes no line that the document refuses."""

import json
from typing import Any

import pytest
from batch_desk import CHAT, BatchDesk, jsonl, request_of
from builders import make_engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.contract.schema import Schema
from mockserver.contract.spec import Spec
from mockserver.engine import Engine
from mockserver.providers.agilecloud_lines import NO_FILE, Desk, Worked, work
from mockserver.providers.agilecloud_plain import Plain
from mockserver.providers.agilecloud_world import live_schema, world_models, world_prices
from mockserver.stores.blobs import Blob

STEADY = settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", params=[False, True], ids=["", "strict"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(strict=request.param)


@pytest.fixture(scope="module")
def spec(engine: Engine) -> Spec:
    return engine.services[0].world.spec


def live_chat(spec: Spec) -> Schema:
    schema = live_schema(spec, CHAT)
    assert schema is not None
    return schema


def desk_of(engine: Engine) -> Desk:
    world = next(each.world for each in engine.services if each.operation.key == "createBatch")
    return Desk(
        batch_id="batch_1",
        endpoint=CHAT,
        created=1_700_000_000,
        models=world_models(world),
        prices=world_prices(world),
        world=world,
        find_prompt=lambda _: None,
        line_schema=world.spec.component("BatchRequestLine"),
        body_schema=live_chat(world.spec),
        heeds_markers=True,
        keeps_order=False,
    )


def plain_of(engine: Engine) -> Plain:
    desk = desk_of(engine)
    return Plain(desk.world, desk.models, desk.prices, desk.created)


WORDS = st.text(max_size=20) | st.sampled_from(
    [
        "ping",
        "WEATHER in Paris, please",
        "weather İn paris",
        "Summarize this document...",
        "[mock:fail]",
        'say "no" \\ or\n\u2028 [not a marker]',
        "What do people buy after they have read about it?",
        "x" * 5000,
    ]
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "assistant", "tool", "wizard"]), "content": WORDS},
        optional={"name": st.just("Ann")},
    ),
    max_size=3,
)
MODELS = st.sampled_from(["gpt-4o-mini", "GPT-4o-mini", "llama-3.1-8b", "bge-large-en-v1.5", "unknown"])
BODIES = st.fixed_dictionaries(
    {"model": MODELS, "messages": MESSAGES},
    optional={
        "max_tokens": st.sampled_from([1, 50, 1000, 1.0, 0, None]),
        "max_completion_tokens": st.sampled_from([1, 1000]),
        "temperature": st.sampled_from([0, 1.5, 3, "1", None]),
        "tempratur": st.just(1),
        "n": st.just(2),
        "stream": st.booleans(),
        "stop": st.just("a"),
    },
)
REQUESTS = st.builds(
    lambda custom_id, body, more: {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | more,
    WORDS,
    BODIES,
    st.just({}) | st.sampled_from([{"url": "/v1/embeddings"}, {"method": "GET"}, {"more": 1}, {"custom_id": 7}]),
)


def contents(worked: Worked) -> tuple[Any, ...]:
    return (worked.output.read(), worked.error.read(), worked._replace(output=NO_FILE, error=NO_FILE))


@STEADY
@given(requests=st.lists(REQUESTS, max_size=6, unique_by=lambda each: str(each["custom_id"])))
def test_the_short_way_says_what_the_long_way_says(engine: Engine, requests: list[Any]) -> None:
    blob = Blob.in_memory(b"\n".join(json.dumps(each).encode() for each in requests))

    short = work(blob, desk_of(engine))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Plain, "accepts", staticmethod(lambda _: False))
        long = work(blob, desk_of(engine))

    assert contents(short) == contents(long)


@STEADY
@given(request=REQUESTS)
def test_a_plain_line_is_one_that_the_document_accepts(engine: Engine, spec: Spec, request: Any) -> None:
    if plain_of(engine).accepts(request):
        assert spec.component("BatchRequestLine").violations(request) == []
        assert live_chat(spec).violations(request["body"]) == []


FREE = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "tempratur")


@STEADY
@given(fields=st.dictionaries(st.sampled_from(FREE), st.sampled_from([None, 1, 50, "1"]), max_size=2))
def test_an_ordinary_line_with_more_fields_is_plain_only_if_a_live_request_may_have_them(
    engine: Engine, spec: Spec, fields: dict[str, Any]
) -> None:
    request = request_of("r1", "What do people buy after reading?", **fields)

    is_known = "tempratur" not in fields
    assert plain_of(engine).accepts(request) == (is_known and live_chat(spec).accepts(request["body"]))


def test_an_ordinary_line_goes_the_short_way(engine: Engine) -> None:
    plain = plain_of(engine)
    request = request_of("r1", "What do people buy after reading?", temperature=0.5, max_tokens=500)

    assert plain.accepts(request)
    answer = plain.answered(request, "0" * 32)
    assert answer is not None
    assert json.loads(answer)["custom_id"] == "r1"


@pytest.mark.parametrize("text", ["[mock:fail]", "The weather in PARIS?"])
def test_a_line_that_a_marker_or_a_fixture_may_answer_goes_the_long_way(engine: Engine, text: str) -> None:
    assert not plain_of(engine).accepts(request_of("r1", text))


@pytest.mark.parametrize(
    "request_",
    [request_of("r1", "ping"), request_of("r1", "Ünlü"), request_of("r1", "What is new?", max_tokens=5)],
    ids=["a fixture fits", "not ASCII", "too long an answer"],
)
def test_a_line_is_not_answered_that_is_not_so_plain_after_all(engine: Engine, request_: Any) -> None:
    plain, request = plain_of(engine), request_

    assert plain.accepts(request)
    assert plain.answered(request, "0" * 32) is None


def test_a_custom_id_is_escaped_as_json_wants_it() -> None:
    desk = BatchDesk(progression="immediate")

    batch = desk.create(jsonl(request_of('say "hi"\u2028\\', "What is new?")), CHAT)

    assert list(desk.lines(desk.read(batch["id"])["output_file_id"])) == ['say "hi"\u2028\\']
