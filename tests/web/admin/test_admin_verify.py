"""The admin verbs that look back: searches with expectations, near misses, verdict and coverage."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.web.admin import verify as admin_review


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


def queue(client: TestClient, *prompts: str, **more: Any) -> str:
    return str(client.post("/ai/batches", json={"prompts": prompts}, **more).json()["id"])


def count(client: TestClient, **wanted: Any) -> Any:
    response = client.post("/__admin/requests/count", json=wanted)
    assert response.status_code == 200, response.text
    return response.json()


# Searches.


def test_a_count_may_come_with_an_expectation(client: TestClient) -> None:
    for _ in range(3):
        client.get("/user")

    assert count(client, operation="getUser") == {"count": 3, "dropped": 0}
    expected = {"exactly": 3, "at_least": 3, "at_most": 3}
    for name, number in expected.items():
        assert count(client, operation="getUser", **{name: number})["met"] is True
    assert count(client, operation="getUser", **expected)["met"] is True
    assert count(client, operation="getUser", exactly=2)["met"] is False
    assert count(client, operation="getUser", at_least=4)["met"] is False
    assert count(client, operation="getUser", at_most=2)["met"] is False


@pytest.mark.parametrize(
    ("expected", "met"),
    [
        ({"exactly": 0}, False),
        ({"exactly": 2}, None),
        ({"exactly": 3}, None),
        ({"at_most": 5}, None),
        ({"at_least": 2}, True),
        ({"at_least": 3}, None),
    ],
    ids=str,
)
def test_dropped_exchanges_leave_a_count_undecided(expected: dict[str, int], met: bool | None) -> None:
    with make_client(journal_size=2) as client:
        for _ in range(3):
            client.get("/user")
        told = count(client, operation="getUser", **expected)

    assert (told["count"], told["dropped"], told["met"]) == (2, 1, met)


def test_exactly_0_checks_for_absence(client: TestClient) -> None:
    client.get("/user")

    assert count(client, method="POST", exactly=0) == {"count": 0, "dropped": 0, "met": True}
    assert count(client, method="GET", exactly=0)["met"] is False


def test_requests_are_found_by_query_header_and_body(client: TestClient) -> None:
    queue(client, "one", headers={"X-Run": "7"})
    client.get("/ai", params={"prompt": "two"})

    assert count(client, body={"prompts": ["one"]}, header={"x-run": "7"})["count"] == 1
    assert count(client, query={"prompt": "two"})["count"] == 1
    assert count(client, body_at={"/prompts/0": "two"})["count"] == 0
    found = client.post("/__admin/requests/find", json={"status": "2XX", "since": 2}).json()
    assert [each["number"] for each in found["requests"]] == [2]


def test_the_order_of_requests_can_be_checked(client: TestClient) -> None:
    queue(client, "one")
    client.get("/user")
    searches: list[Any] = [{"operation": "queueBatch"}, {"operation": "getUser"}]

    met = client.post("/__admin/requests/order", json={"requests": searches}).json()
    unmet = client.post("/__admin/requests/order", json={"requests": searches[::-1]}).json()

    assert met == {"met": True, "numbers": [1, 2], "dropped": 0}
    assert unmet == {
        "met": False, "numbers": [2], "dropped": 0, "missing": 1,
        "detail": "requests[1] does not occur after exchange 2.",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("count", {"exactly": -1}),
        ("count", {"exactly": "1"}),
        ("count", {"status": "6XX"}),
        ("count", {"query": {"a": 1}}),
        ("find", {"exactly": 1}),
        ("find", {"since": -1}),
        ("order", {}),
        ("order", {"requests": []}),
        ("order", {"requests": [{}] * 101}),
        ("order", {"requests": [{"verb": "GET"}]}),
    ],
)
def test_an_invalid_search_is_rejected(client: TestClient, path: str, body: Any) -> None:
    response = client.post(f"/__admin/requests/{path}", json=body)

    assert response.status_code == 422
    assert response.json()["violations"]


def test_a_search_for_an_unknown_operation_is_rejected(client: TestClient) -> None:
    misspelt = {"operation": "getUsr"}

    responses = [
        client.get("/__admin/requests", params=misspelt),
        client.post("/__admin/requests/count", json={**misspelt, "exactly": 0}),
        client.post("/__admin/requests/order", json={"requests": [{"operation": "getUser"}, misspelt]}),
    ]

    told = "No operation has the key 'getUsr'. Did you mean getUser?"
    assert [(each.status_code, each.json()["detail"]) for each in responses] == [(422, told)] * 3


@pytest.mark.parametrize("path", ["count", "find", "order"])
def test_a_body_nested_too_deeply_is_refused(client: TestClient, path: str) -> None:
    deep = '{"body":' + "[" * 400 + "]" * 400 + "}"
    content = f'{{"requests":[{deep}]}}' if path == "order" else deep

    response = client.post(f"/__admin/requests/{path}", content=content)

    assert response.status_code == 422
    assert "nested too deeply" in response.json()["detail"]


# Near misses.


def unmatched(client: TestClient, **query: Any) -> Any:
    response = client.get("/__admin/requests/unmatched", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_request_that_matched_no_operation_is_explained(client: TestClient) -> None:
    client.get("/user")
    client.post("/v1/batchs", json={})
    client.put("/user")
    client.options("/user")

    found = unmatched(client)["requests"]

    assert [(each["number"], each["status"]) for each in found] == [(2, 404), (3, 405)]
    assert [each["near_misses"][0]["nearest"] for each in found] == ["createBatch", "getUser"]
    assert found[1]["near_misses"][0]["difference"] == ["- method: GET", "+ method: PUT", "  path: /user"]


def test_prompts_without_a_fixture_are_explained_and_those_with_one_are_not(client: TestClient) -> None:
    queue(client, "best basketball shoes for 2026")
    queue(client, "best basketball shoes for 2026", "best basketball shoes for 2025", *(f"n{n}" for n in range(7)))
    client.post("/ai/batches", json={"prompts": [""]})
    client.get("/ai", params={"prompt": "Where can I buy a guitar?"})
    client.get("/ai/completions", params={"id": "x"})

    found = unmatched(client)["requests"]

    assert [(each["number"], each["unmatched"], len(each["near_misses"])) for each in found] == [(2, 8, 5), (4, 1, 1)]
    assert found[0]["near_misses"][0] == {
        "kind": "fixture",
        "asked": "best basketball shoes for 2025",
        "nearest": "fixture:agentfirst/completions.yaml#1",
        "difference": ["- prompt: best basketball shoes for 2026", "+ prompt: best basketball shoes for 2025"],
    }


def test_a_chat_without_a_fixture_is_explained(client: TestClient) -> None:
    messages = [{"role": "user", "content": "Say something else"}]
    client.post("/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": messages})

    (found,) = unmatched(client)["requests"]

    assert found["operation"] == "createChatCompletion"
    assert found["near_misses"][0]["asked"] == "Say something else"


def test_near_misses_are_filtered_and_paged(client: TestClient) -> None:
    for path in ("/a", "/b", "/ai?prompt=x", "/c"):
        client.get(path)

    assert [each["number"] for each in unmatched(client, kind="operation")["requests"]] == [1, 2, 4]
    assert [each["number"] for each in unmatched(client, kind="fixture")["requests"]] == [3]
    page = unmatched(client, limit=2)
    assert ([each["number"] for each in page["requests"]], page["next"]) == ([1, 2], 2)
    page = unmatched(client, limit=2, after=page["next"])
    assert ([each["number"] for each in page["requests"]], page["next"]) == ([3, 4], None)


@pytest.mark.parametrize("query", [{"kind": "prompt"}, {"limit": 101}, {"after": "x"}])
def test_an_invalid_query_for_near_misses_is_rejected(client: TestClient, query: Any) -> None:
    assert client.get("/__admin/requests/unmatched", params=query).status_code == 400


# The verdict.


def test_the_verdict_lists_findings_and_the_exchanges_checked(client: TestClient) -> None:
    queue(client, "one")
    queue(client, "one")

    found = client.get("/__admin/verdict").json()

    (finding,) = found["findings"]
    assert (finding["code"], finding["exchanges"]) == ("batch-paid-twice", [1, 2])
    assert [finding["sandbox"]] == [each["key"] for each in client.get("/__admin/sandboxes").json()["sandboxes"]]
    assert found["summary"] == {"error": 1, "warning": 0, "info": 0}
    assert (found["judged"], found["dropped"]) == (2, 0)
    assert found["rules"]["poll_seconds"] == {"askModel": 1.0, "createBatch": 1.0, "queueBatch": 1.0}
    assert found["rules"]["retries"]["409"] == 2
    assert [note for note in found["notes"] if "clock is frozen" in note]


def test_the_verdict_counts_dropped_exchanges() -> None:
    with make_client(journal_size=1) as client:
        queue(client, "one")
        queue(client, "one")

        found = client.get("/__admin/verdict").json()

    assert (found["findings"], found["judged"], found["dropped"]) == ([], 1, 1)
    assert [note for note in found["notes"] if "dropped the first 1 of 2" in note]


def test_a_verdict_is_possible_while_exchanges_are_dropped() -> None:
    with make_client(journal_size=3, clock="flowing", rate_limit=5) as client:
        for _ in range(20):
            client.get("/v1/models")

        assert client.get("/__admin/verdict").json()["judged"] == 3


def test_the_verdict_on_the_server_is_that_on_all_its_sandboxes(client: TestClient) -> None:
    for name in ("a", "b"):
        for _ in range(2):
            queue(client, "one", headers={"X-Mock-Sandbox": name})

    assert client.get("/__admin/verdict").json()["findings"] == []
    found = client.get("/__admin/verdict", params={"scope": "server"}).json()
    assert [each["sandbox"] for each in found["findings"]] == ["a", "b"]


def test_a_verdict_shows_a_bounded_number_of_findings_and_counts_the_others(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_review, "MAX_FINDINGS", 2)
    for prompt in "abc":
        queue(client, prompt)
        queue(client, prompt)

    found = client.get("/__admin/verdict").json()

    assert len(found["findings"]) == 2
    assert "1 more findings are not shown." in found["notes"]


def test_a_verdict_on_too_many_exchanges_says_what_it_left_out(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_review, "MAX_EXCHANGES", 1)
    for name in ("a", "b", "c"):
        for _ in range(2):
            queue(client, "one", headers={"X-Mock-Sandbox": name})

    found = client.get("/__admin/verdict", params={"scope": "server"}).json()

    assert found["judged"] == 2
    assert [note for note in found["notes"] if "were not checked" in note]


# Coverage.


def test_coverage_is_that_of_the_server_or_of_one_sandbox(client: TestClient) -> None:
    queue(client, "one")
    client.get("/user", headers={"X-Mock-Sandbox": "other"})

    server = client.get("/__admin/coverage").json()
    mine = client.get("/__admin/coverage", params={"scope": "sandbox"}).json()

    assert (server["scope"], server["operations"]["met"]) == ("server", 2)
    assert (mine["scope"], mine["operations"]["met"], mine["dropped"]) == ("sandbox", 1, 0)


@pytest.mark.parametrize("scope", ["server", "sandbox"])
def test_a_stub_s_answer_is_no_failure_of_the_coverage(client: TestClient, scope: str) -> None:
    client.post("/__admin/next", json={"operation": "listModels", "status": 418, "undocumented": True})
    assert client.get("/v1/models").status_code == 418

    report = client.get("/__admin/coverage", params={"format": "junit", "scope": scope}).text

    assert 'failures="0"' in report
    assert "<failure" not in report


def test_coverage_survives_a_reset_until_it_is_deleted(client: TestClient) -> None:
    queue(client, "one")
    client.post("/__admin/reset")
    client.delete("/__admin/requests")
    assert client.get("/__admin/coverage").json()["checked"] is True

    assert client.delete("/__admin/coverage").json() == {"forgotten": 1}
    assert client.get("/__admin/coverage").json()["checked"] is False


def test_requests_rejected_by_the_gateway_count_in_the_coverage() -> None:
    with make_client(max_body=10) as client:
        assert client.post("/ai/batches", json={"prompts": ["one"]}).status_code == 413

        found = client.get("/__admin/coverage", params={"tag": "Agent First"}).json()

    assert [each["undocumented"] for each in found["coverage"] if each["key"] == "queueBatch"] == [{"413": 1}]


def test_stubs_before_a_reset_of_the_coverage_hide_nothing_after_it() -> None:
    with make_client(max_body=10) as client:
        client.post("/__admin/next", json={"operation": "queueBatch", "status": 413, "undocumented": True})
        assert client.post("/ai/batches", json={}).status_code == 413
        client.delete("/__admin/coverage")
        assert client.post("/ai/batches", json={"prompts": ["one"]}).status_code == 413

        assert client.get("/__admin/coverage").json()["undocumented"] == 1


def test_coverage_comes_in_the_form_that_is_asked_for(client: TestClient) -> None:
    queue(client, "one")

    table = client.get("/__admin/coverage", params={"format": "table", "tag": "Agent First"})
    junit = client.get("/__admin/coverage", params={"format": "junit"})
    cobertura = client.get("/__admin/coverage", params={"format": "cobertura"})

    assert table.headers["content-type"] == "text/plain; charset=utf-8"
    assert ["POST", "/ai/batches", "202x1"] in [line.split()[:3] for line in table.text.splitlines()]
    assert "AgileCloud" not in table.text
    assert (junit.headers["content-type"], cobertura.headers["content-type"]) == ("application/xml",) * 2
    assert ElementTree.fromstring(junit.text).tag == "testsuites"
    assert ElementTree.fromstring(cobertura.text).get("lines-covered") == "1"
    assert junit.headers["x-mock-sandbox"] == client.get("/__admin/sandboxes").json()["sandboxes"][0]["key"]


@pytest.mark.parametrize("query", [{"format": "html"}, {"scope": "all"}, {"tag": "Nobody's"}])
def test_an_invalid_query_for_coverage_is_rejected(client: TestClient, query: Any) -> None:
    response = client.get("/__admin/coverage", params=query)

    assert response.status_code == 400
    assert "wanted" in response.json()["detail"] or "have" in response.json()["detail"]


def test_a_status_may_be_written_as_any_whole_number(client: TestClient) -> None:
    client.get("/nowhere")

    assert client.post("/__admin/requests/count", json={"status": 404.0}).json()["count"] == 1
