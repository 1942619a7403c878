"""The page at the root: it says what runs here, is true, and leaves no trace."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders import make_client, make_document, make_operation, make_settings, write_json
from starlette.testclient import TestClient

from mockserver import __version__
from mockserver.cli import main
from mockserver.client.client import Client
from mockserver.server.process import ThreadedServer

BASE = "http://127.0.0.1:4024"


def addresses(client: TestClient, **headers: str) -> list[str]:
    """The paths of all addresses on the page, in its order."""
    return re.findall(rf"{re.escape(BASE)}(\S*)", client.get("/", headers=headers).text)


def test_the_index_page_says_what_runs_here() -> None:
    with make_client() as client:
        del client.headers["authorization"]

        page = client.get("/")

    assert (page.status_code, page.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert page.text.startswith(f"mockserver {__version__}: ")
    mine = Client(BASE).sandbox("mine")
    assert f"Agent First  {mine.base_url} " in page.text
    assert f"AgileCloud   {mine.openai_base_url} " in page.text


def test_every_address_on_the_page_leads_somewhere() -> None:
    with make_client() as client:
        found = addresses(client)
        answers = {path: client.get(path + ("/models" if path == "/v1" else "")).status_code for path in found if path}

    assert len(found) > 5
    assert set(answers.values()) == {200}


def test_head_is_answered_without_a_body() -> None:
    with make_client() as client:
        page, head = client.get("/"), client.head("/")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"]


def test_reading_the_index_page_is_not_journaled() -> None:
    with make_client() as client:
        client.get("/")
        client.head("/?__code=402", headers={"X-Mock-Sandbox": "another"})

        assert client.get("/__admin/sandboxes").json()["count"] == 0
        assert client.get("/__admin/requests").json()["seen"] == 0
        assert client.delete("/__admin/coverage").json() == {"forgotten": 0}


def test_no_fault_applies_to_the_index_page() -> None:
    with make_client() as client:
        client.put("/__admin/faults", json={"faults": [{"fault": {"type": "status", "status": 503}}]})

        assert client.get("/user").status_code == 503
        assert client.get("/").status_code == 200


def test_the_index_page_has_urls_with_the_host_of_the_client() -> None:
    with make_client() as client:
        page = client.get("/", headers={"Host": "localhost:8080"}).text
        odd = client.get("/", headers={"Host": "<b>"}).text

    assert "http://localhost:8080/health" in page
    assert "<b>/" not in odd


@pytest.mark.parametrize(
    ("changes", "headers", "told"),
    [
        ({"host": "0.0.0.0"}, {}, "listens beyond loopback without --admin-token, so /__admin is closed"),
        ({"admin_token": "key"}, {}, "X-Mock-Admin-Token does not hold the admin token"),
        ({}, {"Host": "mock.example"}, "answers to loopback only; Host is mock.example"),
        ({}, {"Origin": "https://page.example"}, "answers to loopback only; Origin is https://page.example"),
    ],
)
def test_where_the_admin_api_is_closed_the_page_says_so(
    changes: dict[str, Any], headers: dict[str, str], told: str
) -> None:
    with make_client(**changes) as client:
        page = client.get("/", headers=headers)
        asked = client.get("/__admin/requests", headers=headers)

    assert (page.status_code, asked.status_code // 100) == (200, 4)
    assert told in page.text
    assert "/__admin/" not in page.text.replace(told, "")


def test_the_index_page_shows_the_admin_api_to_holders_of_the_token() -> None:
    with make_client(admin_token="key") as client:
        assert "/__admin/requests" in addresses(client, **{"X-Mock-Admin-Token": "key"})


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_other_requests_to_the_root_are_rejected(method: str) -> None:
    with make_client() as client:
        assert client.request(method, "/").status_code == 404
        assert client.get("/__admin/requests", params={"reason": "no-such-path"}).json()["seen"] == 1


def test_a_document_that_has_an_operation_at_the_root_keeps_it(tmp_path: Path) -> None:
    paths = {"/": {"get": {**make_operation("root", example={"says": "mine"}), "security": []}}}
    with make_client(spec=(str(write_json(tmp_path / "other.json", make_document(paths))),)) as client:
        assert client.get("/").json() == {"says": "mine"}
        assert client.head("/").status_code == 200


def test_a_root_that_only_takes_other_methods_is_the_documents_too(tmp_path: Path) -> None:
    paths = {"/": {"post": {**make_operation("root", example={"says": "mine"}), "security": []}}}
    with make_client(spec=(str(write_json(tmp_path / "other.json", make_document(paths))),)) as client:
        assert client.get("/").status_code == 405
        assert client.post("/").status_code == 200


def test_another_document_is_named_in_one_line(tmp_path: Path) -> None:
    document = make_document({"/pets": {"get": make_operation("pets", example=[])}})
    document["info"]["title"] = "Pets\n and" + " more" * 100
    with make_client(spec=(str(write_json(tmp_path / "other.json", document)),)) as client:
        (line,) = [each for each in client.get("/").text.splitlines() if each.startswith("another API")]

    assert "Pets and more" in line
    assert len(line) < 200


def test_the_page_comes_over_a_socket_with_the_servers_own_address() -> None:
    with ThreadedServer(make_settings()) as server, Client(server.url) as client:
        page = client._transport.ask("GET", "/", {}, b"")

    assert page.status == 200
    assert f"{server.url}/v1 " in page.body.decode()


def test_the_start_does_not_import_what_only_unknown_paths_need() -> None:
    program = (
        "import sys; from mockserver.engine.build import build_engine; from mockserver.settings.table import Settings;"
        "from mockserver.web.app import create_app; create_app(Settings());"
        "print([name for name in ('difflib', 'mockserver.web.index') if name in sys.modules])"
    )

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)

    assert output.stdout.strip() == "[]"


UNASKED = [
    "/favicon.ico",
    "/robots.txt",
    "/apple-touch-icon.png",
    "/apple-touch-icon-120x120-precomposed.png",
    "/.well-known/appspecific/com.chrome.devtools.json",
]


@pytest.mark.parametrize("path", UNASKED)
def test_requests_that_browsers_send_on_their_own_are_answered_and_not_journaled(path: str) -> None:
    with make_client() as client:
        answers = [client.request(method, path) for method in ("GET", "HEAD", "GET")]
        count = client.get("/__admin/requests", headers={"X-Mock-Sandbox": "default"}).json()["seen"]
        sandboxes = client.get("/__admin/sandboxes").json()["count"]
        coverage = client.get("/__admin/coverage").json()

    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 3
    assert (count, sandboxes, coverage["checked"]) == (0, 0, False)


def test_two_visits_of_a_browser_are_no_problem_in_a_report(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadedServer(make_settings()) as server:
        for _ in range(2):
            for path in ("/", *UNASKED):
                assert httpx.get(f"{server.url}{path}").status_code in {200, 204}
        httpx.get(f"{server.url}/user", headers={"Authorization": "Bearer a"})

        assert main(["report", "--url", server.url]) == 0, capsys.readouterr().out


def test_a_document_may_define_favicon_ico(tmp_path: Path) -> None:
    paths = {"/favicon.ico": {"get": make_operation("icon", example={"icon": 1})}}
    with make_client(spec=(str(write_json(tmp_path / "icon.json", make_document(paths))),)) as client:
        answer = client.get("/favicon.ico")

    assert answer.json() == {"icon": 1}


def test_only_reading_an_icon_is_answered() -> None:
    with make_client() as client:
        assert client.post("/favicon.ico").status_code == 404
