"""All settings. Flags, environment variables, config file and docs are derived from this table."""

from dataclasses import Field, dataclass, fields
from socket import gethostname
from typing import TYPE_CHECKING, Any, TypeVar

from mockserver.errors import SettingsError
from mockserver.settings.declarations import (
    BEHAVING,
    GROUPS,
    LIMITING,
    LISTENING,
    SERVING,
    declarations,
    setting,
)

__all__ = [
    "BEHAVING", "GROUPS", "LIMITING", "LISTENING", "PREFIX", "ROWS", "SERVING",
    "CoreSettings", "Settings", "flag_of", "provider_settings", "url_of", "variable_of",
]  # fmt: skip

PREFIX = "MOCKSERVER_"
ProviderRows = TypeVar("ProviderRows")


@dataclass(frozen=True, init=False, repr=False, eq=False)
class CoreSettings:
    """How the server is set up, as far as no provider declares it.

    A row's default says how its text is read: int, bool, tuple (repeatable) or str.
    """

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
    store: str = setting(
        "memory",
        "Where sandboxes are kept: 'memory', or 'sqlite:///ABSOLUTE/PATH.db' (survives the process; several processes "
        "of one machine may share it), or 'redis://HOST:PORT/DB' (also rediss:// and unix://; shared by replicas). A "
        "URL with a password belongs into the variable.",
        group=LISTENING,
        metavar="URL",
    )
    workers: int = setting(
        1,
        "Processes that answer requests; more than one needs a store that they share.",
        group=LISTENING,
        metavar="COUNT",
        maximum=64,
    )
    store_force: bool = setting(
        False,
        "Use the store although it was made with other settings (seed, fixtures, documents).",
        group=LISTENING,
    )
    ready_when_store: bool = setting(
        False,
        "Let GET /ready ask the store each time, and answer 503 if it does not answer. By default /ready tells whether "
        "it answered the latest request.",
        group=LISTENING,
    )
    drain: int = setting(
        0,
        "After SIGTERM, how long GET /ready answers 503 while requests are still served, so that a load balancer sends "
        "no more; then requests in flight finish.",
        group=LISTENING,
        metavar="SECONDS",
        minimum=0,
        maximum=3600,
    )
    replica: str = setting(
        "",
        "Name of this server in request logs and metrics; with a shared store the name of the host by default.",
        group=LISTENING,
        metavar="NAME",
    )
    fixtures: tuple[str, ...] = setting(
        (), "A folder of fixtures; it overrides the bundled ones. Repeatable.", group=SERVING, metavar="DIR"
    )
    spec: tuple[str, ...] = setting(
        (),
        "An OpenAPI document (3.x or Swagger 2.0; a file, or a folder of files) to serve instead of the bundled one. "
        "Repeatable.",
        group=SERVING,
        metavar="FILE",
    )
    fetch: bool = setting(
        False, "Let --spec be a URL: the document, and the files that it refers to on that host, are read at start.",
        group=SERVING,
    )  # fmt: skip
    with_bundled: bool = setting(False, "Serve the bundled APIs beside the documents of --spec.", group=SERVING)
    overlay: tuple[str, ...] = setting(
        (),
        "An OpenAPI Overlay (1.0) that changes the documents, such as `mockserver drift --propose` writes. Repeatable.",
        group=SERVING,
        metavar="FILE",
    )
    strict_spec: bool = setting(
        False,
        "Refuse to start with a document that has a mistake; by default the part with the mistake is left out, and a "
        "warning names it.",
        group=SERVING,
    )
    watch: bool = setting(
        False,
        "Read the documents of --spec and the folders of --fixtures again when they change. Needs the extra `watch`.",
        group=SERVING,
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
    strict: bool = setting(
        False,
        "Reject what the real API may accept (null, unknown keys and arguments), and validate every response.",
        group=BEHAVING,
    )
    stateful: bool = setting(
        False,
        "Keep what requests create, change and delete in the sandbox, by the document's paths: POST /things, then "
        "GET /things/{id} finds it.",
        group=BEHAVING,
    )
    dynamic: bool = setting(
        False, "Generate responses from schemas even where the document has examples.", group=BEHAVING
    )
    unrecorded: str = setting(
        "explain",
        "What a request gets that a served recording does not have: 404 with the nearest recorded request, or the "
        "sandbox's own answer.",
        group=BEHAVING,
        choices=("explain", "answer"),
    )
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
    batch_bytes: int = setting(
        256 * 1024 * 1024,
        "Most bytes of large batches of prompts in memory; beyond that they are kept in temporary files.",
        group=LIMITING,
        metavar="BYTES",
    )
    max_sandboxes: int = setting(
        10_000,
        "Most sandboxes at a time; beyond that the least recently used is evicted.",
        group=LIMITING,
        metavar="COUNT",
    )
    expire_idle: int = setting(
        0,
        "Delete sandboxes that have had no request for so many seconds, as if they were evicted; 0 keeps them.",
        group=LIMITING,
        metavar="SECONDS",
        minimum=0,
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


if TYPE_CHECKING:

    class Settings(CoreSettings):
        """How the server is set up: the rows of the core, and those of the installed providers as attributes."""

        def __init__(self, **values: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...
else:

    def _settings_class() -> type:
        """The core's rows and those of all providers, as one dataclass."""
        declared = {name: each.settings for name, each in declarations().items() if each.settings}
        owners: dict[str, str] = {row.name: "mockserver" for row in fields(CoreSettings)}
        for name, kind in declared.items():
            for row in fields(kind):
                owner = owners.setdefault(row.name, name)
                if owner != name:
                    raise SettingsError(f"the setting {row.name!r} is declared by both {owner} and {name}")
        names = {"__module__": __name__, "__doc__": "How the server is set up.", "__qualname__": "Settings"}
        kind = type("Settings", (*reversed(declared.values()), CoreSettings), {**names, **_methods()})
        return dataclass(frozen=True, init=False, repr=False, eq=False)(kind)

    def _methods() -> dict[str, Any]:
        """What `dataclass` would write. Compiling that for so many rows takes 2 ms."""

        def init(self: Any, **values: Any) -> None:
            if unknown := values.keys() - ROWS.keys():
                raise TypeError(f"Settings.__init__() got an unexpected keyword argument {min(unknown)!r}")
            vars(self).update({name: values.get(name, row.default) for name, row in ROWS.items()})

        def values_of(settings: Any) -> tuple[Any, ...]:
            return tuple(getattr(settings, name) for name in ROWS)

        def is_equal(self: Any, other: object) -> bool:
            return values_of(self) == values_of(other) if type(other) is type(self) else NotImplemented

        def shown(self: Any) -> str:
            return f"Settings({', '.join(f'{name}={getattr(self, name)!r}' for name in ROWS)})"

        return {"__init__": init, "__eq__": is_equal, "__hash__": lambda self: hash(values_of(self)), "__repr__": shown}

    Settings = _settings_class()


ROWS: dict[str, "Field[Any]"] = {row.name: row for row in fields(Settings)}


def provider_settings(rows: type[ProviderRows], settings: Settings) -> ProviderRows:
    """The settings as the provider's rows have them, with their types."""
    if not isinstance(settings, rows):
        raise TypeError(f"{rows.__name__} is no part of the settings: its package is not installed")
    return settings


def url_of(host: str, port: int) -> str:
    """The server's URL for clients on this machine; a wildcard address is replaced by loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def replica_of(settings: CoreSettings) -> str:
    """The server's name among replicas; empty if it has none."""
    return settings.replica or ("" if settings.store == "memory" else gethostname())


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return PREFIX + name.upper()
