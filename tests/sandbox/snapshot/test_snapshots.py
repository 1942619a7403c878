"""A sandbox that was carried elsewhere: it answers the same bytes, and goes on as it would have gone on."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import orjson
import pytest
from builders import ask, bytes_of, make_engine, value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.engine.engine import Engine
from mockserver.http import Response, Upload
from mockserver.providers.agilecloud.batches.job import jobs_of
from mockserver.providers.agilecloud.files import files_of
from mockserver.providers.agilecloud.usage import UsageEntry
from mockserver.redaction import account_key
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.callbacks import Attempt, State
from mockserver.sandbox.record import SandboxRecord
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.scenario import read_actions
from mockserver.sandbox.snapshot.export import Snapshots, SnapshotState, restore
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.sandbox.stubs.schema import read_rule
from mockserver.web.admin.snapshots import read_import, snapshots_of

WORLD = {"x-mock-sandbox": "world"}
TOKENS = ("ann", "mock-credits-12", "mock/no slash")
LINE = {"method": "POST", "url": "/v1/chat/completions"}
Step = Callable[[Engine], Response]


def in_world(engine: Engine, method: str, path: str, token: str = "ann", **given: Any) -> Response:
    return ask(engine, method, path, token=token, headers={**WORLD, **given.pop("headers", {})}, **given)


def carried(engine: Engine, name: str = "world", **changes: Any) -> Engine:
    """A fresh server that has imported what the other exported."""
    document = orjson.loads(exported(engine.sandboxes.open("world"), snapshots_of(engine)))
    other = make_engine(**changes)
    sandbox = other.sandboxes.open(name)
    restore(sandbox, read_import(other, document))
    return other


def exported(sandbox: Sandbox, snapshots: Snapshots) -> bytes:
    return b"".join(snapshots.encode(snapshots.snapshot_of(sandbox, journal=True)))


# What a client may do.


def queue(token: str, prompts: list[str]) -> Step:
    return lambda engine: in_world(engine, "POST", "/ai/batches", token, json={"prompts": prompts})


def ask_later(token: str, prompt: str) -> Step:
    query = {"prompt": prompt, "mode": "async", "model": "chatgpt"}
    return lambda engine: in_world(engine, "GET", "/ai", token, query=query)


def chat(token: str) -> Step:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
    return lambda engine: in_world(engine, "POST", "/v1/chat/completions", token, json=body)


def upload(token: str, marker: str) -> Step:
    lines = [
        {
            **LINE,
            "custom_id": f"r{n}",
            "body": {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]},
        }
        for n, text in enumerate(("one", f"two {marker}"))
    ]
    content = b"\n".join(map(orjson.dumps, lines))

    def step(engine: Engine) -> Response:
        form = {"purpose": "batch", "file": Upload("in.jsonl", "", Blob.in_memory(content))}
        request = ask_request(token)._replace(form=form)
        return engine.handle(request)

    return step


def ask_request(token: str) -> Any:
    from builders import make_request

    headers = {**WORLD, "content-type": "multipart/form-data; boundary=x"}
    return make_request("POST", "/v1/files", token=token, headers=headers)


def work_on(token: str) -> Step:
    """A batch of the newest file, if there is one."""

    def step(engine: Engine) -> Response:
        files = value_of(in_world(engine, "GET", "/v1/files", token)).get("data")
        body = {
            "input_file_id": files[0]["id"] if files else "file-none",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"$": "dict", "a": "b"},
        }
        return in_world(engine, "POST", "/v1/batches", token, json=body)

    return step


def write_prompt(token: str, slug: str) -> Step:
    body = {"slug": slug, "name": slug, "template": "Say {{ word }}", "model_config": {"temperature": 1.0}}
    return lambda engine: in_world(engine, "POST", "/api/v1/prompts", token, json=body)


def install(token: str, times: int) -> Step:
    """A stub that answers some later requests out of turn."""

    def step(engine: Engine) -> Response:
        sandbox = engine.sandboxes.open("world")
        definition = {"operation": "getUser", "status": 403, "times": times, "probability": 0.5, "after": 1}
        sandbox.rules.install([read_rule(definition, origin="next", now=sandbox.clock.now())])
        return in_world(engine, "GET", "/user", token)

    return step


def set_up(scenario: str) -> Step:
    def step(engine: Engine) -> Response:
        found = engine.scenarios.by_name[scenario]
        read_actions(found.name, found.content).apply(engine.sandboxes.open("world"), magic=True, reset=False)
        return Response(200)

    return step


def ask_for_a_callback(token: str) -> Step:
    body = {"prompts": ["one"], "callback": "http://127.0.0.1:9/done"}
    return lambda engine: in_world(engine, "POST", "/ai/batches", token, json=body)


def advance(seconds: int) -> Step:
    def step(engine: Engine) -> Response:
        engine.sandboxes.open("world").clock.advance(seconds)
        return Response(200)

    return step


def look(token: str) -> Step:
    return lambda engine: in_world(engine, "GET", "/v1/batches", token)


tokens = st.sampled_from(TOKENS)
prompts = st.sampled_from(["guitars", "[mock:fail]", "[mock:slow=30s] trains", "ключ"])
steps = st.one_of(
    st.builds(queue, tokens, st.lists(prompts, min_size=1, max_size=3)),
    st.builds(ask_later, tokens, prompts),
    st.builds(chat, tokens),
    st.builds(upload, tokens, prompts),
    st.builds(work_on, tokens),
    st.builds(write_prompt, tokens, st.sampled_from(["greeting", "farewell"])),
    st.builds(install, tokens, st.integers(1, 3)),
    st.builds(ask_for_a_callback, tokens),
    st.builds(
        set_up, st.sampled_from(["partial-failures", "credits-run-out", "ids-vanish", "token-revoked", "huge-pages"])
    ),
    st.builds(advance, st.integers(0, 100_000)),
    st.builds(look, tokens),
)


def seen(engine: Engine) -> Iterator[tuple[str, int, Any, bytes]]:
    """Everything there is to read, as clients and operators see it."""
    sandbox = engine.sandboxes.open("world")
    for token in TOKENS:
        for path in ("/user", "/v1/files", "/v1/batches", "/api/v1/prompts", "/api/v1/prompts/greeting"):
            yield told(engine, token, path)
        for id_, _ in files_of(sandbox).items():
            yield told(engine, token, f"/v1/files/{id_}")
            yield told(engine, token, f"/v1/files/{id_}/content")
        for id_, _ in jobs_of(sandbox).items():
            yield told(engine, token, f"/v1/batches/{id_}")
        for id_, path in product([id_ for id_, _ in sandbox.batches.items()], ("/ai/batches", "/ai/completions")):
            yield told(engine, token, path, id=id_)
    now, usage = sandbox.clock.now(), list(sandbox.collection("agilecloud.usage", UsageEntry).items())
    yield (
        repr([(each, list(sandbox.accounts.ledger(each, now))) for each in sandbox.accounts.every()]),
        0,
        (),
        b"",
    )
    yield repr((usage, sandbox.progression, now, sandbox.clock.mark(), sandbox.journal.seen)), 0, (), b""


def told(engine: Engine, token: str, path: str, **query: str) -> tuple[str, int, Any, bytes]:
    response = in_world(engine, "GET", path, token, query=query)
    return path, response.status, response.headers, bytes_of(response)


@settings(max_examples=25)
@given(
    done=st.lists(steps, max_size=12),
    after=st.lists(steps, max_size=4),
    progression=st.sampled_from(["immediate", "time:50", "polls:3"]),
    rate_limit=st.sampled_from([0, 6000]),
)
def test_an_imported_sandbox_continues_like_the_original(
    done: list[Step], after: list[Step], progression: str, rate_limit: int
) -> None:
    changes: dict[str, Any] = {"progression": progression, "rate_limit": rate_limit}
    engine = make_engine(**changes)
    for step in done:
        step(engine)

    other = carried(engine, **changes)

    documents = [exported(each.sandboxes.open("world"), snapshots_of(each)) for each in (engine, other)]
    assert documents[0] == documents[1]
    assert list(seen(engine)) == list(seen(other))
    for step in after:
        one, two = step(engine), step(other)
        assert (one.status, one.headers, bytes_of(one)) == (two.status, two.headers, bytes_of(two))
    assert list(seen(engine)) == list(seen(other))


def test_an_import_under_another_name_continues_with_the_same_ids() -> None:
    engine = make_engine()
    queue("ann", ["one"])(engine)

    other = carried(engine, "elsewhere")
    wanted = value_of(queue("ann", ["one"])(engine))

    body = {"prompts": ["one"]}
    there = {"x-mock-sandbox": "elsewhere"}
    assert value_of(ask(other, "POST", "/ai/batches", token="ann", json=body, headers=there)) == wanted
    assert other.sandboxes.open("elsewhere").key != engine.sandboxes.open("world").key

    other.sandboxes.open("elsewhere").reset()
    assert value_of(ask(other, "POST", "/ai/batches", token="ann", json=body, headers=there)) != wanted


def test_an_imported_clock_continues_from_its_time() -> None:
    engine = make_engine(clock="2030-01-01T00:00:00")
    clock = engine.sandboxes.open("world").clock
    clock.scale_by(1e6)
    clock.advance(1e6)
    clock.freeze()
    now = clock.now()

    other = carried(engine, clock="flowing").sandboxes.open("world").clock

    assert (other.now(), other.born, other.is_frozen, other.scale) == (now, clock.born, True, 1e6)
    other.resume()
    assert other.now() >= now


def test_streamed_responses_are_exported_without_their_body() -> None:
    engine = make_engine()
    id_ = value_of(queue("ann", ["one"])(engine))["id"]
    key = engine.sandboxes.open("world").key
    in_world(engine, "GET", f"/ai/archives/{key}/{id_}", query={"format": "ndjson"})

    kept = list(carried(engine).sandboxes.open("world").journal.find(lambda each: each.operation == "getArchive"))

    assert not isinstance(kept[0].response.body, bytes)
    assert (bytes_of(kept[0].response), kept[0].response.status) == (b"", 200)


def test_a_callback_that_was_being_sent_is_imported_as_pending(document: Any) -> None:
    engine = make_engine()
    sandbox = engine.sandboxes.open("world")

    restore(sandbox, snapshots_of(engine).read(document))

    assert sandbox.outbox is not None
    assert [(each.id, each.state, each.attempts[-1].error) for each in sandbox.outbox.every()] == [
        ("done", State.DELIVERED, "down"),
        ("under way", State.FAILED, "it was exported while under way"),
    ]


def test_a_batch_that_never_ends_can_be_exported() -> None:
    engine = make_engine(progression="time:1e12")
    queue("ann", ["one"])(engine)

    assert len(carried(engine).sandboxes.open("world").batches) == 1


# What is refused.


@pytest.fixture(scope="module")
def document() -> Any:
    engine = make_engine()
    queue("ann", ["one", "two"])(engine)
    world = engine.sandboxes.open("world")
    world.rules.install([read_rule({"status": 500, "for": 9}, origin="next", now=world.clock.now())])
    outbox = world.open_outbox()
    for id_ in ("done", "under way"):
        outbox.note(id_, provider="agentfirst", target="http://127.0.0.1/", base_url="", due=0.0)
    for each, state in zip(outbox.claim_due(0.0), (State.DELIVERED, State.SENDING), strict=True):
        outbox.update(each.tried(Attempt(0.0, 500, "down"), state)._replace(payload=b"{}"))
    return {**orjson.loads(exported(engine.sandboxes.open("world"), snapshots_of(engine))), "blobs": [""]}


def changed(document: Any, path: str, value: Any) -> Any:
    """A copy of the document with one thing changed; `*` stands for the first key."""
    copy = orjson.loads(orjson.dumps(document))
    *steps_, last = path.split("/")
    at = copy
    for step in steps_:
        at = at[next(iter(at)) if step == "*" else int(step) if isinstance(at, list) else step]
    at[next(iter(at)) if last == "*" else last] = value
    return copy


STATE = "sandbox/collections"
NAMED = {"id": "file-x", "account": "ann", "filename": "x", "purpose": "batch", "size": 0}
FILE = {
    **NAMED,
    "created_at": 0,
    "expires_at": None,
    "blob": 0,
    "deleted": True,
}
ANN, BOB = account_key("ann"), account_key("bob")
ACCOUNT = {"key": BOB, "email": "bob@example.com", "credits": -(2**63)}


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("version", 1, "version: 1, written by mockserver"),
        ("version", 5, "version: 5, written by mockserver"),
        ("format", "other", "no export of a sandbox"),
        ("more", 1, "no export of a sandbox"),
        ("sandbox", {}, "sandbox.collections: "),
        ("sandbox", {"collections": {}}, "sandbox: Object missing required field `name`"),
        ("sandbox/own", None, "sandbox.own: Expected `object`, got `null`"),
        ("sandbox/salt", "x", "sandbox.salt: Invalid base64"),
        ("sandbox/seen", 0, "sandbox.seen: it is less"),
        ("sandbox/clock/scale", 0, "sandbox.clock.scale: "),
        ("sandbox/clock/now", 5, "sandbox.clock: "),
        ("sandbox/clock/now", 1e300, "sandbox.clock.now: "),
        ("sandbox/more", 1, "sandbox: Object contains unknown field `more`"),
        ("sandbox/progression", None, "sandbox.progression: Expected `object`, got `null`"),
        ("sandbox/progression/amount", -1, "sandbox.progression: immediate: -1 is no number"),
        ("sandbox/progression", {"kind": "polls", "amount": 0}, "sandbox.progression: polls: 0 is no number from 1"),
        ("sandbox/terms/credits", 2**63, "sandbox.terms.credits: "),
        ("sandbox/own/progression", {"kind": "time", "amount": -1}, "sandbox.own.progression: time: -1 is no number"),
        ("sandbox/own/clock", {"instant": 1e300}, "sandbox.own.clock.instant: "),
        ("sandbox/own/clock", {"scale": 0}, "sandbox.own.clock.scale: Expected `float` > 0"),
        ("sandbox/own/accounts", [ACCOUNT], "sandbox.own.accounts[0].credits: Expected `int` >= "),
        ("sandbox/own/accounts", [{**ACCOUNT, "key": "bob"}], "sandbox.own.accounts[0].key: Expected `str` matching"),
        (f"{STATE}/accounts", {"sk-live": None}, "sandbox.collections.accounts"),
        (f"{STATE}/accounts/*/key", BOB, f"sandbox.collections.accounts.{ANN}: its id is another"),
        ("sandbox/progression/kind", "warp", "sandbox.progression: no batch progresses by 'warp'"),
        (f"{STATE}/more", {}, "sandbox.collections.more: unknown"),
        (f"{STATE}/batches/*", 5, "sandbox.collections.batches."),
        (f"{STATE}/batches/*/size", 3, "its size is 3; its body has 2 texts"),
        (f"{STATE}/batches/*/id", "x", "its id is another"),
        (f"{STATE}/batches/*/body", "", "it cannot be read back"),
        (f"{STATE}/batches/*/created", None, ".created: Expected `float`, got `null`"),
        (f"{STATE}/batches/*/created", 1e300, ".created: Expected `float` <= "),
        (f"{STATE}/batches/*/progression", {"kind": "polls"}, ".progression: polls: 0 is no number from 1"),
        (f"{STATE}/batches/*/price", 2**63, ".price: "),
        (f"{STATE}/batches/*/outcomes", {"-1": {}}, ".outcomes: Expected `int` >= 0"),
        (f"{STATE}/batches/*/outcomes", {"2": {}}, "it has an outcome for item 2, and 2 items"),
        (f"{STATE}/batches/*/outcomes", {"0": {}, "5": {}}, "it has an outcome for item 5, and 2 items"),
        (f"{STATE}/batches/*/head", 1e300, ".head: Expected `float` <= 1"),
        (f"{STATE}/batches/*/progression/amount", None, ".progression.amount: "),
        ("sandbox/exchanges/0/at", 1e300, "sandbox.exchanges[0].at: Expected `float` <= "),
        ("sandbox/rules/0/until", 1e300, "sandbox.rules[0].until: Expected `float` <= "),
        ("sandbox/callbacks/0/due", -1, "sandbox.callbacks[0].due: -1 is no number from 0, or null"),
        ("sandbox/callbacks/0/attempts/0/at", 1e300, "sandbox.callbacks[0].attempts[0].at: Expected `float` <= "),
        ("sandbox/callbacks/0/payload", "gAA=", "sandbox.collections.callbacks.done: it cannot be read back"),
        (f"{STATE}/accounts/*/entries/0/at", 1e300, f"sandbox.collections.accounts.{ANN}.entries[0].at: "),
        ("sandbox/rules/0/definition/status", "x", "sandbox.rules[0].definition: "),
        (f"{STATE}/settled", {ANN: -(2**63)}, "sandbox.collections.settled: unknown"),
        (f"{STATE}/unpaid", {"x": BOB}, "sandbox.collections.unpaid: unknown"),
        (f"{STATE}/seen/*", "1", "Expected `int`, got `str`"),
        (f"{STATE}/agilecloud.jobs/x", {}, "sandbox.collections.agilecloud.jobs.x: Object missing required field"),
        (
            f"{STATE}/batches/*/body",
            "eyJwcm9tcHRzIjpbImEiLCJiIl0sIm1vZGVsIjo1fQ==",
            "body.model: Expected `str | null`",
        ),
        (f"{STATE}/agilecloud.files/x", FILE, "sandbox.collections.agilecloud.files.x: its id is another"),
    ],
)
def test_a_forged_export_is_rejected_with_the_location(document: Any, path: str, value: Any, why: str) -> None:
    engine = make_engine()

    with pytest.raises(SnapshotError) as refused:
        read_import(engine, changed(document, path, value))

    assert why in str(refused.value)
    assert read_import(engine, document).state.name == "world"


@pytest.mark.parametrize("document", [None, [], "x", 5, {}])
def test_a_file_that_is_no_export_is_rejected(document: Any) -> None:
    with pytest.raises(SnapshotError, match="no export of a sandbox"):
        Snapshots().read(document)


def test_a_sandbox_larger_than_allowed_is_not_written() -> None:
    engine = make_engine()
    queue("ann", ["x" * 2000])(engine)
    snapshots = snapshots_of(engine)

    with pytest.raises(SnapshotError, match="more than 2000 bytes"):
        list(snapshots.encode(snapshots.snapshot_of(engine.sandboxes.open("world")), most=2000))


def test_every_attribute_of_a_sandbox_is_exported_or_listed_as_excluded() -> None:
    """Who gives sandboxes a new attribute adds it to SnapshotState, or says here why it need not travel."""
    engine = make_engine()
    sandbox = engine.sandboxes.open("world")
    made_from_others = {
        "bodies",
        "has_callbacks",
        "callbacks_dropped",
        "key",
        "transaction",
        "ids",
        "batches",
        "accounts",
    }
    not_exported = {"used", "is_held", "is_set_up", "was_evicted", "is_named_by_token"}
    written_apart = {"journal", "outbox"}

    public = {name for name in vars(sandbox) if not name.startswith("_")} | {*SandboxRecord.__struct_fields__, "outbox"}

    exported_ = {*SnapshotState.__struct_fields__} - {"seen", "callbacks"}
    assert public - made_from_others - not_exported - written_apart == exported_
