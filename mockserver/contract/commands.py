"""The commands that compare documents with live APIs: `proxy`, `verify` and `drift`."""

import json
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module
from mockserver.settings.table import BEHAVING, GROUPS, SERVING, Settings

if TYPE_CHECKING:
    from mockserver.contract import proxy, upstream
    from mockserver.contract.callbacks import relay
    from mockserver.contract.drift import differences, proposals
    from mockserver.contract.drift import report as drift
    from mockserver.contract.live import findings, runner, verification
    from mockserver.contract.recording import recorder
    from mockserver.engine import build
    from mockserver.server import process
else:
    drift = lazy_module("mockserver.contract.drift.report")
    proposals = lazy_module("mockserver.contract.drift.proposals")
    findings = lazy_module("mockserver.contract.live.findings")
    runner = lazy_module("mockserver.contract.live.runner")
    verification = lazy_module("mockserver.contract.live.verification")
    proxy = lazy_module("mockserver.contract.proxy")
    relay = lazy_module("mockserver.contract.callbacks.relay")
    recorder = lazy_module("mockserver.contract.recording.recorder")
    upstream = lazy_module("mockserver.contract.upstream")
    build = lazy_module("mockserver.engine.build")
    process = lazy_module("mockserver.server.process")

DONE, PROBLEMS, NOT_STARTED, NOTHING_CHECKED = 0, 1, 3, 4
MODES = ("none", "once", "new_episodes", "all")
TIMEOUT = 300
"""Seconds: a live call of an LLM may take minutes."""
PROXY_ABOUT = (
    "Stand between a client and a live API: pass everything on, validate both directions against the document, and "
    "record what passes."
)
PROXY_EXAMPLES = """\
Only URL is called; redirects are passed on, not followed. What the document does not allow is named in the response
header X-Mock-Violations and in the journal. /__admin, /health and /ready are the proxy's own. Credentials are passed
on, and are redacted in everything that is shown or recorded. Needs the extra `proxy`.

examples:
  mockserver proxy https://api.example                   on http://127.0.0.1:4024
  mockserver proxy https://api.example --fail            violations become errors: 4xx, and 502 for answers
  mockserver proxy https://api.example --spec api.yaml   validates by another document
  mockserver proxy https://api.example --record episodes --redact customer_name
  mockserver serve --fixtures episodes                   replays it, without the network
"""


VERIFY_ABOUT = "Ask a live API what its document promises, within a budget, and report what it answers otherwise."
VERIFY_EXAMPLES = """\
Sent are the document's examples, the requests of recordings in --fixtures, and probes: reads without a credential, and
of things that do not exist. By default nothing is sent but GET and HEAD, and nothing that costs. With other methods,
only things are changed that the run has created. Exit code 1 for answers that the document does not allow, 4 if there
were no answers. Needs the extra `proxy`, and `verify` for --generate.

examples:
  mockserver verify https://api.example --plan             what would be sent, and its price
  mockserver verify https://api.example --unknown all --plan  what no document says, and what finds it out
  mockserver verify https://api.example --unknown unknown-id  asks one such question
  mockserver verify https://api.example --only getUser  its operations with this tag or operationId
  mockserver verify https://api.example --spec api.yaml --methods GET,POST --spend 25 --max-requests 20
"""


DRIFT_ABOUT = "Compare a live API, or a recording of it, with the document and with what the sandbox answers."
DRIFT_EXAMPLES = """\
Reported are other statuses, headers, fields, types and values, errors with another text, and another order of checks,
each with how often it was seen. A live API is asked as by `mockserver verify`, within the same budget. Exit code 1 for
differences, 4 if nothing was compared.

examples:
  mockserver drift episodes                                a recording of `mockserver proxy --record episodes`
  mockserver drift https://api.example --only askModel --spend 50
  mockserver drift episodes --propose overlay.json
  mockserver serve --overlay overlay.json
"""


class CommandLine(NamedTuple):
    """What commands use of the command line that they are part of."""

    add_command: Callable[..., None]
    add_settings: Callable[[ArgumentParser, Sequence[str]], None]
    read_settings: Callable[[Namespace], Settings]
    write: Callable[[str], None]
    complain: Callable[[str], None]


