"""The command `mockserver`: subcommands, flags and exit codes."""

import os
import sys
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mockserver import __version__
from mockserver.command_line import HELP_FORMATTER, Command, UnwritableError, complain, drop_output, flush, write
from mockserver.contract.commands import CommandLine, add_commands
from mockserver.errors import MockServerError, SettingsError
from mockserver.lazy import lazy_module
from mockserver.settings.load import read_settings
from mockserver.settings.table import GROUPS, ROWS, SERVING, Settings, flag_of, url_of, variable_of
from mockserver.text import did_you_mean, format_count, format_table, without_passwords

if TYPE_CHECKING:
    import json
    from http import client
    from urllib import parse

    from mockserver.client import report
    from mockserver.engine import build, check
    from mockserver.server import process
else:
    json = lazy_module("json")
    client = lazy_module("http.client")
    parse = lazy_module("urllib.parse")
    report = lazy_module("mockserver.client.report")
    check = lazy_module("mockserver.engine.check")
    build = lazy_module("mockserver.engine.build")
    process = lazy_module("mockserver.server.process")

DONE, PROBLEMS, UNREADABLE, NOT_STARTED, NOTHING_CHECKED = range(5)
INTERRUPTED, PIPE_CLOSED = 130, 141
"""Exit codes of a process that SIGINT or SIGPIPE ended, as shells report them."""

ABOUT = "A sandbox server that imitates two batch LLM APIs: no network, no account, no bill."
EXIT_CODES = """\
exit codes:
  0  done
  1  checked, and found problems
  2  wrong usage, input that cannot be read, or output that cannot be written
  3  the server could not start
  4  nothing could be checked
"""
SERVE_EXAMPLES = """\
Every flag is also a variable (--port-file is MOCKSERVER_PORT_FILE; repeatable ones are separated as in PATH) and a key
of the config file (port-file: ...). A flag overrides a variable, a variable the file, the file the default.

examples:
  mockserver serve                                      a sandbox on http://127.0.0.1:4024
  mockserver serve --port 0 --port-file port.txt        in CI: a free port, written to a file
  mockserver serve --clock frozen --progression polls:3 batches progress with status requests only
  mockserver serve --fixtures my-answers --seed 7       your own canned responses, other ids
  curl http://127.0.0.1:4024/user -H 'Authorization: Bearer anything'
"""
CHECK_EXAMPLES = """\
Nothing is served. Problems go to standard output, one on a line, and a summary to standard error.

examples:
  mockserver check                                      the bundled document and fixtures
  mockserver check --fixtures my-answers                yours, too; reports those that can never match
"""
REPORT_EXAMPLES = """\
Verdict: what the clients did badly (polled too fast, retried in vain, ...). Coverage: which documented responses
occurred. Pact: a contract of what was sent and answered. Exit code 1 for findings of the severity --fail-on or worse,
4 if no documented operation occurred, or if the journals are empty (unless --fail-on is never).

examples:
  mockserver report                                     all sandboxes of http://127.0.0.1:4024
  mockserver report --sandbox test --fail-on error      one sandbox; only errors fail
  mockserver report --format junit --output report.xml  for a CI
  mockserver report --format pact --consumer my-app --provider AgileCloud --output my-app.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; returns the exit code."""
    code = DONE
    try:
        try:
            code = _run(sys.argv[1:] if argv is None else argv)
        finally:  # `--help` and `--version` exit by themselves
            flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        drop_output()
        return PIPE_CLOSED
    except UnwritableError as error:
        drop_output()
        if code == DONE:  # otherwise an earlier error was reported
            complain(f"mockserver: standard output cannot be written: {error.__cause__}\n")
            return UNREADABLE
    return code


def _run(argv: Sequence[str]) -> int:
    parser = _parser()
    commands: Mapping[str, ArgumentParser] = parser.get_default("commands")
    if argv and not argv[0].startswith("-") and argv[0] not in commands:
        known = f"; known are {', '.join(commands)}"
        parser.error(f"unknown subcommand {without_passwords(argv[0])!r}{did_you_mean(argv[0], commands) or known}")
    parsed, unknown = parser.parse_known_args(argv)
    if unknown:
        if argv[0] in commands:
            _refuse(unknown, argv[0], commands)
        parser.error(f"unknown flag {_flag(unknown[0])}")
    if "command" not in parsed:
        parser.print_help(sys.stderr)
        return UNREADABLE
    try:
        code: int = parsed.command(parsed)
    except MockServerError as error:
        complain(f"mockserver: {error}\n")
        return int(parsed.on_error)
    return code


