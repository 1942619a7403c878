"""Security of the inspector: stored scripts, policies, forms of other sites, the login, secrets."""

import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_client, make_document, make_operation, write_json
from inspected import BREAKOUT, SCRIPT, Inspected
from starlette.testclient import TestClient

from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings
from mockserver.web.inspector import documents

OWN = {"Origin": "http://127.0.0.1:4024"}
PAGES = ("/requests", "/batches", "/accounts", "/next", "/callbacks", "/verdict", "/coverage", "/sandbox")


def test_every_page_has_a_strict_policy_and_no_inline_script() -> None:
    with make_client() as client:
        client.post("/ai/batches", json={"prompts": ["hello"]})
        for path in ["/__admin/", "/__admin/docs", *(f"/__admin/ui{each}" for each in PAGES)]:
            page = client.get(path, params={"sandbox": "test"})
            policy = page.headers["content-security-policy"]
            assert page.status_code == 200
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert page.text.count("<script") == page.text.count("<script src=")
            assert "style=" not in page.text
            assert " onclick=" not in page.text


def test_a_form_of_another_site_is_rejected() -> None:
    attempts: list[dict[str, str]] = [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:4024", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ]
    with make_client() as client:
        client.post("/ai/batches", json={"prompts": ["hello"]})
        for headers in attempts:
            page = client.post("/__admin/ui/sandboxes/reset", data={"sandbox": "test"}, headers=headers)
            assert page.status_code == 403, headers
        assert client.get("/__admin/requests").json()["seen"] == 1

        kept = client.post("/__admin/ui/sandboxes/reset", data={"sandbox": "test"}, headers=OWN, follow_redirects=False)
        assert kept.status_code == 303
        assert client.get("/__admin/requests").json()["seen"] == 0


def test_a_page_on_another_host_name_sees_nothing() -> None:
    with make_client() as client:
        assert client.get("/__admin/", headers={"Host": "evil.example"}).status_code == 403


def login(client: TestClient, token: str) -> int:
    page = client.post("/__admin/ui/login", data={"token": token}, headers=OWN, follow_redirects=False)
    return page.status_code


def test_with_an_admin_token_the_pages_need_a_login() -> None:
    with make_client(admin_token="sesame-4711") as client:
        asked = client.get("/__admin/ui/requests", follow_redirects=False)
        assert (asked.status_code, asked.headers["location"]) == (303, "/__admin/ui/login")
        assert client.post("/__admin/ui/sandboxes/create", data={"name": "x"}, headers=OWN).status_code == 401
        assert client.post("/__admin/ui/login", data={"token": "sesame-4711"}).status_code == 403  # of no page of ours
        assert login(client, "wrong") == 401
        assert client.cookies.get("mockserver_inspector") is None

        assert login(client, "sesame-4711") == 303
        assert client.get("/__admin/ui/requests").status_code == 200

        client.post("/__admin/ui/logout", headers=OWN)
        assert client.get("/__admin/ui/requests", follow_redirects=False).status_code == 303


def test_the_cookie_of_the_login_is_out_of_reach_of_scripts_and_other_sites() -> None:
    with make_client(admin_token="sesame-4711") as client:
        page = client.post("/__admin/ui/login", data={"token": "sesame-4711"}, headers=OWN, follow_redirects=False)

        cookie = page.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/__admin" in cookie
        assert "sesame" not in cookie
        # It opens the pages, not the admin API: no other site could use it there.
        assert client.get("/__admin/requests").status_code == 401


def test_a_server_beyond_loopback_without_a_token_has_no_pages() -> None:
    with make_client(host="0.0.0.0") as client:
        assert client.get("/__admin/", follow_redirects=False).status_code == 403


def test_an_answer_that_a_browser_shows_has_no_origin() -> None:
    page = {"operation": "getUser", "reply": {"status": 200, "text": BREAKOUT, "media_type": "text/html"}}
    with make_client() as client:
        for headers in ({"Sec-Fetch-Dest": "document"}, {"Sec-Fetch-Dest": "script"}, {"Sec-Fetch-Dest": "iframe"}):
            client.post("/__admin/next", json={**page, "undocumented": True})
            shown = client.get("/user", headers=headers)
            assert shown.text == BREAKOUT
            assert shown.headers["content-security-policy"] == "sandbox"
            assert shown.headers["x-content-type-options"] == "nosniff"
        client.post("/__admin/next", json={**page, "undocumented": True})
        assert "content-security-policy" not in client.get("/user", headers={"Sec-Fetch-Dest": "empty"}).headers
        assert "content-security-policy" not in client.get("/user").headers


def test_secrets_are_redacted_on_every_page() -> None:
    secret = "sk-very-secret-4711"
    with make_client() as client:
        headers = {"Authorization": f"Bearer {secret}", "X-Api-Key": secret}
        client.post(f"/ai/batches?token={secret}", json={"prompts": [secret, 1], "model": secret}, headers=headers)
        client.post("/ai/batches", json={"prompts": ["hello"]}, headers=headers)
        key = client.get("/__admin/sandboxes").json()["sandboxes"][0]["key"]
        for path in ["/__admin/", *(f"/__admin/ui{each}" for each in (*PAGES, "/requests/1", "/requests/2"))]:
            page = client.get(path, params={"sandbox": key})
            assert page.status_code == 200
            assert secret not in page.text


def test_a_large_or_endless_form_is_rejected() -> None:
    with make_client() as client:
        large = {**OWN, "Content-Length": str(10**12), "Content-Type": "application/x-www-form-urlencoded"}
        assert client.post("/__admin/ui/stubs", content=b"", headers=large).status_code == 413
        assert client.post("/__admin/ui/stubs", content=iter([b"a=b"]), headers=OWN).status_code == 413


def test_nothing_of_the_inspector_is_imported_at_start() -> None:
    code = (
        "import sys; from mockserver.web.app import create_app; create_app(); "
        "print([each for each in sys.modules if 'inspector' in each or each == 'minijinja'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"


def test_a_page_and_its_files_are_less_than_100_kilobytes() -> None:
    with make_client() as client:
        for _ in range(60):
            client.get("/user")
            client.post("/ai/batches", json={"prompts": ["hello"] * 60})
        files = [client.get(f"/__admin/ui/static/{name}") for name in ("inspector.css", "inspector.js")]
        pages = [client.get(f"/__admin/ui{each}", params={"sandbox": "test"}) for each in (*PAGES, "/requests/1")]
        pages += [client.get("/__admin/"), client.get("/", headers={"Accept": "text/html"})]

    assert {each.status_code for each in (*files, *pages)} == {200}
    assert max(len(each.content) for each in pages) + sum(len(each.content) for each in files) < 100_000


def test_without_the_viewer_the_document_is_readable_and_says_how_to_try_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "viewer_files", lambda: None)
    with make_client() as client:
        page = client.get("/__admin/docs", params={"sandbox": "test"})

    assert page.status_code == 200
    assert "pip install 'batch-mockserver[viewer]'" in page.text
    assert "and start the server again" in page.text
    assert "queueBatch" in page.text


def test_a_document_and_a_scenario_are_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(documents, "viewer_files", lambda: None)
    operation = {**make_operation("read"), "summary": BREAKOUT, "description": BREAKOUT}
    document = make_document({"/things": {"get": operation}}, info={"title": BREAKOUT, "version": BREAKOUT})
    (tmp_path / "fixtures" / "scenarios").mkdir(parents=True)
    scenario = {"description": BREAKOUT, "progression": "polls:2"}
    write_json(tmp_path / "fixtures" / "scenarios" / "own.json", scenario)
    spec = str(write_json(tmp_path / "own-api.json", document))
    with make_client(spec=(spec,), fixtures=(str(tmp_path / "fixtures"),)) as client:
        pages = [client.get("/__admin/docs"), client.get("/__admin/ui/next")]

    for page in pages:
        assert page.status_code == 200
        assert SCRIPT not in page.text
        assert "&lt;script&gt;alert(" in page.text


def test_an_open_page_does_not_delay_a_stop() -> None:
    import threading

    import httpx
    from waiting import eventually

    with ThreadedServer(Settings(port=0)) as server:
        inspected = Inspected(server.url)
        inspected.queue()
        begun, ended = threading.Event(), threading.Event()

        def read() -> None:
            with (
                pytest.raises(httpx.TransportError),
                httpx.stream("GET", inspected.ui("/events"), timeout=60) as stream,
            ):
                for _ in stream.iter_bytes():
                    begun.set()
            ended.set()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        assert begun.wait(30)
        server.stop()
        eventually(ended.is_set, within=2)
        thread.join()


@pytest.mark.parametrize("path", ["/__admin/ui/nothing", "/__admin/ui/requests/99", "/__admin/ui/batches/none"])
def test_a_page_that_is_not_there_says_so(path: str) -> None:
    with make_client() as client:
        page = client.get(path, params={"sandbox": "test"})

    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "Not possible" in page.text
