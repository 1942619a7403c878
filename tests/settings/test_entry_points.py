"""Entry points are found as importlib.metadata finds them."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mockserver.settings.entry_points import entry_points


@pytest.mark.parametrize("group", ["mockserver.providers", "pytest11", "console_scripts", "nothing"])
def test_they_are_those_of_the_standard_library(group: str) -> None:
    wanted = {(each.name, each.module, each.attr or "") for each in metadata.entry_points(group=group)}

    assert {tuple(each) for each in entry_points(group)} == wanted


def test_an_installed_distribution_is_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my_api-1.0.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text(
        "[a]\nx = y:z\n\n[mockserver.test]\n# none\nmine = json.decoder:JSONDecoder\n"
    )

    assert entry_points("mockserver.test") == ()
    monkeypatch.syspath_prepend(str(tmp_path))

    [found] = entry_points("mockserver.test")
    assert (found.name, found.load().__name__) == ("mine", "JSONDecoder")


def test_the_settings_are_read_without_importlib_metadata() -> None:
    code = "import sys, mockserver.settings.table; sys.exit('importlib.metadata' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
