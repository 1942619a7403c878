"""The pages that nobody writes: MkDocs takes them from the code when it builds, and they are never files."""

import json
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from members import members_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from walks import seen_under

from mockserver.cli import EXIT_CODES, _parser
from mockserver.engine.build import build_engine
from mockserver.fixtures.scenarios import Scenario
from mockserver.openapi.operations import Operation
from mockserver.sandbox.accounts import DEFAULT_CREDITS, account_from_token, reserved_status
from mockserver.sandbox.batches import read_outcome
from mockserver.sandbox.stubs.faults import faults_json
from mockserver.settings.table import GROUPS, ROWS, Settings, flag_of, variable_of
from mockserver.web.admin.call import AdminRoute
from mockserver.web.admin.routes import ROUTES
from mockserver.web.paths import ADMIN_PREFIX

README = Path(__file__).parents[1] / "README.md"
NARROW = partial(RawDescriptionHelpFormatter, width=92, max_help_position=26)
TOKENS = ("anything-else", "mock-no-credits", "mock-credits-12-of-mine", "mock-revoked", "mock-status-500")
MARKERS = ("[mock:fail]", "[mock:fail=503]", "[mock:slow=30s]", "[mock:slow=250ms]", "[mock:hang]")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs calls this once it has found the pages that are files."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this with the text of every page; a line of its own says what is put in there."""
    for name, write in PARTS.items():
        marker = f"<!-- generated: {name} -->"
        if marker in markdown:
            markdown = markdown.replace(marker, write())
    return markdown


def settings_page() -> str:
    parts = [
        "# Settings\n\nA flag wins over its variable, a variable over the config file, the file over the default. "
        "The config file (`--config FILE`, or `MOCKSERVER_CONFIG`) is YAML with the same names: `port-file: port.txt`. "
        "Repeatable flags are given several times; their variable separates them as `PATH` does, or as is said there."
    ]
    for group in GROUPS:
        rows = [_setting(name) for name, row in ROWS.items() if row.metadata["group"] == group]
        parts.append(f"## {group.capitalize()}\n\n{_table(('flag and variable', 'default', 'what it does'), rows)}")
    return "\n\n".join(parts)


def commands_page() -> str:
    codes = [(code, what) for code, what in re.findall(r"(?m)^  (\d)  (.+)$", EXIT_CODES)]
    parts = [
        f"# Commands and exit codes\n\n{_table(('exit code', 'means'), codes)}",
        "A verb or a flag that there is not is 2 everywhere. `serve` says 3 for all else that keeps it from starting: "
        "a port that is taken, a value that a setting does not take, a config file, a document or a fixture that is "
        "wrong. The other verbs say 2 for a bad setting, and `check` says 1 for what it found wrong in your files.",
    ]
    parser = _parser()
    verbs: Mapping[str, Any] = next(each.choices for each in parser._actions if isinstance(each.choices, Mapping))
    for name, verb in verbs.items():
        verb.formatter_class = NARROW
        told = verb.format_help().replace(EXIT_CODES, "").rstrip()
        parts.append(f"## mockserver {name}\n\n{_block('text', told)}")
    return "\n\n".join(parts)


def operations_page() -> str:
    services = build_engine(Settings()).services
    tags = dict.fromkeys(service.operation.tag for service in services)
    parts = [
        "# Operations\n\nWhat the document (`openapi.yaml`) describes, and so what is served. "
        "A name in the first column is what stubs, faults and searches of the journal call an operation. "
        "`GET /__admin/openapi.json` shows the document itself."
    ]
    for tag in tags:
        rows = [_operation(each.operation) for each in services if each.operation.tag == tag]
        parts.append(f"## {tag}\n\n{_table(('operation', 'call', 'what it does', 'statuses'), rows)}")
    return "\n\n".join(parts)


def admin_page() -> str:
    told = readme_sentences()
    parts = [
        "# Admin API\n\nA call names its sandbox as any call does: `X-Mock-Sandbox`, else the bearer token, else "
        "`default`; the answer's `X-Mock-Sandbox` says which one it was. What a call does not know is refused, and a "
        "refused call changes nothing. Bodies are JSON; their schemas are JSON Schema 2020-12."
    ]
    return "\n\n".join(parts + [_verb(verb, told) for verb in ROUTES])


def markers_page() -> str:
    tokens = [(f"`{token}`", _token_says(token)) for token in TOKENS]
    markers = [(f"`{marker}`", _marker_says(marker)) for marker in MARKERS]
    return (
        "# Tokens and markers\n\nThey need no change in your client. `--no-magic` turns both off.\n\n"
        f"## Tokens\n\nWhat counts is how a bearer token begins.\n\n{_table(('token', 'what it gets'), tokens)}\n\n"
        "## Markers\n\nA marker stands anywhere in a prompt, or in a message or the `custom_id` of a batch line, and "
        f"decides the fate of that item alone.\n\n{_table(('marker', 'what happens to the item'), markers)}"
    )


