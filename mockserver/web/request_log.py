"""The request log: one line for each request, without credentials."""

import logging
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING

from mockserver.engine.engine import Engine
from mockserver.redaction import secrets_in, shown_path
from mockserver.sandbox.sandbox import Sandbox
from mockserver.web.paths import HEALTH

if TYPE_CHECKING:
    from starlette.types import ASGIApp as App
    from starlette.types import Message, Receive, Scope, Send

log = logging.getLogger("mockserver.requests")
QUIET = frozenset(HEALTH)
"""Paths of frequent requests, which are logged at the level `debug`."""
MAX_METHOD = 20
SANDBOX_HEADER = b"x-mock-sandbox"
_OPTIONAL = ("sandbox", "reason", "replica")
_facts: ContextVar[dict[str, str] | None] = ContextVar("mockserver_request", default=None)


class RequestLog:
    """Logs each request of an ASGI app when its answer has been sent, or its client is gone."""

    def __init__(self, engine: Engine, replica: str = "") -> None:
        """`replica` is the server's name among others, which each line has."""
        engine.observer = note
        self._own = {"replica": replica} if replica else {}

    async def watch(self, app: "App", scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Have the app answer the request, and log it."""
        level = logging.DEBUG if scope.get("path") in QUIET else logging.INFO
        if scope["type"] != "http" or not log.isEnabledFor(level):
            await app(scope, receive, send)
            return
        facts: dict[str, str] = {}
        token = _facts.set(facts)
        status = 0
        begun = perf_counter()

        async def watched(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                for name, value in message["headers"]:
                    if name.lower() == SANDBOX_HEADER:  # of an admin call
                        facts["sandbox"] = value.decode("latin-1")
            await send(message)

        try:
            await app(scope, receive, watched)
        finally:
            _facts.reset(token)
            milliseconds = round((perf_counter() - begun) * 1000, 1)
            _write(level, scope, status, milliseconds, {**facts, **self._own})


def note(sandbox: Sandbox, _operation: str, _status: int, reason: str, _seconds: float) -> None:
    """Record what the engine knows of the current request."""
    facts = _facts.get()
    if facts is not None:
        facts |= {"sandbox": sandbox.shown_name, "reason": reason}


def _secrets_in(scope: "Scope") -> list[str]:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return secrets_in(headers, scope["query_string"].decode("latin-1"))


def _write(level: int, scope: "Scope", status: int, milliseconds: float, facts: dict[str, str]) -> None:
    fields = {
        "method": shown_path(scope["method"])[:MAX_METHOD],
        "path": shown_path(scope["path"], _secrets_in(scope)),
        "status": status,  # 0: the connection ended before a response began
        "ms": milliseconds,
        "sandbox": shown_path(facts.get("sandbox", "")),
        "reason": facts.get("reason", ""),
        **({"replica": facts["replica"]} if "replica" in facts else {}),
    }
    line = "{method} {path} {status} {ms} ms".format_map(fields)
    more = "".join(f" {name}={fields[name]}" for name in _OPTIONAL if fields.get(name))
    log.log(level, "%s", line + more, extra={"request": fields})
