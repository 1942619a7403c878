"""The documentation builds without a warning, is complete, and asks nothing of the network when it is read."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from doc_pages import ROOT, pages

from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.sandbox.stubs.faults import FAULTS
from mockserver.settings.table import ROWS, Settings, flag_of, variable_of
from mockserver.web.admin.routes import ROUTES

needs_mkdocs = pytest.mark.skipif(not importlib.util.find_spec("mkdocs"), reason="`make docs` brings MkDocs")

LOADED = {"img": "src", "script": "src", "iframe": "src", "link": "href", "source": "src"}
"""Elements whose address a browser fetches by itself."""


class Addresses(HTMLParser):
    """What a page leads to, and what it loads."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in LOADED and given.get(LOADED[tag]):
            self.loads.append(str(given[LOADED[tag]]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    # Unless told otherwise, the theme speaks of its own future on standard error.
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def html(site: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(site.rglob("*.html")):
        yield path, path.read_text(encoding="utf-8")


def page(site: Path, name: str) -> str:
    return (site / name).with_suffix(".html").read_text(encoding="utf-8")


@needs_mkdocs
def test_every_page_is_built_and_no_tool_is_published(site: Path) -> None:
    built = {path.relative_to(site).with_suffix(".md").as_posix() for path, _ in html(site)}

    assert pages(reference=True).keys() == built - {"404", "404.md"}
    assert list(site.rglob("*.py")) == []


@needs_mkdocs
def test_links_resolve(site: Path) -> None:
    for path, text in html(site):
        for link in Addresses(text).links:
            target = urlsplit(link)
            if target.scheme or path.name == "404.html":
                continue
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            file = file / "index.html" if file.is_dir() else file
            assert file.exists(), f"{path.name}: {link}"
            assert not target.fragment or f'id="{unquote(target.fragment)}"' in file.read_text("utf-8"), link


@needs_mkdocs
def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path, text in html(site):
        far = [each for each in Addresses(text).loads if urlsplit(each).netloc]
        assert far == [], path.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import\s)['\"]?(?:https?:)?//", sheet.read_text(encoding="utf-8")), sheet.name


@needs_mkdocs
def test_the_reference_holds_every_setting(site: Path) -> None:
    shown = page(site, "reference/settings")

    assert [name for name in ROWS if not (f">{flag_of(name)}<" in shown and f">{variable_of(name)}<" in shown)] == []


@needs_mkdocs
def test_the_reference_holds_every_operation(site: Path, engine: Engine) -> None:
    shown = page(site, "reference/operations")

    assert [each.operation.key for each in engine.services if f">{each.operation.key}<" not in shown] == []


@needs_mkdocs
def test_the_reference_holds_every_admin_call_and_what_it_takes(site: Path) -> None:
    shown = page(site, "reference/admin")

    assert [verb for verb in ROUTES if f">{verb.method} /__admin{verb.path}<" not in shown] == []
    assert len(re.findall(r"</h2>\s*<p>", shown)) == len(ROUTES), "each has a sentence"
    assert shown.count('class="highlight"') == len([verb for verb in ROUTES if verb.body])


@needs_mkdocs
def test_the_reference_holds_every_fault(site: Path) -> None:
    assert [word for word in FAULTS if f'id="{word}"' not in page(site, "reference/faults")] == []


@needs_mkdocs
def test_the_reference_holds_what_a_sandbox_has_in_python(site: Path) -> None:
    shown = page(site, "reference/python")

    assert [name for name in ("sandbox-credits", "sandbox-clock-advance") if f'id="{name}"' not in shown] == []
    assert shown.count('class="highlight"') == shown.count("<h3 id=") >= 60


@needs_mkdocs
def test_every_scenario_is_shown_with_what_both_clients_see(site: Path) -> None:
    shown = page(site, "reference/scenarios")
    names = [path.stem for path in (ROOT / "fixtures" / "scenarios").glob("*.yaml")]

    assert names
    assert [name for name in names if f'id="{name}"' not in shown] == []
    for client in ("Agent First", "AgileCloud"):
        assert shown.count(f"<td>{client}</td>") == len(names)


@needs_mkdocs
@pytest.mark.parametrize("verb", ["serve", "check", "operations", "healthcheck", "report"])
def test_the_reference_holds_every_command(site: Path, verb: str) -> None:
    assert f"usage: mockserver {verb} [flags]" in page(site, "reference/commands")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return build_engine(Settings())


def test_the_lock_of_the_tools_agrees_with_that_of_the_tests() -> None:
    """Both are installed into one environment, whichever came first."""
    ours, theirs = (set(pins(f"requirements/{name}.txt")) for name in ("docs", "test"))
    versions = {name for name, _ in theirs}

    assert {pin for pin in ours if pin[0] in versions} <= theirs


def pins(path: str) -> list[tuple[str, str]]:
    return re.findall(r"(?m)^([\w-]+)==(\S+)", (ROOT / path).read_text(encoding="utf-8"))


def test_loaded_urls_and_links_of_a_page_are_distinguished() -> None:
    seen = Addresses(
        '<a href="b.html#c">b</a><script src="//far.example/x.js"></script><img src="i.png"><link href="s.css">'
    )

    assert (seen.links, seen.loads) == (["b.html#c"], ["//far.example/x.js", "i.png", "s.css"])
