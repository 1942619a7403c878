"""The server as one ASGI application: health checks, the admin API, the index page, and the gateway for the rest."""

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from mockserver.engine.engine import Engine
from mockserver.http import Response
from mockserver.lazy import lazy_module
from mockserver.settings.table import Settings
from mockserver.web.gateway import Gateway, make_request, read_headers
from mockserver.web.paths import ADMIN_PREFIX, BROWSER_PATHS, HEALTH, NO_CONTENT, ROOT

if TYPE_CHECKING:
    from starlette.types import ASGIApp as App
    from starlette.types import Receive, Scope, Send

    from mockserver.web import index, request_log
    from mockserver.web.admin import app as admin_app
else:
    request_log = lazy_module("mockserver.web.request_log")
    index = lazy_module("mockserver.web.index")
    admin_app = lazy_module("mockserver.web.admin.app")

Page = Callable[["Scope"], Response]


def build_app(engine: Engine, settings: Settings) -> "App":
    """The whole server as an ASGI app.

    The imitated APIs bypass Starlette's router and middleware, which would cost each request as much as all else.
    Starlette is imported for the first admin call, so that a start does not wait for it.
    """
    gateway = Gateway(engine, settings)
    pages: dict[str, Page] = {path: partial(_fixed_page, page) for path, page in HEALTH.items()}
    if not engine.serves(ROOT):
        pages[ROOT] = partial(_index, engine, settings)
    pages |= {path: partial(_fixed_page, NO_CONTENT) for path in BROWSER_PATHS if not engine.serves(path)}

    @cache
    def admin() -> "App":
        return admin_app.build_admin(engine, settings)

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        page = pages.get(path)
        if page is not None and scope["method"] in {"GET", "HEAD"}:
            await gateway.deliver(page(scope), scope["method"], receive, send)
        elif path.startswith(ADMIN_PREFIX) or path in HEALTH:
            await admin()(scope, receive, send)
        else:
            await gateway(scope, receive, send)

    return _with_request_log(app, engine) if settings.log_level in {"debug", "info"} else app


def _with_request_log(app: "App", engine: Engine) -> "App":
    return request_log.RequestLog(app, engine)


def _fixed_page(page: Response, _: "Scope") -> Response:
    return page


def _index(engine: Engine, settings: Settings, scope: "Scope") -> Response:
    return index.index_page(engine, settings, make_request(scope, read_headers(scope), b""))
