"""What clients see under a scenario: one walk for each API, on an engine of its own, while the page is built."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.fixtures.scenarios import Scenario
from mockserver.http import Request, Response, Upload
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.scenario import read_actions
from mockserver.settings.table import Settings

START = "frozen@2026-04-12T00:00:00"
TOKEN = "reader"  # noqa: S105  a name
ITEMS = 6
HOUR = 3600
PAUSES = (("", 0), ("", 0), ("", 0), (", an hour later", HOUR), (", a day later", 24 * HOUR))
"""What is said of a look, and for how many seconds of sandbox time it is waited for."""
ENDED = {"successful", "failed", "completed", "expired", "cancelled"}


class Sight(NamedTuple):
    """One thing that a client saw."""

    call: str
    answer: str


def seen_under(scenario: Scenario) -> list[tuple[str, list[Sight]]]:
    """By API, what its client sees, in order; the same sight twice is told once."""
    cancels = scenario.name.startswith("cancel")
    walks = {
        "Agent First": walk_agentfirst(Visit(scenario)),
        "AgileCloud": walk_agilecloud(Visit(scenario), cancels=cancels),
    }
    return [(name, list(told_once(walk))) for name, walk in walks.items()]


class Visit:
    """A fresh engine whose one sandbox the scenario has set up."""

    def __init__(self, scenario: Scenario) -> None:
        self._engine: Engine = build_engine(Settings(clock=START))
        self._sandbox = self._engine.open_sandbox(Request("GET", "/", "", {}, b""), TOKEN)
        read_actions(scenario.name, scenario.content).apply(self._sandbox, magic=True)

    def get(self, path: str, query: str = "") -> Response:
        return self._ask("GET", path, "", query=query)

    def post(self, path: str, value: Any = None) -> Response:
        body = json.dumps(value).encode() if value is not None else b""
        return self._ask("POST", path, "application/json" if body else "", body=body)

    def upload(self, content: bytes) -> Response:
        form = {"purpose": "batch", "file": Upload("in.jsonl", "", Blob.in_memory(content))}
        return self._ask("POST", "/v1/files", "multipart/form-data; boundary=b", form=form)

    def _ask(self, method: str, path: str, media_type: str, **given: Any) -> Response:
        headers = {"authorization": f"Bearer {TOKEN}"} | ({"content-type": media_type} if media_type else {})
        return self._engine.handle(Request(method, path, headers=headers, **given))

    def wait(self, seconds: float) -> None:
        self._sandbox.clock.advance(seconds)


def walk_agentfirst(visit: Visit) -> Iterator[Sight]:
    queued = yield from until_good("POST /ai/batches", lambda: visit.post("/ai/batches", {"prompts": prompts()}))
    if queued:
        yield from looks(visit, "/ai/batches", f"id={queued['id']}")
    again = visit.post("/ai/batches", {"prompts": ["One more?"]})
    yield Sight("POST /ai/batches, another", told(again))


def walk_agilecloud(visit: Visit, *, cancels: bool) -> Iterator[Sight]:
    file = yield from until_good("POST /v1/files", lambda: visit.upload(lines()))
    if not file:
        return
    wanted = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = yield from until_good("POST /v1/batches", lambda: visit.post("/v1/batches", wanted))
    if batch:
        path = f"/v1/batches/{batch['id']}"
        if cancels:
            yield from looks(visit, path, pauses=PAUSES[:2])
            yield Sight("POST /v1/batches/{id}/cancel", told(visit.post(f"{path}/cancel")))
        yield from looks(visit, path)


def until_good(call: str, ask: Any) -> Any:
    """The answer's value, after up to three tries."""
    for _ in range(3):
        answer = ask()
        yield Sight(call, told(answer))
        if answer.status < 300:
            return value_of(answer)
    return None


def looks(visit: Visit, path: str, query: str = "", *, pauses: Sequence[tuple[str, float]] = PAUSES) -> Iterator[Sight]:
    call = f"GET {path if query else '/v1/batches/{id}'}"
    for when, seconds in pauses:
        visit.wait(seconds)
        answer = visit.get(path, query)
        yield Sight(f"{call}{when}", told(answer))
        if is_ended(answer):
            return


def body_of(answer: Response) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)


def value_of(answer: Response) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(body_of(answer))
    return value


def is_ended(answer: Response) -> bool:
    return answer.status == 200 and value_of(answer)["status"] in ENDED


def told(answer: Response) -> str:
    """The status, what the body says of a batch, and how long it took."""
    parts = [f"{answer.status}"]
    if answer.status < 300:
        value = value_of(answer)
        parts += [f"`{value['status']}`"] if "status" in value and "purpose" not in value else []
        parts += list(counts(value))
        parts += [f"error `{each['code']}`" for each in (value.get("errors") or {}).get("data", ())]
    elif "json" not in answer.media_type:
        parts.append(f"`{body_of(answer).decode()}`")
    waits = [f"`Retry-After: {value}`" for name, value in answer.headers if name.lower() == "retry-after"]
    late = [f"{answer.delay:g} seconds late"] if answer.delay else []
    return ", ".join(parts + waits + late)


def counts(value: dict[str, Any]) -> Iterator[str]:
    counted = value.get("request_counts") or value
    for name in ("successful", "completed", "failed"):
        if counted.get(name):
            yield f"{counted[name]} {name}"


def told_once(sights: Iterator[Sight]) -> Iterator[Sight]:
    """Equal neighbours become one, which says how many they were."""
    for sight, same in groupby(sights):
        times = len(list(same))
        yield sight._replace(answer=f"{sight.answer} ({times} times)" if times > 1 else sight.answer)


def prompts() -> list[str]:
    return [f"Question {n} about rivers" for n in range(ITEMS)]


def lines() -> bytes:
    return "\n".join(json.dumps(line(n, text)) for n, text in enumerate(prompts())).encode()


def line(number: int, text: str) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
