"""The command line: verbs, exit codes, and where each sentence goes."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mockserver import __version__, cli
from mockserver.api.call import ApiContext
from mockserver.api.provider import BoundOperation, Handler
from mockserver.cli import main
from mockserver.engine import build as loading
from mockserver.engine import check as checking
from mockserver.errors import FixtureError, MockServerError, Problem, SettingsError, SpecError
from mockserver.fixtures.files import Fixtures
from mockserver.openapi.document import OpenApiDocument, Operation
from mockserver.server import process as server
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import ROWS, Settings, flag_of

ROOT = Path(__file__).parents[1]
POST = {"key": "queue", "method": "POST", "path": "/ai/batches", "summary": "Queue", "tag": "AI"}
GET = {"key": "devices", "method": "GET", "path": "/ai/devices", "summary": "Devices", "tag": "AI"}
WORLD = ApiContext(OpenApiDocument({"openapi": "3.1.0"}, "a.yaml"), Fixtures(), Settings())


def a_service(described: dict[str, str], statuses: tuple[int, ...], handler: Handler | None) -> BoundOperation:
    operation = SimpleNamespace(**described, statuses=statuses)
    return BoundOperation(cast(Operation, operation), WORLD, None, handler, None)


SERVICES = (a_service(POST, (202, 401), lambda call: call.reply(None)), a_service(GET, (200,), None))


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name == "PORT" or name.startswith("MOCKSERVER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Settings]]:
    """The settings that `serve` was given."""
    given: list[Settings] = []

    def serve(settings: Settings) -> int:
        given.append(settings)
        return 0

    monkeypatch.setattr(server, "serve", serve)
    yield given


def answering(monkeypatch: pytest.MonkeyPatch, verdict: Callable[[Settings], Any]) -> None:
    monkeypatch.setattr(checking, "check", verdict)


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


def problem(severity: str) -> Problem:
    return Problem("a.yaml", "is odd", severity)


def run(*args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mockserver", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **more)


def test_the_version_is_printed_without_loading_the_engine() -> None:
    script = (
        "import sys; from mockserver.cli import main\n"
        "try: main(['--version'])\n"
        "finally: assert not {'uvicorn', 'starlette', 'yaml', 'asyncio', 'mockserver.engine.engine'} & set(sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"mockserver {__version__}\n", "")


def test_without_a_subcommand_the_help_is_shown_and_the_exit_code_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "serve" in capsys.readouterr().err


@pytest.mark.parametrize("args", [["sing"], ["serve", "--prot", "1"], ["serve", "--por", "1"], ["serve", "x"]])
def test_invalid_usage_exits_with_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(args)

    assert ended.value.code == 2
    assert "usage: mockserver" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["serv"], "mockserver: error: unknown subcommand 'serv'; did you mean serve?"),
        (["chekc"], "mockserver: error: unknown subcommand 'chekc'; did you mean check?"),
        (["zzz"], "mockserver: error: unknown subcommand 'zzz'; known are serve, "),
        (["serve", "--sed=1"], "mockserver serve: error: unknown flag --sed; did you mean --seed?"),
        (
            ["serve", "--admin-tokn=secret"],
            "mockserver serve: error: unknown flag --admin-tokn; did you mean --admin-token?",
        ),
        (["serve", "--zzz", "secret"], "mockserver serve: error: unknown flag --zzz\n"),
        (
            ["serve", "--fail-on", "never"],
            "mockserver serve: error: serve has no flag --fail-on; it is one of report\n",
        ),
        (["report", "--fail=never"], "mockserver report: error: unknown flag --fail; did you mean --fail-on?"),
        (["check", "secret.yaml"], "mockserver check: error: unexpected argument 'secret.yaml'\n"),
        (["--sed"], "mockserver: error: unknown flag --sed\n"),
        (["--sed", "--prt"], "mockserver: error: unknown flag --sed\n"),
    ],
)
def test_a_misspelt_subcommand_or_flag_gets_the_nearest_name(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(args)

    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "secret\n" not in error


def test_the_help_of_serve_shows_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])

    text = " ".join(capsys.readouterr().out.split())
    for name, row in ROWS.items():
        assert f" {flag_of(name)}" in text
        assert row.metadata["help"] in text
    assert "(default: 4024)" in text
    assert "--magic, --no-magic" in text
    assert "3 the server could not start" in text


def test_serve_reads_flags_and_variables(seen: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCKSERVER_SEED", "7")

    assert main(["serve", "--port", "0", "--no-magic", "--strict", "--spec", "a.yaml", "--spec", "b.yaml"]) == 0

    assert seen == [Settings(port=0, seed="7", magic=False, strict=True, spec=("a.yaml", "b.yaml"))]


def test_an_unknown_variable_is_warned_about_on_stderr(
    seen: list[Settings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOCKSERVER_SED", "7")

    assert main(["serve"]) == 0

    output = capsys.readouterr()
    assert seen == [Settings()]
    assert output.out == ""
    assert output.err == "mockserver: warning: unknown variable MOCKSERVER_SED; did you mean MOCKSERVER_SEED?\n"


def test_a_server_that_cannot_start_says_why_in_one_line_and_is_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "serve", raising(SpecError("openapi.yaml: is no document")))

    assert main(["serve"]) == 3
    assert capsys.readouterr().err == "mockserver: openapi.yaml: is no document\n"


def test_an_invalid_setting_prevents_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "http"]) == 3
    assert capsys.readouterr().err == "mockserver: --port is 'http'; wanted an integer from 0 to 65535\n"


def test_a_taken_port_is_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("serve", "--port", str(taken.getsockname()[1]))

    assert done.returncode == 3
    assert done.stderr.startswith("mockserver: cannot listen on port ")
    assert done.stderr.count("\n") == 1


def test_the_served_sandbox_is_healthy_until_a_signal_ends_it() -> None:
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[-1]
            healthy = main(["healthcheck", "--url", url])
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=60)
        finally:
            process.kill()

    assert (healthy, process.returncode, rest) == (0, 0, ("", ""))
    assert main(["healthcheck", "--url", url]) == 1


@pytest.mark.parametrize(
    ("severities", "code", "summary"),
    [
        ([], 0, "0 errors, 0 warnings\n"),
        (["warning"], 0, "0 errors, 1 warning\n"),
        (["error", "warning", "error"], 1, "2 errors, 1 warning\n"),
    ],
)
def test_check_lists_every_problem_and_counts_them(
    severities: list[str],
    code: int,
    summary: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answering(monkeypatch, lambda settings: [problem(severity) for severity in severities])

    assert main(["check"]) == code

    output = capsys.readouterr()
    assert output.out == "".join(f"{severity}: a.yaml: is odd\n" for severity in severities)
    assert output.err == summary


@pytest.mark.parametrize(
    ("error", "code"),
    [(SettingsError("no"), 2), (SpecError("no"), 4), (FixtureError("no"), 4), (MockServerError("no"), 4)],
)
def test_check_exits_differently_for_invalid_settings_and_unreadable_documents(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, raising(error))

    assert main(["check"]) == code


def test_check_is_given_the_documents_and_fixtures_named(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Settings] = []
    answering(monkeypatch, lambda settings: given.append(settings) or [])  # type: ignore[func-returns-value]  # append gives None, and so the other value counts

    main(["check", "--fixtures", "mine", "--spec", "other.yaml"])

    assert given == [Settings(fixtures=("mine",), spec=("other.yaml",))]


def test_operations_are_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(loading, "build_engine", lambda settings: SimpleNamespace(services=SERVICES))

    assert main(["operations"]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "METHOD  PATH         OPERATION  STATUSES",
        "POST    /ai/batches  queue      202 401",
        "GET     /ai/devices  devices    200",
    ]


def test_operations_are_json_for_programs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(loading, "build_engine", lambda settings: SimpleNamespace(services=SERVICES))

    assert main(["operations", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == [
        {**POST, "statuses": [202, 401], "handled": True},
        {**GET, "statuses": [200], "handled": False},
    ]


def test_operations_of_an_unreadable_document_are_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "build_engine", raising(SpecError("no")))

    assert main(["operations"]) == 2


async def only_health(scope: Any, receive: Any, send: Any) -> None:
    status = 200 if scope["path"] == "/health" else 404
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def test_healthcheck_asks_for_health(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadedServer(Settings(port=0), app=only_health) as running:
        assert main(["healthcheck", "--url", f"{running.url}/"]) == 0
        assert main(["healthcheck", "--url", f"{running.url}/elsewhere"]) == 1
        assert "/elsewhere/health answers 404" in capsys.readouterr().err

        monkeypatch.setenv("MOCKSERVER_HOST", "0.0.0.0")
        monkeypatch.setenv("PORT", str(running.port))
        assert main(["healthcheck"]) == 0


def test_healthcheck_times_out(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert main(["healthcheck", "--url", url, "--timeout", "0.01"]) == 1

    assert capsys.readouterr().err == f"mockserver: {url} does not answer: timed out\n"


@pytest.mark.parametrize("url", ["127.0.0.1:4024", "ftp://a", "http://", "http://a:b", "http://[a"])
def test_healthcheck_of_no_address_is_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["healthcheck", "--url", url]) == 2
    assert capsys.readouterr().err == f"mockserver: --url is {url!r}; wanted http://HOST:PORT\n"


def test_an_interrupt_shows_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answering(monkeypatch, raising(KeyboardInterrupt()))

    assert main(["check"]) == 130
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_ends_the_subcommand(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(loading, "build_engine", lambda settings: SimpleNamespace(services=SERVICES))

    with open(writing, "w") as unread:  # noqa: PTH123  a descriptor
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(["operations"]) == cli.PIPE_CLOSED


def test_a_closed_pipe_prints_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "mockserver", "operations", "--json"]

    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (cli.PIPE_CLOSED, b"")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("is_buffered", [True, False])
@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["operations"], 2),
        (["operations", "--json"], 2),
        (["--version"], 2),
        (["serve", "--help"], 2),
        (["check"], 0),  # which has nothing to write
        (["serve", "--port", "0"], 3),
    ],
)
def test_a_full_disk_behind_standard_output_is_reported_in_one_line(
    args: list[str], code: int, is_buffered: bool
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment |= {} if is_buffered else {"PYTHONUNBUFFERED": "1"}
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mockserver", *args],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env=environment,
            check=False,
        )

    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
    assert code == 0 or "standard output cannot be written" in done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_a_port_file_that_cannot_be_written_is_3_and_a_device_is_unchanged() -> None:
    done = run("serve", "--port", "0", "--port-file", str(FULL))

    assert done.returncode == 3
    assert done.stderr == "mockserver: /dev/full: the port file cannot be written: No space left on device\n"
    assert FULL.is_char_device()


@pytest.mark.parametrize("args", [["operations"], ["--version"], ["check"]])
def test_without_standard_output_and_error_a_subcommand_still_ends(args: list[str]) -> None:
    command = ["/bin/sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-m", "mockserver", *args]

    assert subprocess.run(command, timeout=60, check=False).returncode == 0


def test_json_for_programs_is_indented_by_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading, "build_engine", lambda settings: SimpleNamespace(services=SERVICES[:1]))

    main(["operations", "--json"])

    written = capsys.readouterr().out
    assert written == json.dumps(json.loads(written), indent=2) + "\n"
