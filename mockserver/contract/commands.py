"""The commands that compare documents with live APIs: `proxy`."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mockserver.lazy import lazy_module
from mockserver.settings.table import GROUPS, Settings

if TYPE_CHECKING:
    from mockserver.contract import proxy, recorder, upstream
    from mockserver.engine import build
    from mockserver.server import process
else:
    proxy = lazy_module("mockserver.contract.proxy")
    recorder = lazy_module("mockserver.contract.recorder")
    upstream = lazy_module("mockserver.contract.upstream")
    build = lazy_module("mockserver.engine.build")
    process = lazy_module("mockserver.server.process")

NOT_STARTED = 3
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


class CommandLine(NamedTuple):
    """What commands use of the command line that they are part of."""

    add_command: Callable[..., ArgumentParser]
    add_settings: Callable[[ArgumentParser, Sequence[str]], None]
    read_settings: Callable[[Namespace], Settings]
    write: Callable[[str], None]
    complain: Callable[[str], None]


def add_commands(line: CommandLine) -> None:
    """Adds the commands to the command line."""
    parser = line.add_command(
        "proxy", lambda parsed: _run_proxy(line, parsed), PROXY_ABOUT, epilog=PROXY_EXAMPLES, takes="URL [flags]"
    )
    parser.set_defaults(on_error=NOT_STARTED)
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
        "--upstream-timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help="the longest silence of the upstream; then 504 (default: %(default)s)",
    )
    group.add_argument("--upstream-ca", default="", metavar="FILE", help="certificates to trust instead of the usual")
    line.add_settings(parser, GROUPS)


def _run_proxy(line: CommandLine, parsed: Namespace) -> int:
    settings = line.read_settings(parsed)
    target = upstream.Upstream(
        upstream.parse_upstream(parsed.url), timeout=parsed.upstream_timeout, ca_file=parsed.upstream_ca
    )
    keeper = None
    if parsed.record:
        folder = Path(parsed.record)
        keeper = recorder.open_recorder(folder, parsed.record_mode, target.url, parsed.redact)
        if keeper is None:
            return process.serve(replace(settings, fixtures=(parsed.record, *settings.fixtures)))
    engine = build.build_engine(settings)
    app = proxy.ProxyServer(engine, settings, target, fails=parsed.fail, recorder=keeper)
    return process.serve(settings, app=app)
