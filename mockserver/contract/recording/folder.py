"""The folder of a recording: its fixture file, made of the lines that a proxy writes while it runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from mockserver.contract.recording.episodes import Episode, entries_of
from mockserver.engine.build import fixture_schema
from mockserver.errors import FixtureError
from mockserver.fixtures.files import FixtureFile, read_fixture_file
from mockserver.fixtures.recordings import SECTION
from mockserver.openapi.yaml_values import format_yaml
from mockserver.redaction import redacted_text

RECORDING, UNFINISHED = "recording.yaml", "recording.jsonl"
HEADING = """\
# Recorded by `mockserver proxy` from {upstream}. Replay it with: mockserver serve --fixtures {folder}
# Credentials and e-mail addresses are redacted, and ids are replaced by made-up ones. Edit it as you like: a part of a
# request that is left out matches anything, and `*` matches any value.
"""


def finish_recording(folder: Path, upstream: str) -> None:
    """Write the fixture file of a recording whose proxy was killed."""
    lines = folder / UNFINISHED
    if not lines.exists():
        return
    episodes = read_episodes(lines.read_bytes())
    known: Sequence[Mapping[str, Any]] = ()
    if (folder / RECORDING).exists():
        known = read_fixture_file(FixtureFile(folder / RECORDING, RECORDING, ""), fixture_schema()).get(SECTION, ())
    if episodes:
        write_recording(folder, upstream, known, episodes)
    lines.unlink()


def read_episodes(lines: bytes) -> list[Episode]:
    """The exchanges in JSON lines, without a last one of which only a part was written."""
    episodes = []
    for line in lines.splitlines():
        try:
            episodes.append(Episode(**orjson.loads(line)))
        except (orjson.JSONDecodeError, TypeError):
            break
    return episodes


def write_recording(
    folder: Path, upstream: str, known: Sequence[Mapping[str, Any]], episodes: Sequence[Episode]
) -> int:
    """Write entries of an earlier session and those of new exchanges; returns how many are new."""
    entries = entries_of(episodes)
    draft = folder / f".{RECORDING}.draft"
    heading = HEADING.format(upstream=redacted_text(upstream), folder=folder.name)
    draft.write_text(heading + format_yaml({SECTION: [*known, *entries]}), encoding="utf-8")
    draft.replace(folder / RECORDING)
    return len(entries)


def remove_recording(folder: Path) -> None:
    """Remove a recording that is to be replaced: the fixture file, and the bodies that it names."""
    try:
        known = read_fixture_file(FixtureFile(folder / RECORDING, RECORDING, ""), fixture_schema()).get(SECTION, ())
    except FixtureError:
        known = ()
    for entry in known:
        for step in entry.get("timeline", entry.get("answers", ())):
            if "file" in step and ".." not in Path(step["file"]).parts:
                (folder / step["file"]).unlink(missing_ok=True)
    (folder / RECORDING).unlink()
