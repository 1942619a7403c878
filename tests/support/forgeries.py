"""Forged exports: that of a sandbox with much state, changed in one place; and all readers of an imported one."""

from collections.abc import Iterator
from random import Random
from typing import Any

import orjson
from batch_client import DAY, EMBEDDINGS, BatchClient, chats, embedding_of, jsonl, request_of
from builders import bytes_of, make_request
from starlette.testclient import TestClient

from mockserver.engine.engine import Engine
from mockserver.providers.agilecloud.batches.job import jobs_of
from mockserver.providers.agilecloud.files import files_of
from mockserver.providers.agilecloud.prompts.repository import prompts_of
from mockserver.sandbox.conditions import InputRejection

TOKEN = "ann"
ADMIN = (
    "/accounts",
    f"/accounts/{TOKEN}",
    f"/accounts/{TOKEN}/ledger",
    "/usage",
    "/batches",
    "/files",
    "/callbacks",
    "/verdict",
    "/coverage?scope=sandbox",
    "/requests",
    "/requests/unmatched",
    "/clock",
    "/sandboxes",
    "/export?journal=true",
)
NUMBERS = (-1, 0, 1, 2, 3, 0.5, 7, 1000, 10**9, 10**15, 2**63 - 1, 2**64 - 1, -(2**63), 1e12, 1e300, -1e300)
ODD_NUMBERS = (None, 10**18, -0.0)
TEXTS = ("", "x", "batch", "immediate", "time", "polls", "gpt-4o-mini", "greeting", "{{", "\n", "ключ", "/", "\0")


def fill(engine: Engine) -> None:
    """Do to the sandbox what leaves something in every collection, in each of its states."""
    desk = BatchClient(engine, token=TOKEN)
    _write_prompts(desk)
    _live(desk)
    for profile in ("agilecloud", "openai"):
        _run_batches(desk, profile)
    _queue(desk)


def _write_prompts(desk: BatchClient) -> None:
    for slug in ("greeting", "farewell"):
        desk.ask("POST", "/api/v1/prompts", json={"slug": slug, "template": "Say {{ word }}", "variables": ["word"]})
        messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Say {{ word }}!"}]
        body = {"messages": messages, "model_config": {"temperature": 1.0}, "change_note": "shorter"}
        desk.ask("POST", f"/api/v1/prompts/{slug}/versions", json=body)
    desk.ask("POST", "/api/v1/prompts/greeting/ab-test", json={"version_a": 1, "version_b": 2, "split": 0.5})
    desk.ask("POST", "/api/v1/prompts/farewell/versions/2/publish")
    desk.ask("POST", "/api/v1/prompts", json={"slug": "gone", "template": "Bye"})
    desk.ask("DELETE", "/api/v1/prompts/gone")


