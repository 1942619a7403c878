"""Contracts as Pact files: which exchanges are interactions, what a file says of them, and what it never holds."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from batch_client import chats
from builders import ask, make_document, make_engine, make_operation, make_request, queue, value_of, write_json

from mockserver.engine.engine import Engine
from mockserver.http import Response, Upload
from mockserver.sandbox.blobs import Blob
from mockserver.verify.pact.contracts import REPEATS, TOO_MANY, contracts_of, file_name, merge_contracts
from mockserver.verify.pact.interactions import FAILED, INVALID, LARGE, ON_REQUEST

NO_SUCH = "00000000-0000-4000-8000-000000000000"


def contracts(engine: Engine, sandbox: str = "test") -> list[dict[str, Any]]:
    journal = engine.sandboxes.open(sandbox).journal
    return contracts_of(journal.find(lambda _: True), engine.services, "app")


def contract(engine: Engine, sandbox: str = "test") -> dict[str, Any]:
    [pact] = contracts(engine, sandbox)
    return pact


def described(pact: Mapping[str, Any]) -> list[str]:
    return [each["description"] for each in pact["interactions"]]


def states(interaction: Mapping[str, Any]) -> list[str]:
    return [each["name"] for each in interaction["providerStates"]]


def matcher(interaction: Mapping[str, Any], place: str) -> dict[str, Any]:
    [found] = interaction["response"]["matchingRules"]["body"][place]["matchers"]
    return dict(found)


def test_a_batch_and_its_polls_are_an_interaction_for_each_status() -> None:
    engine = make_engine(progression="polls:3")
    id_ = queue(engine, "One")
    for _ in range(5):
        ask(engine, "GET", "/ai/batches", query={"id": id_})

    pact = contract(engine)

    assert described(pact) == [
        "POST /ai/batches answers 202",
        "GET /ai/batches answers 200 with status retrieving",
        "GET /ai/batches answers 200 with status archiving",
        "GET /ai/batches answers 200 with status successful",
    ]
    poll = pact["interactions"][-1]
    assert states(poll) == [
        "the credential is valid",
        "id comes from POST /ai/batches, and status is successful",
    ]
    assert poll["providerStates"][1]["params"] == {"id": id_, "status": "successful"}
    assert poll["request"]["generators"]["query"]["id"]["expression"] == "${id}"


def test_made_up_values_are_compared_by_type_and_documented_ones_as_the_document_says() -> None:
    engine = make_engine(progression="immediate")
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    ask(engine, "POST", "/v1/chat/completions", json=body)
    id_ = queue(engine, "One")
    ask(engine, "GET", "/ai/batches", query={"id": id_})

    chat, poll = contracts(engine)[0]["interactions"][0], contracts(engine)[1]["interactions"][1]

    assert matcher(chat, "$.choices[*].message.content") == {"match": "type"}
    assert matcher(chat, "$.created") == {"match": "integer"}
    assert matcher(chat, "$.object") == {"match": "equality"}
    assert matcher(chat, "$.choices") == {"match": "type", "min": 1}
    assert matcher(chat, "$.choices[*].finish_reason")["match"] == "regex"
    assert matcher(poll, "$.status") == {"match": "equality"}
    assert matcher(poll, "$.id") == {"match": "type"}
    assert chat["request"]["body"]["content"] == body


def test_each_api_has_a_file_of_its_own() -> None:
    engine = make_engine()
    ask(engine, "GET", "/user")
    ask(engine, "GET", "/v1/models")

    found = contracts(engine)

    assert [(each["consumer"]["name"], each["provider"]["name"]) for each in found] == [
        ("app", "Agent First"), ("app", "AgileCloud")]  # fmt: skip
    assert [file_name(each) for each in found] == ["app-Agent_First.json", "app-AgileCloud.json"]


def test_another_document_is_named_by_its_title(tmp_path: Any) -> None:
    document = make_document({"/things": {"get": make_operation("listThings", example={"things": [1]})}})
    engine = make_engine(spec=(str(write_json(tmp_path / "other.json", document)),))
    ask(engine, "GET", "/things")

    assert contract(engine)["provider"]["name"] == "Other"
    assert described(contract(engine)) == ["GET /things answers 200"]


def test_what_the_document_does_not_allow_and_what_was_demanded_is_left_out() -> None:
    engine = make_engine()
    ask(engine, "GET", "/user")
    ask(engine, "POST", "/ai/batches", json={"prompts": []})
    ask(engine, "GET", "/user", headers={"prefer": "code=500"})
    queue(engine, "One [mock:fail]")

    pact = contract(engine)

    assert described(pact) == ["GET /user answers 200"]
    assert pact["metadata"]["mockserver"]["left_out"] == {INVALID: 1, ON_REQUEST: 2}
    assert FAILED not in pact["metadata"]["mockserver"]["left_out"]


@pytest.mark.parametrize(
    ("token", "path", "query", "status", "wanted"),
    [
        ("test", "/ai/batches", {"id": NO_SUCH}, 422, ["the credential is valid", "id does not exist"]),
        ("mock-no-credits", "/ai", {"prompt": "x"}, 402, ["the credential is valid", "the account has no credits"]),
        ("mock-revoked", "/user", {}, 403, ["the credential is not valid"]),
        (None, "/user", {}, 401, []),
        ("test", "/v1/models/gpt-4o-mini", {}, 200, ["the credential is valid", "model exists"]),
    ],
)
def test_provider_states_say_what_has_to_be_so(
    token: str | None, path: str, query: dict[str, str], status: int, wanted: list[str]
) -> None:
    engine = make_engine()
    answer = ask(engine, "GET", path, query=query, token=token, headers={"x-mock-sandbox": "test"})
    assert answer.status == status

    [interaction] = contract(engine)["interactions"]

    assert states(interaction) == wanted
    assert ("Authorization" in interaction["request"].get("headers", {})) is (token is not None)


def test_an_uploaded_file_is_written_as_the_documents_example() -> None:
    engine = make_engine(progression="polls:2")
    upload: dict[str, str | Upload] = {"purpose": "batch", "file": Upload("in.jsonl", "", Blob.in_memory(chats(2)))}
    sent = make_request("POST", "/v1/files", headers={"content-type": "multipart/form-data; boundary=x"})
    file = value_of(engine.handle(sent._replace(form=upload, form_parts=tuple(upload.items()))))
    body = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batch = value_of(ask(engine, "POST", "/v1/batches", json=body))
    ask(engine, "GET", f"/v1/batches/{batch['id']}")

    first, create, poll = contract(engine)["interactions"]

    assert first["request"]["body"]["encoded"] == "base64"
    assert "journal keeps no files" in first["comments"]["text"][0]
    assert states(create)[1] == "input_file_id comes from POST /v1/files, and status is processed"
    assert create["request"]["generators"]["body"] == {
        "$.input_file_id": {"type": "ProviderState", "expression": "${input_file_id}", "dataType": "STRING"}
    }
    assert poll["request"]["generators"]["path"]["expression"] == "/v1/batches/${batch_id}"


def test_the_same_form_of_request_and_answer_is_one_interaction_and_another_form_is_another() -> None:
    engine = make_engine()
    queue(engine, "One")
    queue(engine, "Two", "Three")
    queue(engine, "Four", country="NO")

    assert described(contract(engine)) == ["POST /ai/batches answers 202", "POST /ai/batches answers 202 (form 2)"]


def test_contracts_of_several_sandboxes_are_merged() -> None:
    engine = make_engine()
    queue(engine, "One")
    queue(engine, "Two", token="other", country="NO")
    queue(engine, "Three", token="other")

    [merged] = merge_contracts([*contracts(engine), *contracts(engine, "other")])

    assert described(merged) == ["POST /ai/batches answers 202", "POST /ai/batches answers 202 (form 2)"]


def test_no_secret_and_no_address_is_in_a_file() -> None:
    engine = make_engine()
    token = "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
    queue(engine, f"my key is {token}, my address ann@corp.example", token=token)
    ask(engine, "GET", "/user", token=token)
    ask(engine, "GET", "/v1/models", token=token, query={"api_key": "hunter2hunter2"})
    ask(engine, "POST", "/ai/batches", json={"prompts": [f"again {token}"], "country": "NO"}, token="another-1",
        headers={"x-mock-sandbox": token})  # fmt: skip

    written = json.dumps(contracts(engine, token))

    assert token not in written and "ann@corp" not in written and "hunter2" not in written
    assert "Bearer [redacted]" in written


def test_a_request_that_repeats_many_credentials_is_left_out() -> None:
    engine = make_engine()
    tokens = [f"sk-client-{n:04}" for n in range(40)]
    for token in tokens:
        ask(engine, "GET", "/user", token=token, headers={"x-mock-sandbox": "all"})
    for count, more in ((10, {}), (40, {"country": "NO"})):
        body = {"prompts": tokens[:count], **more}
        ask(engine, "POST", "/ai/batches", json=body, headers={"x-mock-sandbox": "all"})

    pact = contract(engine, "all")

    assert described(pact) == ["GET /user answers 200", "POST /ai/batches answers 202"]
    assert pact["metadata"]["mockserver"]["left_out"] == {REPEATS: 1}
    assert "sk-client" not in json.dumps(pact)


@pytest.mark.parametrize(("count", "kept"), [(16, 2), (17, 1)])
def test_up_to_16_credentials_of_other_requests_are_redacted_in_one(count: int, kept: int) -> None:
    engine = make_engine()
    tokens = [f"sk-client-{n:04}" for n in range(count)]
    for token in tokens:
        ask(engine, "GET", "/user", token=token, headers={"x-mock-sandbox": "all"})
    ask(engine, "POST", "/ai/batches", json={"prompts": tokens}, headers={"x-mock-sandbox": "all"})

    assert len(described(contract(engine, "all"))) == kept


def pact_of(*keys: str, left_out: Mapping[str, int] | None = None) -> dict[str, Any]:
    return {
        "consumer": {"name": "app"},
        "provider": {"name": "API"},
        "interactions": [{"key": key, "description": "GET /x answers 200"} for key in keys],
        "metadata": {"mockserver": {"left_out": dict(left_out or {})}},
    }


def test_what_was_left_out_is_summed_when_contracts_are_merged() -> None:
    [merged] = merge_contracts([pact_of("a", left_out={FAILED: 2, LARGE: 1}), pact_of("b", left_out={FAILED: 3})])

    assert merged["metadata"]["mockserver"]["left_out"] == {FAILED: 5, LARGE: 1}
    assert described(merged) == ["GET /x answers 200", "GET /x answers 200 (form 2)"]
    assert (merged["consumer"], merged["provider"]) == ({"name": "app"}, {"name": "API"})
    assert merged["metadata"]["pactSpecification"] == {"version": "4.0"}


@pytest.mark.parametrize(("count", "left_out"), [(2, {}), (3, {TOO_MANY: 1}), (5, {TOO_MANY: 3})])
def test_a_file_has_as_many_interactions_as_the_bound_says(
    count: int, left_out: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mockserver.verify.pact.contracts.MAX_INTERACTIONS", 2)

    [merged] = merge_contracts([pact_of(*map(str, range(count)))])

    assert [each["key"] for each in merged["interactions"]] == ["0", "1"]
    assert merged["metadata"]["mockserver"]["left_out"] == left_out


def nested(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value


def test_bodies_that_are_nested_deeply_or_large_are_left_out() -> None:
    """Those of a live API behind the proxy, for ours are rejected."""
    engine = make_engine()
    journal = engine.sandboxes.open("test").journal
    answer = Response(202, "application/json", json.dumps({"id": "a", "count": 1, "more": nested(240)}).encode())
    for value in (nested(90), nested(120), nested(200), "x" * 300_000):
        journal.record(0.0, "queueBatch", make_request("POST", "/ai/batches", json=value), answer, "", ())

    pact = contract(engine)

    [only] = pact["interactions"]
    assert only["request"]["body"]["content"] == nested(90)
    assert "body" not in only["response"]
    assert pact["metadata"]["mockserver"]["left_out"] == {LARGE: 3}
    assert orjson.loads(orjson.dumps(pact)) == pact
