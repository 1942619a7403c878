"""How large a form of the inspector may be, and what is said of a larger one."""

from collections.abc import Iterator
from typing import Any

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.web.inspector import app

OWN = {"Origin": "http://127.0.0.1:4024"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with make_client() as made:
        made.post("/ai/batches", json={"prompts": ["hello"]})
        yield made


def reset(client: TestClient, **given: Any) -> Any:
    return client.post("/__admin/ui/sandboxes/reset", headers={**OWN, **given.pop("headers", {})}, **given)


def test_a_form_may_be_as_large_as_an_export_and_64_kib() -> None:
    assert app.MAX_FORM == 384 * 1024**2 + 65_536


@pytest.mark.parametrize(("extra", "status"), [(0, 303), (1, 413)])
def test_a_form_of_the_most_bytes_is_taken(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, extra: int, status: int
) -> None:
    monkeypatch.setattr(app, "MAX_FORM", 1000)
    content = b"sandbox=test&pad=".ljust(1000 + extra, b"x")

    answer = reset(client, content=content, headers={"Content-Type": FORM}, follow_redirects=False)

    assert answer.status_code == status
    if status == 413:
        assert "The form is larger than 1000 bytes, or does not say its size." in answer.text


@pytest.mark.parametrize("size", ["0" * 18, "-1", "1.5", ""])
def test_a_form_says_its_size_in_digits(client: TestClient, size: str) -> None:
    answer = reset(client, content=b"", headers={"Content-Type": FORM, "Content-Length": size})

    assert answer.status_code == 413


def test_seventeen_digits_are_a_size(client: TestClient) -> None:
    headers = {"Content-Type": FORM, "Content-Length": "12".rjust(17, "0")}

    assert reset(client, content=b"sandbox=test", headers=headers, follow_redirects=False).status_code == 303


@pytest.mark.parametrize(("fields", "files", "status"), [(50, 1, 303), (51, 0, 400), (1, 2, 400)])
def test_a_form_has_at_most_50_fields_and_a_file(client: TestClient, fields: int, files: int, status: int) -> None:
    data = {"sandbox": "test", **{f"f{n}": "x" for n in range(fields - 1)}}

    answer = reset(
        client,
        data=data,
        files=[(f"file{n}", (f"{n}.txt", b"x")) for n in range(files)] or [("last", (None, b"x"))],
        follow_redirects=False,
    )

    assert answer.status_code == status


@pytest.mark.parametrize(("fields", "status"), [(5, 303), (6, 400)])
def test_a_login_has_at_most_five_fields_and_no_file(fields: int, status: int) -> None:
    with make_client(admin_token="sesame") as client:
        parts: list[Any] = [("token", (None, b"sesame")), *((f"f{n}", (None, b"x")) for n in range(fields - 1))]
        page = client.post("/__admin/ui/login", files=parts, headers=OWN, follow_redirects=False)
        with_file = client.post(
            "/__admin/ui/login", files=[parts[0], ("file", ("a.txt", b"x"))], headers=OWN, follow_redirects=False
        )

    assert (page.status_code, with_file.status_code) == (status, 400)


@pytest.mark.parametrize(
    ("headers", "is_secure"),
    [({}, False), ({"X-Forwarded-Proto": "https"}, True), ({"X-Forwarded-Proto": "http"}, False)],
)
def test_behind_tls_the_cookie_of_the_login_is_sent_over_tls_only(headers: dict[str, str], is_secure: bool) -> None:
    with make_client(admin_token="sesame") as client:
        page = client.post(
            "/__admin/ui/login", data={"token": "sesame"}, headers={**OWN, **headers}, follow_redirects=False
        )

    assert ("; secure" in page.headers["set-cookie"].lower()) is is_secure
    assert page.headers["location"] == "/__admin/"


def test_the_logout_removes_the_cookie_with_the_same_attributes() -> None:
    with make_client(admin_token="sesame") as client:
        page = client.post("/__admin/ui/logout", headers=OWN, follow_redirects=False)

    cookie = page.headers["set-cookie"].lower()
    assert page.status_code == 303
    assert all(each in cookie for each in ("max-age=0", "httponly", "samesite=strict", "path=/__admin"))


def test_without_a_token_the_login_leads_to_the_pages(client: TestClient) -> None:
    for method in ("GET", "POST"):
        page = client.request(method, "/__admin/ui/login", headers=OWN, follow_redirects=False)
        assert (page.status_code, page.headers["location"]) == (303, "/__admin/")


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", "/__admin/ui/nothing", 404, "There is no such page."),
        ("GET", "/__admin/ui/requests/", 404, "There is no such page."),
        ("PUT", "/__admin/ui/stubs", 405, "Method Not Allowed"),
    ],
)
def test_a_path_or_method_that_is_not_there_is_a_page(
    client: TestClient, method: str, path: str, status: int, detail: str
) -> None:
    page = client.request(method, path, follow_redirects=False)

    assert page.status_code == status
    assert detail in page.text


def test_every_answer_of_the_pages_has_their_headers_once(client: TestClient) -> None:
    paths = ("/__admin/ui/requests?sandbox=test", "/__admin/ui/nothing", "/__admin/ui/static/inspector.css")
    for path in paths:
        headers = client.get(path).headers
        for name, value in app.HEADERS.items():
            assert headers.get_list(name) == [value], (path, name)