def add_commands(line: CommandLine) -> None:
    """Adds the commands to the command line."""
    add = line.add_command
    add(
        "proxy", partial(_run_proxy, line), PROXY_ABOUT, partial(_add_proxy, line), epilog=PROXY_EXAMPLES,
        takes="URL [flags]", on_error=NOT_STARTED,
    )  # fmt: skip
    add(
        "verify", partial(_run_verify, line), VERIFY_ABOUT, partial(_add_verify, line), epilog=VERIFY_EXAMPLES,
        takes="URL [flags]",
    )  # fmt: skip
    add(
        "drift", partial(_run_drift, line), DRIFT_ABOUT, partial(_add_drift, line), epilog=DRIFT_EXAMPLES,
        takes="URL|FOLDER [flags]",
    )  # fmt: skip


def _add_proxy(line: CommandLine, parser: ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="the live API: http://HOST or https://HOST, with port and path")
    group = parser.add_argument_group("the proxy")
    group.add_argument(
        "--fail",
        action="store_true",
        help="answer an invalid request with the documented 4xx, unsent, and an invalid answer with 502",
    )
    group.add_argument("--record", metavar="FOLDER", help="write what passes to this folder of fixtures")
    group.add_argument(
        "--record-mode",
        choices=MODES,
        default="once",
        help="'once' records into an empty folder and else only replays; 'new_episodes' replays what is recorded and "
        "records the rest; 'all' replaces the recording; 'none' only replays (default: %(default)s)",
    )
    group.add_argument(
        "--redact",
        action="append",
        default=[],
        metavar="NAME",
        help="redact the fields and arguments of this name in recordings, too; repeatable",
    )
    group.add_argument(
        "--callbacks-via",
        metavar="URL",
        help="have the API send callbacks to the proxy, which it reaches at this URL ('auto': at the address that the "
        "client has used); they are listed, and passed on to the client's own URL",
    )
    group.add_argument(
        "--upstream-timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help="the longest silence of the upstream; then 504 (default: %(default)s)",
    )
    group.add_argument("--upstream-ca", default="", metavar="FILE", help="certificates to trust instead of the usual")
    line.add_settings(parser, GROUPS)


def _add_verify(line: CommandLine, parser: ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="the live API: http://HOST or https://HOST, with port and path")
    add = _add_budget(parser)
    add("--plan", action="store_true", help="list the requests and their prices, and send nothing")
    add("--format", default="text", choices=("text", "json", "junit"), help="(default: text)")
    line.add_settings(parser, (SERVING,))


def _add_budget(parser: ArgumentParser) -> Callable[..., Any]:
    """Adds the flags of a run against a live API; returns the function that adds more to their group."""
    add = parser.add_argument_group("the check").add_argument
    add("--only", action="append", default=[], metavar="NAME", help="operations or tags to check; repeatable")
    add("--max-requests", type=int, default=50, metavar="COUNT", help="(default: %(default)s)")
    add("--rate", type=float, default=2.0, metavar="NUMBER", help="requests per second (default: %(default)s)")
    add("--methods", default="GET,HEAD", metavar="LIST", help="the methods that may be sent (default: %(default)s)")
    add(
        "--spend",
        type=float,
        default=0.0,
        metavar="AMOUNT",
        help="the most that may be spent, in each unit of the document's x-mock-price (default: nothing)",
    )
    add("--generate", type=int, default=0, metavar="COUNT", help="generated requests for each operation (extra verify)")
    add(
        "--token-variable",
        default="API_TOKEN",
        metavar="NAME",
        help="the environment variable with the credential (default: %(default)s)",
    )
    add(
        "--unknown",
        action="append",
        default=[],
        metavar="NAME",
        help="only find out what no document says: one question, or 'all'; repeatable (--plan lists them)",
    )
    add("--output", metavar="FILE", help="the output file (default: standard output)")
    add("--upstream-timeout", type=float, default=60, metavar="SECONDS", help="(default: %(default)s)")
    add("--upstream-ca", default="", metavar="FILE", help="certificates to trust instead of the usual")
    return add


def _run_verify(line: CommandLine, parsed: Namespace) -> int:
    settings = line.read_settings(parsed)
    budget = _budget(parsed)
    url = upstream.parse_upstream(parsed.url)
    checked = verification.prepare(settings, parsed.only, generate=parsed.generate, unknown=parsed.unknown)
    if parsed.plan:
        for text in verification.format_plan(checked, budget):
            line.write(f"{text}\n")
        return DONE
    credentials = _credentials(line, parsed)
    run = verification.run(checked, _upstream(parsed, url), budget, credentials)
    content = credentials.removed_from(findings.formatted(run, checked.operations, parsed.format))
    _write_report(line, content, parsed.output, findings.summary(run))
    if not run.exchanges:
        return NOTHING_CHECKED
    return PROBLEMS if any(each.violations for each in run.exchanges) else DONE


