"""The command line of the mutation test: what to draw, and what came of it."""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path
from queue import SimpleQueue

from bench.mutants.impact import PACKAGE, Impact
from bench.mutants.sites import Mutant, draw
from bench.mutants.trial import Result, Verdict, Workshop

ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """0 when all went well, however many survived; 2 for arguments that fit no module."""
    options = _parser().parse_args(arguments)
    modules = _find_modules(options.modules)
    if not modules:
        sys.stderr.write(f"no module of {PACKAGE}/ matches {' '.join(options.modules)}\n")
        return 2
    mutants = draw(modules, ROOT, seed=options.seed, count=options.count)
    numbers = [int(each) for each in options.only.split(",")] if options.only else range(1, len(mutants) + 1)
    chosen = {number: mutants[number - 1] for number in numbers if 1 <= number <= len(mutants)}
    if options.list:
        for number, mutant in chosen.items():
            _say(f"{number:3} {mutant.path}:{mutant.line} {mutant.operator}\n{mutant.diff}\n")
        return 0
    results = _run(chosen, options)
    _report(chosen, results, options.seed)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("modules", nargs="*", help="patterns such as 'contract/*' or 'web/app'; default: all modules")
    parser.add_argument("--seed", type=int, default=1, help="the same seed draws the same mutants (default 1)")
    parser.add_argument("--count", type=int, default=60, help="how many mutants to draw (default 60)")
    parser.add_argument("--jobs", type=int, default=1, help="how many are tested at once (default 1)")
    parser.add_argument(
        "--files", type=int, default=24, help="at most so many test files for a mutant (default 24; 0: all)"
    )
    parser.add_argument("--seconds", type=float, default=300, help="at most so long for a mutant (default 300)")
    parser.add_argument("--minutes", type=float, default=60, help="start no further mutant after so long (default 60)")
    parser.add_argument("--only", default="", help="numbers of the draw to run, such as 3,17")
    parser.add_argument("--list", action="store_true", help="show the draw and run nothing")
    return parser


def _find_modules(patterns: list[str]) -> list[Path]:
    found = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        name = str(path.relative_to(ROOT / PACKAGE).with_suffix(""))
        if not patterns or any(fnmatch(name, pattern) or fnmatch(name, f"*/{pattern}") for pattern in patterns):
            found.append(path)
    return found


def _run(chosen: dict[int, Mutant], options: argparse.Namespace) -> dict[int, Result]:
    impact = Impact(ROOT)
    end = time.monotonic() + options.minutes * 60
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())  # what is under way is finished, and reported
    results: dict[int, Result] = {}
    workshops: SimpleQueue[Workshop] = SimpleQueue()
    with ExitStack() as stack:
        for _ in range(options.jobs):
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True))
            )
            workshop = Workshop(ROOT, folder, seconds=options.seconds, most_files=options.files or None)
            if not results and workshops.empty():
                workshop.check()
            workshops.put(workshop)

        def test(number: int, mutant: Mutant) -> None:
            if time.monotonic() > end or interrupted.is_set():
                return
            workshop = workshops.get()
            try:
                tests = [str(test.relative_to(ROOT)) for test in impact.ordered_tests(ROOT / mutant.path)]
                results[number] = result = workshop.try_out(mutant, tests)
            finally:
                workshops.put(workshop)
            _say(f"{number:3} {result.verdict:9} {mutant.path}:{mutant.line} {mutant.operator} ({result.by})")

        with ThreadPoolExecutor(options.jobs) as pool:
            for future in [pool.submit(test, number, mutant) for number, mutant in chosen.items()]:
                future.result()
    return results


def _report(chosen: dict[int, Mutant], results: dict[int, Result], seed: int) -> None:
    for verdict in (Verdict.TIMED_OUT, Verdict.SURVIVED):
        for number, result in sorted(results.items()):
            if result.verdict is verdict:
                mutant = chosen[number]
                _say(f"\n{number} {verdict}, after {result.by}: {mutant.path}:{mutant.line} {mutant.operator}")
                _say(mutant.diff)
    counts = Counter(result.verdict for result in results.values())
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    _say(f"\nseed {seed}: {len(chosen)} drawn, {len(results)} run, {said}")


def _say(text: str) -> None:
    sys.stdout.write(text + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
