"""The command `mockserver report`, run as a process against a running server."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mockserver.cli import main
from mockserver.client.report import ServerReport
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer(Settings(port=0, admin_token="secret", progression="immediate")) as it:
        yield it


def report(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mockserver", "report", *args]
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("MOCKSERVER_")}
    environment = quiet | {"MOCKSERVER_ADMIN_TOKEN": "secret"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def queue(server: ThreadedServer, sandbox: str = "test") -> None:
    headers = {"Authorization": "Bearer test", "Content-Type": "application/json", "X-Mock-Sandbox": sandbox}
    request = urllib.request.Request(f"{server.url}/ai/batches", b'{"prompts":["one"]}', headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.status == 202


def test_a_report_on_a_server_without_requests_says_that_nothing_was_checked(server: ThreadedServer) -> None:
    done = report("--url", server.url)

    assert done.returncode == 4
    assert done.stderr.startswith("nothing was checked: 0 of ")


def test_a_good_client_passes_and_a_bad_one_fails(server: ThreadedServer) -> None:
    queue(server)
    good = report("--url", server.url)
    queue(server)
    bad = report("--url", server.url)
    lenient = report("--url", server.url, "--fail-on", "never")

    assert (good.returncode, bad.returncode, lenient.returncode) == (0, 1, 0), bad.stderr
    assert "POST /ai/batches" in good.stdout
    assert "error: batch-paid-twice: " in bad.stdout
    assert bad.stderr.endswith("1 error found in 2 exchanges\n")


def test_a_report_can_be_limited_to_one_sandbox(server: ThreadedServer) -> None:
    queue(server, "good")
    queue(server, "schlecht ü".encode().decode("latin-1"))
    queue(server, "schlecht ü".encode().decode("latin-1"))

    done = [report("--url", server.url, "--sandbox", name).returncode for name in ("good", "schlecht ü", "nobody")]

    assert done == [0, 1, 4]


def test_a_report_is_written_as_json_junit_or_cobertura(server: ThreadedServer, tmp_path: Path) -> None:
    queue(server)
    queue(server)
    file = tmp_path / "report.xml"

    written = json.loads(report("--url", server.url, "--format", "json").stdout)
    junit = report("--url", server.url, "--format", "junit", "--output", str(file))
    cobertura = ElementTree.fromstring(report("--url", server.url, "--format", "cobertura").stdout)

    assert [each["code"] for each in written["verdict"]["findings"]] == ["batch-paid-twice"]
    assert written["coverage"]["responses"]["met"] == 1
    assert (junit.returncode, junit.stdout) == (1, "")
    root = ElementTree.parse(file).getroot()
    assert [suite.get("name") for suite in root] == ["verdict", "coverage"]
    assert root.get("failures") == "1"
    assert cobertura.get("lines-covered") == "1"


@pytest.mark.parametrize(("is_terminal", "times"), [(True, 1), (False, 2)])
def test_a_terminal_shows_the_summary_once(
    server: ThreadedServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    times: int,
) -> None:
    queue(server)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)

    main(["report", "--url", server.url, "--admin-token", "secret"])

    assert "".join(capsys.readouterr()).count("nothing found in 1 exchange\n") == times


def report_of(*, checked: int, judged: int, dropped: int = 0, severities: tuple[str, ...] = ()) -> ServerReport:
    verdict = {"judged": judged, "dropped": dropped, "findings": [{"severity": each} for each in severities]}
    return ServerReport(verdict, {"checked": checked})


@pytest.mark.parametrize(
    ("made", "is_empty", "has_no_verdict", "lacks", "lacks_unless_checked"),
    [
        (report_of(checked=0, judged=0), True, True, True, True),
        (report_of(checked=0, judged=3), True, False, True, True),
        (report_of(checked=3, judged=0), False, True, True, False),
        (report_of(checked=3, judged=0, dropped=1), False, False, False, False),
        (report_of(checked=3, judged=3), False, False, False, False),
    ],
)
def test_a_report_has_no_result_without_responses_or_without_exchanges(
    made: ServerReport, is_empty: bool, has_no_verdict: bool, lacks: bool, lacks_unless_checked: bool
) -> None:
    assert (made.is_empty, made.has_no_verdict) == (is_empty, has_no_verdict)
    assert [made.lacks(fail_on) for fail_on in ("info", "warning", "error")] == [lacks] * 3
    assert made.lacks("never") is lacks_unless_checked


@pytest.mark.parametrize(
    ("severity", "failing"),
    [("info", ["info"]), ("warning", ["info", "warning"]), ("error", ["info", "warning", "error"])],
)
def test_a_report_fails_for_findings_of_the_severity_or_worse(severity: str, failing: list[str]) -> None:
    made = report_of(checked=1, judged=1, severities=(severity,))

    assert [each for each in ("info", "warning", "error", "never") if made.fails(each)] == failing
    assert not report_of(checked=1, judged=1).fails("info")


def test_a_report_that_cannot_be_fetched_or_written_says_why(server: ThreadedServer, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = report("--url", f"http://127.0.0.1:{free.getsockname()[1]}")
    closed = report("--url", server.url, "--admin-token", "wrong")
    strange = report("--url", "ftp://127.0.0.1")
    unwritable = report("--url", server.url, "--output", str(tmp_path / "no" / "file"))
    lost = report("--url", f"{server.url}/v1")
    usage = report("--fail-on", "sometimes")

    assert [each.returncode for each in (nobody, closed, strange, unwritable, lost, usage)] == [2] * 6
    assert nobody.stderr.endswith("refused; is the server running?\n")
    assert "401: The header X-Mock-Admin-Token" in closed.stderr
    assert "wanted http://HOST:PORT" in strange.stderr
    assert "--output" in unwritable.stderr
    assert "404: mockserver does not imitate GET /v1/__admin/verdict." in lost.stderr
    assert "Traceback" not in "".join(each.stderr for each in (nobody, closed, strange, unwritable, lost, usage))


def test_a_contract_is_written_as_a_pact_file(server: ThreadedServer, tmp_path: Path) -> None:
    empty = report("--url", server.url, "--format", "pact")
    queue(server, "one")
    queue(server, "two")
    written = tmp_path / "pact.json"
    shown = report("--url", server.url, "--format", "pact", "--consumer", "my-app")
    one = report("--url", server.url, "--format", "pact", "--sandbox", "one", "--output", str(written))

    assert (empty.returncode, empty.stdout) == (4, "")
    assert "nothing was sent" in empty.stderr
    assert (shown.returncode, shown.stderr) == (0, "1 interaction of my-app and Agent First\n")
    assert json.loads(shown.stdout)["consumer"]["name"] == "my-app"
    assert (one.returncode, one.stdout) == (0, "")
    assert json.loads(written.read_text())["metadata"]["pactSpecification"]["version"] == "4.0"


def test_a_contract_is_about_one_api(server: ThreadedServer) -> None:
    queue(server)
    request = urllib.request.Request(f"{server.url}/v1/models", headers={"Authorization": "Bearer test"})
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.status == 200

    both = report("--url", server.url, "--format", "pact")
    one = report("--url", server.url, "--format", "pact", "--provider", "AgileCloud")
    none = report("--url", server.url, "--format", "pact", "--provider", "AgileClout")

    assert (both.returncode, one.returncode, none.returncode) == (2, 0, 2)
    assert "'Agent First' and 'AgileCloud' were called" in both.stderr
    assert json.loads(one.stdout)["provider"]["name"] == "AgileCloud"
    assert "did you mean AgileCloud" in none.stderr
