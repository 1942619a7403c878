"""The command `mockserver drift`: compares a live API, or a recording of one, with the sandbox, and reports."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mockserver.contract.drift.differences import Difference, Pair, find_differences
from mockserver.contract.drift.sides import EngineTarget, RecordedSide, pairs_of_runs
from mockserver.contract.live.runner import LiveBudget, LiveRun, LiveRunner
from mockserver.contract.live.verification import Preparation, run
from mockserver.contract.recording.recorder import RECORDING
from mockserver.contract.upstream import Upstream
from mockserver.engine.build import build_engine, fixture_schema
from mockserver.errors import FixtureError
from mockserver.fixtures.files import fixture_files, read_fixture_file
from mockserver.fixtures.recordings import SECTION, RecordedEntry, read_recordings
from mockserver.settings.table import Settings
from mockserver.text import format_count

AT_ONCE = 1e9
"""Requests per second that are sent to the sandbox: it takes part in no budget of time."""


class DriftReport(NamedTuple):
    """What was compared, and what differs."""

    pairs: int
    differences: list[Difference]
    overlay: dict[str, Any]


def drift_of_live(
    checked: Preparation, upstream: Upstream, budget: LiveBudget, settings: Settings, *, token: str
) -> tuple[LiveRun, list[Pair]]:
    """Send the plan to the live API and to the sandbox."""
    live = run(checked, upstream, budget, token=token)
    engine = build_engine(settings)
    runner = LiveRunner(engine, EngineTarget(engine), replace(budget, rate=AT_ONCE), token="drift")  # noqa: S106
    ours = asyncio.run(runner.run(checked.planned))
    return live, pairs_of_runs(live.exchanges, ours.exchanges)


def drift_of_recording(folder: Path, settings: Settings) -> list[Pair]:
    """Send the requests of a recording to the sandbox; raises FixtureError."""
    return list(RecordedSide(build_engine(settings)).pairs(recorded_entries(folder)))


def recorded_entries(folder: Path) -> list[RecordedEntry]:
    """All recorded entries of a folder of fixtures; raises FixtureError if there is none."""
    found: list[RecordedEntry] = []
    for file in fixture_files(folder):
        content = read_fixture_file(file, fixture_schema())
        found += read_recordings(file.name, file.path, content.get(SECTION, ()))
    if not found:
        raise FixtureError(f"the folder has no recording such as {RECORDING}", str(folder))
    return found


def differences_of(pairs: Sequence[Pair]) -> list[Difference]:
    """The differences, those that were seen most often first."""
    return sorted(find_differences(pairs), key=lambda each: (-each.confidence, each.operation, each.place))


def format_drift(report: DriftReport, form: str) -> str:
    """The report as text or json."""
    if form == "json":
        rows = [
            {name: value for name, value in vars(each).items() if name != "schema"} | {"confidence": each.confidence}
            for each in report.differences
        ]
        return json.dumps({"compared": report.pairs, "differences": rows, "overlay": report.overlay}, indent=2) + "\n"
    lines = []
    for each in report.differences:
        lines.append(f"{each.kind}: {each.operation}: {each.place} (seen in {each.seen} of {each.of})")
        lines += [f"  live:    {each.live}"] if each.live else []
        lines += [f"  sandbox: {each.sandbox}"] if each.sandbox else []
        lines += [f"  {each.example}"] if each.example else []
    return "\n".join([*lines, drift_summary(report), ""])


def drift_summary(report: DriftReport) -> str:
    """The report in one line."""
    return f"{format_count(len(report.differences), 'difference')} in {format_count(report.pairs, 'answer')}"
