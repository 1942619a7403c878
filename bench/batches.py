"""How long a batch takes from upload to download: against other sandboxes, and against a script of no ceremony."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.loop import Finished, Input, Loop, check_output, input_lines, input_of
from bench.machine import SERVER_CORE
from bench.plan import Plan
from bench.report import Result, Row, ratio
from bench.rivals import rivals
from bench.targets import OURS, BenchError, Target, run_python, running

AT_ONCE = replace(OURS, command=(*OURS.command, "--progression", "immediate"))
SMALL, LARGE = (9_000, 444), (50_000, 1_000)
"""Lines, and bytes a line: 4 MB and 50 MB."""


def measure_loop(plan: Plan) -> Result:
    small, large = input_of(*SMALL), input_of(*LARGE)
    with TemporaryDirectory(prefix="bench-mocks-") as name:
        others, missing = rivals(Path(name) if plan.installs_mocks else None)
        rows = against_others(plan, small, others) | against_script(plan, large, Path(name))
    title = f"upload, create, completed, download ({plan.repeat} x): {small.lines:,} and {large.lines:,} lines"
    result = Result("batch-loop", title, "ms", list(rows.values()), notes=list(missing))
    result.comparisons = [
        ratio(f"ours / {it.key}", rows["ours"], rows[it.key], "at most", 0.5 if it.key == "aimock" else 1.0)
        for it in others
    ]
    result.comparisons.append(ratio("ours, large / script", rows["ours, large"], rows["script"], "at most", 2.0))
    result.notes += [
        "aimock and llmock judge no line; of llmock's loop the 3 s are taken out that a batch of its rests",
        "the script reads, judges and writes lines alone: no HTTP, no state, no tokens, the same words for everyone",
    ]
    if missing:
        result.reservation = f" ({len(missing)} of 2 others skipped)"
    return result


def against_others(plan: Plan, given: Input, others: list[Target]) -> dict[str, Row]:
    targets = [AT_ONCE, *others]
    seen: dict[str, list[Finished]] = {target.key: [] for target in targets}
    for repetition in range(plan.repeat):
        turn = repetition % len(targets)
        for target in targets[turn:] + targets[:turn]:
            seen[target.key].append(run_once(target, given))
    return {target.key: row_of(f"{target.label}, {given.lines:,}", seen[target.key]) for target in targets}


def against_script(plan: Plan, given: Input, folder: Path) -> dict[str, Row]:
    source = folder / "input.jsonl"
    source.write_bytes(b"".join(input_lines(*LARGE)))
    looks, script = [], []
    for _ in range(plan.repeat):
        script.append(script_once(source, given.lines) * 1000)
        looks.append(run_once(AT_ONCE, given))
    label = f"script: orjson + jsonschema-rs, {given.lines:,}"
    return {"ours, large": row_of(f"{AT_ONCE.label}, {given.lines:,}", looks), "script": Row(label, script)}


def run_once(target: Target, given: Input) -> Finished:
    """A fresh server, a small batch to warm it up, and then the batch that counts."""
    with running(target) as server, ExitStack() as stack:
        loop = Loop(server.port, target.label)
        stack.callback(loop.close)
        warm = input_of(100, 444)
        check_output(target.label, warm, loop.run(warm).output)
        finished = loop.run(given)
        check_output(target.label, given, finished.output)
    return finished._replace(output=b"")


def script_once(source: Path, lines: int) -> float:
    """The seconds that the script took, by its own watch."""
    told = run_python(
        "-m", "bench.plain", str(source), str(source.with_suffix(".answers")), cores=[SERVER_CORE], what="the script"
    )
    seconds, counted = told.split()
    if int(counted) != lines:
        raise BenchError(f"the script read {counted} lines of {lines}")
    return float(seconds)


def row_of(label: str, looks: list[Finished]) -> Row:
    middle = sorted(looks, key=lambda look: look.seconds)[len(looks) // 2]
    remark = ", ".join(f"{step} {seconds * 1000:,.0f}" for step, seconds in middle.steps.items())
    return Row(label, [look.seconds * 1000 for look in looks], remark)