def _live(desk: BatchClient) -> None:
    for _ in range(2):
        messages = [{"role": "user", "content": "hello"}]
        desk.ask("POST", "/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})
    desk.ask("POST", "/v1/embeddings", json={"model": "bge-large-en-v1.5", "input": "hello"})
    desk.ask("GET", "/no/such/path")


def _prompted() -> bytes:
    bodies = [{"model": "gpt-4o-mini", "prompt_slug": "greeting", "variables": {"word": f"w{n}"}} for n in range(4)]
    lines = [
        {"custom_id": f"p{n}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for n, body in enumerate(bodies)
    ]
    return jsonl(*lines)


def _run_batches(desk: BatchClient, profile: str) -> None:
    sandbox, clock = desk.sandbox, desk.sandbox.clock
    conditions = sandbox.conditions._replace(settings=(("agilecloud_profile", profile),))
    sandbox.conditions = conditions
    marked = jsonl(request_of("a"), request_of("b", "[mock:fail=429]"), request_of("c", "[mock:slow=30h]"))
    aged = sandbox.progression
    for kind, amount in (("immediate", 0), ("time", 1000.0), ("polls", 3)):
        sandbox.progression = aged._replace(kind=kind, amount=amount)
        desk.run(marked, metadata={"team": "one"}, output_expires_after={"anchor": "created_at", "seconds": 3600})
        desk.run(_prompted())
        desk.run(b"no json\n")
        cancelled = desk.create(chats(5))["id"]
        clock.advance(500)
        desk.read(cancelled)
        desk.ask("POST", f"/v1/batches/{cancelled}/cancel")
    desk.run(jsonl(embedding_of("e", ["one", "two"])), endpoint=EMBEDDINGS)
    desk.run("file-missing")
    clock.advance(DAY)
    desk.ask("GET", "/v1/batches")
    sandbox.progression = aged._replace(kind="time", amount=100_000.0)
    desk.create(marked)
    desk.read(desk.create(_prompted())["id"])
    clock.advance(20_000)
    desk.ask("GET", "/v1/batches")
    sandbox.conditions = conditions._replace(input=InputRejection("token_limit_exceeded", 1))
    desk.run(chats(1))
    desk.create(chats(2))
    sandbox.conditions = conditions
    files = [each.id for each in files_of(sandbox).scan() if each.purpose == "batch_output" and not each.deleted]
    desk.ask("DELETE", f"/v1/files/{files[0]}")
    sandbox.progression = aged


def _queue(desk: BatchClient) -> None:
    progression = desk.sandbox.progression
    body = {"prompts": ["guitars", "[mock:fail]"], "callback": "http://127.0.0.1:9/done"}
    for kind, amount in (("immediate", 0), ("time", 1000.0), ("polls", 3)):
        desk.sandbox.progression = progression._replace(kind=kind, amount=amount)
        desk.ask("POST", "/ai/batches", json=body)
        desk.ask("POST", "/ai/batches", json={"prompts": ["one"], "model": "gemini", "country": "US"})
        desk.ask("GET", "/ai", query={"prompt": "trains", "mode": "async", "model": "chatgpt"})
    for id_, path in (
        (each.id, "batches" if each.kind == "batch" else "completions") for each in [*desk.sandbox.batches.scan()]
    ):
        desk.ask("GET", f"/ai/{path}", query={"id": id_})
    desk.ask("GET", "/ai", query={"prompt": "trains", "model": "chatgpt"})
    desk.sandbox.progression = progression


# One change.


def forged(document: Any, chance: Random) -> tuple[str, Any]:
    """A copy of the document with one thing changed, and what that was."""
    copy = orjson.loads(orjson.dumps(document))
    places = (copy["sandbox"]["collections"],) * 8 + (copy["sandbox"], copy["sandbox"], copy["blobs"])
    return forge(chance.choice(places), chance), copy


def forge(at: Any, chance: Random) -> str:
    """Change one thing somewhere below, and say what that was."""
    steps: list[Any] = []
    while True:
        step = _step(at, chance)
        if step is None:
            return "nothing"
        steps.append(step)
        below = at[step]
        if not (isinstance(below, (dict, list)) and below) or chance.random() < 0.08:
            break
        at = below
    return f"{'.'.join(map(str, steps))}: {_change(at, step, chance)}"


def _step(at: Any, chance: Random) -> Any:
    steps = [*at] if isinstance(at, dict) else range(len(at))
    return chance.choice(steps) if steps else None


def _change(at: Any, step: Any, chance: Random) -> str:
    old = at[step]
    how = chance.random()
    if how < 0.1:
        del at[step]
        return "dropped"
    if how < 0.2 and isinstance(at, list):
        at.append(old)
        return "doubled"
    if how < 0.2 and isinstance(at, dict):
        at[chance.choice(TEXTS)] = old
        return "doubled"
    at[step] = new = _other(old, chance, at)
    return f"{repr(old)[:80]} -> {repr(new)[:80]}"


def _other(old: Any, chance: Random, siblings: Any) -> Any:
    how = chance.random()
    if how < 0.25:
        return chance.choice([None, *(siblings.values() if isinstance(siblings, dict) else siblings)])
    if isinstance(old, bool):
        return not old
    if isinstance(old, (int, float)) or (old is None and how < 0.6):
        return chance.choice((*NUMBERS, *NUMBERS, *ODD_NUMBERS, *((old + 1, old - 1, float(old)) if old else ())))
    if isinstance(old, str) or old is None:
        return chance.choice(TEXTS)
    return chance.choice(({}, [], {"": ""}, [[1, 1]], {"1": 1}))


# Whoever reads.


def misreadings(client: TestClient, engine: Engine) -> Iterator[str]:
    """Every read that fails, however it fails."""
    for path in ADMIN:
        shown = client.get(f"/__admin{path}", headers={"X-Mock-Sandbox": TOKEN})
        if shown.status_code >= 500:
            yield f"{path}: {shown.text}"
    for method, path, query, json in list(_readings(engine)):
        request = make_request(method, path, token=TOKEN, query=query, json=json)
        response = engine.handle(request)
        content = bytes_of(response)
        length = dict(response.headers).get("Content-Length", str(len(content)))
        if response.status >= 500 or length != str(len(content)):
            yield f"{method} {path}: {response.status}, {length} bytes stated, {content[:300]!r}"


def _readings(engine: Engine) -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    sandbox = engine.sandboxes.peek(TOKEN)
    for path in ("/user", "/v1/files", "/v1/batches", "/v1/models", "/api/v1/prompts"):
        yield "GET", path, {}, None
    for id_ in (key for key, _ in files_of(sandbox).items()):
        if "/" not in id_:
            yield "GET", f"/v1/files/{id_}", {}, None
            yield "GET", f"/v1/files/{id_}/content", {}, None
    for id_ in (key for key, _ in jobs_of(sandbox).items()):
        if "/" not in id_:
            yield "GET", f"/v1/batches/{id_}", {}, None
    for id_, _ in sandbox.batches.items():
        yield "GET", "/ai/batches", {"id": id_}, None
        yield "GET", "/ai/completions", {"id": id_}, None
        yield "GET", "/ai", {"id": id_}, None
        yield "GET", f"/ai/archives/{sandbox.key}/{id_}", {}, None
    for slug in {key.partition("\n")[2] for key, _ in prompts_of(sandbox).items()} | {"greeting", "farewell"}:
        if not slug or "/" in slug:
            continue
        for rest in ("", "/versions", "/ab-results"):
            yield "GET", f"/api/v1/prompts/{slug}{rest}", {}, None
        yield "GET", f"/api/v1/prompts/{slug}/diff", {"v1": 1, "v2": 2}, None
        for version in (None, 1, 2):
            body = {"variables": {"word": "x"}, "version": version}
            yield "POST", f"/api/v1/prompts/{slug}/render", {}, body
