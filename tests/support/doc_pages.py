"""A page of the documentation as its readers use it: files to write, commands to run, output to expect."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?(?P<rest>[^\n]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block."""

    language: str
    title: str
    """The file that it is, `Output` for what the commands before it print, or nothing."""
    text: str
    excuse: str
    """Why it is not run; nothing for one that is."""


def pages(*, reference: bool = False) -> Mapping[str, Path]:
    """By path in docs/, the pages written by hand; with `reference` also those that docs/generate.py writes."""
    paths = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
    return {name: path for name, path in paths.items() if reference or not name.startswith("reference/")}


def blocks_of(path: Path) -> list[Block]:
    """The page's fenced blocks; raises ValueError for a fence that is not written as all others are."""
    text = path.read_text(encoding="utf-8")
    found = list(_BLOCK.finditer(text))
    if 2 * len(found) != len(re.findall(r"(?m)^\s*```", text)) or any(each["rest"] for each in found):
        raise ValueError(f"{path.name} has a fence that is not three backticks, a language and perhaps a title")
    return [Block(each["language"], each["title"] or "", each["text"], each["why"] or "") for each in found]


def served_by(block: Block) -> list[str] | None:
    """The flags of a block that only starts the server; None for any other."""
    words = block.text.split()
    return words[2:] if words[:2] == ["mockserver", "serve"] and block.text.count("\n") == 1 else None


def missing_lines(expected: str, printed: str) -> Iterator[str]:
    """The expected lines that are nowhere in what was printed; `…` stands for anything."""
    for line in expected.splitlines():
        pattern = ".*".join(map(re.escape, line.split("…")))
        if not re.search(pattern, printed):
            yield line
