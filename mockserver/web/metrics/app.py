"""Answers `GET /metrics`."""

import os
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING
from weakref import proxy

from mockserver.engine.engine import Engine
from mockserver.errors import StoreUnavailable
from mockserver.http import Request, Response
from mockserver.lazy import lazy_module
from mockserver.openapi.responses import problem
from mockserver.settings.table import Settings, replica_of
from mockserver.web.admin.call import AdminRefusal
from mockserver.web.admin_auth import AdminAuth
from mockserver.web.answers.delivery import Delivery
from mockserver.web.lanes import busy, in_lane
from mockserver.web.scopes import read_headers, read_request
from mockserver.workers import LaneFull

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import Receive, Scope, Send

    from mockserver.web.metrics import collect
else:
    collect = lazy_module("mockserver.web.metrics.collect")

LANE = "\0metrics"
"""The lane in which figures are collected, one request after another."""
MISSING = "Metrics need the package prometheus-client: pip install 'batch-mockserver[metrics]' (the extra [metrics])."


class Metrics:
    """The metrics of a server, as an ASGI application. Exchanges are observed from the first request on."""

    def __init__(self, engine: Engine, settings: Settings, delivery: Delivery) -> None:
        self._engine: Engine = proxy(engine)
        self._delivery = delivery
        self._auth = AdminAuth(settings)
        self._labels = {name: value for name, value in (("replica", replica_of(settings)),) if value}
        if settings.workers > 1:
            self._labels["worker"] = str(os.getpid())
        self._registry: CollectorRegistry | None = None
        self._making = Lock()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        request = read_request(scope, read_headers(scope), b"")
        try:
            self._auth.admit(request.headers)
            response = await self._respond(request, receive)
        except AdminRefusal as refusal:
            response = problem(refusal.status, "Refused", refusal.detail)
        except ConnectionResetError:
            return
        await self._delivery.deliver(response, request.method, receive, send)

    async def _respond(self, request: Request, receive: "Receive") -> Response:
        if request.method not in {"GET", "HEAD"}:
            return problem(405, "Refused", "/metrics answers GET.").with_headers(("Allow", "GET, HEAD"))
        if find_spec("prometheus_client") is None:
            return problem(501, "Not Implemented", MISSING)
        try:
            text = await in_lane(self._engine.workers, LANE, self._text, receive, may_stop=True)
        except LaneFull as full:
            return busy(full)
        except StoreUnavailable as error:
            return self._engine.unavailable(request, error)
        return Response(200, collect.MEDIA_TYPE, text)

    def _text(self) -> bytes:
        with self._making:
            if self._registry is None:
                self._registry = collect.make_registry(self._engine, self._labels)
        return collect.format_metrics(self._registry)
