"""The choice of tests in `make mutants`: read from imports and words, so that it survives every move of a module."""

import re
from pathlib import Path

import pytest

from bench.mutants.impact import PACKAGE, Impact

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def impact() -> Impact:
    return Impact(ROOT)


def test_every_module_is_reached_by_tests(impact: Impact) -> None:
    modules = sorted((ROOT / PACKAGE).rglob("*.py"))

    unreached = [path for path in modules if not impact.ordered_tests(path)]

    assert [path for path in unreached if path.name not in {"__init__.py"}] == []


def test_the_tests_that_mirror_a_module_come_first(impact: Impact) -> None:
    mirrors = [
        (test, ROOT / PACKAGE / test.relative_to(ROOT / "tests").parent / f"{test.stem[5:]}.py")
        for test in impact.tests
    ]
    mirrored = [(test, module) for test, module in mirrors if module.exists()]

    assert len(mirrored) > 50
    assert [module for test, module in mirrored if test not in impact.ordered_tests(module)[:6]] == []


def test_a_test_file_that_reads_yaml_cases_speaks_of_what_they_say(impact: Impact) -> None:
    operations = ROOT / PACKAGE / "providers" / "agentfirst" / "operations.py"

    assert ROOT / "tests" / "web" / "test_cases.py" in impact.ordered_tests(operations)[:24]


def test_the_lock_of_the_tool_agrees_with_that_of_the_tests() -> None:
    """Both are installed into one environment, whichever came first."""
    ours, theirs = pins("mutants"), pins("test")

    assert {name: version for name, version in ours.items() if name in theirs} == {
        name: version for name, version in theirs.items() if name in ours
    }


def pins(name: str) -> dict[str, str]:
    lock = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"(?m)^([\w-]+)==(\S+)", lock))
