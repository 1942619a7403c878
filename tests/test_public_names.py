"""Names that README and docs show to users can be imported where they say."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PUBLIC = {
    "mockserver.client": {"AdminError", "Client", "Clock", "SandboxClient"},
    "mockserver.server": {"ThreadedServer"},
    "mockserver.settings": {"ROWS", "Settings", "flag_of", "url_of", "variable_of"},
    "mockserver.testing": {
        "LeasedSandbox",
        "RemotePool",
        "SandboxApp",
        "SandboxTestCase",
        "asgi_app",
        "frozen_settings",
        "journal_text",
        "leased_sandbox",
        "running_pool",
        "running_server",
    },
    "mockserver.web.app": {"create_app"},
}
"""What users import. A name leaves this list only with an entry under Changed in CHANGELOG.md."""
SHOWN = re.compile(r"from (mockserver[\w.]*) import ([\w, ]+)")
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.py")]


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_can_be_imported(module: str) -> None:
    found = import_module(module)

    assert {name for name in PUBLIC[module] if not hasattr(found, name)} == set()
    assert PUBLIC[module] <= set(getattr(found, "__all__", PUBLIC[module]))


def test_pages_and_examples_show_public_names_only() -> None:
    shown = {
        (module, name.strip())
        for page in PAGES
        for module, names in SHOWN.findall(page.read_text("utf-8"))
        for name in names.split(",")
    }

    assert ("mockserver.testing", "running_server") in shown
    assert {(module, name) for module, name in shown if name not in PUBLIC.get(module, ())} == set()


@pytest.mark.parametrize("module", ["mockserver.settings", "mockserver.server"])
def test_a_name_that_a_package_does_not_have_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Nothing'"):
        getattr(import_module(module), "Nothing")  # noqa: B009  mypy would not let it pass


def test_importing_the_package_of_the_server_does_not_import_the_engine() -> None:
    code = "import sys, mockserver.server; sys.exit('mockserver.engine.engine' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
