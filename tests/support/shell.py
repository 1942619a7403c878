"""Runs shell commands of the documentation with the installed package."""

import os
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from node_sdk import NODE

ROOT = Path(__file__).parents[2]
PACKAGES = {"./mockserver", "pytest", "pytest-xdist", "httpx", "openai", "requests"}
"""What readers are told to install; all of it is here."""

_PLUGIN = "mockserver.pytest_plugin"


def reading_shell(folder: Path) -> "Shell":
    """A shell in the folder, with the commands of the kit on its path."""
    commands = folder / ".commands"
    commands.mkdir()
    python = shlex.quote(sys.executable)
    for name, script in {
        "python": f'exec {python} "$@"',
        "python3": f'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && touch "$3/bin/activate"; '
        f'else exec {python} "$@"; fi',
        "mockserver": f'exec {python} -m mockserver "$@"',
        "pytest": f'exec {python} -m pytest -p no:cacheprovider {_plugin_flags()} "$@"',
        "pip": f'exec {python} -c {shlex.quote(_PIP)} "$@"',
        "npm": f"ln -sfn {shlex.quote(str(NODE / 'node_modules'))} node_modules",
    }.items():
        command = commands / name
        command.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        command.chmod(0o755)
    return Shell(folder, commands)


class Shell:
    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder = folder
        self._commands = commands

    def run(self, script: str, *, check: bool = True, **variables: str) -> str:
        """What the script prints, both ways; every command of it has to succeed, unless told otherwise.

        Variables stay for the next script, as they do in a terminal.
        """
        kept = shlex.quote(str(self._commands / "variables"))
        terminal = f"[ ! -e {kept} ] || . {kept}\nset -a\n{script}\nexport -p > {kept}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", terminal],
            cwd=self.folder,
            env=self._environment() | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def _environment(self) -> dict[str, str]:
        """This machine's, without what would set up a server or a client."""
        foreign = ("MOCKSERVER_", "OPENAI_", "AGENT_FIRST_", "PYTEST_", "NODE_", "GITHUB_", "COV_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign) and name != "PORT"}
        path = f"{self._commands}{os.pathsep}{kept['PATH']}"
        return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def _plugin_flags() -> str:
    """The plugins that readers have: ours and xdist, none of those that our own tests bring along.

    pytest does not look for them by itself: it would rewrite the asserts of every package that brings a plugin. The
    wheel's entry point names ours; a checkout that was installed before there was one needs telling.
    """
    here = {each.name: each.value for each in entry_points(group="pytest11")}
    names = [here.get("mockserver", _PLUGIN), here["xdist"], here["xdist.looponfail"]]
    return " ".join(["--disable-plugin-autoload", *(f"-p {name}" for name in names)])


_PIP = f"""
import sys
verb, *names = sys.argv[1:]
assert verb == "install" and {{name.strip("'").partition("[")[0] for name in names}} <= {PACKAGES!r}, sys.argv
"""
