"""The commands `proxy`, `verify` and `drift`: their defaults, what they refuse, exit codes, and where reports go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import make_document, make_operation

from mockserver.cli import main
from mockserver.contract import commands
from mockserver.contract.drift.differences import Difference
from mockserver.contract.live.plan import EXAMPLE, PlannedRequest
from mockserver.contract.live.runner import LiveBudget, LiveExchange, LiveRun, Observation
from mockserver.contract.live.verification import Credentials, Preparation
from mockserver.contract.proxy import ProxyServer
from mockserver.contract.upstream import Upstream
from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.openapi.document import OpenApiDocument

API = "http://127.0.0.1:9"
TOKEN = "t0ken-12345"
OPERATION = OpenApiDocument(make_document({"/user": {"get": make_operation("getUser")}}), "doc.yaml").operations[0]


class Live:
    """In place of a run against a live API: notes what would be run, and returns what a test says."""

    def __init__(self) -> None:
        self.exchanges: list[LiveExchange] = []
        self.observations: list[Observation] = []
        self.differences: list[Difference] = []
        self.pairs: list[Any] = []
        self.asked: list[tuple[Preparation, Upstream, LiveBudget, Credentials]] = []

    def run(self, checked: Preparation, upstream: Any, budget: LiveBudget, credentials: Credentials) -> LiveRun:
        self.asked.append((checked, upstream, budget, credentials))
        found = LiveRun()
        found.exchanges.extend(self.exchanges)
        found.observations.extend(self.observations)
        return found

    def drift(self, checked: Preparation, upstream: Any, budget: LiveBudget, _: Any, credentials: Credentials) -> Any:
        return self.run(checked, upstream, budget, credentials), self.pairs, self.differences


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Live:
    found = Live()
    monkeypatch.setattr("mockserver.contract.live.verification.run", found.run)
    monkeypatch.setattr("mockserver.contract.drift.report.drift_of_live", found.drift)
    monkeypatch.setenv("API_TOKEN", TOKEN)
    monkeypatch.delenv("API_TOKEN_2", raising=False)
    return found


def exchange(number: int = 0, violations: Sequence[Violation] = ()) -> LiveExchange:
    planned = PlannedRequest(OPERATION, EXAMPLE)
    response = Response(200, "application/json", orjson.dumps({"a": TOKEN}))
    return LiveExchange(planned, Request("GET", "/", "", {}), response, tuple(violations), 0.1, "curl", number)


def test_a_check_has_a_small_budget_unless_more_is_allowed(live: Live) -> None:
    main(["verify", API])
    main([
        "verify", API, "--max-requests", "7", "--rate", "0.5", "--methods", " get, POST ,,", "--spend", "2.5",
        "--upstream-timeout", "9",
    ])  # fmt: skip

    assert [each[2] for each in live.asked] == [
        LiveBudget(50, 2.0, frozenset({"GET", "HEAD"}), 0.0),
        LiveBudget(7, 0.5, frozenset({"GET", "POST"}), 2.5),
    ]
    assert [each[1].timeout for each in live.asked] == [60, 9]
    assert [str(each[1].url) for each in live.asked] == [API] * 2


@pytest.mark.parametrize("flags", [("--max-requests", "0"), ("--rate", "0"), ("--spend", "-0.1"), ("--rate", "-1")])
@pytest.mark.parametrize("command", ["verify", "drift"])
def test_a_budget_of_nothing_is_refused(
    live: Live, capsys: pytest.CaptureFixture[str], command: str, flags: tuple[str, str]
) -> None:
    assert main([command, API, *flags]) == 2
    assert "--max-requests and --rate must be positive, and --spend must not be negative" in capsys.readouterr().err
    assert live.asked == []


def test_the_least_budget_is_one_request(live: Live) -> None:
    assert main(["verify", API, "--max-requests", "1", "--spend", "0", "--rate", "0.001"]) == 4


@pytest.mark.parametrize(
    ("variables", "flags", "credentials", "warning"),
    [
        ({"API_TOKEN": "a"}, (), ("a", "", "API_TOKEN"), ""),
        ({"API_TOKEN": "a", "API_TOKEN_2": "b"}, (), ("a", "b", "API_TOKEN"), ""),
        ({"MINE": "c", "MINE_2": "d"}, ("--token-variable", "MINE"), ("c", "d", "MINE"), ""),
        ({"API_TOKEN": ""}, (), ("", "", "API_TOKEN"),
         "mockserver: warning: API_TOKEN is not set; requests have no credential\n"),
    ],
)  # fmt: skip
def test_credentials_come_from_the_environment(  # noqa: PLR0917  one for each parameter
    live: Live,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    flags: tuple[str, ...],
    credentials: tuple[str, str, str],
    warning: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    main(["verify", API, *flags])

    assert live.asked[0][3] == Credentials(*credentials)
    assert capsys.readouterr().err == warning


BAD = Violation(("response", "body"), "type", "5 is not text")


@pytest.mark.parametrize(
    ("exchanges", "code"),
    [([], 4), ([exchange()], 0), ([exchange(0, [BAD])], 1), ([exchange(), exchange(1, [BAD])], 1)],
)
def test_the_exit_code_of_a_check(live: Live, exchanges: list[LiveExchange], code: int) -> None:
    live.exchanges = exchanges

    assert main(["verify", API]) == code


def difference() -> Difference:
    return Difference("status", "getUser", "200", "201", "200", seen=1, of=1)


SAID = Observation("a-question", "What?", "This.", "", "", "curl")
UNSEEN = SAID._replace(says="", why="it costs")


@pytest.mark.parametrize(
    ("differences", "observations", "code"),
    [([], [], 4), ([], [UNSEEN], 4), ([], [SAID], 0), ([difference()], [SAID], 1), ([difference()], [], 4)],
)
def test_the_exit_code_of_a_comparison(
    live: Live, differences: list[Difference], observations: list[Observation], code: int
) -> None:
    live.differences, live.observations = differences, observations

    assert main(["drift", API]) == code


def test_a_report_goes_to_a_file_without_the_credential(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live.exchanges = [exchange(0, [BAD])]
    file = tmp_path / "report.json"

    assert main(["verify", API, "--format", "json", "--output", str(file)]) == 1
    printed = capsys.readouterr()
    assert main(["verify", API, "--format", "json"]) == 1
    shown = capsys.readouterr()

    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert shown.out == file.read_text(encoding="utf-8")
    assert TOKEN not in shown.out


@pytest.mark.parametrize("command", ["verify", "drift"])
def test_a_report_that_cannot_be_written_is_refused(
    live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    live.exchanges = [exchange()]

    assert main([command, API, "--output", str(tmp_path)]) == 2
    assert f"--output is {str(tmp_path)!r}, which cannot be written: Is a directory" in capsys.readouterr().err


def test_a_proposal_goes_to_a_file(live: Live, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live.observations = [SAID]
    file = tmp_path / "overlay.json"

    main(["drift", API, "--propose", str(file)])

    assert f"proposal: {file}\n" in capsys.readouterr().err
    assert file.read_text(encoding="utf-8").startswith('{\n  "overlay": ')


# The proxy


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """What would be served: settings and application."""
    found: list[tuple[Any, Any]] = []

    def serve(settings: Any, *, app: Any = None) -> int:
        found.append((settings, app))
        return 7

    monkeypatch.setattr("mockserver.server.process.serve", serve)
    return found


def test_a_proxy_passes_on_and_records_nothing_unless_it_is_told_to(served: list[tuple[Any, Any]]) -> None:
    assert main(["proxy", API]) == 7

    ((_, app),) = served
    assert isinstance(app, ProxyServer)
    context = app._context
    assert (context.fails, context.recorder, context.relay) == (False, None, None)
    assert (str(context.upstream.url), context.upstream.timeout) == (API, 300)


def test_the_flags_of_a_proxy(served: list[tuple[Any, Any]], tmp_path: Path) -> None:
    folder = tmp_path / "episodes"
    flags = ["--fail", "--record", str(folder), "--callbacks-via", "http://127.0.0.1:4024", "--upstream-timeout", "5"]

    assert main(["proxy", API, *flags]) == 7

    context = served[0][1]._context
    assert context.fails
    assert context.relay is not None
    assert context.recorder is not None
    assert not context.recorder.replays
    assert context.upstream.timeout == 5
    context.recorder.close()


@pytest.mark.parametrize(
    ("mode", "is_served"), [("once", True), ("none", True), ("new_episodes", False), ("all", False)]
)
def test_a_folder_with_a_recording_is_only_replayed_in_some_modes(
    served: list[tuple[Any, Any]], tmp_path: Path, mode: str, is_served: bool
) -> None:
    (tmp_path / "recording.yaml").write_text("recorded: []\n", encoding="utf-8")

    assert main(["proxy", API, "--record", str(tmp_path), "--record-mode", mode, "--fixtures", "fixtures"]) == 7

    ((settings, app),) = served
    assert (app is None) is is_served
    assert settings.fixtures == ((str(tmp_path), "fixtures") if is_served else ("fixtures",))
    if app is not None:
        app._context.recorder.close()


def test_once_is_the_usual_mode(served: list[tuple[Any, Any]], tmp_path: Path) -> None:
    (tmp_path / "recording.yaml").write_text("recorded: []\n", encoding="utf-8")

    main(["proxy", API, "--record", str(tmp_path)])

    assert served[0][1] is None
    assert commands.MODES == ("none", "once", "new_episodes", "all")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["proxy", "ftp://x"], 3), (["verify", "ftp://x"], 2), (["drift", "ftp://x"], 2),
     (["proxy", API, "--record-mode", "twice"], 2), (["proxy", API, "--callbacks-via", ""], 3)],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(served: list[tuple[Any, Any]], arguments: list[str], code: int) -> None:
    try:
        found = main(arguments)
    except SystemExit as ended:
        found = int(ended.code or 0)

    assert found == code
    assert served == []
