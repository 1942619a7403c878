"""All settings. Flags, environment variables, config file and docs are derived from this table."""

import os
from dataclasses import Field, dataclass, field, fields
from typing import Any

PREFIX = "MOCKSERVER_"
LISTENING, SERVING, BEHAVING, LIMITING = "listening", "what is served", "how it behaves", "limits and logging"
GROUPS = (LISTENING, SERVING, BEHAVING, LIMITING)


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
    """One row of the table: default, help text, group in `--help`, and validation.

    `separator` separates the values of a repeatable setting in its variable.
    """
    facts = {"help": help, "group": group, "metavar": metavar, "choices": choices, "range": (minimum, maximum)}
    return field(default=default, metadata={**facts, "separator": separator})


@dataclass(frozen=True)
class Settings:
    """The settings of a server. The type of a row's default selects its parser: int, bool, tuple (repeatable), str."""

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
        "Token that /__admin requires in X-Mock-Admin-Token. Without one, /__admin answers on loopback only.",
        group=LISTENING,
    )
    fixtures: tuple[str, ...] = setting(
        (), "A folder of fixtures; it overrides the bundled ones. Repeatable.", group=SERVING, metavar="DIR"
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
    seed: str = setting("mockserver", "The string that all ids and generated values are derived from.", group=BEHAVING)
    clock: str = setting(
        "flowing",
        "Sandbox time: 'flowing' or 'frozen' from now on, an ISO 8601 instant to start from (UTC unless it has an "
        "offset), or 'frozen@INSTANT' to start and stay there.",
        group=BEHAVING,
        metavar="CLOCK",
    )
    progression: str = setting(
        "time:2",
        "How a batch progresses: at once ('immediate'), with the clock ('time:SECONDS'), or with status requests "
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
    missing_variables: str = setting(
        "error",
        "What a prompt template of AgileCloud makes of a variable without a value: the request fails ('error'), or "
        "nothing is written in its place ('blank').",
        group=BEHAVING,
        choices=("error", "blank"),
    )
    rate_limit: int = setting(
        0, "Requests per minute and key that AgileCloud answers; 0 is no limit.", group=BEHAVING, minimum=0
    )
    strict: bool = setting(
        False,
        "Reject what the real API may accept (null, unknown keys and arguments), and validate every response.",
        group=BEHAVING,
    )
    credit_check: str = setting(
        "paid",
        "Which Agent First calls a balance of 0 refuses with 402: those that cost credits, or all that document a 402.",
        group=BEHAVING,
        choices=("paid", "documented"),
    )
    any_model: bool = setting(
        False, "Accept any model's name at AgileCloud, not only the listed models and their snapshots.", group=BEHAVING
    )
    empty_prompts: bool = setting(False, "Accept empty prompts (whether the real API does is unknown).", group=BEHAVING)
    magic: bool = setting(
        True, "Recognise magic tokens (mock-no-credits, ...) and markers ([mock:fail], ...).", group=BEHAVING
    )
    debug_headers: bool = setting(True, "Send the X-Mock-* headers, which the vendors do not send.", group=BEHAVING)
    cors: str = setting(
        "local",
        "Which web pages may call the imitated APIs: 'local' (pages served from localhost or a loopback address, any "
        "port), 'any', 'off', or origins separated by commas. Never /__admin.",
        group=BEHAVING,
        metavar="ORIGINS",
    )
    callbacks: str = setting(
        "send",
        "What happens to a due callback: it is sent, or only listed ('inbox') by GET /__admin/callbacks.",
        group=BEHAVING,
        choices=("send", "inbox"),
    )
    callback_allow: tuple[str, ...] = setting(
        (),
        "A HOST or HOST:PORT that callbacks may go to. Loopback is allowed anyway, as long as --host is loopback. "
        "Repeatable; in a variable separated by commas.",
        group=BEHAVING,
        metavar="HOST[:PORT]",
        separator=",",
    )
    callback_retries: str = setting(
        "0.5,2,8",
        "Waits before a callback is retried, in seconds; 'none' is one attempt.",
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
    head_timeout: int = setting(
        10, "Longest wait for the whole head of a request, in seconds.", group=LIMITING, metavar="SECONDS"
    )
    max_head: int = setting(64 * 1024, "Largest head of a request, in bytes.", group=LIMITING, metavar="BYTES")
    send_timeout: int = setting(
        60,
        "Longest time in which a client may read almost nothing of its response, in seconds.",
        group=LIMITING,
        metavar="SECONDS",
    )
    max_connections: int = setting(
        2000, "Most connections at a time; those idle for longest are closed.", group=LIMITING, metavar="COUNT"
    )
    journal_size: int = setting(1000, "How many exchanges a sandbox's journal keeps.", group=LIMITING, metavar="COUNT")
    journal_bytes: int = setting(
        256 * 1024 * 1024,
        "Most bytes in the journals of all sandboxes; beyond that the oldest exchanges of large journals are dropped.",
        group=LIMITING,
        metavar="BYTES",
    )
    max_sandboxes: int = setting(
        10_000,
        "Most sandboxes at a time; beyond that the least recently used is evicted.",
        group=LIMITING,
        metavar="COUNT",
    )
    log_level: str = setting(
        "warning",
        "What is logged to standard error; 'info' has a line for each request.",
        group=LIMITING,
        choices=("debug", "info", "warning", "error"),
    )
    log_format: str = setting(
        "text", "Format of log lines: text, or a JSON object each.", group=LIMITING, choices=("text", "json")
    )


ROWS: dict[str, "Field[Any]"] = {row.name: row for row in fields(Settings)}


def url_of(host: str, port: int) -> str:
    """The server's URL for clients on this machine; a wildcard address is replaced by loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return PREFIX + name.upper()