def faults_page() -> str:
    parts = [
        "# Faults\n\nOne fault is a JSON object with a `type` and its fields. [Faults](../control/faults.md) says how "
        "to install one. A field with a default may be left out."
    ]
    for fault in faults_json():
        rows = [(f"`{each['name']}`", each["wanted"], _code(each.get("default", ""))) for each in fault["fields"]]
        fields = _table(("field", "value", "default"), rows) if rows else "It has no fields."
        parts.append(f"## {fault['type']}\n\n{fault['sees']}\n\n{fields}")
    return "\n\n".join(parts)


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/settings.md": settings_page,
    "reference/operations.md": operations_page,
    "reference/admin.md": admin_page,
    "reference/python.md": members_page,
    "reference/markers.md": markers_page,
    "reference/faults.md": faults_page,
}


def scenarios_part() -> str:
    book = build_engine(Settings()).scenarios.by_name
    return "\n\n".join(_scenario(each) for each in book.values())


PARTS: Mapping[str, Callable[[], str]] = {"scenarios": scenarios_part}


def readme_sentences() -> dict[str, str]:
    """What the README says of each admin call, by method and path below the prefix."""
    told: dict[str, str] = {}
    for calls, sentence in re.findall(
        r"(?m)^\| (`(?:GET|POST|PUT|DELETE) .+?`) \| (.+) \|$", README.read_text("utf-8")
    ):
        told |= {call.replace(f" {ADMIN_PREFIX}", " "): sentence for call in re.findall(r"`([A-Z]+ /\S+)`", calls)}
    return told


def _scenario(scenario: Scenario) -> str:
    rows = [(api, "<br>".join(f"{call}: {answer}" for call, answer in sights)) for api, sights in seen_under(scenario)]
    text = scenario.path.read_text(encoding="utf-8").rstrip()
    return "\n\n".join(
        [
            f"### {scenario.name}\n\n{scenario.description}",
            _table(("client of", "sees"), rows),
            _folded(f"fixtures/{scenario.source}", _block("yaml", text)),
        ]
    )


def _setting(name: str) -> tuple[str, ...]:
    row = ROWS[name]
    if isinstance(row.default, bool):
        flag, default = f"`{flag_of(name)}`, `{flag_of(f'no_{name}')}`", "on" if row.default else "off"
    else:
        flag, default = f"`{flag_of(name)}`", "" if row.default == () else str(row.default)
    choices = " One of " + ", ".join(f"`{each}`" for each in row.metadata["choices"]) + "."
    named = f"{flag}<br>`{variable_of(name)}`"
    return named, _code(default), row.metadata["help"] + choices * bool(row.metadata["choices"])


def _operation(it: Operation) -> tuple[str, ...]:
    return f"`{it.key}`", f"`{it.method} {it.path}`", it.summary, " ".join(map(str, it.statuses))


def _verb(verb: AdminRoute, told: Mapping[str, str]) -> str:
    call = f"{verb.method} {verb.path}"
    parts = [f"## {verb.method} {ADMIN_PREFIX}{verb.path} {{ #{_anchor(call)} }}"]
    sentence = told[call].partition("; `")[0] if call in told else ""
    parts += [f"{sentence[:1].upper()}{sentence[1:].rstrip('.')}."] if sentence else []
    parts += [f"Query: {', '.join(f'`{name}`' for name in sorted(verb.parameters))}."] if verb.parameters else []
    parts += [_folded("What the body may hold", _block("json", _schema(verb.body.definition)))] if verb.body else []
    return "\n\n".join(parts)


def _schema(definition: Mapping[str, Any]) -> str:
    """A schema without what says nothing."""
    said = {name: value for name, value in definition.items() if value not in ([], 0)}
    return json.dumps(said, indent=2)


def _folded(title: str, text: str) -> str:
    return f'??? quote "{title}"\n' + "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def _anchor(call: str) -> str:
    return re.sub(r"[^a-z]+", "-", call.lower()).strip("-")


def _token_says(token: str) -> str:
    status = reserved_status(token)
    if status is not None:
        return f"The documented answer with status {status}, whatever is asked (400 where it documents none)."
    facts = account_from_token(token)
    if facts.revoked:
        return "It is refused: 403 by Agent First, 401 by AgileCloud."
    if facts.credits == DEFAULT_CREDITS:
        return f"It is accepted, and has plenty of credits ({DEFAULT_CREDITS:,})."
    return f"It is accepted, and starts with {facts.credits} credits{'; 402 at once' if not facts.credits else ''}."


def _marker_says(marker: str) -> str:
    fate = read_outcome(marker)
    if fate.failure is not None:
        return f"It fails, with {fate.failure} where a status is shown."
    if fate.slowness == float("inf"):
        return "It never ends."
    return f"It takes {fate.slowness:g} seconds of sandbox time longer."


def _code(value: object) -> str:
    return f"`{value}`" if value != "" else ""


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table whose cells may hold bars."""
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
