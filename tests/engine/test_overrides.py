"""Outcomes on demand: what stubs, preferences and faults make of an answer, whatever was asked."""

import json
from typing import Any

import pytest
from builders import ask, make_engine, make_request, queue, value_of
from document import operations

from mockserver.engine.engine import Engine
from mockserver.engine.overrides import StubError, read_rules
from mockserver.http import Response
from mockserver.openapi.requests import check_reply
from mockserver.sandbox.stubs.rules import Rule

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
KEYS = [each.value["operationId"] for each in operations().values()]


def install(engine: Engine, *definitions: dict[str, Any], token: str = "test", times: int | None = 1) -> list[Rule]:
    sandbox = engine.sandboxes.open(token)
    now = sandbox.clock.now()
    return sandbox.rules.install(read_rules(definitions, engine.services, origin="next", now=now, times=times))


def header(response: Response, name: str) -> str | None:
    return {each.lower(): value for each, value in response.headers}.get(name.lower())


# Stubs.


def test_a_stub_with_a_status_only_sends_the_documented_response() -> None:
    engine = make_engine()
    install(engine, {"operation": "queueBatch", "status": 402}, {"operation": "createChatCompletion", "status": 429})

    first = ask(engine, "POST", "/ai/batches", json={"prompts": ["a"]})
    second = ask(engine, "POST", "/v1/chat/completions", json=CHAT)

    assert (first.status, first.media_type, first.source) == (402, "text/plain", "stub")
    assert b"Credit balance is 0" in bytes(first.body)  # type: ignore[arg-type]  # whole
    assert (second.status, second.source) == (429, "stub")
    assert value_of(second)["error"]["type"] == "rate_limit_error"
    assert header(second, "X-Request-ID")


def test_a_stub_answers_before_authentication_and_has_no_other_effect() -> None:
    engine = make_engine()
    install(engine, {"status": 500}, token="default")

    assert ask(engine, "POST", "/ai/batches", json={"prompts": ["a"]}, token=None).status == 500
    assert ask(engine, "POST", "/ai/batches", json={"prompts": ["a"]}, token=None).status == 401
    assert not engine.sandboxes.open("default").batches


def test_the_envelope_of_each_api_carries_a_message() -> None:
    engine = make_engine()
    install(engine, {"reply": {"status": 500, "message": "Out of tea"}}, times=2)

    first = ask(engine, "GET", "/user")
    second = ask(engine, "GET", "/v1/models")

    assert first.body == b"Out of tea"
    assert value_of(second)["error"]["message"] == "Out of tea"
    assert value_of(second)["error"]["type"] == "server_error"


def test_headers_of_a_stub_are_added_to_the_documented_ones() -> None:
    engine = make_engine()
    install(engine, {"operation": "listModels", "reply": {"status": 429, "headers": {"Retry-After": 0, "X-A": "b"}}})

    response = ask(engine, "GET", "/v1/models")

    assert header(response, "Retry-After") == "0"
    assert header(response, "X-A") == "b"


def test_a_body_of_a_stub_is_sent_unchanged() -> None:
    engine = make_engine()
    body = [{"email": "a@example.com", "credits": 7}]
    install(engine, {"operation": "getUser", "reply": {"body": body, "headers": {"X-A": 1}}})

    response = ask(engine, "GET", "/user")

    assert (response.status, response.media_type, value_of(response)) == (200, "application/json", body)


@pytest.mark.parametrize("key", KEYS)
def test_every_documented_response_of_every_operation_can_be_forced(key: str) -> None:
    engine = make_engine(strict=True)
    (service,) = (each for each in engine.services if each.operation.key == key)
    operation = service.operation
    path = operation.path.replace("{", "").replace("}", "")

    for status in operation.statuses:
        install(engine, {"operation": key, "status": status})
        stubbed = ask(engine, operation.method, path)
        preferred = ask(engine, operation.method, path, headers={"prefer": f"code={status}"})
        fabricated = ask(engine, operation.method, path, query=f"__code={status}&__dynamic=true&__seed=7")

        assert [stubbed.status, preferred.status, fabricated.status] == [status] * 3
        assert stubbed.source == "stub"
        assert header(preferred, "Preference-Applied") == f"code={status}"
        for each in (stubbed, preferred, fabricated):
            assert check_reply(operation, each) == []


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"operation": "getUser", "status": 418}, "418, which getUser does not document"),
        ({"status": 429}, "429, which"),
        ({"operation": "getUser", "reply": {"body": {"email": "x"}}}, "getUser: "),
        ({"operation": "getUser", "reply": {"text": "hello"}}, "does not document 'text/plain' for 200"),
        ({"operation": "getUser", "reply": {"example": "no"}}, "no example 'no'"),
        ({"operation": "getUser", "reply": {"status": 200, "media_type": "text/html"}}, "text/html"),
        ({"operation": "getUser", "reply": {"status": 200, "message": "x"}}, "no wording for 200"),
    ],
)
def test_an_undocumented_reply_is_refused_when_it_is_installed(definition: dict[str, Any], said: str) -> None:
    engine = make_engine()

    with pytest.raises(StubError, match=said) as raised:
        install(engine, definition)

    assert 0 < len(raised.value.violations) <= 10
    assert engine.sandboxes.open("test").rules.installed == []


