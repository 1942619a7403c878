"""What a tester sees of rejected requests: their reason, whether they count as unexpected, and forced 400s."""

from pathlib import Path
from typing import Any

import pytest
from builders import ask, make_client, make_document, make_engine, make_operation, value_of, violations_of, write_json

CHAT = "/v1/chat/completions"
SAID = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("request_", "body", "status", "reason", "is_unexpected"),
    [
        (f"POST {CHAT}", {"model": "gpt-4o-mini", "messages": "hi"}, 400, "invalid", True),
        (f"POST {CHAT}", {"messages": SAID}, 400, "invalid", True),
        ("POST /v1/batches", {}, 400, "invalid", True),
        ("POST /v1/embeddings", {"model": "bge-large-en-v1.5"}, 400, "invalid", True),
        ("GET /v1/batches?limit=x", None, 400, "invalid", True),
        ("POST /ai/batches", {"prompts": []}, 422, "invalid", True),
        ("GET /v1/nowhere", None, 404, "no-such-path", True),
        ("DELETE /user", None, 405, "method-not-allowed", True),
        ("GET /v1/batches/batch_x", None, 404, "not-found", False),
        ("GET /user", None, 200, "", False),
    ],
)
def test_a_rejected_request_has_a_reason_and_counts_as_unexpected_when_the_document_forbids_it(
    request_: str, body: Any, status: int, reason: str, is_unexpected: bool
) -> None:
    headers = {"X-Mock-Sandbox": "mine"}
    with make_client() as client:
        assert client.request(*request_.split(), json=body, headers=headers).status_code == status

        [listed] = client.get("/__admin/requests", headers=headers).json()["requests"]
        ended = client.delete("/__admin/sandboxes/mine").json()

    assert (listed["reason"], listed["response"]["status"]) == (reason, status)
    assert [(each["status"], each["reason"]) for each in ended["unexpected"]] == [(status, reason)] * is_unexpected


@pytest.mark.parametrize(
    ("statuses", "status"), [(["400", "422"], 422), (["400"], 400), (["422"], 422), (["4XX"], 422), ([], 422)]
)
def test_the_document_decides_the_status_of_an_invalid_request(
    tmp_path: Path, statuses: list[str], status: int
) -> None:
    schema = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    operation = make_operation("create", status="201", example={"id": 1})
    for each in statuses:
        content = {"application/json": {"example": {"said": "no"}}}
        operation["responses"][each] = {"description": "No.", "content": content}
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    document = write_json(tmp_path / "other.json", make_document({"/people": {"post": operation}}))
    engine = make_engine(spec=(str(document),))

    good = ask(engine, "POST", "/people", json={"name": "Ann"})
    bad = ask(engine, "POST", "/people", json={"name": 5})

    assert (good.status, bad.status) == (201, status)
    assert [each["location"] for each in violations_of(bad)] == [["body", "name"]]
    if statuses:
        assert value_of(bad) == {"said": "no"}
    [exchange] = engine.sandboxes.open("test").journal.find(lambda each: each.response.status == status)
    assert (exchange.reason, exchange.is_unexpected) == ("invalid", True)


NEXT = "/__admin/next"


@pytest.mark.parametrize("strict", [False, True])
def test_a_stub_with_an_undocumented_400_answers_it(strict: bool) -> None:
    definition = {"operation": "getUser", "reply": {"status": 400, "body": {"said": "no"}}}
    with make_client(strict=strict) as client:
        refused = client.post(NEXT, json=definition)
        assert client.post(NEXT, json={**definition, "undocumented": True}).status_code == 200

        answer = client.get("/user")

        assert refused.status_code == 422
        assert "undocumented: true" in refused.json()["detail"]
        assert (answer.status_code, answer.json(), answer.headers["X-Mock-Source"]) == (400, {"said": "no"}, "stub")
        [listed] = client.get("/__admin/requests").json()["requests"]
        assert (listed["reason"], client.delete("/__admin/sandboxes/test").json()["unexpected"]) == ("", [])


def test_an_undocumented_400_without_a_body_says_its_phrase_as_other_errors_do() -> None:
    with make_client() as client:
        for stub in ({"operation": "getUser", "status": 400}, {"operation": "listModels", "status": 418}):
            assert client.post(NEXT, json={**stub, "undocumented": True}).status_code == 200

        text, error = client.get("/user"), client.get("/v1/models")

    assert (text.status_code, text.text) == (400, "Bad Request")
    assert (error.status_code, error.json()["error"]["message"]) == (418, "I'm a Teapot")


@pytest.mark.parametrize("is_stubbed", [False, True])
def test_strict_mode_checks_other_responses_while_a_stub_is_installed(is_stubbed: bool) -> None:
    bodies: list[Any] = [
        {"prompts": ["hi"]},
        {"prompts": ["hi"], "unknown": 1},
        {"prompts": ["hi"], "city": None, "country": None},
    ]
    with make_client(strict=True) as client:
        if is_stubbed:
            assert client.post(NEXT, json={"operation": "getUser", "status": 500, "times": 9}).status_code == 200

        found = [client.post("/ai/batches", json=body).status_code for body in bodies]

        assert found[:2] == [202, 422]
        assert client.get("/ai/devices", params={"x": "1"}).status_code == 422
        assert client.get("/user").status_code == (500 if is_stubbed else 200)


def test_strict_mode_finds_an_invalid_response_while_a_stub_for_another_operation_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make_engine(strict=True)
    [service] = [each for each in engine.services if each.operation.key == "getUser"]
    broken = service._replace(handler=lambda call: call.reply([{"email": "nobody", "credits": "much"}]))
    monkeypatch.setitem(engine._by_operation, service.operation, broken)
    from mockserver.engine.overrides import read_rules

    sandbox = engine.sandboxes.open("test")
    sandbox.rules.install(read_rules([{"operation": "listModels", "status": 500}], engine.services, origin="x", now=0))

    response = ask(engine, "GET", "/user")

    assert (response.status, value_of(response)["title"]) == (500, "Undocumented Reply")


@pytest.mark.parametrize(
    ("path", "is_in_openais_form"),
    [
        ("/v1/chat/completionz", True),
        ("/v1/nowhere/near/anything", True),
        ("/v1/thing", False),
        ("/v1/things", None),
        ("/ai/batchez", False),
        ("/nowhere", False),
    ],
)
def test_an_unknown_path_is_rejected_in_the_format_of_the_nearest_api(
    tmp_path: Path, path: str, is_in_openais_form: bool | None
) -> None:
    paths = {"/v1/things": {"get": make_operation("listThings", example={"things": []})}}
    document = write_json(tmp_path / "other.json", make_document(paths))

    response = ask(make_engine(spec=(str(document),)), "GET", path)

    if is_in_openais_form is None:
        assert response.status == 200
    else:
        assert response.status == 404
        assert ("error" in value_of(response), "title" in value_of(response)) == (
            is_in_openais_form,
            not is_in_openais_form,
        )
