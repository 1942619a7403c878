"""The request log: one line for each request at the level `info`, and no way to forge one."""

import json
import logging
import socket
from collections.abc import Iterator
from time import perf_counter

import pytest
from builders import make_client
from starlette.testclient import TestClient

from mockserver.errors import SettingsError
from mockserver.server.log_format import JsonFormatter, LineFormatter
from mockserver.settings.load import read_settings
from mockserver.settings.table import Settings, replica_of

SECRET = "sk-live-0123456789abcdef"


@pytest.fixture
def client(caplog: pytest.LogCaptureFixture) -> Iterator[TestClient]:
    caplog.set_level(logging.INFO, "mockserver.requests")
    with make_client(log_level="info") as client:
        client.headers = {"Authorization": f"Bearer {SECRET}"}
        yield client


def fields_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [vars(each)["request"] for each in caplog.records if each.name == "mockserver.requests"]


def test_each_request_is_one_log_line_with_its_outcome(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    begun = perf_counter()
    client.get("/user", headers={"X-Mock-Sandbox": "mine"})
    client.post("/ai/batches", json={"prompts": []}, headers={"X-Mock-Sandbox": "mine"})
    client.post("/ai/batchez", headers={"X-Mock-Sandbox": "mine"})
    client.get("/__admin/clock", headers={"X-Mock-Sandbox": "mine"})
    client.get("/health")
    passed = (perf_counter() - begun) * 1000

    rows = fields_of(caplog)

    assert [(row["method"], row["path"], row["status"], row["sandbox"], row["reason"]) for row in rows] == [
        ("GET", "/user", 200, "mine", ""),
        ("POST", "/ai/batches", 422, "mine", "invalid"),
        ("POST", "/ai/batchez", 404, "mine", "no-such-path"),
        ("GET", "/__admin/clock", 200, "mine", ""),
    ]
    times = [row["ms"] for row in rows if isinstance(row["ms"], float)]
    assert len(times) == 4
    assert 0 <= min(times) <= sum(times) <= passed + 4 * 0.05  # each is rounded to a tenth
    assert caplog.messages[1].startswith("POST /ai/batches 422 ")
    assert caplog.messages[1].endswith(" ms sandbox=mine reason=invalid")


def test_the_time_of_a_request_is_told_in_milliseconds(
    client: TestClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([100.0, 100.25678])
    monkeypatch.setattr("mockserver.web.request_log.perf_counter", lambda: next(times))

    client.get("/user")

    assert fields_of(caplog)[0]["ms"] == 256.8
    assert caplog.messages[0].startswith("GET /user 200 256.8 ms")


def test_a_token_is_in_no_line_and_its_sandbox_shows_its_key(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/user", params={"api_key": SECRET})
    client.get(f"/v1/models/{SECRET}")
    client.get(f"/__admin/accounts/{SECRET}")
    client.get(f"/__admin/accounts/{SECRET}/ledger")
    client.delete(f"/__admin/sandboxes/{SECRET}")
    (key,) = {str(row["sandbox"]) for row in fields_of(caplog)[:2]}

    assert len(key) == 16
    assert [row["path"] for row in fields_of(caplog)[2:]] == [
        "/__admin/accounts/...",
        "/__admin/accounts/.../ledger",
        "/__admin/sandboxes/...",
    ]
    assert SECRET not in caplog.text
    assert "redacted" in caplog.messages[1]


@pytest.mark.parametrize("path", ["/a%0Amockserver: ERROR: forged", "/a%0D%0Ab", "/%1b[31m", "/\u2028x", "/%00"])
def test_a_path_cannot_forge_a_log_line(client: TestClient, caplog: pytest.LogCaptureFixture, path: str) -> None:
    client.get(path)

    (record,) = [each for each in caplog.records if each.name == "mockserver.requests"]
    for formatter in (LineFormatter(), JsonFormatter()):
        line = formatter.format(record)
        assert line.isprintable()
        assert line.isascii()


def test_json_lines_have_a_field_for_each_fact(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/user", headers={"X-Mock-Sandbox": "mine"})

    line = json.loads(JsonFormatter().format(caplog.records[-1]))

    assert line.keys() >= {"time", "level", "logger", "message", "method", "path", "status", "ms", "sandbox", "reason"}
    assert (line["level"], line["method"], line["status"], line["sandbox"]) == ("info", "GET", 200, "mine")


def test_nothing_is_logged_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "mockserver.requests")
    with make_client(log_level="warning") as client:
        client.get("/user")

    assert fields_of(caplog) == []


def test_an_exception_stays_below_its_line() -> None:
    try:
        raise ValueError("one\nmockserver: ERROR: forged")
    except ValueError as error:
        about = (type(error), error, error.__traceback__)
    record = logging.LogRecord("mockserver", logging.ERROR, "", 0, "a\nb", (), about)

    lines = LineFormatter().format(record).splitlines()

    assert lines[0] == r"mockserver: ERROR: a\nb"
    assert all(line.startswith("    ") for line in lines[1:])
    assert len(JsonFormatter().format(record).splitlines()) == 1


def test_each_line_names_the_replica_if_it_has_a_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mockserver.requests")
    with make_client(log_level="info", replica="replica-1") as client:
        client.get("/user")

    assert [row["replica"] for row in fields_of(caplog)] == ["replica-1"]
    assert caplog.messages[0].endswith(" replica=replica-1")
    assert json.loads(JsonFormatter().format(caplog.records[-1]))["replica"] == "replica-1"


def test_on_a_shared_store_a_replica_has_the_name_of_its_host() -> None:
    assert replica_of(Settings(store="sqlite:////data/x.db")) == socket.gethostname()
    assert replica_of(Settings(store="sqlite:////data/x.db", replica="one")) == "one"
    assert replica_of(Settings()) == ""


@pytest.mark.parametrize("name", ["two words", "a\nb", "x" * 300, "é"])
def test_a_name_that_could_forge_a_log_line_is_no_replica(name: str) -> None:
    with pytest.raises(SettingsError, match="no name of a replica"):
        read_settings({"replica": name}, {})
