"""`--watch`: a changed document or fixture is served at once, a broken one changes nothing, and sandboxes stay."""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders import make_document, make_operation, make_settings, write_json
from starlette.testclient import TestClient
from waiting import eventually

from mockserver.server.watch import read_again, watched_folders
from mockserver.web.app import MockServer, create_app


def document(path: str = "/a", **operation: Any) -> dict[str, Any]:
    return make_document({path: {"get": make_operation("a") | operation}})


class Watched:
    """An application with a document and a folder of fixtures, which a test changes."""

    def __init__(self, folder: Path) -> None:
        self.spec = write_json(folder / "api" / "openapi.json", document())
        self.fixtures = folder / "answers"
        write_json(self.fixtures / "a.json", {})
        self.settings = make_settings(spec=(str(self.spec),), fixtures=(str(self.fixtures),), with_bundled=True)
        self.app: MockServer = create_app(self.settings)
        self.client = TestClient(self.app, base_url="http://127.0.0.1:4024")

    def read_again(self) -> bool:
        return read_again(self.app, self.settings)

    def status(self, path: str) -> int:
        return self.client.get(path).status_code


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    it = Watched(tmp_path)
    with it.client:
        yield it


def test_a_changed_document_is_served_and_what_it_no_longer_has_is_gone(watched: Watched) -> None:
    assert (watched.status("/a"), watched.status("/b")) == (200, 404)

    write_json(watched.spec, document("/b"))
    assert watched.read_again()

    assert (watched.status("/a"), watched.status("/b")) == (404, 200)


@pytest.mark.parametrize("broken", ["{", '{"openapi": "4.0.0"}', "[]"])
def test_a_document_that_cannot_be_used_changes_nothing_and_is_reported(
    watched: Watched, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    watched.spec.write_text(broken)

    assert not watched.read_again()

    assert watched.status("/a") == 200
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    assert "openapi.json" in caplog.text


def test_a_broken_fixture_changes_nothing_and_its_correction_is_served(watched: Watched) -> None:
    write_json(watched.fixtures / "a.json", {"responses": {"a": [{"body": {}, "stat": 1}]}})
    assert not watched.read_again()

    write_json(watched.fixtures / "a.json", {"responses": {"a": [{"status": 418, "body": {}}]}})
    assert watched.read_again()

    assert watched.status("/a") == 418


def test_sandboxes_with_their_batches_clocks_and_journals_stay(watched: Watched) -> None:
    headers = {"Authorization": "Bearer test"}
    queued = watched.client.post("/ai/batches", json={"prompts": ["One"]}, headers=headers).json()
    watched.client.post("/__admin/clock/advance", json={"seconds": 5}, headers=headers)
    before = watched.client.get("/__admin/clock", headers=headers).json()

    assert watched.read_again()

    found = watched.client.get("/ai/batches", params={"id": queued["id"]}, headers=headers)
    assert found.json()["id"] == queued["id"]
    assert watched.client.get("/__admin/clock", headers=headers).json() == before
    kept = watched.client.get("/__admin/requests", headers=headers).json()["requests"]
    assert [each["operation"] for each in kept] == ["queueBatch", "getBatchStatus"]
    again = watched.client.post("/ai/batches", json={"prompts": ["One"]}, headers=headers).json()
    assert again["id"] != queued["id"]


def test_accounts_of_fixtures_count_from_the_next_reset_on(watched: Watched) -> None:
    headers = {"Authorization": "Bearer ann"}
    assert watched.client.get("/user", headers=headers).status_code == 200
    account = {"token": "ann", "email": "ann@example.com", "credits": 7}
    write_json(watched.fixtures / "agentfirst" / "accounts.json", {"accounts": [account]})

    assert watched.read_again()
    assert watched.client.post("/__admin/reset", headers=headers).status_code == 200

    assert watched.client.get("/user", headers=headers).json()[0]["credits"] == 7


def test_folders_of_referenced_files_and_of_new_fixtures_are_watched_too(watched: Watched, tmp_path: Path) -> None:
    part = write_json(tmp_path / "parts" / "schemas.json", {"Thing": {"type": "object"}})
    whole = document()
    content = whole["paths"]["/a"]["get"]["responses"]["200"]["content"]
    content["application/json"]["schema"] = {"$ref": "../parts/schemas.json#/Thing"}
    write_json(watched.spec, whole)
    write_json(watched.fixtures / "more" / "b.json", {})
    assert watched.read_again()

    found = watched_folders(watched.app.engine, watched.settings)

    assert found == sorted([watched.spec.parent, part.parent, watched.fixtures, watched.fixtures / "more"])


def test_a_served_sandbox_reads_its_files_again_when_one_changes(tmp_path: Path) -> None:
    spec = write_json(tmp_path / "api.json", document())
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0", "--watch", "--spec", str(spec)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[-1]
            assert httpx.get(f"{url}/a").status_code == 200

            def changes(path: str) -> int:
                spec.write_text(json.dumps(document(path)))
                return httpx.get(f"{url}{path}").status_code

            for path in ("/b", "/c"):
                assert eventually(lambda path=path: changes(path) == 200)  # type: ignore[misc]
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == 0
    assert told.count("read again") >= 2
    assert "Traceback" not in told


def test_without_the_extra_the_flag_is_refused_with_a_sentence() -> None:
    command = "import sys; sys.modules['watchfiles'] = None; from mockserver.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "serve", "--port", "0", "--watch"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (3, "")
    assert "pip install 'batch-mockserver[watch]'" in done.stderr
    assert "Traceback" not in done.stderr