def _refuse(unknown: Sequence[str], command: str, commands: Mapping[str, ArgumentParser]) -> None:
    """Exits with code 2 and suggests the nearest flag. Values may be secrets, and are not repeated."""
    flag = next((_flag(each) for each in unknown if each.startswith("-")), "")
    if not flag:
        commands[command].error(f"unexpected argument {without_passwords(unknown[0])!r}")
    others = [name for name, each in commands.items() if flag in _flags(each)]
    is_cut = any(own.startswith(flag) for own in _flags(commands[command]))  # report's --fail-on, as --fail
    if others and not is_cut:
        commands[command].error(f"{command} has no flag {flag}; it is one of {' and '.join(others)}")
    commands[command].error(f"unknown flag {flag}{did_you_mean(flag, _flags(commands[command]))}")


def _flag(argument: str) -> str:
    return argument.partition("=")[0]


def _flags(parser: ArgumentParser) -> list[str]:
    if isinstance(parser, Command):
        parser.add_flags()
    return [flag for action in parser._actions for flag in action.option_strings]


def _serve(parsed: Namespace) -> int:
    return process.serve(_settings(parsed))


def _check(parsed: Namespace) -> int:
    settings = _settings(parsed)
    try:
        problems = check.check(settings)
    except SettingsError:
        raise
    except MockServerError as error:
        complain(f"mockserver: nothing could be checked: {error}\n")
        return NOTHING_CHECKED
    for problem in problems:
        write(f"{problem.severity}: {problem}\n")
    errors = sum(problem.severity == "error" for problem in problems)
    complain(f"{format_count(errors, 'error')}, {format_count(len(problems) - errors, 'warning')}\n")
    return PROBLEMS if errors else DONE


def _operations(parsed: Namespace) -> int:
    settings = _settings(parsed)
    services = build.build_engine(replace(settings, store="memory")).services
    if parsed.json:
        write(f"{json.dumps([service.described() for service in services], indent=2)}\n")
        return DONE
    rows = [("METHOD", "PATH", "OPERATION", "STATUSES")]
    operations = [service.operation for service in services]
    rows += [(each.method, each.path, each.key, " ".join(map(str, each.statuses))) for each in operations]
    for line in format_table(rows):
        write(f"{line}\n")
    return DONE


def _healthcheck(parsed: Namespace) -> int:
    url = parsed.url
    if url is None:
        settings = _settings(parsed)
        url = url_of(settings.host, settings.port)
    try:
        target = parse.urlsplit(url)
        if target.scheme != "http" or not target.hostname:
            raise ValueError
        connection = client.HTTPConnection(target.hostname, target.port, timeout=parsed.timeout)
    except ValueError:
        raise SettingsError(f"--url is {url!r}; wanted http://HOST:PORT") from None
    try:
        connection.request("GET", f"{target.path.rstrip('/')}/health")
        status = connection.getresponse().status
    except (OSError, client.HTTPException) as error:
        complain(f"mockserver: {url} does not answer: {error}\n")
        return PROBLEMS
    finally:
        connection.close()
    if status != 200:
        complain(f"mockserver: {url}/health answers {status}\n")
    return DONE if status == 200 else PROBLEMS


def _report(parsed: Namespace) -> int:
    settings = _settings(parsed)
    url = parsed.url or url_of(settings.host, settings.port)
    token = settings.admin_token
    if parsed.format == "pact":
        return _report_pact(parsed, url, token)
    fetched = report.fetch_report(url, sandbox=parsed.sandbox, admin_token=token, timeout=parsed.timeout)
    _write_report(fetched.written(parsed.format), parsed.output)
    is_seen = parsed.format == "text" and not parsed.output and sys.stdout is not None and sys.stdout.isatty()
    if fetched.lacks(parsed.fail_on) or not is_seen:  # the text ends with its own summary
        complain(f"{fetched.summary()}\n")
    if fetched.fails(parsed.fail_on):
        return PROBLEMS
    return NOTHING_CHECKED if fetched.lacks(parsed.fail_on) else DONE


def _report_pact(parsed: Namespace, url: str, token: str) -> int:
    given = {name: getattr(parsed, name) for name in ("sandbox", "consumer", "provider", "timeout")}
    pact = report.fetch_pact(url, admin_token=token, **given)
    if pact is not None:
        _write_report(json.dumps(pact, indent=2).encode() + b"\n", parsed.output)
    complain(f"{report.pact_summary(pact)}\n")
    return NOTHING_CHECKED if pact is None else DONE


def _write_report(content: bytes, output: str | None) -> None:
    if output:
        report.write_report(content, output)
    else:
        write(content.decode())