def _budget(parsed: Namespace) -> "runner.LiveBudget":
    if parsed.max_requests < 1 or parsed.rate <= 0 or parsed.spend < 0:
        raise SettingsError("--max-requests and --rate must be positive, and --spend must not be negative")
    methods = frozenset(each.strip().upper() for each in parsed.methods.split(",") if each.strip())
    return runner.LiveBudget(parsed.max_requests, parsed.rate, methods, parsed.spend)


def _upstream(parsed: Namespace, url: "upstream.UpstreamUrl") -> "upstream.Upstream":
    return upstream.Upstream(url, timeout=parsed.upstream_timeout, ca_file=parsed.upstream_ca)


def _credentials(line: CommandLine, parsed: Namespace) -> "verification.Credentials":
    """The credentials in the environment; that of a second account has `_2` at the end of its name."""
    name = parsed.token_variable
    token = os.environ.get(name, "")
    if not token:
        line.complain(f"mockserver: warning: {name} is not set; requests have no credential\n")
    return verification.Credentials(token, os.environ.get(f"{name}_2", ""), name)


def _write_report(line: CommandLine, content: str, output: str | None, summary: str) -> None:
    if not output:
        line.write(content)
        return
    try:
        Path(output).write_text(content, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--output is {output!r}, which cannot be written: {error.strerror}") from error
    line.complain(f"{summary}\n")


def _add_drift(line: CommandLine, parser: ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL|FOLDER", help="the live API, or a folder with a recording of it")
    add = _add_budget(parser)
    add("--format", default="text", choices=("text", "json"), help="(default: text)")
    add("--propose", metavar="FILE", help="write an OpenAPI Overlay by which the document follows, for serve --overlay")
    line.add_settings(parser, (SERVING, BEHAVING))


def _run_drift(line: CommandLine, parsed: Namespace) -> int:
    settings = line.read_settings(parsed)
    observations: Sequence[runner.Observation] = ()
    more: list[differences.Difference] = []
    credentials = verification.Credentials()
    if Path(parsed.url).is_dir():
        pairs = drift.drift_of_recording(Path(parsed.url), settings)
    else:
        url, budget = upstream.parse_upstream(parsed.url), _budget(parsed)
        checked = verification.prepare(settings, parsed.only, generate=parsed.generate, unknown=parsed.unknown)
        credentials = _credentials(line, parsed)
        live, pairs, more = drift.drift_of_live(checked, _upstream(parsed, url), budget, settings, credentials)
        observations = live.observations
    found = [*drift.differences_of(pairs), *more]
    overlay = proposals.propose_overlay(found, build.build_engine(settings).services)
    report = drift.DriftReport(len(pairs), found, overlay, observations)
    content = credentials.removed_from(drift.format_drift(report, parsed.format))
    _write_report(line, content, parsed.output, drift.drift_summary(report))
    if parsed.propose:
        content = credentials.removed_from(json.dumps(overlay, indent=2) + "\n")
        _write_report(line, content, parsed.propose, f"proposal: {parsed.propose}")
    if not pairs and not any(each.says for each in observations):
        return NOTHING_CHECKED
    return PROBLEMS if found else DONE


def _run_proxy(line: CommandLine, parsed: Namespace) -> int:
    settings = line.read_settings(parsed)
    target = _upstream(parsed, upstream.parse_upstream(parsed.url))
    public_url = relay.parse_public_url(parsed.callbacks_via) if parsed.callbacks_via is not None else ""
    keeper = None
    if parsed.record:
        folder = Path(parsed.record)
        keeper = recorder.open_recorder(folder, parsed.record_mode, target.url, parsed.redact)
        if keeper is None:
            return process.serve(replace(settings, fixtures=(parsed.record, *settings.fixtures)))
    engine = build.build_engine(settings)
    found = relay.CallbackRelay(engine, settings, public_url, fails=parsed.fail) if public_url else None
    app = proxy.ProxyServer(engine, settings, target, fails=parsed.fail, recorder=keeper, relay=found)
    return process.serve(settings, app=app)
