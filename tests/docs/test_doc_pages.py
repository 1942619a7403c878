"""Every page of the documentation is followed, as a reader would: files are written, commands run, output compared."""

import ast
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from doc_pages import DOCS, Block, blocks_of, missing_lines, pages, served_by
from node_sdk import HAS_NODE, install_sdk
from shell import Shell, reading_shell

from mockserver.cli import _parser, _settings
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import ROWS, variable_of

ROOT = DOCS.parent
DEFAULT_URL = "http://127.0.0.1:4024"
EXCUSES = {"needs a container engine", "needs GitHub", "needs GitLab", "needs an account"}
RUN, SHOWN = {"sh"}, {"text"}
FOLLOWED = [name for name, path in pages().items() if any(block.language in RUN for block in blocks_of(path))]


class Reader:
    """Somebody who does what a page says, from top to bottom."""

    def __init__(self, folder: Path, servers: ExitStack) -> None:
        self.shell: Shell = reading_shell(folder)
        self._servers = servers
        self._url = ""
        self._printed = ""

    def follow(self, block: Block) -> None:
        if block.excuse:
            return
        flags = served_by(block)
        if flags is not None:
            self._serve(flags)
        elif block.language in RUN:
            self._printed = self.shell.run(self._pointed(block.text))
        elif block.title == "Output":
            assert list(missing_lines(block.text, self._printed)) == [], self._printed
        elif block.title:
            self._write(block)

    def _serve(self, flags: list[str]) -> None:
        """The page's server, in a thread of ours and on a free port."""
        settings = _settings(_parser().parse_args(["serve", *flags, "--port", "0"]))
        self._url = self._servers.enter_context(ThreadedServer(settings)).url

    def _pointed(self, script: str) -> str:
        if DEFAULT_URL in script:
            assert self._url, "the page starts no server before it asks one"
        return script.replace(DEFAULT_URL, self._url)

    def _write(self, block: Block) -> None:
        path = self.shell.folder / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._pointed(block.text), encoding="utf-8")


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_can_be_followed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = blocks_of(pages()[name])
    if any(block.language == "js" for block in blocks):
        if not HAS_NODE:
            pytest.skip("node and npm are not here")
        install_sdk()
    monkeypatch.chdir(tmp_path)
    with ExitStack() as servers:
        reader = Reader(tmp_path, servers)
        for block in blocks:
            reader.follow(block)


def all_blocks() -> Iterator[tuple[str, Block]]:
    for name, path in pages().items():
        for block in blocks_of(path):
            yield name, block


def test_blocks_that_are_not_run_say_why() -> None:
    assert {block.excuse for _, block in all_blocks()} - {""} <= EXCUSES
    for name, block in all_blocks():
        loose = block.language not in RUN | SHOWN and not block.title and not block.excuse
        assert not loose or block.language in {"json", "http"}, f"{name} has a block nobody tries: {block.text}"


def test_every_block_parses_in_its_language() -> None:
    for _, block in all_blocks():
        READERS[block.language](block.text)


def read_shell(text: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", text], check=False).returncode == 0, text


READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "yaml": yaml.safe_load,
    "python": ast.parse,
    "sh": read_shell,
    "text": str,
    "js": str,
    "java": str,
    "toml": str,
    "ini": str,
}


@pytest.mark.parametrize("path", [*pages().values(), ROOT / "compose.yaml", ROOT / "action.yml"], ids=str)
def test_mockserver_variables_on_pages_are_settings(path: Path) -> None:
    known = {variable_of(name) for name in ROWS} | {"MOCKSERVER_CONFIG", "MOCKSERVER_RUN"}

    assert set(re.findall(r"\bMOCKSERVER_[A-Z_]+\b", path.read_text(encoding="utf-8"))) <= known


def test_the_examples_that_pages_name_exist() -> None:
    for name, path in pages().items():
        for place in re.findall(r"`(examples/[^`]+)`", path.read_text(encoding="utf-8")):
            assert (ROOT / place).exists(), f"{name}: {place}"


# The reading itself can miss: each of these must be found.


def test_a_block_knows_its_language_title_and_excuse(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```sh\nls\n```\n\n<!-- not run: needs GitHub -->\n```yaml title="a.yml"\na: 1\n```\n')

    assert blocks_of(page) == [Block("sh", "", "ls\n", ""), Block("yaml", "a.yml", "a: 1\n", "needs GitHub")]


@pytest.mark.parametrize("text", ["```sh {.no}\nls\n```\n", "  ```sh\nls\n```\n", "```sh\nls\n"])
def test_an_unrecognised_fence_is_an_error(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)

    with pytest.raises(ValueError, match="fence"):
        blocks_of(page)


def test_a_line_that_was_not_printed_is_missing() -> None:
    assert list(missing_lines('{"id":"…","count":2}\nthe end', '{"id":"abc","count":2}')) == ["the end"]


def test_only_a_block_of_its_own_starts_the_server() -> None:
    assert served_by(Block("sh", "", "mockserver serve --seed 7\n", "")) == ["--seed", "7"]
    assert served_by(Block("sh", "", "mockserver serve &\necho\n", "")) is None


def test_a_page_whose_output_differs_fails(tmp_path: Path) -> None:
    with ExitStack() as servers:
        reader = Reader(tmp_path, servers)
        reader.follow(Block("sh", "", "echo one\n", ""))
        with pytest.raises(AssertionError):
            reader.follow(Block("text", "Output", "two\n", ""))
        with pytest.raises(AssertionError):
            reader.follow(Block("sh", "", "false\n", ""))
        with pytest.raises(AssertionError, match="starts no server"):
            reader.follow(Block("sh", "", f"curl {DEFAULT_URL}\n", ""))
