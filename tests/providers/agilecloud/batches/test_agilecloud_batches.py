"""AgileCloud's batches: refused or taken, listed, and seen by nobody else."""

from typing import Any

import pytest
from batch_client import DAY, BatchClient, chats, counts_of, times_of
from builders import value_of

from mockserver.providers.agilecloud.batches.job import jobs_of


@pytest.fixture(scope="module")
def desk() -> BatchClient:
    """Immediate, and shared: no test here looks at another's batches."""
    return BatchClient()


# Creating.


def test_a_fresh_batch_has_done_nothing_yet(desk: BatchClient) -> None:
    batch = desk.create(chats(3), metadata={"run": "7"})

    assert batch == {
        **dict.fromkeys(batch),
        "id": batch["id"],
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": batch["input_file_id"],
        "completion_window": "24h",
        "status": "validating",
        "created_at": desk.now,
        "expires_at": desk.now + DAY,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": {"run": "7"},
    }


@pytest.mark.parametrize(
    ("changes", "param", "code", "message"),
    [
        (
            {"endpoint": "/v1/invalid/endpoint"},
            "endpoint",
            "invalid_value",
            "Invalid value: '/v1/invalid/endpoint'. Supp",
        ),
        (
            {"completion_window": "48h"},
            "completion_window",
            "invalid_value",
            "Invalid value: '48h'. Supported values are",
        ),
        (
            {"input_file_id": "wrong-id"},
            "input_file_id",
            "invalid_value",
            "Invalid 'input_file_id': 'wrong-id'. Expected an ID that begins with 'file'.",
        ),
        (
            {"metadata": {"tags": []}},
            "metadata.tags",
            "invalid_type",
            "Invalid type for 'metadata.tags': expected a string, but got an array instead.",
        ),
        (
            {"metadata": {str(n): "x" for n in range(17)}},
            "metadata",
            "object_above_max_properties",
            "Invalid 'metadata': object with",
        ),
        (
            {"metadata": {"k": "x" * 513}},
            "metadata.k",
            "string_above_max_length",
            "Invalid 'metadata.k': string too long.",
        ),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 3599}},
            "output_expires_after.seconds",
            "integer_below_min_value",
            "Invalid 'output_expires_after.seconds'",
        ),
    ],
)
def test_an_invalid_batch_is_rejected_at_once(
    desk: BatchClient, changes: Any, param: str, code: str, message: str
) -> None:
    body = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h", **changes}

    status, error = desk.refusal("POST", "/v1/batches", json=body)

    assert (status, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)
    assert error["message"].startswith(message)


@pytest.mark.parametrize("metadata", [None, {}, {"k" * 64: "v" * 512}, {str(n): "" for n in range(16)}])
def test_metadata_is_returned_unchanged(desk: BatchClient, metadata: Any) -> None:
    assert desk.run(chats(1), metadata=metadata)["metadata"] == metadata


@pytest.mark.parametrize("purpose", ["", "other's"])
def test_a_file_that_is_no_input_fails_the_batch_later(desk: BatchClient, purpose: str) -> None:
    id_ = "file-nowhere"
    if purpose:
        id_ = desk.put(chats(1), purpose.replace("other's", "batch"), account="bob" if purpose == "other's" else "")

    fresh = desk.create(id_)
    batch = desk.read(fresh["id"])

    message = f"Cannot find file {id_}, or organization mockserver does not have access to it."
    [error] = batch["errors"]["data"]
    assert fresh["errors"] is None
    assert batch["status"] == "failed"
    assert error == {"code": "invalid_request", "message": message, "param": "file_id", "line": None}
    assert times_of(batch) == {"failed": 0}


def test_a_batch_continues_after_its_input_is_deleted() -> None:
    desk = BatchClient(progression="time:100")
    batch = desk.create(chats(5))
    desk.ask("DELETE", f"/v1/files/{batch['input_file_id']}")

    desk.sandbox.clock.advance(100)

    assert counts_of(desk.read(batch["id"])) == (5, 5, 0)


# Listing.


def test_batches_are_listed_newest_first_in_pages() -> None:
    desk = BatchClient()
    ids = [desk.create(chats(1))["id"] for _ in range(5)][::-1]

    def page(**query: Any) -> tuple[list[str], bool]:
        found = value_of(desk.ask("GET", "/v1/batches", query=query))
        listed = [each["id"] for each in found["data"]]
        assert (found["first_id"], found["last_id"]) == ((listed[0], listed[-1]) if listed else (None, None))
        return listed, found["has_more"]

    assert page() == (ids, False)
    assert page(limit=2) == (ids[:2], True)
    assert page(limit=2, after=ids[1]) == (ids[2:4], True)
    assert page(limit=2, after=ids[3]) == (ids[4:], False)
    assert page(after=ids[4]) == ([], False)
    assert page(limit=0) == ([], True)
    assert page(limit=0, after=ids[4]) == ([], False)
    assert page(limit=100) == (ids, False)


def test_listing_shows_final_statuses_and_advances_nothing() -> None:
    desk = BatchClient(progression="polls:2")
    done, fresh = desk.create(chats(1))["id"], desk.create(chats(1))["id"]
    for _ in range(2):
        desk.read(done)

    for _ in range(5):
        listed = value_of(desk.ask("GET", "/v1/batches"))["data"]

    assert [(each["id"], each["status"]) for each in listed] == [(fresh, "validating"), (done, "completed")]
    assert listed[1] == desk.read(done)


def test_accounts_do_not_see_batches_of_others() -> None:
    desk = BatchClient()
    id_ = desk.create(chats(1))["id"]
    job = jobs_of(desk.sandbox).get(id_)
    assert job is not None
    jobs_of(desk.sandbox).put(id_, job._replace(batch=job.batch._replace(account="carl")))

    assert desk.refusal("GET", f"/v1/batches/{id_}")[0] == 404
    assert desk.refusal("POST", f"/v1/batches/{id_}/cancel")[0] == 404
    assert desk.refusal("GET", "/v1/batches", query={"after": id_})[0] == 400
    assert value_of(desk.ask("GET", "/v1/batches"))["data"] == []


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/batches/batch_no"), ("POST", "/v1/batches/batch_no/cancel")])
def test_an_unknown_batch_is_not_found(desk: BatchClient, method: str, path: str) -> None:
    status, error = desk.refusal(method, path)

    assert status == 404
    assert error["message"].startswith("No batch found")


def test_a_list_after_an_unknown_batch_is_rejected(desk: BatchClient) -> None:
    status, error = desk.refusal("GET", "/v1/batches", query={"after": "batch_no"})

    assert (status, error["param"]) == (400, "after")
