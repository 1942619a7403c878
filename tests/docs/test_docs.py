"""The documents tell the truth: their commands run, their tables are those of the code."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from mockserver import __version__
from mockserver.engine.build import build_engine, fixture_schema
from mockserver.engine.overrides import read_rules
from mockserver.errors import FixtureError, SpecError
from mockserver.fixtures.files import read_fixtures
from mockserver.openapi.files import read_document
from mockserver.openapi.schema import Schema
from mockserver.pytest_plugin import INI
from mockserver.sandbox.stubs.faults import faults_json
from mockserver.sandbox.stubs.schema import RULE_SCHEMA
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import ROWS, Settings, flag_of

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEFAULT_URL = "http://127.0.0.1:4024"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(script: str, folder: Path, url: str) -> str:
    """What a person sees who pastes the script into a shell."""
    command = ["bash", "-euo", "pipefail", "-c", script.replace(DEFAULT_URL, url)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def settings_table() -> str:
    rows = ["| flag | default | |", "| --- | --- | --- |"]
    for name, row in ROWS.items():
        default = {"True": "on", "False": "off", "()": ""}.get(str(row.default), row.default)
        off = f", `{flag_of(f'no_{name}')}`" if isinstance(row.default, bool) else ""
        rows.append(f"| `{flag_of(name)}`{off} | {f'`{default}`' if default != '' else ''} | {row.metadata['help']} |")
    return "\n".join(rows)


def faults_table() -> str:
    rows = ["| type | fields | what a client sees |", "| --- | --- | --- |"]
    for fault in faults_json():
        told = (
            f"`{each['name']}`: {each['wanted']}" + (f" (`{each['default']}`)" if "default" in each else "")
            for each in fault["fields"]
        )
        rows.append(f"| `{fault['type']}` | {'; '.join(told)} | {fault['sees']} |")
    return "\n".join(rows)


def test_the_first_curl_queues_a_batch(tmp_path: Path) -> None:
    with ThreadedServer(Settings(port=0)) as server:
        said = run(blocks("sh")[1], tmp_path, server.url)

    assert re.fullmatch(r'\{"id":"[0-9a-f-]{36}","count":2\}\n', said)


def test_the_walk_to_the_completions_works_word_for_word(tmp_path: Path) -> None:
    with ThreadedServer(Settings(port=0)) as server:
        said = run(blocks("sh")[2], tmp_path, server.url)

    assert '"status":"retrieving"' in said
    assert said.count('"model":"chatgpt","prompt":') == 2
    assert max(map(len, said.splitlines())) < 160, "it floods the terminal"
    assert zipfile.ZipFile(tmp_path / "answers.zip").namelist() == ["0001.json", "0002.json"]


@pytest.mark.parametrize(("block", "summary"), [(0, "1 passed"), (1, "1 passed"), (2, "2 passed"), (3, "1 passed")])
def test_the_tests_pass(block: int, summary: str, tmp_path: Path) -> None:
    (tmp_path / "test_readme.py").write_text(blocks("python")[block], encoding="utf-8")
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "mockserver.pytest_plugin", "test_readme.py"],
        cwd=tmp_path,
        env=alone,
        capture_output=True,
        text=True,
        check=False,
    )

    assert summary in done.stdout, done.stdout


def test_every_test_shown_is_tried() -> None:
    assert len(blocks("python")) == 4


def test_the_options_of_the_plugin_are_those_of_the_code() -> None:
    names = {name for name, *_ in INI} | {"mockserver_allow_unexpected"}

    assert {name for name in names if f"`{name}`" not in README} == set()


def test_the_fixtures_shown_are_fixtures(tmp_path: Path) -> None:
    folder = tmp_path / "agentfirst"
    folder.mkdir()
    (folder / "answers.yaml").write_text(blocks("yaml")[0], encoding="utf-8")

    fixtures = read_fixtures([tmp_path], "agentfirst", fixture_schema())

    assert fixtures.completion("What WEATHER is coming?", "chatgpt", "no") is not None
    assert not fixtures.closed
    assert [account["token"] for account in fixtures.accounts] == ["team-a"]


def test_the_stub_shown_is_a_stub() -> None:
    engine = build_engine(Settings())

    (rule,) = read_rules([json.loads(blocks("json")[0])], engine.services, origin="next", now=0.0)

    assert Schema(RULE_SCHEMA, {}).accepts(rule.definition)
    assert rule.times == 2


def test_the_settings_are_those_of_the_code() -> None:
    shown = README.partition("<!-- settings -->\n")[2].partition("\n<!-- /settings -->")[0]

    assert shown == settings_table()


def test_the_scenarios_are_those_of_the_files() -> None:
    files = sorted((ROOT / "fixtures" / "scenarios").glob("*.yaml"))
    rows = [f"| `{path.stem}` | {read_document(path, FixtureError)['description']} |" for path in files]
    shown = README.partition("<!-- scenarios -->\n")[2].partition("\n<!-- /scenarios -->")[0]

    assert shown == "\n".join(["| scenario | what happens |", "| --- | --- |", *rows])


def test_the_scenario_shown_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "bad-evening.yaml").write_text(blocks("yaml")[1], encoding="utf-8")

    shown = build_engine(Settings(fixtures=(str(tmp_path),))).scenarios.by_name["bad-evening"]

    assert shown.parts == ["clock", "progression", "accounts", "conditions", "stubs", "faults"]


def test_the_faults_are_those_of_the_code() -> None:
    shown = README.partition("<!-- faults -->\n")[2].partition("\n<!-- /faults -->")[0]

    assert shown == faults_table()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_module_has_its_place_in_the_plan_of_the_house() -> None:
    plan = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (ROOT / "mockserver").glob("*.py")} - {"__init__", "__main__"}
    rooms = {path.parent.name for path in (ROOT / "mockserver").glob("*/__init__.py")}

    assert {name for name in modules | rooms if name not in plan} == set()


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    document = read_document(ROOT / "openapi.yaml", SpecError)

    assert project["version"] == document["info"]["version"] == __version__
