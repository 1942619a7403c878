"""The index page at `/`: the version, the APIs' base URLs, and the admin API."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mockserver import __version__
from mockserver.engine.engine import Engine
from mockserver.http import Request, Response
from mockserver.lazy import lazy_module
from mockserver.openapi.files import is_url
from mockserver.settings.declarations import declarations
from mockserver.settings.table import Settings
from mockserver.web.admin.call import AdminRefusal
from mockserver.web.admin_auth import AdminAuth
from mockserver.web.paths import ADMIN_PREFIX

if TYPE_CHECKING:
    from mockserver.web.inspector import render
else:
    render = lazy_module("mockserver.web.inspector.render")

MAX_TITLE = 100
VARY = ("Vary", "Accept")


def index_page(engine: Engine, settings: Settings, request: Request) -> Response:
    """The page with URLs as the client addresses the server, as HTML for browsers, else as plain text.

    Lists only what the client may use.
    """
    served = {each.provider.name for each in engine.services if each.provider}
    rows = [
        *(row for name, each in declarations().items() if name in served for row in each.index),
        *_other_documents(engine),
        ("health", "/health", "says that the server is there"),
        *_admin(settings, request),
    ]
    if "text/html" in request.headers.get("accept", ""):
        return _html(settings, request, rows)
    lines = [f"mockserver {__version__}: a sandbox server that stands in for two batch LLM APIs", ""]
    lines += [_line(request.base_url, *row) for row in rows]
    return Response(200, "text/plain", "\n".join([*lines, ""]).encode("utf-8", "replace"), (VARY,))


def _html(settings: Settings, request: Request, rows: Sequence[tuple[str, str, str]]) -> Response:
    is_open = bool(settings.admin_token) or not any(path == ADMIN_PREFIX for _, path, _ in rows)
    base = f"{request.prefix}{ADMIN_PREFIX}"
    page = render.render("index.html", rows=rows, origin=request.base_url, base=base, is_open=is_open)
    policy = ("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'")
    return Response(200, "text/html", page, (VARY, policy, ("X-Content-Type-Options", "nosniff")))


def _other_documents(engine: Engine) -> Iterator[tuple[str, str, str]]:
    """The documents that the settings name."""
    named = {each if is_url(each) else str(Path(each)) for each in engine.settings.spec}
    documents = {spec.name: spec.document for each in engine.services if (spec := each.world.spec).name in named}
    for document in documents.values():
        title = " ".join(str(document.get("info", {}).get("title", "")).split())
        yield "another API", "", title[:MAX_TITLE]


def _admin(settings: Settings, request: Request) -> Iterator[tuple[str, str, str]]:
    try:
        AdminAuth(settings).admit(request.headers)
    except AdminRefusal as refusal:
        yield "admin API", ADMIN_PREFIX, f"not open to this request: {refusal.detail}"
        return
    yield "inspector", f"{ADMIN_PREFIX}/", "pages that show what a sandbox holds and what your client did"
    yield "admin API", f"{ADMIN_PREFIX}/requests", "what was asked in a sandbox, and how it was answered"
    yield "", f"{ADMIN_PREFIX}/scenarios", "what a sandbox can be set up for"
    yield "", f"{ADMIN_PREFIX}/openapi.json", "the document in force"
    yield "", f"{ADMIN_PREFIX}/version", "name and version"


def _line(base_url: str, name: str, path: str, said: str) -> str:
    return f"{name:<12} {base_url + path:<45} {said}".rstrip()
