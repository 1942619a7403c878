"""The index page at `/`: the version, the APIs' base URLs, and the admin API."""

from collections.abc import Iterator
from pathlib import Path

from mockserver import __version__
from mockserver.engine.engine import Engine
from mockserver.http import Request, Response
from mockserver.settings.declarations import declarations
from mockserver.settings.table import Settings
from mockserver.web.admin.auth import AdminAuth
from mockserver.web.admin.call import AdminRefusal
from mockserver.web.paths import ADMIN_PREFIX

MAX_TITLE = 100


def index_page(engine: Engine, settings: Settings, request: Request) -> Response:
    """The page as plain text, with URLs as the client addresses the server. Lists only what the client may use."""
    served = {each.provider.name for each in engine.services if each.provider}
    rows = [
        *(row for name, each in declarations().items() if name in served for row in each.index),
        *_other_documents(engine),
        ("health", "/health", "says that the server is there"),
        *_admin(settings, request),
    ]
    lines = [f"mockserver {__version__}: a sandbox server that stands in for two batch LLM APIs", ""]
    lines += [_line(request.base_url, *row) for row in rows]
    return Response(200, "text/plain", "\n".join([*lines, ""]).encode("utf-8", "replace"))


def _other_documents(engine: Engine) -> Iterator[tuple[str, str, str]]:
    """The documents that the settings name."""
    named = {str(Path(each)) for each in engine.settings.spec}
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
    yield "admin API", f"{ADMIN_PREFIX}/requests", "what was asked in a sandbox, and how it was answered"
    yield "", f"{ADMIN_PREFIX}/scenarios", "what a sandbox can be set up for"
    yield "", f"{ADMIN_PREFIX}/openapi.json", "the document in force"
    yield "", f"{ADMIN_PREFIX}/version", "name and version"


def _line(base_url: str, name: str, path: str, said: str) -> str:
    return f"{name:<12} {base_url + path:<45} {said}".rstrip()
