"""The provider's own tests, as its author would write them with the pytest kit; see test_outside_provider.py."""

import json
import os
from typing import Any

import httpx
import pytest

from mockserver.testing import LeasedSandbox

PATH = "/v1/messages/batches"


def make_client(sandbox: LeasedSandbox, **headers: str) -> httpx.Client:
    assert os.environ["ANTHROPIC_BASE_URL"] == sandbox.base_urls["anthropic_base_url"]
    key = {"x-api-key": os.environ["ANTHROPIC_API_KEY"]}
    return httpx.Client(base_url=os.environ["ANTHROPIC_BASE_URL"], headers=headers or key)


def make_body(*prompts: str) -> dict[str, Any]:
    params = [{"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": each}]} for each in prompts]
    return {"requests": [{"custom_id": f"r{n}", "params": each} for n, each in enumerate(params)]}


def create(client: httpx.Client, *prompts: str) -> Any:
    return client.post(PATH, json=make_body(*prompts)).json()


def read_results(client: httpx.Client, id_: str) -> list[Any]:
    return [json.loads(line) for line in client.get(f"{PATH}/{id_}/results").text.splitlines()]


def test_a_batch_progresses_when_it_is_read_and_has_results(sandbox: LeasedSandbox) -> None:
    with make_client(sandbox) as client:
        made = create(client, "Hello", "[mock:fail] no")
        first, second = (client.get(f"{PATH}/{made['id']}").json() for _ in range(2))
        lines = read_results(client, made["id"])

    assert made["id"].startswith("msgbatch_")
    statuses = [each["processing_status"] for each in (made, first, second)]
    assert statuses == ["in_progress", "in_progress", "ended"]
    assert second["request_counts"] == {"processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 0}
    assert second["results_url"] == f"{sandbox.base_url}{PATH}/{made['id']}/results"
    assert [each["result"]["type"] for each in lines] == ["succeeded", "errored"]
    assert lines[0]["result"]["message"]["content"][0]["text"] == "You said: Hello"


def test_batches_are_listed_newest_first(sandbox: LeasedSandbox) -> None:
    with make_client(sandbox) as client:
        ids = [create(client, each)["id"] for each in ("a", "b")]
        page = client.get(PATH, params={"limit": 1}).json()

    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([ids[1]], True)


@pytest.mark.mockserver(progression="time:60")
def test_a_cancelled_batch_keeps_what_was_done(sandbox: LeasedSandbox) -> None:
    with make_client(sandbox) as client:
        id_ = create(client, "a", "b")["id"]
        sandbox.clock.advance(seconds=30)
        cancelled = client.post(f"{PATH}/{id_}/cancel").json()
        lines = read_results(client, id_)

    assert (cancelled["processing_status"], cancelled["request_counts"]["canceled"]) == ("ended", 1)
    assert [each["result"]["type"] for each in lines] == ["succeeded", "canceled"]


@pytest.mark.mockserver(allow_unexpected=True)
@pytest.mark.parametrize(
    ("headers", "method", "path", "status", "kind"),
    [
        ({}, "POST", PATH, 400, "invalid_request_error"),
        ({}, "GET", f"{PATH}/unknown", 404, "not_found_error"),
        ({}, "GET", "/v1/messages/unknown", 404, "not_found_error"),
        ({"accept": "*/*"}, "GET", PATH, 401, "authentication_error"),
        ({"authorization": "Bearer token"}, "GET", PATH, 401, "authentication_error"),
    ],
)
def test_errors_have_the_vendors_envelope(  # noqa: PLR0917  a table's columns
    sandbox: LeasedSandbox, headers: dict[str, str], method: str, path: str, status: int, kind: str
) -> None:
    with make_client(sandbox, **headers) as client:
        answer = client.request(method, path, json={} if method == "POST" else None)

    assert (answer.status_code, answer.json()["type"], answer.json()["error"]["type"]) == (status, "error", kind)
    assert answer.json()["error"]["message"]


def test_the_other_api_under_the_same_prefix_answers_as_before(sandbox: LeasedSandbox) -> None:
    with httpx.Client(base_url=sandbox.openai_base_url, headers=sandbox.headers) as client:
        assert client.get("/models").json()["object"] == "list"


def test_stubs_faults_and_conditions_work(sandbox: LeasedSandbox) -> None:
    with make_client(sandbox) as client:
        sandbox.next("createMessageBatch", status=403)
        rejected = client.post(PATH, json=make_body("a"))
        sandbox.conditions = {"items": {"fail": "all"}, "message_stop_reason": "max_tokens"}
        id_ = create(client, "a")["id"]
        ended = [client.get(f"{PATH}/{id_}").json() for _ in range(2)][-1]
        del sandbox.conditions
        other = create(client, "b")["id"]
        _ = [client.get(f"{PATH}/{other}") for _ in range(2)]
        normal = read_results(client, other)[0]["result"]["message"]["stop_reason"]

    assert rejected.status_code == 403
    assert ended["request_counts"]["errored"] == 1
    assert normal == "end_turn"


def test_an_exported_sandbox_continues_after_an_import(sandbox: LeasedSandbox, make_sandbox: Any) -> None:
    with make_client(sandbox) as client:
        id_ = create(client, "a")["id"]
        client.get(f"{PATH}/{id_}")
        other = make_sandbox()
        other.import_(sandbox.export())
        there = client.get(f"{PATH}/{id_}", headers={"x-mock-sandbox": other.name}).json()

    assert there["processing_status"] == "ended"


def test_a_patient_client_has_no_findings(sandbox: LeasedSandbox) -> None:
    with make_client(sandbox) as client:
        id_ = create(client, "a")["id"]
        for _ in range(2):
            sandbox.clock.advance(seconds=5)
            client.get(f"{PATH}/{id_}")
        read_results(client, id_)

    assert sandbox.verdict()["findings"] == []


def test_the_api_key_is_never_shown(sandbox: LeasedSandbox) -> None:
    key = "sk-ant-0123456789abcdef"
    with make_client(sandbox, **{"x-api-key": key, "x-mock-sandbox": sandbox.name}) as client:
        create(client, f"my key is {key}")

    assert key not in str(sandbox.export()) + str(sandbox.latest(1))
