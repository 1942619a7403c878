"""A third provider, a package outside of mockserver, works through its entry point alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mockserver

OUTSIDE = Path(__file__).parents[1] / "support" / "providers"
"""A folder as an installer leaves it: the package, and a dist-info that names its entry point."""


def run(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Python where the provider is installed."""
    variables = {**os.environ, "PYTHONPATH": str(OUTSIDE), **environ}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_its_own_tests_pass(tmp_path: Path) -> None:
    checks = str(OUTSIDE / "anthropic_batches_checks.py")

    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), checks, folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


def test_its_settings_are_flags_variables_and_keys_of_the_config_file(tmp_path: Path) -> None:
    (tmp_path / "mock.yaml").write_text("message-stop-reason: max_tokens\n")
    program = (
        "import sys; from mockserver.settings.load import read_settings\n"
        "print(read_settings(eval(sys.argv[1]), eval(sys.argv[2]))[0].message_stop_reason)"
    )
    ways = [("{}", "{}"), ("{}", "{'MOCKSERVER_MESSAGE_STOP_REASON': 'max_tokens'}"), ("{'config': 'mock.yaml'}", "{}")]

    told = [run("-c", program, *each, folder=tmp_path).stdout.strip() for each in ways]

    assert told == ["end_turn", "max_tokens", "max_tokens"]
    assert (
        "--message-stop-reason {end_turn,max_tokens}"
        in run("-m", "mockserver", "serve", "--help", folder=tmp_path).stdout
    )


def test_its_document_is_checked_and_its_operations_are_listed(tmp_path: Path) -> None:
    checked = run("-m", "mockserver", "check", folder=tmp_path)
    listed = run("-m", "mockserver", "operations", folder=tmp_path)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert re.search(r"POST +/v1/messages/batches +createMessageBatch", listed.stdout)


def test_its_section_of_fixture_files_is_known_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "openings.yaml").write_text("message_openings: [{text: Well}]")

    there, here = (
        run("-m", "mockserver", "check", "--fixtures", "mine", folder=tmp_path, **more)
        for more in ({}, {"PYTHONPATH": ""})
    )

    assert (there.returncode, here.returncode) == (0, 1)


def test_settings_are_read_without_its_handlers(tmp_path: Path) -> None:
    program = (
        "import sys; from mockserver.settings import Settings; Settings()\n"
        "print([name for name in sys.modules if name.endswith(('.provider', 'handlers', '.operations'))])"
    )

    assert run("-c", program, folder=tmp_path).stdout == "[]\n"


@pytest.mark.parametrize("path", sorted(Path(mockserver.__file__).parent.rglob("*.py")), ids=lambda path: path.name)
def test_no_line_of_mockserver_names_it(path: Path) -> None:
    assert not re.search(r"anthropic|message_?batch|x-api-key\b(?!`)", path.read_text("utf-8"), re.I)
