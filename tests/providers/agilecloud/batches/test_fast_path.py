"""The short way for plain lines says what the long way says, and takes no line that the document refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from batch_client import CHAT, BatchClient, jsonl, request_of
from builders import make_engine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mockserver.api.call import ApiContext
from mockserver.engine.engine import Engine
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches import input as inspection
from mockserver.providers.agilecloud.batches.fast_path import MAX_NEEDLES, FastPath
from mockserver.providers.agilecloud.batches.plain_lines import PlainGroup, PlainReader
from mockserver.providers.agilecloud.batches.results import NO_FILE, LineResults
from mockserver.providers.agilecloud.batches.run import RunContext, run_lines
from mockserver.providers.agilecloud.context import context_models, context_prices, live_schema
from mockserver.sandbox import blobs
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.conditions import ItemPlan

STEADY = settings(derandomize=True, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", params=[False, True], ids=["", "strict"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(strict=request.param)


@pytest.fixture(scope="module")
def world(engine: Engine) -> ApiContext:
    return engine.services[0].world


def live_chat(world: ApiContext) -> Schema:
    schema = live_schema(world, CHAT)
    assert schema is not None
    return schema


def desk_of(engine: Engine, *, keeps_order: bool = False) -> RunContext:
    world = next(each.world for each in engine.services if each.operation.key == "createBatch")
    return RunContext(
        batch_id="batch_1",
        endpoint=CHAT,
        created=1_700_000_000,
        models=context_models(world),
        prices=context_prices(world),
        world=world,
        find_prompt=lambda _: None,
        line_schema=world.spec.component("BatchRequestLine"),
        body_schema=live_chat(world),
        applies_markers=True,
        keeps_order=keeps_order,
    )


def fast_path_of(engine: Engine) -> FastPath:
    desk = desk_of(engine)
    return FastPath(desk.world, desk.models, desk.prices, created=desk.created, seed=1, applies_markers=True)


def plain_group(engine: Engine, request: Any) -> PlainGroup | None:
    """The request as a plain line; None if it is not plain."""
    [read] = fast_path_of(engine).reader.read([json.dumps(request).encode()], [1])
    return read if isinstance(read, PlainGroup) else None


def plain_answer(engine: Engine, request: Any) -> str | None:
    """The answer of the fast path; None if it leaves the request to the general path."""
    group = plain_group(engine, request)
    assert group is not None
    [answers] = fast_path_of(engine).answers(group, 0)
    return None if isinstance(answers, int) else answers.lines[0]


WORDS = st.text(max_size=20) | st.sampled_from(
    [
        "ping",
        "Name a river, as JSON",
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
MODELS = st.sampled_from(
    [
        "gpt-4o-mini", "GPT-4o-mini", "QWEN-2.5-3b", "bge-large-en-v1.5", "unknown", "gpt-4o-2024-08-06", "o3",
        "gpt-5.1",
        "o4-mini-2025-04-16", "ft:gpt-4o-mini-2024-07-18:acme::abc",
    ]
)  # fmt: skip
BODIES = st.fixed_dictionaries(
    {"model": MODELS, "messages": MESSAGES},
    optional={
        "max_tokens": st.sampled_from([1, 50, 1000, 1.0, 0, None]),
        "max_completion_tokens": st.sampled_from([1, 1000]),
        "temperature": st.sampled_from([0, 1.5, 3, "1", None]),
        "tempratur": st.just(1),
        "n": st.just(2),
        "logprobs": st.booleans(),
        "top_logprobs": st.just(2),
        "tools": st.sampled_from([[], [{"type": "function", "function": {"name": "look"}}]]),
        "tool_choice": st.sampled_from(["required", "auto"]),
        "response_format": st.sampled_from([{"type": "json_object"}, {"type": "text"}]),
        "reasoning_effort": st.sampled_from(["high", "none", "most"]),
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


def contents(results: LineResults) -> tuple[Any, ...]:
    events = {model: each.read() for model, each in results.events.items()}
    rest = results._replace(output=NO_FILE, error=NO_FILE, events={})
    return (results.output.read(), results.error.read(), events, rest)


@STEADY
@given(requests=st.lists(REQUESTS, max_size=6, unique_by=lambda each: str(each["custom_id"])))
def test_the_fast_path_gives_the_same_output_as_the_slow_path(engine: Engine, requests: list[Any]) -> None:
    blob = Blob.in_memory(b"\n".join(json.dumps(each).encode() for each in requests))

    short = run_lines(blob, desk_of(engine))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PlainReader, "read", lambda _, lines, numbers: zip(numbers, lines, strict=True))
        long = run_lines(blob, desk_of(engine))

    assert contents(short) == contents(long)


LINES = st.builds(lambda each, plainly: json.dumps(each, ensure_ascii=plainly).encode(), REQUESTS, st.booleans())
ORDINARY = st.builds(
    lambda n: json.dumps(request_of(f"r{n}", f"Question {n} about rivers")).encode(), st.integers(0, 9)
)
WITH_PARAMETERS = st.builds(
    lambda n, fields: json.dumps(request_of(f"p{n}", f"Question {n} about rivers", **fields)).encode(),
    st.integers(0, 9),
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.sampled_from([0, 1.5, 3, True, "1", None, 1e400, 10**30]),
            "seed": st.sampled_from([1, -(2**70), 0.5]),
            "max_tokens": st.sampled_from([2, 1000, 1000.0, None]),
            "max_completion_tokens": st.sampled_from([2, 1000]),
        },
    ),
)
MARKED = (
    b'{"custom_id":"m","method":"POST","url":"/v1/chat/completions","body":{%b"model":"gpt-4o-mini","messages":%b}}'
)
NEARLY_ORDINARY = st.sampled_from(
    [
        *(json.dumps(each).encode() for each in (
            request_of("ping", "ping"), request_of("unknown", model="gpt-0"),
            request_of("canned", "Translate to Spanish..."), request_of("Unicode", "Ünlü"),
            request_of("vectors", model="bge-large-en-v1.5"), request_of("short", max_tokens=3),
        )),
        MARKED % (b'"messages":"[mock:fail]",', b'[{"role":"user","content":"Which river?"}]'),
        MARKED % (b"", rb'[{"role":"user","content":"Which \u005bmock:fail] river?"}]'),
        MARKED % (b"", b'[{"content":"Which river?","role":"user"}]'),
    ]
)  # fmt: skip
PLAIN = b'{"custom_id":"%b","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o-mini",%b}}'
SAID = b'"messages":[{"role":"user","content":"Which river?"}]'
HOSTILE = st.sampled_from(
    [
        b"1],[2", b"],[", b"},{", b"}\n{", b'"', b"[[1", b"2]]",
        PLAIN % (b"h1", SAID) + PLAIN % (b"h2", SAID),  # two on a line
        PLAIN % (b"h1", SAID) + b"," + PLAIN % (b"h2", SAID),
        PLAIN.replace(b',"body"', b',\n"body"') % (b"h1", SAID),  # one on two lines
        PLAIN % (b"h3", b'"messages":[[1\n],[\n2]],' + SAID),
        PLAIN % (b"h4", b'"messages":[{"role":"user","content":"[mock:fail]","content":"Which river?"}]'),
        PLAIN % (b"h5", SAID + b',"messages":[{"role":"system","content":"a"}]'),
        PLAIN % (b"h6", b'"temperature":01,' + SAID),
        PLAIN % (b"h6", b'"temperature":"\\ud800",' + SAID),
        PLAIN % (b"h6", b'"temperature":%b,' % (b"[" * 300 + b"]" * 300) + SAID),
        PLAIN % (rb"h\u0037", SAID),
        PLAIN % (rb"\ud83d\ude00", SAID),
        PLAIN % (rb"\ud83d", SAID),
        PLAIN % ("\u2028é".encode(), SAID),
        PLAIN % (b"h8", SAID.replace(b"river", rb"\ud800")),
        PLAIN % (b"h8", SAID.replace(b"river", b"\x7f\t")),
        PLAIN % (b"h8", SAID.replace(b"river", b"\xc3")),
        PLAIN % (b"h9", SAID.replace(b"Which river", "weather in paris ſ K İ".encode())),
        PLAIN % (b"h9", SAID.replace(b"Which river", "weather İn paris".encode())),
        PLAIN % (b"h10", SAID.replace(b"role", rb"r\u006fle")),
        PLAIN % (b"h11", b'"messages":[]'),
        b"\x0b" + PLAIN % (b"h12", SAID),
        PLAIN % (b"h13", SAID) + b" \r",
        PLAIN % (b"h14", SAID) + b"\x00",
        PLAIN % (b"h15" * 500, SAID),
    ]
)  # fmt: skip
BROKEN = st.sampled_from(
    [b"", b" ", b"{", b"7", b"null", b"\xef\xbb\xbf{}", b"\xff", b'{"custom_id": "a\\ud800"}', b"\x00"]
)
FILES = st.builds(
    lambda lines, ends: ends[0].join(lines) + ends[1],
    st.lists(ORDINARY | NEARLY_ORDINARY, max_size=9) | st.lists(ORDINARY | LINES | BROKEN, max_size=9),
    st.sampled_from([(b"\n", b""), (b"\n", b"\n"), (b"\r\n", b"\r\n"), (b" \n\t", b" ")]),
)


@STEADY
@given(
    file=FILES,
    chunk=st.sampled_from([1, 50, 400, 1000]),
    keeps_order=st.booleans(),
    bounds=st.sampled_from([(3, 2), (50_000, 100)]),
)
def test_every_way_of_reading_a_file_gives_the_same_result(
    engine: Engine, file: bytes, chunk: int, keeps_order: bool, bounds: tuple[int, int]
) -> None:
    blob = Blob.in_memory(file)
    desk = desk_of(engine, keeps_order=keeps_order)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inspection, "MAX_LINES", bounds[0])
        patched.setattr(inspection, "MAX_ERRORS", bounds[1])
        at_once = contents(run_lines(blob, desk))
        each_in_full = contents(run_lines(blob, desk, ended=lambda _: True))
        by_a_plan = contents(run_lines(blob, desk._replace(plan=ItemPlan())))
        patched.setattr(blobs, "CHUNK_BYTES", chunk)
        in_groups = contents(run_lines(blob, desk))

    assert each_in_full == at_once
    assert by_a_plan == at_once
    assert in_groups == at_once


@STEADY
@given(
    lines=st.lists(ORDINARY | WITH_PARAMETERS | NEARLY_ORDINARY | HOSTILE, max_size=9, unique=True),
    end=st.sampled_from([b"", b"\n", b"\r\n"]),
)
def test_hostile_lines_get_the_same_result_in_a_group_and_by_themselves(
    engine: Engine, lines: list[bytes], end: bytes
) -> None:
    blob = Blob.in_memory((end or b"\n").join(lines) + end)

    in_groups = contents(run_lines(blob, desk_of(engine)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PlainReader, "read", lambda _, lines, numbers: zip(numbers, lines, strict=True))
        one_by_one = contents(run_lines(blob, desk_of(engine)))

    assert in_groups == one_by_one


@STEADY
@given(request=REQUESTS)
def test_a_plain_line_is_one_that_the_document_accepts(engine: Engine, world: ApiContext, request: Any) -> None:
    if plain_group(engine, request) is not None:
        assert world.spec.component("BatchRequestLine").violations(request) == []
        assert live_chat(world).violations(request["body"]) == []


FREE = ("temperature", "top_p", "seed", "max_tokens", "max_completion_tokens", "tempratur")


@STEADY
@given(fields=st.dictionaries(st.sampled_from(FREE), st.sampled_from([None, 1, 50, "1"]), max_size=2))
def test_an_ordinary_line_with_more_fields_is_plain_only_if_a_live_request_may_have_them(
    engine: Engine, world: ApiContext, fields: dict[str, Any]
) -> None:
    request = request_of("r1", "What do people buy after reading?", **fields)

    # Both limits side by side, one of them null, are left to the long way.
    is_known = "tempratur" not in fields and not {"max_tokens", "max_completion_tokens"} <= fields.keys()
    assert (plain_group(engine, request) is not None) == (is_known and live_chat(world).accepts(request["body"]))


def test_an_ordinary_line_takes_the_fast_path(engine: Engine) -> None:
    request = request_of("r1", "What do people buy after reading?", temperature=0.5, max_tokens=500)

    answer = plain_answer(engine, request)
    assert answer is not None
    assert json.loads(answer)["custom_id"] == "r1"


def test_a_line_that_a_fixture_may_answer_takes_the_slow_path(engine: Engine) -> None:
    assert plain_answer(engine, request_of("r1", "The weather in PARIS?")) is None


@pytest.mark.parametrize(
    ("needles", "is_plain"),
    [
        ([], True),
        (["Ünlü"], True),
        (["tide"], True),
        (["x" * (MAX_NEEDLES - 1000)], True),
        (["x" * MAX_NEEDLES, "tide"], False),
        (["x" * 60] * 20_000, False),
        (["RIVER"], False),
        (["(what|"], True),
    ],
)
def test_lines_are_validated_with_any_fixtures(tmp_path: Path, needles: list[str], *, is_plain: bool) -> None:
    completions = [{"match": {"contains": needle}, "text": "canned"} for needle in needles]
    (tmp_path / "many.json").write_text(json.dumps({"completions": completions}))
    engine = make_engine(fixtures=(str(tmp_path),))

    assert (plain_answer(engine, request_of("r1", "Which river?")) is not None) == is_plain


@pytest.mark.parametrize(
    "request_",
    [
        request_of("r1", "ping"),
        request_of("r1", "Translate to Spanish..."),
        request_of("r1", "Ünlü, weather in Paris"),
        request_of("r1", "What is new?", max_tokens=5),
    ],
    ids=["a pattern fits", "a prompt fits", "a text fits", "too long an answer"],
)
def test_an_invalid_line_is_rejected_on_the_fast_path_too(engine: Engine, request_: Any) -> None:
    assert plain_answer(engine, request_) is None


def test_a_custom_id_is_escaped_as_json_wants_it() -> None:
    desk = BatchClient(progression="immediate")

    batch = desk.create(jsonl(request_of('say "hi"\u2028\\', "What is new?")), CHAT)

    assert list(desk.lines(desk.read(batch["id"])["output_file_id"])) == ['say "hi"\u2028\\']
