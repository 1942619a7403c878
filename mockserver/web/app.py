"""The server as a Starlette application: health checks, the admin API, the index page, and the gateway for the rest."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import proxy

from starlette.applications import Starlette

from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.engine.prepared import PreparedRequest
from mockserver.engine.upkeep import Upkeep
from mockserver.errors import StoreUnavailable
from mockserver.http import Request, Response
from mockserver.lazy import lazy_module
from mockserver.settings.table import Settings, replica_of
from mockserver.stores import GroupCommit
from mockserver.web.callbacks.dispatcher import CallbackDispatcher
from mockserver.web.gateway import Gateway
from mockserver.web.lanes import in_lane, own_lane
from mockserver.web.paths import (
    ADMIN_PREFIX,
    BROWSER_PATHS,
    HEALTH,
    INSPECTOR_PATHS,
    INSPECTOR_PREFIX,
    METRICS,
    NO_CONTENT,
    NOT_READY,
    READY,
    ROOT,
    STOPPING,
)
from mockserver.web.scopes import read_headers, read_request, route_path
from mockserver.workers import LaneFull

if TYPE_CHECKING:
    from starlette.types import ASGIApp as App
    from starlette.types import Receive, Scope, Send

    from mockserver.web import index, request_log
    from mockserver.web.admin import app as admin_app
    from mockserver.web.inspector import app as inspector_app
    from mockserver.web.metrics import app as metrics_app
else:
    metrics_app = lazy_module("mockserver.web.metrics.app")
    request_log = lazy_module("mockserver.web.request_log")
    index = lazy_module("mockserver.web.index")
    admin_app = lazy_module("mockserver.web.admin.app")
    inspector_app = lazy_module("mockserver.web.inspector.app")

Page = Callable[["Scope"], Response]


class MockServer(Starlette):
    """The whole server as one Starlette application: health, the admin API, and the gateway for everything else.

    Requests bypass Starlette's stack and router, which would double their time, unless middleware, routes or exception
    handlers were added to the application.
    """

    answers_at_once = True
    """Whether it may answer without an ASGI conversation."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        super().__init__(lifespan=_lifespan)
        self.router.redirect_slashes = False
        self._settings = settings
        self._dispatchers: list[CallbackDispatcher] = []
        """Those that run: of this engine, and of earlier ones."""
        self._serve(engine)

    def _serve(self, engine: Engine) -> None:
        settings = self._settings
        self.state.engine = self._engine = engine
        dispatch = _Dispatch(engine, settings)
        self._log = _request_log(engine, settings) if settings.log_level in {"debug", "info"} else None
        # Starlette's router forms reference cycles, which would keep its members until garbage collection.
        self.router.default = partial(_answer_unrouted, proxy(dispatch))
        self._dispatch = dispatch

    def replace_engine(self, engine: Engine) -> None:
        """Answer with this engine from the next request on. Callbacks under way go on. May be called by any thread."""
        loop = self._dispatchers[-1].loop if self._dispatchers else None
        self._serve(engine)
        if loop is not None:
            loop.call_soon_threadsafe(self._start_dispatcher)

    def _start_dispatcher(self) -> None:
        dispatcher = self._dispatch.dispatcher
        dispatcher.start()
        self._dispatchers.append(dispatcher)

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self._engine

    @property
    def responds(self) -> bool:
        """Whether the gateway alone answers requests, so that `respond` may have responses."""
        return self._log is None and self._is_bare

    def prepare(self, request: Request) -> PreparedRequest | None:
        """What a request says of itself, for `respond`; None where that has to find it out. Changes nothing."""
        return self._dispatch.prepare(request)

    def respond(self, request: Request, prepared: PreparedRequest | None = None) -> Response | None:
        """The response to a whole request if the application `responds` and has one; see Gateway.respond."""
        dispatch = self._dispatch
        return dispatch.respond(request) if prepared is None else dispatch.gateway.respond(request, prepared)

    @property
    def group(self) -> GroupCommit | None:
        """Commits what `respond` has changed; None if nothing has to be committed."""
        return self._dispatch.gateway.group

    def deliverer(self, response: Response) -> "App":
        """An ASGI application that delivers this response, which `respond` gave."""
        held = [response]  # only the callee refers to it then

        async def deliver(scope: "Scope", receive: "Receive", send: "Send") -> None:
            await self._dispatch.gateway.send_response(held.pop(), scope, receive, send)

        return deliver

    @property
    def max_direct_body(self) -> int:
        """The most bytes of a body for which `respond` may have a response."""
        return self._dispatch.gateway.max_direct_body

    def standing_headers(self, media_type: str, source: str) -> tuple[tuple[bytes, bytes], ...]:
        """The headers of every response with this media type and source."""
        return self._dispatch.gateway.standing_headers(media_type, source)

    @property
    def _is_bare(self) -> bool:
        """Whether no middleware, route or exception handler was added."""
        return not (self.user_middleware or self.router.routes or self.exception_handlers)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        is_http = scope["type"] == "http"
        is_direct = is_http and self._is_bare
        answer: App = self._dispatch if is_direct else super().__call__
        if self._log is not None and is_http:
            await self._log.watch(answer, scope, receive, send)
        else:
            await answer(scope, receive, send)

    def prepare_to_stop(self) -> None:
        """Have /ready answer 503 from now on; all else is answered as before."""
        self._dispatch.stop()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers callbacks while the block runs; the lifespan calls it."""
        self._start_dispatcher()
        upkeep = Upkeep(self._engine, self._settings.expire_idle)
        upkeep.start()
        try:
            yield
        finally:
            upkeep.stop()
            while self._dispatchers:
                self._dispatchers.pop().stop()


class _Dispatch:
    """Passes each request to the app for its path."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self.gateway = Gateway(engine, settings)
        self._pages: dict[str, Page | None] = {path: partial(_fixed_page, page) for path, page in HEALTH.items()}
        self._own = set(HEALTH)
        """Paths beside ADMIN_PREFIX that no document has."""
        if engine.sandboxes.is_shared:
            self._pages[READY] = None if settings.ready_when_store else partial(_readiness, engine)
        if not engine.serves(METRICS):
            self._own.add(METRICS)
            self._pages[METRICS] = None
        if not engine.serves(ROOT):
            self._pages[ROOT] = partial(_index, engine, settings)
        self._pages |= {path: partial(_fixed_page, NO_CONTENT) for path in BROWSER_PATHS if not engine.serves(path)}
        self._admin: App | None = None
        self._metrics: App | None = None
        self._inspector: App | None = None

    @property
    def dispatcher(self) -> CallbackDispatcher:
        """The dispatcher of callbacks."""
        return self.gateway.dispatcher

    def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> Awaitable[None]:
        path = scope["path"]
        if scope.get("root_path"):
            path = route_path(scope)
        page = self._pages.get(path)
        if page is not None and scope["method"] in {"GET", "HEAD"}:
            return self.gateway.deliver(page(scope), scope["method"], receive, send)
        if path.startswith(ADMIN_PREFIX) or path in self._own:
            return self._app_of(path, scope["method"])(scope, receive, send)
        return self.gateway(scope, receive, send)

    async def _first_call(self, build: "Callable[[], App]", scope: "Scope", receive: "Receive", send: "Send") -> None:
        """The first call of the admin API or the inspector. Importing them takes half a second of a busy machine."""
        with suppress(LaneFull):  # no thread: the event loop builds it
            await self._engine.workers.run(own_lane(), build)
        await build()(scope, receive, send)

    def prepare(self, request: Request) -> PreparedRequest | None:
        """See Gateway.prepare; None for a request that it does not answer."""
        path = request.path
        return None if path in self._pages or path.startswith(ADMIN_PREFIX) else self.gateway.prepare(request)

    def respond(self, request: Request) -> Response | None:
        """The response to a request for health or an operation; None for all else, or where the gateway has none."""
        path = request.path
        if path == "/health" and request.method in {"GET", "HEAD"}:  # a conversation would take several rounds
            return HEALTH[path]
        prepared = self.prepare(request)
        return None if prepared is None else self.gateway.respond(request, prepared)

    def stop(self) -> None:
        """Have /ready answer 503 from now on."""
        self._pages[READY] = partial(_fixed_page, STOPPING)

    def _app_of(self, path: str, method: str) -> "App":
        """The application for a path under ADMIN_PREFIX, or one of `_own`."""
        if path == READY and method in {"GET", "HEAD"}:
            return self._ask_store
        if path == METRICS:
            app, build = self._metrics, self._metrics_app
        elif path in INSPECTOR_PATHS or path.startswith(f"{INSPECTOR_PREFIX}/"):
            app, build = self._inspector, self._inspector_app
        else:
            app, build = self._admin, self._admin_app
        return app if app is not None else partial(self._first_call, build)

    async def _ask_store(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer /ready after the store has answered, or not. A thread waits for it."""
        try:
            page = await in_lane(self._engine.workers, own_lane(), partial(_asked_readiness, self._engine), receive)
        except ConnectionResetError:
            return
        await self.gateway.deliver(page, scope["method"], receive, send)

    def _metrics_app(self) -> "App":
        if self._metrics is None:
            self._metrics = metrics_app.Metrics(self._engine, self._settings, self.gateway.delivery)
        return self._metrics

    def _admin_app(self) -> "App":
        if self._admin is None:
            gateway = self.gateway
            self._admin = admin_app.build_admin(self._engine, self._settings, gateway.delivery, gateway.turns)
        return self._admin

    def _inspector_app(self) -> "App":
        if self._inspector is None:
            self._inspector = inspector_app.build_inspector(self._admin_app(), self._settings, self.gateway.turns)
        return self._inspector


def create_app(settings: Settings | None = None, *, engine: Engine | None = None) -> MockServer:
    """The whole server as a Starlette application, which can be mounted, wrapped in middleware, or tested.

    Without an engine, one is built from the settings; raises SpecError, FixtureError or SettingsError.
    """
    settings = settings or Settings()
    return MockServer(engine or build_engine(settings), settings)


def _lifespan(app: Any) -> AbstractAsyncContextManager[None]:
    return cast(MockServer, app).running()


async def _answer_unrouted(dispatch: "App", scope: "Scope", receive: "Receive", send: "Send") -> None:
    """Handles requests without a Starlette route."""
    if scope["type"] == "http":
        await dispatch(scope, receive, send)
    else:
        await _refuse_websocket(receive, send)


async def _refuse_websocket(receive: "Receive", send: "Send") -> None:
    if (await receive())["type"] == "websocket.connect":
        await send({"type": "websocket.close", "code": 1000, "reason": ""})


def _request_log(engine: Engine, settings: Settings) -> "request_log.RequestLog":
    return request_log.RequestLog(engine, replica_of(settings))


def _fixed_page(page: Response, _: "Scope") -> Response:
    return page


def _readiness(engine: Engine, _: "Scope") -> Response:
    """The health check that fails while the store does not answer."""
    return HEALTH["/ready"] if engine.sandboxes.is_available else NOT_READY


def _asked_readiness(engine: Engine) -> Response:
    try:
        len(engine.sandboxes)
    except StoreUnavailable:
        return NOT_READY
    return HEALTH[READY]


def _index(engine: Engine, settings: Settings, scope: "Scope") -> Response:
    return index.index_page(engine, settings, read_request(scope, read_headers(scope), b""))
