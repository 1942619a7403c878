"""`?sandbox=` names the sandbox of an admin call."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.web.admin.call import AdminRoute
from mockserver.web.admin.routes import ROUTES

HEADER = "X-Mock-Sandbox"


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as it:
        yield it


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_admin_call_takes_the_argument(client: TestClient, route: AdminRoute) -> None:
    path = re.sub(r"\{\w+\}", "x", route.path)

    response = client.request(route.method, f"/__admin{path}?sandbox=ann")

    if response.is_success:
        assert response.headers[HEADER] == "ann"
    else:
        assert "query parameter" not in response.json()["detail"]


def sandbox_names(client: TestClient) -> list[str]:
    return [row["name"] for row in client.get("/__admin/sandboxes").json()["sandboxes"]]


def test_a_set_up_call_configures_and_pins_the_named_sandbox_only(client: TestClient) -> None:
    client.put("/__admin/accounts/test?sandbox=ann", json={"credits": 7})

    [row] = client.get("/__admin/sandboxes").json()["sandboxes"]
    assert (row["name"], row["held"]) == ("ann", True)
    assert client.get("/user", headers={HEADER: "ann"}).json()[0]["credits"] == 7
    assert client.get("/user").json()[0]["credits"] != 7


def test_the_argument_has_precedence_over_the_header_and_the_token(client: TestClient) -> None:
    client.get("/user", headers={HEADER: "ann"})

    counts = [
        client.get("/__admin/requests", params=query, headers=headers).json()["seen"]
        for query in ({}, {"sandbox": "ann"})
        for headers in ({}, {HEADER: "bob"})
    ]

    assert counts == [0, 0, 1, 1]


def test_a_sandbox_that_a_token_names_is_found_by_its_key(client: TestClient) -> None:
    client.get("/user")
    [row] = client.get("/__admin/sandboxes").json()["sandboxes"]

    found = client.get("/__admin/requests", params={"sandbox": row["key"]}, headers={HEADER: "another"})

    assert found.json()["seen"] == 1
    assert found.headers[HEADER] == row["key"]


def test_the_other_arguments_still_count(client: TestClient) -> None:
    for _ in range(3):
        client.get("/user", headers={HEADER: "ann"})

    assert len(client.get("/__admin/requests?limit=2&sandbox=ann&after=0").json()["requests"]) == 2


@pytest.mark.parametrize("name", ["é", "ann's own", "x" * 300])
def test_a_name_in_the_query_is_the_name_that_a_header_sends(client: TestClient, name: str) -> None:
    client.get("/user", headers={HEADER.encode(): name.encode()})

    assert client.get(f"/__admin/requests?sandbox={quote(name)}").json()["seen"] == 1


@pytest.mark.parametrize("name", ["", " ", " ann", "ann ", "a\nb", "a\x7f", "a\r\nSet-Cookie: x=1"])
def test_a_name_that_no_header_could_send_is_rejected(client: TestClient, name: str) -> None:
    response = client.put(f"/__admin/clock?sandbox={quote(name)}", json={"frozen": True})

    assert response.status_code == 400
    assert response.json()["detail"] == f"sandbox is {name!r}; wanted a sandbox's name or key."
    assert sandbox_names(client) == []


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("sandbox=a&sandbox=b", "The query parameter 'sandbox' stands twice."),
        ("sandbx=a", "Unknown query parameter 'sandbx'; known: sandbox. Did you mean sandbox?"),
    ],
)
def test_a_repeated_or_misspelt_argument_is_rejected(client: TestClient, query: str, detail: str) -> None:
    response = client.get(f"/__admin/clock?{query}")

    assert (response.status_code, response.json()["detail"]) == (400, detail)
