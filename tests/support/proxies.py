"""A live API on loopback, and proxies in front of it."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from builders import make_settings

from mockserver.contract.callbacks.relay import CallbackRelay
from mockserver.contract.proxy import ProxyServer
from mockserver.contract.recording.recorder import open_recorder
from mockserver.contract.upstream import Upstream, parse_upstream
from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.server.process import ThreadedServer


class RunningProxy:
    """A proxy that runs."""

    def __init__(self, server: ThreadedServer, app: ProxyServer) -> None:
        self.url = server.url
        self.port = server.port
        self.stop = server.stop
        self.engine: Engine = app.engine


class Servers(ExitStack):
    """Servers that run until the end of a test."""

    def live(self, **settings: Any) -> ThreadedServer:
        """A sandbox that stands in for a live API."""
        return self.enter_context(ThreadedServer(make_settings(**settings)))

    def proxy(
        self,
        url: str,
        *,
        fails: bool = False,
        record: Path | None = None,
        mode: str = "all",
        redact: tuple[str, ...] = (),
        timeout: float = 20,
        ca_file: str = "",
        callbacks_via: str = "",
        **changes: Any,
    ) -> RunningProxy:
        """A proxy in front of that URL."""
        settings = make_settings(**changes)
        upstream = Upstream(parse_upstream(url), timeout=timeout, ca_file=ca_file)
        recorder = open_recorder(record, mode, upstream.url, redact) if record else None
        engine = build_engine(settings)
        relay = CallbackRelay(engine, settings, callbacks_via, fails=fails) if callbacks_via else None
        app = ProxyServer(engine, settings, upstream, fails=fails, recorder=recorder, relay=relay)
        return RunningProxy(self.enter_context(ThreadedServer(settings, app=app)), app)
