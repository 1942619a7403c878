"""The command line of the harness: which measures to make, how thoroughly, and what their outcome means to a script."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.any_spec import measure_any_spec
from bench.batches import measure_loop
from bench.chat import measure_chat
from bench.health import measure_health
from bench.history import measure_history
from bench.kit import measure_fixture, measure_import
from bench.load import measure_large, measure_small, measure_status
from bench.machine import facts
from bench.open_pages import measure_pages
from bench.plan import Plan
from bench.process import measure_memory, measure_start, measure_stop
from bench.proxying import measure_proxy, measure_proxy_rate, measure_proxy_streams
from bench.report import Result, as_json, as_text
from bench.sandboxes import measure_sandboxes
from bench.stores import measure_store_history, measure_stores, measure_workers
from bench.suite import measure_suite
from bench.targets import BenchError, find_prism, install_prism
from bench.weight import measure_many, measure_weight

MEASURES: dict[str, Callable[[Plan], Result]] = {
    "queue-small": measure_small,
    "queue-large": measure_large,
    "start": measure_start,
    "memory": measure_memory,
    "stop": measure_stop,
    "history": measure_history,
    "batch-loop": measure_loop,
    "batch-memory": measure_weight,
    "batch-health": measure_health,
    "chat": measure_chat,
    "status": measure_status,
    "many-large": measure_many,
    "sandboxes": measure_sandboxes,
    "sandbox-fixture": measure_fixture,
    "plugin-import": measure_import,
    "suite": measure_suite,
    "any-spec": measure_any_spec,
    "stores": measure_stores,
    "workers": measure_workers,
    "stores-history": measure_store_history,
    "proxy": measure_proxy,
    "proxy-rate": measure_proxy_rate,
    "proxy-streams": measure_proxy_streams,
    "open-pages": measure_pages,
}
NO_PRISM = "Prism was not found (--prism PATH, PATH, node_modules/.bin); --install-prism fetches it for this run"


def main() -> int:
    chosen = parser().parse_args()
    if sys.platform != "linux":
        print("bench: needs Linux (it pins processes to cores and reads /proc)", file=sys.stderr)
        return 4
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every `finally` gets to stop its server
    known = facts()
    for name, fact in known.items():
        print(f"{name}: {fact}")
    with plan_of(chosen) as plan:
        results = [shown(name, plan) for name in chosen.measure or MEASURES]
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(results, known), indent=2) + "\n")
    print("\n" + ", ".join(f"{result.name}: {result.verdict}{result.reservation}" for result in results))
    return exit_code({result.verdict for result in results}, check=chosen.check)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the server against its references.")
    add = parser.add_argument
    add("measure", nargs="*", type=known_measure, help=f"any of {', '.join(MEASURES)}; all when none is named")
    add("--repeat", type=between(1, 25), default=None, metavar="N", help="repetitions (default: 5; starts, stops: 11)")
    add("--seconds", type=between(1, 10), default=None, metavar="S", help="length of each wrk run (default: 2)")
    add("--quick", action="store_true", help="one short repetition of everything: does it run, not how fast")
    add("--check", action="store_true", help="exit with 1 when a promise was missed or could not be measured")
    add("--json", type=Path, metavar="FILE", help="write everything measured to this file as well")
    add("--before", metavar="FOLDER", help="another checkout, to be measured in turns with this one under wrk")
    add("--prism", metavar="PATH", help="the Prism to compare with")
    add("--install-prism", action="store_true", help="let npm fetch @stoplight/prism-cli into a temporary folder")
    add("--install-mocks", action="store_true", help="let npm and pip fetch aimock and llmock into a temporary folder")
    return parser


def known_measure(name: str) -> str:
    if name not in MEASURES:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(MEASURES)}")
    return name


def between(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return int(text)

    return number


@contextmanager
def plan_of(chosen: argparse.Namespace) -> Iterator[Plan]:
    """The plan the arguments ask for; a Prism that was fetched for it goes away afterwards."""
    repeat = chosen.repeat or (1 if chosen.quick else 5)
    starts = chosen.repeat or (3 if chosen.quick else 11)
    seconds = chosen.seconds or (1 if chosen.quick else 2)
    history = 1_000 if chosen.quick else 10_000
    with TemporaryDirectory(prefix="bench-prism-") as folder:
        executable, missing = prism_of(chosen, Path(folder))
        yield Plan(repeat, seconds, starts, history, history, executable, missing, chosen.install_mocks, chosen.before)


def prism_of(chosen: argparse.Namespace, folder: Path) -> tuple[str | None, str]:
    """Where Prism is, or why it is nowhere."""
    found = find_prism(chosen.prism)
    if found or not chosen.install_prism:
        return found, NO_PRISM if chosen.prism is None else f"{chosen.prism} cannot be run"
    try:
        return install_prism(folder), ""
    except BenchError as error:
        return None, str(error)


def shown(name: str, plan: Plan) -> Result:
    try:
        result = MEASURES[name](plan)
    except BenchError as error:
        result = Result(name, "not measured", "", failure=str(error))
    print(f"\n{as_text(result)}", flush=True)
    return result


def exit_code(verdicts: set[str], *, check: bool) -> int:
    """A miss is a finding, and done is done; nothing measured at all is 4, whoever asks."""
    if verdicts == {"FAILED"}:
        return 4
    return 1 if check and verdicts != {"PASS"} else 0


if __name__ == "__main__":
    sys.exit(main())
