"""What a run against a live API sends and what it does not: money, budget, ids of its own, pauses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import make_document
from foreign import foreign_engine

from mockserver.contract.live.plan import PROBE, PlannedRequest, Planner
from mockserver.contract.live.runner import LiveBudget, LiveRunner
from mockserver.contract.upstream import UpstreamError, UpstreamUrl

JSON = "application/json"
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "example": "example-id"}}
OK: dict[str, Any] = {"200": {"description": "Fine.", "content": {JSON: {}}}}
PATHS = {
    "/jobs": {
        "get": {"operationId": "listJobs", "responses": OK},
        "post": {"operationId": "addJob", "x-mock-price": {"amount": 5}, "responses": OK},
    },
    "/jobs/{id}": {
        "get": {"operationId": "readJob", "parameters": [ID], "responses": OK},
        "delete": {"operationId": "dropJob", "parameters": [ID], "responses": OK},
    },
}
SECURITY: dict[str, Any] = {
    "security": [{"token": []}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
ALL = LiveBudget(rate=1e9, methods=frozenset({"GET", "POST", "DELETE"}), spend=100.0)


class FakeAnswer:
    def __init__(self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.headers = [(b"content-type", b"application/json"), *headers]
        self._body = body

    def header(self, name: bytes) -> str:
        return dict(self.headers).get(name, b"").decode()

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    def close(self) -> None:
        pass


class FakeApi:
    """Answers with what it is told to, and notes what was sent."""

    url = UpstreamUrl("http", "api.example", 80, "")

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[str, str]] = []
        self.credentials: list[str] = []

    def target(self, raw_path: bytes, query: bytes) -> bytes:
        return raw_path + (b"?" + query if query else b"")

    async def send(self, method: str, target: bytes, headers: Any, body: Any) -> FakeAnswer:
        self.sent.append((method, target.decode()))
        self.credentials.append({name.lower(): each for name, each in headers}.get(b"authorization", b"").decode())
        answer = self._answers.pop(0) if self._answers else (200, {})
        if isinstance(answer, Exception):
            raise answer
        status, value, *more = answer
        return FakeAnswer(status, orjson.dumps(value), more)

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return foreign_engine(make_document(PATHS, **SECURITY), tmp_path_factory.mktemp("runner"))


@pytest.fixture(scope="module")
def planned(engine: Any) -> dict[str, PlannedRequest]:
    services = [each for each in engine.services if each.operation.is_foreign]
    return {each.operation.key: each for each in Planner(services).examples()}


def runner(engine: Any, api: FakeApi, budget: LiveBudget = ALL, **more: Any) -> LiveRunner:
    return LiveRunner(engine, api, budget, token=more.pop("token", "t0ken"), **more)


def run(made: LiveRunner, *requests: PlannedRequest) -> list[str]:
    """Why requests were not sent."""
    asyncio.run(made.run(requests))
    return [each.why for each in made.result.skipped]


def test_a_call_that_costs_more_than_the_budget_is_not_sent(engine: Any, planned: Any) -> None:
    other = [replace(planned["addJob"], query={"n": str(n)}) for n in range(3)]
    api = FakeApi()
    made = runner(engine, api, replace(ALL, spend=10.0))

    assert run(made, *other) == ["it costs 5 credits, which --spend does not allow"]
    assert len(api.sent) == 2
    assert made.result.spent == {"credits": 10.0}


def test_only_what_was_accepted_with_a_credential_costs(engine: Any, planned: Any) -> None:
    add = planned["addJob"]
    made = runner(engine, FakeApi((400, {}), (399, {}), (200, {})), replace(ALL, spend=5.0))

    assert run(made, add, replace(add, query={"n": "1"}), replace(add, has_credential=False)) == []
    assert made.result.spent == {"credits": 5.0}


def test_a_call_without_an_answer_may_have_cost(engine: Any, planned: Any) -> None:
    made = runner(engine, FakeApi(UpstreamError(502, "refused")))

    run(made, planned["addJob"])

    assert made.result.spent == {"credits": 5.0}
    assert len(made.result.failures) == 1


def test_the_budget_of_requests_includes_those_without_an_answer(engine: Any, planned: Any) -> None:
    reads = [replace(planned["listJobs"], query={"n": str(n)}) for n in range(4)]
    made = runner(engine, FakeApi((200, []), UpstreamError(502, "refused")), replace(ALL, max_requests=2))

    assert run(made, *reads) == ["the budget of --max-requests is used up"] * 2


def test_only_named_methods_are_sent(engine: Any, planned: Any) -> None:
    assert run(runner(engine, FakeApi(), LiveBudget(rate=1e9)), planned["addJob"]) == ["POST is not among --methods"]


def test_a_second_account_needs_its_credential(engine: Any, planned: Any) -> None:
    read = replace(planned["listJobs"], of_other_account=True)
    api = FakeApi()

    assert run(runner(engine, api), read) == ["it needs the credential of a second account in API_TOKEN_2"]
    assert run(runner(engine, api, other_token="other"), read) == []
    assert api.credentials == ["Bearer other"]


def test_only_things_of_this_run_are_changed(engine: Any, planned: Any) -> None:
    api = FakeApi((200, {"id": "mine"}), (200, {}), (200, {}))

    why = run(runner(engine, FakeApi((200, [{"id": "theirs"}]))), planned["listJobs"], planned["dropJob"])
    assert why == ["it would change something that this run has not created"]

    assert run(runner(engine, api), planned["addJob"], planned["dropJob"], planned["readJob"]) == []
    assert api.sent == [("POST", "/jobs"), ("DELETE", "/jobs/mine"), ("GET", "/jobs/mine")]


@pytest.mark.parametrize(
    ("listed", "path"),
    [
        ([{"id": "a"}, {"id": "b"}], "/jobs/a"),
        ({"data": [{"id": "a"}]}, "/jobs/a"),
        ({"jobs": [{"id": "a"}], "total": 1, "tags": ["x"]}, "/jobs/a"),
        ({"jobs": [{"id": "a"}], "users": [{"id": "u"}]}, "/jobs/example-id"),
        ({"data": []}, "/jobs/example-id"),
        ([{"id": 5}], "/jobs/example-id"),
        ([{"name": "a"}], "/jobs/example-id"),
        (["a"], "/jobs/example-id"),
        ("a", "/jobs/example-id"),
    ],
)
def test_reads_take_the_id_that_a_list_has_told(engine: Any, planned: Any, listed: Any, path: str) -> None:
    api = FakeApi((200, listed))

    run(runner(engine, api), planned["listJobs"], planned["readJob"])

    assert api.sent[1] == ("GET", path)


def test_an_error_tells_no_id_and_a_probe_keeps_its_own(engine: Any, planned: Any) -> None:
    api = FakeApi((400, [{"id": "a"}]))
    run(runner(engine, api), planned["listJobs"], planned["readJob"])
    assert api.sent[1] == ("GET", "/jobs/example-id")

    api = FakeApi((200, [{"id": "a"}]))
    run(runner(engine, api), planned["listJobs"], replace(planned["readJob"], origin=PROBE))
    assert api.sent[1] == ("GET", "/jobs/example-id")


def test_a_created_thing_is_known_by_its_slug_if_it_has_no_id(engine: Any, planned: Any) -> None:
    api = FakeApi((200, {"id": 5, "slug": "s"}))

    run(runner(engine, api), planned["addJob"], planned["dropJob"])

    assert api.sent[1] == ("DELETE", "/jobs/s")


def test_the_same_request_is_sent_once_with_each_credential(engine: Any, planned: Any) -> None:
    read = planned["listJobs"]
    api = FakeApi()

    run(runner(engine, api), read, read, replace(read, has_credential=False))

    assert api.credentials == ["Bearer t0ken", ""]


@pytest.mark.parametrize(("status", "seconds", "is_ended"), [(429, "61", True), (503, "61", True), (500, "61", False)])
def test_a_run_ends_where_the_api_asks_for_a_pause_of_more_than_a_minute(
    engine: Any, planned: Any, status: int, seconds: str, is_ended: bool
) -> None:
    api = FakeApi((status, {}, (b"retry-after", seconds.encode())))
    made = runner(engine, api)

    run(made, planned["listJobs"], planned["readJob"])

    assert len(api.sent) == (1 if is_ended else 2)
    assert made.result.failures == (["the API asks to wait for 61 seconds, so the run ended"] if is_ended else [])


def test_a_run_ends_after_three_requests_in_a_row_without_an_answer(engine: Any, planned: Any) -> None:
    refused = UpstreamError(502, "refused")
    reads = [replace(planned["listJobs"], query={"n": str(n)}) for n in range(9)]
    api = FakeApi(refused, refused, (200, []), refused, refused, refused)

    run(runner(engine, api), *reads)

    assert len(api.sent) == 6


def test_requests_keep_the_rate_and_the_pause_that_the_api_asks_for(
    engine: Any, planned: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("mockserver.contract.live.runner.asyncio.sleep", note)
    api = FakeApi((429, {}, (b"retry-after", b"60")))

    run(runner(engine, api, replace(ALL, rate=0.1)), planned["listJobs"], planned["readJob"])
    assert slept[0] == 0.0
    assert slept[1] == pytest.approx(60.0, abs=5.0)

    slept.clear()
    reads = [replace(planned["listJobs"], query={"n": str(n)}) for n in range(2)]
    run(runner(engine, FakeApi(), replace(ALL, rate=0.01)), *reads)
    assert slept[0] == 0.0
    assert slept[1] == pytest.approx(100.0, abs=5.0)


def test_the_command_of_a_request_hides_the_token(engine: Any, planned: Any, tmp_path: Path) -> None:
    made = runner(engine, FakeApi(), other_token="other")
    body = replace(planned["addJob"], media_type=JSON, body={"a": "t0ken other"})

    run(made, planned["listJobs"], body)

    assert [each.curl for each in made.result.exchanges] == [
        'curl -i http://api.example/jobs -H "Authorization: Bearer $API_TOKEN"',
        'curl -i -X POST http://api.example/jobs -H "Authorization: Bearer $API_TOKEN" '
        '-H "Content-Type: application/json" --data-binary \'{"a":"$API_TOKEN $API_TOKEN_2"}\'',
    ]


def test_an_id_that_is_a_number_is_taken_where_the_path_has_numbers(tmp_path: Path) -> None:
    number = {**ID, "schema": {"type": "integer", "example": 1}}
    reads = {"get": {"operationId": "readJob", "parameters": [number], "responses": OK}}
    engine = foreign_engine(make_document({**PATHS, "/jobs/{id}": reads}), tmp_path)
    planned = {each.operation.key: each for each in Planner(engine.services).examples()}
    api = FakeApi((200, [{"id": 5}]))

    run(runner(engine, api), planned["listJobs"], planned["readJob"])

    assert api.sent[1] == ("GET", "/jobs/5")


@pytest.mark.parametrize(
    ("scheme", "command"),
    [
        ({"type": "http", "scheme": "basic"},
         'curl -i http://api.example/jobs -H "Authorization: Basic $(printf %s "$API_TOKEN" | base64)"'),
        ({"type": "apiKey", "in": "query", "name": "key"}, 'curl -i "http://api.example/jobs?key=$API_TOKEN"'),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, 'curl -i http://api.example/jobs -H "X-Key: $API_TOKEN"'),
    ],
)  # fmt: skip
def test_the_command_of_a_request_hides_every_form_of_a_credential(
    scheme: dict[str, Any], command: str, tmp_path: Path
) -> None:
    security = {"security": [{"token": []}], "components": {"securitySchemes": {"token": scheme}}}
    engine = foreign_engine(make_document(PATHS, **security), tmp_path)
    planned = {each.operation.key: each for each in Planner(engine.services).examples()}
    made = LiveRunner(engine, FakeApi(), ALL, token="ann:p+w/$")

    run(made, planned["listJobs"])

    assert [each.curl for each in made.result.exchanges] == [command]


def test_a_header_of_a_command_is_what_was_sent(engine: Any, planned: Any) -> None:
    made = runner(engine, FakeApi())

    run(made, replace(planned["listJobs"], headers={"X-Filter": '{"a": "$b `c`"}'}, has_credential=False))

    assert made.result.exchanges[0].curl.endswith(r' -H "X-Filter: {\"a\": \"\$b \`c\`\"}"')
