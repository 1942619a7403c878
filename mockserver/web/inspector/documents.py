"""The document in force, readable and tryable, with Swagger UI where the extra `viewer` is installed."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from starlette.responses import Response

from mockserver.web.inspector.view import Page, View
from mockserver.web.paths import ADMIN_PREFIX

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
VIEWER = "flask_swagger_ui"
"""The package that ships Swagger UI's files; it is not imported."""


def viewer_files() -> Path | None:
    """The folder of Swagger UI's files; None without the extra."""
    found = find_spec(VIEWER)
    places = found.submodule_search_locations if found else None
    folder = Path(next(iter(places))) / "dist" if places else None
    return folder if folder and (folder / "swagger-ui-bundle.js").is_file() else None


async def show_document(view: View) -> Response:
    """The operations of the document."""
    document = await view.calls.get("/openapi.json")
    operations = [
        _operation(method, path, operation, number)
        for number, (path, item) in enumerate(document.get("paths", {}).items())
        for method, operation in item.items()
        if method in METHODS and isinstance(operation, dict)
    ]
    template = "viewer.html" if viewer_files() else "document.html"
    info = document.get("info", {})
    title, version = str(info.get("title") or "API"), str(info.get("version") or "")
    return await view.page(template, title=title, document_version=version, operations=operations)


def _operation(method: str, path: str, operation: Mapping[str, Any], number: int) -> dict[str, Any]:
    parts = {name: operation[name] for name in ("parameters", "requestBody", "responses") if name in operation}
    return {
        "key": str(operation.get("operationId") or f"{method}-{number}"),
        "method": method.upper(),
        "path": path,
        "summary": str(operation.get("summary") or ""),
        "description": str(operation.get("description") or ""),
        "parts": parts,
    }


async def document_json(view: View) -> Response:
    """The document with this server as its only one, so that requests of the viewer go nowhere else."""
    document = await view.calls.get("/openapi.json")
    served = {**document, "servers": [{"url": view.origin}]}
    return Response(orjson.dumps(served), media_type="application/json")


PAGES: Mapping[str, Page] = {f"{ADMIN_PREFIX}/docs": show_document, "/openapi.json": document_json}