def _settings(parsed: Namespace) -> Settings:
    flags = {name: came for name, came in vars(parsed).items() if name in ROWS or name == "config"}
    settings, warnings = read_settings(flags, os.environ)
    for warning in warnings:
        complain(f"mockserver: warning: {warning}\n")
    return settings


def _parser() -> ArgumentParser:
    """The parser of the command. Its default `commands` holds the subcommand parsers by name."""
    parser = Command(
        "mockserver",
        description=ABOUT,
        epilog=f"Run 'mockserver COMMAND --help' for the flags of a command.\n\n{EXIT_CODES}",
        formatter_class=HELP_FORMATTER,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"mockserver {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def command(
        name: str,
        run: Callable[[Namespace], int],
        about: str,
        flags: Callable[[ArgumentParser], None],
        *,
        epilog: str = "",
        takes: str = "[flags]",
        on_error: int = UNREADABLE,
    ) -> None:
        made = commands.add_parser(
            name,
            usage=f"mockserver {name} {takes}",
            help=about,
            description=about,
            epilog=f"{epilog}\n{EXIT_CODES}" if epilog else EXIT_CODES,
            formatter_class=HELP_FORMATTER,
            allow_abbrev=False,
        )
        made.set_defaults(command=run, on_error=on_error)
        made.flags = flags

    about = "Serve the sandbox until SIGTERM or Ctrl-C."
    command("serve", _serve, about, _add_settings, epilog=SERVE_EXAMPLES, on_error=NOT_STARTED)
    served = partial(_add_settings, groups=(SERVING,))
    command("check", _check, "Check documents and fixtures, offline.", served, epilog=CHECK_EXAMPLES)
    command("operations", _operations, "List the operations that would be served.", _add_listing)
    about = "Ask a running server for /health; exit with 0 if it is healthy."
    command("healthcheck", _healthcheck, about, _add_healthcheck)
    about = "Ask a running server for verdict, coverage or a contract."
    command("report", _report, about, _add_report, epilog=REPORT_EXAMPLES)
    add_commands(CommandLine(command, _add_settings, _settings, write, complain))
    parser.set_defaults(commands=commands.choices)
    return parser


def _add_listing(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON, with all details")
    _add_settings(parser, (SERVING,))


def _add_healthcheck(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--url", help="the server's address (default: made from the settings host and port)")
    add("--timeout", type=float, default=3.0, metavar="SECONDS", help="how long to wait (default: %(default)s)")
    _add_config(parser)


def _add_report(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--url", help="the server's address (default: made from the settings host and port)")
    add("--sandbox", default="all", metavar="NAME", help="the sandbox to report on (default: all)")
    add("--format", default="text", choices=("text", "json", "junit", "cobertura", "pact"), help="(default: text)")
    add("--output", metavar="FILE", help="the output file (default: standard output)")
    add("--consumer", default="client", metavar="NAME", help="the client's name in a Pact file (default: client)")
    add("--provider", default="", metavar="NAME", help="the API of a Pact file, if several were called")
    add(
        "--fail-on",
        default="warning",
        choices=("info", "warning", "error", "never"),
        help="the lowest severity that fails the report (default: warning)",
    )
    add("--admin-token", metavar="TEXT", help="the server's admin token")
    add("--timeout", type=float, default=30.0, metavar="SECONDS", help="how long to wait (default: %(default)s)")
    _add_config(parser)


def _add_settings(parser: ArgumentParser, groups: Sequence[str] = GROUPS) -> None:
    _add_config(parser)
    for title in groups:
        group = parser.add_argument_group(title)
        for name, row in ROWS.items():
            if row.metadata["group"] == title:
                group.add_argument(flag_of(name), **_looks(row.default, row.metadata))


def _add_config(parser: ArgumentParser) -> None:
    variable = variable_of("config")
    parser.add_argument(
        "--config", metavar="FILE", help=f"a YAML file of settings by name; {variable} is honoured, too"
    )


def _looks(default: object, facts: Any) -> dict[str, Any]:
    """The arguments of add_argument for a row. They only collect text; `read_settings` parses it, as it parses
    variables.
    """
    about = facts["help"].replace("%", "%%")
    if isinstance(default, bool):
        return {
            "action": BooleanOptionalAction,
            "default": None,
            "help": f"{about} (default: {'on' if default else 'off'})",
        }
    shown = f" (default: {default})" if default not in ("", ()) else ""
    metavar = f"{{{','.join(facts['choices'])}}}" if facts["choices"] else facts["metavar"]
    action = "append" if isinstance(default, tuple) else "store"
    return {"action": action, "default": None, "metavar": metavar, "help": about + shown}
