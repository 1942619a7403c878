"""The forms of the inspector: where they lead, what they refuse, and whose they must be."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.web.admin.call import AdminRefusal
from mockserver.web.inspector.access import check_same_origin

OWN = {"Origin": "http://127.0.0.1:4024"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with make_client(clock="frozen") as made:
        made.post("/ai/batches", json={"prompts": ["hello"]})
        yield made


def post(client: TestClient, path: str, **fields: str) -> tuple[int, str]:
    """Status, and where it leads, or what it says."""
    answer = client.post(f"/__admin/ui{path}", data={"sandbox": "test", **fields}, headers=OWN, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", answer.text)


@pytest.mark.parametrize(
    ("back", "target"),
    [
        ("/__admin/ui/batches", "/__admin/ui/batches?sandbox=test"),
        ("/__admin/ui/", "/__admin/ui/?sandbox=test"),
        ("/__admin/uiother", "/__admin/ui/requests?sandbox=test"),
        ("https://evil.example/__admin/ui/batches", "/__admin/ui/requests?sandbox=test"),
        ("//evil.example", "/__admin/ui/requests?sandbox=test"),
        ("", "/__admin/ui/requests?sandbox=test"),
    ],
)
def test_the_clock_leads_back_to_the_page_with_its_buttons(client: TestClient, back: str, target: str) -> None:
    status, location = post(client, "/clock", do="freeze", back=back)

    assert (status, location.removeprefix("http://127.0.0.1:4024")) == (303, target)


def test_the_clock_leads_back_to_the_same_rows(client: TestClient) -> None:
    assert post(client, "/clock", do="resume", back="/__admin/ui/batches", after="50")[1].endswith(
        "/ui/batches?sandbox=test&after=50"
    )


def test_a_clock_is_advanced_by_what_the_form_says(client: TestClient) -> None:
    post(client, "/clock", do="freeze")
    before = client.get("/__admin/clock").json()

    assert post(client, "/clock", do="advance", minutes="1.5", hours="1")[0] == 303
    after = client.get("/__admin/clock").json()

    passed = datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"])
    assert passed.total_seconds() == pytest.approx(3690)


@pytest.mark.parametrize(
    ("path", "fields", "status", "said"),
    [
        ("/clock", {"do": "advance", "minutes": "soon"}, 422, "; wanted a number."),
        ("/stubs", {"operation": "getUser", "fault": "latency", "fields": "{"}, 422, "wanted a JSON object."),
        ("/stubs", {"operation": "getUser", "fault": "latency", "fields": "[]"}, 422, "fields is no JSON object."),
        ("/requests/99/next", {}, 404, "The sandbox has no request 99, or no longer keeps it."),
    ],
)
def test_a_form_that_cannot_be_read_says_why(
    client: TestClient, path: str, fields: dict[str, str], status: int, said: str
) -> None:
    found, text = post(client, path, **fields)

    assert found == status
    assert said in text


@pytest.mark.parametrize("version", ["soon", "-1", "1.5", "９", "9" * 18, ""])
def test_a_refresh_without_a_readable_number_is_a_plain_page(client: TestClient, version: str) -> None:
    page = client.get(
        "/__admin/ui/requests", params={"sandbox": "test"}, headers=[(b"X-Inspector-Refresh", version.encode())]
    )

    assert page.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://127.0.0.1:4024", "host": "127.0.0.1:4024"},
        {"origin": "https://mock.example", "host": "10.0.0.5", "x-forwarded-host": "mock.example, inner"},
        {"origin": "https://mock.example", "host": "10.0.0.5", "x-forwarded-host": " mock.example "},
    ],
)
def test_a_form_of_an_own_page_is_taken(headers: dict[str, str]) -> None:
    check_same_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000", "host": "127.0.0.1:4024"},
        {"sec-fetch-site": "none", "origin": "http://127.0.0.1:4024", "host": "127.0.0.1:4024"},
        {"origin": "https://inner", "host": "10.0.0.5", "x-forwarded-host": "mock.example, inner"},
        {"origin": "null", "host": ""},
    ],
)
def test_a_form_of_another_page_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(AdminRefusal) as refused:
        check_same_origin(headers)

    assert refused.value.status == 403
