"""The command `mockserver drift`: compares a live API, or a recording of one, with the sandbox, and reports."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mockserver.contract.drift.differences import UNKNOWN, Difference, Pair, find_differences
from mockserver.contract.drift.sides import TOKEN, EngineTarget, RecordedSide, pairs_of_runs
from mockserver.contract.live.findings import observation_lines
from mockserver.contract.live.runner import LiveBudget, LiveRun, Observation, Target
from mockserver.contract.live.verification import Credentials, Preparation, run
from mockserver.contract.recording.folder import RECORDING
from mockserver.engine.build import build_engine, fixture_schema
from mockserver.errors import FixtureError
from mockserver.fixtures.files import fixture_files, read_fixture_file
from mockserver.fixtures.recordings import SECTION, RecordedEntry, read_recordings
from mockserver.sandbox.batches import Progression
from mockserver.settings.table import Settings
from mockserver.text import format_count

AT_ONCE = 1e9
"""Requests per second that are sent to the sandbox: it takes part in no budget of time."""


class DriftReport(NamedTuple):
    """What was compared, and what differs."""

    pairs: int
    differences: list[Difference]
    overlay: dict[str, Any]
    observations: Sequence[Observation] = ()
    """Answers of the live API to the questions that no public document answers."""


def drift_of_live(
    checked: Preparation, upstream: Target, budget: LiveBudget, settings: Settings, credentials: Credentials
) -> tuple[LiveRun, list[Pair], list[Difference]]:
    """Send plan and questions to the live API and to the sandbox: the pairs of answers, and the differences in what
    was unknown.
    """
    live = run(checked, upstream, budget, credentials)
    ours = _sandbox_run(checked._replace(questions=()), settings, replace(budget, rate=AT_ONCE))
    seen = {each.key for each in live.observations if each.says}
    asked = checked._replace(
        planned=(), questions=tuple(each for each in checked.questions if each.unknown.key in seen)
    )
    wide = LiveBudget(sys.maxsize, AT_ONCE, budget.methods, float("inf"))
    observed = _sandbox_run(asked, settings, wide, progression=Progression("polls", 2))
    return live, pairs_of_runs(live.exchanges, ours.exchanges), _unknown_differences(live, observed)


def _sandbox_run(
    checked: Preparation, settings: Settings, budget: LiveBudget, progression: Progression | None = None
) -> LiveRun:
    engine = build_engine(settings)
    if progression is not None:
        engine.sandboxes.open(TOKEN).change(progression=progression)
    return run(checked, EngineTarget(engine), budget, Credentials(TOKEN, f"{TOKEN}-other"))


def _unknown_differences(live: LiveRun, sandbox: LiveRun) -> list[Difference]:
    ours = {each.key: each for each in sandbox.observations}
    return [
        Difference(
            UNKNOWN,
            each.key,
            each.question,
            f"{each.says} (serve {each.setting})" if each.setting else each.says,
            ours[each.key].says or ours[each.key].why,
            1,
            1,
            each.curl,
        )
        for each in live.observations
        if each.says and each.says != ours[each.key].says
    ]


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
        value = {"compared": report.pairs, "differences": rows, "overlay": report.overlay}
        value["unknowns"] = [each._asdict() for each in report.observations]
        return json.dumps(value, indent=2) + "\n"
    lines = []
    for each in report.differences:
        lines.append(f"{each.kind}: {each.operation}: {each.place} (seen in {each.seen} of {each.of})")
        lines += [f"  live:    {each.live}"] if each.live else []
        lines += [f"  sandbox: {each.sandbox}"] if each.sandbox else []
        lines += [f"  {each.example}"] if each.example else []
    lines += observation_lines(report.observations, with_reasons=not report.pairs)
    return "\n".join([*lines, drift_summary(report), ""])


def drift_summary(report: DriftReport) -> str:
    """The report in one line."""
    return f"{format_count(len(report.differences), 'difference')} in {format_count(report.pairs, 'answer')}"
