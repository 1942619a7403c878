"""What a journal shows of batches: which answers count, which requests are equal, and how long a client waited."""

from typing import Any

import orjson
import pytest

from mockserver.api.client_rules import ClientRules
from mockserver.http import Request, Response
from mockserver.openapi.document import OpenApiDocument
from mockserver.sandbox.journal import Exchange
from mockserver.verify.batch_history import BatchTraces, elapsed, fingerprint, read_traces

RULES = ClientRules(
    create="addJob",
    status=("readJob", "listJobs"),
    id=("path", "job_id"),
    ends=frozenset({"done", "failed"}),
    unfinished_ends=frozenset({"failed"}),
    batch_state=lambda *_: None,
    failed=("counts", "failed"),
    download="readContent",
    error_file="error_file_id",
)
OPERATIONS = {
    each.key: each
    for each in OpenApiDocument(
        {
            "openapi": "3.1.0",
            "paths": {
                "/jobs": {
                    "post": {"operationId": "addJob", "responses": {}},
                    "get": {"operationId": "listJobs", "responses": {}},
                },
                "/jobs/{job_id}/state": {"get": {"operationId": "readJob", "responses": {}}},
            },
        },
        "doc.yaml",
    ).operations
}


def exchange(operation: str, value: Any = None, number: int = 1, at: float = 0.0, **changes: Any) -> Exchange:
    method = changes.pop("method", "POST" if operation == "addJob" else "GET")
    request = Request(method, changes.pop("path", "/jobs"), changes.pop("query", ""), {}, b"")
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    response = Response(
        changes.pop("status", 200),
        changes.pop("media_type", "application/json"),
        body,
        source=changes.pop("source", ""),
    )
    return Exchange(number, at, operation, request, response, "", ())


def traces_of(*exchanges: Exchange, rules: ClientRules = RULES) -> BatchTraces:
    return read_traces(rules, exchanges, OPERATIONS)


READ = "/jobs/a/state"


def test_a_batch_is_followed_from_its_creation_through_its_reads() -> None:
    traces = traces_of(
        exchange("addJob", {"id": "a", "status": "new"}, 1),
        exchange("readJob", {"status": "runs"}, 2, path=READ),
        exchange("listJobs", {"data": [{"id": "a", "status": "done"}, {"id": "b"}, {"id": 5}, "c"]}, 3),
        exchange("readContent", b"x", 4),
        exchange("readContent", b"", 5, method="HEAD"),
        exchange("other", {"id": "d"}, 6),
    )

    assert [(each.exchange.number, each.is_read) for each in traces.by_id["a"].sightings] == [
        (1, False),
        (2, True),
        (3, False),
    ]
    assert set(traces.by_id) == {"a", "b"}
    assert traces.by_id["a"].created is traces.creations[0]
    assert traces.by_id["b"].created is None
    assert [each.number for each in traces.downloads] == [4]


@pytest.mark.parametrize("changes", [{"status": 300}, {"status": 503}, {"source": "fault"}, {"source": "fault:cut"}])
def test_an_answer_that_the_client_did_not_get_is_passed_over(changes: dict[str, Any]) -> None:
    traces = traces_of(
        exchange("addJob", {"id": "a"}, 1, **changes),
        exchange("addJob", {"id": "b"}, 2, status=299),
    )

    assert set(traces.by_id) == {"b"}


@pytest.mark.parametrize(
    ("body", "media_type"), [(b"{", "application/json"), (b"[1]", "application/json"), (b'{"id": "a"}', "text/plain")]
)
def test_a_body_that_is_no_json_object_tells_no_id(body: bytes, media_type: str) -> None:
    assert traces_of(exchange("addJob", body, media_type=media_type)).by_id == {}


def test_a_batch_may_be_named_in_the_query() -> None:
    rules = RULES._replace(id=("query", "id"))

    assert set(traces_of(exchange("readJob", {"status": "new"}, query="x=1&id=ABC"), rules=rules).by_id) == {"abc"}
    assert traces_of(exchange("readJob", {"status": "new"}, query="x=1"), rules=rules).by_id == {}


@pytest.mark.parametrize(
    ("value", "is_over", "is_lost", "failures"),
    [
        ({"status": "done"}, True, False, 0),
        ({"status": "failed"}, True, True, 0),
        ({"status": "runs"}, False, False, 0),
        ({"status": "runs", "counts": {"failed": 2}}, False, True, 2),
        ({"status": "runs", "counts": {"failed": "2"}}, False, False, 0),
        ({"status": "runs", "counts": 5}, False, False, 0),
        ({"results": []}, True, False, 0),
    ],
)
def test_the_end_of_a_batch_is_read_from_its_status(
    value: dict[str, Any], is_over: bool, is_lost: bool, failures: int
) -> None:
    traces = traces_of(exchange("readJob", value, path=READ))
    (sighting,) = traces.by_id["a"].sightings

    assert (traces.is_over(sighting), traces.is_lost(sighting), traces.failures(sighting)) == (
        is_over,
        is_lost,
        failures,
    )


def test_an_answer_without_a_status_is_an_end_only_where_it_was_asked_for() -> None:
    traces = traces_of(exchange("addJob", {"id": "a", "error_file_id": "f"}))
    (sighting,) = traces.by_id["a"].sightings

    assert not traces.is_over(sighting)
    assert traces.error_file(sighting) == "f"
    assert traces._replace(client_rules=RULES._replace(error_file="")).error_file(sighting) == ""
    assert traces._replace(client_rules=RULES._replace(failed=())).failures(sighting) == 0


@pytest.mark.parametrize(
    ("first", "second", "waits", "seconds"),
    [
        (10.0, 15.0, {}, 5.0),
        (10.0, 10.0, {}, None),
        (10.0, 10.0, {1: 100.0}, None),
        (10.0, 15.0, {1: 100.0}, None),
        (10.0, 15.0, {2: 100.0}, 5.0),
        (10.0, 10.0, {1: 100.0, 2: 107.0}, 7.0),
        (10.0, 15.0, {1: 100.0, 2: 107.0}, 7.0),
        (10.0, 20.0, {1: 100.0, 2: 107.0}, 10.0),
    ],
)
def test_a_wait_is_the_longer_of_both_clocks(
    first: float, second: float, waits: dict[int, float], seconds: float | None
) -> None:
    assert elapsed(exchange("a", number=1, at=first), exchange("a", number=2, at=second), waits) == seconds


def request(**changes: Any) -> Request:
    given = {"method": "POST", "path": "/a", "query": "", "headers": {"authorization": "Bearer x"}, "body": b'{"a":1}'}
    return Request(**{**given, **changes})


def test_equal_requests_of_one_account_have_one_fingerprint() -> None:
    assert fingerprint(request()) == fingerprint(request(body=b'{ "a": 1 }', headers={"authorization": "Bearer x"}))
    assert fingerprint(request()) == fingerprint(request(headers={"authorization": "Bearer x", "accept": "*/*"}))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"path": "/b"},
        {"query": "a=1"},
        {"body": b'{"a":2}'},
        {"body": b"{"},
        {"headers": {"authorization": "Bearer y"}},
        {"headers": {}},
    ],
)
def test_a_request_that_differs_in_one_part_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(request()) != fingerprint(request(**changes))


def test_a_form_has_no_fingerprint() -> None:
    assert fingerprint(request(headers={"content-type": "Multipart/form-data; boundary=x"})) is None
