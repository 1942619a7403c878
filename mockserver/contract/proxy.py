"""The validating proxy: passes requests to one upstream, and tells what the document does not allow.

A request is streamed to the upstream, and its answer to the client, in pieces and with back pressure. What passes is
copied within bounds. Answers in JSON are held back until they are whole, or larger than CHECKED_BYTES, so that the
header X-Mock-Violations can name what is wrong with them; everything else (events, files) is passed on at once, and
what is wrong with it stands in the journal only.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING

from mockserver.contract.callbacks.addresses import CALLBACKS
from mockserver.contract.exchange import DocumentChecker
from mockserver.contract.passing import ClientGone, Passing, ProxyContext
from mockserver.contract.upstream import Upstream
from mockserver.engine.engine import Engine
from mockserver.sandbox.ids import digest
from mockserver.settings.table import Settings
from mockserver.web.app import MockServer
from mockserver.web.paths import ADMIN_PREFIX, HEALTH

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mockserver.contract.callbacks.relay import CallbackRelay
    from mockserver.contract.recording.recorder import Recorder


class ProxyServer(MockServer):
    """An application that answers /__admin, /health and /ready itself, and passes all other requests on."""

    adds_date = False
    """The upstream's Date header is passed on."""
    answers_at_once = False
    """Each request waits for the upstream, so each becomes an ASGI conversation."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        upstream: Upstream,
        *,
        fails: bool = False,
        recorder: "Recorder | None" = None,
        relay: "CallbackRelay | None" = None,
    ) -> None:
        """With `fails`, violations are answered with errors. With a `relay`, the upstream calls back through it."""
        super().__init__(engine, settings)
        seed = digest(str(upstream.url).encode(), b"%d %d" % (os.getpid(), perf_counter_ns()))
        via = b"1.1 mockserver-%b" % seed.hex()[:8].encode()
        if relay is not None:
            relay.via, relay.deliver = via, self._dispatch.gateway.deliver
            if recorder is not None:
                recorder.restored = relay.restored
        self._context = ProxyContext(
            engine,
            settings,
            upstream,
            DocumentChecker(engine.services, strict=settings.strict),
            via=via,
            deliver=self._dispatch.gateway.deliver,
            fails=fails,
            recorder=recorder,
            relay=relay,
        )

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http" or scope["path"].startswith(ADMIN_PREFIX) or scope["path"] in HEALTH:
            await super().__call__(scope, receive, send)
        elif self._log is not None:
            await self._log.watch(self._pass, scope, receive, send)
        else:
            await self._pass(scope, receive, send)

    async def _pass(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if self._context.relay is not None and scope["path"].startswith(CALLBACKS):
            await self._context.relay.receive(scope, receive, send)
            return
        try:
            await Passing(self._context, scope, receive, send).run()
        except ClientGone:
            return

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keeps connections and recording open while the block runs; the lifespan calls it."""
        async with super().running():
            try:
                yield
            finally:
                await self._context.upstream.close()
                if self._context.recorder is not None:
                    self._context.recorder.close()
