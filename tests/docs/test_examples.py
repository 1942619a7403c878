"""The examples run as their readers run them: copied to a folder of their own, with the command the README names."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from node_sdk import install_sdk, needs_node
from shell import Shell, reading_shell

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIED = ("curl", "node", "pytest-openai", "unittest")

Copy = Callable[[str], Shell]


@pytest.fixture
def copied(tmp_path: Path) -> Copy:
    def copy(name: str) -> Shell:
        folder = tmp_path / name
        left = shutil.ignore_patterns("node_modules", "__pycache__", ".*")
        return reading_shell(Path(shutil.copytree(EXAMPLES / name, folder, ignore=left)))

    return copy


def count(pattern: str, file: str) -> int:
    return len(re.findall(pattern, (EXAMPLES / file).read_text(encoding="utf-8"), re.MULTILINE))


def test_every_example_folder_is_tested_and_listed() -> None:
    told = re.findall(r"\]\(([\w-]+)\) \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"))

    assert sorted(told) == sorted(TRIED) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


def test_the_shell_script_walks_from_start_to_stop(copied: Copy) -> None:
    printed = copied("curl").run("./batch.sh").splitlines()

    assert re.fullmatch(r"queued [0-9a-f-]{36}", printed[0])
    assert printed[1:4] == [f'"status":"{each}"' for each in ("retrieving", "archiving", "successful")]
    assert "guitar" in printed[4]
    assert printed[5:] == ['{"status":"failed"}']


def test_the_shell_script_leaves_nothing_behind(copied: Copy) -> None:
    shell = copied("curl")
    temporary = shell.folder / "temporary"
    temporary.mkdir()

    shell.run("./batch.sh", TMPDIR=str(temporary))

    assert list(temporary.iterdir()) == []


def test_the_unittest_example_passes(copied: Copy) -> None:
    printed = copied("unittest").run("python -m unittest")

    assert f"Ran {count(r'^    def test_', 'unittest/test_prices.py')} tests" in printed
    assert printed.rstrip().endswith("OK")


def test_the_pytest_example_passes(copied: Copy) -> None:
    printed = copied("pytest-openai").run("pytest")

    assert f"{count(r'^def test_', 'pytest-openai/test_moods.py')} passed" in printed


@needs_node
def test_the_node_example_passes(copied: Copy) -> None:
    install_sdk()
    shell = copied("node")

    printed = shell.run("npm install && node --test --test-reporter=tap")

    assert f"# pass {count(r'^test[(]', 'node/translate.test.js')}" in printed
    assert "# fail 0" in printed
