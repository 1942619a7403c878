"""Pages of the admin API: how many rows they have, what the query may ask for, and where the next one begins."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.redaction import account_key
from mockserver.web.admin.call import MAX_NUMBER, page_of

LARGEST = 9_007_199_254_740_992
ROWS = 102


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """A server with more rows of everything than a page has."""
    with make_client(callbacks="inbox") as made:
        for n in range(ROWS):
            body = {"prompts": [str(n)], "callback": "http://127.0.0.1:9/"}
            assert made.post("/ai/batches", json=body).status_code == 202
            file = {"file": ("a.jsonl", b"{}")}
            assert made.post("/v1/files", data={"purpose": "batch"}, files=file).status_code == 200
            said = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
            assert made.post("/v1/chat/completions", json=said).status_code == 200
            made.get("/nowhere")
            made.get("/user", headers={"Authorization": f"Bearer {n}", "X-Mock-Sandbox": "test"})
            made.get("/user", headers={"X-Mock-Sandbox": f"s{n}"})
        yield made


def read(client: TestClient, path: str, **query: Any) -> Any:
    answered = client.get(f"/__admin{path}", params=query)
    assert answered.status_code == 200, answered.text
    return answered.json()


PAGES = [
    ("/requests", "requests", 100, 1000),
    ("/requests/unmatched", "requests", 20, 100),
    ("/accounts", "accounts", ROWS + 1, LARGEST),
    ("/accounts/test/ledger", "entries", 100, 1000),
    ("/batches", "batches", 100, 1000),
    ("/batches/latest", "batches", 50, 200),
    ("/files", "files", 100, 1000),
    ("/sandboxes", "sandboxes", 100, 1000),
    ("/callbacks", "callbacks", 100, 1000),
]


@pytest.mark.parametrize(("path", "name", "usual", "most"), PAGES)
def test_a_page_has_its_usual_number_of_rows_or_as_many_as_asked_for(
    client: TestClient, path: str, name: str, usual: int, most: int
) -> None:
    assert len(read(client, path)[name]) == usual
    assert len(read(client, path, limit=2)[name]) == 2
    assert read(client, path, limit=0)[name] == []
    assert read(client, path, limit=1)[name] == read(client, path, limit=2)[name][:1]

    refused = client.get(f"/__admin{path}", params={"limit": most + 1})

    assert client.get(f"/__admin{path}", params={"limit": most}).status_code == 200
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        f"limit is '{most + 1}'; wanted a whole number up to {most}.",
    )


@pytest.mark.parametrize("path", [*(path for path, *_ in PAGES), "/usage"])
def test_a_page_may_begin_after_any_exact_number(client: TestClient, path: str) -> None:
    refused = client.get(f"/__admin{path}", params={"after": LARGEST + 1})

    assert MAX_NUMBER == LARGEST
    assert client.get(f"/__admin{path}", params={"after": LARGEST}).status_code == 200
    assert (refused.status_code, refused.json()["detail"]) == (
        400,
        f"after is '{LARGEST + 1}'; wanted a whole number up to {LARGEST}.",
    )


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, name, *_ in PAGES if name != "requests"])
def test_a_page_follows_the_rows_before_it(client: TestClient, path: str, name: str) -> None:
    first = read(client, path, limit=3)[name]

    assert read(client, path, limit=2, after=1)[name] == first[1:]
    assert read(client, path, limit=2, after=1).get("next", 3) == 3
    assert read(client, path, after=LARGEST)[name] == []
    assert read(client, path, after=LARGEST).get("next") is None


@pytest.mark.parametrize(
    ("path", "total"),
    [("/accounts/test/ledger", ROWS + 1), ("/batches", ROWS), ("/files", ROWS), ("/callbacks", ROWS)],
)
def test_a_page_with_the_last_row_has_no_next(client: TestClient, path: str, total: int) -> None:
    assert read(client, path, limit=total)["next"] is None
    assert read(client, path, limit=total - 1)["next"] == total - 1
    assert read(client, path, limit=1, after=total - 1)["next"] is None
    assert read(client, path, limit=1, after=total - 2)["next"] == total - 1


def test_usage_has_a_page_of_a_hundred_meter_events(client: TestClient) -> None:
    whole = read(client, "/usage", limit=1000)["agilecloud"]["events"]

    usual = read(client, "/usage")["agilecloud"]
    assert usual["events"] == whole[:100]
    assert usual["next"] == 100
    assert read(client, "/usage", limit=2, after=1)["agilecloud"]["events"] == whole[1:3]
    assert client.get("/__admin/usage", params={"limit": 1001}).status_code == 400


def test_summaries_have_a_page_of_a_hundred_before_a_number(client: TestClient) -> None:
    seen = read(client, "/requests/summaries")["seen"]

    usual = read(client, "/requests/summaries")
    assert [each["number"] for each in usual["requests"]] == list(range(seen, seen - 100, -1))
    assert usual["next"] == seen - 99
    assert [each["number"] for each in read(client, "/requests/summaries", limit=2, before=9)["requests"]] == [8, 7]
    for name, most in (("limit", 1000), ("before", LARGEST)):
        assert client.get("/__admin/requests/summaries", params={name: most}).status_code == 200
        assert client.get("/__admin/requests/summaries", params={name: most + 1}).status_code == 400


def test_a_request_without_a_match_is_found_by_its_number(client: TestClient) -> None:
    numbers = [each["number"] for each in read(client, "/requests/unmatched")["requests"]]

    for number in (numbers[0], numbers[7]):
        assert [each["number"] for each in read(client, "/requests/unmatched", number=number)["requests"]] == [number]
    assert read(client, "/requests/unmatched", number=LARGEST)["requests"] == []
    assert client.get("/__admin/requests/unmatched", params={"number": LARGEST + 1}).status_code == 400


@pytest.mark.parametrize(("status", "answered"), [("99", 422), ("100", 200), ("599", 200), ("600", 422), ("1000", 400)])
def test_requests_are_searched_by_a_status_of_three_digits(client: TestClient, status: str, answered: int) -> None:
    assert client.get("/__admin/requests", params={"status": status}).status_code == answered


@pytest.mark.parametrize(
    ("rows", "limit", "after", "page", "more"),
    [
        ("", 0, 0, [], None),
        ("a", 0, 0, [], 0),
        ("abc", 3, 0, ["a", "b", "c"], None),
        ("abc", 2, 0, ["a", "b"], 2),
        ("abc", 2, 5, ["a", "b"], 7),
    ],
)
def test_a_page_of_rows(rows: str, limit: int, after: int, page: list[str], more: int | None) -> None:
    assert page_of(iter(rows), limit, after) == (page, more)


def test_an_account_is_changed_by_its_key_as_by_its_token() -> None:
    with make_client() as client:
        client.get("/user")
        key = account_key("test")

        changed = client.put(f"/__admin/accounts/{key}", json={"credits": 7, "email": "a@example.com"}).json()

        assert changed == {"key": key, "email": "a@example.com", "credits": 7, "revoked": False}
        assert client.get("/__admin/accounts").json() == {"accounts": [changed]}


@pytest.mark.parametrize(("magic", "credits"), [(True, 10), (False, 1_000_000_000)])
def test_an_account_that_is_changed_before_its_use_has_what_its_token_says(magic: bool, credits: int) -> None:
    with make_client(magic=magic) as client:
        changed = client.put("/__admin/accounts/mock-credits-10", json={"email": "a@example.com"}).json()

    assert (changed["credits"], changed["email"]) == (credits, "a@example.com")
