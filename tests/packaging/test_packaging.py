"""The wheel alone is enough: it is built, installed beside nothing else of ours, and serves from an empty folder."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from mockserver.openapi.files import converted_name

ROOT = Path(__file__).parents[2]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")
OFFLINE = ("--no-index", "--no-deps")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    run(*PIP, "wheel", *OFFLINE, "--no-build-isolation", f"--wheel-dir={folder}", str(ROOT), cwd=folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's content and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    run(*PIP, "install", *OFFLINE, f"--target={folder}", str(wheel), cwd=folder)
    return folder


def test_the_wheel_carries_code_document_and_fixtures_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}

    parts = [path for path in (ROOT / "mockserver").rglob("*") if path.suffix in {".py", ".html", ".css", ".js"}]
    code = {path.relative_to(ROOT).as_posix() for path in parts}
    files = (path.relative_to(ROOT).as_posix() for path in (ROOT / "fixtures").rglob("*") if path.is_file())
    fixtures = {f"mockserver/_data/{file}" for file in files}
    assert {"mockserver/cli.py", "mockserver/providers/agentfirst/operations.py"} <= code
    assert {f"mockserver/web/inspector/{each}" for each in ("static/inspector.js", "templates/layout.html")} <= code
    assert {
        "mockserver/_data/fixtures/schema.json",
        "mockserver/_data/fixtures/agentfirst/completions.yaml",
    } <= fixtures
    converted = {f"mockserver/_data/converted/{converted_name(each.read_bytes())}" for each in bundled_yaml()}
    assert packed == {*code, *fixtures, *converted, "mockserver/py.typed", "mockserver/_data/openapi.yaml"}


def test_an_installed_mockserver_starts_without_yaml(installed: Path, tmp_path: Path) -> None:
    script = "import sys, mockserver.engine.build as b; from mockserver.settings.table import Settings;"
    script += "b.build_engine(Settings()).scenarios; print(b.__file__, 'yaml' in sys.modules)"

    shown = run(sys.executable, "-c", script, cwd=tmp_path, installed=installed).split()

    assert shown == [str(installed / "mockserver/engine/build.py"), "False"]


def bundled_yaml() -> list[Path]:
    return [ROOT / "openapi.yaml", *(ROOT / "fixtures").rglob("*.yaml")]


def test_the_packed_document_is_the_one_of_the_checkout(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = archive.read("mockserver/_data/openapi.yaml")

    assert packed == (ROOT / "openapi.yaml").read_bytes()


def test_the_wheel_declares_the_command_and_its_providers(installed: Path) -> None:
    entries = {(entry.group, entry.name, entry.value) for entry in distribution(installed).entry_points}

    assert entries >= {
        ("console_scripts", "mockserver", "mockserver.__main__:main"),
        ("mockserver.providers", "agentfirst", "mockserver.providers.agentfirst:api"),
    }


def test_the_wheel_says_what_it_is_and_what_it_needs(installed: Path) -> None:
    metadata = distribution(installed).metadata

    assert metadata["Name"] == "batch-mockserver"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert any(requirement.startswith("starlette") for requirement in metadata.get_all("Requires-Dist", []))


def test_code_document_and_providers_are_those_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = (
        "import mockserver.engine.build as loading, json;"
        "paths = [loading.__file__, str(loading.bundled_path('openapi.yaml')), str(loading.bundled_path('fixtures'))];"
        "print(json.dumps([paths, [provider.name for provider in loading.find_providers()]]))"
    )

    paths, providers = json.loads(run(sys.executable, "-c", script, cwd=tmp_path, installed=installed))

    assert [Path(path).relative_to(installed).as_posix() for path in paths] == [
        "mockserver/engine/build.py",
        "mockserver/_data/openapi.yaml",
        "mockserver/_data/fixtures",
    ]
    assert "agentfirst" in providers


def test_the_installed_command_serves_a_batch_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    with serving(installed, tmp_path) as port:
        queued = ask(port, "POST", "/ai/batches", {"prompts": ["Where can I buy a vintage guitar?"]})
        status = ask(port, "GET", f"/ai/batches?id={queued['id']}")
        answer = ask(port, "GET", "/ai?prompt=Where+can+I+buy+a+vintage+guitar%3F")

    assert queued["count"] == 1
    assert (status["id"], status["status"]) == (queued["id"], "successful")
    assert "Old Strings" in answer["completionHtml"]  # which only the packed fixtures know


def test_pytest_finds_the_plugin_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "def test_it(sandbox):\n    assert sandbox.clock.is_frozen\n", encoding="utf-8"
    )

    said = run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path, installed=installed)

    assert "1 passed" in said


def test_a_server_needs_no_pytest(installed: Path, tmp_path: Path) -> None:
    needed = distribution(installed).metadata.get_all("Requires-Dist", [])
    script = (
        "import sys, mockserver.cli, mockserver.testing.unittest; "
        "print([each for each in sys.modules if 'pytest' in each])"
    )

    assert [each for each in needed if "pytest" in each] == []
    assert run(sys.executable, "-c", script, cwd=tmp_path, installed=installed).strip() == "[]"


def distribution(folder: Path) -> Distribution:
    (found,) = distributions(path=[str(folder)])
    return found


@contextmanager
def serving(installed: Path, folder: Path) -> Iterator[int]:
    """The installed command, run in the folder; its port."""
    command = [str(installed / "bin" / "mockserver"), "serve", "--port=0", "--progression=immediate"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(installed, folder), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("mockserver listening on http://127.0.0.1:")
            yield int(line.rpartition(":")[2])
            process.terminate()
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def ask(port: int, method: str, target: str, body: Any = None) -> Any:
    headers = {"Authorization": "Bearer anything", "Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, target, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        assert response.status in {200, 202}
        return json.loads(response.read())


def run(*command: str, cwd: Path, installed: Path | None = None) -> str:
    """What the command prints; it has to succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=environment(installed, cwd), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(installed: Path | None, folder: Path) -> dict[str, str]:
    """The installed wheel comes before the checkout; no setting of this machine counts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOCKSERVER_", "PYTHONPATH"))}
    kept.pop("PORT", None)
    return kept | ({"PYTHONPATH": str(installed)} if installed else {})
