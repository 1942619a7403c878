"""Every setting, once: this table feeds the flags, the environment variables, the config file and the docs."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from mockserver.errors import SettingsError
from mockserver.syntaxes import SYNTAXES, complaint, is_digits, shown

PREFIX = "MOCKSERVER_"
LISTENING, SERVING, BEHAVING, LIMITING = "listening", "what is served", "how it behaves", "limits and logging"
GROUPS = (LISTENING, SERVING, BEHAVING, LIMITING)

YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def setting(
    default: Any,
    help: str,
    *,
    group: str,
    metavar: str = "TEXT",
    choices: tuple[str, ...] = (),
    minimum: int = 1,
    maximum: int = 2**53,
    separator: str = os.pathsep,
) -> Any:
    """One row of the table: a default, a sentence, the part of `--help` it belongs to, and what values make sense.

    `separator` stands between the texts of a repeatable setting in its variable.
    """
    facts = {"help": help, "group": group, "metavar": metavar, "choices": choices, "range": (minimum, maximum)}
    return field(default=default, metadata={**facts, "separator": separator})


@dataclass(frozen=True)
class Settings:
    """How the server is set up. A row's default says how its text is read: int, bool, tuple (repeatable) or str."""

    host: str = setting("127.0.0.1", "Address to listen on.", group=LISTENING, metavar="ADDRESS")
    port: int = setting(
        4024,
        "Port to listen on; 0 picks a free one. The variable PORT is honoured, too.",
        group=LISTENING,
        metavar="PORT",
        minimum=0,
        maximum=65535,
    )
    port_file: str = setting(
        "", "Write the port to this file while the server listens.", group=LISTENING, metavar="FILE"
    )
    admin_token: str = setting(
        "",
        "Token that /__admin asks for in X-Mock-Admin-Token. Without one, /__admin answers on loopback only.",
        group=LISTENING,
    )
    fixtures: tuple[str, ...] = setting(
        (), "A folder of fixtures, asked before the bundled ones. Repeatable.", group=SERVING, metavar="DIR"
    )
    spec: tuple[str, ...] = setting(
        (), "An OpenAPI 3.x document to serve beside the bundled one. Repeatable.", group=SERVING, metavar="FILE"
    )
    agentfirst_version: str = setting(
        "2026-04",
        "Agent First's completion field set: that of April or of July 2026.",
        group=SERVING,
        choices=("2026-04", "2026-07"),
    )
    page_weight: str = setting(
        "light",
        "Size of completion pages: a few kB, or the real 200 kB to 1.5 MB.",
        group=SERVING,
        choices=("light", "realistic"),
    )
    agilecloud_profile: str = setting(
        "agilecloud",
        "How AgileCloud's batches live: with its own five statuses, or with OpenAI's eight.",
        group=SERVING,
        choices=("agilecloud", "openai"),
    )
    seed: str = setting("mockserver", "The string that all ids and fabricated values derive from.", group=BEHAVING)
    clock: str = setting(
        "flowing",
        "Sandbox time: 'flowing' or 'frozen' from now on, an ISO 8601 instant to start from (UTC unless it says "
        "otherwise), or 'frozen@INSTANT' to start and stay there.",
        group=BEHAVING,
        metavar="CLOCK",
    )
    progression: str = setting(
        "time:2",
        "How a batch gets to its end: at once ('immediate'), with the clock ('time:SECONDS'), or by being asked for "
        "('polls:COUNT').",
        group=BEHAVING,
        metavar="HOW",
    )
    capacity: str = setting(
        "free",
        "What AgileCloud has left for batches: 'free', 'busy' (they wait), or an ISO 8601 instant of sandbox time "
        "until which it is busy (UTC unless it says otherwise).",
        group=BEHAVING,
        metavar="WHEN",
    )
    keep_order: bool = setting(
        False, "Write a batch's output in the order of its input (the real API does not).", group=BEHAVING
    )
    rate_limit: int = setting(
        0, "Requests per minute and key that AgileCloud answers; 0 is no limit.", group=BEHAVING, minimum=0
    )
    strict: bool = setting(
        False,
        "Refuse what the real API may forgive (null, unknown keys and arguments), and check every reply.",
        group=BEHAVING,
    )
    empty_prompts: bool = setting(False, "Accept empty prompts (whether the real API does is unknown).", group=BEHAVING)
    magic: bool = setting(
        True, "Heed reserved tokens (mock-no-credits, ...) and markers ([mock:fail], ...).", group=BEHAVING
    )
    debug_headers: bool = setting(True, "Send the X-Mock-* headers, which the vendor would not.", group=BEHAVING)
    callbacks: str = setting(
        "send",
        "What is done with a callback that falls due: it is sent, or only shown ('inbox') by GET /__admin/callbacks.",
        group=BEHAVING,
        choices=("send", "inbox"),
    )
    callback_allow: tuple[str, ...] = setting(
        (),
        "A HOST or HOST:PORT off loopback that callbacks may go to. Repeatable; a variable separates them by commas.",
        group=BEHAVING,
        metavar="HOST[:PORT]",
        separator=",",
    )
    callback_retries: str = setting(
        "0.5,2,8",
        "Waits before a callback is tried again, in seconds; 'none' is one attempt.",
        group=BEHAVING,
        metavar="SECONDS",
    )
    callback_timeout: str = setting(
        "5", "Longest time for one attempt to deliver a callback, in seconds.", group=BEHAVING, metavar="SECONDS"
    )
    sqs_endpoint: str = setting(
        "", "Where callbacks to SQS queues go, such as http://127.0.0.1:5000.", group=BEHAVING, metavar="URL"
    )
    max_body: int = setting(32 * 1024 * 1024, "Largest request body, in bytes.", group=LIMITING, metavar="BYTES")
    body_timeout: int = setting(
        30, "Longest wait for the rest of a request body, in seconds.", group=LIMITING, metavar="SECONDS"
    )
    journal_size: int = setting(1000, "How many exchanges a sandbox's journal keeps.", group=LIMITING, metavar="COUNT")
    max_sandboxes: int = setting(
        10_000, "Most sandboxes at a time; the idlest one that is not held makes room.", group=LIMITING, metavar="COUNT"
    )
    log_level: str = setting(
        "warning",
        "What is logged to standard error.",
        group=LIMITING,
        choices=("debug", "info", "warning", "error"),
    )