def test_several_operations_must_each_document_the_reply() -> None:
    engine = make_engine()

    with pytest.raises(StubError, match="429"):
        install(engine, {"path": "/ai/*", "status": 429})
    install(engine, {"path": "/v1/models", "status": 429}, {"path": "/v1/*", "method": "GET", "status": 401})


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        ({"operation": "getuser"}, "no operation has the key 'getuser'; the nearest key is getUser"),
        ({"operation": "fly"}, "no operation has the key 'fly'"),
        ({"path": "/v3/none"}, "no operation has the path '/v3/none'"),
        ({"operation": "getUser", "method": "PUT"}, "no operation has the key 'getUser' and the method 'PUT'"),
    ],
)
def test_a_stub_that_no_request_can_match_is_rejected(definition: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as raised:
        install(make_engine(), {**definition, "status": 500, "undocumented": True})

    assert str(raised.value) == said


@pytest.mark.parametrize("strict", [False, True])
def test_a_stub_marked_undocumented_is_sent(strict: bool) -> None:
    engine = make_engine(strict=strict)
    every = {"undocumented": True}
    install(
        engine,
        {"status": 418, "operation": "getUser", **every},
        {"status": 418, "operation": "listModels", **every},
        {"status": 299, "operation": "getUser", **every},
        {"status": 599, "operation": "getUser", **every},
        {"reply": {"text": "<p>", "media_type": "text/html"}, "operation": "getUser", **every},
    )

    teapot, other, odd, unnamed, page = (
        ask(engine, "GET", path) for path in ("/user", "/v1/models", "/user", "/user", "/user")
    )

    assert (teapot.status, teapot.body) == (418, b"I'm a Teapot")
    assert (other.status, value_of(other)["error"]["message"]) == (418, "I'm a Teapot")
    assert (odd.status, odd.media_type) == (299, "application/json")
    assert (unnamed.status, unnamed.body) == (599, b"The status is 599")
    assert (page.status, page.media_type, page.body) == (200, "text/html", b"<p>")


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("own", [{"text": "x"}, {"body": {}}, {"body": None}, {"body": ""}], ids=str)
@pytest.mark.parametrize("undocumented", [True, False])
def test_a_body_where_http_has_none_is_refused(status: int, own: dict[str, Any], undocumented: bool) -> None:
    definition = {"operation": "getUser", "reply": {"status": status, **own}, "undocumented": undocumented}

    with pytest.raises(StubError) as raised:
        install(make_engine(), definition)

    (name,) = own
    assert str(raised.value) == f"getUser: an answer with the status {status} has no body in HTTP; wanted no {name}"
    assert raised.value.violations[0].location == ("reply", name)


def test_a_body_is_refused_too_where_the_documented_success_has_none() -> None:
    with pytest.raises(StubError, match="archivePrompt: an answer with the status 204 has no body"):
        install(make_engine(), {"operation": "archivePrompt", "reply": {"text": "gone"}})


@pytest.mark.parametrize("status", [204, 205, 304])
@pytest.mark.parametrize("own", [{}, {"text": ""}], ids=str)
def test_a_documented_status_without_a_body_is_sent_without_one(status: int, own: dict[str, str]) -> None:
    engine = make_engine()
    install(engine, {"operation": "getUser", "reply": {"status": status, **own}, "undocumented": True})

    response = ask(engine, "GET", "/user")

    assert (response.status, response.body, response.source) == (status, b"", "stub")


def test_a_stub_that_is_no_longer_documented_gives_an_error() -> None:
    engine = make_engine()
    sandbox = engine.sandboxes.open("test")
    (rule,) = install(engine, {"operation": "getUser", "status": 500})
    sandbox.rules.installed = [rule._replace(reply={"status": 418})]  # as an import may bring it

    response = ask(engine, "GET", "/user")

    assert response.status == 500
    assert value_of(response)["title"] == "Undocumented Reply"


def test_stubs_change_no_later_ids() -> None:
    plain, stubbed = make_engine(), make_engine()
    install(stubbed, {"status": 500}, {"fault": {"type": "latency", "seconds": 1}, "times": 5})

    ask(stubbed, "POST", "/ai/batches", json={"prompts": ["a"]})

    assert queue(stubbed, "a") == queue(plain, "a")


# Faults.


def test_a_status_fault_has_the_apis_error_format_and_no_other_effect() -> None:
    engine = make_engine()
    fault = {"type": "status", "status": 503, "retry_after": 2}
    install(engine, {"fault": fault, "times": 2})

    first = ask(engine, "POST", "/ai/batches", json={"prompts": ["a"]})
    second = ask(engine, "POST", "/v1/chat/completions", json=CHAT)

    assert (first.status, first.media_type, first.source) == (503, "text/plain", "fault")
    assert value_of(second)["error"]["message"]
    assert header(first, "Retry-After") == header(second, "Retry-After") == "2"
    assert not engine.sandboxes.open("test").batches


def test_a_delivery_fault_breaks_the_response_of_a_request_that_took_effect() -> None:
    engine = make_engine()
    install(engine, {"fault": {"type": "reset"}})

    response = ask(engine, "POST", "/ai/batches", json={"prompts": ["a"]})

    assert response.disturbance is not None
    assert (response.status, response.source) == (202, "fault")
    assert len(engine.sandboxes.open("test").batches) == 1
    (exchange,) = engine.sandboxes.open("test").journal.find(lambda _: True)
    assert exchange.response.source == "fault"


def test_latency_keeps_the_source_of_the_response() -> None:
    engine = make_engine()
    install(engine, {"fault": {"type": "latency", "seconds": 1}}, {"fault": {"type": "latency", "seconds": 2}})

    response = ask(engine, "GET", "/user")

    assert (response.delay, response.source) == (3, "handler")


def test_a_fault_affects_rejections_too() -> None:
    engine = make_engine()
    install(engine, {"fault": {"type": "latency", "seconds": 1}}, token="default")

    response = ask(engine, "GET", "/user", token=None)

    assert (response.status, response.delay) == (401, 1)


# Preferences.


def test_a_preference_has_precedence_over_a_stub_and_does_not_use_it_up() -> None:
    engine = make_engine()
    install(engine, {"operation": "getUser", "status": 500}, {"fault": {"type": "latency", "seconds": 1}})

    preferred = ask(engine, "GET", "/user", headers={"prefer": "code=403"})

    assert (preferred.status, preferred.delay) == (403, 1)
    assert ask(engine, "GET", "/user").status == 500


def test_a_preference_needs_no_credential() -> None:
    assert ask(make_engine(), "GET", "/user", token=None, headers={"prefer": "code=200"}).status == 200


@pytest.mark.parametrize(
    ("prefer", "said"),
    [
        ("code=418", "418, which getUser does not document; it documents 200, 401"),
        ("code=200, example=nope", "no example 'nope' for 200; it has "),
        ("code=soon", "wanted a status"),
    ],
)
def test_a_preference_that_cannot_be_applied_is_rejected_with_a_reason(prefer: str, said: str) -> None:
    response = ask(make_engine(strict=True), "GET", "/user", headers={"prefer": prefer})

    assert (response.status, response.media_type) == (400, "application/problem+json")
    assert said in value_of(response)["detail"]


def test_an_example_is_found_by_its_name() -> None:
    engine = make_engine()
    named = [
        (each.operation, status, name)
        for each in engine.services
        for status in each.operation.statuses
        for name in each.operation.responses[str(status)].examples
        if name != "default"
    ]
    assert named

    for operation, status, name in named:
        path = operation.path.replace("{", "").replace("}", "")
        wish = f"code={status}, example={json.dumps(name)}"
        response = ask(engine, operation.method, path, headers={"prefer": wish})
        alone = ask(engine, operation.method, path, query={"__example": name})

        assert response.status == status
        assert (header(response, "Preference-Applied") or "").startswith(f"code={status}, example=")
        assert name in operation.responses[str(alone.status)].examples


def test_a_generated_response_depends_on_its_seed() -> None:
    engine, again = make_engine(), make_engine()

    found = [
        [ask(each, "GET", "/user", query={"__dynamic": "true", "__seed": seed}).body for seed in (1, 2)]
        for each in (engine, again)
    ]

    assert found[0] == found[1]
    assert found[0][0] != found[0][1]
    assert ask(engine, "GET", "/user", query="__seed=1").body == found[0][0]


def test_preferences_in_the_query_are_no_arguments() -> None:
    engine = make_engine(strict=True)

    assert ask(engine, "GET", "/user", query="__dynamic=false").status == 200
    assert ask(engine, "GET", "/user", query="__other=1").status == 422
    assert ask(engine, "GET", "/user", headers={"prefer": "respond-async, wait=10"}).source == "handler"


def test_without_magic_preferences_in_the_query_are_ordinary_arguments() -> None:
    engine = make_engine(magic=False, strict=True)

    assert ask(engine, "GET", "/user", headers={"prefer": "code=403"}).status == 200
    assert ask(engine, "GET", "/user", query="__code=403").status == 422


def test_the_journal_holds_the_request_unchanged() -> None:
    engine = make_engine()
    engine.handle(make_request("GET", "/user", query="a=1&__code=402"))

    (exchange,) = engine.sandboxes.open("test").journal.find(lambda _: True)

    assert exchange.request.query == "a=1&__code=402"
    assert exchange.operation == "getUser"
