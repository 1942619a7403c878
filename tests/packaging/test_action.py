"""The GitHub Action's steps, run as a runner would run them; only what `pip install` fetches is there already."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]


class Runner:
    """What GitHub does with a composite action: fill in expressions, run the steps, collect their outputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.installed = folder / "installed.txt"
        self._commands = folder / "commands"
        self._commands.mkdir()
        self._groups: list[int] = []
        """Of the steps' processes; what a step leaves behind stays in its group."""
        self.used: list[Mapping[str, Any]] = []
        """Steps that are other actions, which are not run."""
        self._write_python()

    def end(self) -> None:
        """End, as GitHub does, the processes that the steps have left behind."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)

    def run(self, **inputs: str) -> Mapping[str, str]:
        """The outputs; a step that fails is an AssertionError with what it printed."""
        given = {name: facts["default"] for name, facts in ACTION["inputs"].items()} | inputs
        outputs: dict[str, str] = {}
        for step in STEPS:
            if "uses" in step:
                self.used.append(step)
            elif step.get("if") in {None, "inputs.drift != ''" if given["drift"] else "inputs.drift == ''"}:
                outputs |= self._run(step, given)
        wanted = {name: facts["value"] for name, facts in ACTION["outputs"].items()}
        return {name: outputs.get(value.strip("${} ").rpartition(".")[2], "") for name, value in wanted.items()}

    def _run(self, step: Mapping[str, Any], inputs: Mapping[str, str]) -> Mapping[str, str]:
        assert step["shell"] == "bash"
        outputs = self.folder / "outputs.txt"
        outputs.write_text("", encoding="utf-8")
        script = self.folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        variables = {name: self._filled(text, inputs) for name, text in step["env"].items()}
        path = f"{self._commands}{os.pathsep}{os.environ['PATH']}"
        shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder,
            env={**clean_environment(), **variables, "PATH": path, "GITHUB_OUTPUT": str(outputs)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._groups.append(shell.pid)
        printed, _ = shell.communicate(timeout=60)
        assert shell.returncode == 0, printed
        return dict(line.split("=", 1) for line in outputs.read_text(encoding="utf-8").splitlines())

    def _filled(self, text: str, inputs: Mapping[str, str]) -> str:
        known = {f"inputs.{name}": value for name, value in inputs.items()}
        known |= {"github.action_path": str(ROOT), "runner.temp": str(self.temp)}
        return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: known[found[1]], text)

    def _write_python(self) -> None:
        """A python3 whose `-m venv` makes a folder in which `pip install` only writes down what it was asked."""
        command = self._commands / "python3"
        real, kept = shlex.quote(sys.executable), shlex.quote(str(self.installed))
        command.write_text(
            f"""#!/bin/bash
case "$1 $2" in
"-m venv")
  mkdir -p "$3/bin"
  ln -s "$0" "$3/bin/python"
  printf '#!/bin/bash\\nexec {real} -m mockserver "$@"\\n' > "$3/bin/mockserver"
  chmod +x "$3/bin/mockserver" ;;
