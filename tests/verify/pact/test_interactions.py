"""One exchange as an interaction of a Pact file: what it says of request and answer, and which exchanges are none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import make_document, make_engine, write_json

from mockserver.api.provider import BoundOperation
from mockserver.errors import Reason
from mockserver.http import Request, Response
from mockserver.sandbox.journal import Exchange
from mockserver.verify.pact.interactions import (
    FAILED,
    INVALID,
    LARGE,
    MAX_BODY,
    ON_REQUEST,
    UNKNOWN,
    Interaction,
    InteractionReader,
    json_body,
    provider_name,
)

ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
JOB = {
    "type": "object",
    "properties": {
        "status": {"enum": ["queued", "done"]},
        "state": {"enum": ["on", "off"]},
        "phase": {"enum": ["a", "b"]},
        "kind": {"const": "job"},
    },
}


def answer(schema: Any = None, *, media_type: str = "application/json", headers: Any = None) -> dict[str, Any]:
    content = {media_type: {"schema": schema or {"type": "object"}}}
    return {"description": "Fine.", "content": content, "headers": headers or {}}


REQUIRED = {name: {"required": True, "schema": {"type": "string"}} for name in ("X-Needed", "Content-Type")}
OPTIONAL = {"X-Optional": {"required": False, "schema": {"type": "string"}}}


def operation(key: str, *names: str, security: str = "", **responses: Any) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
        for place, _, name in (each.partition(":") for each in names)
    ]
    answers = {status.removeprefix("_"): each for status, each in responses.items()} or {"200": answer(JOB)}
    needed: dict[str, Any] = {"security": [{security: []}]} if security else {"security": []}
    return {"operationId": key, "parameters": parameters, "responses": answers, **needed}


SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "query": {"type": "apiKey", "in": "query", "name": "api_key"},
    "header": {"type": "apiKey", "in": "header", "name": "X-Key"},
    "cookie": {"type": "apiKey", "in": "cookie", "name": "session"},
}
DOCUMENT = make_document(
    {
        "/jobs": {
            "get": operation("listJobs", "header:X-Kind", _200=answer(JOB, headers=REQUIRED | OPTIONAL)),
            "post": operation("createJob", _201=answer(JOB), _300=answer(JOB), _299=answer(JOB))
            | {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
        },
        "/jobs/{job-id}": {"get": operation("getJob", "path:job-id")},
        "/jobs/{job-id}/parts/{part}": {"get": operation("getPart", "path:job-id", "path:part")},
        "/text": {"get": operation("getText", _200=answer(media_type="text/plain"))},
        **{f"/{name}": {"get": operation(name, security=name)} for name in SCHEMES},
    },
    components={"securitySchemes": SCHEMES},
)
Services = Mapping[str, BoundOperation]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    path: Path = write_json(tmp_path_factory.mktemp("pact") / "jobs.json", DOCUMENT)
    return {each.operation.key: each for each in make_engine(spec=(str(path),)).services}


def sent(path: str = "/jobs", query: str = "", *, method: str = "GET", body: Any = None, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and not isinstance(body, bytes):
        body, named = orjson.dumps(body), {"content-type": "application/json", **named}
    return Request(method, path, query, named, body or b"")


def json_answer(value: Any, status: int = 200, **more: Any) -> Response:
    return Response(status, "application/json", orjson.dumps(value), **more)


def exchange(key: str, request: Request, response: Response | None = None, reason: str = "") -> Exchange:
    return Exchange(1, 0.0, key, request, response if response is not None else json_answer({"n": 1}), reason, ())


def read(services: Services, *exchanges: Exchange) -> dict[str, Any]:
    """The interaction of the last one."""
    reader = InteractionReader(services)
    found = [reader.read(each) for each in exchanges][-1]
    assert isinstance(found, Interaction), found
    return dict(found.value)


def test_an_exchange_is_written_as_the_specification_says(services: Services) -> None:
    found = read(services, exchange("listJobs", sent(), json_answer({"n": 1})))

    assert len(found.pop("key")) == 16
    assert found == {
        "type": "Synchronous/HTTP",
        "description": "GET /jobs answers 200",
        "pending": False,
        "providerStates": [],
        "request": {"method": "GET", "path": "/jobs"},
        "response": {
            "status": 200,
            "headers": {"Content-Type": ["application/json"]},
            "body": {"content": {"n": 1}, "contentType": "application/json", "encoded": False},
            "matchingRules": {
                "header": {
                    "Content-Type": {
                        "combine": "AND",
                        "matchers": [{"match": "regex", "regex": r"application/json(\s*;.*)?"}],
                    }
                },
                "body": {"$.n": {"combine": "AND", "matchers": [{"match": "integer"}]}},
            },
        },
    }


def test_another_document_is_called_by_its_title_and_a_provider_by_its_tag(services: Services) -> None:
    assert provider_name(services["listJobs"]) == "Other"
    assert {provider_name(each) for each in make_engine().services} == {"Agent First", "AgileCloud"}
    reader = InteractionReader(services)
    found = reader.read(exchange("listJobs", sent()))
    assert isinstance(found, Interaction)
    assert found.provider == "Other"


FLAT = orjson.dumps([{}] * 200)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (exchange("listJobs", sent(), reason=Reason.INVALID), INVALID),
        (exchange("listJobs", sent(), reason=Reason.UNSUPPORTED_MEDIA_TYPE), INVALID),
        (exchange("listJobs", sent(), json_answer({}, headers=(("Preference-Applied", "x"),))), ON_REQUEST),
        (exchange("listJobs", sent(), json_answer({}, source="stub")), ON_REQUEST),
        (exchange("listJobs", sent(), json_answer({}, source="fault")), ON_REQUEST),
        (exchange("listJobs", sent(), json_answer({}, source="proxy")), ON_REQUEST),
        (exchange("createJob", sent(method="POST", body={"x": "[mock:fail]"})), ON_REQUEST),
        (exchange("listJobs", sent(), json_answer({}, 500)), FAILED),
        (exchange("listJobs", sent(), json_answer({}, 503)), FAILED),
        (exchange("listJobs", sent(), reason=Reason.TIMED_OUT), FAILED),
        (exchange("listJobs", sent(), reason=Reason.UNAVAILABLE), FAILED),
        (exchange("listJobs", sent(), reason=Reason.FAILED), FAILED),
        (exchange("createJob", sent(method="POST", body=b"x" * (MAX_BODY + 1))), LARGE),
        (exchange("createJob", sent(method="POST", body=deep(101))), LARGE),
        (exchange("createJob", sent(method="POST", body=b'{"a":' * 101 + b"1" + b"}" * 101)), LARGE),
        (exchange("nothing", sent()), UNKNOWN),
        (exchange("", sent()), UNKNOWN),
    ],
)
def test_what_no_client_can_rely_on_is_left_out_and_the_file_says_why(
    services: Services, given: Exchange, why: str
) -> None:
    assert InteractionReader(services).read(given) == why


def test_the_reasons_are_sentences() -> None:
    assert (INVALID, ON_REQUEST, UNKNOWN, FAILED, LARGE) == (
        "not allowed by the document",
        "answered on demand (stub, fault, Prefer, magic token or marker)",
        "no documented operation",
        "server error",
        "body too large, or nested too deeply",
    )


@pytest.mark.parametrize(
    "given",
    [
        exchange("listJobs", sent(), json_answer({}, 499)),
        exchange("listJobs", sent(), reason=Reason.CONFLICT),
        exchange("listJobs", sent(), reason=Reason.RATE_LIMITED),
        exchange("listJobs", sent(), json_answer({}, source="generated")),
        exchange("createJob", sent(method="POST", body=b"x" * MAX_BODY)),
        exchange("createJob", sent(method="POST", body=deep(100))),
        exchange("createJob", sent(method="POST", body=FLAT)),
        exchange("createJob", sent(method="POST", body=b"[" * 200)),
    ],
)
def test_everything_else_is_an_interaction(services: Services, given: Exchange) -> None:
    assert isinstance(InteractionReader(services).read(given), Interaction)


def test_a_requests_body_has_up_to_256_kib() -> None:
    assert MAX_BODY == 262_144


def test_addresses_of_persons_are_replaced(services: Services) -> None:
    given = exchange(
        "createJob",
        sent(method="POST", body={"to": "Ann.B+x%1@mail.corp-1.example"}),
        json_answer({"from": "_b-c@x.io", "no": ["a@b", "a@b.c", "@corp.example"]}, 201),
    )

    found = read(services, given)

    assert found["request"]["body"]["content"] == {"to": "redacted@example.com"}
    assert found["response"]["body"]["content"] == {"from": "redacted@example.com", "no": ["a@b"]}


def test_a_streamed_answer_has_no_body(services: Services) -> None:
    found = read(services, exchange("listJobs", sent(), Response(200, "text/event-stream", iter([b"a@b.example"]))))

    assert "body" not in found["response"]
    assert found["response"]["matchingRules"] == {
        "header": {
            "Content-Type": {
                "combine": "AND",
                "matchers": [{"match": "regex", "regex": r"text/event-stream(\s*;.*)?"}],
            }
        }
    }


def test_an_answer_without_a_media_type_has_a_status_only(services: Services) -> None:
    found = read(services, exchange("listJobs", sent(), Response(200)))

    assert found["response"] == {"status": 200}
    assert "matchingRules" not in found["response"]


@pytest.mark.parametrize(
    ("response", "value"),
    [
        (json_answer([1]), [1]),
        (Response(200, "application/problem+json; charset=utf-8", b"{}"), {}),
        (Response(200, "text/plain", b"{}"), None),
        (Response(200, "application/json", b"{"), None),
        (Response(200, "application/json", iter([b"{}"])), None),
        (Response(200, "application/json", deep(101)), None),
    ],
)
def test_the_json_of_an_answer_is_read_if_it_is_some(response: Response, value: Any) -> None:
    assert json_body(response) == value


def test_a_media_type_is_compared_without_its_parameters(services: Services) -> None:
    answered = Response(200, "Application/Problem+json; charset=utf-8", b"{}")

    found = read(services, exchange("listJobs", sent(), answered))["response"]

    assert found["headers"] == {"Content-Type": ["Application/Problem+json; charset=utf-8"]}
    assert found["matchingRules"]["header"]["Content-Type"]["matchers"] == [
        {"match": "regex", "regex": r"application/problem\+json(\s*;.*)?"}
    ]
    assert found["body"]["contentType"] == "application/problem+json"


def test_headers_are_those_that_the_document_requires_and_those_that_clients_act_upon(services: Services) -> None:
    headers = ("X-Needed", "X-Optional", "X-Other", "Location", "Retry-After", "content-type")
    answered = json_answer({}, headers=tuple((name, f"{name}!") for name in headers))

    found = read(services, exchange("listJobs", sent(), answered))["response"]

    assert found["headers"] == {
        "Content-Type": ["application/json"],
        "X-Needed": ["X-Needed!"],
        "Location": ["Location!"],
        "Retry-After": ["Retry-After!"],
    }
    some = {"combine": "AND", "matchers": [{"match": "regex", "regex": ".+"}]}
    assert {name: found["matchingRules"]["header"][name] for name in ("X-Needed", "Location", "Retry-After")} == {
        "X-Needed": some,
        "Location": some,
        "Retry-After": some,
    }
    undocumented = read(services, exchange("listJobs", sent(), json_answer({}, 404, headers=answered.headers)))
    assert sorted(undocumented["response"]["headers"]) == ["Content-Type", "Location", "Retry-After"]


@pytest.mark.parametrize(("size", "kept"), [(1, 1), (1000, 1000), (1001, 1000)])
def test_of_a_text_the_first_1000_bytes_are_shown_and_any_other_is_as_good(
    services: Services, size: int, kept: int
) -> None:
    found = read(services, exchange("getText", sent("/text"), Response(200, "text/plain", b"x" * size)))["response"]

    assert found["body"] == {"content": "x" * kept, "contentType": "text/plain", "encoded": False}
    assert found["matchingRules"]["body"] == {
        "$": {"combine": "AND", "matchers": [{"match": "regex", "regex": r"[\s\S]+"}]}
    }


@pytest.mark.parametrize("media_type", ["text/plain", "text/csv"])
def test_an_empty_text_and_another_media_type_have_no_body(services: Services, media_type: str) -> None:
    answered = Response(200, media_type, b"a,b" if media_type == "text/csv" else b"")

    assert "body" not in read(services, exchange("getText", sent("/text"), answered))["response"]


def test_a_text_that_is_no_utf_8_is_shown_with_replacements(services: Services) -> None:
    found = read(services, exchange("getText", sent("/text"), Response(200, "text/plain", b"a\xff")))

    assert found["response"]["body"]["content"] == "a\ufffd"


def test_the_query_is_a_list_of_values_for_each_name(services: Services) -> None:
    found = read(services, exchange("listJobs", sent(query="a=1&b=&a=2%20&c")))

    assert found["request"]["query"] == {"a": ["1", "2 "], "b": [""], "c": [""]}


def test_the_path_is_encoded_as_little_as_possible(services: Services) -> None:
    found = read(services, exchange("getJob", sent("/jobs/a b:@!$&'()*+,;=~-._\u00e4%?")))

    assert found["request"]["path"] == "/jobs/a%20b:@!$&'()*+,;=~-._%C3%A4%25%3F"


def test_documented_headers_are_sent_and_others_are_not(services: Services) -> None:
    found = read(services, exchange("listJobs", sent(x_kind="a", x_other="b", content_type="text/x")))
    assert found["request"]["headers"] == {"x-kind": ["a"]}
    given = exchange("createJob", sent(method="POST", body={"a": 1}, x_kind="a"))

    assert read(services, given)["request"] == {
        "method": "POST",
        "path": "/jobs",
        "headers": {"Content-Type": ["application/json"]},
        "body": {"content": {"a": 1}, "contentType": "application/json", "encoded": False},
    }


CREDENTIALS = {
    "bearer": (sent("/bearer", authorization="Bearer s3cret-token"), "headers", "Authorization", "Bearer [redacted]"),
    "header": (sent("/header", x_key="s3cret-token"), "headers", "X-Key", "[redacted]"),
    "cookie": (sent("/cookie", cookie="session=s3cret-token"), "headers", "Cookie", "session=[redacted]"),
    "query": (sent("/query", "api_key=s3cret-token"), "query", "api_key", "[redacted]"),
}


@pytest.mark.parametrize("scheme", CREDENTIALS)
def test_a_credential_is_replaced_by_the_one_of_a_state_handler(services: Services, scheme: str) -> None:
    request, part, name, text = CREDENTIALS[scheme]

    found = read(services, exchange(scheme, request))

    assert found["providerStates"] == [{"name": "the credential is valid", "params": {}}]
    assert found["request"][part] == {name: [text]}
    assert found["request"]["generators"] == {
        "query" if part == "query" else "header": {
            name: {
                "type": "ProviderState",
                "expression": text.replace("[redacted]", "${token}"),
                "dataType": "STRING",
            }
        }
    }


def test_an_empty_credential_in_the_query_is_one(services: Services) -> None:
    found = read(services, exchange("query", sent("/query", "api_key="), json_answer({}, 401), Reason.UNAUTHENTICATED))

    assert found["providerStates"] == [{"name": "the credential is not valid", "params": {}}]


@pytest.mark.parametrize("reason", [Reason.UNAUTHENTICATED, Reason.FORBIDDEN])
@pytest.mark.parametrize("scheme", CREDENTIALS)
def test_an_invalid_credential_is_sent_as_it_is_written(services: Services, scheme: str, reason: Reason) -> None:
    request, part, name, text = CREDENTIALS[scheme]

    found = read(services, exchange(scheme, request, json_answer({}, 401), reason))

    assert found["providerStates"] == [{"name": "the credential is not valid", "params": {}}]
    assert found["request"][part] == {name: [text]}
    assert "generators" not in found["request"]


@pytest.mark.parametrize("scheme", CREDENTIALS)
def test_a_request_without_a_credential_has_no_state(services: Services, scheme: str) -> None:
    found = read(services, exchange(scheme, sent(f"/{scheme}"), json_answer({}, 401), Reason.UNAUTHENTICATED))

    assert found["providerStates"] == []
    assert found["request"] == {"method": "GET", "path": f"/{scheme}"}


@pytest.mark.parametrize(
    ("reason", "status", "state"),
    [(Reason.NO_CREDITS, 402, "the account has no credits"), (Reason.RATE_LIMITED, 429, "the rate limit is exceeded")],
)
def test_a_rejection_that_depends_on_the_account_has_a_state(
    services: Services, reason: Reason, status: int, state: str
) -> None:
    found = read(services, exchange("listJobs", sent(), json_answer({}, status), reason))

    assert found["providerStates"] == [{"name": state, "params": {}}]


CREATED = exchange("createJob", sent(method="POST", body={}), json_answer({"id": ID, "status": "queued"}, 201))


def test_an_id_that_an_answer_told_is_asked_of_a_state_handler(services: Services) -> None:
    polled = exchange("getJob", sent(f"/jobs/{ID}"), json_answer({"id": ID, "status": "done", "kind": "job"}))

    found = read(services, CREATED, polled)

    assert found["description"] == "GET /jobs/{job-id} answers 200 with status done"
    assert found["providerStates"] == [
        {"name": "job_id comes from POST /jobs, and status is done", "params": {"job_id": ID, "status": "done"}}
    ]
    assert found["request"] == {
        "method": "GET",
        "path": f"/jobs/{ID}",
        "generators": {"path": {"type": "ProviderState", "expression": "/jobs/${job_id}", "dataType": "STRING"}},
    }
    rules = found["response"]["matchingRules"]["body"]
    assert {name: each["matchers"] for name, each in rules.items()} == {
        "$.id": [{"match": "type"}],
        "$.status": [{"match": "equality"}],
        "$.kind": [{"match": "equality"}],
    }


def test_an_answer_without_status_needs_no_status_of_what_is_read_and_the_latest_of_what_is_used(
    services: Services,
) -> None:
    plain = exchange("getPart", sent(f"/jobs/{ID}/parts/one"), json_answer({"n": 1}))
    assert read(services, CREATED, plain)["providerStates"] == [
        {"name": "job_id comes from POST /jobs", "params": {"job_id": ID}},
        {"name": "part exists", "params": {"part": "one"}},
    ]
    done = exchange("getJob", sent(f"/jobs/{ID}"), json_answer({"id": ID, "status": "done"}))
    used = exchange("createJob", sent(method="POST", body={"job_id": ID, "name": "x"}), json_answer({}, 201))

    found = read(services, CREATED, done, used)

    assert found["providerStates"] == [
        {"name": "job_id comes from POST /jobs, and status is done", "params": {"job_id": ID, "status": "done"}}
    ]
    assert found["request"]["generators"] == {
        "body": {"$.job_id": {"type": "ProviderState", "expression": "${job_id}", "dataType": "STRING"}}
    }


def test_an_id_in_the_query_is_asked_of_a_state_handler(services: Services) -> None:
    listed = exchange("listJobs", sent(query=f"after_id={ID}&x=1"), json_answer({"state": "on", "status": "queued"}))

    found = read(services, CREATED, listed)

    assert found["description"] == "GET /jobs answers 200 with status queued with state on"
    assert found["request"]["generators"] == {
        "query": {"after_id": {"type": "ProviderState", "expression": "${after_id}", "dataType": "STRING"}}
    }


def test_what_is_not_found_does_not_exist(services: Services) -> None:
    lost = exchange("getPart", sent("/jobs/x/parts/y"), json_answer({}, 404), Reason.NOT_FOUND)
    assert read(services, lost)["providerStates"] == [
        {"name": "job_id does not exist", "params": {"job_id": "x"}},
        {"name": "part does not exist", "params": {"part": "y"}},
    ]
    busy = exchange("getPart", sent("/jobs/x/parts/y"), json_answer({}, 409), Reason.CONFLICT)

    assert read(services, busy)["providerStates"] == []


def test_an_id_is_known_from_an_answer_that_is_no_interaction(services: Services) -> None:
    forced = CREATED._replace(response=CREATED.response._replace(source="stub"))
    polled = exchange("getJob", sent(f"/jobs/{ID}"), json_answer({}))

    assert read(services, forced, polled)["providerStates"] == [
        {"name": "job_id comes from POST /jobs", "params": {"job_id": ID}}
    ]
    used = exchange("createJob", sent(method="POST", body={"job_id": ID}), json_answer({}, 201))
    assert read(services, forced, used)["providerStates"][0]["name"] == (
        "job_id comes from POST /jobs, and status is queued"
    )


@pytest.mark.parametrize(
    ("status", "value", "said"),
    [
        (200, {"status": "done"}, " with status done"),
        (200, {"status": "lost"}, ""),
        (200, {"status": 5}, ""),
        (200, {"phase": "a", "kind": "job"}, ""),
        (200, [], ""),
        (404, {"status": "done"}, ""),
    ],
)
def test_a_status_is_told_if_the_document_names_the_possible_ones(
    services: Services, status: int, value: Any, said: str
) -> None:
    found = read(services, CREATED, exchange("getJob", sent(f"/jobs/{ID}"), json_answer(value, status)))

    assert found["description"] == f"GET /jobs/{{job-id}} answers {status}{said}"


@pytest.mark.parametrize(("status", "said"), [(299, ", and status is queued"), (300, "")])
def test_the_status_of_a_resource_is_read_from_successes(services: Services, status: int, said: str) -> None:
    made = CREATED._replace(response=CREATED.response._replace(status=status))
    used = exchange("createJob", sent(method="POST", body={"job_id": ID}), json_answer({}, 201))

    assert read(services, made, used)["providerStates"][0]["name"] == f"job_id comes from POST /jobs{said}"


def test_exchanges_of_one_form_have_one_key(services: Services) -> None:
    def key(request: Request, response: Response | None = None, reason: str = "") -> str:
        operation = "createJob" if request.method == "POST" else "listJobs"
        return str(read(services, exchange(operation, request, response, reason))["key"])

    same = {
        key(sent(query="b=1&a=2"), json_answer({"n": 1, "m": "x"})),
        key(sent(query="a=3&b="), json_answer({"m": "y", "n": 2})),
    }
    others = [
        key(sent(query="a=1&b=1&c=1"), json_answer({"n": 1, "m": "x"})),
        key(sent(query="b=1&a=2"), json_answer({"n": 1.5, "m": "x"})),
        key(sent(query="b=1&a=2"), json_answer({"n": 1, "m": "x"}, 202)),
        key(sent(query="b=1&a=2"), json_answer({"n": 1, "m": "x"}), Reason.RATE_LIMITED),
        key(sent(method="POST", body={"a": 1})),
        key(sent(method="POST", body={"a": "x"})),
    ]

    assert len(same) == 1
    assert len({*same, *others}) == 1 + len(others)
