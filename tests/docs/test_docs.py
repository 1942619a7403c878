"""The documents tell the truth: their commands run, their tables are those of the code."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mockserver import __version__
from mockserver.engine.build import build_engine, fixture_schema
from mockserver.engine.overrides import read_rules
from mockserver.errors import SpecError
from mockserver.fixtures.files import read_fixtures
from mockserver.openapi.files import read_document
from mockserver.openapi.schema import Schema
from mockserver.pytest_plugin import INI
from mockserver.sandbox.stubs.schema import RULE_SCHEMA
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

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


def test_the_first_curl_prints_what_is_shown(tmp_path: Path) -> None:
    with ThreadedServer(Settings(port=0)) as server:
        printed = run(blocks("sh")[1], tmp_path, server.url)

    assert printed == blocks("text")[0]


@pytest.mark.parametrize(("block", "summary"), [(0, "1 passed"), (1, "1 passed")])
def test_the_tests_in_the_docs_pass(block: int, summary: str, tmp_path: Path) -> None:
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


def test_every_test_on_a_page_is_run() -> None:
    assert len(blocks("python")) == 2


def test_the_options_of_the_plugin_are_those_of_the_code() -> None:
    names = {name for name, *_ in INI} | {"mockserver_allow_unexpected"}
    page = (ROOT / "docs" / "clients" / "pytest.md").read_text(encoding="utf-8")

    assert {name for name in names if f"`{name}`" not in page} == set()


def block_after(page: str, start: str) -> str:
    """The text of the block in the page whose first line this is."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(f"```{start}\n")[2]
    return text.partition("```")[0]


def test_the_fixtures_in_the_docs_are_valid(tmp_path: Path) -> None:
    folder = tmp_path / "agentfirst"
    folder.mkdir()
    shown = block_after("control/answers.md", 'yaml title="my-fixtures/agentfirst/answers.yaml"')
    (folder / "answers.yaml").write_text(shown, encoding="utf-8")

    fixtures = read_fixtures([tmp_path], "agentfirst", fixture_schema())

    assert fixtures.completion("What WEATHER is coming?", "chatgpt", "no") is not None
    assert not fixtures.closed
    assert [account["token"] for account in fixtures.accounts] == ["team-a"]


def test_the_stub_in_the_docs_is_valid() -> None:
    engine = build_engine(Settings())

    shown = json.loads(block_after("control/answers.md", "json"))
    (rule,) = read_rules([shown], engine.services, origin="next", now=0.0)

    assert Schema(RULE_SCHEMA, {}).accepts(rule.definition)
    assert rule.times is None


def test_the_reference_pages_are_those_of_the_code() -> None:
    pages = subprocess.run([sys.executable, "-c", PRINT_PAGES], cwd=ROOT, capture_output=True, text=True, check=True)

    for path, text in json.loads(pages.stdout).items():
        assert (ROOT / "docs" / path).read_text(encoding="utf-8") == text, f"{path}: run `python docs/generate.py`"
    known = {Path(path).name for path in json.loads(pages.stdout)}
    assert {path.name for path in (ROOT / "docs" / "reference").iterdir()} == known


PRINT_PAGES = "import sys; sys.path.insert(0, 'docs'); import generate, json; print(json.dumps(generate.all_pages()))"


def test_the_stub_fields_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "reference" / "stubs.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"(?m)^\| (`[^|]+`) \|", page)

    assert set(re.findall(r"`(\w+)`", "".join(first_cells))) == set(RULE_SCHEMA["properties"])


def test_the_scenario_in_the_docs_is_valid(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    text = block_after("control/scenarios.md", 'yaml title="my-fixtures/scenarios/bad-evening.yaml"')
    (folder / "bad-evening.yaml").write_text(text, encoding="utf-8")

    shown = build_engine(Settings(fixtures=(str(tmp_path),))).scenarios.by_name["bad-evening"]

    assert shown.parts == ["clock", "progression", "accounts", "conditions", "stubs", "faults"]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bench/README.md"])
def test_links_resolve(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert ((ROOT / page).parent / target).exists(), target


def test_the_layout_in_contributing_names_every_module() -> None:
    plan = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    modules = {path.stem for path in (ROOT / "mockserver").glob("*.py")} - {"__init__", "__main__"}
    rooms = {path.parent.name for path in (ROOT / "mockserver").glob("*/__init__.py")}

    assert {name for name in modules | rooms if name not in plan} == set()


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    document = read_document(ROOT / "openapi.yaml", SpecError)

    assert project["version"] == document["info"]["version"] == __version__