"-m pip") printf '%s\\n' "${{@: -1}}" > {kept} ;;
*) exec {real} "$@" ;;
esac
""",
            encoding="utf-8",
        )
        command.chmod(0o755)


def clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOCKSERVER_") and name != "PORT"}
    return kept | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(tmp_path)
    yield made
    made.end()


def ask(url: str, token: str = "any") -> bytes:
    with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=10) as answer:
        body: bytes = answer.read()
        return body


def test_the_server_answers_at_the_address_that_is_put_out(runner: Runner) -> None:
    outputs = runner.run(port="0")

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", outputs["url"])
    assert b"credits" in ask(f"{outputs['url']}/user")
    assert f"listening on {outputs['url']}" in Path(outputs["log"]).read_text(encoding="utf-8")


def test_fixtures_config_and_flags_reach_the_server(runner: Runner) -> None:
    (runner.folder / "my fixtures").mkdir()
    (runner.folder / "my fixtures" / "accounts.yaml").write_text("accounts: [{token: team-a, credits: 7}]\n")
    (runner.folder / "more").mkdir()
    (runner.folder / "config.yaml").write_text("progression: polls:9\n")

    outputs = runner.run(
        port="0",
        fixtures="my fixtures\nmore\n",
        config="config.yaml",
        args="--clock 'frozen@2026-04-12T00:00:00' --no-magic --seed 'two words'",
    )

    assert b'"polls":9' in ask(f"{outputs['url']}/__admin/progression")
    assert b"2026-04-12T00:00:00" in ask(f"{outputs['url']}/__admin/clock")
    assert b'"credits":7' in ask(f"{outputs['url']}/user", "team-a")


def test_a_release_comes_from_the_index_and_else_the_code_of_the_action(runner: Runner) -> None:
    runner.run(port="0", version="0.1.0")
    assert runner.installed.read_text() == "batch-mockserver==0.1.0\n"


def test_without_a_version_the_code_of_the_action_is_installed(runner: Runner) -> None:
    runner.run(port="0")

    assert runner.installed.read_text() == f"{ROOT}\n"


@pytest.mark.parametrize("inputs", [{"args": "--progression never"}, {"fixtures": "nowhere"}, {"config": "none.yaml"}])
def test_a_server_that_does_not_start_says_why_at_once(runner: Runner, inputs: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match=r"(?s)::error::.*mockserver: .*(never|nowhere|none\.yaml)"):
        runner.run(port="0", **inputs)


def test_a_server_that_is_not_ready_in_time_is_ended(runner: Runner) -> None:
    with pytest.raises(AssertionError, match="not ready after 0 seconds"):
        runner.run(port="0", wait="0")


def recording(folder: Path, credits: Any) -> str:
    """A folder with a recording of `GET /user`."""
    entry = {"request": {"operation": "getUser"}, "answers": [
        {"status": 200, "body": [{"email": "a@example.com", "credits": credits}]}]}  # fmt: skip
    (folder / "episodes").mkdir()
    (folder / "episodes" / "recording.yaml").write_text(yaml.safe_dump({"recorded": [entry]}))
    return "episodes"


def test_drift_is_reported_as_an_artifact_and_starts_no_server(runner: Runner) -> None:
    outputs = runner.run(drift=recording(runner.folder, "many"), fail_on_drift="false")

    assert (outputs["url"], outputs["differences"]) == ("", "2")
    assert runner.installed.read_text() == f"{ROOT}[proxy]\n"
    report = json.loads(Path(outputs["report"]).read_text())
    assert {each["kind"] for each in report["differences"]} == {"undocumented", "type-changed"}
    [upload] = runner.used
    assert upload["uses"].startswith("actions/upload-artifact@") and upload["if"].startswith("always()")
    assert upload["with"]["path"].replace("${{ runner.temp }}", str(runner.temp)) == outputs["report"]


def test_drift_fails_the_step_if_it_shall(runner: Runner) -> None:
    with pytest.raises(AssertionError, match=r"(?s)type-changed.*::error::The live API answers otherwise"):
        runner.run(drift=recording(runner.folder, "many"))


def test_without_drift_the_step_passes(runner: Runner) -> None:
    assert runner.run(drift=recording(runner.folder, 7), args="--only getUser")["differences"] == "0"


def test_drift_that_compares_nothing_fails_the_step(runner: Runner) -> None:
    with pytest.raises(AssertionError, match="could not compare anything"):
        runner.run(drift="http://127.0.0.1:9", args="--only getUser --rate 1000", fail_on_drift="false")


def test_no_input_is_interpolated_into_a_script() -> None:
    assert [step["run"] for step in STEPS if "${{" in step.get("run", "")] == []


def test_inputs_and_outputs_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs" / "ci" / "github.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"(?m)^\| `(\w+)` \| (?:`(\w*)`)? ?\|", page))

    assert table == {name: facts["default"] for name, facts in ACTION["inputs"].items()}
    assert set(ACTION["outputs"]) == {"url", "log", "report", "differences"}


def test_workflows_shown_use_inputs_and_outputs_that_exist() -> None:
    page = (ROOT / "docs" / "ci" / "github.md").read_text(encoding="utf-8")
    example = (ROOT / "examples" / "weekly-drift.yml").read_text(encoding="utf-8")
    assert example in page
    steps = [
        step
        for block in re.findall(r"(?s)```yaml[^\n]*\n(.*?)```", page)
        for job in yaml.safe_load(block)["jobs"].values()
        for step in job["steps"]
    ]
    ours = [step for step in steps if "/mockserver." in step.get("uses", "")]

    assert ours
    assert {name for step in ours for name in step["with"]} <= set(ACTION["inputs"])
    assert set(re.findall(r"steps\.\w+\.outputs\.(\w+)", page)) <= set(ACTION["outputs"])
