"""The inspector as an ASGI application: routing, access, headers, and errors as pages."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.sandbox.snapshot.export import MAX_DOCUMENT
from mockserver.settings.table import Settings
from mockserver.web.admin.call import AdminRefusal
from mockserver.web.answers.loop_turns import LoopTurns
from mockserver.web.gateway import internal_error
from mockserver.web.inspector import answers, batches, checks, documents, requests, sandboxes, state
from mockserver.web.inspector.access import COOKIE, InspectorAccess, LoginNeeded, check_same_origin
from mockserver.web.inspector.admin_calls import AdminCallError, AdminCalls
from mockserver.web.inspector.live import Live
from mockserver.web.inspector.view import DEFAULT_SANDBOX, Page, View
from mockserver.web.paths import ADMIN_PREFIX, INSPECTOR_PREFIX
from mockserver.web.scopes import route_path

REFRESH_HEADER = "x-inspector-refresh"
"""The request header of a page that fetches itself again: the number of the latest change that it was told of."""
STATIC = Path(__file__).with_name("static")
MAX_FORM = MAX_DOCUMENT + 64 * 1024
"""The most bytes of a form: the largest part is an export that is imported."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
"""Headers of every response, unless it has its own."""
_MODULES = (sandboxes, requests, batches, state, answers, checks)
PAGES: Mapping[str, Page] = {
    **{path: page for module in _MODULES for path, page in module.PAGES.items()},
    **documents.PAGES,
}
ACTIONS: Mapping[str, Page] = {path: action for module in _MODULES for path, action in module.ACTIONS.items()}


def build_inspector(admin: ASGIApp, settings: Settings, turns: LoopTurns) -> ASGIApp:
    """The pages, which read and change everything through the app of the admin API."""
    calls, access = AdminCalls(admin, settings, turns), InspectorAccess(settings)
    live = Live(calls)
    login = partial(_login, access)
    routes: list[BaseRoute] = [
        Mount(f"{INSPECTOR_PREFIX}/static", StaticFiles(directory=STATIC)),
        Route(f"{INSPECTOR_PREFIX}/login", login, methods=["GET", "POST"]),
        Route(f"{INSPECTOR_PREFIX}/logout", _logout, methods=["POST"]),
        *(Route(path, partial(_show, access, live, page)) for path, page in _by_path(PAGES).items()),
        *(
            Route(path, partial(_act, access, live, action), methods=["POST"])
            for path, action in _by_path(ACTIONS).items()
        ),
    ]
    if (viewer := documents.viewer_files()) is not None:
        routes.insert(0, Mount(f"{INSPECTOR_PREFIX}/viewer", StaticFiles(directory=viewer)))
    failures = {HTTPException: _not_found, AdminRefusal: _refused, AdminCallError: _refused, LoginNeeded: _ask_login}
    app = Starlette(routes=routes, exception_handlers=failures)  # type: ignore[arg-type]
    app.router.redirect_slashes = False

    async def inspector(scope: Scope, receive: Receive, send: Send) -> None:
        path, whole = route_path(scope), scope["path"]
        prefix = scope.get("root_path", "") if path != whole else ""
        inner = {**scope, "path": path, "root_path": "", "inspector.prefix": prefix}
        sending = partial(_send_with_headers, send)
        try:
            await app(inner, receive, sending)
        except (ClientDisconnect, ConnectionResetError):
            return
        except Exception:  # logged; Starlette has sent its answer already, unless it could not
            internal_error(scope["method"], path)

    return inspector


def _by_path(pages: Mapping[str, Page]) -> dict[str, Page]:
    return {path if path.startswith(ADMIN_PREFIX) else INSPECTOR_PREFIX + path: page for path, page in pages.items()}


async def _send_with_headers(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        own = {name.lower() for name, _ in message["headers"]}
        added = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in own]
        message = {**message, "headers": [*message["headers"], *added]}
    await send(message)


async def _show(access: InspectorAccess, live: Live, page: Page, request: Request) -> Response:
    access.admit(request.headers, request.cookies)
    name = request.query_params.get("sandbox") or DEFAULT_SANDBOX
    view, told = View(request, live, name, access.needs_login), request.headers.get(REFRESH_HEADER, "")
    if not (told.isascii() and told.isdigit() and len(told) < 18):
        return await page(view)
    return await live.page(f"{view.base} {request.url}", name, int(told), partial(page, view))


async def _act(access: InspectorAccess, live: Live, action: Page, request: Request) -> Response:
    access.admit(request.headers, request.cookies)
    check_same_origin(request.headers)
    size = request.headers.get("content-length", "")
    if not (size.isdigit() and len(size) < 18 and int(size) <= MAX_FORM):
        raise AdminRefusal(413, f"The form is larger than {MAX_FORM} bytes, or does not say its size.")
    async with request.form(max_files=1, max_fields=50, max_part_size=MAX_FORM) as form:
        name = form.get("sandbox") or DEFAULT_SANDBOX
        return await action(View(request, live, str(name), access.needs_login, form))


async def _login(access: InspectorAccess, request: Request) -> Response:
    """The form that takes the admin token, and what it is sent to."""
    view = _plain_view(request)
    if not access.needs_login:
        return RedirectResponse(f"{view.base}/", 303)
    if request.method != "POST":
        return view.plain_page("login.html", problem="")
    check_same_origin(request.headers)
    async with request.form(max_files=0, max_fields=5) as form:
        token = form.get("token")
    try:
        cookie = access.login(token if isinstance(token, str) else "")
    except AdminRefusal:
        return view.plain_page("login.html", status=401, problem="This is not the admin token.")
    response = RedirectResponse(f"{view.base}/", 303)
    is_secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"
    response.set_cookie(COOKIE, cookie, path=view.base, httponly=True, samesite="strict", secure=is_secure)
    return response


async def _logout(request: Request) -> Response:
    check_same_origin(request.headers)
    view = _plain_view(request)
    response = RedirectResponse(f"{view.base}/", 303)
    response.delete_cookie(COOKIE, path=view.base, httponly=True, samesite="strict")
    return response


def _plain_view(request: Request, sandbox: str = DEFAULT_SANDBOX) -> View:
    """For a page that shows nothing of a sandbox."""
    return View(request, None, sandbox, False)  # type: ignore[arg-type]  # it calls nothing


async def _ask_login(request: Request, _: LoginNeeded) -> Response:
    view = _plain_view(request)
    if request.method == "GET":
        return RedirectResponse(f"{view.base}{INSPECTOR_PREFIX.removeprefix(ADMIN_PREFIX)}/login", 303)
    return view.plain_page("login.html", status=401, problem="The session has ended.")


async def _refused(request: Request, refusal: AdminRefusal | AdminCallError) -> Response:
    view = _plain_view(request, request.query_params.get("sandbox") or DEFAULT_SANDBOX)
    return view.plain_page("problem.html", status=refusal.status, facts=None, detail=refusal.detail)


async def _not_found(request: Request, error: HTTPException) -> Response:
    detail = "There is no such page." if error.status_code == 404 else str(error.detail)
    return await _refused(request, AdminRefusal(error.status_code, detail))