ROWS: dict[str, "Field[Any]"] = {row.name: row for row in fields(Settings)}


def url_of(host: str, port: int) -> str:
    """Where a client on this machine finds the server; an address that means "all" is no address to connect to."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return PREFIX + name.upper()


def read_settings(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Flag, else variable, else config file, else default; and a warning for each variable that nobody reads.

    `flags` are settings by name, and `config`; None is a flag that was not given. An empty variable counts as unset.
    """
    config = flags.get("config") or environ.get(variable_of("config"))
    given = dict(_in_config(str(config))) if config else {}
    given |= dict(_in_variables(environ))
    given |= {name: (flag_of(name), came) for name, came in flags.items() if name != "config" and came is not None}
    values = {name: read_value(_row(name, "flag"), came, place) for name, (place, came) in given.items()}
    return Settings(**values), list(_warnings(environ))


def read_value(row: "Field[Any]", came: object, place: str) -> Any:
    """A setting's value from text, or from a value that has the row's type already; `place` is for the complaint."""
    if isinstance(row.default, tuple):
        texts = _read_texts(came, place)
        return tuple(_in_syntax(row, text, place) for text in texts)
    if isinstance(row.default, bool):
        return _read_bool(came, place)
    if isinstance(row.default, int):
        return _read_int(came, place, *row.metadata["range"])
    return _read_text(row, came, place)


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The end of a complaint about an unknown word: the known one that was probably meant."""
    from difflib import get_close_matches  # noqa: PLC0415  only those who mistype wait for it

    matches = get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else f"; known are {', '.join(known)}"


def _in_config(path: str) -> Iterator[tuple[str, tuple[str, object]]]:
    for key, came in _load_config(path).items():
        name = key.replace("-", "_")
        if name not in ROWS:
            raise SettingsError(f"{path}: {key!r} is not a setting (its value is {came!r}){nearest(name, tuple(ROWS))}")
        yield name, (f"{path}: {key}", came)


def _load_config(path: str) -> dict[str, object]:
    """The file's mapping, every scalar still text: what is written means the same as after a flag."""
    import yaml  # noqa: PLC0415  few have a config file, all wait for the start

    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib would only add to the start-up time
            loaded = yaml.load(file, Loader=yaml.BaseLoader)  # noqa: S506  makes text, lists and mappings only
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read as a config file: {' '.join(str(error).split())}") from error
    if loaded in (None, ""):
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise SettingsError(f"{path} is {shown(loaded)}; wanted a mapping of setting names to values")
    return loaded


def _in_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, object]]]:
    if environ.get("PORT"):
        yield "port", ("PORT", environ["PORT"])
    for name, row in ROWS.items():
        came = environ.get(variable_of(name), "")
        if came and not _is_service_link(came):
            parts = [part for part in came.split(row.metadata["separator"]) if part]
            yield name, (variable_of(name), parts if isinstance(row.default, tuple) else came)


def _warnings(environ: Mapping[str, str]) -> Iterator[str]:
    known = (*(variable_of(name) for name in ROWS), variable_of("config"))
    for name in sorted(environ):
        if name in known and _is_service_link(environ[name]):
            yield f"{name} is {environ[name]!r}, which Kubernetes sets for a service of that name; ignored"
        elif name.startswith(PREFIX) and name not in known:
            yield f"unknown variable {name}{nearest(name, known)}"


def _is_service_link(came: str) -> bool:
    """Kubernetes gives every pod near a service called `mockserver` a MOCKSERVER_PORT that is an address."""
    return came.startswith("tcp://")


def _row(name: str, kind: str) -> "Field[Any]":
    if name not in ROWS:
        raise SettingsError(f"unknown {kind} {name!r}{nearest(name, tuple(ROWS))}")
    return ROWS[name]


def _read_texts(came: object, place: str) -> tuple[str, ...]:
    texts = (came,) if isinstance(came, str) else came
    if isinstance(texts, list | tuple) and all(isinstance(text, str) and text for text in texts):
        return tuple(texts)
    raise complaint(place, came, "one or more texts, none of them empty")


def _read_bool(came: object, place: str) -> bool:
    if isinstance(came, bool):
        return came
    if isinstance(came, str) and came.lower() in YES + NO:
        return came.lower() in YES
    raise complaint(place, came, "true or false (or 1, 0, yes, no, on, off)")


def _read_int(came: object, place: str, minimum: int, maximum: int) -> int:
    number = int(came) if isinstance(came, str) and is_digits(came) else came
    if isinstance(number, int) and not isinstance(number, bool) and minimum <= number <= maximum:
        return number
    raise complaint(place, came, f"an integer from {minimum} to {maximum}")


def _read_text(row: "Field[Any]", came: object, place: str) -> str:
    choices = row.metadata["choices"]
    if not isinstance(came, str):
        raise complaint(place, came, "one text")
    if choices and came not in choices:
        raise complaint(place, came, " or ".join(repr(choice) for choice in choices))
    return _in_syntax(row, came, place)


def _in_syntax(row: "Field[Any]", text: str, place: str) -> str:
    if row.name in SYNTAXES:
        SYNTAXES[row.name](text, place)
    return text
